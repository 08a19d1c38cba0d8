//! The mutating call: at most one POST, whatever happens, and the class of what came back.

use std::time::{Duration, Instant};

use reqwest::StatusCode;

use super::{
    Client,
    http::WRITES_CONNECT_WITHIN,
    transport::{Arrived, chain, of_writes},
};
use crate::{
    Answer, Call, Credentials, Ended, Mutation, decode::Success, error::ErrorClass, request,
};

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
        let client = match self.connects_within(*send_within, started) {
            Ok(client) => client,
            Err(cause) => return not_sent(cause),
        };
        let request = client.post(self.endpoint.url().clone()).headers(headers).body(body);
        let begun = Instant::now();
        let observe = |ended: Ended<'_>| self.observe(mutation.action(), ended, begun.elapsed());
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                observe(Ended::NoAnswer);
                if error.is_connect() || error.is_builder() {
                    return not_sent(chain(error));
                }
                return Answer::Unknown { cause: chain(error) };
            }
        };
        let arrived = Arrived::read(response, self.options.body_limit, &authorization).await;
        if arrived.status == StatusCode::TOO_MANY_REQUESTS {
            self.throttled(credentials, arrived.retry_after);
        }
        let answer = classified(mutation, &arrived);
        match &answer {
            Answer::Accepted { .. } => observe(Ended::Answered),
            _ if arrived.status != StatusCode::OK => observe(Ended::Failed(&arrived.api_error())),
            _ if arrived.body.is_err() => observe(Ended::NoAnswer),
            _ => observe(Ended::NotUnderstood),
        }
        answer
    }

    /// A client that stops connecting before the window ends. Where little is left, it is made for that: one
    /// half is for making it (reading the system's certificates takes time), the other for connecting.
    fn connects_within(
        &self,
        window: Duration,
        started: Instant,
    ) -> Result<reqwest::Client, String> {
        if window >= WRITES_CONNECT_WITHIN.min(self.options.connect_timeout) {
            return Ok(self.writes.clone());
        }
        let half = window / 2;
        let client = of_writes(&self.options, half).map_err(chain)?;
        if started.elapsed() >= half {
            return Err("the window in which it may be sent has passed".to_owned());
        }
        Ok(client)
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
