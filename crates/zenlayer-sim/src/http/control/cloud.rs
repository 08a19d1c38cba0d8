//! Instances, plans, orders, balance, switches: what a person sees and does in the console.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::{Changed, bad, finish, parsed, problem};
use crate::{
    http::shared::Shared,
    world::{Books, ConsoleChange, Instance, Plan},
};

pub async fn ledger(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let (service, _) = shared.present();
    let Books { opening, topped_up, balance, charges, orders, stock } = service.world.books();
    Json(json!({
        "orders": orders,
        "charges": charges,
        "opening": opening,
        "toppedUp": topped_up,
        "balance": balance,
        "stock": stock,
    }))
}

pub async fn instances(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let (service, _) = shared.present();
    Json(json!({ "instances": service.world.instances().collect::<Vec<_>>() }))
}

pub async fn plans(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let (service, _) = shared.present();
    let planned = service.world.instances().filter(|one| one.plan != Plan::None);
    let shown = planned.map(|one: &Instance| json!({ "instanceId": one.id, "plan": one.plan }));
    Json(json!({ "plans": shown.collect::<Vec<_>>() }))
}

pub async fn behaviour(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!(shared.lock().world.rules().behaviour))
}

/// Does something in the console.
fn apply(shared: &Shared, change: ConsoleChange) -> Changed {
    let (mut service, now) = shared.present();
    service.world.console(now, change).map_err(|error| Box::new(bad(error)))
}

/// Does something to an instance that must be there.
fn apply_to(shared: &Shared, id: &str, change: ConsoleChange) -> Changed {
    if shared.lock().world.instance(id).is_none() {
        let missing = format!("instance {id:?} does not exist");
        return Err(Box::new(problem(StatusCode::NOT_FOUND, missing)));
    }
    apply(shared, change)
}

/// Any change of the console.
pub async fn console(State(shared): State<Arc<Shared>>, body: String) -> Response {
    let changed = parsed(&body).and_then(|change| apply(&shared, change));
    finish(&shared, changed).await
}

pub async fn add_instance(State(shared): State<Arc<Shared>>, body: String) -> Response {
    let added = parsed(&body)
        .map(|setup| ConsoleChange::Add(Box::new(setup)))
        .and_then(|change| apply(&shared, change));
    finish(&shared, added).await
}

pub async fn change_instance(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    body: String,
) -> Response {
    let changed = parsed::<Map<String, Value>>(&body).and_then(|fields| {
        if fields.get("remove") == Some(&Value::Bool(true)) {
            return apply_to(&shared, &id, ConsoleChange::Remove { id: id.clone() });
        }
        let change = parsed(&body)?;
        apply_to(&shared, &id, ConsoleChange::Change { id: id.clone(), change })
    });
    finish(&shared, changed).await
}

pub async fn remove_instance(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Response {
    let removed = apply_to(&shared, &id, ConsoleChange::Remove { id: id.clone() });
    finish(&shared, removed).await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TopUp {
    top_up: rust_decimal::Decimal,
}

pub async fn balance(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({ "balance": shared.present().0.world.books().balance }))
}

pub async fn top_up(State(shared): State<Arc<Shared>>, body: String) -> Response {
    let topped = parsed(&body)
        .and_then(|TopUp { top_up: amount }| apply(&shared, ConsoleChange::TopUp { amount }))
        .map(|_| json!({ "balance": shared.lock().world.books().balance }));
    finish(&shared, topped).await
}

pub async fn set_behaviour(State(shared): State<Arc<Shared>>, body: String) -> Response {
    let set = parsed(&body)
        .map(|behaviour| ConsoleChange::Behaviour(Box::new(behaviour)))
        .and_then(|change| apply(&shared, change));
    finish(&shared, set).await
}
