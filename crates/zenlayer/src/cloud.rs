//! The provider's actions as a trait: in production [`Client`](super::Client), in a test whatever
//! plays the provider.

use async_trait::async_trait;

use super::{
    Answer, Batch, Call, CatalogueQuery, Credentials, Instance, InstanceId, InstanceIds,
    InstanceState, Offer, Price, PriceInquiry, ReadError, Reading, TypeStatus, Zone,
};

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
