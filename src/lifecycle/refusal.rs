//! Refusals: how one is made of an error, what it rests on, and for how long it stands.

use std::time::Duration;

use jiff::Timestamp;
use zenlayer::{
    ApiError, Instance, InstanceTypeId, ReadError,
    error::{ErrorClass, Problem},
};

use super::{
    Desired,
    decision::Decision,
    facts::Facts,
    memory::{Memory, Refusal},
    observed::{Observed, SecretState},
    protocol::{Change, Restore},
    situation::{AtRest, ReadProblem},
    time::{after, whole_seconds},
};
use crate::api::{ChangeKind, Reason, remedy};

/// What happens next after a code that has no row in the table.
const SLOWLY: &str = "this version does not know the code, and tries again with pauses that grow from 30 \
                      minutes to 6 hours; to try now, set the annotation \
                      vm.zenlayer.com/requested-at to a new value";

/// What happens next after a refusal that other objects of the account would get, too.
const ACCOUNT: &str = "it is tried again with pauses that grow from 30 minutes to 6 hours, and at once \
                       when the Secret changes";

/// What happens next after a refusal of a call that is no order.
const LATER: &str = "it is tried again with pauses that grow from 30 minutes to 6 hours";

/// What happens next after a refusal that may pass at any time.
const SOON: &str = "it is tried again every few minutes";

/// Kind, from, to.
pub type RefusedCall = (ChangeKind, InstanceTypeId, InstanceTypeId);

/// What a refusal means for the next call.
#[derive(Debug, Clone, PartialEq)]
pub enum Reaction {
    /// Look again by itself. The text tells the error, and what happens next.
    Wait(Reason, String),
    /// No call until what it rests on changes. With a pause, other objects of the credential wait, too.
    Stop { refusal: Refusal, account: Option<Duration> },
}

/// A digest of what was seen of the instance and may have been the reason of a refusal. A machine that
/// this operator has stopped counts as if it were brought back already: that is no news about it.
fn instance_digest(instance: &Instance, restore: Option<&Restore>) -> String {
    let state = restore.map_or(instance.state.as_str(), |restore| &restore.power_state);
    let parts = format!(
        "{}|{state}|{}|{:?}|{:?}|{:?}|{:?}",
        instance.type_id,
        instance.charge_type,
        instance.zone_id,
        instance.cpu_count,
        instance.memory_gib,
        instance.bandwidth_out
    );
    format!("{:016x}", super::backoff::fnv(&parts))
}

/// Whether a person asks for another try, and nothing was tried at that word yet.
pub fn is_asked_again(desired: &Desired, memory: &Memory) -> bool {
    desired.requested_at.is_some() && desired.requested_at != memory.handled.requested_at
}

/// What a refusal rests on, but for the credential: what was seen of the instance and, where this operator
/// denied the change, what the spec and the options allow.
fn basis(
    desired: &Desired,
    instance: &Instance,
    restore: Option<&Restore>,
    reason: Reason,
) -> String {
    let digest = instance_digest(instance, restore);
    match reason {
        Reason::UpgradeDenied | Reason::DowngradeDenied | Reason::DirectionUnknown => {
            format!("{digest}-{:?}-{:?}", desired.prepaid_upgrade, desired.prepaid_downgrade)
        }
        _ => digest,
    }
}

/// The remembered refusal, if all that it rests on is as it was.
pub fn standing<'a>(
    desired: &Desired,
    memory: &'a Memory,
    observed: &Observed,
    now: Timestamp,
) -> Option<&'a Refusal> {
    let refusal = memory.refusal.as_ref()?;
    // One that lies further ahead was reckoned by a clock that was wrong.
    let furthest = after(now, desired.timing.account_retry.max(desired.timing.slow_retry));
    let same_basis = observed.instance().is_none_or(|instance| {
        basis(desired, instance, observed.restore(), refusal.reason) == refusal.instance
    });
    // Only of an order a refusal is final.
    let in_time = match refusal.retry_after {
        Some(time) => now < time && time <= furthest,
        None => refusal.kind == ChangeKind::Modify,
    };
    let stands = same_basis
        && in_time
        && observed.secret.digest().is_none_or(|digest| digest == refusal.credential)
        && !is_asked_again(desired, memory);
    stands.then_some(refusal)
}

/// The refusal of this very call, if it stands.
pub fn stands(
    facts: &Facts,
    kind: ChangeKind,
    from: &InstanceTypeId,
    to: &InstanceTypeId,
) -> Option<Decision> {
    let refusal = standing(facts.desired, facts.memory, facts.observed, facts.now)?;
    let same = refusal.kind == kind && refusal.from == *from && refusal.to == *to;
    same.then(|| Decision::report(AtRest::Refused { refusal: refusal.clone(), account: None }))
}

/// How long a call that was refused for good waits for its next try, if that is tried at all; and
/// whether the reason is one of the account, which all its objects share. Only of an order a refusal is
/// final.
fn pauses(
    desired: &Desired,
    kind: ChangeKind,
    class: ErrorClass,
    attempts: u32,
) -> (Option<Duration>, bool) {
    let timing = &desired.timing;
    let doubled = 2u32.saturating_pow(attempts.saturating_sub(1).min(16));
    let growing = timing.slow_retry.saturating_mul(doubled).min(timing.account_retry);
    match class {
        // The world can mend these without touching anything that the refusal rests on.
        ErrorClass::Credentials(Problem::ClockSkewed | Problem::BlockedByEdge) => {
            (Some(timing.drift), true)
        }
        ErrorClass::Credentials(_)
        | ErrorClass::Terminal(Problem::ZoneNotSupported | Problem::ResourceGroupNotFound) => {
            (Some(growing), true)
        }
        ErrorClass::Scarce(_) => (Some(timing.slow_retry), false),
        ErrorClass::Unknown => (Some(growing), false),
        ErrorClass::Terminal(_) if kind != ChangeKind::Modify => (Some(growing), false),
        ErrorClass::Terminal(_)
        | ErrorClass::Busy(_)
        | ErrorClass::Throttled
        | ErrorClass::Transient => (None, false),
    }
}

/// The reaction to a refused call.
pub fn reaction(
    desired: &Desired,
    observed: &Observed,
    before: Option<&Refusal>,
    error: &ApiError,
    change: &Change,
    now: Timestamp,
) -> Reaction {
    let wait = |reason, next: &str| Reaction::Wait(reason, format!("{error}; {next}"));
    let class = error.class();
    let (reason, remedy) = match class {
        ErrorClass::Busy(problem) => return wait(problem.into(), remedy(problem)),
        ErrorClass::Throttled => {
            return wait(Reason::RateLimited, "it is tried again with growing pauses");
        }
        ErrorClass::Transient => {
            return wait(Reason::ApiUnavailable, "it is tried again with growing pauses");
        }
        ErrorClass::Terminal(problem)
        | ErrorClass::Scarce(problem)
        | ErrorClass::Credentials(problem) => (problem.into(), remedy(problem)),
        ErrorClass::Unknown => (Reason::RefusedByProvider, SLOWLY),
    };
    let same = before
        .filter(|old| old.kind == change.kind && old.from == change.from && old.to == change.to);
    let of_account = observed.refused_in_a_row;
    let attempts = same.map_or(0, |old| old.attempts).max(of_account).saturating_add(1);
    let (pause, account) = match pauses(desired, change.kind, class, attempts) {
        // A machine that was stopped is not left alone, whatever stands against a start.
        (pause, account) if change.kind == ChangeKind::Start => {
            (Some(pause.map_or(desired.timing.drift, |one| one.min(desired.timing.drift))), account)
        }
        pauses => pauses,
    };
    let next = match pause {
        Some(pause) if pause <= desired.timing.drift => format!("{remedy}; {SOON}"),
        Some(_) if account => format!("{remedy}; {ACCOUNT}"),
        Some(_) if matches!(class, ErrorClass::Terminal(_)) => format!("{remedy}; {LATER}"),
        Some(_) | None => remedy.to_owned(),
    };
    let refusal = Refusal {
        code: error.code.clone(),
        reason,
        message: format!("{error}; {next}"),
        kind: change.kind,
        from: change.from.clone(),
        to: change.to.clone(),
        instance: basis_now(desired, observed, reason),
        credential: observed.secret.digest().unwrap_or_default().to_owned(),
        attempts,
        request_id: error.request_id.clone(),
        retry_after: pause.map(|pause| whole_seconds(after(now, pause))),
    };
    Reaction::Stop { refusal, account: pause.filter(|_| account) }
}

fn basis_now(desired: &Desired, observed: &Observed, reason: Reason) -> String {
    let basis = |instance| basis(desired, instance, observed.restore(), reason);
    observed.instance().map(basis).unwrap_or_default()
}

/// A refusal by this operator, before anything was sent. It stands for a while only: what it rests
/// on can change without a trace in the object.
pub fn made_here(
    facts: &Facts,
    reason: Reason,
    message: String,
    (kind, from, to): RefusedCall,
) -> Refusal {
    let pause = facts.desired.timing.slow_retry;
    Refusal {
        code: None,
        reason,
        message,
        kind,
        from,
        to,
        instance: basis_now(facts.desired, facts.observed, reason),
        credential: facts.observed.secret.digest().unwrap_or_default().to_owned(),
        attempts: 1,
        request_id: None,
        retry_after: Some(whole_seconds(after(facts.now, pause))),
    }
}

/// Whether the provider's answer to a read says that it will be the same until a person acts.
pub fn is_final(error: &ReadError) -> bool {
    let ReadError::Api { error, .. } = error else { return false };
    match error.class() {
        ErrorClass::Terminal(_)
        | ErrorClass::Scarce(_)
        | ErrorClass::Credentials(_)
        | ErrorClass::Unknown => true,
        ErrorClass::Busy(_) | ErrorClass::Throttled | ErrorClass::Transient => false,
    }
}

/// What a failed read of the instance or its plan means.
pub fn of_read(desired: &Desired, error: &ReadError) -> ReadProblem {
    of_read_of(&format!("instance {}", desired.instance_id), error)
}

/// What a failed read means for every instance of its credential.
pub fn of_reads(error: &ReadError) -> ReadProblem {
    of_read_of("the instances of the credential", error)
}

/// What a failed read of a list price means.
pub fn of_price(error: &ReadError) -> ReadProblem {
    of_read_of("a list price", error)
}

fn of_read_of(what: &str, error: &ReadError) -> ReadProblem {
    let again = "it is read again with growing pauses";
    let (reason, next) = match error {
        ReadError::Api { error, .. } => match error.class() {
            ErrorClass::Terminal(problem)
            | ErrorClass::Scarce(problem)
            | ErrorClass::Busy(problem)
            | ErrorClass::Credentials(problem) => {
                (problem.into(), format!("{}; {again}", remedy(problem)))
            }
            ErrorClass::Throttled => (Reason::RateLimited, again.to_owned()),
            ErrorClass::Transient => (Reason::ApiUnavailable, again.to_owned()),
            ErrorClass::Unknown => (Reason::RefusedByProvider, again.to_owned()),
        },
        ReadError::Transport { .. } | ReadError::Malformed { .. } => {
            (Reason::ApiUnavailable, again.to_owned())
        }
    };
    let text = format!("cannot read {what}: {error}; {next}");
    ReadProblem { reason, text, person: is_final(error) }
}

/// Why the credential is of no use, and what to do.
pub fn secret_problem(secret: &SecretState, name: &str) -> String {
    match secret {
        SecretState::Usable { .. } => String::new(),
        SecretState::NotFound => format!(
            "Secret {name} does not exist in this namespace: create it with the keys accessKeyId \
             and accessKeyPassword, or with the type vm.zenlayer.com/credentials and the key token"
        ),
        SecretState::Incomplete { problem } | SecretState::WrongType { problem } => {
            format!("Secret {name}: {problem}")
        }
        SecretState::Unreadable { problem } => format!("cannot read Secret {name}: {problem}"),
    }
}
