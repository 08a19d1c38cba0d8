//! Fault rules, and listeners that refuse.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{bad, finish, parsed, problem};
use crate::http::{Fault, fault::Rule, shared::Shared};

pub async fn list(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let service = shared.lock();
    let shown = service.faults.rules.iter().map(|Rule { id, matched, played, fault }| {
        let mut shown = json!(fault);
        shown["id"] = json!(id);
        shown["matched"] = json!(matched);
        shown["played"] = json!(played);
        shown
    });
    Json(json!({ "faults": shown.collect::<Vec<_>>() }))
}

pub async fn add(State(shared): State<Arc<Shared>>, body: String) -> Response {
    let added =
        parsed::<Fault>(&body).map(|fault| json!({ "id": shared.lock().faults.add(fault) }));
    finish(&shared, added).await
}

pub async fn clear(State(shared): State<Arc<Shared>>) -> Response {
    shared.lock().faults.clear();
    finish(&shared, Ok(json!({}))).await
}

pub async fn remove(State(shared): State<Arc<Shared>>, Path(id): Path<u64>) -> Response {
    let removed = shared.lock().faults.remove(id);
    let changed = if removed {
        Ok(json!({}))
    } else {
        Err(Box::new(problem(StatusCode::NOT_FOUND, format!("there is no rule {id}"))))
    };
    finish(&shared, changed).await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Refuse {
    refuse_seconds: f64,
}

pub async fn refuse_connections(State(shared): State<Arc<Shared>>, body: String) -> Response {
    let refused = parsed::<Refuse>(&body).and_then(|Refuse { refuse_seconds }| {
        let length = Duration::try_from_secs_f64(refuse_seconds).ok();
        let length = length.filter(|length| length.as_secs() <= 3600);
        length.ok_or_else(|| Box::new(bad("refuseSeconds must be from 0 to 3600")))
    });
    let answer = match refused {
        Ok(length) => {
            shared.refuse_connections(length).await;
            Ok(json!({}))
        }
        Err(error) => Err(error),
    };
    finish(&shared, answer).await
}
