//! Remedies: what a person can do about each problem of the provider's error table, and of what
//! passes by itself, what happens next. They speak of the objects of this operator, so they are not
//! the client's.

use zenlayer::error::Problem;

macro_rules! remedies {
    ($($name:ident => $remedy:literal),+ $(,)?) => {
        /// What a person can do about it; of what passes by itself, what happens next.
        pub fn remedy(problem: Problem) -> &'static str {
            match problem { $(Problem::$name => $remedy,)+ }
        }
    };
}

remedies! {
    InstanceNotFound => "correct spec.instanceId by a new object, or delete this one",
    InstanceTypeNotFound => "set spec.instanceTypeId to a type that the instance's zone offers",
    InstanceTypeUnsupported => "set spec.instanceTypeId to a type that this instance can take",
    InstanceTypeNotChanged => "the provider shows another type than it says; it is read again",
    InstanceRecycled => "restore the instance in the provider's console, or delete this object",
    InstanceBusy => "it is tried again once the instance is at rest",
    ZoneNotSupported =>
        "ask the provider whether the zone offers changes, then set the annotation \
         vm.zenlayer.com/retry-at; or declare the type in effect",
    PlanExists =>
        "it is tried again once that plan is gone; cancel it in the provider's console, or declare \
         its type",
    ChangeRunning => "it is tried again once that change is done",
    NoPlanToCancel => "the provider shows a plan that it says is not there; it is read again",
    OutOfStock =>
        "it is tried again every half an hour; declare another type, or set the annotation \
         vm.zenlayer.com/retry-at to try now",
    RequestInvalid =>
        "change the spec, or set the annotation vm.zenlayer.com/retry-at to try again; if the spec \
         is right, report a fault of the operator",
    CredentialsRejected => "correct the key or token in the Secret",
    PermissionDenied =>
        "allow the credential DescribeInstances, DescribeInstanceTypeStatus, \
         DescribeZoneInstanceConfigInfos, InquiryPriceCreateInstance, ModifyInstanceType, \
         CancelInstanceDowngrade, StopInstances and StartInstances, then set the annotation \
         vm.zenlayer.com/retry-at",
    ClockSkewed => "synchronise the clock of the operator's node",
    BlockedByEdge => "ask the provider to let the operator's address through",
    ResourceGroupNotFound =>
        "correct the instance's resource group in the provider's console, then set the annotation \
         vm.zenlayer.com/retry-at",
}
