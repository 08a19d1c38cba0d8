//! Terminal refusals: how one is made of an error, and for how long it stands.

use jiff::Timestamp;

use super::{
    Change, Decision, Desired, Refusal, RefusedCall, SecretState, Severity, Situation,
    facts::Facts,
    memory::Memory,
    time::{after, whole_seconds},
};
use crate::api::{ChangeKind, Reason, remedy};
use zenlayer::{
    ApiError, InstanceTypeId, ReadError,
    error::{ErrorClass, Problem},
};

/// What happens next after a code that has no row in the table.
const SLOWLY: &str = "this version does not know the code, and tries again every 30 minutes; to try \
                      now, change the spec, or set the annotation vm.zenlayer.com/requested-at to a new value";

/// The remedy where waiting for a refusal to pass would cost the machine its power state again.
const STOPPED: &str = "the operator had stopped the machine for it and does not stop it again; to try \
                       again, change the spec, or set the annotation vm.zenlayer.com/requested-at to a new value";

/// A call that was refused, and whether the machine was stopped for it.
pub struct Refused<'a> {
    pub change: &'a Change,
    pub stopped: bool,
}

/// What a refusal means for the next call.
#[derive(Debug, Clone, PartialEq)]
pub enum Reaction {
    /// Look again by itself. The text tells the error, and what happens next.
    Wait(Reason, String),
    /// No call until something changes.
    Stop(Refusal),
}

/// The remembered refusal, if all that it depends on is as it was.
pub fn standing<'a>(
    desired: &Desired,
    memory: &'a Memory,
    secret: &SecretState,
    now: Timestamp,
) -> Option<&'a Refusal> {
    let refusal = memory.refusal.as_ref()?;
    // One that lies further ahead was reckoned by a clock that was wrong.
    let furthest = after(now, desired.timing.slow_retry.max(desired.timing.drift));
    let asked_again =
        desired.requested_at.is_some() && desired.requested_at != memory.handled.requested_at;
    let stands = refusal.generation == desired.generation
        && secret.version() == Some(refusal.secret_version.as_str())
        && refusal.retry_after.is_none_or(|time| now < time && time <= furthest)
        && !asked_again;
    stands.then_some(refusal)
}

/// The reaction to a refused call or a refused read.
pub fn reaction(
    desired: &Desired,
    error: &ApiError,
    call: Option<&Refused>,
    secret_version: &str,
    now: Timestamp,
) -> Reaction {
    let wait = |reason, next: &str| Reaction::Wait(reason, format!("{error}; {next}"));
    let slowly = after(now, desired.timing.slow_retry);
    let (reason, remedy, retry_after) = match error.class() {
        ErrorClass::Busy(problem) => return wait(problem.into(), remedy(problem)),
        ErrorClass::Throttled => {
            return wait(Reason::RateLimited, "it is tried again with growing pauses");
        }
        ErrorClass::Transient => {
            return wait(Reason::ApiUnavailable, "it is tried again with growing pauses");
        }
        ErrorClass::Terminal(problem) => (problem.into(), remedy(problem), None),
        ErrorClass::Scarce(problem) => (problem.into(), remedy(problem), Some(slowly)),
        // The world can mend these without touching anything that the refusal depends on.
        ErrorClass::Credentials(problem @ (Problem::ClockSkewed | Problem::BlockedByEdge)) => {
            let again = after(now, desired.timing.drift);
            (problem.into(), remedy(problem), Some(again))
        }
        ErrorClass::Credentials(problem) => (problem.into(), remedy(problem), None),
        ErrorClass::Unknown => (Reason::RefusedByProvider, SLOWLY, Some(slowly)),
    };
    let (remedy, retry_after) = match call {
        // Whatever stands against a start, a machine that was stopped is not left alone with it.
        Some(call) if call.change.kind == ChangeKind::Start => {
            let soon = after(now, desired.timing.drift);
            ("start the instance yourself; the operator keeps trying, too", Some(soon))
        }
        Some(call) if call.stopped && retry_after.is_some() => (STOPPED, None),
        _ => (remedy, retry_after),
    };
    Reaction::Stop(Refusal {
        code: error.code.clone(),
        reason,
        message: format!("{error}; {remedy}"),
        call: call.map(|call| RefusedCall {
            kind: call.change.kind,
            from: call.change.from.clone(),
            to: call.change.to.clone(),
        }),
        generation: desired.generation,
        secret_version: secret_version.to_owned(),
        request_id: error.request_id.clone(),
        retry_after: retry_after.map(whole_seconds),
    })
}

/// The situation of a read that failed.
/// With `soon`, it is read again whatever stands against it: a machine that was stopped for a change
/// is not left alone with it.
pub fn of_read(
    desired: &Desired,
    error: &ReadError,
    (version, soon): (&str, bool),
    now: Timestamp,
) -> Situation {
    let context =
        |problem: &str| format!("cannot read instance {}: {problem}", desired.instance_id);
    let passing = |reason, problem: &str| Situation::ReadFailed {
        reason,
        problem: context(problem),
        severity: Severity::Passing,
        refusal: None,
    };
    let ReadError::Api { error: api, .. } = error else {
        return passing(Reason::ApiUnavailable, &error.to_string());
    };
    match reaction(desired, api, None, version, now) {
        Reaction::Wait(reason, problem) => passing(reason, &problem),
        Reaction::Stop(refusal) => {
            let message = context(&refusal.message);
            let again = whole_seconds(after(now, desired.timing.drift));
            let retry_after = if soon { Some(again) } else { refusal.retry_after };
            Situation::ReadFailed {
                reason: refusal.reason,
                problem: message.clone(),
                severity: Severity::Terminal,
                refusal: Some(Refusal { message, retry_after, ..refusal }),
            }
        }
    }
}

/// Why the credential is of no use, and what to do.
pub fn secret_problem(secret: &SecretState, name: &str) -> String {
    match secret {
        SecretState::Usable { .. } => String::new(),
        SecretState::NotFound => format!(
            "Secret {name} does not exist in this namespace: create it with the keys accessKeyId \
             and accessKeyPassword, or token"
        ),
        SecretState::Incomplete { problem, .. } => format!("Secret {name}: {problem}"),
        SecretState::Unreadable { problem } => format!("cannot read Secret {name}: {problem}"),
    }
}

/// A refusal by this operator, before anything was sent. It stands for a while only: what it rests
/// on can change without a trace in the object.
pub fn made_here(
    desired: &Desired,
    reason: Reason,
    message: String,
    call: Option<RefusedCall>,
    secret_version: &str,
    now: Timestamp,
) -> Refusal {
    Refusal {
        code: None,
        reason,
        message,
        call,
        generation: desired.generation,
        secret_version: secret_version.to_owned(),
        request_id: None,
        retry_after: Some(whole_seconds(after(now, desired.timing.slow_retry))),
    }
}

/// The refusal of this very call, if it stands.
pub fn of_call_stands(
    facts: &Facts,
    kind: ChangeKind,
    from: &InstanceTypeId,
    to: &InstanceTypeId,
) -> Option<Decision> {
    let refusal = standing(facts.desired, facts.memory, &facts.observed.secret, facts.now)?;
    let call = refusal.call.as_ref()?;
    let same = call.kind == kind && call.from == *from && call.to == *to;
    same.then(|| Decision::report(Situation::Refused { refusal: refusal.clone() }))
}
