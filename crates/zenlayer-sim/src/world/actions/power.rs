//! StartInstances, StopInstances, RebootInstances.

use crate::world::{
    Batch, Call, Refused, State, Work, World, answer::refusal, parameters::Parameters,
};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    Start,
    Stop { force: bool },
    Reboot,
}

impl Power {
    fn work(self) -> Work {
        match self {
            Self::Start => Work::Start,
            Self::Stop { force } => Work::Stop { force },
            Self::Reboot => Work::Reboot,
        }
    }
}

impl World {
    pub(in crate::world) fn change_power(
        &mut self,
        call: &Call<'_>,
        parameters: &Parameters<'_>,
        power: Power,
    ) -> Result<(), Refused> {
        let ids = parameters.batch("instanceIds")?;
        let checked = ids.into_iter().map(|id| (id, self.check_power(id, power)));
        let (mut good, mut refused) = (Vec::new(), None);
        for (id, check) in checked {
            match check {
                Ok(()) => good.push(id),
                Err(refusal) => refused = refused.or(Some(refusal)),
            }
        }
        // What one bad id does to the others is not documented.
        let batch = self.rules.behaviour.batch;
        if let (Batch::AllOrNothing, Some(refusal)) = (batch, &refused) {
            return Err(refusal.clone());
        }
        for id in good {
            self.put_to_work(call, id, power.work());
        }
        match (batch, refused) {
            (Batch::PartialRefused, Some(refusal)) => Err(refusal),
            (Batch::AllOrNothing | Batch::PartialRefused | Batch::PartialAccepted, _) => Ok(()),
        }
    }

    /// As the page of each action says; the code of a stop is the one of both sibling pages.
    fn check_power(&self, id: &str, power: Power) -> Result<(), Refused> {
        let state = self.find(id)?.state;
        let message = format!("instance {id} is {}", state.name());
        if state.is_recycled() {
            return Err(refusal(403, "OPERATION_DENIED_INSTANCE_RECYCLED", message));
        }
        let from_stopped = self.rules.behaviour.reboot_from_stopped;
        let code = match (power, state) {
            (Power::Start, State::Stopped)
            | (Power::Stop { .. } | Power::Reboot, State::Running) => return Ok(()),
            (Power::Reboot, State::Stopped) if from_stopped => return Ok(()),
            (Power::Start, _) => "OPERATION_DENIED_INSTANCE_NOT_STOPPED",
            (Power::Stop { .. }, _) => "OPERATION_DENIED_INSTANCE_NOT_RUNNING",
            (Power::Reboot, _) => "OPERATION_DENIED_INSTANCE_STATUS",
        };
        Err(refusal(403, code, message))
    }
}
