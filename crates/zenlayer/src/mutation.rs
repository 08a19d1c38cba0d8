//! The calls that change a machine: what each does, and one that is ready to be sent.

use std::{fmt, time::Duration};

use jiff::Timestamp;

use super::{InstanceId, InstanceTypeId};

/// What a mutating call does to its instance. None of them has an idempotency token, and all of them
/// are asynchronous: the provider answers before the work is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mutation {
    /// `ModifyInstanceType`: the paid one, and the only one whose acceptance carries an order
    /// number. Allowed while the instance is running or stopped. POSTPAID changes at once; PREPAID
    /// is charged and changed at once if the list price rises, and scheduled for the next billing
    /// cycle if it falls (page "ModifyInstanceType"). No page says whether a running guest reboots.
    Modify {
        /// The type that it is to be of.
        to: InstanceTypeId,
    },
    /// `CancelInstanceDowngrade`: takes back the downgrade that waits for the next cycle.
    CancelDowngrade,
    /// `StartInstances` with one id.
    Start,
    /// `StopInstances` with one id, never forced: a guest may ignore it. (The provider's default is
    /// a hard power-off; the official Go client says so.)
    Stop,
    /// `RebootInstances` with one id.
    Reboot,
}

impl Mutation {
    /// The name of the provider's action.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Modify { .. } => "ModifyInstanceType",
            Self::CancelDowngrade => "CancelInstanceDowngrade",
            Self::Start => "StartInstances",
            Self::Stop => "StopInstances",
            Self::Reboot => "RebootInstances",
        }
    }
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.action())
    }
}

/// One mutating call, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What is done.
    pub mutation: Mutation,
    /// The instance that it is done to.
    pub instance_id: InstanceId,
    /// The timestamp that is signed: the provider refuses the request once its clock is more than
    /// [`SIGNATURE_LIFE`](crate::SIGNATURE_LIFE) past it, however late the request is delivered. A
    /// bearer token signs nothing, so its requests never expire.
    pub signed_at: Timestamp,
    /// How much of the window in which the request may be sent is left. Half of it is for making a
    /// client (which reads the system's certificates), half for DNS, TCP and TLS. A call that is not
    /// connected by then is [not sent](crate::Answer::NotSent).
    pub send_within: Duration,
}
