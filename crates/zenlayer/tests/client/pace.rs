//! The rate limit under a clock that the test owns.

use std::time::Duration;

use zenlayer::Pace;

const SECOND: Duration = Duration::from_secs(1);

/// 4 a second, 2 at once.
fn given_pace() -> Pace {
    Pace::new(4.try_into().unwrap(), 2.try_into().unwrap())
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
