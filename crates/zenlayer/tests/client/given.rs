//! The set-up that the tests share.

use std::time::Duration;

use jiff::Timestamp;
use zenlayer::{
    Call, Client, ClientOptions, Credentials, Endpoint, InstanceId, InstanceIds, InstanceTypeId,
    Mutation,
};

pub const KEY_ID: &str = "AKIDSENTINEL";
/// Appears nowhere but in what is sent; the tests of secrets look for it.
pub const PASSWORD: &str = "sentinelPassword5f2c";
pub const TOKEN: &str = "sentinelToken81ab";
/// The clock of the clients of these tests, in Unix seconds.
pub const NOW: i64 = 1_795_000_000;

pub fn given_key() -> Credentials {
    Credentials::AccessKey { id: KEY_ID.to_owned(), password: PASSWORD.into() }
}

pub fn given_token() -> Credentials {
    Credentials::Token(TOKEN.into())
}

pub fn given_now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

/// No pauses, and limits that no answer reaches, however busy the machine is.
pub fn given_options() -> ClientOptions {
    ClientOptions {
        connect_timeout: Duration::from_secs(20),
        try_timeout: Duration::from_secs(20),
        total_timeout: Duration::from_secs(40),
        retry_pause: Duration::from_millis(1),
        body_limit: 100_000,
        requests_per_second: std::num::NonZeroU32::new(1000),
        burst: 1000.try_into().unwrap(),
        ..ClientOptions::default()
    }
}

/// Limits for who never answers.
pub fn given_impatience() -> ClientOptions {
    ClientOptions { total_timeout: Duration::from_secs(6), ..given_options() }
}

pub fn given_client_with(endpoint: &str, options: ClientOptions) -> Client {
    let endpoint = Endpoint::parse(endpoint, true).expect("the test gives a valid endpoint");
    Client::with_clock(endpoint, options, given_now).expect("a client can be made")
}

pub fn given_client(endpoint: &str) -> Client {
    given_client_with(endpoint, given_options())
}

pub fn id(text: &str) -> InstanceId {
    InstanceId::new(text).unwrap()
}

pub fn type_id(text: &str) -> InstanceTypeId {
    InstanceTypeId::new(text).unwrap()
}

pub fn ids(texts: &[&str]) -> InstanceIds {
    let mut batches = InstanceIds::batches(texts.iter().map(|text| id(text)));
    assert_eq!(batches.len(), 1, "the test gives 1 to 100 ids");
    batches.remove(0)
}

pub fn given_modify() -> Mutation {
    Mutation::Modify { to: type_id("c.2c4g") }
}

pub fn given_mutations() -> Vec<Mutation> {
    vec![
        given_modify(),
        Mutation::CancelDowngrade,
        Mutation::Start,
        Mutation::Stop,
        Mutation::Reboot,
    ]
}

pub fn given_call(mutation: Mutation) -> Call {
    Call {
        mutation,
        instance_id: id("vm-1"),
        signed_at: given_now(),
        send_within: Duration::from_secs(20),
    }
}
