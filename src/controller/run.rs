//! The controller's loop: one watch, a bounded number of passes at once, a graceful end.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::StreamExt;
use kube::{
    Client, ResourceExt,
    api::ListParams,
    runtime::{
        Controller, Predicate, WatchStreamExt, controller::Action,
        controller::Config as ControllerConfig, predicates, reflector::ObjectRef, watcher,
    },
};
use tokio::task::JoinError;
use tracing::Instrument;
use zenlayer::InstanceId;

use super::{
    Context, StoreError,
    cloud_view::read_machines,
    connect::watch_pauses,
    reconcile,
    seen::seen,
    store::{Claims, ObjectCache, SlotCache, problem},
    sweep::Sweep,
    term::{serve_terms, wake_rotated},
    waker::name_of,
    watch::{deletion, forget_what_nobody_reads, objects, our_annotations, watch, watch_slots},
};
use crate::{
    api::VmInstance,
    lifecycle::{NextLook, Selection, backoff},
    telemetry::WatchHealth,
};

/// How long a graceful end waits for passes: longer than a call for its answer; the Pod has 60 s.
pub const GRACE: Duration = Duration::from_secs(55);

/// How the loop runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The namespace of the slots.
    pub slot_namespace: String,
    /// The objects that are served.
    pub selection: Selection,
    /// Passes at once.
    pub concurrency: u16,
    /// How long a graceful end waits for running passes.
    pub grace: Duration,
    /// Pause between two looks at all slots.
    pub sweep: Duration,
}

/// Why the controller cannot run.
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
    ctx: Arc<Context>,
    /// Failures in a row by uid.
    failures: Mutex<HashMap<String, u32>>,
}

/// Says clearly what is missing, before the watch would only retry.
pub async fn check(client: &Client, settings: &Settings) -> Result<(), RunError> {
    let one = ListParams::default().limit(1);
    for api in objects(client, &settings.selection) {
        match api.list(&one).await {
            Ok(_) => {}
            // A group that nobody serves is answered with a plain text, which has no reason.
            Err(kube::Error::Api(status)) if status.code == 404 => return Err(RunError::NoCrd),
            Err(error) => return Err(RunError::List(problem(&error))),
        }
    }
    Ok(())
}

/// Runs until `stop` resolves, then lets running passes end; tells whether all have. `client` is for the
/// watch; `health` learns that the first list is complete.
pub async fn run(
    (client, slot_watch): (Client, Client),
    settings: Settings,
    ctx: Context,
    (objects_seen, slots): (ObjectCache, SlotCache),
    health: WatchHealth,
    stop: impl Future<Output = ()> + Send + 'static,
) -> bool {
    let Settings { grace, concurrency, sweep, selection, slot_namespace } = settings;
    let watches_slots = watch_slots(&slot_watch, &slot_namespace, slots);
    let ctx = Arc::new(ctx);
    let claims = objects_seen.claims();
    let (writer, reader) = (objects_seen.writer, claims.cache.clone());
    let woken = ctx.waker.woken().map(|(namespace, name)| ObjectRef::new(&name).within(&namespace));
    let (watched, indexed) = (ctx.clone(), claims.clone());
    let stream = watch(&client, &selection, &ctx.store)
        .modify(forget_what_nobody_reads)
        .inspect(move |event| {
            if let Ok(event) = event {
                indexed.saw(event);
            }
            if let Ok(watcher::Event::InitDone) = event
                && health.listed()
            {
                tracing::info!("watching");
            }
        })
        .reflect(writer)
        // After the cache has it, so that whoever is woken sees it.
        .inspect(move |event| seen(&watched, event))
        .applied_objects()
        .predicate_filter(
            predicates::generation
                .combine(our_annotations)
                .combine(predicates::finalizers)
                .combine(deletion),
            Default::default(),
        );
    let shell = Arc::new(Shell { ctx: ctx.clone(), failures: Mutex::default() });
    let (working, swept) = (shell.clone(), claims.clone());
    let terms = serve_terms(ctx, claims, move || work(working.clone(), swept.clone(), sweep));
    let (stopping, mut stopped) = tokio::sync::watch::channel(false);
    let mut asked = stopping.subscribe();
    tokio::spawn(async move {
        stop.await;
        tracing::info!("stopping: running passes end first");
        stopping.send_replace(true);
    });
    let passes = Controller::for_stream(stream, reader)
        .with_config(ControllerConfig::default().concurrency(concurrency))
        // The watch pauses by itself; a pause here would hold up whatever else wakes an object.
        .trigger_backoff(watch_pauses(Duration::ZERO))
        .reconcile_on(woken)
        .graceful_shutdown_on(async move {
            let _ = asked.wait_for(|stop| *stop).await;
        })
        .run(pass, on_error, shell)
        .for_each(|_| std::future::ready(()));
    tokio::select! {
        () = passes => true,
        () = terms => true,
        () = watches_slots => true,
        () = async { let _ = stopped.wait_for(|stop| *stop).await; tokio::time::sleep(grace).await } => {
            tracing::warn!("passes did not end in time; what they left open is settled at the next start");
            false
        }
    }
}

/// What goes on beside the passes while this process leads.
async fn work(shell: Arc<Shell>, claims: Claims, sweep: Duration) {
    let ctx = &shell.ctx;
    tokio::select! {
        () = wake_rotated(ctx, &claims) => {}
        () = read_machines(ctx.clone()) => {}
        () = sweep_slots(&shell, claims.clone(), sweep) => {}
    }
}

/// Looks at all slots now and then, and forgets what is known of objects that are gone.
async fn sweep_slots(shell: &Shell, claims: Claims, pause: Duration) {
    let ctx = &shell.ctx;
    let mut sweep = Sweep::default();
    loop {
        ctx.clock.sleep(pause).await;
        sweep.look(ctx).await;
        claims.prune();
        let objects = claims.cache.state();
        let uids = objects.iter().filter_map(|object| object.uid()).collect();
        let instances: HashSet<_> = objects
            .iter()
            .filter_map(|object| InstanceId::new(object.spec.instance_id.clone()).ok())
            .collect();
        shell.keep(&uids);
        ctx.sightings.keep(&uids, &instances);
        ctx.troubles.keep(&uids, ctx.clock.monotonic());
        ctx.inventory.keep(&objects.iter().map(|object| name_of(object)).collect());
    }
}

/// Why a pass ended without a verdict.
#[derive(Debug, thiserror::Error)]
enum PassError {
    #[error("write the verdict")]
    Store(#[source] StoreError),
    #[error("the pass panicked: {0}")]
    Panicked(String),
}

/// One pass as a task of its own: whatever becomes of the loop, it goes on to its end.
async fn pass(object: Arc<VmInstance>, shell: Arc<Shell>) -> Result<Action, PassError> {
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
    let started = ctx.clock.monotonic();
    let whole = async move { Box::pin(reconcile(object, &ctx)).await };
    let task = tokio::spawn(whole.instrument(span));
    let result = match task.await {
        Ok(Ok(next)) => Ok(next),
        // Another write came first: nothing is wrong, the next pass sees it.
        Ok(Err(StoreError::Conflict | StoreError::Gone)) => Ok(NextLook::Backoff),
        Ok(Err(error)) => Err(PassError::Store(error)),
        Err(error) => Err(PassError::Panicked(panic_text(error))),
    };
    let elapsed = shell.ctx.clock.monotonic().saturating_sub(started);
    shell.ctx.metrics.reconciled(result.is_ok(), elapsed);
    match result? {
        NextLook::After(pause) => {
            shell.succeeded(&uid);
            Ok(Action::requeue(pause))
        }
        NextLook::Backoff => Ok(Action::requeue(shell.failed(&uid))),
        NextLook::WhenTold(pause) => Ok(Action::requeue(pause)),
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

    /// Forgets all other objects.
    fn keep(&self, uids: &HashSet<String>) {
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
        let shell = Arc::new(Shell { ctx: Arc::new(ctx), failures: Mutex::default() });
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
                Action::requeue(backoff::pause(failures, &Timing::default(), "uid"))
            );
        }
        let text = metrics.encode().unwrap();
        assert!(text.contains("zenlayer_vm_reconciles_total{result=\"error\"} 2"), "{text}");
    }
}
