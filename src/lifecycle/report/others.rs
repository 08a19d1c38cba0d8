//! Situations in which another party acts on the instance.

use super::words::{failed, stage_words, waiting};
use crate::{
    api::Reason,
    lifecycle::{Desired, PlanStage, Report, Situation},
};
use zenlayer::InstanceTypeId;

pub fn of(desired: &Desired, situation: &Situation) -> Report {
    let id = &desired.instance_id;
    match situation {
        Situation::DuplicateClaim { owner } => failed(
            Reason::DuplicateClaim,
            match owner {
                Some(owner) => format!(
                    "VmInstance {owner} claims instance {id} and is older: delete one of the two"
                ),
                None => format!(
                    "an older VmInstance in another namespace claims instance {id}: delete one of \
                     the two"
                ),
            },
        ),
        Situation::HeldElsewhere { holder } => waiting(
            Reason::ChangeHeldElsewhere,
            if holder.namespace == desired.object.namespace {
                format!("a change of instance {id} by VmInstance {} is not settled", holder.name)
            } else {
                format!("a change of instance {id} by another VmInstance is not settled")
            },
        ),
        Situation::ForeignPlan { to, stage } => waiting(
            Reason::ForeignPlan,
            format!(
                "a change of instance {id} to {} that this object did not order is {}: wait for it{}",
                to.as_ref().map_or("an unknown type", InstanceTypeId::as_str),
                stage_words(*stage),
                match (to, stage) {
                    (Some(to), PlanStage::Scheduled) if desired.may_mutate() => format!(
                        ", or cancel it with the annotation vm.zenlayer.com/cancel-plan={to}"
                    ),
                    _ => String::new(),
                }
            ),
        ),
        _ => waiting(Reason::ReadsDisagree, format!("looking at instance {id} again")),
    }
}
