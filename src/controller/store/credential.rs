//! A credential, and the names by which it is told from others without being kept.

use std::{collections::BTreeMap, fmt, sync::OnceLock};

use aws_lc_rs::{digest, rand};
use k8s_openapi::api::core::v1::Secret;
use secrecy::SecretString;
use zenlayer::Credentials;

use crate::lifecycle::SecretState;

/// Names a credential within this process: two Secrets that hold the same key have the same one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Scope(Vec<u8>);

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scope(…)")
    }
}

impl Scope {
    /// Of any text, for tests.
    pub fn of(text: &str) -> Self {
        Self(hash(&[text.as_bytes()]))
    }
}

/// A usable credential.
#[derive(Debug, Clone)]
pub struct Credential {
    pub credentials: Credentials,
    pub scope: Scope,
}

/// The data that makes a credential, without the line end that `echo | base64` leaves behind.
fn texts(secret: &Secret) -> Result<BTreeMap<String, String>, String> {
    let mut texts = BTreeMap::new();
    for (key, value) in secret.data.iter().flatten() {
        if !matches!(key.as_str(), "accessKeyId" | "accessKeyPassword" | "token") {
            continue;
        }
        let text = std::str::from_utf8(&value.0).map_err(|_| format!("{key} is not UTF-8 text"))?;
        let text = text.trim_end_matches(['\n', '\r']);
        if !text.chars().all(|c| c.is_ascii_graphic()) {
            return Err(format!("{key} holds a space or a control character: remove it"));
        }
        texts.insert(key.clone(), text.to_owned());
    }
    Ok(texts)
}

/// An access key, or a bearer token.
fn credentials(data: &BTreeMap<String, String>) -> Result<Credentials, String> {
    let value = |key: &str| data.get(key).filter(|value| !value.is_empty());
    match (value("accessKeyId"), value("accessKeyPassword"), value("token")) {
        (Some(id), Some(password), None) => Ok(Credentials::AccessKey {
            id: id.clone(),
            password: SecretString::from(password.clone()),
        }),
        (None, None, Some(token)) => Ok(Credentials::Token(SecretString::from(token.clone()))),
        (Some(_), None, _) => Err("the key accessKeyPassword is missing or empty: add it".into()),
        (None, Some(_), _) => Err("the key accessKeyId is missing or empty: add it".into()),
        (None, None, None) => Err(
            "it has none of the keys accessKeyId, accessKeyPassword and token: add the first two, \
             or the last"
                .into(),
        ),
        (Some(_), Some(_), Some(_)) => {
            Err("it has accessKeyId, accessKeyPassword and token: keep the first two, or the last"
                .into())
        }
    }
}

/// What can be said of a Secret, and the credential in it. `salt` makes the digest worthless elsewhere.
pub fn of_secret(secret: &Secret, salt: &str) -> (SecretState, Option<Credential>) {
    let read = texts(secret).and_then(|texts| credentials(&texts).map(|found| (texts, found)));
    let (texts, credentials) = match read {
        Ok(read) => read,
        Err(problem) => return (SecretState::Incomplete { problem }, None),
    };
    let parts = |first: &[u8]| -> Vec<u8> {
        let mut all = vec![first];
        all.extend(texts.iter().flat_map(|(key, value)| [key.as_bytes(), value.as_bytes()]));
        hash(&all)
    };
    let digest: String =
        parts(salt.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let expires_requests = credentials.expires_requests();
    let scope = Scope(parts(process_salt()));
    (SecretState::Usable { digest, expires_requests }, Some(Credential { credentials, scope }))
}

/// A hash of parts, each with its length.
fn hash(parts: &[&[u8]]) -> Vec<u8> {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&part.len().to_be_bytes());
        context.update(part);
    }
    context.finish().as_ref().to_vec()
}

fn process_salt() -> &'static [u8] {
    static SALT: OnceLock<[u8; 32]> = OnceLock::new();
    SALT.get_or_init(|| {
        let mut salt = [0; 32];
        // Without randomness the scope is only guessable by whoever can read this process.
        let _ = rand::fill(&mut salt);
        salt
    })
}
