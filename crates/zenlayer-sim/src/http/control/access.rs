//! Credentials and the rate limit. Secrets go in and never come out.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Changed, bad, finish, parsed, problem};
use crate::http::{
    authorise::Account,
    settings::{Credential, RateLimit},
    shared::Shared,
};

fn shown(account: &Account) -> Value {
    let Credential { name: _, access_key_id, access_key_password: _, token: _, .. } =
        &account.credential;
    json!({
        "name": account.name,
        "accessKeyId": access_key_id,
        "kind": if access_key_id.is_some() { "accessKey" } else { "token" },
        "revoked": account.credential.revoked,
        "expiresAt": account.credential.expires_at,
        "permissions": account.credential.permissions,
    })
}

pub async fn list(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let service = shared.lock();
    Json(json!({ "credentials": service.accounts.iter().map(shown).collect::<Vec<_>>() }))
}

fn checked(credential: Credential) -> Result<Credential, Box<Response>> {
    match credential.check() {
        Ok(()) => Ok(credential),
        Err((field, problem)) => Err(Box::new(bad(format!("{field} {problem}").trim()))),
    }
}

pub async fn add(State(shared): State<Arc<Shared>>, body: String) -> Response {
    let added = parsed(&body).and_then(checked).and_then(|credential| {
        let mut service = shared.lock();
        let account = Account::new(credential, service.accounts.len());
        if service.accounts.iter().any(|one| one.name == account.name) {
            return Err(Box::new(bad(format!("name {:?} is in use", account.name))));
        }
        let answer = shown(&account);
        service.accounts.push(account);
        Ok(answer)
    });
    finish(&shared, added).await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CredentialChange {
    revoked: Option<bool>,
    expires_at: Option<Timestamp>,
    permissions: Option<Vec<String>>,
}

pub async fn change(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    body: String,
) -> Response {
    let changed = parsed(&body).and_then(|change| apply(&shared, &name, change));
    finish(&shared, changed).await
}

fn apply(shared: &Shared, name: &str, change: CredentialChange) -> Changed {
    let mut service = shared.lock();
    let Some(account) = service.accounts.iter_mut().find(|one| one.name == name) else {
        return Err(missing(name));
    };
    let mut credential = account.credential.clone();
    let CredentialChange { revoked, expires_at, permissions } = change;
    credential.revoked = revoked.unwrap_or(credential.revoked);
    credential.expires_at = expires_at.or(credential.expires_at);
    credential.permissions = permissions.or(credential.permissions);
    account.credential = checked(credential)?;
    Ok(shown(account))
}

fn missing(name: &str) -> Box<Response> {
    Box::new(problem(StatusCode::NOT_FOUND, format!("there is no credential {name:?}")))
}

pub async fn remove(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Response {
    let removed = {
        let accounts = &mut shared.lock().accounts;
        let before = accounts.len();
        accounts.retain(|one| one.name != name);
        accounts.len() < before
    };
    finish(&shared, if removed { Ok(json!({})) } else { Err(missing(&name)) }).await
}

pub async fn rate_limit(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!(shared.lock().transport.rate_limit))
}

pub async fn set_rate_limit(State(shared): State<Arc<Shared>>, body: String) -> Response {
    let set = parsed::<Option<RateLimit>>(&body).and_then(|limit| {
        if let Some(limit) = &limit {
            limit.check().map_err(|(field, problem)| bad(format!("{field} {problem}")))?;
        }
        let mut service = shared.lock();
        service.transport.rate_limit = limit;
        service.accounts.iter_mut().for_each(Account::refill);
        Ok(json!(limit))
    });
    finish(&shared, set).await
}
