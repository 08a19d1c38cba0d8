//! Requests as bytes, signed here by hand: nothing of the client that is tested elsewhere, and
//! nothing of the simulator.

use std::{io, net::SocketAddr, time::Duration};

use aws_lc_rs::{digest, hmac};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

use harness::simulator::{KEY_ID, KEY_PASSWORD};

/// Longer than anything that a test waits for.
const LIMIT: Duration = Duration::from_secs(20);

/// A request to the API. What isn't set is as the official clients send it.
#[derive(Clone)]
pub struct Request {
    pub line: String,
    pub host: String,
    pub content_type: String,
    pub action: String,
    pub version: Option<String>,
    pub body: Vec<u8>,
    pub timestamp: i64,
    pub key_id: String,
    pub secret: String,
    /// The Authorization header in place of a signature.
    pub authorization: Option<String>,
    pub signed: Vec<&'static str>,
    pub extra: Vec<(String, String)>,
    pub upper_case_names: bool,
    /// The connection stays open after the answer.
    pub keep_alive: bool,
}

impl Request {
    pub fn new(action: &str, body: impl Into<Vec<u8>>, timestamp: i64) -> Self {
        Self {
            line: "POST /api/v2/vm HTTP/1.1".to_owned(),
            host: "127.0.0.1:18980".to_owned(),
            content_type: "application/json".to_owned(),
            action: action.to_owned(),
            version: Some("2026-04-01".to_owned()),
            body: body.into(),
            timestamp,
            key_id: KEY_ID.to_owned(),
            secret: KEY_PASSWORD.to_owned(),
            authorization: None,
            signed: vec!["content-type", "host"],
            extra: Vec::new(),
            upper_case_names: false,
            keep_alive: false,
        }
    }

    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// With a token in place of a signature.
    pub fn bearer(self, token: &str) -> Self {
        self.with(|one| one.authorization = Some(format!("Bearer {token}")))
    }

    pub fn header(self, name: &str, value: &str) -> Self {
        self.with(|one| one.extra.push((name.to_owned(), value.to_owned())))
    }

    fn signature(&self) -> String {
        let mut names = self.signed.clone();
        names.sort_unstable();
        let mut canonical = String::from("POST\n/\n\n");
        for name in names {
            let extra = self.extra.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
            let value = match name {
                "content-type" => self.content_type.as_str(),
                "host" => self.host.as_str(),
                "x-zc-action" => self.action.as_str(),
                _ => extra.map_or("", |(_, value)| value.as_str()),
            };
            canonical.push_str(&format!("{name}:{value}\n"));
        }
        canonical.push_str(&format!("\n{}\n{}", self.signed.join(";"), sha256(&self.body)));
        let message =
            format!("ZC2-HMAC-SHA256\n{}\n{}", self.timestamp, sha256(canonical.as_bytes()));
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.secret.as_bytes());
        hex(hmac::sign(&key, message.as_bytes()).as_ref())
    }

    /// The Authorization header of a signature.
    pub fn signed_authorization(&self) -> String {
        let (key, list, signature) = (&self.key_id, self.signed.join(";"), self.signature());
        format!("ZC2-HMAC-SHA256 Credential={key}, SignedHeaders={list}, Signature={signature}")
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut headers = vec![
            ("host".to_owned(), self.host.clone()),
            ("content-type".to_owned(), self.content_type.clone()),
            ("x-zc-action".to_owned(), self.action.clone()),
            ("content-length".to_owned(), self.body.len().to_string()),
        ];
        if !self.keep_alive {
            headers.push(("connection".to_owned(), "close".to_owned()));
        }
        headers.extend(self.version.iter().map(|it| ("x-zc-version".to_owned(), it.clone())));
        let authorization = match &self.authorization {
            Some(given) => given.clone(),
            None => {
                headers.push(("x-zc-timestamp".to_owned(), self.timestamp.to_string()));
                let method = "ZC2-HMAC-SHA256".to_owned();
                headers.push(("x-zc-signature-method".to_owned(), method));
                self.signed_authorization()
            }
        };
        if !authorization.is_empty() {
            headers.push(("authorization".to_owned(), authorization));
        }
        headers.extend(self.extra.iter().cloned());
        let mut text = format!("{}\r\n", self.line);
        for (name, value) in headers {
            let name = if self.upper_case_names { name.to_uppercase() } else { name };
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        [text.as_bytes(), b"\r\n", &self.body].concat()
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An answer as bytes.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head ends");
        let head = String::from_utf8(bytes[..end].to_vec()).expect("a head is text");
        let status = head.split(' ').nth(1).and_then(|text| text.parse().ok());
        let body = bytes[end + 4..].to_vec();
        Self { status: status.expect("an answer has a status"), head, body }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// As it travelled.
    pub fn bytes(&self) -> Vec<u8> {
        [self.head.as_bytes(), b"\r\n\r\n", &self.body].concat()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.head, self.text()))
    }

    /// `200 OK`, or the status and the code of a refusal.
    pub fn verdict(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let code = if body["response"].is_object() { "OK" } else { "no code" };
        format!("{} {}", self.status, body["code"].as_str().unwrap_or(code))
    }
}

/// Writes a request and reads until the simulator ends the connection.
pub async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &[u8],
) -> io::Result<Answer> {
    let answered = async {
        stream.write_all(request).await?;
        let mut bytes = Vec::new();
        let ended = stream.read_to_end(&mut bytes).await;
        match ended {
            Ok(_) if bytes.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(Answer::parse(&bytes)),
            // What came before the end of the connection counts.
            Err(_) if !bytes.is_empty() => Ok(Answer::parse(&bytes)),
            Err(error) => Err(error),
        }
    };
    tokio::time::timeout(LIMIT, answered).await.expect("the simulator answers")
}

pub async fn send(address: SocketAddr, request: &[u8]) -> io::Result<Answer> {
    exchange(TcpStream::connect(address).await?, request).await
}
