//! For tests of real processes: a cloud that stops right before or right after a mutating call
//! until the test lets it go on. Reached through a hidden flag that is refused for an endpoint that is
//! not loopback.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::zenlayer::{
    Answer, Batch, Call, CatalogueQuery, Cloud, Credentials, Instance, InstanceId, InstanceIds,
    InstanceState, Offer, Price, PriceInquiry, ReadError, Reading, TypeStatus, Zone,
};

/// Passes calls on to `inner`. Where the folder holds a file `before-call` or `after-call`, the
/// mutating call stops there: a file `…-reached` appears, and it goes on once the first one is gone.
pub struct GatedCloud {
    inner: Arc<dyn Cloud>,
    folder: PathBuf,
}

impl GatedCloud {
    pub fn new(inner: Arc<dyn Cloud>, folder: PathBuf) -> Self {
        Self { inner, folder }
    }

    async fn pass(&self, gate: &str) {
        let closed = self.folder.join(gate);
        if !closed.exists() {
            return;
        }
        let reached = self.folder.join(format!("{gate}-reached"));
        if let Err(error) = std::fs::write(&reached, "") {
            tracing::warn!(%error, gate, "cannot say that the gate is reached");
        }
        while closed.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[async_trait]
impl Cloud for GatedCloud {
    async fn describe_instances(
        &self,
        credentials: &Credentials,
        ids: &InstanceIds,
    ) -> Result<Reading<Batch<Instance>>, ReadError> {
        self.inner.describe_instances(credentials, ids).await
    }

    async fn describe_states(
        &self,
        credentials: &Credentials,
        ids: &InstanceIds,
    ) -> Result<Reading<Batch<InstanceState>>, ReadError> {
        self.inner.describe_states(credentials, ids).await
    }

    async fn describe_type_status(
        &self,
        credentials: &Credentials,
        id: &InstanceId,
    ) -> Result<Reading<Option<TypeStatus>>, ReadError> {
        self.inner.describe_type_status(credentials, id).await
    }

    async fn describe_catalogue(
        &self,
        credentials: &Credentials,
        query: &CatalogueQuery,
    ) -> Result<Reading<Vec<Offer>>, ReadError> {
        self.inner.describe_catalogue(credentials, query).await
    }

    async fn inquire_price(
        &self,
        credentials: &Credentials,
        inquiry: &PriceInquiry,
    ) -> Result<Reading<Price>, ReadError> {
        self.inner.inquire_price(credentials, inquiry).await
    }

    async fn describe_zones(
        &self,
        credentials: &Credentials,
    ) -> Result<Reading<Vec<Zone>>, ReadError> {
        self.inner.describe_zones(credentials).await
    }

    async fn ready(&self, credentials: &Credentials) {
        self.inner.ready(credentials).await;
    }

    async fn mutate(&self, credentials: &Credentials, call: &Call) -> Answer {
        self.pass("before-call").await;
        let answer = self.inner.mutate(credentials, call).await;
        self.pass("after-call").await;
        answer
    }
}
