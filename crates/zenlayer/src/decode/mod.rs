//! Answers decoded by hand from JSON: unknown fields and values are kept out of the way, an odd
//! optional field reads as absent, an odd required one is an error that names it. Never panics.
//!
//! [`Client`](crate::Client) decodes by itself; this is for answers that came another way.

mod money;
mod sets;

use jiff::Timestamp;
use serde_json::{Map, Value};
pub(crate) use sets::Page;

use super::{
    ChargeType, Instance, InstanceId, InstanceState, InstanceTypeId, OrderNumber, PlanState,
    RequestId, SystemDisk, TypeStatus,
};

/// What is wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Not JSON.
    #[error("the body is not JSON")]
    NotJson,
    /// No object where one belongs: its place.
    #[error("{0} is missing or not an object")]
    NoObject(String),
    /// A required field is missing or odd.
    #[error("{field} is missing or not {expected}")]
    Field {
        /// Its place, such as `instanceTypeQuotaSet[2].zoneId`.
        field: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// The answer is about an instance that was not asked for.
    #[error("the answer is about instance {got:?}")]
    OtherInstance {
        /// The beginning of its id.
        got: String,
    },
}

impl DecodeError {
    fn field(field: &str, expected: &'static str) -> Self {
        Self::Field { field: field.to_owned(), expected }
    }

    /// The same, with the place of the object that the field is in.
    fn within(self, place: &str) -> Self {
        match self {
            Self::Field { field, expected } => {
                Self::Field { field: format!("{place}.{field}"), expected }
            }
            Self::NoObject(object) => Self::NoObject(format!("{place}.{object}")),
            Self::NotJson | Self::OtherInstance { .. } => self,
        }
    }
}

type Object = Map<String, Value>;

/// A string that says something; null, empty, absent and other types are all nothing.
fn text<'a>(object: &'a Object, field: &str) -> Option<&'a str> {
    object.get(field)?.as_str().filter(|text| !text.is_empty())
}

fn owned(object: &Object, field: &str) -> Option<String> {
    text(object, field).map(str::to_owned)
}

fn integer(object: &Object, field: &str) -> Option<i64> {
    object.get(field).and_then(Value::as_i64)
}

fn required<'a>(object: &'a Object, field: &str) -> Result<&'a str, DecodeError> {
    text(object, field).ok_or_else(|| DecodeError::field(field, "a non-empty string"))
}

fn type_id(object: &Object, field: &str) -> Result<InstanceTypeId, DecodeError> {
    InstanceTypeId::new(required(object, field)?)
        .map_err(|_| DecodeError::field(field, "an instance type"))
}

fn request_id(object: &Object) -> Option<RequestId> {
    RequestId::new(text(object, "requestId")?).ok()
}

/// The body of a 200: the two-level envelope `{"requestId": …, "response": {…}}`, opened (page
/// "Responses").
///
/// Its methods decode the `response` of one action each, and fail with the [`DecodeError`] of the first
/// required field that is not as documented.
#[derive(Debug)]
pub struct Success<'a> {
    /// For what [`Value`] cannot hold exactly: money.
    body: &'a [u8],
    response: Object,
    /// Of the inner object, or else of the outer one.
    pub request_id: Option<RequestId>,
}

impl<'a> Success<'a> {
    /// Opens the envelope.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] where the body is not JSON, or has no object `response`.
    pub fn parse(body: &'a [u8]) -> Result<Self, DecodeError> {
        let value: Value = serde_json::from_slice(body).map_err(|_| DecodeError::NotJson)?;
        let Value::Object(mut outer) = value else {
            return Err(DecodeError::NoObject("the body".to_owned()));
        };
        let Some(Value::Object(response)) = outer.remove("response") else {
            return Err(DecodeError::NoObject("response".to_owned()));
        };
        let request_id = request_id(&response).or_else(|| request_id(&outer));
        Ok(Self { body, response, request_id })
    }

    /// The order of an accepted `ModifyInstanceType`; absent where it is left out or odd.
    pub fn order_number(&self) -> Option<OrderNumber> {
        OrderNumber::new(text(&self.response, "orderNumber")?).ok()
    }

    /// The answer of `DescribeInstanceTypeStatus`.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] where the type in effect is missing, the answer is about another instance, or
    /// target or status are there and no text: reading these as "no change" could repeat one.
    pub fn type_status(&self, id: &InstanceId) -> Result<TypeStatus, DecodeError> {
        let response = &self.response;
        if let Some(got) = text(response, "instanceId")
            && got != id.as_str()
        {
            return Err(DecodeError::OtherInstance { got: got.chars().take(80).collect() });
        }
        let field = "modifiedInstanceType";
        let target = plan_part(response, field)?
            .map(|target| {
                InstanceTypeId::new(target)
                    .map_err(|_| DecodeError::field(field, "an instance type"))
            })
            .transpose()?;
        let state = plan_part(response, "modifiedInstanceTypeStatus")?.map(PlanState::from_wire);
        Ok(TypeStatus { current: type_id(response, "instanceType")?, target, state })
    }
}

/// Null, empty and absent are no plan (all three occur in the pages' samples and the clients' texts);
/// anything odd is an error, because reading it as "no plan" would let an order pass.
fn plan_part<'a>(
    response: &'a Object,
    field: &'static str,
) -> Result<Option<&'a str>, DecodeError> {
    match response.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(part)) => Ok(Some(part.as_str()).filter(|part| !part.is_empty())),
        Some(_) => Err(DecodeError::field(field, "a string")),
    }
}

/// The body of an error answer, where it is the provider's JSON: a flat object (page "Responses").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// `code`, of any length.
    pub code: String,
    /// `message`, of any length; empty where it is missing.
    pub message: String,
    /// `requestId`.
    pub request_id: Option<RequestId>,
}

impl Failure {
    /// `None`: the body is not JSON, no object, or has no code.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let Value::Object(object) = serde_json::from_slice(body).ok()? else { return None };
        Some(Self {
            code: owned(&object, "code")?,
            message: owned(&object, "message").unwrap_or_default(),
            request_id: request_id(&object),
        })
    }
}

/// One item of `DescribeInstances`, of the instance `id`.
fn instance(item: &Object, id: &InstanceId) -> Result<Instance, DecodeError> {
    Ok(Instance {
        id: id.clone(),
        name: owned(item, "instanceName"),
        zone_id: owned(item, "zoneId"),
        type_id: type_id(item, "instanceType")?,
        state: state(item)?,
        charge_type: ChargeType::from_wire(required(item, "instanceChargeType")?),
        cpu_count: integer(item, "cpuCount"),
        memory_gib: integer(item, "memory"),
        bandwidth_out: integer(item, "internetMaxBandwidthOut"),
        internet_charge_type: owned(item, "internetChargeType"),
        system_disk: system_disk(item),
        expires_at: text(item, "expiredTime").and_then(|time| time.parse::<Timestamp>().ok()),
        auto_renew: item.get("autoRenew").and_then(Value::as_bool),
    })
}

fn state(item: &Object) -> Result<InstanceState, DecodeError> {
    Ok(InstanceState::from_wire(required(item, "instanceStatus")?))
}

fn system_disk(item: &Object) -> Option<SystemDisk> {
    let disk = item.get("systemDisk")?.as_object()?;
    Some(SystemDisk { size_gb: integer(disk, "diskSize")?, category: owned(disk, "diskCategory")? })
}
