//! What the runs went through: a simulation that never loses an answer proves nothing about lost
//! answers.

macro_rules! seen {
    ($($name:ident => $text:literal,)+) => {
        /// Something that a run went through.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Seen { $($name,)+ }

        /// Each with its words.
        pub const ALL: &[(Seen, &str)] = &[$((Seen::$name, $text),)+];
    };
}

seen! {
    Ordered => "an accepted order",
    AnswerLost => "an accepted call whose answer was lost",
    OrderAnswerLost => "an accepted order whose answer was lost",
    RequestLost => "a call that never arrived",
    NotSent => "a call that was not sent",
    Refused => "a refused call",
    RefusedForGood => "a refused call that is not made again by itself",
    LateLanding => "a call that landed more than 30 s after it was sent",
    Expired => "a call that came after its signature had expired",
    CrashAfterCall => "a crash between a call and its record",
    CrashBeforeCall => "a crash between the slot and the call",
    Crash => "a crash",
    Freeze => "a process that was frozen",
    FrozenBeforeCall => "a process that was frozen before a call left it",
    LateWrite => "a write that landed after its process had left it",
    WriteAnswerLost => "a write that landed and whose answer was lost",
    Conflict => "a write that somebody else came before",
    NoOpWrite => "a status write that changed nothing",
    Away => "the Kubernetes API away",
    Woken => "an object that another one woke",
    Stale => "a pass over an object that had been written since",
    Overlap => "two processes in a pass over one object",
    Kept => "an answer that was written down more than 30 s after it was read",
    LaggingSlot => "a slot that was read as it had been before",
    SlotDeleted => "a slot that said nothing any more",
    Stop => "an accepted stop of StopFirst",
    Start => "an accepted start",
    LeftAsItIs => "a machine that was left off after its object was kept for long",
    Deaf => "a guest that ignored a stop",
    Cancel => "an accepted cancellation",
    Scheduled => "a change that waits for its cycle",
    Flip => "a cycle that ended",
    Adopted => "an own call that was adopted after its fence",
    ForeignFollowed => "a change of somebody else that is followed",
    ForeignPlan => "a plan of somebody else in the way",
    OutcomeUnknown => "an unknown outcome",
    Unverified => "an unverified outcome",
    Asked => "a person who is asked",
    Released => "a person's release that was acted on",
    Reverted => "a change that the world undid",
    ConsolePower => "a person who powers the machine in the console",
    ConsoleType => "a person who changes the type in the console",
    Recreated => "an object that was deleted and created again",
    DeletedInFlight => "an object that was deleted with a call in flight",
    Finalizer => "an object that stayed because of a finalizer",
    Duplicate => "two objects on one machine",
    SecretTrouble => "a Secret that was missing or wrong",
    Skewed => "clocks too far apart",
    Limited => "the order limit reached",
    Lagged => "a read that lagged behind",
    Empty => "an empty list in place of the machine",
    ReadRefused => "a refused read",
    Takeover => "another leader",
    Bearer => "a bearer token",
    Calm => "everything came to rest",
}

/// Too rare for some thousand runs to go through it for certain. `tests/cluster/away.rs` and the power
/// rows of `tests/lifecycle` bring each about.
pub const RARE: &[Seen] = &[Seen::Kept, Seen::LeftAsItIs];

/// What one run went through.
#[derive(Clone, Copy, Default)]
pub struct Coverage(u64);

impl Coverage {
    pub fn saw(&mut self, what: Seen) {
        self.0 |= 1 << what as u64;
    }

    pub fn has(self, what: Seen) -> bool {
        self.0 & (1 << what as u64) != 0
    }
}
