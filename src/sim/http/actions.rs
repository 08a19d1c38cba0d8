//! The actions that exist (fact sheet section 7).

pub const ACTIONS: &[&str] = &[
    "ModifyInstanceType",
    "DescribeInstanceTypeStatus",
    "DescribeInstances",
    "DescribeInstancesStatus",
    "DescribeZoneInstanceConfigInfos",
    "CancelInstanceDowngrade",
    "StartInstances",
    "StopInstances",
    "RebootInstances",
    "InquiryPriceCreateInstance",
    "DescribeZones",
];

/// Whether calls of this action leave the world as it is.
pub fn reads_only(action: &str) -> bool {
    action.starts_with("Describe") || action.starts_with("Inquiry")
}

/// Refuses an action that does not exist.
pub fn check(action: &str) -> Result<(), String> {
    if ACTIONS.contains(&action) {
        return Ok(());
    }
    Err(format!("{action:?} is none of {}", ACTIONS.join(", ")))
}
