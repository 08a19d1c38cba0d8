//! Conditions: their types, and the one way to build them.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{Reason, VmInstanceStatus};

/// The API server refuses a longer message.
const MESSAGE_LIMIT: usize = 32_768;

/// The conditions of a VmInstance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConditionType {
    /// The operator has done all that this spec lets it do.
    Ready,
    /// The machine is of the declared type.
    InSync,
    /// The operator is working, or waiting to be able to work. Present only while True.
    Reconciling,
    /// It needs attention: the message says by whom, and whether it is tried again. Present only while True.
    Stalled,
}

impl ConditionType {
    /// Every condition that the operator writes.
    pub const ALL: &[Self] = &[Self::Ready, Self::InSync, Self::Reconciling, Self::Stalled];

    /// The condition of that name, if it is one of the operator's.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.as_str() == name)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::InSync => "InSync",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
        }
    }
}

impl VmInstanceStatus {
    /// This status with the conditions that others have written into the one that was found. The
    /// operator's own ones stay as they are.
    pub fn beside_others(&self, found: &Self) -> Self {
        let is_ours = |one: &&Condition| ConditionType::parse(&one.type_).is_some();
        let ours = self.conditions.iter().filter(is_ours);
        let others = found.conditions.iter().filter(|one| !is_ours(one));
        Self { conditions: ours.chain(others).cloned().collect(), ..self.clone() }
    }
}

/// Builds a condition; `lastTransitionTime` moves only when the status differs from before.
pub fn condition(
    before: &[Condition],
    type_: ConditionType,
    status: &str,
    reason: Reason,
    message: &str,
    generation: i64,
    now: Timestamp,
) -> Condition {
    let since = before
        .iter()
        .find(|old| old.type_ == type_.as_str() && old.status == status)
        .map_or(Time(now), |old| old.last_transition_time.clone());
    Condition {
        type_: type_.as_str().to_owned(),
        status: status.to_owned(),
        reason: reason.as_str().to_owned(),
        message: message[..message.floor_char_boundary(MESSAGE_LIMIT)].to_owned(),
        observed_generation: Some(generation),
        last_transition_time: since,
    }
}
