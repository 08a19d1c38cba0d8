//! What every handler does alike: it reads a body, refuses, and answers once the state file is
//! current.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::http::{shared::Shared, state};

pub fn problem(status: StatusCode, text: impl Into<String>) -> Response {
    (status, Json(json!({ "error": text.into() }))).into_response()
}

pub fn bad(text: impl Into<String>) -> Response {
    problem(StatusCode::BAD_REQUEST, text)
}

pub fn parsed<T: DeserializeOwned>(body: &str) -> Result<T, Box<Response>> {
    state::read(body.as_bytes()).map_err(|problem| Box::new(bad(problem)))
}

/// What a change of the simulation answers with, or why it was not made.
pub type Changed = Result<Value, Box<Response>>;

/// Answers once the change is on the disk.
pub async fn finish(shared: &Shared, changed: Changed) -> Response {
    let answer = match changed {
        Ok(answer) => answer,
        Err(response) => return *response,
    };
    let generation = {
        let mut service = shared.lock();
        service.generation += 1;
        service.generation
    };
    shared.saved(generation).await;
    Json(answer).into_response()
}
