//! The provider's actions as the rest of the operator sees them. In production
//! [`Client`](super::Client); in a simulation under virtual time, an in-memory cloud.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{
    Answer, Credentials, Instance, InstanceId, InstanceTypeId, ReadError, Reading, TypeStatus,
};

/// One paid call, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModifyInstanceType {
    pub instance_id: InstanceId,
    pub instance_type_id: InstanceTypeId,
    /// The timestamp that is signed: the provider refuses the request once its clock is more than
    /// the signature's life past it, however late the request is delivered.
    pub signed_at: Timestamp,
    /// How much of the window in which the request may be sent is left; connecting counts.
    pub send_within: Duration,
}

#[async_trait]
pub trait Cloud: Send + Sync {
    /// Waits until the rate limit of this credential lets one mutating call through.
    async fn ready(&self, credentials: &Credentials);

    /// `DescribeInstances` for one id. `None`: the provider answered that there is no such instance.
    async fn describe_instance(
        &self,
        credentials: &Credentials,
        id: &InstanceId,
    ) -> Result<Reading<Option<Instance>>, ReadError>;

    /// `DescribeInstanceTypeStatus`. `None`: the provider answered that there is no such instance.
    async fn describe_type_status(
        &self,
        credentials: &Credentials,
        id: &InstanceId,
    ) -> Result<Reading<Option<TypeStatus>>, ReadError>;

    /// `ModifyInstanceType`: one POST on a connection of its own, never repeated by any layer.
    async fn modify_instance_type(
        &self,
        credentials: &Credentials,
        call: &ModifyInstanceType,
    ) -> Answer;
}
