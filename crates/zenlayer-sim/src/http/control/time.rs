//! The clock.

use std::sync::Arc;

use axum::{Json, extract::State, response::Response};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Changed, bad, finish, parsed};
use crate::http::{
    clock::{ClockMode, ClockSettings},
    service::Service,
    shared::Shared,
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
        "nextEvent": service.world.next_event(),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClockChange {
    advance_seconds: Option<i64>,
    advance_to: Option<Timestamp>,
    /// Moves to the moment at which something is due next.
    to_next_event: Option<bool>,
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
    let now = service.advance(wall);
    let ClockChange { advance_seconds, advance_to, to_next_event, mode, scale } = change;
    let by = match (advance_seconds, advance_to, to_next_event, mode) {
        (Some(seconds), None, None, None) => SignedDuration::from_secs(*seconds),
        (None, Some(to), None, None) => to.duration_since(now),
        (None, None, Some(true), None) => {
            let next = service.world.next_event();
            next.map_or(SignedDuration::ZERO, |next| next.duration_since(now))
        }
        (None, None, None, Some(mode)) => {
            let settings = ClockSettings { mode: *mode, scale: *scale, start: None };
            settings.check().map_err(|(field, problem)| bad(format!("{field} {problem}")))?;
            service.clock = service.clock.clone().resume(&settings, wall);
            SignedDuration::ZERO
        }
        _ => {
            let text = "write one of advanceSeconds, advanceTo, toNextEvent, mode (with scale)";
            return Err(Box::new(bad(text)));
        }
    };
    if scale.is_some() && mode.is_none() {
        return Err(Box::new(bad("scale is for the mode scaled only: add \"mode\": \"scaled\"")));
    }
    service.clock.step(by).map_err(|error| bad(error.to_string()))?;
    let now = service.advance(wall);
    Ok(shown(&service, now))
}
