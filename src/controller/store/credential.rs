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

/// The type of a Secret that is made for the operator.
pub const SECRET_TYPE: &str = "vm.zenlayer.com/credentials";
/// What Kubernetes calls a Secret that was given no type.
const OPAQUE: &str = "Opaque";
const ACCESS_KEY: [&str; 2] = ["accessKeyId", "accessKeyPassword"];
const TOKEN: &str = "token";

/// Whether a Secret may be used at all, before anything of its data is looked at. Whoever writes a VmInstance
/// chooses the name of a Secret, and need not be allowed to read it: a Secret that was made for something
/// else, such as the `token` of a ServiceAccount, never goes to the provider. The words show neither the
/// type nor the keys of a Secret that the reader may not know.
fn made_for_us(secret: &Secret) -> Result<(), String> {
    match secret.type_.as_deref().unwrap_or(OPAQUE) {
        SECRET_TYPE => Ok(()),
        OPAQUE if secret.data.iter().flatten().all(|(key, _)| ACCESS_KEY.contains(&&**key)) => {
            Ok(())
        }
        OPAQUE => Err(format!(
            "its type is Opaque and it has other keys than {} and {}: remove those, or delete it and create \
             it with the type {SECRET_TYPE}, which a token needs",
            ACCESS_KEY[0], ACCESS_KEY[1]
        )),
        _ => Err(format!(
            "its type is neither {SECRET_TYPE} nor {OPAQUE}, so it was made for something else: create \
             another one with the type {SECRET_TYPE}, and name that one in spec.credentials.secretRef"
        )),
    }
}

/// The data that makes a credential, without the line end that `echo | base64` leaves behind.
fn texts(secret: &Secret) -> Result<BTreeMap<String, String>, String> {
    let mut texts = BTreeMap::new();
    for (key, value) in secret.data.iter().flatten() {
        if key != TOKEN && !ACCESS_KEY.contains(&key.as_str()) {
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
    match (value(ACCESS_KEY[0]), value(ACCESS_KEY[1]), value(TOKEN)) {
        (Some(id), Some(password), None) => Ok(Credentials::AccessKey {
            id: id.clone(),
            password: SecretString::from(password.clone()),
        }),
        (None, None, Some(token)) => Ok(Credentials::Token(SecretString::from(token.clone()))),
        (Some(_), None, _) => Err("the key accessKeyPassword is missing or empty: add it".into()),
        (None, Some(_), _) => Err("the key accessKeyId is missing or empty: add it".into()),
        (None, None, None) => Err(
            "it has none of the keys accessKeyId, accessKeyPassword and token: add the first two, \
             or, to a Secret of type vm.zenlayer.com/credentials, the last"
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
    if let Err(problem) = made_for_us(secret) {
        return (SecretState::WrongType { problem }, None);
    }
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

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    const ID: &str = "accessKeyId";
    const PASSWORD: &str = "accessKeyPassword";

    fn secret(type_: Option<&str>, keys: &[&str]) -> Secret {
        let value = || ByteString(b"value".to_vec());
        let data = keys.iter().map(|key| ((*key).to_owned(), value())).collect();
        Secret { type_: type_.map(str::to_owned), data: Some(data), ..Secret::default() }
    }

    #[test]
    fn only_what_was_made_for_the_operator_is_used() {
        type Row<'a> = (&'a str, Option<&'a str>, &'a [&'a str], &'a str);
        let ours = Some(SECRET_TYPE);
        let account = Some("kubernetes.io/service-account-token");
        let rows: [Row; 17] = [
            ("our type, a key", ours, &[ID, PASSWORD], "usable"),
            ("our type, a token", ours, &["token"], "usable"),
            ("our type, a note beside it", ours, &[ID, PASSWORD, "note"], "usable"),
            ("our type, half a key", ours, &[ID], "incomplete"),
            ("our type, all three", ours, &[ID, PASSWORD, "token"], "incomplete"),
            ("our type, nothing", ours, &[], "incomplete"),
            ("Opaque, a key", Some("Opaque"), &[ID, PASSWORD], "usable"),
            ("no type, a key", None, &[ID, PASSWORD], "usable"),
            ("Opaque, half a key", Some("Opaque"), &[PASSWORD], "incomplete"),
            ("Opaque, nothing", Some("Opaque"), &[], "incomplete"),
            ("Opaque, a token", Some("Opaque"), &["token"], "refused"),
            ("no type, a token", None, &["token"], "refused"),
            ("Opaque, all three", Some("Opaque"), &[ID, PASSWORD, "token"], "refused"),
            ("Opaque, a note beside it", Some("Opaque"), &[ID, PASSWORD, "note"], "refused"),
            ("an account's token", account, &["token", "ca.crt", "namespace"], "refused"),
            ("another type, a key", Some("example.com/x"), &[ID, PASSWORD], "refused"),
            ("an empty type, a token", Some(""), &["token"], "refused"),
        ];
        for (name, type_, keys, expected) in rows {
            let (state, credential) = of_secret(&secret(type_, keys), "salt");
            let told = match &state {
                SecretState::Usable { .. } => "usable",
                SecretState::Incomplete { .. } => "incomplete",
                SecretState::WrongType { .. } => "refused",
                other => panic!("{name}: {other:?}"),
            };
            assert_eq!(told, expected, "{name}: {state:?}");
            assert_eq!(credential.is_some(), told == "usable", "{name}");
        }
    }

    /// Who names a Secret need not be allowed to read it.
    #[test]
    fn a_refusal_shows_neither_keys_nor_type_of_a_secret_that_was_made_for_something_else() {
        for type_ in ["Opaque", "example.com/hidden-type"] {
            let (state, _) = of_secret(&secret(Some(type_), &["hidden-key", "token"]), "salt");
            let SecretState::WrongType { problem } = state else { panic!("{state:?}") };
            assert!(!problem.contains("hidden") && problem.contains(SECRET_TYPE), "{problem}");
        }
    }
}
