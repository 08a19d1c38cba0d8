//! What the provider says of an instance, decoded but not interpreted: every enumeration is open,
//! because the provider may add values.

use std::fmt;

use jiff::Timestamp;
use rust_decimal::Decimal;

use super::{InstanceId, InstanceTypeId};

/// An enumeration of the wire that may grow: the known values, and any other one kept verbatim.
macro_rules! open_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $wire:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
            /// A value that this version does not know, as it came.
            Other(String),
        }

        impl $name {
            /// The value of the wire, exactly as it is written there.
            pub fn from_wire(value: &str) -> Self {
                match value {
                    $($wire => Self::$variant,)+
                    other => Self::Other(other.to_owned()),
                }
            }

            /// As on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $wire,)+
                    Self::Other(value) => value,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

open_enum! {
    /// `instanceChargeType`: how the instance is billed. Decides when a change takes effect and
    /// what it costs. (The English page "ModifyInstanceType" names `internetChargeType` there; the
    /// Chinese one, and the values, show that it is this field.)
    ChargeType {
        /// Paid in advance, for a cycle that ends at [`Instance::expires_at`].
        Prepaid = "PREPAID",
        /// Paid by use.
        Postpaid = "POSTPAID",
    }
}

open_enum! {
    /// `instanceStatus`: the thirteen values of the official command line's reference. A sibling
    /// product has more, so take an unknown one for busy.
    InstanceState {
        /// Waiting to be created.
        Pending = "PENDING",
        /// Being created.
        Deploying = "DEPLOYING",
        /// Its creation failed.
        CreateFailed = "CREATE_FAILED",
        /// On. Its type can be changed.
        Running = "RUNNING",
        /// Off. Its type can be changed.
        Stopped = "STOPPED",
        /// Starting.
        Booting = "BOOTING",
        /// Shutting down.
        Stopping = "STOPPING",
        /// Rebooting.
        Reboot = "REBOOT",
        /// Its operating system is being installed anew.
        Rebuilding = "REBUILDING",
        /// An image is being taken of it.
        Imaging = "IMAGING",
        /// In the recycle bin.
        Recycle = "RECYCLE",
        /// On its way to the recycle bin.
        Recycling = "RECYCLING",
        /// Being destroyed.
        Releasing = "RELEASING",
    }
}

open_enum! {
    /// `modifiedInstanceTypeStatus`. Never proof of completion by itself: the sample of the page
    /// "DescribeInstanceTypeStatus" shows `Enable` beside a target that is not in effect.
    PlanState {
        /// The change is running.
        Processing = "Processing",
        /// The target waits for the next billing cycle.
        WaitToEnable = "WaitToEnable",
        /// The type is in effect, or available: with a differing current type it proves nothing.
        Enable = "Enable",
        /// No scheduled change is supported. (Of the official command line; not on the page.)
        Disable = "Disable",
    }
}

/// One instance as `DescribeInstances` shows it (the page of that name). A field that is null, empty,
/// absent or of another JSON type is `None`; only id, type, state and charge type have to be there.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// `instanceId`.
    pub id: InstanceId,
    /// `instanceName`.
    pub name: Option<String>,
    /// `zoneId`, such as `FRA-A`.
    pub zone_id: Option<String>,
    /// `instanceType`: the type in effect.
    pub type_id: InstanceTypeId,
    /// `instanceStatus`.
    pub state: InstanceState,
    /// `instanceChargeType`.
    pub charge_type: ChargeType,
    /// `cpuCount`: cores.
    pub cpu_count: Option<i64>,
    /// `memory`, in GiB.
    pub memory_gib: Option<i64>,
    /// `internetMaxBandwidthOut` in Mbps; 0 is no cap below that of the type.
    pub bandwidth_out: Option<i64>,
    /// `internetChargeType`, verbatim: it is only ever given back in a price inquiry.
    pub internet_charge_type: Option<String>,
    /// `systemDisk`.
    pub system_disk: Option<SystemDisk>,
    /// `expiredTime`: the end of the current PREPAID cycle.
    pub expires_at: Option<Timestamp>,
    /// `autoRenew`: whether a PREPAID instance renews itself at `expires_at`.
    pub auto_renew: Option<bool>,
}

/// The answer of `DescribeInstanceTypeStatus` (the page of that name). A change is complete once
/// `current` is the type that was asked for and `state` is neither `Processing` nor `WaitToEnable`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeStatus {
    /// `instanceType`: the type in effect.
    pub current: InstanceTypeId,
    /// `modifiedInstanceType`: the target of a change; null, empty and absent all read as `None`.
    pub target: Option<InstanceTypeId>,
    /// `modifiedInstanceTypeStatus`; null, empty and absent all read as `None`.
    pub state: Option<PlanState>,
}

/// The system disk, as far as a price depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemDisk {
    /// `diskSize`, in GB.
    pub size_gb: i64,
    /// `diskCategory`, such as `SSD`.
    pub category: String,
}

/// A type that a zone offers for a charge type (page "DescribeZoneInstanceConfigInfos"). Nothing here
/// says whether it is in stock, or what it costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// `zoneId`.
    pub zone_id: String,
    /// `instanceType`.
    pub type_id: InstanceTypeId,
    /// `instanceTypeName`.
    pub name: Option<String>,
    /// `cpuCount`: cores.
    pub cpu_count: Option<i64>,
    /// `memory`, in GiB.
    pub memory_gib: Option<i64>,
    /// `internetMaxBandwidthOutLimit` in Mbps; -1 is no limit.
    pub bandwidth_limit: Option<i64>,
    /// `internetChargeTypes`; empty where the provider does not say. (Of the official clients; not in
    /// the page's sample.)
    pub internet_charge_types: Vec<String>,
}

/// What one instance of a type costs without its disks and bandwidth, in the account's currency (page
/// "InquiryPriceCreateInstance", field `instancePrice`). PREPAID fills the prices of the period,
/// POSTPAID those of the unit. Amounts are the digits of the answer, never rounded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// `originalPrice`: list price of the whole period. What tells an upgrade from a downgrade.
    pub original: Option<Decimal>,
    /// `discountPrice`: the same after discount.
    pub discounted: Option<Decimal>,
    /// `unitPrice`: list price of one `charge_unit`.
    pub unit: Option<Decimal>,
    /// `discountUnitPrice`: the same after discount.
    pub discounted_unit: Option<Decimal>,
    /// `chargeUnit`: `HOUR`, `DAY` or `MONTH`.
    pub charge_unit: Option<String>,
}

/// A zone (page "DescribeZones"). Nothing here says whether it supports a change of type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// `zoneId`, such as `FRA-A`.
    pub id: String,
    /// `zoneName`.
    pub name: Option<String>,
}
