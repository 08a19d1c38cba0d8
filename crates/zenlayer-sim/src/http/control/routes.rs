//! The paths of the control API: which handler serves each, and what `GET /control` says of them.

use std::sync::Arc;

use axum::{
    Router,
    http::StatusCode,
    routing::{delete, get, patch, post},
};

use super::{access, answer::problem, cloud, faults, records, time};
use crate::http::shared::Shared;

/// A snapshot of 10,000 instances is about this large.
const BODY_LIMIT: usize = 256 << 20;

/// What the router of `shared` serves.
pub fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/control", get(help))
        .route("/control/ledger", get(cloud::ledger))
        .route("/control/plans", get(cloud::plans))
        .route("/control/instances", get(cloud::instances).post(cloud::add_instance))
        .route(
            "/control/instances/{id}",
            patch(cloud::change_instance).delete(cloud::remove_instance),
        )
        .route("/control/balance", get(cloud::balance).post(cloud::top_up))
        .route("/control/behaviour", get(cloud::behaviour).put(cloud::set_behaviour))
        .route("/control/console", post(cloud::console))
        .route("/control/clock", get(time::show).post(time::change))
        .route("/control/requests", get(records::requests).delete(records::forget))
        .route("/control/faults", get(faults::list).post(faults::add).delete(faults::clear))
        .route("/control/faults/{id}", delete(faults::remove))
        .route("/control/connections", post(faults::refuse_connections))
        .route("/control/credentials", get(access::list).post(access::add))
        .route("/control/credentials/{name}", patch(access::change).delete(access::remove))
        .route("/control/rate-limit", get(access::rate_limit).put(access::set_rate_limit))
        .route("/control/snapshot", get(records::snapshot).put(records::restore))
        .fallback(|| async {
            problem(StatusCode::NOT_FOUND, "no such path: GET /control lists all paths")
        })
        .layer(axum::extract::DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(shared)
}

/// The paths, for `GET /control` and `zenlayer-sim control`.
pub const HELP: &str = "\
Control API (JSON; without authorisation, so keep it on a loopback address)

GET    /control/instances        list the instances with their plans
POST   /control/instances        add one, written as in the simulation file
PATCH  /control/instances/ID     change one, as a person in the console would:
                                 {\"type\": …, \"state\": …, …}; {\"remove\": true} removes it
DELETE /control/instances/ID     remove it
GET    /control/plans            list the changes that were accepted but are not in effect yet
GET    /control/ledger           list the accepted orders and the charges, with the balance
GET    /control/balance          show the balance
POST   /control/balance          pay in: {\"topUp\": 100}
POST   /control/console          anything else that a person does in the console:
                                 {\"recycle\": {\"id\": …}}, {\"restore\": {\"id\": …}}, {\"dropPlan\": {\"id\": …}},
                                 {\"order\": {\"id\": …, \"type\": …}}, {\"pay\": {\"orderNumber\": …}},
                                 {\"stock\": {\"zone\": …, \"type\": …, \"left\": 0}}
GET    /control/behaviour        show the switches for what is not documented
PUT    /control/behaviour        replace them, written as in the simulation file
GET    /control/clock            show the simulated clock
POST   /control/clock            one of {\"advanceSeconds\": 3600}, {\"toNextEvent\": true},
                                 {\"advanceTo\": \"2026-02-01T00:00:00Z\"},
                                 {\"mode\": \"wall\"|\"scaled\"|\"stepped\", \"scale\": 3600}
GET    /control/requests         list the calls with their codes, and counts by action and code;
                                 ?action=…&instance=…&limit=… selects
DELETE /control/requests         clear the list and the counts
GET    /control/faults           list the rules that still apply
POST   /control/faults           add a rule; `zenlayer-sim faults` lists the kinds
DELETE /control/faults           remove all rules; /control/faults/ID removes one
POST   /control/connections      close the listeners for a while: {\"refuseSeconds\": 2}
GET    /control/credentials      list names, permissions and whether revoked; no secrets
POST   /control/credentials      add one, written as in the simulation file
PATCH  /control/credentials/NAME change one: {\"revoked\": true}, {\"expiresAt\": …},
                                 {\"permissions\": [\"DescribeInstances\"]}
DELETE /control/credentials/NAME remove it
GET    /control/rate-limit       show the limit of each credential, or null
PUT    /control/rate-limit       set it: {\"perSecond\": 5, \"burst\": 10, \"retryAfter\": 1}, or null
GET    /control/snapshot         download world, clock and faults
PUT    /control/snapshot         go back to a snapshot
";

async fn help() -> &'static str {
    HELP
}
