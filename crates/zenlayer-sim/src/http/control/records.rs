//! The request log, snapshot and restore.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{bad, finish, problem};
use crate::http::{log::Logged, shared::Shared, state::Saved};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Choice {
    action: Option<String>,
    instance: Option<String>,
    /// The newest so many.
    limit: Option<usize>,
}

pub async fn requests(
    State(shared): State<Arc<Shared>>,
    Query(choice): Query<Choice>,
) -> Json<Value> {
    let service = shared.lock();
    let chosen = |logged: &&Logged| {
        choice.action.as_ref().is_none_or(|action| *action == logged.action)
            && choice.instance.as_ref().is_none_or(|id| logged.instance.as_ref() == Some(id))
    };
    let newest = service.log.calls.iter().rev().filter(chosen);
    let mut shown: Vec<&Logged> = newest.take(choice.limit.unwrap_or(usize::MAX)).collect();
    shown.reverse();
    Json(json!({ "counts": service.log.counts, "requests": shown }))
}

pub async fn forget(State(shared): State<Arc<Shared>>) -> Json<Value> {
    shared.lock().log.clear();
    Json(json!({}))
}

pub async fn snapshot(State(shared): State<Arc<Shared>>) -> Response {
    let snapshot = shared.present().0.snapshot();
    match serde_json::to_vec(&Saved::from(snapshot)) {
        Ok(bytes) => ([("content-type", "application/json")], bytes).into_response(),
        Err(error) => problem(axum::http::StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

pub async fn restore(State(shared): State<Arc<Shared>>, body: String) -> Response {
    let refused = |problem: String| {
        let remedy =
            "nothing was changed: send a snapshot exactly as GET /control/snapshot gave it";
        Box::new(bad(format!("{problem}; {remedy}")))
    };
    let restored = Saved::read(body.as_bytes()).map_err(refused).map(|snapshot| {
        shared.lock().restore(snapshot);
        json!({})
    });
    shared.clock_changed();
    finish(&shared, restored).await
}
