//! What the provider says of an instance, decoded but not interpreted: every enumeration is open,
//! because the provider may add values (fact sheet sections 7.2, 7.3 and 9).

use std::fmt;

use jiff::Timestamp;
use rust_decimal::Decimal;

use super::{InstanceId, InstanceTypeId};

/// An enumeration of the wire that may grow: the known values, and any other one kept verbatim.
macro_rules! open_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $wire:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
            /// A value that this version does not know, as it came.
            Other(String),
        }

        impl $name {
            pub fn from_wire(value: &str) -> Self {
                match value {
                    $($wire => Self::$variant,)+
                    other => Self::Other(other.to_owned()),
                }
            }

            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $wire,)+
                    Self::Other(value) => value,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

open_enum! {
    /// `instanceChargeType`: how the instance is billed. Decides when a change takes effect and
    /// what it costs (fact sheet section 8).
    ChargeType { Prepaid = "PREPAID", Postpaid = "POSTPAID" }
}

open_enum! {
    /// `instanceStatus` (fact sheet section 9). An unknown one counts as busy.
    InstanceState {
        Pending = "PENDING",
        Deploying = "DEPLOYING",
        CreateFailed = "CREATE_FAILED",
        Running = "RUNNING",
        Stopped = "STOPPED",
        Booting = "BOOTING",
        Stopping = "STOPPING",
        Reboot = "REBOOT",
        Rebuilding = "REBUILDING",
        Imaging = "IMAGING",
        Recycle = "RECYCLE",
        Recycling = "RECYCLING",
        Releasing = "RELEASING",
    }
}

open_enum! {
    /// `modifiedInstanceTypeStatus` (fact sheet section 7.2). Never proof of completion by itself.
    PlanState {
        /// The change is running.
        Processing = "Processing",
        /// The target waits for the next billing cycle.
        WaitToEnable = "WaitToEnable",
        /// The model is in effect, or available: with a differing current type it proves nothing.
        Enable = "Enable",
        /// No scheduled change is supported.
        Disable = "Disable",
    }
}

/// One instance as `DescribeInstances` shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    pub id: InstanceId,
    pub name: Option<String>,
    pub zone_id: Option<String>,
    pub type_id: InstanceTypeId,
    pub state: InstanceState,
    pub charge_type: ChargeType,
    /// Cores.
    pub cpu_count: Option<i64>,
    /// GiB.
    pub memory_gib: Option<i64>,
    /// `internetMaxBandwidthOut` in Mbps; 0 is no cap below that of the type.
    pub bandwidth_out: Option<i64>,
    /// `internetChargeType`, verbatim: it is only ever given back in a price inquiry.
    pub internet_charge_type: Option<String>,
    pub system_disk: Option<SystemDisk>,
    /// End of the current PREPAID cycle.
    pub expires_at: Option<Timestamp>,
    /// Whether a PREPAID instance renews itself at `expires_at`.
    pub auto_renew: Option<bool>,
}

/// The answer of `DescribeInstanceTypeStatus`.
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
    pub size_gb: i64,
    pub category: String,
}

/// A type that a zone offers for a charge type (fact sheet section 7.5). Nothing here says whether
/// it is in stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    pub zone_id: String,
    pub type_id: InstanceTypeId,
    pub name: Option<String>,
    /// Cores.
    pub cpu_count: Option<i64>,
    /// GiB.
    pub memory_gib: Option<i64>,
    /// `internetMaxBandwidthOutLimit` in Mbps; -1 is no limit.
    pub bandwidth_limit: Option<i64>,
    /// Empty where the provider does not say.
    pub internet_charge_types: Vec<String>,
}

/// What one instance of a type costs, in the account's currency (fact sheet section 7.8). PREPAID
/// fills the prices of the period, POSTPAID those of the unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// List price of the whole period.
    pub original: Option<Decimal>,
    /// The same after discount.
    pub discounted: Option<Decimal>,
    /// List price of one `charge_unit`.
    pub unit: Option<Decimal>,
    /// The same after discount.
    pub discounted_unit: Option<Decimal>,
    /// `HOUR`, `DAY` or `MONTH`.
    pub charge_unit: Option<String>,
}

/// A zone (fact sheet section 7.9). Nothing here says whether it supports a change of type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    pub id: String,
    pub name: Option<String>,
}
