//! `/livez`, `/readyz` and `/metrics` over plain HTTP.

use std::net::{Ipv4Addr, SocketAddr};

use axum::{
    Router,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;

use super::{Metrics, WatchHealth};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Why the probes cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot listen on {address}: choose another address with --http-listen")]
    Bind { address: SocketAddr, source: std::io::Error },
    #[error("cannot serve probes and metrics")]
    Serve(#[source] std::io::Error),
}

/// Takes the address, so that a port in use is known before anything else starts. `[::]` stands for
/// every address of the machine, IPv4 and IPv6, also where it has no IPv6.
pub fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    bind_by(address, listen).map_err(|source| ServeError::Bind { address, source })
}

fn bind_by<T>(
    address: SocketAddr,
    listen: impl Fn(SocketAddr) -> std::io::Result<T>,
) -> std::io::Result<T> {
    let everywhere = address.is_ipv6() && address.ip().is_unspecified();
    match listen(address) {
        Err(error) if everywhere && error.kind() != std::io::ErrorKind::AddrInUse => {
            listen((Ipv4Addr::UNSPECIFIED, address.port()).into())
        }
        bound => bound,
    }
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(128)?;
    TcpListener::from_std(socket.into())
}

/// Serves for ever. Ready while the objects are listed and the watch is answered; alive as long as it
/// answers.
pub async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    health: WatchHealth,
) -> Result<(), ServeError> {
    let app = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(move || readyz(health.clone())))
        .route("/metrics", get(move || scrape(metrics.clone())));
    axum::serve(listener, app).await.map_err(ServeError::Serve)
}

async fn readyz(health: WatchHealth) -> Response {
    match health.problem() {
        None => "ok\n".into_response(),
        Some(problem) => (StatusCode::SERVICE_UNAVAILABLE, format!("{problem}\n")).into_response(),
    }
}

async fn scrape(metrics: Metrics) -> Response {
    match metrics.encode() {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    #[test]
    fn every_address_means_those_of_ipv4_where_there_is_no_ipv6() {
        let no_ipv6 = |kind: ErrorKind| {
            move |address: SocketAddr| {
                if address.is_ipv6() { Err(Error::from(kind)) } else { Ok(address.to_string()) }
            }
        };
        let missing = no_ipv6(ErrorKind::Unsupported);
        assert_eq!(bind_by("[::]:8080".parse().unwrap(), missing).unwrap(), "0.0.0.0:8080");
        assert!(bind_by("[::1]:8080".parse().unwrap(), missing).is_err(), "one was asked for");
        let taken = no_ipv6(ErrorKind::AddrInUse);
        assert!(bind_by("[::]:8080".parse().unwrap(), taken).is_err(), "another process has it");
    }
}
