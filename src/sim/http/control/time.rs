//! The clock.

use std::sync::Arc;

use axum::{Json, extract::State, response::Response};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Changed, Shared, bad, finish, parsed};
use crate::sim::http::{
    clock::{ClockMode, ClockSettings},
    service::Service,
};

pub async fn show(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let (service, now) = shared.present();
    Json(shown(&service, now))
}

fn shown(service: &Service, now: Timestamp) -> Value {
    json!({
        "now": now,
        "mode": service.clock.mode(),
        "scale": service.clock.scale(),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClockChange {
    advance_seconds: Option<i64>,
    advance_to: Option<Timestamp>,
    mode: Option<ClockMode>,
    scale: Option<f64>,
}

pub async fn change(State(shared): State<Arc<Shared>>, body: String) -> Response {
    let changed = parsed(&body).and_then(|change| apply(&shared, &change));
    shared.clock_changed();
    finish(&shared, changed).await
}

fn apply(shared: &Shared, change: &ClockChange) -> Changed {
    let wall = Timestamp::now();
    let mut service = shared.lock();
    let now = service.clock.now(wall);
    let by = match change {
        ClockChange {
            advance_seconds: Some(seconds),
            advance_to: None,
            mode: None,
            scale: None,
        } => SignedDuration::from_secs(*seconds),
        ClockChange { advance_seconds: None, advance_to: Some(to), mode: None, scale: None } => {
            to.duration_since(now)
        }
        ClockChange { advance_seconds: None, advance_to: None, mode: Some(mode), scale } => {
            let settings = ClockSettings { mode: *mode, scale: *scale, start: None };
            settings.check().map_err(|(field, problem)| bad(format!("{field} {problem}")))?;
            service.clock = service.clock.clone().resume(&settings, wall);
            SignedDuration::ZERO
        }
        ClockChange { .. } => {
            let text = "write one of advanceSeconds, advanceTo, and mode (with scale)";
            return Err(Box::new(bad(text)));
        }
    };
    service.clock.step(by).map_err(|error| bad(error.to_string()))?;
    let now = service.advance(wall);
    Ok(shown(&service, now))
}
