//! The faults of one call, at most one for each step.

use jiff::SignedDuration;

use super::{Fault, FaultKind, Step};
use crate::world::Effect;

/// What is played for one call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Play {
    kinds: Vec<FaultKind>,
    /// A fault keeps the call from the service.
    prevented: bool,
}

impl Play {
    /// Adds a fault, unless its step has one.
    pub(super) fn accept(&mut self, fault: &Fault) -> bool {
        let step = fault.kind.step();
        if self.at(step).is_some() {
            return false;
        }
        let effect = fault.selector.effect.unwrap_or_else(|| fault.kind.has_effect());
        self.prevented |= !effect;
        self.kinds.push(fault.kind.clone());
        true
    }

    pub fn at(&self, step: Step) -> Option<&FaultKind> {
        self.kinds.iter().find(|kind| kind.step() == step)
    }

    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Whether the service decides the call.
    pub fn reaches_service(&self) -> bool {
        !self.prevented
    }

    pub fn names(&self) -> Vec<&'static str> {
        self.kinds.iter().map(FaultKind::name).collect()
    }

    /// How late the request is.
    pub fn lateness(&self) -> Option<SignedDuration> {
        match self.at(Step::Arrival) {
            Some(FaultKind::LateRequest { seconds }) => Some(duration(*seconds)),
            _ => None,
        }
    }

    /// What becomes of the call once it is accepted.
    pub fn effect(&self) -> Effect {
        match self.at(Step::Decision) {
            Some(FaultKind::RegistrationLag { seconds }) => Effect::After(duration(*seconds)),
            Some(FaultKind::FailsSilently {}) => Effect::FailsSilently,
            _ => Effect::Normal,
        }
    }

    /// How far the service's clock is ahead.
    pub fn clock_skew(&self) -> SignedDuration {
        match self.at(Step::Clock) {
            Some(FaultKind::ClockSkew { seconds }) => duration(*seconds),
            _ => SignedDuration::ZERO,
        }
    }
}

/// Checked to be finite when the rule was read.
pub(super) fn duration(seconds: f64) -> SignedDuration {
    SignedDuration::try_from_secs_f64(seconds).unwrap_or_default()
}
