//! The mutating call: at most one POST, whatever happens, and the class of what came back.

use std::time::Instant;

use reqwest::StatusCode;

use super::{
    Client,
    transport::{Arrived, builder, chain},
};
use crate::{Answer, Call, Credentials, Mutation, decode::Success, error::ErrorClass, request};

impl Client {
    pub(super) async fn write(&self, credentials: &Credentials, call: &Call) -> Answer {
        let Call { mutation, instance_id, signed_at, send_within } = call;
        let started = Instant::now();
        let not_sent = |cause| Answer::NotSent { cause };
        let body = request::mutation(mutation, instance_id).to_string().into_bytes();
        let headers = self.headers(credentials, mutation.action(), &body, *signed_at);
        let (headers, authorization) = match headers {
            Ok(headers) => headers,
            Err(cause) => return not_sent(cause),
        };
        // A client of its own: no pool, so hyper has no dead connection on which it would repeat
        // the request, and HTTP/1.1, so no GOAWAY does. Half of the window is for making it (reading
        // the system's certificates takes time), the other half for connecting.
        let half = *send_within / 2;
        let client = builder(&self.options)
            .connect_timeout(self.options.connect_timeout.min(half))
            .pool_max_idle_per_host(0)
            .http1_only()
            .build();
        let client = match client {
            Ok(client) => client,
            Err(error) => return not_sent(chain(error)),
        };
        if started.elapsed() >= half {
            return not_sent("the window in which it may be sent has passed".to_owned());
        }
        let request = client.post(self.endpoint.url().clone()).headers(headers).body(body);
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() || error.is_builder() => {
                return not_sent(chain(error));
            }
            Err(error) => return Answer::Unknown { cause: chain(error) },
        };
        let arrived = Arrived::read(response, self.options.body_limit, &authorization).await;
        if arrived.status == StatusCode::TOO_MANY_REQUESTS {
            self.throttled(credentials, arrived.retry_after);
        }
        classified(mutation, &arrived)
    }
}

/// The class of an answer to a write, as [`Answer`] defines it.
fn classified(mutation: &Mutation, arrived: &Arrived) -> Answer {
    if arrived.status == StatusCode::OK {
        return accepted(mutation, arrived)
            .unwrap_or_else(|cause| Answer::Unknown { cause: format!("HTTP 200, but {cause}") });
    }
    let error = arrived.api_error();
    // A code that tells of trouble inside the service proves no refusal, whatever its status.
    let by_code = arrived.status.is_client_error()
        && error.code.is_some()
        && error.class() != ErrorClass::Transient;
    let by_edge = matches!(error.status, 403 | 429 | 451);
    if by_code || by_edge {
        return Answer::Refused(error);
    }
    Answer::Unknown { cause: error.to_string() }
}

fn accepted(mutation: &Mutation, arrived: &Arrived) -> Result<Answer, String> {
    let body = arrived.body.as_ref().map_err(ToString::to_string)?;
    let success = Success::parse(body).map_err(|error| error.to_string())?;
    let order_number = match mutation {
        Mutation::Modify { .. } => success.order_number(),
        Mutation::CancelDowngrade | Mutation::Start | Mutation::Stop | Mutation::Reboot => None,
    };
    Ok(Answer::Accepted { order_number, request_id: success.request_id })
}
