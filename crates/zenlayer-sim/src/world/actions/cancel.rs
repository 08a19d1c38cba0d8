//! CancelInstanceDowngrade.

use crate::world::{Call, Plan, Refused, Work, World, parameters::Parameters};

impl World {
    /// Only for a scheduled downgrade (page "CancelInstanceDowngrade").
    pub(in crate::world) fn cancel_instance_downgrade(
        &mut self,
        call: &Call<'_>,
        parameters: &Parameters<'_>,
    ) -> Result<(), Refused> {
        let id = parameters.required("instanceId")?;
        if !matches!(self.find(id)?.plan, Plan::WaitToEnable { .. }) {
            let message = format!("instance {id} has no scheduled downgrade");
            return Err(Refused::by(&parameters.codes.downgrade_not_exist, message));
        }
        self.put_to_work(call, id, Work::Cancel);
        Ok(())
    }
}
