//! `/livez`, `/readyz` and `/metrics` over plain HTTP.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Router,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;

use super::Metrics;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Why the probes cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("listen on {address}: choose another address with --http-listen")]
    Bind { address: SocketAddr, source: std::io::Error },
    #[error("serve probes and metrics")]
    Serve(#[source] std::io::Error),
}

/// Takes the address, so that a port in use is known before anything else starts.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Bind { address, source })
}

/// Serves for ever. Ready once `ready` is true; alive as long as it answers.
pub async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    ready: Arc<AtomicBool>,
) -> Result<(), ServeError> {
    let app = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(move || readyz(ready.clone())))
        .route("/metrics", get(move || scrape(metrics.clone())));
    axum::serve(listener, app).await.map_err(ServeError::Serve)
}

async fn readyz(ready: Arc<AtomicBool>) -> Response {
    if ready.load(Ordering::Relaxed) {
        "ok\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the objects have not been listed yet\n").into_response()
    }
}

async fn scrape(metrics: Metrics) -> Response {
    match metrics.encode() {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
