//! Listeners and connections. A listener can be closed for a while and opens again on its port.

use std::{convert::Infallible, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use hyper::{Request, Response, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::Instant,
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::{
    api::{self, Dropped},
    control, service,
    shared::Shared,
    wire::{End, Wire},
};

/// Why the simulator cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: choose another address with {flag}; port 0 picks a free port")]
pub struct ListenError {
    flag: &'static str,
    address: SocketAddr,
    source: std::io::Error,
}

/// Opens a port; `flag` is where its address came from.
pub async fn bind(flag: &'static str, address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|source| ListenError { flag, address, source })
}

/// A connection that doesn't start within this time is closed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Serves for ever; with an acceptor, over TLS.
pub async fn serve(
    mut listener: TcpListener,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
) -> std::io::Result<()> {
    let address = listener.local_addr()?;
    let router = control::router(shared.clone());
    let mut closed = shared.closed_until.subscribe();
    shared.listeners.send_modify(|all| all.open += 1);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let peer = Peer { router: router.clone(), shared: shared.clone() };
                    tokio::spawn(connection(stream, tls.clone(), peer));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            // The sender lives as long as `shared`.
            _ = closed.changed() => {
                drop(listener);
                shared.listeners.send_modify(|all| (all.open, all.closings) = (all.open - 1, all.closings + 1));
                let until = *closed.borrow_and_update();
                tokio::time::sleep_until(until.unwrap_or_else(Instant::now)).await;
                listener = reopen(address).await;
                shared.listeners.send_modify(|all| all.open += 1);
            }
        }
    }
}

/// Opens a port again, however long another program holds it.
async fn reopen(address: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) => {
                tracing::warn!(%error, %address, "cannot listen again");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// What a connection is served with.
#[derive(Clone)]
struct Peer {
    router: Router,
    shared: Arc<Shared>,
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, peer: Peer) {
    // Answers are small: without it they wait for the peer's acknowledgements.
    let _ = stream.set_nodelay(true);
    let end = End::default();
    let wire = Wire::new(stream, end.clone());
    let Some(tls) = tls else { return speak(wire, end, peer).await };
    match tokio::time::timeout(PATIENCE, tls.accept(wire)).await {
        Ok(Ok(stream)) => speak(stream, end, peer).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

async fn speak<S: AsyncRead + AsyncWrite + Unpin>(stream: S, end: End, peer: Peer) {
    let mut closed = peer.shared.closed_until.subscribe();
    let service = service_fn(|request| respond(request, peer.clone(), end.clone()));
    let mut connection = pin!(
        http1::Builder::new()
            // The Date header is the service's clock, not this machine's.
            .auto_date_header(false)
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .serve_connection(TokioIo::new(stream), service)
    );
    let served = loop {
        tokio::select! {
            served = connection.as_mut() => break served,
            // What is being answered is finished first.
            _ = closed.changed() => connection.as_mut().graceful_shutdown(),
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended");
    }
}

async fn respond(
    request: Request<Incoming>,
    peer: Peer,
    end: End,
) -> Result<Response<Body>, Dropped> {
    let Peer { router, shared } = peer;
    let path = request.uri().path();
    if path != "/control" && !path.starts_with("/control/") {
        // In a task of its own: what a call does happens also when the client goes away.
        let answered = tokio::spawn(async move { api::call(request, &shared, &end).await });
        return answered.await.unwrap_or(Err(Dropped));
    }
    let answered: Result<_, Infallible> = router.oneshot(request.map(Body::new)).await;
    let mut response = answered.unwrap_or_else(|never| match never {});
    let now = shared.lock().clock.now(Timestamp::now());
    response.headers_mut().insert(header::DATE, service::imf_fixdate(now));
    Ok(response)
}
