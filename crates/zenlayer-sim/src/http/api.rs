//! The provider's API: from an HTTP request to an HTTP answer.

use std::{io, io::Write, time::Duration};

use axum::body::{Body, Bytes};
use flate2::{Compression, write::GzEncoder};
use futures::{StreamExt, stream};
use http_body_util::BodyExt;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderValue},
};

use super::{
    actions::API_PATH,
    fault::{FaultKind, Play, Step},
    service::{Arrival, Decided},
    settings::Refusal,
    shared::Shared,
    wire::End,
};

/// Largest request body. The provider's limit is unknown; its one related number is 32 KB.
const BODY_LIMIT: usize = 1 << 20;
/// A body that is too large is read up to here, or the client would see a reset in place of the
/// refusal.
const READ_LIMIT: usize = 64 << 20;

/// The connection is ended without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is ended without an answer")]
pub struct Dropped;

/// One call.
pub async fn call(
    request: Request<Incoming>,
    shared: &Shared,
    end: &End,
) -> Result<Response<Body>, Dropped> {
    let (parts, body) = request.into_parts();
    let zipped = shared.settings.transport.gzip && accepts_gzip(&parts.headers);
    let body = collected(body).await?;
    if parts.method != Method::POST {
        let message = format!("only POST {API_PATH} is a call; GET /control lists the control API");
        return refuse(&shared.settings.transport.wrong_method, message, zipped, shared, end).await;
    }
    let Some(body) = body else {
        let message = format!("the body is larger than {BODY_LIMIT} bytes");
        return refuse(&shared.settings.transport.body_too_large, message, zipped, shared, end)
            .await;
    };
    let arrival = Arrival::new(parts.headers, body).posted_to(parts.uri.path());
    let play = shared.arrive(&arrival);
    if let Some(lateness) = play.lateness() {
        shared.sleep(lateness).await;
    }
    let decided = shared.decide(&arrival, &play);
    shared.saved(decided.generation).await;
    deliver(decided, &play, zipped, shared, end).await
}

/// Answers what is no call: neither rules nor the log know of it.
async fn refuse(
    refusal: &Refusal,
    message: String,
    zipped: bool,
    shared: &Shared,
    end: &End,
) -> Result<Response<Body>, Dropped> {
    deliver(shared.refuse(refusal, message), &Play::default(), zipped, shared, end).await
}

/// The whole body, or nothing if it is too large.
async fn collected(mut body: Incoming) -> Result<Option<Vec<u8>>, Dropped> {
    let (mut kept, mut length) = (Vec::new(), 0_usize);
    while length <= READ_LIMIT
        && let Some(frame) = body.frame().await
    {
        // A client that breaks off its request reads no answer.
        let data = frame.map_err(|_| Dropped)?.into_data().unwrap_or_default();
        length += data.len();
        if length <= BODY_LIMIT {
            kept.extend_from_slice(&data);
        }
    }
    Ok((length <= BODY_LIMIT).then_some(kept))
}

/// Sends a decision back, with the faults of the way.
async fn deliver(
    decided: Decided,
    play: &Play,
    zipped: bool,
    shared: &Shared,
    end: &End,
) -> Result<Response<Body>, Dropped> {
    let fault = play.at(Step::Delivery);
    match fault {
        Some(FaultKind::DropBefore {} | FaultKind::DropAfter {}) => {
            end.reset();
            return Err(Dropped);
        }
        Some(FaultKind::RefuseConnections { seconds }) => {
            shared.refuse_connections(real(*seconds)).await;
            end.reset();
            return Err(Dropped);
        }
        Some(FaultKind::DelayAnswer { seconds }) => tokio::time::sleep(real(*seconds)).await,
        _ => {}
    }
    let Decided { draft, date, generation: _ } = decided;
    let mut bytes = draft.body.into_bytes();
    let mut response = Response::new(Body::empty());
    *response.status_mut() =
        StatusCode::from_u16(draft.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.extend(draft.headers);
    if let Ok(value) = HeaderValue::from_str(&draft.content_type) {
        headers.insert(header::CONTENT_TYPE, value);
    }
    if let Some(date) = date {
        headers.insert(header::DATE, date);
    }
    // Spaces behind a compressed body would be no part of it.
    let zipped = zipped && !matches!(fault, Some(FaultKind::OverlongBody { .. }));
    if zipped && let Ok(smaller) = gzip(&bytes) {
        bytes = smaller;
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    let (length, body) = travelling(bytes, fault);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    *response.body_mut() = body;
    Ok(response)
}

/// The length that the header promises, and the body as a fault of the way leaves it.
fn travelling(bytes: Vec<u8>, fault: Option<&FaultKind>) -> (usize, Body) {
    let length = bytes.len();
    match fault {
        Some(FaultKind::TruncatedBody { bytes: kept }) => {
            let kept = bytes.into_iter().take(*kept).collect::<Vec<u8>>();
            (length, truncated(kept))
        }
        Some(FaultKind::OverlongBody { bytes: wanted }) => {
            let spaces = wanted.saturating_sub(length);
            (length + spaces, Body::from_stream(padded(bytes, spaces)))
        }
        Some(FaultKind::SlowBody { seconds }) => (length, slow(&bytes, real(*seconds))),
        _ => (length, Body::from(bytes)),
    }
}

/// Sends what is kept, and ends the connection short of the promised length.
fn truncated(kept: Vec<u8>) -> Body {
    let kept = stream::iter([Ok(Bytes::from(kept))]);
    let cut = stream::once(async {
        // What was written reaches the peer before the connection ends.
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(io::Error::other(Dropped))
    });
    Body::from_stream(kept.chain(cut))
}

fn padded(bytes: Vec<u8>, spaces: usize) -> impl futures::Stream<Item = io::Result<Bytes>> {
    const PIECE: usize = 64 * 1024;
    let blank = Bytes::from_static(&[b' '; PIECE]);
    let padding = stream::unfold(spaces, move |left| {
        let piece = blank.slice(..left.min(PIECE));
        std::future::ready((left > 0).then(|| (Ok(piece), left.saturating_sub(PIECE))))
    });
    stream::iter([Ok(Bytes::from(bytes))]).chain(padding)
}

/// The body in twenty pieces, the pauses between which add up to `length`.
fn slow(bytes: &[u8], length: Duration) -> Body {
    const PIECES: usize = 20;
    let size = bytes.len().div_ceil(PIECES).max(1);
    let pieces: Vec<Bytes> = bytes.chunks(size).map(Bytes::copy_from_slice).collect();
    let pause = length / u32::try_from(pieces.len().max(1)).unwrap_or(1);
    Body::from_stream(stream::iter(pieces).then(move |piece| async move {
        tokio::time::sleep(pause).await;
        Ok::<_, io::Error>(piece)
    }))
}

/// Checked to be finite when the rule was read.
fn real(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// Whether Accept-Encoding names gzip, or everything, without a weight of 0.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(header::ACCEPT_ENCODING).into_iter();
    let mut entries = lists.filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(','));
    entries.any(|entry| {
        let (name, weight) = entry.split_once(';').unwrap_or((entry, ""));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
        matches!(name.trim(), "gzip" | "*") && weight.is_none_or(|weight| weight > 0.0)
    })
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}
