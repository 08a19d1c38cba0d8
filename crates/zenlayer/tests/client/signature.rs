//! The seven vectors of official clients, through the client's code and, apart from it, through the
//! simulator's.

use serde::Deserialize;
use zenlayer::Signed;
use zenlayer_sim::signature::Authorization;

#[derive(Clone, Deserialize)]
struct Vector {
    name: String,
    secret: String,
    timestamp: i64,
    host: String,
    content_type: String,
    body: String,
    payload_sha256: String,
    canonical_request_sha256: String,
    signature: String,
}

#[derive(Deserialize)]
struct File {
    vectors: Vec<Vector>,
}

fn vectors() -> Vec<Vector> {
    let file: File = serde_json::from_str(include_str!("signature-vectors.json")).unwrap();
    assert_eq!(file.vectors.len(), 7);
    file.vectors
}

impl Vector {
    /// Whether the simulator takes `header` for a request of these parts.
    fn verifies(&self, header: &str) -> bool {
        let value = |name: &str| match name {
            "host" => Some(self.host.as_bytes().into()),
            "content-type" => Some(self.content_type.as_bytes().into()),
            _ => None,
        };
        Authorization::parse(header).is_some_and(|authorization| {
            let stamp = self.timestamp.to_string();
            authorization.verifies(&self.secret, &stamp, self.body.as_bytes(), value)
        })
    }

    fn header(&self, signature: &str) -> String {
        format!(
            "ZC2-HMAC-SHA256 Credential=AKIDSIM0000000000001, SignedHeaders=content-type;host, \
             Signature={signature}"
        )
    }
}

#[test]
fn the_client_computes_every_vector() {
    for vector in vectors() {
        let Vector { name, secret, timestamp, host, content_type, body, .. } = &vector;
        let signed = Signed { timestamp: *timestamp, host, content_type, body: body.as_bytes() };
        assert_eq!(signed.payload_hash(), vector.payload_sha256, "{name}");
        assert_eq!(signed.canonical_request_hash(), vector.canonical_request_sha256, "{name}");
        assert_eq!(signed.signature(secret), vector.signature, "{name}");
        let header = signed.authorization("AKIDSIM0000000000001", secret);
        assert_eq!(header, vector.header(&vector.signature), "{name}");
    }
}

#[test]
fn the_simulator_verifies_every_vector() {
    for vector in vectors() {
        assert!(vector.verifies(&vector.header(&vector.signature)), "{}", vector.name);
    }
}

/// One byte of `text` is another one; digits stay digits, so that a number stays a number.
fn changed(text: &str, at: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = match bytes[at] {
        b'0' => b'1',
        digit if digit.is_ascii_digit() => b'0',
        b'x' => b'y',
        _ => b'x',
    };
    String::from_utf8(bytes).unwrap()
}

#[test]
fn the_simulator_refuses_each_input_changed_by_one_byte() {
    let mut cases = 0;
    for vector in vectors() {
        let header = vector.header(&vector.signature);
        let last = vector.body.len() - 1;
        let stamp = vector.timestamp.to_string();
        let with = |change: &dyn Fn(&mut Vector)| {
            let mut other = vector.clone();
            change(&mut other);
            other
        };
        let changes = [
            ("secret", with(&|it| it.secret = changed(&it.secret, 0)), header.clone()),
            (
                "timestamp",
                with(&|it| it.timestamp = changed(&stamp, 9).parse().unwrap()),
                header.clone(),
            ),
            ("host", with(&|it| it.host = changed(&it.host, 2)), header.clone()),
            (
                "content type",
                with(&|it| it.content_type = changed(&it.content_type, 1)),
                header.clone(),
            ),
            ("first byte of the body", with(&|it| it.body = changed(&it.body, 0)), header.clone()),
            (
                "last byte of the body",
                with(&|it| it.body = changed(&it.body, last)),
                header.clone(),
            ),
            ("a byte after the body", with(&|it| it.body.push(' ')), header.clone()),
            ("signature", vector.clone(), vector.header(&changed(&vector.signature, 63))),
            (
                "signature in capitals",
                vector.clone(),
                vector.header(&vector.signature.to_uppercase()),
            ),
            (
                "signed headers",
                vector.clone(),
                header.replace("content-type;host", "host;content-type"),
            ),
            (
                "host not signed",
                vector.clone(),
                header.replace("content-type;host", "content-type"),
            ),
            ("scheme", vector.clone(), header.replace("ZC2-HMAC", "ZC1-HMAC")),
        ];
        for (what, other, header) in changes {
            assert!(!other.verifies(&header), "{}: {what}", vector.name);
            cases += 1;
        }
    }
    assert_eq!(cases, 7 * 12);
}

/// What the client makes, the simulator takes, also for bodies that no vector has.
#[test]
fn client_and_simulator_agree_on_other_inputs() {
    for (name, host, body) in [
        ("empty body", "console.zenlayer.com", ""),
        ("text beyond ASCII", "[::1]:8080", "{\"instanceName\":\"测试\"}"),
        ("line ends in the body", "localhost", "{\r\n\n}"),
    ] {
        let (secret, content_type) = ("secret", "application/json");
        let signed = Signed { timestamp: 1, host, content_type, body: body.as_bytes() };
        let vector = Vector {
            secret: secret.into(),
            timestamp: 1,
            host: host.into(),
            content_type: content_type.into(),
            body: body.into(),
            ..vectors().remove(0)
        };
        assert!(vector.verifies(&signed.authorization("id", secret)), "{name}");
    }
}
