//! Condition reasons: a closed set, each with a sentence that a person can rely on.

use zenlayer::error::Problem;

use super::remedy::remedy;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident => $todo:expr,)+) => {
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

            /// What to do about it; of what passes by itself, what happens next.
            pub fn what_to_do(self) -> String {
                match self { $(Self::$name => String::from($todo),)+ }
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
    InSync => "Nothing.",
    /// The change is ordered and takes effect at the next billing cycle.
    ChangeScheduled => "Nothing; the column EFFECTIVE shows when. To take it back, set spec.instanceTypeId to the type in effect before the cycle ends.",
    /// The type differs and spec.suspend is true.
    Suspended => "Set spec.suspend to false when the machine may be changed.",
    /// The type differs and spec.managementPolicy is Observe.
    DriftObserved => "Nothing is changed. Set spec.managementPolicy to Enforce to have it resized, or spec.instanceTypeId to the type in effect.",
    /// The machine's type was read and differs from the declared one.
    TypeDiffers => "Read the reason of the condition Ready.",
    /// The machine has not been read yet, or not for a while, or is not there.
    NotObserved => "Read the reason of the condition Ready.",

    /// The call is being made.
    Submitting => "Nothing; it takes seconds.",
    /// A call was made and its answer was lost. The operator decides by what the provider shows, once the request can no longer take effect; it repeats nothing before that.
    OutcomeUnknown => "Nothing; it is decided within minutes. The message says when.",
    /// The provider accepted the change and carries it out.
    ChangeInProgress => "Nothing; it continues by itself.",
    /// A scheduled change is cancelled first.
    CancelInProgress => "Nothing; it continues by itself.",
    /// The machine is being shut down for the change (spec.strategy is StopFirst).
    StopInProgress => "Nothing; it continues by itself.",
    /// The machine is being started again after the change.
    StartInProgress => "Nothing; it continues by itself.",

    /// The machine's state allows no change now.
    InstanceBusy => "Nothing; the change is made once the machine is RUNNING or STOPPED.",
    /// Another VmInstance has a change of this machine in progress.
    ChangeHeldElsewhere => "Nothing; it continues once that change is complete. Only one VmInstance should name a machine.",
    /// A change that this object did not order is pending or running.
    ForeignPlan => "Wait for it, or cancel a scheduled one with the annotation vm.zenlayer.com/cancel-plan, whose value is its target type.",
    /// The operator reads the machine again before it goes on.
    ReadAgain => "Nothing; it goes on in a moment.",
    /// The answers to calls were lost, and nothing shows that one took effect.
    AnswersLost => "Nothing; the message says when the next call is made.",
    /// Two reads of the machine contradict each other.
    ReadsDisagree => "Nothing; the machine is read again.",
    /// The limit of orders per hour is reached.
    OrderLimitReached => "Nothing; the change is ordered when the message says. If so many changes are meant, raise --max-orders-per-hour; if not, set the specs back, or suspend the objects.",
    /// The limit of orders per hour for one namespace is reached.
    NamespaceOrderLimitReached => "Nothing; the change is ordered when the message says. If so many changes are meant, raise --max-orders-per-namespace-per-hour; if not, set the specs back, or suspend the objects.",
    /// The limit of orders per hour for one VmInstance is reached.
    ObjectOrderLimitReached => "Find out who keeps changing spec.instanceTypeId: two tools may fight over it. The change is ordered when the message says; --max-orders-per-object-per-hour raises the limit.",
    /// Another operator of the cluster serves this object, too.
    ServedTwice => "Nothing while an operator is replaced by one with other options: the older one's lease runs out. Else give the operators selections without a common object (--watch-namespaces, --selector), or stop one of them; the message names it.",
    /// A user released a change.
    Released => "Nothing; the machine is read again at once.",
    /// The VmInstance is being deleted.
    BeingDeleted => "Nothing; nothing new is ordered.",
    /// The provider limits the rate of calls.
    RateLimited => "Nothing; it is tried again with growing pauses. Lower --requests-per-second if others share the credential.",
    /// The provider's API does not answer, or not as documented.
    ApiUnavailable => "Nothing; it is tried again with growing pauses. If it lasts, look at the message, the network and the proxy.",
    /// The Kubernetes API refused or failed a call of the operator.
    KubernetesUnavailable => "Nothing if it passes. If the message says forbidden, apply the operator's RBAC again.",

    /// The spec holds a value that the schema should have refused.
    InvalidSpec => "Correct the field that the message names, and apply the CRD of this version.",
    /// The status holds a value that the operator did not write.
    InvalidStatus => "Check the orders in the provider's console, then correct the field that the message names with kubectl edit --subresource=status.",
    /// The Secret does not exist.
    SecretNotFound => "Create the Secret in the namespace of the VmInstance, with the keys accessKeyId and accessKeyPassword, or with the type vm.zenlayer.com/credentials and the key token.",
    /// The Secret lacks a key, or a key is empty.
    SecretIncomplete => "Correct the key that the message names.",
    /// The Secret was made for something else: nothing of it is sent to the provider. Its type must be vm.zenlayer.com/credentials, or Opaque with no other keys than accessKeyId and accessKeyPassword.
    SecretTypeRefused => "Create a Secret of the type vm.zenlayer.com/credentials, and name it in spec.credentials.secretRef. The type of a Secret cannot be changed: delete it first where the name is to stay.",
    /// The provider does not accept the access key or token.
    CredentialsRejected => retried(Problem::CredentialsRejected),
    /// The credential may not use an action.
    PermissionDenied => retried(Problem::PermissionDenied),
    /// The operator's clock and the provider's are too far apart to sign a call safely.
    ClockSkewed => retried(Problem::ClockSkewed),
    /// Something in front of the provider's API blocked the request.
    BlockedByEdge => retried(Problem::BlockedByEdge),
    /// The provider knows no such machine.
    InstanceNotFound => remedy_of(Problem::InstanceNotFound),
    /// The machine is in the recycle bin or being destroyed.
    InstanceRecycled => remedy_of(Problem::InstanceRecycled),
    /// The machine's creation failed.
    InstanceUnusable => "Ask the provider, or delete the VmInstance.",
    /// The provider knows no such instance type.
    InstanceTypeNotFound => remedy_of(Problem::InstanceTypeNotFound),
    /// The machine's zone does not offer that instance type for its charge type.
    InstanceTypeNotOffered => "Set spec.instanceTypeId to one of the types that the message lists.",
    /// The machine cannot take that instance type.
    InstanceTypeUnsupported => remedy_of(Problem::InstanceTypeUnsupported),
    /// The machine's bandwidth exceeds what that instance type allows.
    BandwidthExceedsLimit => "Lower the machine's bandwidth, or set spec.instanceTypeId to one of the types that the message lists.",
    /// The policy forbids a PREPAID change to a higher list price.
    UpgradeDenied => "Set spec.prepaidUpgrade to Allow, or spec.instanceTypeId to the type in effect.",
    /// The policy forbids a PREPAID change to a lower list price.
    DowngradeDenied => "Set spec.prepaidDowngrade to Schedule, or spec.instanceTypeId to the type in effect.",
    /// It is not known whether the PREPAID change is an upgrade, and the policy forbids one of the two.
    DirectionUnknown => "Set spec.prepaidUpgrade to Allow and spec.prepaidDowngrade to Schedule, or spec.instanceTypeId to the type in effect.",
    /// The machine's zone does not offer the change.
    ZoneNotSupported => retried(Problem::ZoneNotSupported),
    /// The resource group does not exist.
    ResourceGroupNotFound => retried(Problem::ResourceGroupNotFound),
    /// The instance type is sold out.
    OutOfStock => remedy_of(Problem::OutOfStock),
    /// The provider refused the request's form.
    RequestInvalid => remedy_of(Problem::RequestInvalid),
    /// The provider refused with a code that this version does not know.
    RefusedByProvider => "Read the provider's text in the message. It is tried again with pauses that grow from 30 minutes to 6 hours; to try now, set the annotation vm.zenlayer.com/requested-at to a new value.",
    /// The answer was lost and nothing at the provider shows that the call took effect.
    OutcomeUnverified => "Check the orders in the provider's console, then set the annotation that status.pendingDecision names.",
    /// An accepted change was not completed in time.
    ChangeOverdue => "Ask the provider about the order. The operator keeps watching it; status.pendingDecision says what you can decide.",
    /// The change was accepted and is no longer pending, and the machine is not as it was to be.
    ChangeNotInEffect => "Ask the provider about the order. The operator keeps watching it; status.pendingDecision says what you can decide.",
    /// The change was ordered once for this declaration, and it was changed back outside this object.
    Reverted => "Find out who changed it back. To order it again, and pay again, set the annotation that status.pendingDecision names.",
    /// An older VmInstance names the same machine.
    DuplicateClaim => "Delete one of the two VmInstances; the machine is not touched.",
}

/// What the messages say of a problem, as a sentence of its own.
fn remedy_of(problem: Problem) -> String {
    let text = remedy(problem);
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

/// The same of a problem that is tried again by itself.
fn retried(problem: Problem) -> String {
    format!("{} It is tried again by itself, with growing pauses.", remedy_of(problem))
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
