//! A stop or a start, and the machine that was stopped for a change.

use zenlayer::InstanceState;

use super::{
    told::{AT_ONCE, Memo, NextLook, Scene, Told, Worth},
    type_change::unknown,
    words::{done, in_progress, since},
};
use crate::{
    api::{ChangeKind, ChangeState, HistoryOutcome, Phase, Reason},
    lifecycle::protocol::{Change, Restore},
};

#[derive(Debug, Clone, PartialEq)]
pub enum Power {
    /// The provider has just accepted the call.
    Requested {
        change: Change,
    },
    /// Accepted before, or on its way.
    UnderWay {
        change: Change,
    },
    /// No answer is known, and the request may still take effect.
    Unknown {
        change: Change,
    },
    /// It shows for the first time.
    Seen {
        change: Change,
        complete: bool,
    },
    Completed {
        change: Change,
    },
    /// It did not come to its end in time; with `answered`, the provider had accepted it.
    NoEffect {
        change: Change,
        answered: bool,
    },
    /// There is nothing left to bring the machine back to.
    Restored,
    /// The object is being deleted for so long that the machine is left as it is.
    LeftAsItIs,
    /// The object is kept from being deleted from now on.
    IsKept,
    /// The object is not kept from being deleted any longer.
    IsFreeToGo,
}

impl Power {
    pub fn settles_the_type(&self) -> bool {
        match self {
            Self::Requested { .. }
            | Self::UnderWay { .. }
            | Self::Unknown { .. }
            | Self::Seen { .. }
            | Self::Completed { .. }
            | Self::NoEffect { .. }
            | Self::Restored
            | Self::LeftAsItIs
            | Self::IsKept
            | Self::IsFreeToGo => false,
        }
    }

    pub fn told(&self, scene: &Scene) -> Told {
        let id = &scene.desired.instance_id;
        match self {
            Self::Requested { change } => under_way(scene, change)
                .event(Worth::Always(false, match change.kind {
                    ChangeKind::Start => "StartRequested",
                    _ => "StopRequested",
                }))
                .remember(Memo::Change(change.clone())),
            Self::UnderWay { change } => {
                under_way(scene, change).remember(Memo::Change(change.clone()))
            }
            Self::Unknown { change } => unknown(scene, change),
            Self::Seen { change, complete: true } => completed(change),
            Self::Seen { change, complete: false } => {
                let change = Change { state: ChangeState::Observed, ..change.clone() };
                under_way(scene, &change).remember(Memo::Change(change))
            }
            Self::Completed { change } => completed(change),
            Self::NoEffect { change, answered } => no_effect(change, *answered),
            Self::Restored => Told::quiet(
                Reason::StartInProgress,
                format!("instance {id} runs again after it was stopped for a change"),
                AT_ONCE,
            ),
            Self::LeftAsItIs => Told::waiting(
                Reason::StartInProgress,
                format!(
                    "instance {id} was stopped for a change and could not be started again in time; it \
                     is left as it is: start it yourself if it is to run"
                ),
                AT_ONCE,
            )
            .event(Worth::Always(true, "InstanceLeftStopped"))
            .remember(Memo::LeftAsItIs),
            Self::IsKept => Told::quiet(
                Reason::StopInProgress,
                format!("instance {id} is about to be stopped for the change"),
                AT_ONCE,
            )
            // A write would make the next pass, which the finalizer wakes, lose its race.
            .not_written(),
            Self::IsFreeToGo => Told::quiet(
                Reason::StartInProgress,
                format!("instance {id} is not waited for any longer"),
                AT_ONCE,
            )
            .not_written(),
        }
    }
}

fn under_way(scene: &Scene, change: &Change) -> Told {
    let look = scene.growing(change.started_at);
    Told::going_on(Phase::Changing, in_progress(change.kind), since(change), look)
}

fn completed(change: &Change) -> Told {
    let text = done(change.kind, (&change.from, &change.to), false, None);
    let event = match change.kind {
        ChangeKind::Start => "InstanceStarted",
        _ => "InstanceStopped",
    };
    Told::going_on(Phase::Changing, in_progress(change.kind), text, AT_ONCE)
        .event(Worth::Always(false, event))
        .remember(Memo::End(change.clone(), HistoryOutcome::Completed))
}

fn no_effect(change: &Change, answered: bool) -> Told {
    let (what, outcome) = if answered {
        ("the operating system did not follow in time", HistoryOutcome::Overdue)
    } else {
        ("the answer was lost, and nothing shows that it took effect", HistoryOutcome::Unverified)
    };
    let message = format!("{}: {what}; it is decided anew", since(change));
    Told::waiting(in_progress(change.kind), message, AT_ONCE)
        .event(Worth::Always(true, "PowerChangeHadNoEffect"))
        .remember(Memo::End(change.clone(), outcome))
}

/// What a situation of the type says beside a start that is under way, or a machine that is still off.
pub fn beside(
    told: Told,
    scene: &Scene,
    power: Option<&Change>,
    restore: Option<&Restore>,
) -> Told {
    let off = scene.instance.is_some_and(|one| one.state != InstanceState::Running);
    let starting = power.filter(|change| change.kind == ChangeKind::Start);
    if restore.is_none() && starting.is_none() || !off && starting.is_none() {
        return told;
    }
    let allowed = scene.desired.allows_changes();
    let soon = match (starting, restore) {
        (Some(change), _) => Some(scene.growing(change.started_at)),
        (None, Some(restore)) if allowed => until_it_starts(scene, &told, restore),
        (None, _) => None,
    };
    let told = Told { next_look: sooner(told.next_look, soon), ..told };
    match told.phase {
        Phase::InSync if starting.is_some() || allowed => Told {
            phase: Phase::Changing,
            ready: false,
            reason: Reason::StartInProgress,
            message: format!("{}; it is being started again", told.message),
            ..told
        },
        Phase::InSync => {
            let (phase, reason, _) = super::at_rest::passive(scene.desired);
            let message = format!("{}; {}", told.message, starts_later());
            Told { phase, ready: true, reason, message, ..told }
        }
        Phase::Suspended | Phase::Drifted => {
            Told { message: format!("{}; {}", told.message, starts_later()), ..told }
        }
        Phase::Pending
        | Phase::Waiting
        | Phase::Submitting
        | Phase::Changing
        | Phase::Scheduled
        | Phase::Failed => {
            let text = match starting {
                Some(_) => "the machine is being started again",
                None => "the operator stopped the machine for a change",
            };
            match told.reason {
                // It says so itself.
                Reason::StopInProgress | Reason::StartInProgress => told,
                _ => Told { message: format!("{}; {text}", told.message), ..told },
            }
        }
    }
}

/// When to look again at a machine that is off and is to be started: at once where its change has just
/// ended, and not before its time where a start was refused.
fn until_it_starts(scene: &Scene, told: &Told, restore: &Restore) -> Option<NextLook> {
    let off = scene.instance.is_some_and(|one| one.state == InstanceState::Stopped);
    let refused =
        |memo: &Memo| matches!(memo, Memo::Refused(refusal) if refusal.kind == ChangeKind::Start);
    let ended = |memo: &Memo| matches!(memo, Memo::End(..));
    if !off || told.remembers.iter().any(refused) {
        return None;
    }
    let just_ended = told.remembers.iter().any(ended);
    Some(if just_ended { AT_ONCE } else { scene.growing(restore.since) })
}

/// A machine that is off is looked at more often than an object at rest.
fn sooner(usual: NextLook, soon: Option<NextLook>) -> NextLook {
    match (usual, soon) {
        (NextLook::After(usual), Some(NextLook::After(soon))) => NextLook::After(usual.min(soon)),
        (look, _) => look,
    }
}

fn starts_later() -> &'static str {
    "the operator stopped it for a change and starts it again once changes are allowed"
}
