//! How the provider's plan is read: open unless it is certainly none.

use zenlayer::{InstanceTypeId, PlanState, TypeStatus};

/// A pending or running change as the provider shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanView {
    /// No change is pending.
    None,
    /// A change is pending or running; the target may be missing.
    Open { to: Option<InstanceTypeId>, stage: PlanStage },
}

/// What an open plan does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanStage {
    Running,
    /// It takes effect at the next billing cycle.
    Scheduled,
    /// The provider shows a state that this version does not know. Never success, never nothing.
    Unknown,
}

impl PlanView {
    /// `Enable` and `Disable` are no plan, whatever the target says: the sample answer on the
    /// provider's page of DescribeInstanceTypeStatus shows Enable beside a target that differs.
    pub fn of(status: &TypeStatus) -> Self {
        let open = |stage| Self::Open { to: status.target.clone(), stage };
        match (&status.state, &status.target) {
            (Some(PlanState::Processing), _) => open(PlanStage::Running),
            (Some(PlanState::WaitToEnable), _) => open(PlanStage::Scheduled),
            (Some(PlanState::Enable | PlanState::Disable), _) => Self::None,
            (Some(PlanState::Other(_)), _) => open(PlanStage::Unknown),
            (None, Some(target)) if *target != status.current => open(PlanStage::Unknown),
            (None, _) => Self::None,
        }
    }

    pub fn is_to(&self, type_id: &InstanceTypeId) -> bool {
        matches!(self, Self::Open { to: Some(to), .. } if to == type_id)
    }
}
