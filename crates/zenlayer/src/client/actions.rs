//! The trait [`Cloud`] over HTTP: each action by its name, with its body and its decoder.

use async_trait::async_trait;

use super::Client;
use crate::{
    Answer, Batch, Call, CatalogueQuery, Cloud, Credentials, Found, Instance, InstanceId,
    InstanceIds, InstanceState, Offer, Price, PriceInquiry, ReadError, Reading, TypeStatus, Zone,
    decode::{DecodeError, Success},
    error::{ErrorClass, Problem},
    request,
};

#[async_trait]
impl Cloud for Client {
    async fn describe_instances(
        &self,
        credentials: &Credentials,
        ids: &InstanceIds,
    ) -> Result<Reading<Batch<Instance>>, ReadError> {
        self.read_batch(credentials, "DescribeInstances", ids, |body| body.instances(ids)).await
    }

    async fn describe_states(
        &self,
        credentials: &Credentials,
        ids: &InstanceIds,
    ) -> Result<Reading<Batch<InstanceState>>, ReadError> {
        self.read_batch(credentials, "DescribeInstancesStatus", ids, |body| body.states(ids)).await
    }

    async fn describe_type_status(
        &self,
        credentials: &Credentials,
        id: &InstanceId,
    ) -> Result<Reading<Option<TypeStatus>>, ReadError> {
        let action = "DescribeInstanceTypeStatus";
        let decode = |body: &Success<'_>| body.type_status(id).map(Some);
        or_gone(self.read(credentials, action, request::by_id(id), decode).await, || None)
    }

    async fn describe_catalogue(
        &self,
        credentials: &Credentials,
        query: &CatalogueQuery,
    ) -> Result<Reading<Vec<Offer>>, ReadError> {
        let action = "DescribeZoneInstanceConfigInfos";
        let decode = |body: &Success<'_>| body.catalogue(query);
        self.read(credentials, action, request::catalogue(query), decode).await
    }

    async fn inquire_price(
        &self,
        credentials: &Credentials,
        inquiry: &PriceInquiry,
    ) -> Result<Reading<Price>, ReadError> {
        let body = request::price(inquiry);
        self.read(credentials, "InquiryPriceCreateInstance", body, |body| body.price()).await
    }

    async fn describe_zones(
        &self,
        credentials: &Credentials,
    ) -> Result<Reading<Vec<Zone>>, ReadError> {
        let body = serde_json::json!({});
        self.read(credentials, "DescribeZones", body, |body| body.zones()).await
    }

    async fn ready(&self, credentials: &Credentials) {
        self.turn(credentials).await;
    }

    async fn mutate(&self, credentials: &Credentials, call: &Call) -> Answer {
        self.write(credentials, call).await
    }
}

impl Client {
    /// A batch; of one id, "no such instance" is an answer (the official Terraform provider takes it
    /// for one, too, beside an empty list).
    async fn read_batch<T: Send>(
        &self,
        credentials: &Credentials,
        action: &'static str,
        ids: &InstanceIds,
        decode: impl Fn(&Success<'_>) -> Result<Batch<T>, DecodeError> + Send + Sync,
    ) -> Result<Reading<Batch<T>>, ReadError> {
        let read = self.read(credentials, action, request::by_ids(ids), decode).await;
        match ids.only() {
            Some(id) => or_gone(read, || Batch::from([(id.clone(), Found::Missing)])),
            None => read,
        }
    }
}

/// Turns the refusal "no such instance" into a value.
fn or_gone<T>(
    read: Result<Reading<T>, ReadError>,
    gone: impl FnOnce() -> T,
) -> Result<Reading<T>, ReadError> {
    match read {
        Err(ReadError::Api { error, date, sent_at })
            if error.class() == ErrorClass::Terminal(Problem::InstanceNotFound) =>
        {
            Ok(Reading { value: gone(), date, sent_at })
        }
        read => read,
    }
}
