//! What has to be read, and what cannot be.

use std::time::Duration;

use zenlayer::InstanceTypeId;

use super::told::{AT_ONCE, Memo, NextLook, Scene, Told, Worth};
use crate::{
    api::{HistoryOutcome, Reason},
    lifecycle::{observed::Trouble, protocol::Change, read::Read},
};

/// A read that failed.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadProblem {
    pub reason: Reason,
    pub text: String,
    /// Whether a person has to act; else it passes.
    pub person: bool,
}

#[allow(clippy::large_enum_variant, reason = "few are made, and none is kept")]
#[derive(Debug, Clone, PartialEq)]
pub enum Looking {
    /// This has to be read first.
    Needs(&'static [Read]),
    InvalidStatus {
        problem: String,
    },
    SecretUnusable {
        reason: Reason,
        problem: String,
    },
    /// The credential has no call left for the moment.
    NoQuota {
        again_in: Duration,
    },
    /// Trouble of the credential that all its objects share.
    InTrouble {
        trouble: Trouble,
    },
    ReadFailed {
        problem: ReadProblem,
    },
    SlotUnreadable {
        problem: String,
    },
    SlotOfAnotherVersion,
    /// The instance was not there for the first time.
    Missing,
    InstanceGone {
        ended: Option<Change>,
        power: Option<Change>,
    },
    /// Two reads show different types; or one shows no instance.
    ReadsDisagree {
        since: Duration,
        types: Option<(InstanceTypeId, InstanceTypeId)>,
    },
    ReadLags,
    /// The reads are too old to act on, or a name is taken for this second.
    TooOld,
}

impl Looking {
    pub fn settles_the_type(&self) -> bool {
        match self {
            Self::Needs(_)
            | Self::InvalidStatus { .. }
            | Self::SecretUnusable { .. }
            | Self::NoQuota { .. }
            | Self::InTrouble { .. }
            | Self::ReadFailed { .. }
            | Self::SlotUnreadable { .. }
            | Self::SlotOfAnotherVersion
            | Self::Missing
            | Self::InstanceGone { .. }
            | Self::ReadsDisagree { .. }
            | Self::ReadLags
            | Self::TooOld => false,
        }
    }

    pub fn told(&self, scene: &Scene) -> Told {
        let id = &scene.desired.instance_id;
        let first = NextLook::After(scene.desired.timing.poll.0);
        match self {
            Self::Needs(_) => Told::quiet(
                Reason::ReadAgain,
                format!("instance {id} is read again"),
                NextLook::Backoff,
            ),
            Self::TooOld => too_old(scene),
            Self::InvalidStatus { problem } => {
                Told::failed(Reason::InvalidStatus, problem.clone(), scene.at_rest())
            }
            Self::SecretUnusable { reason, problem } => match reason {
                Reason::KubernetesUnavailable => {
                    Told::waiting(*reason, problem.clone(), NextLook::Backoff)
                }
                _ => Told::failed(*reason, problem.clone(), scene.at_rest()),
            },
            Self::NoQuota { again_in } => Told::quiet(
                Reason::RateLimited,
                "the rate of calls of the credential is used up (--requests-per-second); it goes on \
                 when there is one left"
                    .to_owned(),
                NextLook::WhenTold(*again_in),
            )
            .not_written(),
            Self::InTrouble { trouble } => {
                let make = if trouble.person { Told::failed } else { Told::waiting };
                // The machine is looked at as often as any, whatever its account waits for.
                let pause = trouble.again_in.min(scene.desired.timing.drift);
                make(trouble.reason, trouble.problem.clone(), scene.after(pause))
            }
            Self::ReadFailed { problem } => {
                let make = if problem.person { Told::failed } else { Told::waiting };
                make(problem.reason, problem.text.clone(), NextLook::Backoff)
            }
            Self::SlotUnreadable { problem } => Told::waiting(
                Reason::KubernetesUnavailable,
                format!("cannot read the Lease that keeps the changes of the instance: {problem}"),
                NextLook::Backoff,
            ),
            Self::SlotOfAnotherVersion => of_another_version(scene),
            Self::Missing => Told::quiet(
                Reason::InstanceNotFound,
                format!("the provider shows no instance {id}; it is asked once more"),
                first,
            ),
            Self::InstanceGone { ended, power } => gone(scene, ended.as_ref(), power.as_ref()),
            Self::ReadsDisagree { since, types } => disagree(scene, *since, types.as_ref()),
            Self::ReadLags => Told::quiet(
                Reason::ReadsDisagree,
                format!(
                    "a read of instance {id} contradicts the change that was just seen; it is read \
                     again"
                ),
                first,
            ),
        }
    }
}

fn too_old(scene: &Scene) -> Told {
    let message = format!(
        "instance {} is read again: a call is made within {} s of the reads that it rests on",
        scene.desired.instance_id,
        scene.desired.timing.freshness.as_secs()
    );
    Told::quiet(Reason::ReadAgain, message, NextLook::Backoff)
}

fn of_another_version(scene: &Scene) -> Told {
    let message = format!(
        "another version of the operator has a change of instance {} in progress, and this one cannot \
         read it: run that version until the change is complete",
        scene.desired.instance_id
    );
    Told::failed(Reason::InvalidStatus, message, scene.at_rest())
}

fn gone(scene: &Scene, ended: Option<&Change>, power: Option<&Change>) -> Told {
    let id = &scene.desired.instance_id;
    let message = format!(
        "the provider knows no instance {id}: spec.instanceId cannot be changed, so delete this \
         VmInstance and create one with the right id"
    );
    let look = if ended.is_some() || power.is_some() { AT_ONCE } else { scene.at_rest() };
    let mut told = Told::failed(Reason::InstanceNotFound, message, look);
    for change in ended.into_iter().chain(power) {
        told = told.remember(Memo::End(change.clone(), HistoryOutcome::InstanceGone));
    }
    told
}

/// For a while it is lag; then somebody should look.
fn disagree(
    scene: &Scene,
    since: Duration,
    types: Option<&(InstanceTypeId, InstanceTypeId)>,
) -> Told {
    let id = &scene.desired.instance_id;
    let what = match types {
        Some((one, other)) => {
            format!("two reads of instance {id} show different types, {one} and {other}")
        }
        None => format!("one read shows instance {id}, and another one does not"),
    };
    let message = format!("{what}; it is read again");
    // A moment of it is not worth a word.
    if since < scene.desired.timing.poll.1 {
        return Told::quiet(Reason::ReadsDisagree, message, NextLook::Backoff);
    }
    if since < scene.desired.timing.change_deadline {
        return Told::waiting(Reason::ReadsDisagree, message, NextLook::Backoff);
    }
    let message = format!(
        "{what}, for {} minutes by now; nothing is ordered before they agree: ask the provider",
        since.as_secs() / 60
    );
    Told::failed(Reason::ReadsDisagree, message, scene.at_rest())
        .event(Worth::News(true, Reason::ReadsDisagree.as_str()))
}
