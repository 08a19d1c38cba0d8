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
    InstanceNotFound =>
        "check the id: spec.instanceId cannot be changed, so delete this VmInstance and create one \
         with the right id",
    InstanceTypeNotFound => "set spec.instanceTypeId to a type that the instance's zone offers",
    InstanceTypeUnsupported => "set spec.instanceTypeId to a type that this instance can take",
    InstanceTypeNotChanged =>
        "the provider says that the type is in effect already, and shows another one; it is read again",
    InstanceRecycled =>
        "restore the instance in the provider's console, or delete this VmInstance",
    InstanceBusy => "it is tried again once the instance is RUNNING or STOPPED",
    ZoneNotSupported =>
        "ask the provider whether the zone offers changes, then set the annotation \
         vm.zenlayer.com/requested-at to a new value; or set spec.instanceTypeId to the type in effect",
    PlanExists =>
        "it is tried again once no other change is scheduled; cancel that one in the provider's \
         console, or set spec.instanceTypeId to its type",
    ChangeRunning => "it is tried again once the running change is complete",
    NoPlanToCancel =>
        "the provider shows a scheduled change and says that there is none; it is read again",
    OutOfStock =>
        "it is tried again every 30 minutes; set spec.instanceTypeId to another type, or, to try now, \
         set the annotation vm.zenlayer.com/requested-at to a new value",
    RequestInvalid =>
        "change the spec, or, to try again, set the annotation vm.zenlayer.com/requested-at to a new \
         value; if the spec is right, report a fault of the operator",
    CredentialsRejected => "correct the key or token in the Secret",
    PermissionDenied =>
        "allow the credential DescribeInstances, DescribeInstanceTypeStatus, \
         DescribeZoneInstanceConfigInfos, InquiryPriceCreateInstance, ModifyInstanceType, \
         CancelInstanceDowngrade, StopInstances and StartInstances, then set the annotation \
         vm.zenlayer.com/requested-at to a new value",
    ClockSkewed => "synchronise the clock of the operator's node",
    BlockedByEdge => "ask the provider to allow the operator's IP address",
    ResourceGroupNotFound =>
        "correct the instance's resource group in the provider's console, then set the annotation \
         vm.zenlayer.com/requested-at to a new value",
}
