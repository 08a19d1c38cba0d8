//! The rate limit under a clock that the test owns.

use std::{num::NonZeroU32, time::Duration};

use futures::future::join_all;
use tokio::time::Instant;
use zenlayer::{Client, Cloud, Credentials, Pace};

use crate::given::{given_client_with, given_options, given_token, id};

const SECOND: Duration = Duration::from_secs(1);

/// 4 a second, 2 at once.
fn given_pace() -> Pace {
    Pace::new(NonZeroU32::new(4).unwrap(), NonZeroU32::new(2).unwrap())
}

fn at(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// How many turns are free in one second from `start`, asked 100 times a second.
fn turns_in_a_second(pace: &mut Pace, start: Duration) -> usize {
    let due = |step: u32| start + SECOND * step / 100;
    let mut turns = 0;
    let mut next = start;
    for step in 0..100 {
        if due(step) >= next {
            next = due(step) + pace.take(due(step));
            turns += 1;
        }
    }
    turns
}

#[test]
fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
    let mut pace = given_pace();
    let waits: Vec<Duration> = (0..5).map(|_| pace.take(Duration::ZERO)).collect();
    assert_eq!(waits, [at(0.0), at(0.0), at(0.25), at(0.5), at(0.75)]);
}

#[test]
fn what_is_not_used_is_kept_up_to_the_burst() {
    let mut pace = given_pace();
    let _ = pace.take(Duration::ZERO);
    let later = at(3600.0);
    let waits: Vec<Duration> = (0..3).map(|_| pace.take(later)).collect();
    assert_eq!(waits, [at(0.0), at(0.0), at(0.25)]);
}

#[test]
fn throttling_halves_the_rate_and_takes_the_burst() {
    let mut pace = given_pace();
    pace.throttled(Duration::ZERO, None);
    let waits: Vec<Duration> = (0..3).map(|_| pace.take(Duration::ZERO)).collect();
    assert_eq!(waits, [at(0.5), at(1.0), at(1.5)]);
}

#[test]
fn answers_of_calls_in_flight_together_halve_once() {
    let mut pace = given_pace();
    for millisecond in 0..10 {
        pace.throttled(Duration::from_millis(millisecond), None);
    }
    // A little of the rate has come back by then.
    let wait = pace.take(Duration::from_millis(9));
    assert!((at(0.49)..=at(0.5)).contains(&wait), "{wait:?}");
    let mut again = given_pace();
    again.throttled(at(0.0), None);
    again.throttled(at(1.0), None);
    assert!(again.take(at(1.0)) > at(0.9), "a second later it halves again");
}

#[test]
fn it_never_stops_altogether() {
    let mut pace = given_pace();
    for second in 0..1000 {
        pace.throttled(at(f64::from(second)), None);
    }
    assert!(pace.take(at(999.0)) <= at(8.0));
}

#[test]
fn the_rate_comes_back_additively_within_a_minute() {
    let mut pace = given_pace();
    pace.throttled(Duration::ZERO, None);
    let turns: Vec<usize> =
        [0.0, 15.0, 30.0, 120.0].map(|second| turns_in_a_second(&mut pace, at(second))).to_vec();
    assert!(turns.is_sorted(), "{turns:?}");
    assert!(turns[0] <= 2, "{turns:?}");
    // The burst and four more.
    assert!((4..=6).contains(&turns[3]), "{turns:?}");
    let mut fresh = given_pace();
    assert_eq!(turns[3], turns_in_a_second(&mut fresh, at(120.0)));
}

#[test]
fn a_pause_that_the_provider_asks_for_is_kept_up_to_a_limit() {
    let mut pace = given_pace();
    pace.throttled(Duration::ZERO, Some(at(10.0)));
    assert_eq!(pace.take(at(1.0)), at(9.5));
    let mut long = given_pace();
    long.throttled(Duration::ZERO, Some(at(86_400.0)));
    assert_eq!(long.take(Duration::ZERO), at(30.5));
    // A shorter one does not end it.
    long.throttled(at(1.0), Some(at(1.0)));
    assert!(long.take(at(1.0)) > at(29.0));
}

#[test]
fn only_a_full_bucket_at_full_rate_is_idle() {
    let mut pace = given_pace();
    assert!(pace.is_idle(Duration::ZERO));
    let _ = pace.take(Duration::ZERO);
    assert!(!pace.is_idle(at(0.1)));
    assert!(pace.is_idle(at(0.25)));
    pace.throttled(at(1.0), None);
    assert!(!pace.is_idle(at(20.0)));
    assert!(pace.is_idle(at(62.0)));
}

#[test]
fn a_turn_that_is_given_back_is_the_next_ones_and_fills_no_bucket_above_its_burst() {
    let mut pace = given_pace();
    let waits: Vec<Duration> = (0..4).map(|_| pace.take(Duration::ZERO)).collect();
    assert_eq!(waits[3], at(0.5));
    pace.give_back(1);
    assert_eq!(pace.take(Duration::ZERO), at(0.5));
    let mut full = given_pace();
    full.give_back(1);
    let waits: Vec<Duration> = (0..3).map(|_| full.take(Duration::ZERO)).collect();
    assert_eq!(waits, [at(0.0), at(0.0), at(0.25)]);
}

/// 5 a second, 10 at once, and 30 s for each call.
fn given_slow_client() -> Client {
    let mut options = given_options();
    options.requests_per_second = NonZeroU32::new(5);
    options.burst = 10.try_into().unwrap();
    options.total_timeout = 30 * SECOND;
    given_client_with("http://127.0.0.1:9", options)
}

/// A read that gets its turn and then fails before it is sent: no network is in this test.
async fn turn_came(client: &Client) -> bool {
    let unsendable = Credentials::Token("a\n".into());
    let error = client.describe_type_status(&unsendable, &id("vm-1")).await.unwrap_err();
    let text = error.to_string();
    let came = text.contains("no header can carry");
    assert!(came || text.contains("left no turn in time"), "{text}");
    came
}

#[tokio::test(start_paused = true)]
async fn waits_that_ran_out_of_time_hold_up_nobody_later() {
    let client = given_slow_client();
    let came = join_all((0..1000).map(|_| turn_came(&client))).await;
    let came = came.into_iter().filter(|came| *came).count();
    assert!((159..=161).contains(&came), "10 at once, and 150 in 30 s: {came}");
    let asked = Instant::now();
    assert!(turn_came(&client).await, "the next read has its turn");
    assert!(asked.elapsed() <= SECOND, "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_dropped_gives_its_turn_back() {
    let client = given_slow_client();
    let credentials = given_token();
    let waits = (0..60).map(|_| tokio::time::timeout(SECOND / 10, client.ready(&credentials)));
    let in_time = join_all(waits).await.into_iter().filter(Result::is_ok).count();
    assert_eq!(in_time, 10, "the burst, and nobody waits long enough for more");
    let asked = Instant::now();
    client.ready(&credentials).await;
    assert!(asked.elapsed() <= SECOND / 5, "{:?}", asked.elapsed());
}
