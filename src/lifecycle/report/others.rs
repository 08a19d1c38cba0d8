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
                    "VmInstance {owner} also names instance {id} and is older: delete one of the two"
                ),
                None => format!(
                    "an older VmInstance in another namespace also names instance {id}: delete one \
                     of the two"
                ),
            },
        ),
        Situation::HeldElsewhere { holder } => waiting(
            Reason::ChangeHeldElsewhere,
            if holder.namespace == desired.object.namespace {
                format!(
                    "VmInstance {} has a change of instance {id} in progress; this one waits for it",
                    holder.name
                )
            } else {
                format!(
                    "another VmInstance has a change of instance {id} in progress; this one waits for it"
                )
            },
        ),
        Situation::ForeignPlan { to, stage } => waiting(
            Reason::ForeignPlan,
            format!(
                "a change of instance {id} to {} that this object did not order is {}; the operator waits for \
                 it{}",
                to.as_ref().map_or("an unknown type", InstanceTypeId::as_str),
                stage_words(*stage),
                match (to, stage) {
                    (Some(to), PlanStage::Scheduled) if desired.may_mutate() => format!(
                        "; to cancel it, set the annotation vm.zenlayer.com/cancel-plan={to}"
                    ),
                    _ => String::new(),
                }
            ),
        ),
        _ => waiting(Reason::ReadsDisagree, format!("instance {id} is read again")),
    }
}
