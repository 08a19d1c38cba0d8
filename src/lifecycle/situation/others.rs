//! Another party acts on the instance, or on the object.

use zenlayer::InstanceTypeId;

use super::{
    told::{NextLook, Scene, Told},
    words::stage as stage_words,
};
use crate::{
    api::{CANCEL_PLAN_ANNOTATION, DecisionKind, PendingDecision, Reason},
    lifecycle::{object_key::ObjectKey, observed::Owner, plan::PlanStage},
};

#[derive(Debug, Clone, PartialEq)]
pub enum Others {
    /// An older object owns the instance.
    DuplicateClaim { owner: Option<Owner>, young: bool },
    /// A change that another object looks after, or a request that may still take effect.
    HeldElsewhere { holder: Option<ObjectKey> },
    /// A plan that this object did not order.
    ForeignPlan { to: Option<InstanceTypeId>, stage: PlanStage },
    /// Nothing new is asked for.
    BeingDeleted,
}

impl Others {
    pub fn settles_the_type(&self) -> bool {
        match self {
            Self::DuplicateClaim { .. } | Self::BeingDeleted => true,
            Self::HeldElsewhere { .. } | Self::ForeignPlan { .. } => false,
        }
    }

    pub fn told(&self, scene: &Scene) -> Told {
        let id = &scene.desired.instance_id;
        match self {
            Self::DuplicateClaim { owner, young } => duplicate(scene, owner.as_ref(), *young),
            Self::HeldElsewhere { holder } => {
                let near =
                    holder.as_ref().filter(|one| one.namespace == scene.desired.object.namespace);
                let message = match (near, holder) {
                    (Some(holder), _) => format!(
                        "VmInstance {} has a change of instance {id} in progress; this one waits for it",
                        holder.name
                    ),
                    (None, Some(_)) => format!(
                        "another VmInstance has a change of instance {id} in progress; this one waits \
                         for it"
                    ),
                    (None, None) => format!(
                        "a call that changes instance {id} may still take effect; nothing else is sent \
                         before that is settled"
                    ),
                };
                Told::waiting(Reason::ChangeHeldElsewhere, message, NextLook::Backoff)
            }
            Self::ForeignPlan { to, stage } => foreign(scene, to.as_ref(), *stage),
            Self::BeingDeleted => Told::waiting(
                Reason::BeingDeleted,
                format!(
                    "the VmInstance is being deleted; nothing new is ordered for instance {id}"
                ),
                scene.at_rest(),
            ),
        }
    }
}

fn duplicate(scene: &Scene, owner: Option<&Owner>, young: bool) -> Told {
    let id = &scene.desired.instance_id;
    let who = match owner {
        Some(Owner { name, passive: Some(passive) }) => {
            format!("VmInstance {name} also names instance {id} and is older, and {passive}")
        }
        Some(Owner { name, passive: None }) => {
            format!("VmInstance {name} also names instance {id} and is older")
        }
        None => format!("an older VmInstance in another namespace also names instance {id}"),
    };
    if young {
        let message = format!("{who}; this one acts as soon as the other is deleted");
        return Told::waiting(Reason::DuplicateClaim, message, NextLook::Backoff);
    }
    let message = format!(
        "{who}: delete one of the two VmInstances (the machine is not touched); this one acts as soon as \
         the other is deleted, or cannot read the instance any more"
    );
    Told::failed(Reason::DuplicateClaim, message, scene.at_rest())
}

fn foreign(scene: &Scene, to: Option<&InstanceTypeId>, stage: PlanStage) -> Told {
    let id = &scene.desired.instance_id;
    let scheduled = stage == PlanStage::Scheduled;
    let cancel = to.filter(|_| scheduled && scene.desired.may_order());
    let message = format!(
        "a change of instance {id} to {} that this object did not order is {}; the operator waits for \
         it{}",
        to.map_or("an unknown type", InstanceTypeId::as_str),
        stage_words(stage),
        cancel
            .map(|to| format!("; to cancel it, set the annotation {CANCEL_PLAN_ANNOTATION}={to}"))
            .unwrap_or_default()
    );
    let look = if scheduled { scene.at_rest() } else { NextLook::Backoff };
    let told = Told::waiting(Reason::ForeignPlan, message, look);
    match cancel {
        None => told,
        Some(to) => told.asks(PendingDecision {
            kind: DecisionKind::CancelPlan,
            change_id: None,
            annotation: format!("{CANCEL_PLAN_ANNOTATION}={to}"),
            message: "The scheduled change that this object did not order is cancelled.".to_owned(),
        }),
    }
}
