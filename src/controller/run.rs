//! The controller's loop: one watch, a bounded number of passes at once, a graceful end.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures::{Stream, StreamExt};
use kube::{
    Client, ResourceExt,
    api::ListParams,
    runtime::{
        Controller, Predicate, WatchStreamExt, controller::Config as ControllerConfig, predicates,
        reflector::ObjectRef, watcher,
    },
};
use zenlayer::InstanceId;

use super::{
    Context,
    census::count_objects,
    cloud_view::read_machines,
    connect::watch_pauses,
    seen::seen,
    shell::{Shell, on_error, pass_over},
    store::{Claims, ObjectCache, SlotCache, problem},
    sweep::Sweep,
    term::{serve_terms, wake_rotated},
    waker::name_of,
    watch::{deletion, forget_what_nobody_reads, objects, our_annotations, watch, watch_slots},
};
use crate::{api::VmInstance, lifecycle::Selection, telemetry::WatchHealth};

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
    let woken = woken(ctx.clone());
    let (watched, queued, indexed) = (ctx.clone(), ctx.clone(), claims.clone());
    count_objects(&ctx, claims.clone());
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
        )
        .inspect(move |object| queued.is_due(object.iter().map(name_of)));
    let shell = Arc::new(Shell::new(ctx.clone()));
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
        .run(pass_over, on_error, shell)
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

/// The objects that something else than their own change wakes.
fn woken(ctx: Arc<Context>) -> impl Stream<Item = ObjectRef<VmInstance>> {
    let names = ctx.waker.woken();
    names.map(move |name| {
        let object = ObjectRef::new(&name.1).within(&name.0);
        ctx.is_due([name]);
        object
    })
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
        let objects = claims.cache.state();
        let uids = objects.iter().filter_map(|object| object.uid()).collect();
        let instances: HashSet<_> = objects
            .iter()
            .filter_map(|object| InstanceId::new(object.spec.instance_id.clone()).ok())
            .collect();
        shell.keep(&uids);
        ctx.sightings.keep(&uids, &instances);
        ctx.troubles.keep(&uids, ctx.clock.monotonic());
        let names = objects.iter().map(|object| name_of(object)).collect();
        ctx.inventory.keep(&names);
        ctx.backlog.keep(&names);
    }
}
