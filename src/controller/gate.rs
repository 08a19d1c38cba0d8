//! For tests of real processes: a cloud that stops right before or right after the paid call until
//! the test lets it go on. Reached through a hidden flag that is refused for an endpoint that is
//! not loopback.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::zenlayer::{
    Answer, Cloud, Credentials, Instance, InstanceId, ModifyInstanceType, ReadError, Reading,
    TypeStatus,
};

/// Passes calls on to `inner`. Where the folder holds a file `before-call` or `after-call`, the
/// paid call stops there: a file `…-reached` appears, and it goes on once the first one is gone.
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
    async fn ready(&self, credentials: &Credentials) {
        self.inner.ready(credentials).await;
    }

    async fn describe_instance(
        &self,
        credentials: &Credentials,
        id: &InstanceId,
    ) -> Result<Reading<Option<Instance>>, ReadError> {
        self.inner.describe_instance(credentials, id).await
    }

    async fn describe_type_status(
        &self,
        credentials: &Credentials,
        id: &InstanceId,
    ) -> Result<Reading<Option<TypeStatus>>, ReadError> {
        self.inner.describe_type_status(credentials, id).await
    }

    async fn modify_instance_type(
        &self,
        credentials: &Credentials,
        call: &ModifyInstanceType,
    ) -> Answer {
        self.pass("before-call").await;
        let answer = self.inner.modify_instance_type(credentials, call).await;
        self.pass("after-call").await;
        answer
    }
}
