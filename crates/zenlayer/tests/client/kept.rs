//! Connections that are kept open and then reset, which is where HTTP libraries send a request again by
//! themselves (the vendor's Java SDK does): a mutation never goes over one and is never sent again,
//! whatever is reset and when; a read is.

use futures::{StreamExt, stream};
use zenlayer::{Answer, Client, Cloud, Mutation, ReadError};

use crate::{
    given::{given_call, given_client, given_key, given_mutations, id},
    raw::{Play, RawServer, bytes, envelope, json},
};

/// Fits a read and a mutation alike.
fn good() -> Play {
    json(200, &envelope(r#""orderNumber":"3471","instanceType":"c.1c2g""#))
}

/// When the connection of a request is reset: name, play, whether the request came whole (and so may
/// have taken effect).
fn resets() -> Vec<(&'static str, Play, bool)> {
    let whole = envelope(r#""orderNumber":"3471""#);
    let half_a_head = b"HTTP/1.1 200 OK\r\ncontent-le".to_vec();
    let half_a_body = bytes(200, &[], &whole[..20], whole.len());
    vec![
        ("at its first byte", Play::ResetUnread, false),
        ("at its head", Play::ResetAtHead, false),
        ("at its body", Play::Reset, true),
        (
            "after its effect, within the head of the answer",
            Play::AnswerAndReset(half_a_head),
            true,
        ),
        (
            "after its effect, within the body of the answer",
            Play::AnswerAndReset(half_a_body),
            true,
        ),
    ]
}

async fn read(client: &Client) -> Result<(), ReadError> {
    client.describe_type_status(&given_key(), &id("vm-1")).await.map(|_| ())
}

/// A client with a connection that was kept open by reads.
struct Kept {
    server: RawServer,
    client: Client,
}

/// Reads before the plays, all on one connection.
const READS: usize = 2;
const KEPT: usize = 1;

/// The plays come after the reads.
async fn given_kept_connection(plays: Vec<Play>) -> Kept {
    let reads = std::iter::repeat_n(good(), READS);
    let server = RawServer::start(reads.chain(plays).collect()).await;
    let client = given_client(&server.endpoint());
    for _ in 0..READS {
        read(&client).await.expect("nothing is in the way of the first reads");
        at_rest().await;
    }
    assert_eq!(server.arrivals(), [KEPT; READS], "reads share a connection");
    Kept { server, client }
}

/// The tasks of a client put a connection back into its pool once they have their turn. These tests
/// run on one thread, where giving way is enough.
async fn at_rest() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

impl Kept {
    /// The connections of what arrived after the first reads.
    fn later(&self) -> Vec<usize> {
        self.server.arrivals().split_off(READS)
    }
}

async fn mutate(client: &Client, mutation: &Mutation) -> Answer {
    client.mutate(&given_key(), &given_call(mutation.clone())).await
}

#[tokio::test]
async fn a_mutation_that_is_reset_beside_a_kept_connection_arrives_once_on_a_connection_of_its_own()
{
    let rows = given_mutations().into_iter().flat_map(|mutation| {
        resets().into_iter().map(move |(name, play, whole)| (mutation.clone(), name, play, whole))
    });
    let rows = rows.map(async |(mutation, name, play, whole)| {
        // Whoever sends twice is told that the second one was accepted.
        let kept = given_kept_connection(vec![play, good()]).await;
        let answer = mutate(&kept.client, &mutation).await;
        let row = format!("{mutation} is reset {name}: {answer:?}");
        assert!(matches!(answer, Answer::Unknown { .. }), "{row}");
        let later = kept.later();
        assert_eq!(later.len(), 1, "{row}: requests on connections {later:?}");
        assert_ne!(later[0], KEPT, "{row}: it went over the kept connection");
        assert_eq!(kept.server.requests().len(), READS + usize::from(whole), "{row}");
        // It was there to be used: the next read uses it. Nothing else has come.
        read(&kept.client).await.unwrap();
        assert_eq!(kept.later(), [later[0], KEPT], "{row}: no connection was kept");
    });
    // Few at once: each call makes a TLS client of its own, which takes its time in a debug build.
    assert_eq!(stream::iter(rows).buffer_unordered(6).count().await, 25);
}

#[tokio::test]
async fn a_kept_connection_that_is_reset_before_a_mutation_does_not_concern_it() {
    for mutation in given_mutations() {
        // With the kept one dead, its own is answered, or is reset as well.
        for (name, play, expected) in
            [("answered", good(), "accepted"), ("reset, too", Play::Reset, "unknown")]
        {
            let kept = given_kept_connection(vec![play, good()]).await;
            kept.server.reset_idle();
            let answer = mutate(&kept.client, &mutation).await;
            let class = match answer {
                Answer::Accepted { .. } => "accepted",
                Answer::Unknown { .. } => "unknown",
                Answer::NotSent { .. } | Answer::Refused(_) => "neither",
            };
            assert_eq!(class, expected, "{mutation}, {name}: {answer:?}");
            let later = kept.later();
            assert_eq!(later.len(), 1, "{mutation}, {name}: requests on connections {later:?}");
            assert_ne!(later[0], KEPT, "{mutation}, {name}");
        }
    }
}

#[tokio::test]
async fn a_mutation_that_is_answered_leaves_no_connection_to_be_used_again() {
    for mutation in given_mutations() {
        let kept = given_kept_connection(vec![good()]).await;
        for _ in 0..3 {
            let answer = mutate(&kept.client, &mutation).await;
            assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
        }
        // Nor does a read take up what a mutation left behind.
        read(&kept.client).await.unwrap();
        assert_eq!(kept.later(), [KEPT + 1, KEPT + 2, KEPT + 3, KEPT], "{mutation}");
    }
}

/// What is documented of reads: they are sent again, at most three times in all.
#[tokio::test]
async fn a_read_that_is_reset_is_sent_again_on_another_connection_and_at_most_three_times() {
    for (name, play, _) in resets() {
        let kept = given_kept_connection(vec![play.clone(), good()]).await;
        read(&kept.client).await.unwrap_or_else(|error| panic!("reset {name}: {error}"));
        let later = kept.later();
        assert_eq!(later.len(), 2, "reset {name}: requests on connections {later:?}");
        assert_eq!(later[0], KEPT, "reset {name}: it was a new connection");
        assert_ne!(later[1], KEPT, "reset {name}");

        let kept = given_kept_connection(vec![play]).await;
        let error = read(&kept.client).await.unwrap_err();
        assert!(matches!(error, ReadError::Transport { .. }), "reset {name}: {error}");
        assert_eq!(kept.later().len(), 3, "always reset {name}");
    }
}

#[tokio::test]
async fn a_read_survives_the_reset_of_the_kept_connection() {
    let kept = given_kept_connection(vec![good()]).await;
    kept.server.reset_idle();
    read(&kept.client).await.unwrap();
    let later = kept.later();
    assert_eq!(later.len(), 1, "requests on connections {later:?}");
    assert_ne!(later[0], KEPT);
}
