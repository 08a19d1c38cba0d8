//! What has to be read, and what cannot be.

use zenlayer::{ChargeType, ReadError};

use crate::lifecycle::{
    decision::Decision, facts::Facts, protocol::LaneName, read::Read, refusal, situation::Looking,
    standing::Standing,
};

pub fn needs(reads: &'static [Read]) -> Option<Decision> {
    Some(Decision::report(Looking::Needs(reads)))
}

/// A Secret that is missing or incomplete holds no credential.
pub fn secret_is_unusable(facts: &Facts) -> Option<Decision> {
    let reason = facts.observed.secret.reason()?;
    let name = &facts.desired.secret_name;
    let problem = refusal::secret_problem(&facts.observed.secret, name);
    Some(Decision::report(Looking::SecretUnusable { reason, problem }))
}

/// The credential has used up its rate for the moment; its turn comes.
pub fn quota_is_used_up(facts: &Facts) -> Option<Decision> {
    let again_in = facts.observed.quota?;
    Some(Decision::report(Looking::NoQuota { again_in }))
}

/// Reads of the credential fail for all its objects; one of them tries again.
pub fn credential_is_in_trouble(facts: &Facts) -> Option<Decision> {
    let trouble = facts.observed.trouble.as_ref().filter(|_| facts.observed.instance.is_none())?;
    Some(Decision::report(Looking::InTrouble { trouble: trouble.clone() }))
}

/// The instance is read in every pass.
pub fn instance_is_needed(facts: &Facts) -> Option<Decision> {
    facts.observed.instance.is_none().then(|| needs(&[Read::Instance]))?
}

fn read_failed(facts: &Facts, error: &ReadError) -> Decision {
    let problem = refusal::of_read(facts.desired, error);
    Decision::report(Looking::ReadFailed { problem })
}

/// A read that failed is tried again, whatever the reason.
pub fn instance_was_not_read(facts: &Facts) -> Option<Decision> {
    match facts.observed.instance.as_ref()? {
        Ok(_) => None,
        Err(error) => Some(read_failed(facts, error)),
    }
}

/// The slot is read where something is remembered, or the status does not speak of the spec as it is.
pub fn slot_is_needed(facts: &Facts) -> Option<Decision> {
    let wanted = facts.observed.slot.is_none() && is_followed(facts);
    wanted.then(|| needs(&[Read::Slot]))?
}

/// The slot is read where something might be ordered, or the machine is not as one at rest.
pub fn slot_is_needed_for_the_machine(facts: &Facts) -> Option<Decision> {
    let odd = differs(facts) || facts.observed.is_stopped() || facts.observed.is_missing();
    let wanted = facts.observed.slot.is_none() && odd;
    wanted.then(|| needs(&[Read::Slot]))?
}

/// Whether there is more to look at than the instance itself.
fn is_followed(facts: &Facts) -> bool {
    remembers(facts) || !facts.observed.status_is_current
}

fn remembers(facts: &Facts) -> bool {
    let memory = facts.memory;
    memory.change.is_some()
        || memory.power.is_some()
        || memory.restore.is_some()
        || memory.open_order().is_some()
        || facts.desired.has_finalizer
}

/// What is not known to be billed afterwards may have a change that waits for its cycle.
fn may_be_scheduled(facts: &Facts) -> bool {
    facts.observed.instance().is_some_and(|one| one.charge_type != ChargeType::Postpaid)
}

fn differs(facts: &Facts) -> bool {
    facts.observed.instance().is_some_and(|one| one.type_id != facts.desired.type_id)
}

/// A slot that cannot be read says nothing of what may be under way.
pub fn slot_was_not_read(facts: &Facts) -> Option<Decision> {
    let problem = facts.observed.slot.as_ref()?.as_ref().err()?;
    Some(Decision::report(Looking::SlotUnreadable { problem: problem.clone() }))
}

/// A record that another version wrote is left to that version.
pub fn slot_is_of_another_version(facts: &Facts) -> Option<Decision> {
    let unreadable = [&facts.change, &facts.power].contains(&&Standing::Unreadable);
    unreadable.then(|| Decision::report(Looking::SlotOfAnotherVersion))
}

/// The plan is read where a change is in flight, and now and then where one may be scheduled. An order
/// reads it with all else that it rests on.
pub fn plan_is_needed(facts: &Facts) -> Option<Decision> {
    facts.observed.instance()?;
    let cancels = facts.desired.cancel_plan.is_some()
        && facts.desired.cancel_plan != facts.memory.handled.cancel_plan;
    // A machine that is off may have been stopped by an object that is gone: the slot knows.
    let says_nothing = facts.observed.slot().is_some_and(|slot| slot.record.is_free());
    let off = facts.observed.is_stopped() && !says_nothing;
    let in_flight = remembers(facts) || facts.type_change().is_some();
    let first_look = !facts.observed.status_is_current;
    let due = facts.observed.since.plan_is_due || facts.memory.refusal.is_some() || first_look;
    let wanted = cancels || off || in_flight || due && may_be_scheduled(facts);
    (wanted && facts.observed.plan.is_none()).then(|| needs(&[Read::Plan]))?
}

/// An instance that is missing once is asked for again before it is believed.
pub fn instance_is_missing(facts: &Facts) -> Option<Decision> {
    let known = facts.observed.since.missing.unwrap_or_default();
    let early = facts.observed.is_missing() && known < facts.desired.timing.poll.0;
    early.then(|| Decision::report(Looking::Missing))
}

/// Without the plan nobody knows how far a change has come.
pub fn plan_was_not_read(facts: &Facts) -> Option<Decision> {
    match facts.observed.plan.as_ref()? {
        Ok(reading) if reading.value.is_some() => None,
        // One read shows the instance, the other one does not.
        Ok(_) => Some(Decision::report(Looking::ReadsDisagree {
            since: facts.observed.since.disagree.unwrap_or_default(),
            types: None,
        })),
        Err(error) => Some(read_failed(facts, error)),
    }
}

/// Two reads of one pass that show different types say nothing about either.
pub fn reads_disagree(facts: &Facts) -> Option<Decision> {
    let (instance, status) = facts.seen()?;
    (instance.type_id != status.current).then(|| {
        Decision::report(Looking::ReadsDisagree {
            since: facts.observed.since.disagree.unwrap_or_default(),
            types: Some((instance.type_id.clone(), status.current.clone())),
        })
    })
}

/// Within one margin after an effect was seen, a read that contradicts it is lag, not news.
pub fn read_contradicts_what_was_seen(facts: &Facts) -> Option<Decision> {
    let instance = facts.observed.instance()?;
    let plan = facts.plan();
    let contradicts = LaneName::ALL
        .iter()
        .any(|lane| facts.lagging(*lane).is_some_and(|one| !one.agrees(instance, &plan)));
    contradicts.then(|| Decision::report(Looking::ReadLags))
}
