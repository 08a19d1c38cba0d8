//! The simulator's parser of requests: header lines, an empty line, a body. `Bearer t` is a valid
//! credential, so that the parameters behind it are reached. No panic.

#![no_main]

use std::sync::LazyLock;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use zenlayer_sim::{
    config::Config,
    http::{Arrival, Service},
};

const SIMULATION: &str = "
credentials:
  - { token: t }
  - { accessKeyId: AKIDSIM0000000000001, accessKeyPassword: simSecretKeyPassword0001 }
instances:
  - { id: vm-1, type: c.1c2g, chargeType: POSTPAID }
  - { id: vm-2, type: c.2c4g, chargeType: PREPAID, expiresIn: 20d }
  - { id: vm-3, type: c.2c4g, chargeType: PREPAID, expiresIn: 20d, state: STOPPED }
";

static CONFIG: LazyLock<Config> =
    LazyLock::new(|| serde_saphyr::from_str(SIMULATION).expect("a simulation"));

/// The moment of signature vector V1, so that a signed seed can be valid.
const NOW: i64 = 1_767_225_600;

fuzz_target!(|bytes: &[u8]| {
    let now = Timestamp::from_second(NOW).expect("a time");
    let mut service = Service::start(&CONFIG.settings(), now, None, |now| CONFIG.world(now));
    // Twice, so that a call also meets what the same call has done.
    for _ in 0..2 {
        let (headers, body) = parts(bytes);
        let arrival = Arrival::new(headers, body.to_vec());
        let play = service.arrive(&arrival);
        let decided = service.decide(now, &arrival, &play);
        assert!(!decided.draft.body.is_empty());
    }
});

/// What an HTTP parser would hand over; lines that it would refuse are passed over.
fn parts(bytes: &[u8]) -> (HeaderMap, &[u8]) {
    let end = bytes.windows(2).position(|window| window == b"\n\n");
    let (head, body) = match end {
        Some(end) => (&bytes[..end], &bytes[end + 2..]),
        None => (bytes, &[][..]),
    };
    let mut headers = HeaderMap::new();
    for line in head.split(|byte| *byte == b'\n').take(100) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let value = line[colon + 1..].trim_ascii();
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(value))
        {
            headers.append(name, value);
        }
    }
    (headers, body)
}
