//! What the examples share: the client and the credential that the environment names, as the
//! provider's own command line takes them, and how an error is shown.

use std::{env, error::Error, process::ExitCode};

use zenlayer::{Client, ClientOptions, Credentials, DEFAULT_ENDPOINT, with_causes};

/// A variable that is set, and not to nothing.
fn var(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

pub fn client() -> Result<(Client, Credentials), Box<dyn Error>> {
    let endpoint = var("ZENLAYER_ENDPOINT").unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned());
    let client = Client::new(endpoint.parse()?, ClientOptions::default())?;
    if let Some(token) = var("ZENLAYER_TOKEN") {
        return Ok((client, Credentials::token(token)));
    }
    let part = |name: &str| var(name).ok_or_else(|| format!("set {name}, or ZENLAYER_TOKEN"));
    let id = part("ZENLAYER_ACCESS_KEY_ID")?;
    Ok((client, Credentials::access_key(id, part("ZENLAYER_ACCESS_KEY_SECRET")?)))
}

pub fn report(result: Result<(), Box<dyn Error>>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
