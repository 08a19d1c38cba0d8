//! A server of raw TCP that plays what no HTTP server would, and counts what reaches it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// What the server does with one request.
#[derive(Debug, Clone)]
pub enum Play {
    /// These bytes; the connection stays open.
    Answer(Vec<u8>),
    /// These bytes, then the connection is closed.
    AnswerAndClose(Vec<u8>),
    /// 401 with the request's own Authorization header in its text, as a careless proxy answers.
    Echo,
    /// Reads the request and closes without an answer.
    Close,
    /// Reads the request and resets the connection.
    Reset,
    /// Resets the connection before it reads anything.
    ResetUnread,
    /// Resets the connection once the head of the request is there.
    ResetAtHead,
    /// Reads the request, writes these bytes and resets the connection.
    AnswerAndReset(Vec<u8>),
    /// Reads the request and says nothing, for ever.
    Silence,
    /// Accepts, and neither reads nor writes.
    Deaf,
}

/// A whole answer in JSON.
pub fn json(status: u16, body: &str) -> Play {
    http(status, &[("content-type", "application/json; charset=utf-8")], body)
}

pub fn http(status: u16, headers: &[(&str, &str)], body: &str) -> Play {
    Play::Answer(bytes(status, headers, body, body.len()))
}

/// An answer whose `content-length` is not necessarily that of its body.
pub fn bytes(status: u16, headers: &[(&str, &str)], body: &str, length: usize) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} Status\r\ncontent-length: {length}\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("\r\n{body}"));
    text.into_bytes()
}

/// The two-level envelope around the members of a response object.
pub fn envelope(members: &str) -> String {
    let comma = if members.is_empty() { "" } else { "," };
    format!(r#"{{"requestId":"T1","response":{{"requestId":"T1"{comma}{members}}}}}"#)
}

/// The flat object of a refusal.
pub fn refusal(code: &str) -> String {
    format!(r#"{{"requestId":"T2","code":"{code}","message":"because"}}"#)
}

/// A request as it arrived.
#[derive(Debug, Clone, PartialEq)]
pub struct Captured {
    pub line: String,
    /// Names in lower case, values as they came.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Captured {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(key, _)| key == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} came twice");
        value
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a request is JSON")
    }
}

#[derive(Debug, Default)]
struct Seen {
    connections: usize,
    /// The connection of each request of which at least one byte came.
    arrivals: Vec<usize>,
    /// Those that came whole.
    requests: Vec<Captured>,
}

pub struct RawServer {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    resets: Arc<watch::Sender<()>>,
    accepting: JoinHandle<()>,
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl RawServer {
    /// Plays one after the other, one for each request; the last one again and again.
    pub async fn start(plays: Vec<Play>) -> Self {
        Self::start_at("127.0.0.1:0", plays).await.expect("loopback has a free port")
    }

    pub async fn start_at(address: &str, plays: Vec<Play>) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let next = Arc::new(Mutex::new(plays.into_iter().peekable()));
        let play = move || {
            let mut plays = next.lock().unwrap();
            let play = plays.next().expect("a server has a play");
            if plays.peek().is_none() {
                *plays = vec![play.clone()].into_iter().peekable();
            }
            play
        };
        let (record, resets) = (seen.clone(), Arc::new(watch::Sender::new(())));
        let reset = resets.clone();
        let accepting = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let number = {
                    let mut seen = record.lock().unwrap();
                    seen.connections += 1;
                    seen.connections
                };
                let connection = Connection { stream, number, reset: reset.subscribe() };
                tokio::spawn(serve(connection, play.clone(), record.clone()));
            }
        });
        Ok(Self { address, seen, resets, accepting })
    }

    /// Resets every connection on which no request is being answered.
    pub fn reset_idle(&self) {
        self.resets.send_replace(());
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    /// The number of the connection of each request of which at least one byte came.
    pub fn arrivals(&self) -> Vec<usize> {
        self.seen.lock().unwrap().arrivals.clone()
    }

    pub fn requests(&self) -> Vec<Captured> {
        self.seen.lock().unwrap().requests.clone()
    }
}

/// One connection, counted from 1.
struct Connection {
    stream: TcpStream,
    number: usize,
    reset: watch::Receiver<()>,
}

async fn serve(connection: Connection, play: impl Fn() -> Play, seen: Arc<Mutex<Seen>>) {
    let Connection { mut stream, number, reset: mut told } = connection;
    let mut buffer = Vec::new();
    loop {
        // What is done without reading has to be known before; the rest once a request came.
        let mut probe = [0; 1];
        tokio::select! {
            read = stream.peek(&mut probe) => {
                if !read.is_ok_and(|read| read > 0) {
                    return;
                }
            }
            _ = told.changed() => return reset(stream),
        }
        seen.lock().unwrap().arrivals.push(number);
        let play = play();
        match play {
            Play::ResetUnread => return reset(stream),
            Play::ResetAtHead => {
                head(&mut stream, &mut buffer).await;
                return reset(stream);
            }
            Play::Deaf => return std::future::pending().await,
            _ => {}
        }
        let Some(request) = request(&mut stream, &mut buffer).await else { return };
        let authorization = request.header("authorization").unwrap_or_default().to_owned();
        seen.lock().unwrap().requests.push(request);
        match play {
            Play::Echo => {
                let body = format!(r#"{{"code":"NO","message":"refused: {authorization}"}}"#);
                let _ = stream.write_all(&bytes(401, &[], &body, body.len())).await;
            }
            Play::Answer(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Play::AnswerAndClose(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                return;
            }
            Play::AnswerAndReset(bytes) => {
                let _ = stream.write_all(&bytes).await;
                return reset(stream);
            }
            Play::Close => return,
            Play::Reset => return reset(stream),
            Play::Silence | Play::ResetUnread | Play::ResetAtHead | Play::Deaf => {
                return std::future::pending().await;
            }
        }
    }
}

fn reset(stream: TcpStream) {
    stream.set_zero_linger().expect("a socket takes the option");
}

/// Reads up to the end of a head, and says where in the buffer that is.
async fn head(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<usize> {
    loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            return Some(at);
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Captured> {
    let end = head(stream, buffer).await?;
    let head = String::from_utf8(buffer[..end].to_vec()).expect("a head is text");
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap_or_default().to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.map_or(0, |(_, value)| value.parse().expect("a length"));
    while buffer.len() < end + 4 + length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    let body = buffer[end + 4..end + 4 + length].to_vec();
    buffer.drain(..end + 4 + length);
    Some(Captured { line, headers, body })
}
