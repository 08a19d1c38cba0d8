//! The provider's actions as a trait: in production [`Client`](super::Client), in a test whatever
//! plays the provider.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;

use super::{
    Answer, Batch, CatalogueQuery, Credentials, Instance, InstanceId, InstanceIds, InstanceState,
    InstanceTypeId, Offer, Price, PriceInquiry, ReadError, Reading, TypeStatus, Zone,
};

/// What a mutating call does to its instance. None of them has an idempotency token, and all of them
/// are asynchronous: the provider answers before the work is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mutation {
    /// `ModifyInstanceType`: the paid one, and the only one whose acceptance carries an order
    /// number. Allowed while the instance is running or stopped. POSTPAID changes at once; PREPAID
    /// is charged and changed at once if the list price rises, and scheduled for the next billing
    /// cycle if it falls (page "ModifyInstanceType"). No page says whether a running guest reboots.
    Modify {
        /// The type that it is to be of.
        to: InstanceTypeId,
    },
    /// `CancelInstanceDowngrade`: takes back the downgrade that waits for the next cycle.
    CancelDowngrade,
    /// `StartInstances` with one id.
    Start,
    /// `StopInstances` with one id, never forced: a guest may ignore it. (The provider's default is
    /// a hard power-off; the official Go client says so.)
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
    /// What is done.
    pub mutation: Mutation,
    /// The instance that it is done to.
    pub instance_id: InstanceId,
    /// The timestamp that is signed: the provider refuses the request once its clock is more than
    /// [`SIGNATURE_LIFE`](crate::SIGNATURE_LIFE) past it, however late the request is delivered. A
    /// bearer token signs nothing, so its requests never expire.
    pub signed_at: Timestamp,
    /// How much of the window in which the request may be sent is left. Half of it is for making a
    /// client (which reads the system's certificates), half for DNS, TCP and TLS. A call that is not
    /// connected by then is [not sent](Answer::NotSent).
    pub send_within: Duration,
}

/// The actions. Reads may be repeated inside one call; a mutation is sent at most once.
///
/// The trait is made with the `async_trait` crate: an implementation of your own, such as one that
/// plays the provider in a test, bears its `#[async_trait]` too.
///
/// Every read fails with [`ReadError`], and its [class](ReadError::class) says what to do.
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

    /// `DescribeZones`: all zones. A harmless probe of a credential, too.
    async fn describe_zones(
        &self,
        credentials: &Credentials,
    ) -> Result<Reading<Vec<Zone>>, ReadError>;

    /// Waits until the rate limit of this credential lets one mutating call through.
    async fn ready(&self, credentials: &Credentials);

    /// One POST on a connection of its own, never repeated by any layer. It does not wait for the
    /// rate limit: await [`ready`](Self::ready) first, so that a caller can note what it is about to
    /// do after the wait and right before the call.
    async fn mutate(&self, credentials: &Credentials, call: &Call) -> Answer;
}
