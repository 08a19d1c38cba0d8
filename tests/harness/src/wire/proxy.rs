//! One proxy: a port on which it listens, and the server behind it. Each connection has one of its own
//! to the server, so that what breaks on one side breaks on the other.

use std::{
    convert::Infallible,
    future::pending,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use futures::{StreamExt, stream};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response,
    body::{Bytes, Frame, Incoming},
    header::{ACCEPT_ENCODING, CONTENT_TYPE, RETRY_AFTER},
    http::{request, response},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Notify,
    task::JoinHandle,
};

use super::{
    classify::{Asked, Class, Server, Verb},
    flow::Flow,
    rules::{Stage, Verdict},
    shared::{Shared, runtime},
    upstream::{Sender, Upstream},
};

type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// A port, and the server behind it.
pub struct Proxy {
    server: Server,
    address: SocketAddr,
    /// Bound and never listening: keeps the port ours while connections to it are refused.
    _reserved: TcpSocket,
    upstream: Upstream,
    shared: Arc<Shared>,
    accepting: Mutex<Option<JoinHandle<()>>>,
    connections: Arc<Mutex<Vec<Weak<Connection>>>>,
}

impl Proxy {
    pub(super) fn start(server: Server, upstream: Upstream, shared: Arc<Shared>) -> Self {
        let reserved = socket(SocketAddr::from(([127, 0, 0, 1], 0)));
        let address = reserved.local_addr().expect("it is bound");
        let (accepting, connections) = Default::default();
        let proxy =
            Self { server, address, _reserved: reserved, upstream, shared, accepting, connections };
        proxy.accept_connections();
        proxy
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends all connections, and refuses new ones until `accept_connections`.
    pub async fn refuse_connections(&self) {
        let accepting = self.accepting().take();
        if let Some(accepting) = accepting {
            accepting.abort();
            // The port is closed once the task is gone.
            let _ = accepting.await;
        }
        self.cut_connections();
    }

    /// Accepts connections, as it does at first.
    pub fn accept_connections(&self) {
        let mut accepting = self.accepting();
        if accepting.is_some() {
            return;
        }
        let _entered = runtime().enter();
        let listener = socket(self.address).listen(1024).expect("the port is ours");
        let origin = Origin {
            server: self.server,
            upstream: self.upstream.clone(),
            shared: self.shared.clone(),
            connections: self.connections.clone(),
        };
        *accepting = Some(runtime().spawn(origin.accept(listener)));
    }

    /// Ends all connections with a reset. New ones are accepted.
    pub fn cut_connections(&self) {
        for connection in self.connections().drain(..) {
            if let Some(connection) = connection.upgrade() {
                connection.cut.notify_one();
            }
        }
    }

    fn accepting(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.accepting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connections(&self) -> MutexGuard<'_, Vec<Weak<Connection>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(accepting) = self.accepting().take() {
            accepting.abort();
        }
        self.cut_connections();
    }
}

fn socket(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket can be made");
    socket.set_reuseaddr(true).expect("a socket has this option");
    socket.bind(address).expect("the port is free, or ours");
    socket
}

/// What every connection is made with.
struct Origin {
    server: Server,
    upstream: Upstream,
    shared: Arc<Shared>,
    connections: Arc<Mutex<Vec<Weak<Connection>>>>,
}

impl Origin {
    async fn accept(self, listener: TcpListener) {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let connection = Arc::new(Connection {
                server: self.server,
                upstream: self.upstream.clone(),
                shared: self.shared.clone(),
                sender: tokio::sync::Mutex::default(),
                cut: Notify::new(),
            });
            let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
            connections.retain(|old| old.strong_count() > 0);
            connections.push(Arc::downgrade(&connection));
            tokio::spawn(connection.serve(stream));
        }
    }
}

/// One connection of the operator.
struct Connection {
    server: Server,
    upstream: Upstream,
    shared: Arc<Shared>,
    /// The connection to the server; requests of one connection follow each other.
    sender: tokio::sync::Mutex<Option<Sender>>,
    /// Ends it with a reset.
    cut: Notify,
}

impl Connection {
    async fn serve(self: Arc<Self>, stream: TcpStream) {
        // Without it small answers wait for an acknowledgement.
        let _ = stream.set_nodelay(true);
        let exchanges = self.clone();
        let service = service_fn(move |request| exchanges.clone().exchange(request));
        let mut served = http1::Builder::new()
            // What the server did not say, the operator must not hear.
            .auto_date_header(false)
            .header_read_timeout(None)
            .serve_connection(TokioIo::new(stream), service);
        tokio::select! {
            biased;
            () = self.cut.notified() => {
                let stream = served.into_parts().io.into_inner();
                // Without it the peer sees an orderly close.
                let _ = stream.set_zero_linger();
            }
            // The operator has left, or the server has broken off.
            _ = &mut served => {}
        }
    }

    /// One request and its answer. Dropped when the operator leaves: what has not been passed on by
    /// then never is.
    async fn exchange(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Infallible> {
        let (parts, body) = request.into_parts();
        let Ok(body) = body.collect().await else { return self.reset().await };
        let body = body.to_bytes();
        let class = self.classify(&parts, &body);
        let place = self.shared.log.begin(class.clone());
        match self.shared.rules.pass(&class, Stage::Before).await {
            Verdict::Pass => {}
            Verdict::Reset => return self.reset().await,
            Verdict::Answer(status, body) => {
                self.shared.log.answered(place, status);
                self.shared.log.delivered(place);
                return Ok(answer(status, &body));
            }
        }
        let Some(answer) = self.forward(parts, body, &class).await else {
            return self.reset().await;
        };
        self.shared.log.answered(place, answer.status().as_u16());
        match self.shared.rules.pass(&class, Stage::After).await {
            Verdict::Pass | Verdict::Answer(..) => {}
            Verdict::Reset => return self.reset().await,
        }
        self.shared.log.delivered(place);
        Ok(answer)
    }

    /// Resets the connection; its task drops this future.
    async fn reset(&self) -> Result<Response<Body>, Infallible> {
        self.cut.notify_one();
        pending().await
    }

    fn classify(&self, parts: &request::Parts, body: &Bytes) -> Class {
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        if self.server == Server::Cloud
            && let Some((_, value)) =
                header("authorization").and_then(|one| one.split_once("Signature="))
        {
            crate::records::signature(value);
        }
        let action = header("x-zc-action");
        let asked = Asked {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            action,
            body,
        };
        self.shared.memory().classify(self.server, asked)
    }

    /// Passes a request on. `None`: the server gave no whole answer.
    async fn forward(
        &self,
        mut parts: request::Parts,
        body: Bytes,
        class: &Class,
    ) -> Option<Response<Body>> {
        if class.server == Server::Kubernetes {
            // What answers show has to be readable.
            parts.headers.remove(ACCEPT_ENCODING);
        }
        let mut sender = self.sender.lock().await;
        let usable = match sender.as_mut() {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            *sender = Some(self.upstream.connect().await.ok()?);
        }
        let request = Request::from_parts(parts, Full::new(body));
        let answer = sender.as_mut()?.send_request(request).await.ok()?;
        let (parts, body) = answer.into_parts();
        match (class.server, class.verb) {
            (Server::Cloud, _) => Some(Response::from_parts(parts, as_it_comes(body))),
            (Server::Kubernetes, Verb::Watch) if parts.status.is_success() => {
                let flow = self.shared.flows.begin(class, &self.shared.rules);
                Some(Response::from_parts(parts, self.watch(body, flow)))
            }
            (Server::Kubernetes, _) => self.whole(parts, body, class).await,
        }
    }

    /// Learns from an answer before the operator can act on it.
    async fn whole(
        &self,
        parts: response::Parts,
        body: Incoming,
        class: &Class,
    ) -> Option<Response<Body>> {
        let body = body.collect().await.ok()?.to_bytes();
        if parts.status.is_success() {
            self.shared.memory().learn(&class.path, &body);
        }
        let body = Full::new(body).map_err(|never| match never {}).boxed_unsync();
        Some(Response::from_parts(parts, body))
    }

    /// Passes a watch on, piece by piece.
    fn watch(&self, body: Incoming, flow: Arc<Flow>) -> Body {
        let shared = self.shared.clone();
        let pieces = stream::unfold((body, Vec::new()), move |(mut body, mut line)| {
            let (shared, flow) = (shared.clone(), flow.clone());
            async move {
                let frame = body.frame().await;
                flow.stalled().await;
                let frame: Result<Frame<Bytes>, hyper::Error> = frame?;
                if let Some(bytes) = frame.as_ref().ok().and_then(Frame::data_ref) {
                    line.extend_from_slice(bytes);
                    while let Some(end) = line.iter().position(|byte| *byte == b'\n') {
                        let event: Vec<u8> = line.drain(..=end).collect();
                        shared.memory().learn_event(&flow.class.path, &event);
                    }
                }
                Some((frame, (body, line)))
            }
        });
        StreamBody::new(pieces.fuse()).boxed_unsync()
    }
}

/// Passes a body on with all that a fault of the simulator does to it.
fn as_it_comes(body: Incoming) -> Body {
    let pieces = stream::unfold(body, async |mut body| {
        let frame = body.frame().await?;
        if frame.is_err() {
            // What came before the end is written first.
            tokio::task::yield_now().await;
        }
        Some((frame, body))
    });
    StreamBody::new(pieces.fuse()).boxed_unsync()
}

/// An answer in the server's place.
fn answer(status: u16, body: &Value) -> Response<Body> {
    let bytes = Bytes::from(body.to_string());
    let mut answer = Response::builder().status(status).header(CONTENT_TYPE, "application/json");
    if status == 429 {
        answer = answer.header(RETRY_AFTER, "1");
    }
    let body = Full::new(bytes).map_err(|never| match never {}).boxed_unsync();
    answer.body(body).expect("the status of a fault is one of HTTP")
}
