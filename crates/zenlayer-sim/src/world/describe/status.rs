//! DescribeInstanceTypeStatus and DescribeInstancesStatus.

use serde::Serialize;

use super::page::{Page, page};
use crate::world::{
    ChargeType, FailedChange, NoPlanStatus, NoPlanTarget, Plan, Refused, Rules, World,
    answer::Field, parameters::Parameters, seen::Seen, time::later,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TypeStatus<'w> {
    instance_id: &'w str,
    instance_name: &'w str,
    instance_type: &'w str,
    #[serde(skip_serializing_if = "Field::is_absent")]
    modified_instance_type: Field<&'w str>,
    #[serde(skip_serializing_if = "Field::is_absent")]
    modified_instance_type_status: Field<&'w str>,
}

pub fn type_status<'w>(
    world: &'w World,
    parameters: &Parameters<'_>,
) -> Result<TypeStatus<'w>, Refused> {
    let id = parameters.required("instanceId")?;
    let seen =
        world.seen("DescribeInstanceTypeStatus", id).ok_or_else(|| Refused::not_found(id))?;
    let (target, status) = plan(&seen, &world.rules);
    Ok(TypeStatus {
        instance_id: &seen.instance.id,
        instance_name: &seen.instance.name,
        instance_type: &seen.instance.type_id,
        modified_instance_type: target,
        modified_instance_type_status: status,
    })
}

/// `modifiedInstanceType` and `modifiedInstanceTypeStatus`.
fn plan<'w>(seen: &Seen<'w>, rules: &Rules) -> (Field<&'w str>, Field<&'w str>) {
    let behaviour = &rules.behaviour;
    match &seen.instance.plan {
        Plan::None => no_plan(seen, rules),
        Plan::WaitToEnable { to, .. } => (Field::Is(to), Field::Is("WaitToEnable")),
        Plan::Unpaid { to, .. } => (Field::Is(to), Field::Is("Enable")),
        Plan::Failed { to, .. } => {
            let status = match behaviour.failed_change {
                FailedChange::ShowsDisable => "Disable",
                FailedChange::Vanishes | FailedChange::ShowsEnable | FailedChange::Hangs => {
                    "Enable"
                }
            };
            (Field::Is(to), Field::Is(status))
        }
        // The documented sample shows Enable while the current type differs.
        Plan::Processing { to, since, until, .. } => {
            let early = seen.at < later(*since, behaviour.enable_at_start);
            let late = until.is_some_and(|until| seen.at >= later(until, -behaviour.enable_at_end));
            let status = if early || late { "Enable" } else { "Processing" };
            (Field::Is(to), Field::Is(status))
        }
    }
}

/// Not documented.
fn no_plan<'w>(seen: &Seen<'w>, rules: &Rules) -> (Field<&'w str>, Field<&'w str>) {
    let target = match rules.behaviour.no_plan_target {
        NoPlanTarget::Null => Field::Null,
        NoPlanTarget::Empty => Field::Is(""),
        NoPlanTarget::Absent => Field::Absent,
        NoPlanTarget::Current => Field::Is(seen.instance.type_id.as_str()),
    };
    let postpaid = seen.instance.charge_type == ChargeType::Postpaid;
    let status = match rules.behaviour.no_plan_status {
        NoPlanStatus::Enable => Field::Is("Enable"),
        NoPlanStatus::Disable => Field::Is("Disable"),
        NoPlanStatus::DisableForPostpaid if postpaid => Field::Is("Disable"),
        NoPlanStatus::DisableForPostpaid => Field::Is("Enable"),
        NoPlanStatus::Null => Field::Null,
        NoPlanStatus::Empty => Field::Is(""),
        NoPlanStatus::Absent => Field::Absent,
    };
    (target, status)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StateItem<'w> {
    instance_id: &'w str,
    instance_status: &'w str,
}

pub fn states<'w>(
    world: &'w World,
    parameters: &Parameters<'_>,
) -> Result<Page<StateItem<'w>>, Refused> {
    page(
        world,
        "DescribeInstancesStatus",
        parameters,
        |_| true,
        |seen| StateItem {
            instance_id: &seen.instance.id,
            instance_status: seen.instance.state.name(),
        },
    )
}
