//! Turns, over time.

use std::num::NonZeroU32;

use super::*;

/// One call a second, and four at once, of which none is left.
fn used_up() -> Limiter {
    let limiter = Limiter::new(NonZeroU32::MIN.into());
    assert!(limiter.turns(&scope(), &object("first"), ask(Class::Drift, 4), at(0)));
    limiter
}

fn scope() -> Scope {
    Scope::of("key")
}

fn object(name: &str) -> Caller {
    Caller::Object(("shop".to_owned(), name.to_owned()))
}

fn ask(class: Class, calls: u32) -> Ask {
    Ask { class, calls, spent: 0 }
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn waits(limiter: &Limiter, name: &str, class: Class, calls: u32) {
    assert!(!limiter.turns(&scope(), &object(name), ask(class, calls), at(0)), "{name}");
}

/// Whose turn has come.
fn told(limiter: &Limiter, seconds: u64) -> Vec<String> {
    let (told, _) = limiter.serve(at(seconds));
    let name = |told: Told| match told.caller {
        Caller::Object((_, name)) => name,
        Caller::Inventory => "the inventory".to_owned(),
    };
    told.into_iter().map(name).collect()
}

#[test]
fn turns_come_by_class_and_in_each_as_they_were_asked_for() {
    let limiter = used_up();
    for (name, class) in
        [("d", Class::Drift), ("f", Class::InFlight), ("g", Class::InFlight), ("e", Class::Edit)]
    {
        waits(&limiter, name, class, 1);
    }
    assert_eq!(told(&limiter, 0), [""; 0]);
    assert_eq!(told(&limiter, 1), ["e"]);
    assert_eq!(told(&limiter, 3), ["f", "g"]);
}

#[test]
fn of_edits_the_newest_is_served_first_and_a_read_for_many_before_all() {
    let limiter = used_up();
    for name in ["first", "second", "third"] {
        waits(&limiter, name, Class::Edit, 1);
    }
    assert!(!limiter.turns(&scope(), &Caller::Inventory, ask(Class::Edit, 1), at(0)));
    assert_eq!(told(&limiter, 1), ["the inventory"]);
    // Whoever asks again keeps its place.
    waits(&limiter, "first", Class::Edit, 1);
    assert_eq!(told(&limiter, 3), ["third", "second"]);
}

#[test]
fn no_more_calls_are_given_out_and_not_made_than_come_in_a_burst() {
    let limiter = Limiter::new(NonZeroU32::MIN.saturating_add(8).into());
    assert!(limiter.turns(&scope(), &object("first"), ask(Class::Drift, 9), at(0)));
    for number in 0..5 {
        waits(&limiter, &format!("order-{number}"), Class::Order, 3);
    }
    assert_eq!(told(&limiter, 1), ["order-0", "order-1", "order-2"]);
    // The bucket fills again, and these three have made none of their calls.
    let soon = at(1) + Duration::from_millis(900);
    let served = || limiter.serve(soon).0.into_iter().map(|told| told.caller).collect::<Vec<_>>();
    assert_eq!(served(), []);
    // The inventory makes its own at once.
    assert!(limiter.turns(&scope(), &Caller::Inventory, ask(Class::Edit, 1), soon));
    assert!(limiter.turns(&scope(), &object("order-0"), ask(Class::Order, 3), soon));
    assert_eq!(served(), [object("order-3")]);
    assert!(!limiter.turns(&scope(), &Caller::Inventory, ask(Class::Drift, 1), soon));
    // Whoever does not come is not waited for.
    assert_eq!(told(&limiter, 3), ["order-4", "the inventory"]);
}

#[test]
fn the_inventory_waits_for_nobody_who_has_a_turn_and_does_not_come() {
    let limiter = Limiter::new(NonZeroU32::MIN.saturating_add(3).into());
    assert!(limiter.turns(&scope(), &object("first"), ask(Class::Drift, 4), at(0)));
    waits(&limiter, "order", Class::Order, 4);
    assert_eq!(told(&limiter, 1), ["order"]);
    waits(&limiter, "edit", Class::Edit, 1);
    assert!(!limiter.turns(&scope(), &Caller::Inventory, ask(Class::Edit, 1), at(1)));
    let soon = at(1) + Duration::from_millis(600);
    let served: Vec<_> = limiter.serve(soon).0.into_iter().map(|told| told.caller).collect();
    assert_eq!(served, [Caller::Inventory]);
}

#[test]
fn an_object_that_is_edited_while_it_waits_is_the_newest_edit() {
    let limiter = used_up();
    waits(&limiter, "old", Class::Order, 1);
    waits(&limiter, "edit", Class::Edit, 1);
    waits(&limiter, "old", Class::Edit, 1);
    assert_eq!(told(&limiter, 1), ["old"]);
}

#[test]
fn what_a_429_asks_for_is_waited_for() {
    let limiter = used_up();
    waits(&limiter, "a", Class::Edit, 1);
    limiter.throttled(&scope(), Some(at(20)), at(0));
    assert_eq!(told(&limiter, 19), [""; 0]);
    assert_eq!(told(&limiter, 24), ["a"]);
}

#[test]
fn one_turn_in_four_is_of_whoever_has_waited_longest() {
    let limiter = used_up();
    waits(&limiter, "old", Class::Drift, 1);
    for number in 0..6 {
        waits(&limiter, &format!("edit-{number}"), Class::Edit, 1);
    }
    let served: Vec<String> = (1..=4).flat_map(|second| told(&limiter, second)).collect();
    assert_eq!(served, ["edit-5", "edit-4", "edit-3", "old"]);
}

#[test]
fn whoever_was_told_has_the_calls_of_an_order_together_and_once() {
    let limiter = used_up();
    waits(&limiter, "order", Class::Order, 3);
    assert_eq!(told(&limiter, 2), [""; 0]);
    assert_eq!(told(&limiter, 3), ["order"]);
    assert!(limiter.turns(&scope(), &object("order"), ask(Class::Order, 3), at(3)));
    assert!(!limiter.turns(&scope(), &object("order"), ask(Class::Order, 1), at(3)));
}

#[test]
fn what_is_not_used_goes_to_others() {
    for gone in [true, false] {
        let limiter = used_up();
        waits(&limiter, "a", Class::Order, 3);
        waits(&limiter, "b", Class::Drift, 3);
        assert_eq!(told(&limiter, 3), ["a"]);
        if gone {
            limiter.forget(&object("a"));
        } else {
            limiter.done(&scope(), &object("a"));
        }
        assert_eq!(told(&limiter, 3), ["b"]);
    }
}

#[test]
fn a_turn_is_not_kept_for_ever_and_none_is_for_whoever_is_gone() {
    let limiter = used_up();
    waits(&limiter, "a", Class::Order, 3);
    assert_eq!(told(&limiter, 3), ["a"]);
    waits(&limiter, "b", Class::Drift, 4);
    assert_eq!(told(&limiter, 3), [""; 0]);
    assert_eq!(told(&limiter, 23), ["b"]);
    assert!(!limiter.turns(&scope(), &object("a"), ask(Class::Order, 3), at(23)));
    limiter.forget(&object("a"));
    waits(&limiter, "c", Class::Drift, 3);
    limiter.forget(&object("c"));
    assert_eq!((told(&limiter, 60), limiter.waiting(at(60)).count), (Vec::new(), 0));
}

#[test]
fn after_a_429_turns_come_half_as_often() {
    let limiter = used_up();
    limiter.throttled(&scope(), None, at(0));
    waits(&limiter, "a", Class::Edit, 1);
    assert_eq!(told(&limiter, 1), [""; 0]);
    assert!(limiter.lowest_rate(at(1)) < 1.0);
    assert_eq!(told(&limiter, 3), ["a"]);
}

#[test]
fn another_credential_has_a_rate_of_its_own() {
    let limiter = used_up();
    waits(&limiter, "a", Class::Edit, 1);
    let other = Scope::of("another");
    assert!(limiter.turns(&other, &object("b"), ask(Class::Drift, 4), at(0)));
}

#[test]
fn how_long_somebody_waits_counts_from_when_it_first_asked() {
    let limiter = used_up();
    waits(&limiter, "a", Class::Drift, 3);
    assert!(!limiter.turns(&scope(), &object("a"), ask(Class::InFlight, 3), at(2)));
    let waiting = limiter.waiting(at(2));
    assert_eq!((waiting.count, waiting.age), (1, at(2)));
    let (told, _) = limiter.serve(at(3));
    assert_eq!((told[0].class, told[0].waited), (Class::InFlight, at(3)));
    assert_eq!(limiter.waiting(at(9)).age, at(0));
}

/// Whether there is news, without waiting for it.
async fn is_news(limiter: &Limiter) -> bool {
    tokio::time::timeout(Duration::ZERO, limiter.news()).await.is_ok()
}

/// Whoever hands out the turns asks for some itself: its own asking must not wake it for ever.
#[tokio::test]
async fn who_asks_again_for_what_it_waits_for_is_no_news() {
    let limiter = used_up();
    waits(&limiter, "a", Class::Drift, 1);
    assert!(is_news(&limiter).await);
    waits(&limiter, "a", Class::Drift, 1);
    assert!(!is_news(&limiter).await);
    waits(&limiter, "a", Class::Edit, 1);
    assert!(is_news(&limiter).await, "it is served earlier now");
    waits(&limiter, "b", Class::Drift, 1);
    assert!(is_news(&limiter).await);
    assert_eq!(told(&limiter, 1), ["a"]);
    assert!(limiter.turns(&scope(), &object("a"), ask(Class::Edit, 1), at(1)));
    assert!(is_news(&limiter).await, "what was not made before is made, and another one waits");
}
