//! The names of the API's actions.

/// The actions that are simulated.
pub const ACTIONS: &[&str] = &[
    "CancelInstanceDowngrade",
    "DescribeInstanceTypeStatus",
    "DescribeInstances",
    "DescribeInstancesStatus",
    "DescribeZoneInstanceConfigInfos",
    "DescribeZones",
    "InquiryPriceCreateInstance",
    "ModifyInstanceType",
    "RebootInstances",
    "StartInstances",
    "StopInstances",
];

/// Whether calls of this action leave the world as it is.
pub fn reads_only(action: &str) -> bool {
    action.starts_with("Describe") || action.starts_with("Inquiry")
}
