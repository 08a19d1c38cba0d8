//! A server of raw TCP that plays what no HTTP server would, and counts what reaches it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
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
    requests: Vec<Captured>,
}

pub struct RawServer {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
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
        let record = seen.clone();
        let accepting = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                record.lock().unwrap().connections += 1;
                tokio::spawn(serve(stream, play.clone(), record.clone()));
            }
        });
        Ok(Self { address, seen, accepting })
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

    pub fn requests(&self) -> Vec<Captured> {
        self.seen.lock().unwrap().requests.clone()
    }
}

async fn serve(mut stream: TcpStream, play: impl Fn() -> Play, seen: Arc<Mutex<Seen>>) {
    let mut buffer = Vec::new();
    loop {
        // What is done without reading has to be known before; the rest once a request came.
        let mut probe = [0; 1];
        if stream.peek(&mut probe).await.is_ok_and(|read| read == 0) {
            return;
        }
        let play = play();
        match play {
            Play::ResetUnread => return reset(stream),
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
            Play::Close => return,
            Play::Reset => return reset(stream),
            Play::Silence | Play::ResetUnread | Play::Deaf => {
                return std::future::pending().await;
            }
        }
    }
}

fn reset(stream: TcpStream) {
    stream.set_zero_linger().expect("a socket takes the option");
}

async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Captured> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
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
