//! `decide`: what the world allows now. Pure: the same arguments give the same decision.

use jiff::Timestamp;
use zenlayer::with_causes;

use super::{
    Desired, Observed,
    decision::{Action, Decision},
    facts::Facts,
    rules::{first_that_applies, start_of_a_stopped_machine},
    situation::Looking,
};

/// The first rule that applies decides. Where nothing is left to do about the type, a machine that was
/// stopped for it is started first.
pub fn decide(desired: &Desired, observed: &Observed, now: Timestamp) -> Decision {
    let memory = match &observed.memory {
        Ok(memory) => memory,
        Err(error) => {
            let problem = format!(
                "{}; look at the provider's orders, then correct the field with kubectl edit \
                 vminstance {} --subresource=status",
                with_causes(error),
                desired.object.name
            );
            return Decision::report(Looking::InvalidStatus { problem });
        }
    };
    let facts = Facts::new(desired, observed, memory, now);
    let decision = first_that_applies(&facts);
    let settled = decision.action == Action::Nothing && decision.situation.settles_the_type();
    if settled && let Some(start) = start_of_a_stopped_machine(&facts) {
        return start;
    }
    decision
}
