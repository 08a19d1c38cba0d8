//! A lane of a slot: what at most one change can hold at a time. A free lane is a value of its own,
//! and taking consumes it, so nothing can take a taken lane; and every way out of a holding names the
//! change that it ends, so nothing can forget one.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use zenlayer::{Instance, InstanceState, InstanceTypeId, OrderNumber, RequestId};

use super::change_id::ChangeId;
use crate::{
    api::ChangeKind,
    lifecycle::{ObjectKey, plan::PlanView},
};

/// What a call changes. A call of one lane says nothing about the other one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LaneName {
    Type,
    Power,
}

impl LaneName {
    pub const ALL: [Self; 2] = [Self::Type, Self::Power];

    pub fn of(kind: ChangeKind) -> Self {
        match kind {
            ChangeKind::Modify | ChangeKind::CancelDowngrade => Self::Type,
            ChangeKind::Stop | ChangeKind::Start => Self::Power,
        }
    }
}

/// A lane as it was read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Lane(Record);

#[allow(clippy::large_enum_variant, reason = "there are two of it in a slot")]
#[derive(Debug, Clone, PartialEq)]
enum Record {
    Free(Option<Expectation>),
    /// Held; with what the change before it led to, which counts again if this one is given back.
    Taken(Holding, Option<Expectation>),
    /// Another version wrote it. It stays as it is, and nobody takes it.
    Unreadable(Value),
}

impl Default for Record {
    fn default() -> Self {
        Self::Free(None)
    }
}

/// Who holds a lane.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Held<'a> {
    Nobody,
    By(&'a Holding),
    /// Something that this version cannot read.
    Unreadable,
}

/// The change that holds a lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holding {
    pub change: ChangeId,
    pub kind: ChangeKind,
    pub object: ObjectKey,
    pub from: InstanceTypeId,
    pub to: InstanceTypeId,
    pub target_generation: i64,
    pub started_at: Timestamp,
    /// Absent for a bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<Timestamp>,
    /// Which process took the lane: two that decide for one object in one second name their changes alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_by: Option<String>,
    pub state: HoldingState,
}

/// What is known of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "is")]
pub enum HoldingState {
    /// It may still take effect. Nothing else is sent to the machine meanwhile.
    Open,
    /// The provider accepted it; what it said is kept here too, so that a crash before the status is
    /// written loses nothing.
    Accepted {
        at: Timestamp,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order_number: Option<OrderNumber>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<RequestId>,
    },
    /// Past its fence, and nothing shows that it took effect: a person decides. It holds back no call
    /// of the other lane.
    Unverified,
}

/// What the last change led to; a read that contradicts it within its margin lags behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Expectation {
    pub change: ChangeId,
    pub kind: ChangeKind,
    pub from: InstanceTypeId,
    pub to: InstanceTypeId,
    /// By the provider's clock.
    pub until: Timestamp,
    /// What the provider said of an accepted call, until the status has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_number: Option<OrderNumber>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
}

impl Expectation {
    /// Whether a read agrees with what the call led to.
    pub fn agrees(&self, instance: &Instance, plan: &PlanView) -> bool {
        match self.kind {
            ChangeKind::Modify => instance.type_id == self.to || plan.is_to(&self.to),
            ChangeKind::CancelDowngrade => instance.type_id == self.to && *plan == PlanView::None,
            ChangeKind::Stop | ChangeKind::Start => leads_to(self.kind, &instance.state),
        }
    }
}

/// Whether a power state is one that a stop or a start leads to or passes through.
pub fn leads_to(kind: ChangeKind, state: &InstanceState) -> bool {
    match kind {
        ChangeKind::Stop => matches!(state, InstanceState::Stopping | InstanceState::Stopped),
        ChangeKind::Start => matches!(state, InstanceState::Booting | InstanceState::Running),
        ChangeKind::Modify | ChangeKind::CancelDowngrade => false,
    }
}

/// A lane that nobody holds.
#[derive(Debug)]
pub struct FreeLane {
    expects: Option<Expectation>,
}

impl FreeLane {
    /// The lane while `holding` holds it. What the change before it led to stays, so that giving the
    /// lane back restores it.
    pub fn take(self, holding: Holding) -> Lane {
        Lane(Record::Taken(holding, self.expects))
    }
}

impl Lane {
    /// The right to take it, unless somebody holds it.
    pub fn free(&self) -> Option<FreeLane> {
        match &self.0 {
            Record::Free(expects) => Some(FreeLane { expects: expects.clone() }),
            Record::Taken(..) | Record::Unreadable(_) => None,
        }
    }

    pub fn held(&self) -> Held<'_> {
        match &self.0 {
            Record::Free(_) => Held::Nobody,
            Record::Taken(holding, _) => Held::By(holding),
            Record::Unreadable(_) => Held::Unreadable,
        }
    }

    /// The change that holds it, as far as it can be read.
    pub fn holding(&self) -> Option<&Holding> {
        match self.held() {
            Held::By(holding) => Some(holding),
            Held::Nobody | Held::Unreadable => None,
        }
    }

    /// What reads must agree with, until its margin ends.
    pub fn expects(&self) -> Option<&Expectation> {
        match &self.0 {
            Record::Free(expects) | Record::Taken(_, expects) => expects.as_ref(),
            Record::Unreadable(_) => None,
        }
    }

    /// Whether its request may still take effect, as far as anybody can tell.
    pub fn is_open(&self) -> bool {
        match self.held() {
            Held::Nobody => false,
            Held::By(holding) => holding.state == HoldingState::Open,
            Held::Unreadable => true,
        }
    }

    fn of(&self, change: &ChangeId) -> Option<(&Holding, &Option<Expectation>)> {
        match &self.0 {
            Record::Taken(holding, before) if holding.change == *change => Some((holding, before)),
            Record::Free(_) | Record::Taken(..) | Record::Unreadable(_) => None,
        }
    }

    /// The same, taken by this process.
    pub fn taken_by(&self, process: &str) -> Self {
        match &self.0 {
            Record::Taken(holding, before) => {
                let taken_by = Some(process.to_owned());
                Self(Record::Taken(Holding { taken_by, ..holding.clone() }, before.clone()))
            }
            Record::Free(_) | Record::Unreadable(_) => self.clone(),
        }
    }

    /// The holder's call was accepted.
    pub fn accepted(&self, change: &ChangeId, state: HoldingState) -> Option<Self> {
        let (holding, before) = self.of(change)?;
        let holding = Holding { state, ..holding.clone() };
        Some(Self(Record::Taken(holding, before.clone())))
    }

    /// Closed: the effect of the holder's call was seen.
    pub fn closed(&self, change: &ChangeId, expects: Expectation) -> Option<Self> {
        self.of(change).map(|_| Self(Record::Free(Some(expects))))
    }

    /// The same of a change that holds no record any more, such as one of an instance that is gone.
    pub fn expecting(&self, expects: Expectation) -> Option<Self> {
        self.free().map(|_| Self(Record::Free(Some(expects))))
    }

    /// Given back: the holder's call was not made, or refused. What the change before it led to counts
    /// again.
    pub fn given_back(&self, change: &ChangeId) -> Option<Self> {
        self.of(change).map(|(_, before)| Self(Record::Free(before.clone())))
    }
}

/// The JSON of a lane.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape<H, E> {
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    holding: Option<H>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    expects: Option<E>,
}

fn none<T>() -> Option<T> {
    None
}

impl Serialize for Lane {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Record::Free(expects) => {
                Shape::<&Holding, _> { holding: None, expects: expects.as_ref() }
                    .serialize(serializer)
            }
            Record::Taken(holding, before) => {
                Shape { holding: Some(holding), expects: before.as_ref() }.serialize(serializer)
            }
            Record::Unreadable(raw) => raw.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Lane {
    /// Fields that this version does not know are passed over, and so is what reads are to agree with; a
    /// holder that it cannot read keeps the lane.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Value::deserialize(deserializer)?;
        let Ok(shape) = Shape::<Value, Value>::deserialize(&raw) else {
            return Ok(Self(Record::Unreadable(raw)));
        };
        let expects = shape.expects.and_then(|expects| Expectation::deserialize(expects).ok());
        Ok(Self(match shape.holding.map(Holding::deserialize).transpose() {
            Ok(Some(holding)) => Record::Taken(holding, expects),
            Ok(None) => Record::Free(expects),
            Err(_) => Record::Unreadable(raw),
        }))
    }
}
