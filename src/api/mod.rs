//! The Kubernetes types: `VmInstance`, its status, conditions, reasons with their remedies, and the CRD
//! made of them. They carry no behaviour but their own schema.

mod choices;
mod condition;
mod crd;
mod lenient;
mod reason;
mod remedy;
mod status;
mod vm_instance;

pub use condition::{ConditionType, condition};
pub use crd::{crd, crd_yaml};
pub use reason::Reason;
pub use remedy::remedy;
pub use status::{
    Change, ChangeKind, ChangeState, DecisionKind, Direction, Handled, HistoryEntry,
    HistoryOutcome, ObservedInstance, PendingDecision, Phase, Power, Refusal, Restore, Target,
    VmInstanceStatus,
};
pub use vm_instance::{
    CANCEL_PLAN_ANNOTATION, CredentialsRef, ManagementPolicy, POWER_FINALIZER, PrepaidDowngrade,
    PrepaidUpgrade, RELEASE_ANNOTATION, REQUESTED_AT_ANNOTATION, SecretRef, Strategy, VmInstance,
    VmInstanceSpec,
};
