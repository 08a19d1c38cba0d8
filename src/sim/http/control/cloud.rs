//! Instances, plans, orders.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Changed, Shared, bad, finish, parsed, problem};
use crate::sim::world::Plan;

pub async fn ledger(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({ "orders": shared.present().0.world.orders }))
}

pub async fn instances(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let (service, _) = shared.present();
    Json(json!({ "instances": service.world.instances.values().collect::<Vec<_>>() }))
}

pub async fn plans(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let (service, _) = shared.present();
    let planned = service.world.instances.values().filter(|one| one.plan != Plan::None);
    let shown = planned.map(|one| json!({ "instanceId": one.id, "plan": one.plan }));
    Json(json!({ "plans": shown.collect::<Vec<_>>() }))
}

/// What a person may do in the console.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct InstanceChange {
    #[serde(rename = "type")]
    type_id: Option<String>,
    state: Option<String>,
    remove: Option<bool>,
}

pub async fn change_instance(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    body: String,
) -> Response {
    let changed = parsed(&body).and_then(|change| apply(&shared, &id, change));
    finish(&shared, changed).await
}

fn apply(shared: &Shared, id: &str, change: InstanceChange) -> Changed {
    let (mut service, _) = shared.present();
    if change.remove == Some(true) {
        service.world.instances.remove(id);
        return Ok(json!({}));
    }
    if let Some(type_id) = &change.type_id
        && service.world.catalogue.model(type_id).is_none()
    {
        return Err(Box::new(bad(format!("type {type_id:?} does not exist"))));
    }
    let Some(instance) = service.world.instances.get_mut(id) else {
        let missing = format!("instance {id:?} does not exist");
        return Err(Box::new(problem(StatusCode::NOT_FOUND, missing)));
    };
    if let Some(type_id) = change.type_id {
        instance.type_id = type_id;
    }
    if let Some(state) = change.state {
        instance.state = state;
    }
    Ok(json!(instance))
}
