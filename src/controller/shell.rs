//! One pass over one object as a task of its own, and when the next one is due.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kube::{ResourceExt, runtime::controller::Action};
use tokio::task::JoinError;
use tracing::Instrument;

use super::{
    Context, StoreError, pass, reconcile,
    waker::{Name, name_of},
};
use crate::{
    api::{VmInstance, VmInstanceStatus},
    lifecycle::{NextLook, backoff},
};

/// What all passes share.
pub struct Shell {
    pub ctx: Arc<Context>,
    /// Failures in a row by uid.
    failures: Mutex<HashMap<String, u32>>,
}

/// Why a pass ended without a verdict.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    #[error("write the verdict")]
    Store(#[source] StoreError),
    #[error("the pass panicked: {0}")]
    Panicked(String),
}

/// One pass as a task of its own: whatever becomes of the loop, it goes on to its end.
pub async fn pass_over(object: Arc<VmInstance>, shell: Arc<Shell>) -> Result<Action, PassError> {
    let (name, began) = (name_of(&object), shell.ctx.clock.monotonic());
    let late = shell.ctx.backlog.begins(&name, began);
    if !shell.ctx.leadership.serves(shell.ctx.clock.monotonic()) {
        // All objects are looked at once this process is elected.
        return Ok(Action::await_change());
    }
    let uid = object.uid().unwrap_or_default();
    let span = tracing::info_span!(
        "reconcile",
        namespace = object.namespace().unwrap_or_default(),
        name = object.name_any()
    );
    let ctx = shell.ctx.clone();
    let unseen = VmInstanceStatus::default();
    let status = object.status.as_ref().unwrap_or(&unseen);
    let kind = pass::class(status, object.metadata.generation.unwrap_or(0)).as_str();
    ctx.metrics.began(kind, late);
    let whole = async move { Box::pin(reconcile(object, &ctx)).await };
    let task = tokio::spawn(whole.instrument(span));
    let result = match task.await {
        Ok(Ok(next)) => Ok(next),
        // Another write came first: nothing is wrong, the next pass sees it.
        Ok(Err(StoreError::Conflict | StoreError::Gone)) => Ok(NextLook::Backoff),
        Ok(Err(error)) => Err(PassError::Store(error)),
        Err(error) => Err(PassError::Panicked(panic_text(error))),
    };
    let elapsed = shell.ctx.clock.monotonic().saturating_sub(began);
    shell.ctx.metrics.reconciled(kind, result.is_ok(), elapsed);
    match result? {
        NextLook::After(pause) => {
            shell.succeeded(&uid);
            Ok(shell.again(&name, pause))
        }
        NextLook::Backoff => Ok(shell.again(&name, shell.failed(&uid))),
        NextLook::WhenTold(pause) => Ok(shell.again(&name, pause)),
        NextLook::OnChange => {
            shell.succeeded(&uid);
            Ok(Action::await_change())
        }
    }
}

pub fn on_error(object: Arc<VmInstance>, error: &PassError, shell: Arc<Shell>) -> Action {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::error!(
        namespace = object.namespace().unwrap_or_default(),
        name = object.name_any(),
        cause,
        "{error}"
    );
    let pause = shell.failed(&object.uid().unwrap_or_default());
    shell.again(&name_of(&object), pause)
}

impl Shell {
    pub fn new(ctx: Arc<Context>) -> Self {
        Self { ctx, failures: Mutex::default() }
    }

    /// The next pass over it, after this pause.
    fn again(&self, name: &Name, pause: Duration) -> Action {
        let due = self.ctx.clock.monotonic().saturating_add(pause);
        self.ctx.backlog.due(name, due);
        Action::requeue(pause)
    }

    fn failed(&self, uid: &str) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(uid.to_owned()).or_default();
        *count = count.saturating_add(1);
        backoff::pause(*count, &self.ctx.defaults.timing, uid)
    }

    fn succeeded(&self, uid: &str) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    /// Forgets all other objects.
    pub fn keep(&self, uids: &HashSet<String>) {
        self.failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|uid, _| uids.contains(uid));
    }
}

fn panic_text(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else { return "it was cut".to_owned() };
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use async_trait::async_trait;

    use super::*;
    use crate::{
        api::VmInstanceStatus,
        controller::{Age, Credential, KeptSlot, Store, SystemClock},
        lifecycle::{Counted, Defaults, Event, ObjectKey, SecretState, Slot, SlotRecord, Timing},
        telemetry::Metrics,
    };
    use zenlayer::{Client as Provider, ClientOptions, Endpoint, InstanceId, Rate};

    /// Panics at the first question.
    struct Broken;

    #[async_trait]
    impl Store for Broken {
        async fn secret(
            &self,
            _: &ObjectKey,
            _: &str,
            _: Age,
        ) -> (SecretState, Option<Credential>) {
            panic!("the index is out of bounds")
        }
        async fn slot(&self, _: &InstanceId, _: Age) -> Result<Slot, StoreError> {
            unreachable!()
        }
        async fn write_slot(
            &self,
            _: &InstanceId,
            _: &Slot,
            _: SlotRecord,
        ) -> Result<Slot, StoreError> {
            unreachable!()
        }
        async fn slots(&self) -> Result<Vec<KeptSlot>, StoreError> {
            unreachable!()
        }
        async fn delete_slot(&self, _: &KeptSlot) -> Result<(), StoreError> {
            unreachable!()
        }
        async fn orders(&self) -> Result<Vec<Counted>, StoreError> {
            unreachable!()
        }
        async fn write_status(
            &self,
            _: &VmInstance,
            _: &VmInstanceStatus,
        ) -> Result<Arc<VmInstance>, StoreError> {
            unreachable!()
        }
        async fn set_finalizer(
            &self,
            _: &VmInstance,
            _: bool,
        ) -> Result<Arc<VmInstance>, StoreError> {
            unreachable!()
        }
        async fn object(&self, _: &str, _: &str) -> Result<Option<Arc<VmInstance>>, StoreError> {
            unreachable!()
        }
        fn claims(&self, _: &InstanceId) -> Vec<Arc<VmInstance>> {
            unreachable!()
        }
        async fn publish_event(&self, _: &VmInstance, _: &Event) {
            unreachable!()
        }
    }

    /// Nothing that a user can do causes one, so it is made here.
    #[tokio::test]
    async fn a_panic_in_a_pass_is_an_error_of_that_pass_alone() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let endpoint = Endpoint::parse("http://127.0.0.1:9", false).unwrap();
        let provider = Provider::new(endpoint, ClientOptions::default());
        let metrics = Metrics::default();
        let ctx = Context::new(
            Arc::new(provider.unwrap()),
            Arc::new(Broken),
            Arc::new(SystemClock::default()),
            Defaults::default(),
            metrics.clone(),
            Rate::from(NonZeroU32::MIN),
        );
        let shell = Arc::new(Shell::new(Arc::new(ctx)));
        let spec = serde_json::json!({ "instanceId": "vm-1", "instanceTypeId": "c.2c4g" });
        let mut object = VmInstance::new("vm-1", serde_json::from_value(spec).unwrap());
        object.metadata.namespace = Some("default".to_owned());
        object.metadata.uid = Some("uid".to_owned());
        let object = Arc::new(object);
        for failures in 1..=2 {
            let error = pass_over(object.clone(), shell.clone()).await.unwrap_err();
            assert_eq!(error.to_string(), "the pass panicked: the index is out of bounds");
            let action = on_error(object.clone(), &error, shell.clone());
            assert_eq!(
                action,
                Action::requeue(backoff::pause(failures, &Timing::default(), "uid"))
            );
        }
        let text = metrics.encode().unwrap();
        assert!(text.contains("zenlayer_vm_reconciles_total{result=\"error\"} 2"), "{text}");
    }
}
