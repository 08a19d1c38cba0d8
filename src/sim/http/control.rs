//! The control API: what a test or a person sees and changes from outside the simulation.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, patch},
};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Fault, Shared};
use crate::sim::world::ConsoleChange;

pub fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/control/ledger", get(ledger))
        .route("/control/instances", get(instances))
        .route("/control/instances/{id}", patch(change_instance))
        .route("/control/clock", get(clock).post(step_clock))
        .route("/control/requests", get(requests))
        .route("/control/faults", get(faults).post(add_fault).delete(clear_faults))
        .fallback(|| async {
            problem(StatusCode::NOT_FOUND, "no such path: see zenlayer-sim serve --help")
        })
        .with_state(shared)
}

fn problem(status: StatusCode, text: impl Into<String>) -> Response {
    (status, Json(json!({ "error": text.into() }))).into_response()
}

fn parsed<T: for<'de> Deserialize<'de>>(body: &str) -> Result<T, Box<Response>> {
    serde_json::from_str(body)
        .map_err(|error| Box::new(problem(StatusCode::BAD_REQUEST, error.to_string())))
}

async fn ledger(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({ "orders": shared.lock().world.books().orders }))
}

async fn instances(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let mut service = shared.lock();
    let now = service.now(Timestamp::now());
    service.world.advance(now);
    Json(json!({ "instances": service.world.instances().collect::<Vec<_>>() }))
}

async fn change_instance(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    body: String,
) -> Response {
    let change = if body.contains("remove") {
        ConsoleChange::Remove { id }
    } else {
        match parsed(&body) {
            Ok(change) => ConsoleChange::Change { id, change },
            Err(response) => return *response,
        }
    };
    let mut service = shared.lock();
    let now = service.now(Timestamp::now());
    match service.world.console(now, change) {
        Ok(shown) => Json(shown).into_response(),
        Err(text) => problem(StatusCode::BAD_REQUEST, text),
    }
}

async fn clock(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({ "now": shared.lock().now(Timestamp::now()) }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Step {
    advance_seconds: i64,
}

async fn step_clock(State(shared): State<Arc<Shared>>, body: String) -> Response {
    let step: Step = match parsed(&body) {
        Ok(step) => step,
        Err(response) => return *response,
    };
    let mut service = shared.lock();
    let Some(offset) = service.offset.checked_add(SignedDuration::from_secs(step.advance_seconds))
    else {
        return problem(StatusCode::BAD_REQUEST, "advanceSeconds is too far");
    };
    service.offset = offset;
    let now = service.now(Timestamp::now());
    service.world.advance(now);
    Json(json!({ "now": now })).into_response()
}

async fn requests(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let service = shared.lock();
    Json(json!({ "counts": service.counts, "requests": service.log }))
}

async fn faults(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({ "faults": shared.lock().faults }))
}

async fn add_fault(State(shared): State<Arc<Shared>>, body: String) -> Response {
    match parsed::<Fault>(&body) {
        Ok(fault) => {
            shared.lock().faults.push(fault);
            Json(json!({})).into_response()
        }
        Err(response) => *response,
    }
}

async fn clear_faults(State(shared): State<Arc<Shared>>) -> Json<Value> {
    shared.lock().faults.clear();
    Json(json!({}))
}
