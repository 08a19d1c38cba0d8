//! Switches: what the provider's documents leave open, and how a simulation plays it. The table
//! "Open questions of the world" in `docs/simulator.md` has one row for each question.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The switches of a simulation. By default, each is as the documents suggest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Behaviour {
    /// What a change of type does to a running guest (not documented).
    pub guest: Guest,
    /// The value of `modifiedInstanceType` when there is no plan (not documented).
    pub no_plan_target: NoPlanTarget,
    /// The value of `modifiedInstanceTypeStatus` when there is no plan (not documented).
    pub no_plan_status: NoPlanStatus,
    /// How long after its begin a change shows the status Enable although the current type still
    /// differs, as in the documented sample.
    pub enable_at_start: SignedDuration,
    /// How long before its end a change shows the status Enable although the current type still
    /// differs.
    pub enable_at_end: SignedDuration,
    /// What the API shows of a change that failed after it was accepted (not documented).
    pub failed_change: FailedChange,
    /// How a PREPAID upgrade is paid (not documented).
    pub payment: Payment,
    /// What a PREPAID change between two types of the same list price is (not documented).
    pub equal_price: EqualPrice,
    /// What happens to a PREPAID instance at its expiry when it is not renewed (the documents
    /// do not say what becomes of a scheduled downgrade then).
    pub expiry: Expiry,
    /// How long after the end of the cycle a scheduled change begins; negative: before it
    /// ("with the next cycle" is all that is documented).
    pub downgrade_delay: SignedDuration,
    /// What happens to an instance whose bandwidth is above the new type's limit (not
    /// documented).
    pub bandwidth_above_limit: BandwidthAboveLimit,
    /// The order of the checks of ModifyInstanceType (not documented).
    pub check_order: CheckOrder,
    /// The answer to a second ModifyInstanceType with the target of the change in progress.
    pub same_target_in_flight: SameTargetInFlight,
    /// Which changes across series are allowed, as pairs of series (documented as
    /// "some").
    pub cross_series: CrossSeries,
    /// How the describe actions treat an id that does not exist (not documented).
    pub unknown_ids: UnknownIds,
    /// What happens to the other ids of a batch when one is refused (not documented).
    pub batch: Batch,
    /// What a guest does on a graceful stop.
    pub graceful_stop: GracefulStop,
    /// Whether RebootInstances accepts a STOPPED instance, as the text of its error says and
    /// the table of states denies.
    pub reboot_from_stopped: bool,
    /// How `orderNumber` is given (it is optional).
    pub order_number: OrderNumberShown,
    /// How an optional field without a value is given (both occur).
    pub optional_fields: OptionalFields,
    /// Whether InquiryPriceCreateInstance demands `instanceCount`: the command line's documents say
    /// so, the API's do not list it.
    pub price_needs_count: bool,
    /// Whether InquiryPriceCreateInstance demands `trafficPackageSize` for PREPAID with
    /// ByTrafficPackage: no document says so, and Terraform demands it before it creates such an
    /// instance.
    pub price_needs_traffic_package: bool,
    /// The category of a disk of a price request that names none (two documents differ).
    pub default_disk_category: DefaultDiskCategory,
    /// How the catalogue gives `frequency` and `internetChargeTypes`: the documented sample has
    /// neither, the models of all SDKs have both.
    pub catalogue_extras: CatalogueExtras,
    /// How far each read action lags behind, such as `DescribeInstances: 2s`: it shows the world as
    /// it was that long ago (nothing documents how soon a call shows in a read).
    pub read_lag: BTreeMap<String, SignedDuration>,
    /// How long after it is accepted a call takes effect, for each action, such as
    /// `ModifyInstanceType: 5s` (not documented).
    pub registration_lag: BTreeMap<String, SignedDuration>,
    /// HTTP status and code of refusals that are undocumented, or documented in two ways.
    pub codes: Codes,
}

/// What a change of type does to a running guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Guest {
    /// Nothing: the change is live.
    #[default]
    Live,
    /// The instance is in state REBOOT while the change runs.
    Reboots,
    /// The instance passes through STOPPING, STOPPED and BOOTING while the change runs.
    StopsAndStarts,
    /// The type changes at once; cores and memory only with the next reboot or start.
    NeedsReboot,
}

/// `modifiedInstanceType` without a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum NoPlanTarget {
    #[default]
    Null,
    Empty,
    Absent,
    /// The current type.
    Current,
}

/// `modifiedInstanceTypeStatus` without a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum NoPlanStatus {
    #[default]
    Enable,
    Disable,
    /// Disable for POSTPAID, which has no scheduled changes; Enable for PREPAID.
    DisableForPostpaid,
    Null,
    Empty,
    Absent,
}

/// What is seen of a change that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum FailedChange {
    /// It runs as long as others, and then there is no plan and the old type.
    #[default]
    Vanishes,
    /// Enable, with its target, for good.
    ShowsEnable,
    /// Disable, with its target, for good.
    ShowsDisable,
    /// Processing, for good.
    Hangs,
}

/// How a PREPAID upgrade is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Payment {
    #[default]
    AtOnce,
    /// At the end of the cycle, or never if the instance is gone by then.
    NextCycle,
    /// The order waits until a person pays it in the console; until then the status is Enable with
    /// the target, and the change does not begin.
    InConsole,
}

/// A PREPAID change between types of one list price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum EqualPrice {
    /// Takes effect at once, for nothing.
    #[default]
    Upgrade,
    /// Waits for the next cycle.
    Downgrade,
    /// Is refused with `codes.equalPrice`.
    Refused,
}

/// What happens to a PREPAID instance that is not renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Expiry {
    /// It goes to the recycle bin, and what was scheduled never lands.
    #[default]
    Recycled,
    /// It stays, and what was scheduled lands all the same.
    DowngradeLands,
    /// It stays, and what was scheduled stays scheduled.
    DowngradeWaits,
}

/// An instance whose bandwidth is above the new type's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum BandwidthAboveLimit {
    /// Keeps its bandwidth.
    #[default]
    Kept,
    /// Gets the limit when the change lands.
    Lowered,
    /// Is refused with `codes.bandwidth`.
    Refused,
}

/// The order of the checks of ModifyInstanceType.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CheckOrder {
    /// Recycled, state, zone, model, same model, series, running, scheduled, money.
    #[default]
    Documented,
    /// State before recycled.
    StateFirst,
    /// A change that runs or is scheduled before all else.
    PlanFirst,
    /// Model, same model and series before the instance is looked at.
    ModelFirst,
}

/// A second change to the target of the one in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SameTargetInFlight {
    /// Is refused as any other change.
    #[default]
    Refused,
    /// Is refused with INVALID_INSTANCE_TYPE_NOT_CHANGED.
    NotChanged,
    /// Is accepted, with a second order that is paid again.
    OrderedAgain,
}

/// Pairs of series (from, to) between which changes are allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct CrossSeries(pub BTreeSet<(String, String)>);

impl Default for CrossSeries {
    /// All among c, g and m ("some", says the page); s and h stay what they are.
    fn default() -> Self {
        let pairs = [("c", "g"), ("c", "m"), ("g", "c"), ("g", "m"), ("m", "c"), ("m", "g")];
        Self(pairs.map(|(from, to)| (from.to_owned(), to.to_owned())).into())
    }
}

/// An id that does not exist, in a describe action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum UnknownIds {
    /// Is left out of the answer.
    #[default]
    LeftOut,
    /// Makes the call fail with 404 INVALID_INSTANCE_NOT_FOUND.
    NotFound,
}

/// A batch with an id that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Batch {
    /// Is refused, and does nothing.
    #[default]
    AllOrNothing,
    /// Is refused, and does what it can.
    PartialRefused,
    /// Succeeds, and does what it can.
    PartialAccepted,
}

/// A guest that is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum GracefulStop {
    #[default]
    Obeyed,
    /// STOPPING for the time of a stop, then RUNNING again.
    Ignored,
    /// STOPPING for good.
    Hangs,
}

/// `orderNumber` of ModifyInstanceType.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OrderNumberShown {
    #[default]
    Shown,
    Null,
    Empty,
    Absent,
}

/// An optional field without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OptionalFields {
    #[default]
    Null,
    Absent,
}

/// The category of a disk that names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum DefaultDiskCategory {
    /// As the Go and Java SDKs and the Chinese documents of the command line say.
    #[default]
    Ssd,
    /// As the English documents of the command line say.
    Standard,
}

impl DefaultDiskCategory {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ssd => "SSD",
            Self::Standard => "STANDARD",
        }
    }
}

/// `frequency` and `internetChargeTypes` of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CatalogueExtras {
    #[default]
    Given,
    Null,
    Absent,
}

/// HTTP status and code of a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Code {
    pub status: u16,
    pub code: String,
}

impl Code {
    fn new(status: u16, code: &str) -> Self {
        Self { status, code: code.to_owned() }
    }
}

/// Refusals that are undocumented, or documented in two ways.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Codes {
    /// The balance is too low. No code is published.
    pub low_balance: Code,
    /// No machine of the type is free. Known from sibling products.
    pub out_of_stock: Code,
    /// PREPAID types of one list price, with `equalPrice: refused`.
    pub equal_price: Code,
    /// The bandwidth is above the limit, with `bandwidthAboveLimit: refused`.
    pub bandwidth: Code,
    /// More items in a list than allowed (no code is published).
    pub too_many_items: Code,
    /// `pageSize` above 1000 (no code is published).
    pub page_too_large: Code,
    /// The body is no JSON object (no code is published).
    pub malformed_body: Code,
    /// 400 on the current page, 403 on the older one.
    pub not_changed: Code,
    /// 403 on two pages, 404 on a third.
    pub downgrade_not_exist: Code,
}

impl Codes {
    /// With the names of the fields.
    pub(super) fn all(&self) -> [(&'static str, &Code); 9] {
        let Self {
            low_balance,
            out_of_stock,
            equal_price,
            bandwidth,
            too_many_items,
            page_too_large,
            malformed_body,
            not_changed,
            downgrade_not_exist,
        } = self;
        [
            ("lowBalance", low_balance),
            ("outOfStock", out_of_stock),
            ("equalPrice", equal_price),
            ("bandwidth", bandwidth),
            ("tooManyItems", too_many_items),
            ("pageTooLarge", page_too_large),
            ("malformedBody", malformed_body),
            ("notChanged", not_changed),
            ("downgradeNotExist", downgrade_not_exist),
        ]
    }
}

impl Default for Codes {
    fn default() -> Self {
        Self {
            low_balance: Code::new(403, "OPERATION_FAILED_INSUFFICIENT_BALANCE"),
            out_of_stock: Code::new(400, "RESOURCE_INSUFFICIENT_PRODUCT_SOLD_OUT"),
            equal_price: Code::new(400, "OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED"),
            bandwidth: Code::new(400, "OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED"),
            too_many_items: Code::new(400, "INVALID_PARAMETER_EXCEED_LENGTH"),
            page_too_large: Code::new(400, "INVALID_PARAMETER_EXCEED_MAXIMUM"),
            malformed_body: Code::new(400, "INVALID_PARAMETER_TYPE"),
            not_changed: Code::new(400, "INVALID_INSTANCE_TYPE_NOT_CHANGED"),
            downgrade_not_exist: Code::new(403, "OPERATION_DENIED_DOWNGRADE_NOT_EXIST"),
        }
    }
}
