//! What is known of one instance.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    billing::check_amount,
    time::{MONTH, later},
};

/// How an instance is billed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum ChargeType {
    Prepaid,
    Postpaid,
}

impl ChargeType {
    /// As the API spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prepaid => "PREPAID",
            Self::Postpaid => "POSTPAID",
        }
    }
}

/// The thirteen states of an instance (the data types of the documents).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    Pending,
    Deploying,
    CreateFailed,
    Running,
    Stopped,
    Booting,
    Stopping,
    Reboot,
    Rebuilding,
    Imaging,
    Recycle,
    Recycling,
    Releasing,
}

impl State {
    pub const ALL: [Self; 13] = [
        Self::Pending,
        Self::Deploying,
        Self::CreateFailed,
        Self::Running,
        Self::Stopped,
        Self::Booting,
        Self::Stopping,
        Self::Reboot,
        Self::Rebuilding,
        Self::Imaging,
        Self::Recycle,
        Self::Recycling,
        Self::Releasing,
    ];

    /// As the API spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Deploying => "DEPLOYING",
            Self::CreateFailed => "CREATE_FAILED",
            Self::Running => "RUNNING",
            Self::Stopped => "STOPPED",
            Self::Booting => "BOOTING",
            Self::Stopping => "STOPPING",
            Self::Reboot => "REBOOT",
            Self::Rebuilding => "REBUILDING",
            Self::Imaging => "IMAGING",
            Self::Recycle => "RECYCLE",
            Self::Recycling => "RECYCLING",
            Self::Releasing => "RELEASING",
        }
    }

    /// In the recycle bin, on the way to it, or on the way out of it to nothing.
    pub fn is_recycled(self) -> bool {
        matches!(self, Self::Recycle | Self::Recycling | Self::Releasing)
    }
}

/// A change of type that was accepted and is not in effect yet. An instance has at most one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "status")]
#[serde(deny_unknown_fields)]
pub enum Plan {
    None,
    /// Running; it ends at `until`, or never.
    Processing {
        to: String,
        order_number: String,
        since: Timestamp,
        until: Option<Timestamp>,
        /// It ends without an effect.
        fails: bool,
        /// The guest was taken down for it, and is brought up again at the end.
        resumes: bool,
    },
    /// A PREPAID downgrade; it begins at `due`.
    WaitToEnable {
        to: String,
        order_number: String,
        due: Timestamp,
        fails: bool,
    },
    /// Ordered, and waits for a person to pay ([`Payment::InConsole`]).
    ///
    /// [`Payment::InConsole`]: super::behaviour::Payment::InConsole
    Unpaid {
        to: String,
        order_number: String,
        fails: bool,
    },
    /// Failed, and still seen ([`FailedChange`]). It blocks nothing.
    ///
    /// [`FailedChange`]: super::behaviour::FailedChange
    Failed {
        to: String,
        order_number: String,
    },
}

impl Plan {
    /// The type to which it leads.
    pub fn target(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::Processing { to, .. }
            | Self::WaitToEnable { to, .. }
            | Self::Unpaid { to, .. }
            | Self::Failed { to, .. } => Some(to),
        }
    }

    /// The order behind it, unless it has failed.
    pub fn open_order(&self) -> Option<&str> {
        match self {
            Self::None | Self::Failed { .. } => None,
            Self::Processing { order_number, .. }
            | Self::WaitToEnable { order_number, .. }
            | Self::Unpaid { order_number, .. } => Some(order_number),
        }
    }
}

/// A state that is left by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Transition {
    pub until: Timestamp,
    /// Nothing: the instance is gone then.
    pub to: Option<State>,
}

/// A call that was accepted and begins to work later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pending {
    pub at: Timestamp,
    pub work: Work,
}

/// What an accepted call does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
#[serde(deny_unknown_fields)]
pub enum Work {
    Change { order_number: String, fails: bool },
    Cancel,
    Start,
    Stop { force: bool },
    Reboot,
}

/// One virtual machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Instance {
    pub id: String,
    pub name: String,
    pub zone: String,
    #[serde(rename = "type")]
    pub type_id: String,
    pub charge_type: ChargeType,
    pub state: State,
    pub created_at: Timestamp,
    /// End of the PREPAID cycle.
    pub expires_at: Option<Timestamp>,
    pub auto_renew: bool,
    /// Mbps.
    pub bandwidth: i64,
    pub plan: Plan,
    /// Cores and GiB as shown; behind the type while the guest needs a reboot.
    pub cpu_count: i64,
    pub memory: i64,
    /// Length of a PREPAID cycle in months of 30 days.
    pub period: i64,
    pub details: Details,
    pub transition: Option<Transition>,
    pub pending: Vec<Pending>,
    /// The PREPAID cycle has ended and was not renewed.
    pub lapsed: bool,
    /// What is charged at the end of the cycle, beside the renewal.
    pub owed: Decimal,
    /// Up to when POSTPAID use was charged.
    pub metered_to: Option<Timestamp>,
}

/// Traffic that is bought by the TB.
pub(super) const BY_TRAFFIC_PACKAGE: &str = "ByTrafficPackage";

/// What else DescribeInstances shows; the simulation does not act on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Details {
    pub image_id: String,
    pub image_name: String,
    pub internet_charge_type: String,
    pub public_ip_addresses: Vec<String>,
    pub public_ipv6_addresses: Vec<String>,
    pub private_ip_addresses: Vec<String>,
    pub subnet_id: String,
    pub security_group_ids: Vec<String>,
    pub resource_group_id: String,
    pub resource_group_name: String,
    /// TB.
    #[schemars(with = "Option<f64>")]
    pub traffic_package_size: Option<Decimal>,
    pub system_disk: SystemDisk,
    pub data_disks: Vec<DataDisk>,
    pub key_id: Option<String>,
    pub nic: Nic,
    pub tags: BTreeMap<String, String>,
}

impl Details {
    /// Says what is wrong, by field. Terraform takes the size of a PREPAID package as given, and
    /// ends with a nil pointer where it is null.
    pub(super) fn check(&self, charge_type: ChargeType) -> Result<(), (String, String)> {
        let problem = match self.traffic_package_size {
            Some(size) if size < Decimal::ZERO => format!("is {size}: write a size in TB"),
            Some(size) => return check_amount(size).map_err(|it| (PACKAGE_FIELD.to_owned(), it)),
            None if charge_type == ChargeType::Prepaid
                && self.internet_charge_type == BY_TRAFFIC_PACKAGE =>
            {
                "is missing, and a PREPAID instance with ByTrafficPackage needs it: write 1, in TB"
                    .to_owned()
            }
            None => return Ok(()),
        };
        Err((PACKAGE_FIELD.to_owned(), problem))
    }
}

const PACKAGE_FIELD: &str = "trafficPackageSize";

impl Default for Details {
    fn default() -> Self {
        Self {
            image_id: "img-sim".into(),
            image_name: "sim".into(),
            internet_charge_type: "ByBandwidth".into(),
            public_ip_addresses: Vec::new(),
            public_ipv6_addresses: Vec::new(),
            private_ip_addresses: Vec::new(),
            subnet_id: "subnet-sim".into(),
            security_group_ids: Vec::new(),
            resource_group_id: "rg-sim".into(),
            resource_group_name: "sim".into(),
            traffic_package_size: None,
            system_disk: SystemDisk::default(),
            data_disks: Vec::new(),
            key_id: None,
            nic: Nic::default(),
            tags: BTreeMap::new(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SystemDisk {
    pub disk_id: String,
    /// GB.
    pub disk_size: i64,
    pub disk_category: String,
}

impl Default for SystemDisk {
    fn default() -> Self {
        Self { disk_id: "disk-sim".into(), disk_size: 40, disk_category: "SSD".into() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DataDisk {
    pub disk_id: String,
    pub disk_name: String,
    /// GB.
    pub disk_size: i64,
    pub portable: bool,
    pub disk_category: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Nic {
    pub wan_name: String,
    pub lan_name: String,
}

impl Default for Nic {
    fn default() -> Self {
        Self { wan_name: "eth0".into(), lan_name: "eth1".into() }
    }
}

impl Instance {
    /// When something is due by itself, and never if it isn't.
    pub(super) fn due(&self) -> Option<Timestamp> {
        let plan = match &self.plan {
            Plan::Processing { until, .. } => *until,
            Plan::WaitToEnable { due, .. } => Some(*due),
            Plan::None | Plan::Unpaid { .. } | Plan::Failed { .. } => None,
        };
        let pending = self.pending.iter().map(|one| one.at).min();
        let transition = self.transition.map(|one| one.until);
        let times = [pending, transition, self.next_expiry(), plan, self.next_metering()];
        // The end of time is how "never" comes out of a sum.
        times.into_iter().flatten().min().filter(|at| *at < Timestamp::MAX)
    }

    pub(super) fn next_expiry(&self) -> Option<Timestamp> {
        self.expires_at.filter(|_| !self.lapsed)
    }

    /// POSTPAID use is charged every 30 days (inferred: only the price per hour is documented).
    pub(super) fn next_metering(&self) -> Option<Timestamp> {
        self.metered_to.map(|from| later(from, MONTH))
    }
}
