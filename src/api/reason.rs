//! Condition reasons: a closed set, each with a sentence that a person can rely on.

use zenlayer::error::Problem;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident),+ $(,)?) => {
        /// Why a condition has its status.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $($(#[doc = $doc])+ $name,)+ }

        impl Reason {
            /// Every reason, in the order of this file.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// What a person can rely on when it is shown.
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii_start(),)+ }
            }

            /// The reason of that name.
            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| reason.as_str() == name)
            }
        }
    };
}

reasons! {
    /// The machine is of the declared type.
    InSync,
    /// The change is ordered and takes effect at the next billing cycle.
    ChangeScheduled,
    /// The type differs and the object is suspended.
    Suspended,
    /// The type differs and the policy is to observe only.
    DriftObserved,
    /// The machine's type was read and differs from the declared one.
    TypeDiffers,
    /// The machine has not been read yet.
    NotObserved,

    /// The paid call is being made.
    Submitting,
    /// The call was made and no answer is known; it is settled after the fence, never repeated.
    OutcomeUnknown,
    /// The provider accepted the change and carries it out.
    ChangeInProgress,
    /// A scheduled change is taken back first.
    CancelInProgress,
    /// The machine is being stopped for the change.
    StopInProgress,
    /// The machine is being started again after the change.
    StartInProgress,

    /// The machine's state allows no change now.
    InstanceBusy,
    /// A change of this machine by another VmInstance is not settled yet.
    ChangeHeldElsewhere,
    /// A plan to another type is pending that this object did not order.
    ForeignPlan,
    /// Two reads of the machine contradict each other, or are too old to act on.
    ReadsDisagree,
    /// As many changes were ordered within an hour as the operator may order.
    OrderLimitReached,
    /// The provider limits the rate of calls.
    RateLimited,
    /// The provider's API does not answer as documented.
    ApiUnavailable,
    /// The Kubernetes API refused or failed a call of the operator.
    KubernetesUnavailable,

    /// The spec holds a value that the schema should have refused.
    InvalidSpec,
    /// The status holds a value that the operator did not write.
    InvalidStatus,
    /// The Secret does not exist.
    SecretNotFound,
    /// The Secret lacks a key, or a key is empty.
    SecretIncomplete,
    /// The provider does not accept the access key or token.
    CredentialsRejected,
    /// The credential may not use an action.
    PermissionDenied,
    /// The operator's clock and the provider's are too far apart to sign a paid call safely.
    ClockSkewed,
    /// The provider's edge blocked the request.
    BlockedByEdge,
    /// The provider knows no such machine.
    InstanceNotFound,
    /// The machine is in the recycle bin or being destroyed.
    InstanceRecycled,
    /// The machine's creation failed.
    InstanceUnusable,
    /// The provider knows no such instance type.
    InstanceTypeNotFound,
    /// The machine's zone does not offer that instance type for its charge type.
    InstanceTypeNotOffered,
    /// The machine cannot take that instance type.
    InstanceTypeUnsupported,
    /// The machine's bandwidth exceeds what that instance type allows.
    BandwidthExceedsLimit,
    /// The policy forbids a PREPAID change to a higher list price.
    UpgradeDenied,
    /// The policy forbids a PREPAID change to a lower list price.
    DowngradeDenied,
    /// It is not known whether the PREPAID change is an upgrade, and the policy forbids one way.
    DirectionUnknown,
    /// The machine's zone does not offer the change.
    ZoneNotSupported,
    /// The resource group does not exist.
    ResourceGroupNotFound,
    /// The instance type is sold out.
    OutOfStock,
    /// The provider refused the request's form.
    RequestInvalid,
    /// The provider refused with a code that this version does not know.
    RefusedByProvider,
    /// No answer came and nothing shows that the call took effect: a person decides.
    OutcomeUnverified,
    /// An accepted change has not come to its end in time.
    ChangeOverdue,
    /// The change is accepted and no longer pending, and the machine is not as it was to be.
    ChangeNotInEffect,
    /// The change was ordered once for this target and the world undid it: a person decides.
    Reverted,
    /// An older VmInstance claims the same machine.
    DuplicateClaim,
}

impl From<Problem> for Reason {
    /// How a problem of the provider's error table is shown.
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::InstanceNotFound => Self::InstanceNotFound,
            Problem::InstanceTypeNotFound => Self::InstanceTypeNotFound,
            Problem::InstanceTypeUnsupported => Self::InstanceTypeUnsupported,
            Problem::InstanceTypeNotChanged | Problem::NoPlanToCancel => Self::ReadsDisagree,
            Problem::InstanceRecycled => Self::InstanceRecycled,
            Problem::InstanceBusy => Self::InstanceBusy,
            Problem::ZoneNotSupported => Self::ZoneNotSupported,
            Problem::PlanExists | Problem::ChangeRunning => Self::ForeignPlan,
            Problem::OutOfStock => Self::OutOfStock,
            Problem::RequestInvalid => Self::RequestInvalid,
            Problem::CredentialsRejected => Self::CredentialsRejected,
            Problem::PermissionDenied => Self::PermissionDenied,
            Problem::ClockSkewed => Self::ClockSkewed,
            Problem::BlockedByEdge => Self::BlockedByEdge,
            Problem::ResourceGroupNotFound => Self::ResourceGroupNotFound,
        }
    }
}
