//! The HTTP skin: the provider's API below `/api`, the control API below `/control`.

mod control;
mod fault;
mod service;

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use http_body_util::{BodyExt, Limited};
use hyper::{
    Request, Response, StatusCode, body::Incoming, header, server::conn::http1, service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tower::ServiceExt;

pub use fault::{Fault, FaultKind};
pub use service::{Arrival, Reply, Service, Shared};

/// Where every action is posted to (fact sheet section 1).
const API_PATH: &str = "/api/v2/vm";
/// Largest request body. The provider's limit is unknown; its one related number is 32 KB.
const BODY_LIMIT: usize = 1 << 20;

/// Why the simulator cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("listen on {address}: choose another address with --listen, port 0 for a free one")]
pub struct ListenError {
    address: SocketAddr,
    source: std::io::Error,
}

/// The connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is dropped, as a fault asks for")]
struct Dropped;

pub async fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|source| ListenError { address, source })
}

/// Serves for ever.
pub async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let router = control::router(shared.clone());
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (router, shared) = (router.clone(), shared.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| respond(request, router.clone(), shared.clone()));
            let served = http1::Builder::new()
                // The Date header is the service's clock, not this machine's.
                .auto_date_header(false)
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(30))
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "a connection ended");
            }
        });
    }
}

async fn respond(
    request: Request<Incoming>,
    router: Router,
    shared: Arc<Shared>,
) -> Result<Response<Body>, Dropped> {
    let mut response = if request.uri().path().starts_with("/api") {
        api(request, &shared).await?
    } else {
        let answered: Result<_, Infallible> = router.oneshot(request.map(Body::new)).await;
        answered.unwrap_or_else(|never| match never {})
    };
    response.headers_mut().insert(header::DATE, shared.date_header());
    Ok(response)
}

/// One call of the provider's API.
async fn api(request: Request<Incoming>, shared: &Shared) -> Result<Response<Body>, Dropped> {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large\n")),
    };
    if parts.uri.path() != API_PATH {
        return Ok(plain(StatusCode::NOT_FOUND, "post to /api/v2/vm\n"));
    }
    if parts.method != hyper::Method::POST {
        return Ok(plain(StatusCode::METHOD_NOT_ALLOWED, "post to /api/v2/vm\n"));
    }
    let reply = shared.answer(&Arrival { headers: &parts.headers, body: &body });
    if let Some(delay) = reply.delay {
        tokio::time::sleep(delay).await;
    }
    if reply.dropped {
        return Err(Dropped);
    }
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = header::HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}
