//! What the inventory reads, whom it wakes and what it remembers.

mod lab;

use std::{collections::HashSet, time::Duration};

use jiff::Timestamp;
use zenlayer::ReadError;

use super::{limiter::Class, machine::Interest};
use crate::controller::waker::Name;
use lab::{DRIFT, Lab, api_error, id, name, secs};

#[test]
fn a_fleet_in_sync_is_read_in_full_batches_and_wakes_nobody() {
    for count in [100, 1_000, 10_000] {
        let mut lab = Lab::new();
        lab.in_sync(count);
        for _ in 0..3 {
            assert_eq!(lab.pass(DRIFT), count / 100, "{count}");
        }
        assert_eq!(lab.woken, Vec::<Name>::new());
    }
}

#[test]
fn two_halves_of_a_batch_find_one_another() {
    let mut lab = Lab::new();
    lab.in_sync(50);
    lab.pass(DRIFT / 2);
    lab.settle(50..100, secs(2));
    lab.pass(DRIFT);
    assert_eq!((lab.pass(DRIFT), lab.pass(DRIFT)), (1, 1));
}

#[test]
fn a_machine_that_changed_is_news_for_whoever_follows_it() {
    let mut lab = Lab::new();
    lab.in_sync(3);
    lab.missing.insert(id(1));
    lab.pass(DRIFT + secs(10));
    assert_eq!(lab.woken, [name(1)]);
}

#[test]
fn an_edit_is_read_at_once_and_what_comes_in_a_burst_together() {
    let mut lab = Lab::new();
    lab.look(0, Class::Edit);
    lab.reads_due();
    assert_eq!(lab.reads, [vec![id(0)]]);
    for number in 1..80 {
        lab.look(number, Class::InFlight);
    }
    assert_eq!(lab.reads_due(), Some(Duration::from_millis(100)));
    lab.pass(secs(1));
    assert_eq!(lab.reads.len(), 2);
}

#[test]
fn one_read_that_is_throttled_is_no_news_and_the_second_in_a_row_is() {
    let mut lab = Lab::new();
    lab.look(0, Class::Edit);
    let mut answered = |garbage: Option<ReadError>| {
        (lab.garbage, lab.turns) = (garbage, 1);
        lab.reads_due();
        (lab.reads.len(), lab.shared, lab.woken.contains(&name(0)))
    };
    let throttled = || Some(api_error(429, "REQUEST_LIMIT_EXCEEDED"));
    assert_eq!(answered(throttled()), (1, 0, false));
    assert_eq!(answered(throttled()), (2, 1, true));
}

#[test]
fn looks_at_changes_in_flight_are_made_together() {
    let mut lab = Lab::new();
    lab.in_sync(100);
    for round in 0..6 {
        for number in 0..100 {
            // Each pass ends at a moment of its own.
            lab.now += Duration::from_millis(3);
            lab.follow(number, Interest::Once(secs(5)));
        }
        assert!(lab.pass(secs(6)) <= 2, "round {round}: {}", lab.reads.len());
        assert_eq!(std::mem::take(&mut lab.woken).len(), 100);
    }
}

#[test]
fn a_machine_that_is_missing_among_others_is_asked_for_alone_a_look_later() {
    let mut lab = Lab::new();
    lab.missing.insert(id(1));
    for number in 0..3 {
        lab.look(number, Class::InFlight);
    }
    lab.pass(secs(1));
    assert_eq!(lab.woken, [name(0), name(2)]);
    lab.pass(secs(5));
    assert_eq!(lab.reads[1..], [vec![id(1)]]);
    assert_eq!(lab.woken[2..], [name(1)]);
    assert!(lab.look(1, Class::InFlight));
}

#[test]
fn a_machine_that_is_known_to_be_missing_is_read_among_others() {
    let mut lab = Lab::new();
    lab.missing.insert(id(7));
    lab.settle(0..100, secs(10));
    lab.pass(DRIFT);
    assert_eq!((lab.pass(DRIFT), lab.pass(DRIFT)), (1, 1));
}

#[test]
fn machines_that_are_missing_hold_no_edit_up() {
    let mut lab = Lab::new();
    lab.in_sync(1);
    for number in 1..5_001 {
        lab.missing.insert(id(number));
        lab.look(number, Class::InFlight);
    }
    // All were missing among others, and lone reads are due.
    lab.pass(secs(2));
    lab.now += secs(10);
    lab.follow(0, Interest::Nothing);
    lab.look(0, Class::Edit);
    lab.reads.clear();
    lab.turns = 2;
    lab.reads_due();
    assert!(lab.reads.iter().any(|ids| ids[0] == id(0)), "{:?}", lab.reads);
}

#[test]
fn one_machine_for_whose_sake_reads_are_refused_is_found_and_read_alone_from_then_on() {
    let mut lab = Lab::new();
    lab.in_sync(100);
    lab.poison = Some(id(42));
    let reads = lab.pass(DRIFT + secs(10));
    assert!(reads <= 15, "{reads}");
    assert_eq!((lab.shared, lab.woken.as_slice()), (0, [name(42)].as_slice()));
    lab.follow(42, Interest::Once(DRIFT));
    lab.reads.clear();
    lab.pass(DRIFT + secs(30));
    let with_it: Vec<_> = lab.reads.iter().filter(|ids| ids.contains(&id(42))).collect();
    assert_eq!(with_it, [&vec![id(42)]]);
    assert!(lab.reads.len() <= 3, "{:?}", lab.reads.len());
}

#[test]
fn answers_that_nobody_can_read_are_trouble_of_all_after_a_few() {
    let mut lab = Lab::new();
    lab.in_sync(1_000);
    lab.garbage = Some(ReadError::Malformed { cause: "this is a login page".to_owned() });
    lab.pass(DRIFT + secs(10));
    assert_eq!((lab.shared, lab.reads.len()), (1, 8));
}

#[test]
fn all_are_told_once_of_a_credential_that_is_refused() {
    let mut lab = Lab::new();
    lab.in_sync(200);
    lab.garbage = Some(api_error(401, "AUTHFAILURE_SIGNATURE_FAILURE"));
    lab.pass(DRIFT + secs(1));
    assert_eq!(lab.woken.iter().collect::<HashSet<_>>().len(), 200);
    lab.woken.clear();
    lab.pass(secs(30));
    // Those of the batch that was tried again.
    assert_eq!(lab.woken.len(), 100);
}

#[test]
fn what_was_read_before_a_pass_ended_is_too_old_for_the_next_one() {
    let mut lab = Lab::new();
    lab.in_sync(1);
    lab.now += secs(1);
    lab.follow(0, Interest::Once(secs(5)));
    lab.now += secs(1);
    assert!(!lab.look(0, Class::InFlight));
    lab.pass(secs(1));
    assert!(lab.look(0, Class::InFlight));
}

#[test]
fn what_was_read_in_the_moment_in_which_a_pass_ended_is_too_old_as_well() {
    let mut lab = Lab::new();
    lab.look(0, Class::Edit);
    lab.reads_due();
    assert!(lab.look(0, Class::Edit));
    lab.follow(0, Interest::Once(secs(5)));
    lab.now += secs(1);
    assert!(!lab.look(0, Class::InFlight));
}

#[test]
fn a_failure_is_shown_to_whoever_waited_and_to_nobody_later() {
    let mut lab = Lab::new();
    lab.look(0, Class::Edit);
    lab.garbage = Some(api_error(400, "SOMETHING_ODD"));
    lab.pass(secs(1));
    assert_eq!(lab.woken, [name(0)]);
    assert!(lab.look(0, Class::Edit));
    lab.now += secs(20);
    assert!(!lab.look(0, Class::Edit));
}

#[test]
fn nothing_is_left_of_an_object_that_is_gone() {
    let mut lab = Lab::new();
    lab.in_sync(2);
    lab.missing.insert(id(1));
    lab.pass(DRIFT + secs(1));
    (0..2).for_each(|number| lab.inventory.leave(&name(number)));
    assert_eq!(lab.reads_due(), None);
    assert!(lab.inventory.is_empty());
}

/// Whoever is paged for machines that are not read must be.
#[test]
fn a_read_that_is_refused_makes_no_machine_look_as_if_it_were_read() {
    let mut lab = Lab::new();
    lab.in_sync(1);
    lab.garbage = Some(api_error(400, "SOMETHING_ODD"));
    lab.pass(DRIFT * 4);
    assert!(lab.reads.len() >= 3, "{:?}", lab.reads);
    let age = lab.inventory.age(lab.now).age;
    assert!(age >= DRIFT * 4, "{age:?}");
    lab.garbage = None;
    lab.pass(DRIFT * 2);
    let age = lab.inventory.age(lab.now).age;
    assert!(age <= DRIFT, "{age:?}");
}

#[test]
fn how_far_the_clock_is_off_is_known_from_the_answers_of_this_term_alone() {
    let mut lab = Lab::new();
    lab.in_sync(1);
    assert_eq!(lab.inventory.skew(), None, "no answer has a Date");
    lab.date = Some(Timestamp::from_second(-130).expect("it is a time"));
    lab.pass(DRIFT);
    assert_eq!(lab.inventory.skew().map(|skew| skew.as_secs()), Some(130));
    lab.date = None;
    lab.pass(DRIFT);
    assert_eq!(lab.inventory.skew().map(|skew| skew.as_secs()), Some(130), "nothing newer");
    lab.inventory.keep(&HashSet::new());
    assert_eq!(lab.inventory.skew(), None);
}
