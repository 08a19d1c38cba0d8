//! Nothing is in flight, and nothing is to be done, or may be done.

use std::time::Duration;

use super::{
    Situation,
    told::{Memo, Scene, Told},
    words::{differs, done},
};
use crate::{
    api::{HistoryOutcome, ManagementPolicy, Phase, Reason},
    lifecycle::{Desired, memory::Refusal, protocol::LaneName},
};

#[allow(clippy::large_enum_variant, reason = "few are made, and none is kept")]
#[derive(Debug, Clone, PartialEq)]
pub enum AtRest {
    InSync,
    /// What would hold the change back if it were allowed, if anything.
    Drift {
        hindrance: Option<Box<Situation>>,
    },
    Suspended {
        hindrance: Option<Box<Situation>>,
    },
    /// With `account`, other objects of the credential wait that long, too.
    Refused {
        refusal: Refusal,
        account: Option<Duration>,
    },
}

impl AtRest {
    pub fn settles_the_type(&self) -> bool {
        match self {
            Self::InSync | Self::Refused { .. } | Self::Drift { .. } | Self::Suspended { .. } => {
                true
            }
        }
    }

    pub fn told(&self, scene: &Scene) -> Told {
        match self {
            Self::InSync => in_sync(scene),
            Self::Drift { hindrance } => {
                let message = match would(scene, hindrance.as_deref()) {
                    None => "with Enforce it would be resized".to_owned(),
                    Some(told) => format!("with Enforce it would not be resized either: {told}"),
                };
                not_allowed(scene, &message)
            }
            Self::Suspended { hindrance } => {
                let message = match would(scene, hindrance.as_deref()) {
                    None => "without suspend it would be resized".to_owned(),
                    Some(told) => format!("without suspend it would not be resized either: {told}"),
                };
                not_allowed(scene, &message)
            }
            Self::Refused { refusal, .. } => {
                let look =
                    refusal.retry_after.map_or_else(|| scene.at_rest(), |time| scene.at(time));
                Told::failed(refusal.reason, refusal.message.clone(), look)
                    .remember(Memo::Refused(refusal.clone()))
            }
        }
    }
}

/// In sync, as told once the change to this type was complete, for as long as nothing else was done.
fn in_sync(scene: &Scene) -> Told {
    let want = &scene.desired.type_id;
    let last = scene.history.iter().rev().find(|entry| LaneName::of(entry.kind) == LaneName::Type);
    let message = match last {
        Some(last) if last.outcome == HistoryOutcome::Completed && last.to == *want => {
            let number = last.order_number.as_ref();
            done(last.kind, (&last.from, &last.to), last.adopted, number)
        }
        _ => format!("instance {} is of type {want}", scene.desired.instance_id),
    };
    Told::ready(Phase::InSync, Reason::InSync, message, scene.at_rest())
}

/// How an object shows that may not be changed: phase, reason, and why.
pub fn passive(desired: &Desired) -> (Phase, Reason, &'static str) {
    match desired.policy {
        ManagementPolicy::Observe => {
            (Phase::Drifted, Reason::DriftObserved, "spec.managementPolicy is Observe")
        }
        ManagementPolicy::Enforce => (Phase::Suspended, Reason::Suspended, "spec.suspend is true"),
    }
}

fn not_allowed(scene: &Scene, would: &str) -> Told {
    let (phase, reason, why) = passive(scene.desired);
    let message = format!("{}; {why}, so it is not changed; {would}", differs(scene));
    Told::ready(phase, reason, message, scene.at_rest())
}

fn would(scene: &Scene, hindrance: Option<&Situation>) -> Option<String> {
    hindrance.map(|situation| situation.told(scene).message)
}
