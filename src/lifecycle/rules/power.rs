//! The machine's power state: a stop and a start are followed to their end, and what was stopped for a
//! change is started again. None of it waits for a read of the type, or for who owns the instance.

use zenlayer::{Instance, InstanceState};

use super::{ordering::call, permits};
use crate::{
    api::{ChangeKind, ChangeState},
    lifecycle::{
        backoff,
        decision::{Action, Decision},
        facts::Facts,
        observed::Claim,
        protocol::{Change, Held, LaneName, leads_to},
        refusal,
        situation::{Looking, Power, Situation},
        standing::Standing,
        time::{after, is_within},
    },
};

/// Whether the machine is where the call leads to, and has come to rest there.
fn is_there(change: &Change, instance: &Instance) -> bool {
    match change.kind {
        ChangeKind::Stop => instance.state == InstanceState::Stopped,
        ChangeKind::Start => instance.state == InstanceState::Running,
        ChangeKind::Modify | ChangeKind::CancelDowngrade => false,
    }
}

/// A stop or a start shows for the first time: its lane closes. One without an answer is settled by
/// what shows, but not before its fence.
pub fn power_call_shows(facts: &Facts) -> Option<Decision> {
    let change = facts.power_change()?;
    let instance = facts.observed.instance()?;
    let may_close = match change.state {
        ChangeState::Submitting | ChangeState::Unverified => facts.is_past_fence(change),
        ChangeState::Accepted => true,
        ChangeState::Observed => false,
    };
    let shows = may_close && leads_to(change.kind, &instance.state);
    shows.then(|| {
        let complete = is_there(change, instance);
        Decision::of(facts.close(change), Power::Seen { change: change.clone(), complete })
    })
}

/// A stop or a start that shows nowhere ends, once its request can no longer take effect; an accepted
/// one has its deadline, too. It is decided anew then.
pub fn power_call_had_no_effect(facts: &Facts) -> Option<Decision> {
    let change = facts.power_change()?;
    facts.observed.instance()?;
    let over = match change.state {
        ChangeState::Submitting | ChangeState::Unverified => facts.is_past_fence(change),
        ChangeState::Accepted => facts.is_past_fence(change) && facts.is_overdue(change),
        ChangeState::Observed => return None,
    };
    let answered = change.state == ChangeState::Accepted;
    over.then(|| Decision::report(Power::NoEffect { change: change.clone(), answered }))
}

/// A stop or a start that was seen is complete, or did not come to its end.
pub fn power_change_ends(facts: &Facts) -> Option<Decision> {
    let change = facts.power_change().filter(|change| change.state == ChangeState::Observed)?;
    let instance = facts.observed.instance()?;
    if is_there(change, instance) {
        return Some(Decision::report(Power::Completed { change: change.clone() }));
    }
    // A guest may refuse a graceful stop, or fail to boot.
    let goes_on = leads_to(change.kind, &instance.state) || facts.expects(change);
    let over = facts.is_overdue(change) || !goes_on;
    over.then(|| Decision::report(Power::NoEffect { change: change.clone(), answered: true }))
}

/// Whether what the machine is brought back to still has to be waited for: a stop or a start is under
/// way, or reads may lag behind one.
fn may_still_change(facts: &Facts) -> bool {
    let held = facts.lane(LaneName::Power).is_none_or(|lane| lane.held() != Held::Nobody);
    let instance = facts.observed.instance();
    let lags = facts.lagging(LaneName::Power).is_some_and(|expects| {
        instance.is_none_or(|instance| !leads_to(expects.kind, &instance.state))
    });
    held || facts.power_change().is_some() || lags
}

/// The machine runs, or is gone for longer than any read lags: there is nothing left to bring it back to.
pub fn machine_is_back(facts: &Facts) -> Option<Decision> {
    let record = &facts.observed.slot()?.record;
    record.restore()?;
    let missing = facts.observed.since.missing.filter(|_| facts.observed.is_missing());
    let gone = missing.is_some_and(|known| known >= facts.desired.timing.margin)
        && !record.lane(LaneName::Power).is_open();
    let back = gone || facts.observed.runs() && !may_still_change(facts);
    back.then(|| Decision::of(facts.write_slot(|record| Some(record.restored())), Power::Restored))
}

/// An object that is being deleted is not kept for ever.
pub fn machine_is_left_as_it_is(facts: &Facts) -> Option<Decision> {
    facts.observed.slot()?.record.restore()?;
    let over = facts.is_kept_too_long() && !facts.slot().record.is_open();
    over.then(|| {
        Decision::of(facts.write_slot(|record| Some(record.restored())), Power::LeftAsItIs)
    })
}

/// An object that is being deleted is not kept any longer once the machine is back.
pub fn deleted_object_is_free_to_go(facts: &Facts) -> Option<Decision> {
    facts.desired.deleted_at?;
    finalizer_is_not_needed(facts)
}

/// Nothing is to be brought back, and no stop or start is under way.
pub fn finalizer_is_not_needed(facts: &Facts) -> Option<Decision> {
    let record = &facts.observed.slot()?.record;
    // The owner sees to the machine.
    let restores = record.restore().is_some() && facts.observed.claim == Claim::Owner;
    let needed = restores || facts.power_change().is_some();
    let off = facts.desired.has_finalizer && !needed;
    off.then(|| Decision::of(Action::SetFinalizer(false), Power::IsFreeToGo))
}

/// The object is deleted although its machine may still be off. That is told first: once the finalizer
/// is off, there is no object to tell it of.
pub fn release_the_object(facts: &Facts) -> Decision {
    if facts.memory.restore.is_some() || facts.memory.power.is_some() {
        return Decision::report(Power::LeftAsItIs);
    }
    Decision::of(Action::SetFinalizer(false), Power::IsFreeToGo)
}

/// A machine that was stopped for a change is started after a while, whatever the change waits for; at
/// once, if its object is being deleted.
pub fn start_is_overdue(facts: &Facts) -> Option<Decision> {
    let due = is_off_too_long(facts) || facts.desired.deleted_at.is_some();
    // What holds the start back does not hold up the rules below: they may settle just that.
    let start = due.then(|| start(facts))??;
    let goes_on = matches!(start.situation, Situation::Looking(Looking::Needs(_)));
    (start.action != Action::Nothing || goes_on).then_some(start)
}

/// Whether the machine that was stopped for a change has been off for as long as a change may take.
fn is_off_too_long(facts: &Facts) -> bool {
    let limit = facts.desired.timing.change_deadline;
    let restore = facts.observed.slot().and_then(|slot| slot.record.restore());
    restore.is_some_and(|restore| facts.now > after(restore.since, limit))
}

/// Whether another object sees to the machine, and may need it to be off for its change.
fn is_anothers_business(facts: &Facts) -> bool {
    let held = matches!(facts.change, Standing::HeldElsewhere(_));
    held || facts.observed.claim != Claim::Owner
}

/// The start of a machine that was stopped for a change, unless something holds it back.
pub fn start(facts: &Facts) -> Option<Decision> {
    let record = &facts.observed.slot()?.record;
    record.restore()?;
    let instance = facts.observed.instance().filter(|_| facts.observed.is_stopped())?;
    let free = record.lane(LaneName::Power).free().is_some() && facts.power_change().is_none();
    if is_anothers_business(facts) && !is_off_too_long(facts) {
        return None;
    }
    // What may still take effect is settled first.
    if !free || record.is_open() || may_still_change(facts) || !facts.desired.allows_changes() {
        return None;
    }
    let tried = facts.memory.without_effect(facts.desired, ChangeKind::Start);
    let pauses = tried.is_some_and(|(tries, last)| {
        is_within(facts.now, last, backoff::before_another_start(tries))
    });
    if pauses {
        return None;
    }
    let (kind, from, to) = (ChangeKind::Start, &instance.type_id, &facts.desired.type_id);
    refusal::stands(facts, kind, from, to)
        .or_else(|| permits::start_is_held_back(facts))
        .or_else(|| Some(call(facts, kind, from, to)))
}

/// A stop is waited for before anything else is done.
pub fn stop_is_waited_for(facts: &Facts) -> Option<Decision> {
    let change = facts.power_change().filter(|change| change.kind == ChangeKind::Stop)?;
    Some(Decision::report(match change.state {
        ChangeState::Submitting | ChangeState::Unverified => {
            Power::Unknown { change: change.clone() }
        }
        ChangeState::Accepted | ChangeState::Observed => Power::UnderWay { change: change.clone() },
    }))
}
