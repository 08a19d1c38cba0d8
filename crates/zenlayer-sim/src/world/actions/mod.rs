//! The actions of the API (fact sheet section 7): how a call finds its own.

mod modify;
mod power;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    ACTIONS, Call, Effect, Instance, Pending, Plan, Refused, Work, World, answer::refusal,
    describe, parameters::Parameters, time::later,
};

/// The fields of `response`, without the request id, in the order of the documents.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Response<'w> {
    Nothing {},
    Ordered(modify::Ordered),
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
            // "Not allowed, or the action does not exist" (DOC Errs).
            let message = format!("action {:?} is not known", call.action);
            return Err(refusal(401, "AUTHFAILURE_UNAUTHORIZED_OPERATION", message));
        }
        let codes = self.rules.behaviour.codes.clone();
        let Ok(Value::Object(fields)) = serde_json::from_slice(call.body) else {
            // Not documented (section 12 #15).
            let message = "the body must be a JSON object";
            return Err(Refused::by(&codes.malformed_body, message));
        };
        let parameters = Parameters { fields: &fields, codes: &codes };
        match call.action {
            "ModifyInstanceType" => self.modify_instance_type(&call, &parameters),
            "CancelInstanceDowngrade" => self.cancel_instance_downgrade(&call, &parameters),
            "StartInstances" => self.change_power(&call, &parameters, power::Power::Start),
            "RebootInstances" => self.change_power(&call, &parameters, power::Power::Reboot),
            "StopInstances" => {
                // Its default is a hard power-off (CLI, section 7.7).
                let force = parameters.truth("forceShutdown", true)?;
                self.change_power(&call, &parameters, power::Power::Stop { force })
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

    pub(super) fn find(&self, id: &str) -> Result<&Instance, Refused> {
        self.instances.get(id).ok_or_else(|| Refused::not_found(id))
    }

    /// Lets an accepted call work: now, later, or never.
    fn put_to_work(&mut self, call: &Call<'_>, id: &str, work: Work) {
        let lag = match call.effect {
            Effect::Normal => self.rules.behaviour.registration_lag.get(call.action).copied(),
            Effect::After(lag) => Some(lag),
            // A change that fails is still ordered; of all else nothing is seen.
            Effect::FailsSilently if matches!(work, Work::Change { .. }) => None,
            Effect::FailsSilently => return,
        };
        let now = self.now;
        self.visit(id, now, |site| match lag.filter(|lag| lag.is_positive()) {
            Some(lag) => site.instance.pending.push(Pending { at: later(now, lag), work }),
            None => site.work(work),
        });
    }

    /// DOC EN-Cancel, section 7.6: only for a scheduled downgrade.
    fn cancel_instance_downgrade(
        &mut self,
        call: &Call<'_>,
        parameters: &Parameters<'_>,
    ) -> Result<Response<'_>, Refused> {
        let id = parameters.required("instanceId")?;
        if !matches!(self.find(id)?.plan, Plan::WaitToEnable { .. }) {
            let message = format!("instance {id} has no scheduled downgrade");
            return Err(Refused::by(&parameters.codes.downgrade_not_exist, message));
        }
        self.put_to_work(call, id, Work::Cancel);
        Ok(Response::Nothing {})
    }
}
