//! The actions, with their checks in the order of fact sheet section 12 #12 (INF).

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::{
    ChargeType, Instance, Micros, Order, OrderKind, Plan, World, describe, parameters::Parameters,
};

/// One call, after its signature was checked.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    pub action: &'a str,
    pub body: &'a [u8],
    pub request_id: &'a str,
}

/// A refusal, with the documented HTTP status and code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub status: u16,
    pub code: String,
    pub message: String,
}

impl Refused {
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into() }
    }

    fn not_found(id: &str) -> Self {
        Self::new(404, "INVALID_INSTANCE_NOT_FOUND", format!("instance {id} does not exist"))
    }
}

type Fields = Map<String, Value>;

impl World {
    /// Answers one call: the fields of `response`, without the request id.
    pub fn call(&mut self, now: Timestamp, call: Call<'_>) -> Result<Fields, Refused> {
        self.advance(now);
        let action = match call.action {
            "ModifyInstanceType" => Self::modify_instance_type,
            "DescribeInstanceTypeStatus" => Self::describe_type_status,
            "DescribeInstances" => Self::describe_instances,
            // "Not allowed, or the action does not exist" (DOC Errs).
            other => {
                let message = format!("action {other:?} is not known");
                return Err(Refused::new(401, "AUTHFAILURE_UNAUTHORIZED_OPERATION", message));
            }
        };
        let body = match serde_json::from_slice(call.body) {
            Ok(Value::Object(body)) => body,
            // Undocumented (section 12 #15).
            Ok(_) | Err(_) => {
                let message = "the body must be a JSON object";
                return Err(Refused::new(400, "INVALID_PARAMETER_TYPE", message));
            }
        };
        action(self, now, call.request_id, &Parameters(&body))
    }

    fn instance(&self, id: &str) -> Result<&Instance, Refused> {
        self.instances.get(id).ok_or_else(|| Refused::not_found(id))
    }

    fn describe_type_status(
        &mut self,
        _: Timestamp,
        _: &str,
        parameters: &Parameters<'_>,
    ) -> Result<Fields, Refused> {
        let id = parameters.required("instanceId")?;
        Ok(describe::type_status(self.instance(id)?))
    }

    fn describe_instances(
        &mut self,
        _: Timestamp,
        _: &str,
        parameters: &Parameters<'_>,
    ) -> Result<Fields, Refused> {
        describe::instances(self, parameters)
    }

    fn modify_instance_type(
        &mut self,
        now: Timestamp,
        request_id: &str,
        parameters: &Parameters<'_>,
    ) -> Result<Fields, Refused> {
        let id = parameters.required("instanceId")?;
        let to = parameters.required("instanceTypeId")?;
        let instance = self.instance(id)?;
        self.check_change(instance, to)?;
        let from = instance.type_id.clone();
        let (kind, charged_micros) = self.bill(instance, to, now);
        let order = Order {
            order_number: format!("{:018}", 260_000_000_000_000_000 + self.next_order),
            instance_id: id.to_owned(),
            from,
            to: to.to_owned(),
            kind,
            charged_micros,
            at: now,
            request_id: request_id.to_owned(),
        };
        let until = now
            .checked_add(SignedDuration::from_secs(self.processing_seconds))
            .unwrap_or(Timestamp::MAX);
        let plan = match kind {
            OrderKind::Immediate => Plan::Processing { to: to.to_owned(), until },
            OrderKind::NextCycle => Plan::WaitToEnable { to: to.to_owned() },
        };
        self.next_order += 1;
        let number = order.order_number.clone();
        self.orders.push(order);
        if let Some(instance) = self.instances.get_mut(id) {
            instance.plan = plan;
        }
        Ok(fields(json!({ "orderNumber": number })))
    }

    /// Recycled, state, model, same model, series, running, scheduled: in this order.
    fn check_change(&self, instance: &Instance, to: &str) -> Result<(), Refused> {
        let refuse = |status, code: &str, message: String| Err(Refused::new(status, code, message));
        let id = &instance.id;
        match instance.state.as_str() {
            "RUNNING" | "STOPPED" => {}
            "RECYCLE" | "RECYCLING" => {
                return refuse(
                    400,
                    "UNSUPPORTED_OPERATION_INSTANCE_BEING_RECYCLE",
                    format!("instance {id} is in the recycle bin"),
                );
            }
            state => {
                return refuse(
                    400,
                    "UNSUPPORTED_OPERATION_INSTANCE_STATUS",
                    format!("instance {id} is {state}, not RUNNING or STOPPED"),
                );
            }
        }
        if self.catalogue.model(to).is_none() {
            return refuse(404, "INVALID_PRODUCT_NOT_FOUND", format!("model {to} does not exist"));
        }
        if instance.type_id == to {
            let message = format!("instance {id} is of model {to} already");
            return refuse(400, "INVALID_INSTANCE_TYPE_NOT_CHANGED", message);
        }
        if !self.catalogue.allows(&instance.type_id, to) {
            return refuse(
                400,
                "OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED",
                format!("instance {id} of model {} cannot take model {to}", instance.type_id),
            );
        }
        match &instance.plan {
            Plan::None => Ok(()),
            Plan::Processing { to, .. } => refuse(
                403,
                "OPERATION_DENIED_INSTANCE_PLAN_PROCESSING",
                format!("a change of instance {id} to {to} is running"),
            ),
            Plan::WaitToEnable { to } => refuse(
                403,
                "OPERATION_DENIED_INSTANCE_EXIST_PLAN",
                format!("a change of instance {id} to {to} is scheduled"),
            ),
        }
    }

    /// Direction by list price (DOC CN-Modify); an upgrade is charged for the rest of the cycle:
    /// difference x remaining months, a month being 30 days (Console). An equal price counts as no
    /// downgrade (undefined, section 12 #9).
    fn bill(&self, instance: &Instance, to: &str, now: Timestamp) -> (OrderKind, Micros) {
        let price = |id: &str| self.catalogue.model(id).map_or(0, |model| model.monthly_micros);
        let difference = price(to) - price(&instance.type_id);
        match (instance.charge_type, instance.expires_at) {
            (ChargeType::Postpaid, _) | (ChargeType::Prepaid, None) => (OrderKind::Immediate, 0),
            (ChargeType::Prepaid, Some(_)) if difference < 0 => (OrderKind::NextCycle, 0),
            (ChargeType::Prepaid, Some(expiry)) => {
                let left = expiry.duration_since(now).as_secs().max(0);
                let charged =
                    i128::from(difference) * i128::from(left) / i128::from(30 * 24 * 3600);
                (OrderKind::Immediate, Micros::try_from(charged).unwrap_or(Micros::MAX))
            }
        }
    }
}

/// The fields of a JSON object literal.
pub(super) fn fields(value: Value) -> Fields {
    match value {
        Value::Object(fields) => fields,
        _ => Fields::new(),
    }
}
