//! The entry for calls of the API: each finds its action here, and its answer the way out.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Call, Refused, World,
    actions::{Ordered, Power},
    answer::refusal,
    describe,
    names::ACTIONS,
    parameters::Parameters,
};

/// The fields of `response`, without the request id, in the order of the documents.
#[derive(Serialize)]
#[serde(untagged)]
enum Response<'w> {
    Nothing {},
    Ordered(Ordered),
    TypeStatus(describe::TypeStatus<'w>),
    Instances(describe::Page<describe::Item<'w>>),
    States(describe::Page<describe::StateItem<'w>>),
    Offers(describe::Offers<'w>),
    Prices(Box<describe::Prices>),
    Zones(describe::Zones<'w>),
}

impl World {
    /// Answers one call: the fields of `response`, without the request id.
    pub fn call(&mut self, now: Timestamp, call: Call<'_>) -> Result<Map<String, Value>, Refused> {
        let response = self.perform(now, call)?;
        match serde_json::to_value(response) {
            Ok(Value::Object(fields)) => Ok(fields),
            Ok(_) | Err(_) => Ok(Map::new()),
        }
    }

    /// As [`World::call`], as the text of a JSON object, in the order of the documents. It is the
    /// faster one for large answers.
    pub fn answer(&mut self, now: Timestamp, call: Call<'_>) -> Result<String, Refused> {
        let response = self.perform(now, call)?;
        Ok(serde_json::to_string(&response).unwrap_or_else(|_| "{}".to_owned()))
    }

    fn perform(&mut self, now: Timestamp, call: Call<'_>) -> Result<Response<'_>, Refused> {
        self.advance(now);
        if !ACTIONS.contains(&call.action) {
            // "Not allowed, or the action does not exist" (the common error codes).
            let message = format!("action {:?} is not known", call.action);
            return Err(refusal(401, "AUTHFAILURE_UNAUTHORIZED_OPERATION", message));
        }
        let codes = self.rules.behaviour.codes.clone();
        let Ok(Value::Object(fields)) = serde_json::from_slice(call.body) else {
            // Not documented.
            let message = "the body must be a JSON object";
            return Err(Refused::by(&codes.malformed_body, message));
        };
        let parameters = Parameters { fields: &fields, codes: &codes };
        let nothing = |()| Response::Nothing {};
        match call.action {
            "ModifyInstanceType" => {
                self.modify_instance_type(&call, &parameters).map(Response::Ordered)
            }
            "CancelInstanceDowngrade" => {
                self.cancel_instance_downgrade(&call, &parameters).map(nothing)
            }
            "StartInstances" => self.change_power(&call, &parameters, Power::Start).map(nothing),
            "RebootInstances" => self.change_power(&call, &parameters, Power::Reboot).map(nothing),
            "StopInstances" => {
                // Its default is a hard power-off (the help of `zeno`).
                let force = parameters.truth("forceShutdown", true)?;
                self.change_power(&call, &parameters, Power::Stop { force }).map(nothing)
            }
            "DescribeInstanceTypeStatus" => {
                describe::type_status(self, &parameters).map(Response::TypeStatus)
            }
            "DescribeInstances" => describe::instances(self, &parameters).map(Response::Instances),
            "DescribeInstancesStatus" => describe::states(self, &parameters).map(Response::States),
            "DescribeZoneInstanceConfigInfos" => {
                describe::offers(self, &parameters).map(Response::Offers)
            }
            "InquiryPriceCreateInstance" => {
                describe::prices(self, &parameters).map(|prices| Response::Prices(Box::new(prices)))
            }
            _ => describe::zones(self, &parameters).map(Response::Zones),
        }
    }
}
