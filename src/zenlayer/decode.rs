//! Answers decoded by hand from JSON: unknown fields and values are kept out of the way, an odd
//! optional field reads as absent, an odd required one is an error that names it. Never panics.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    ChargeType, Instance, InstanceId, InstanceState, InstanceTypeId, OrderNumber, PlanState,
    RequestId, TypeStatus,
};

/// What is wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the body is not JSON")]
    NotJson,
    #[error("{0} is missing or not an object")]
    NoObject(&'static str),
    #[error("{field} is missing or not {expected}")]
    Field { field: &'static str, expected: &'static str },
    #[error("the answer is about instance {got:?}")]
    OtherInstance { got: String },
}

type Object = Map<String, Value>;

fn required<'a>(object: &'a Object, field: &'static str) -> Result<&'a str, DecodeError> {
    text(object, field).ok_or(DecodeError::Field { field, expected: "a non-empty string" })
}

/// A string that says something; null, empty, absent and other types are all nothing.
fn text<'a>(object: &'a Object, field: &str) -> Option<&'a str> {
    object.get(field)?.as_str().filter(|text| !text.is_empty())
}

fn owned(object: &Object, field: &str) -> Option<String> {
    text(object, field).map(str::to_owned)
}

fn type_id(object: &Object, field: &'static str) -> Result<InstanceTypeId, DecodeError> {
    InstanceTypeId::new(required(object, field)?)
        .map_err(|_| DecodeError::Field { field, expected: "an instance type" })
}

/// The `response` object of the two-level envelope of a 200.
pub fn envelope(body: &[u8]) -> Result<Object, DecodeError> {
    let value: Value = serde_json::from_slice(body).map_err(|_| DecodeError::NotJson)?;
    match value {
        Value::Object(mut outer) => match outer.remove("response") {
            Some(Value::Object(mut response)) => {
                if text(&response, "requestId").is_none()
                    && let Some(id) = outer.remove("requestId")
                {
                    response.insert("requestId".to_owned(), id);
                }
                Ok(response)
            }
            _ => Err(DecodeError::NoObject("response")),
        },
        _ => Err(DecodeError::NoObject("the body")),
    }
}

/// `code`, `message` and `requestId` of an error answer, where it is the provider's JSON.
pub fn error_object(body: &[u8]) -> Option<(String, String, Option<RequestId>)> {
    let Value::Object(object) = serde_json::from_slice(body).ok()? else { return None };
    let code = owned(&object, "code")?;
    let message = owned(&object, "message").unwrap_or_default();
    Some((code, message, request_id(&object)))
}

pub fn request_id(object: &Object) -> Option<RequestId> {
    RequestId::new(text(object, "requestId")?).ok()
}

pub fn order_number(object: &Object) -> Option<OrderNumber> {
    OrderNumber::new(text(object, "orderNumber")?).ok()
}

/// The one instance of a `DescribeInstances` answer; `None`: the data set is empty.
pub fn instance(response: &Object, id: &InstanceId) -> Result<Option<Instance>, DecodeError> {
    let set = response.get("dataSet").and_then(Value::as_array);
    let set = set.ok_or(DecodeError::Field { field: "dataSet", expected: "a list" })?;
    let Some(item) = set.first() else { return Ok(None) };
    let item = item.as_object().ok_or(DecodeError::NoObject("dataSet[0]"))?;
    let got = required(item, "instanceId")?;
    if got != id.as_str() {
        return Err(DecodeError::OtherInstance { got: got.chars().take(80).collect() });
    }
    Ok(Some(Instance {
        id: id.clone(),
        name: owned(item, "instanceName"),
        zone_id: owned(item, "zoneId"),
        type_id: type_id(item, "instanceType")?,
        state: InstanceState::from_wire(required(item, "instanceStatus")?),
        charge_type: ChargeType::from_wire(required(item, "instanceChargeType")?),
        cpu_count: item.get("cpuCount").and_then(Value::as_i64),
        memory_gib: item.get("memory").and_then(Value::as_i64),
        expires_at: text(item, "expiredTime").and_then(|time| time.parse::<Timestamp>().ok()),
        auto_renew: item.get("autoRenew").and_then(Value::as_bool),
    }))
}

/// The answer of `DescribeInstanceTypeStatus`.
pub fn type_status(response: &Object, id: &InstanceId) -> Result<TypeStatus, DecodeError> {
    if let Some(got) = text(response, "instanceId")
        && got != id.as_str()
    {
        return Err(DecodeError::OtherInstance { got: got.chars().take(80).collect() });
    }
    let field = "modifiedInstanceType";
    let target = plan_part(response, field)?
        .map(|target| {
            InstanceTypeId::new(target)
                .map_err(|_| DecodeError::Field { field, expected: "an instance type" })
        })
        .transpose()?;
    let state = plan_part(response, "modifiedInstanceTypeStatus")?.map(PlanState::from_wire);
    Ok(TypeStatus { current: type_id(response, "instanceType")?, target, state })
}

/// Null, empty and absent are no plan (fact sheet section 4); anything odd is an error, because
/// reading it as "no plan" would let an order pass.
fn plan_part<'a>(
    response: &'a Object,
    field: &'static str,
) -> Result<Option<&'a str>, DecodeError> {
    match response.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(part)) => Ok(Some(part.as_str()).filter(|part| !part.is_empty())),
        Some(_) => Err(DecodeError::Field { field, expected: "a string" }),
    }
}
