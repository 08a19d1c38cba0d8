//! What an event of the watch means beyond the object that it is about.

use kube::runtime::watcher;
use zenlayer::InstanceId;

use super::{Context, waker::name_of};
use crate::{api::VmInstance, lifecycle};

/// Those of the same machine may act once their owner is gone, or on its way.
pub fn seen(ctx: &Context, event: &watcher::Result<watcher::Event<VmInstance>>) {
    match event {
        Ok(watcher::Event::Delete(object)) => {
            ctx.forget(&name_of(object));
            say_farewell(ctx, object);
            wake_others(ctx, object);
        }
        Ok(watcher::Event::Apply(object)) if object.metadata.deletion_timestamp.is_some() => {
            wake_others(ctx, object);
        }
        Ok(_) => {}
        Err(error) => {
            ctx.metrics.watch_failed();
            tracing::warn!(%error, "the watch failed; it starts again");
        }
    }
}

fn wake_others(ctx: &Context, object: &VmInstance) {
    let Ok(instance) = InstanceId::new(object.spec.instance_id.clone()) else { return };
    let others = ctx.store.claims(&instance).into_iter();
    let others = others.filter(|other| other.metadata.uid != object.metadata.uid);
    ctx.waker.wake(others.map(|other| name_of(&other)));
}

/// Says that the change of a deleted object goes on: neither the machine nor the order is touched. One
/// that only another operator selects from now on is not deleted.
fn say_farewell(ctx: &Context, object: &VmInstance) {
    let Some(event) = lifecycle::farewell(object) else { return };
    if !ctx.leadership.serves(ctx.clock.monotonic()) {
        return;
    }
    let (store, object) = (ctx.store.clone(), object.clone());
    tokio::spawn(async move {
        let (namespace, name) = name_of(&object);
        if let Ok(Some(other)) = store.object(&namespace, &name).await
            && other.metadata.uid == object.metadata.uid
        {
            return;
        }
        store.publish_event(&object, &event).await;
    });
}
