//! The controller's loop: one watch, a bounded number of passes at once, a graceful end.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{FutureExt, StreamExt};
use kube::{
    Api, Client, ResourceExt,
    api::ListParams,
    core::DeserializeGuard,
    runtime::{
        Controller, Predicate, WatchStreamExt, controller::Action,
        controller::Config as ControllerConfig, predicates, reflector, watcher,
    },
};
use tracing::Instrument;

use super::{
    Context, Store, StoreError, connect::WATCH_SECONDS, kube_store::problem, reconcile, rotation,
    unreadable,
};
use crate::{
    api::VmInstance,
    lifecycle::{self, NextLook, backoff},
    telemetry::WatchHealth,
};

/// A pass that takes longer than this is given up. Longer than all time limits of its calls.
const PASS_LIMIT: Duration = Duration::from_secs(150);
/// How long a graceful end waits for running passes: less than the 30 s that a Pod is given.
pub const GRACE: Duration = Duration::from_secs(25);

/// How the loop runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Only this namespace; `None`: all.
    pub watch_namespace: Option<String>,
    /// Passes at once.
    pub concurrency: u16,
    /// How long a graceful end waits for running passes.
    pub grace: Duration,
}

/// Why the controller did not start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(
        "the API server does not serve vminstances.vm.zenlayer.com: apply the CRD first (kubectl \
         apply -k deploy/kustomize, or -f crds/)"
    )]
    NoCrd,
    #[error(
        "cannot list vminstances.vm.zenlayer.com: {0}; check the API server, the credential for it, and the \
         ServiceAccount's RBAC"
    )]
    List(String),
}

struct Shell {
    ctx: Context,
    /// Failures in a row by uid.
    failures: Mutex<HashMap<String, u32>>,
}

/// The objects that the settings let the operator see.
fn objects(client: Client, settings: &Settings) -> Api<DeserializeGuard<VmInstance>> {
    match &settings.watch_namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    }
}

/// Says clearly what is missing, before the watch would only retry.
async fn check(api: &Api<DeserializeGuard<VmInstance>>) -> Result<(), RunError> {
    match api.list(&ListParams::default().limit(1)).await {
        Ok(_) => Ok(()),
        // A group that nobody serves is answered with a plain text, which has no reason.
        Err(kube::Error::Api(status)) if status.code == 404 => Err(RunError::NoCrd),
        Err(error) => Err(RunError::List(problem(&error))),
    }
}

/// Runs until `stop` resolves, then lets running passes end. `client` is for the watch; `health` learns
/// that the first list is complete.
pub async fn run(
    client: Client,
    settings: Settings,
    ctx: Context,
    writer: reflector::store::Writer<VmInstance>,
    health: WatchHealth,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), RunError> {
    let Settings { grace, concurrency, .. } = settings;
    let api = objects(client, &settings);
    check(&api).await?;
    let reader = writer.as_reader();
    let metrics = ctx.metrics.clone();
    let store = ctx.store.clone();
    let farewell = ctx.store.clone();
    let pause = ctx.defaults.timing.secret / 2;
    let rotated = rotation::rotated(reader.clone(), ctx.store.clone(), ctx.secrets.clone(), pause);
    let stream = watcher(api, watcher::Config::default().timeout(WATCH_SECONDS))
        .default_backoff()
        .filter_map(move |event| std::future::ready(unreadable::readable(event, &store)))
        .modify(|object| object.metadata.managed_fields = None)
        .inspect(move |event| match event {
            Ok(watcher::Event::InitDone) if health.listed() => {
                tracing::info!("watching");
            }
            Ok(watcher::Event::Delete(object)) => say_farewell(&farewell, object),
            Ok(_) => {}
            Err(error) => {
                metrics.watch_failed();
                tracing::warn!(%error, "the watch failed; it starts again");
            }
        })
        .reflect(writer)
        .applied_objects()
        .predicate_filter(
            predicates::generation.combine(predicates::annotations),
            Default::default(),
        );
    let shell = Arc::new(Shell { ctx, failures: Mutex::default() });
    let (stopping, mut stopped) = tokio::sync::watch::channel(false);
    let mut asked = stopping.subscribe();
    tokio::spawn(async move {
        stop.await;
        tracing::info!("stopping: running passes end first");
        stopping.send_replace(true);
    });
    let passes = Controller::for_stream(stream, reader)
        .with_config(ControllerConfig::default().concurrency(concurrency))
        .reconcile_on(rotated)
        .graceful_shutdown_on(async move {
            let _ = asked.wait_for(|stop| *stop).await;
        })
        .run(pass, on_error, shell)
        .for_each(|_| std::future::ready(()));
    tokio::select! {
        () = passes => {}
        () = async { let _ = stopped.wait_for(|stop| *stop).await; tokio::time::sleep(grace).await } => {
            tracing::warn!("passes did not end in time; what they left open is settled at the next start");
        }
    }
    Ok(())
}

/// Says that the change of a deleted object goes on: neither the machine nor the order is touched.
fn say_farewell(store: &Arc<dyn Store>, object: &VmInstance) {
    let Some(event) = lifecycle::farewell(object) else { return };
    let (store, object) = (store.clone(), object.clone());
    tokio::spawn(async move { store.publish_event(&object, &event).await });
}

/// Why a pass ended without a verdict.
#[derive(Debug, thiserror::Error)]
enum PassError {
    #[error("write the verdict")]
    Store(#[source] StoreError),
    #[error("the pass took longer than {} s", PASS_LIMIT.as_secs())]
    TooLong,
    #[error("the pass panicked: {0}")]
    Panicked(String),
}

/// One pass in its shell: panics caught, time limited, counted.
async fn pass(object: Arc<VmInstance>, shell: Arc<Shell>) -> Result<Action, PassError> {
    let uid = object.uid().unwrap_or_default();
    let span = tracing::info_span!(
        "reconcile",
        namespace = object.namespace().unwrap_or_default(),
        name = object.name_any()
    );
    let started = shell.ctx.clock.monotonic();
    let limited = tokio::time::timeout(PASS_LIMIT, reconcile(object, &shell.ctx));
    let result = match AssertUnwindSafe(limited).catch_unwind().instrument(span).await {
        Ok(Ok(Ok(next))) => Ok(next),
        // Another write came first: nothing is wrong, the next pass sees it.
        Ok(Ok(Err(StoreError::Conflict | StoreError::Gone))) => {
            Ok(NextLook::After(Duration::from_secs(1)))
        }
        Ok(Ok(Err(error))) => Err(PassError::Store(error)),
        Ok(Err(_)) => Err(PassError::TooLong),
        Err(panic) => Err(PassError::Panicked(panic_text(panic.as_ref()))),
    };
    let elapsed = shell.ctx.clock.monotonic().saturating_sub(started);
    shell.ctx.metrics.reconciled(result.is_ok(), elapsed);
    match result? {
        NextLook::After(pause) => {
            shell.succeeded(&uid);
            Ok(Action::requeue(pause))
        }
        NextLook::Backoff => Ok(Action::requeue(shell.failed(&uid))),
        NextLook::OnChange => {
            shell.succeeded(&uid);
            Ok(Action::await_change())
        }
    }
}

fn on_error(object: Arc<VmInstance>, error: &PassError, shell: Arc<Shell>) -> Action {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::error!(
        namespace = object.namespace().unwrap_or_default(),
        name = object.name_any(),
        cause,
        "{error}"
    );
    Action::requeue(shell.failed(&object.uid().unwrap_or_default()))
}

impl Shell {
    fn failed(&self, uid: &str) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(uid.to_owned()).or_default();
        *count = count.saturating_add(1);
        backoff::pause(*count, &self.ctx.defaults.timing, uid)
    }

    fn succeeded(&self, uid: &str) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::{
        api::VmInstanceStatus,
        controller::{Counted, OrderLedger, Store, SystemClock},
        lifecycle::{Defaults, Event, SecretState, Slot, SlotRecord},
        telemetry::Metrics,
    };
    use zenlayer::{Client as Provider, ClientOptions, Credentials, Endpoint, InstanceId};

    /// Panics at the first question.
    struct Broken;

    #[async_trait]
    impl Store for Broken {
        async fn secret(&self, _: &str, _: &str) -> (SecretState, Option<Credentials>) {
            panic!("the index is out of bounds")
        }
        async fn slot(&self, _: &InstanceId) -> Result<Slot, StoreError> {
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
        async fn orders(&self) -> Result<OrderLedger, StoreError> {
            unreachable!()
        }
        async fn write_orders(&self, _: &OrderLedger, _: Vec<Counted>) -> Result<(), StoreError> {
            unreachable!()
        }
        async fn write_status(
            &self,
            _: &VmInstance,
            _: &VmInstanceStatus,
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
        );
        let shell = Arc::new(Shell { ctx, failures: Mutex::default() });
        let spec = serde_json::json!({ "instanceId": "vm-1", "instanceTypeId": "c.2c4g" });
        let mut object = VmInstance::new("vm-1", serde_json::from_value(spec).unwrap());
        object.metadata.namespace = Some("default".to_owned());
        object.metadata.uid = Some("uid".to_owned());
        let object = Arc::new(object);
        for failures in 1..=2 {
            let error = pass(object.clone(), shell.clone()).await.unwrap_err();
            assert_eq!(error.to_string(), "the pass panicked: the index is out of bounds");
            let action = on_error(object.clone(), &error, shell.clone());
            assert_eq!(
                action,
                Action::requeue(backoff::pause(failures, &lifecycle::Timing::default(), "uid"))
            );
        }
        let text = metrics.encode().unwrap();
        assert!(text.contains("zenlayer_vm_reconciles_total{result=\"error\"} 2"), "{text}");
    }
}
