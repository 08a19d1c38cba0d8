//! What a situation amounts to.

use std::time::Duration;

use jiff::Timestamp;
use zenlayer::Instance;

use crate::{
    api::{HistoryOutcome, PendingDecision, Phase, Reason},
    lifecycle::{
        Desired,
        backoff::spread_over,
        ended::Ended,
        memory::Refusal,
        protocol::{Change, ChangeId, LaneName},
    },
};

/// When to look again, if nothing wakes the object before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextLook {
    After(Duration),
    /// After a pause that grows with each time in a row.
    Backoff,
    /// Only once the object changes.
    OnChange,
    /// It is told when its turn has come, or its machine was read; at the latest after so long.
    WhenTold(Duration),
}

/// Something that happened once and that a person may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub warning: bool,
    pub reason: &'static str,
    pub note: String,
}

/// What a situation is told of.
pub struct Scene<'a> {
    pub desired: &'a Desired,
    pub instance: Option<&'a Instance>,
    /// The changes that ended, oldest first.
    pub history: &'a [Ended],
    pub now: Timestamp,
}

/// What is remembered of a situation.
#[derive(Debug, Clone, PartialEq)]
pub enum Memo {
    /// The change of a lane is this one from now on.
    Change(Change),
    /// A change ended.
    End(Change, HistoryOutcome),
    /// A change is not followed any more, and leaves no trace.
    Drop(LaneName),
    /// A call was certainly not made.
    Withdrawn(ChangeId),
    /// A change that is followed again leaves the history.
    Resumed(Change),
    /// Every ended change of this name was released.
    Released(ChangeId),
    /// The release annotation was acted on.
    ReleaseHandled(ChangeId),
    /// A person asked for this cancellation, and it was not made: the word still stands.
    AskAgain(Change),
    /// A call was refused, by the provider or by this operator.
    Refused(Refusal),
    /// The machine is left as it is: nothing is to be brought back, and nothing is followed.
    LeftAsItIs,
    /// The order number and request id of the status are those of this change.
    Numbers(Change),
}

/// Which event a situation is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    Nothing,
    /// Whenever it is met.
    Always(bool, &'static str),
    /// When phase or reason change with it.
    News(bool, &'static str),
}

/// What a situation amounts to.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    pub phase: Phase,
    pub ready: bool,
    pub reason: Reason,
    pub message: String,
    pub event: Worth,
    pub next_look: NextLook,
    pub asks: Option<PendingDecision>,
    pub remembers: Vec<Memo>,
    pub written: Written,
}

/// Whether the status is written for a situation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Wherever it differs.
    Always,
    /// Only if the status speaks of an older spec.
    OfANewSpec,
    /// Not at all: in a moment there is more to say.
    Never,
}

impl Told {
    fn new(
        phase: Phase,
        ready: bool,
        reason: Reason,
        message: String,
        next_look: NextLook,
    ) -> Self {
        // An object that asks for a person says so once.
        let event = match phase {
            Phase::Failed => Worth::News(true, reason.as_str()),
            Phase::Pending
            | Phase::InSync
            | Phase::Drifted
            | Phase::Waiting
            | Phase::Submitting
            | Phase::Changing
            | Phase::Scheduled
            | Phase::Suspended => Worth::Nothing,
        };
        let (asks, remembers, written) = (None, Vec::new(), Written::Always);
        Self { phase, ready, reason, message, event, next_look, asks, remembers, written }
    }

    /// All that this spec lets the operator do is done.
    pub fn ready(phase: Phase, reason: Reason, message: String, look: NextLook) -> Self {
        Self::new(phase, true, reason, message, look)
    }

    /// Something is to be done, and goes on by itself.
    pub fn going_on(phase: Phase, reason: Reason, message: String, look: NextLook) -> Self {
        Self::new(phase, false, reason, message, look)
    }

    pub fn waiting(reason: Reason, message: String, look: NextLook) -> Self {
        Self::new(Phase::Waiting, false, reason, message, look)
    }

    /// A person has to act.
    pub fn failed(reason: Reason, message: String, look: NextLook) -> Self {
        Self::new(Phase::Failed, false, reason, message, look)
    }

    /// A pass that says nothing new: another read will.
    pub fn quiet(reason: Reason, message: String, look: NextLook) -> Self {
        Self { written: Written::OfANewSpec, ..Self::waiting(reason, message, look) }
    }

    /// In a moment there is more to say.
    pub fn not_written(self) -> Self {
        Self { written: Written::Never, ..self }
    }

    pub fn event(self, event: Worth) -> Self {
        Self { event, ..self }
    }

    pub fn asks(self, decision: PendingDecision) -> Self {
        Self { asks: Some(decision), ..self }
    }

    pub fn remember(mut self, memo: Memo) -> Self {
        self.remembers.push(memo);
        self
    }
}

/// The step that follows is taken at once.
pub const AT_ONCE: NextLook = NextLook::After(Duration::from_secs(1));

impl Scene<'_> {
    /// As often as any object is looked at.
    pub fn at_rest(&self) -> NextLook {
        NextLook::After(spread_over(self.desired.timing.drift, &self.desired.object.uid))
    }

    /// Pauses that grow with the age of what is looked at.
    pub fn growing(&self, since: Timestamp) -> NextLook {
        let (first, longest) = self.desired.timing.poll;
        let age = self.now.duration_since(since).unsigned_abs();
        NextLook::After((age / 5).clamp(first, longest))
    }

    /// At this moment, and not later than any object is looked at.
    pub fn at(&self, time: Timestamp) -> NextLook {
        let left = time.duration_since(self.now);
        let left = if left.is_negative() { Duration::ZERO } else { left.unsigned_abs() };
        let pause = spread_over(left, &self.desired.object.uid);
        let timing = &self.desired.timing;
        NextLook::After(pause.clamp(timing.poll.0.min(timing.drift), timing.drift))
    }

    /// After this long, and never sooner than at once.
    pub fn after(&self, pause: Duration) -> NextLook {
        NextLook::After(pause.max(Duration::from_millis(100)))
    }
}
