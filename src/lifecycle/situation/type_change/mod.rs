//! The change of the type in flight, its cancellation, and what they led to.

use jiff::Timestamp;
use zenlayer::{ChargeType, InstanceTypeId, OrderNumber};

mod ended;

use self::ended::{completed, reverted, stuck, undone, unwanted};
use super::{
    told::{AT_ONCE, Memo, NextLook, Scene, Told, Worth},
    words::{clock, in_progress, now_declared, purpose, release, since, whether_to_release},
};
use crate::{
    api::{ChangeKind, ChangeState, HistoryOutcome, Phase, Reason},
    lifecycle::{
        ended::Ended,
        plan::PlanStage,
        protocol::{Change, ChangeId},
        time::{after, whole_seconds},
    },
};

/// How the machine is not as a change was to make it.
#[derive(Debug, Clone, PartialEq)]
pub enum Problem {
    StillOfType(InstanceTypeId),
    TwoTypes(InstanceTypeId, InstanceTypeId),
    /// Shown as enabled beside this type.
    Enabled(InstanceTypeId),
    /// Cores and GiB.
    Size {
        shown: (Option<i64>, Option<i64>),
        expected: (Option<i64>, Option<i64>),
    },
}

#[derive(Debug, Clone, PartialEq)]
pub enum TypeChange {
    /// The provider has just accepted the call.
    Ordered {
        change: Change,
    },
    /// Accepted before; its effect is not seen.
    Accepted {
        change: Change,
    },
    /// No answer is known, and the request may still take effect.
    Unknown {
        change: Change,
    },
    /// It can no longer take effect, and nothing shows that it did: a person decides.
    Unverified {
        change: Change,
    },
    /// The same of a call that is made again without a person.
    NotMade {
        change: Change,
    },
    /// The effect was seen for the first time; with `adopted`, the answer was lost.
    EffectSeen {
        change: Change,
        stage: Option<PlanStage>,
        adopted: bool,
    },
    /// The effect was seen before; the plan is still open, or reads lag.
    Progressing {
        change: Change,
        stage: Option<PlanStage>,
    },
    Overdue {
        change: Change,
    },
    /// No plan is pending, and the machine is not as the change was to make it.
    NotInEffect {
        change: Change,
        problem: Problem,
    },
    Completed {
        change: Change,
    },
    /// The effect was seen, and is gone again.
    Undone {
        change: Change,
    },
    /// A plan that this object ordered earlier is followed again.
    Resumed {
        change: Change,
    },
    /// A person released the change.
    Released {
        change: Change,
    },
    /// A person allows an order once more that was changed back.
    OrderedOnceMore {
        id: ChangeId,
    },
    /// Ordered once for this target, and changed back outside this object.
    Reverted {
        entry: Ended,
    },
    /// Somebody else has ordered what is declared: followed from now on.
    Adopted {
        change: Change,
        stage: PlanStage,
    },
    /// A change of somebody else's is not what is declared any more, and goes on without us.
    NoLongerFollowed {
        change: Change,
    },
    /// A scheduled change of this object that its spec does not want any more, and that may not be
    /// taken back.
    Unwanted {
        change: Change,
    },
}

impl TypeChange {
    pub fn settles_the_type(&self) -> bool {
        match self {
            Self::Progressing { stage, .. } => *stage == Some(PlanStage::Scheduled),
            Self::Unverified { .. }
            | Self::Overdue { .. }
            | Self::NotInEffect { .. }
            | Self::Reverted { .. }
            | Self::Unwanted { .. } => true,
            Self::Ordered { .. }
            | Self::Accepted { .. }
            | Self::Unknown { .. }
            | Self::NotMade { .. }
            | Self::EffectSeen { .. }
            | Self::Completed { .. }
            | Self::Undone { .. }
            | Self::Resumed { .. }
            | Self::Released { .. }
            | Self::OrderedOnceMore { .. }
            | Self::Adopted { .. }
            | Self::NoLongerFollowed { .. } => false,
        }
    }

    pub fn told(&self, scene: &Scene) -> Told {
        match self {
            Self::Ordered { change } => moving(scene, change, None)
                .event(Worth::Always(false, requested(change.kind)))
                .remember(Memo::Change(change.clone())),
            Self::Accepted { change } => moving(scene, change, None),
            Self::Unknown { change } => unknown(scene, change),
            Self::Unverified { change } => unverified(scene, change),
            Self::NotMade { change } => not_made(change),
            Self::EffectSeen { change, stage, adopted } => seen(scene, change, *stage, *adopted),
            Self::Progressing { change, stage } => progressing(scene, change, *stage),
            Self::Overdue { change } => {
                let what = "not completed in time".to_owned();
                stuck(scene, change, Reason::ChangeOverdue, &what)
            }
            Self::NotInEffect { change, problem } => {
                stuck(scene, change, Reason::ChangeNotInEffect, &problem.words(change))
            }
            Self::Completed { change } => completed(scene, change),
            Self::Undone { change } => undone(scene, change),
            Self::Resumed { change } => Told::waiting(
                Reason::ChangeInProgress,
                format!("{}: followed again", since(change)),
                AT_ONCE,
            )
            .remember(Memo::Resumed(change.clone())),
            Self::Released { change } => Told::waiting(
                Reason::Released,
                format!("change {} was released by a user", change.id),
                AT_ONCE,
            )
            .event(Worth::Always(false, "ChangeReleased"))
            .remember(Memo::End(change.clone(), HistoryOutcome::Released))
            .remember(Memo::ReleaseHandled(change.id.clone())),
            Self::OrderedOnceMore { id } => Told::waiting(
                Reason::Released,
                format!("change {id} was released by a user and is made again"),
                AT_ONCE,
            )
            .event(Worth::Always(false, "ChangeReleased"))
            .remember(Memo::Released(id.clone()))
            .remember(Memo::ReleaseHandled(id.clone())),
            Self::Reverted { entry } => reverted(scene, entry),
            Self::Adopted { change, stage } => {
                let mut told = progressing(scene, change, Some(*stage));
                // First, so that what the stage adds to it is not lost.
                told.remembers.insert(0, Memo::Change(change.clone()));
                told.remember(Memo::Numbers(change.clone()))
                    .event(Worth::Always(false, "ChangeAdopted"))
            }
            Self::NoLongerFollowed { change } => {
                let want = &scene.desired.type_id;
                let message =
                    format!("{}: not followed any more, {}", purpose(change), now_declared(want));
                Told::waiting(Reason::ForeignPlan, message, AT_ONCE)
                    .remember(Memo::Drop(change.lane()))
            }
            Self::Unwanted { change } => unwanted(scene, change),
        }
    }
}

impl Problem {
    fn words(&self, change: &Change) -> String {
        let number = |value: Option<i64>| value.map_or("?".to_owned(), |value| value.to_string());
        match self {
            Self::StillOfType(one) => {
                format!(
                    "no change is pending at the provider, and the instance is still of type {one}"
                )
            }
            Self::TwoTypes(one, other) => format!(
                "no change is pending at the provider, and one read shows the type {one}, the other one \
                 {other}"
            ),
            Self::Enabled(one) => {
                format!("the provider shows it as enabled, and the instance is still of type {one}")
            }
            Self::Size { shown, expected } => format!(
                "the instance shows {} CPU and {} GiB, and {} has {} CPU and {} GiB: it may need a \
                 restart",
                number(shown.0),
                number(shown.1),
                change.to,
                number(expected.0),
                number(expected.1)
            ),
        }
    }
}

fn requested(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Modify => "ChangeOrdered",
        ChangeKind::CancelDowngrade => "CancelRequested",
        ChangeKind::Stop => "StopRequested",
        ChangeKind::Start => "StartRequested",
    }
}

/// No answer to the call is known. Power calls say the same.
pub fn unknown(scene: &Scene, change: &Change) -> Told {
    let timing = &scene.desired.timing;
    let own_time = timing.fence().saturating_add(timing.signature_life);
    let until = match change.fence {
        Some(fence) => format!("{} at the earliest", clock(fence)),
        None => format!("{} minutes or more", own_time.as_secs() / 60),
    };
    let message = format!(
        "{}: the answer to the call of {} was lost; after {until} the operator decides by what the \
         provider shows, and it repeats nothing before that",
        purpose(change),
        clock(change.started_at),
    );
    let look = scene.growing(change.started_at);
    Told::going_on(Phase::Submitting, Reason::OutcomeUnknown, message, look)
        .event(Worth::News(true, Reason::OutcomeUnknown.as_str()))
        .remember(Memo::Change(change.clone()))
}

fn unverified(scene: &Scene, change: &Change) -> Told {
    let and = match (change.seen_at, change.fence) {
        (Some(seen), _) => format!("its effect was seen at {}, and is not there now", clock(seen)),
        (None, Some(_)) => "nothing at the provider shows that it took effect".to_owned(),
        (None, None) => "a request with a token can take effect at any time".to_owned(),
    };
    let message = format!(
        "{}: the answer to the call of {} was lost, and {and}; check the orders in the provider's \
         console, then set the annotation {}: the operator looks again and makes the call once more if \
         it is still needed",
        purpose(change),
        clock(change.started_at),
        release(&change.id)
    );
    let change = Change { state: ChangeState::Unverified, ..change.clone() };
    Told::failed(Reason::OutcomeUnverified, message, scene.at_rest())
        .asks(whether_to_release(&change))
        .remember(Memo::Change(change))
}

fn not_made(change: &Change) -> Told {
    let message = format!(
        "{}: the call of {} did not take effect; it is made again if it is still needed",
        purpose(change),
        clock(change.started_at)
    );
    Told::waiting(Reason::OutcomeUnverified, message, AT_ONCE)
        .remember(Memo::AskAgain(change.clone()))
        .remember(Memo::End(change.clone(), HistoryOutcome::Unverified))
}

/// A change that the provider carries out.
fn moving(scene: &Scene, change: &Change, look: Option<NextLook>) -> Told {
    let look = look.unwrap_or_else(|| scene.growing(change.started_at));
    Told::going_on(Phase::Changing, in_progress(change.kind), since(change), look)
}

/// Once the effect of a call was seen: what is still to come of it.
fn progressing(scene: &Scene, change: &Change, stage: Option<PlanStage>) -> Told {
    let want = &scene.desired.type_id;
    match stage {
        Some(PlanStage::Scheduled) if change.to == *want => scheduled(scene, change),
        Some(PlanStage::Scheduled) => Told::waiting(
            Reason::CancelInProgress,
            format!(
                "{}; it is scheduled for the next billing cycle and is cancelled first: {}",
                since(change),
                now_declared(want)
            ),
            AT_ONCE,
        ),
        Some(PlanStage::Running | PlanStage::Unknown) | None => moving(scene, change, None),
    }
}

fn seen(scene: &Scene, change: &Change, stage: Option<PlanStage>, adopted: bool) -> Told {
    let change = Change { state: ChangeState::Observed, ..change.clone() };
    let told = match stage {
        None => return completed(scene, &change).event_if(adopted),
        Some(_) => progressing(scene, &change, stage),
    };
    let told = match told.event {
        Worth::Nothing => told.remember(Memo::Change(change)),
        _ => told,
    };
    told.event_if(adopted)
}

impl Told {
    /// A lost answer that was settled by what shows is an event of its own.
    fn event_if(self, adopted: bool) -> Self {
        if adopted { self.event(Worth::Always(true, "OutcomeSettled")) } else { self }
    }
}

/// A change that waits for the next billing cycle. When that begins is set once: a cycle that is
/// renewed without the change must show as overdue.
fn scheduled(scene: &Scene, change: &Change) -> Told {
    let ends = scene.instance.and_then(|instance| instance.expires_at);
    let change = Change { effective_at: change.effective_at.or(ends), ..change.clone() };
    let mut text = format!("{}; it takes effect at the next billing cycle", since(&change));
    if let Some(time) = change.effective_at {
        text = format!("{text}, {}", clock(time));
    }
    let renews = scene.instance.is_none_or(|instance| {
        instance.charge_type != ChargeType::Prepaid || instance.auto_renew != Some(false)
    });
    if !renews {
        text =
            format!("{text}; warning: autoRenew is off, without a renewal there is no next cycle");
    }
    if change.effective_at.is_some_and(|time| is_soon(scene.now, time)) {
        text = format!(
            "{text}; warning: the cycle ends within a day, after that it cannot be taken back"
        );
    }
    Told::ready(Phase::Scheduled, Reason::ChangeScheduled, text, scene.at_rest())
        .event(Worth::News(false, "ChangeScheduled"))
        .remember(Memo::Change(Change { state: ChangeState::Observed, ..change }))
}

fn is_soon(now: Timestamp, time: Timestamp) -> bool {
    after(now, std::time::Duration::from_hours(24)) >= time
}

/// An answer that was just received.
pub fn accepted(change: &Change, order_number: Option<OrderNumber>, now: Timestamp) -> Change {
    Change {
        state: ChangeState::Accepted,
        submitted_at: Some(whole_seconds(now)),
        order_number,
        ..change.clone()
    }
}
