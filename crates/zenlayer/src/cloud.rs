//! The provider's actions as the rest of the operator sees them. In production
//! [`Client`](super::Client); in a simulation under virtual time, an in-memory cloud.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;

use super::{
    Answer, Batch, CatalogueQuery, Credentials, Instance, InstanceId, InstanceIds, InstanceState,
    InstanceTypeId, Offer, Price, PriceInquiry, ReadError, Reading, TypeStatus, Zone,
};

/// What a mutating call does to its instance. None of them has an idempotency token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mutation {
    /// `ModifyInstanceType`: the paid one, and the only one whose acceptance carries an order
    /// number.
    Modify { to: InstanceTypeId },
    /// `CancelInstanceDowngrade`: takes back the downgrade that waits for the next cycle.
    CancelDowngrade,
    /// `StartInstances` with one id.
    Start,
    /// `StopInstances` with one id, never forced: a guest may ignore it.
    Stop,
    /// `RebootInstances` with one id.
    Reboot,
}

impl Mutation {
    /// The name of the provider's action.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Modify { .. } => "ModifyInstanceType",
            Self::CancelDowngrade => "CancelInstanceDowngrade",
            Self::Start => "StartInstances",
            Self::Stop => "StopInstances",
            Self::Reboot => "RebootInstances",
        }
    }
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.action())
    }
}

/// One mutating call, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub mutation: Mutation,
    pub instance_id: InstanceId,
    /// The timestamp that is signed: the provider refuses the request once its clock is more than
    /// the signature's life past it, however late the request is delivered.
    pub signed_at: Timestamp,
    /// How much of the window in which the request may be sent is left; connecting counts.
    pub send_within: Duration,
}

/// Reads may be repeated inside one call; a mutation is sent at most once.
#[async_trait]
pub trait Cloud: Send + Sync {
    /// `DescribeInstances`: an entry for each id that was asked. With more than one id, an answer
    /// that refuses the whole batch is an error: it does not say which id it is about.
    async fn describe_instances(
        &self,
        credentials: &Credentials,
        ids: &InstanceIds,
    ) -> Result<Reading<Batch<Instance>>, ReadError>;

    /// `DescribeInstancesStatus`: as above, the state alone.
    async fn describe_states(
        &self,
        credentials: &Credentials,
        ids: &InstanceIds,
    ) -> Result<Reading<Batch<InstanceState>>, ReadError>;

    /// `DescribeInstanceTypeStatus`. `None`: the provider answered that there is no such instance.
    async fn describe_type_status(
        &self,
        credentials: &Credentials,
        id: &InstanceId,
    ) -> Result<Reading<Option<TypeStatus>>, ReadError>;

    /// `DescribeZoneInstanceConfigInfos`: the types of one zone for one charge type.
    async fn describe_catalogue(
        &self,
        credentials: &Credentials,
        query: &CatalogueQuery,
    ) -> Result<Reading<Vec<Offer>>, ReadError>;

    /// `InquiryPriceCreateInstance`: what one instance of a type would cost.
    async fn inquire_price(
        &self,
        credentials: &Credentials,
        inquiry: &PriceInquiry,
    ) -> Result<Reading<Price>, ReadError>;

    /// `DescribeZones`: a harmless probe of a credential, too.
    async fn describe_zones(
        &self,
        credentials: &Credentials,
    ) -> Result<Reading<Vec<Zone>>, ReadError>;

    /// Waits until the rate limit of this credential lets one mutating call through.
    async fn ready(&self, credentials: &Credentials);

    /// One POST on a connection of its own, never repeated by any layer. It does not wait for the
    /// rate limit: await [`ready`](Self::ready) before the intent is written.
    async fn mutate(&self, credentials: &Credentials, call: &Call) -> Answer;
}
