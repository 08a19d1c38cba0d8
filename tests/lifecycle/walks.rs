//! Whole lives, pass by pass: what is done, told and remembered on the way, with every field of the
//! status and of the slot. `INSTA_UPDATE=always cargo test --test lifecycle walks` writes them anew.

use std::fmt::Write;

use serde_json::Value;
use zenlayer_vm_operator::{
    api::{ChangeState, HistoryOutcome},
    lifecycle::Outcome,
};

use crate::{
    given::{
        Given, HUGE, LARGE, SMALL, given, given_change, given_entry, no_answer, not_sent, offer,
        refused,
    },
    table::{does_of, look_of},
};

/// A world that changes between passes, and what was seen of it.
struct Walk {
    given: Given,
    seconds: i64,
    text: String,
}

impl Walk {
    fn from(given: Given) -> Self {
        Self { given, seconds: 0, text: String::new() }
    }

    /// What happens in the world, and how many seconds later the next pass looks at it.
    fn then(mut self, what: &str, later: i64, happens: impl FnOnce(Given) -> Given) -> Self {
        self.seconds += later;
        self.given = happens(self.given.later(self.seconds));
        let pass = self.given.pass();
        let before = (json(&self.given.object.status), json(&self.given.slot_record()));
        self.given = self.given.step();
        let after = (json(&self.given.object.status), json(&self.given.slot_record()));
        writeln!(self.text, "\n# {what}\n{}; next look: {}", does_of(&pass), look_of(&pass))
            .unwrap();
        for event in &pass.verdict.events {
            let kind = if event.warning { "Warning" } else { "Normal" };
            writeln!(self.text, "{kind} {}: {}", event.reason, event.note).unwrap();
        }
        changes(&mut self.text, "status", &before.0, &after.0);
        changes(&mut self.text, "slot", &before.1, &after.1);
        self
    }

    fn again(self, what: &str) -> Self {
        self.then(what, 5, |given| given)
    }
}

fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

/// Each field that differs, in a line of its own; of a list, each new item.
fn changes(text: &mut String, of: &str, before: &Value, after: &Value) {
    let none = serde_json::Map::new();
    let [before, after] = [before, after].map(|value| value.as_object().unwrap_or(&none));
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        writeln!(text, "{of}.{key} is gone").unwrap();
    }
    for (key, value) in after.iter().filter(|(key, value)| before.get(*key) != Some(value)) {
        let Value::Array(items) = value else {
            writeln!(text, "{of}.{key}: {value}").unwrap();
            continue;
        };
        let old = before.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for item in items.iter().filter(|item| !old.contains(item)) {
            writeln!(text, "{of}.{key}: {item}").unwrap();
        }
        for item in old.iter().filter(|item| !items.contains(item)) {
            let name = item.get("type").or(item.get("id")).unwrap_or(item);
            writeln!(text, "{of}.{key} no more: {name}").unwrap();
        }
    }
}

fn offered() -> Given {
    given().offering(vec![offer(SMALL, 1, 2), offer(LARGE, 2, 4), offer(HUGE, 4, 8)])
}

fn sized(given: Given, name: &str, cores: i64, memory: i64) -> Given {
    given.of_type(name).instance(|one| {
        one.cpu_count = Some(cores);
        one.memory_gib = Some(memory);
    })
}

#[test]
fn a_machine_is_resized_at_once() {
    let walk = Walk::from(offered())
        .again("the spec differs: ordered")
        .then("it runs", 5, |given| given.processing(LARGE))
        .then("the type is there", 60, |given| sized(given.plan(None, None), LARGE, 2, 4))
        .again("looked at again")
        .then("somebody changes it back", 400, |given| sized(given, SMALL, 1, 2));
    insta::assert_snapshot!(walk.text);
}

#[test]
fn a_downgrade_waits_for_its_cycle_and_is_taken_back() {
    let walk = Walk::from(offered().prepaid().priced(20, 10))
        .again("ordered")
        .then("scheduled", 5, |given| given.scheduled(LARGE))
        .then("the last day", 777_600, |given| given)
        .then("back to what it was", 60, |given| given.wants(SMALL).generation(4))
        .then("no plan is left", 5, |given| given.plan(None, None))
        .again("looked at again");
    insta::assert_snapshot!(walk.text);
}

#[test]
fn a_machine_is_stopped_changed_and_started() {
    let walk = Walk::from(offered().stop_first())
        .again("kept from being deleted first")
        .again("stopped then")
        .then("on its way", 5, |given| given.state("STOPPING"))
        .then("it is off", 20, |given| given.state("STOPPED"))
        .again("the type is changed")
        .then("in effect", 30, |given| sized(given, LARGE, 2, 4))
        .again("started again")
        .then("it boots", 5, |given| given.state("BOOTING"))
        .then("it runs", 20, |given| given.state("RUNNING"))
        .again("nothing is left to restore")
        .again("nothing is kept from being deleted")
        .again("looked at again");
    insta::assert_snapshot!(walk.text);
}

#[test]
fn a_lost_answer_is_settled_after_its_fence() {
    let lost = |given: Given| given.answered(no_answer());
    let walk = Walk::from(given())
        .then("no answer", 0, lost)
        .again("before the fence")
        .then("after it", 700, |given| given)
        .again("its lane is freed")
        .then("called again, no answer", 5, lost)
        .then("it shows after all", 700, |given| given.of_type(LARGE))
        .again("looked at again");
    insta::assert_snapshot!(walk.text);
}

#[test]
fn calls_that_are_refused_or_not_made_leave_what_was_remembered() {
    let entry = given_entry(HUGE, SMALL, 2, HistoryOutcome::Completed);
    let mut world = given().ended(entry);
    world.status().order_number = Some("3400".into());
    world.status().request_id = Some("T-BEFORE".into());
    let refused = |code: &'static str| move |given: Given| given.answered(refused(400, code));
    let walk = Walk::from(world)
        .then("not sent", 0, |given| given.answered(not_sent()))
        .then("the race was lost", 5, |given| given.outcome(Outcome::LostRace))
        .then("busy", 5, refused("UNSUPPORTED_OPERATION_INSTANCE_STATUS"))
        .then("out of stock", 5, refused("STOCK_INSUFFICIENT"))
        .then("looked at again", 300, |given| given)
        .then("refused for good", 1800, refused("OPERATION_FAILED_INSTANCE_TYPE_UNSUPPORTED"))
        .then("asked once more", 300, |given| given.requested_at("1"));
    insta::assert_snapshot!(walk.text);
}

/// A start beside an order that does not come to its end: each holds its own lane, and none is lost.
#[test]
fn a_machine_is_started_beside_an_overdue_order() {
    let order = given_change(ChangeState::Accepted, 1801);
    let walk = Walk::from(given().in_flight(&order).stopped_for_a_change(1900))
        .again("started in between")
        .then("it runs", 20, |given| given.state("RUNNING"))
        .again("nothing is left to restore")
        .again("the order is looked at again")
        .then("it shows after all", 60, |given| given.of_type(LARGE))
        .again("looked at again");
    insta::assert_snapshot!(walk.text);
}

/// An object is deleted while its machine is off: it is kept until the machine runs.
#[test]
fn an_object_that_is_deleted_starts_its_machine_first() {
    let walk = Walk::from(offered().stop_first().target(LARGE, 3).stopped_for_a_change(60))
        .then("deleted before the order", 5, |given| given.deleted(0))
        .then("it boots", 5, |given| given.state("BOOTING"))
        .then("it runs", 20, |given| given.state("RUNNING"))
        .again("nothing is left to restore")
        .again("free to go");
    insta::assert_snapshot!(walk.text);
}
