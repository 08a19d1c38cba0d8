//! The protocol's rules, each of which can be switched off: `SIMULATION_OFF=name`. A rule without which
//! no run breaks a law is either of no use, or the runs do not look for what it is good for. Production
//! code has no switch: what is switched off is what it asks of Kubernetes, of the provider and of the
//! clock. The rules that live in production code alone are those of `hack/protocol-rules.sh`.

use std::sync::OnceLock;

use serde_json::Value;
use zenlayer_vm_operator::lifecycle::Timing;

use crate::shapes::{self, words};

macro_rules! switches {
    ($($name:ident $text:literal => $sentence:literal,)+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Rule { $($name,)+ }

        /// Each with the name by which it is switched off, and its sentence.
        pub const ALL: &[(Rule, &str, &str)] = &[$((Rule::$name, $text, $sentence),)+];
    };
}

switches! {
    IntentVersion "intent-version" => "a status is written only at the version that was decided from",
    SlotVersion "slot-version" => "the slot is written by compare-and-swap alone",
    SlotOutlives "slot-outlives" => "the slot outlives the object that took it",
    SlotIsRead "slot-is-read" => "what the slot does not hold is believed only of a read past every cache",
    Lanes "lanes" => "a call of one lane never writes the record of the other",
    Unverified "unverified" => "an unverified order holds back no call of the other lane",
    Expectation "expectation" => "a closed lane disbelieves for one margin what contradicts it",
    Earlier "earlier-expectation" => "a lane that is given back has its earlier expectation again",
    Restore "restore-with-stop" => "what the machine is brought back to is written with the stop",
    Finalizer "finalizer" => "an object stays until its machine is back",
    SignedAt "signed-at" => "a call is signed with the moment of its decision",
    SendWindow "send-window" => "a call is sent within 5 s of its decision, or not at all",
    SentOnce "sent-once" => "a call is never repeated",
    Fence "fence" => "an unknown outcome is settled only after the life of its signature",
    Margin "margin" => "an effect is waited for as long as any read may lag",
    SkewLimit "skew-limit" => "no call is signed by a clock that is far off",
    Freshness "freshness" => "a call rests on reads that are seconds old",
    OnceForTarget "once" => "a change is ordered once for a target: the history remembers it",
    Sweep "sweep" => "a slot that nobody names is deleted by time alone",
}

/// The rule that the settings switch off.
pub fn off() -> Option<Rule> {
    static OFF: OnceLock<Option<Rule>> = OnceLock::new();
    *OFF.get_or_init(|| {
        let name = std::env::var("SIMULATION_OFF").ok()?;
        let found = ALL.iter().find(|(_, text, _)| *text == name);
        Some(found.unwrap_or_else(|| panic!("no rule is called {name}")).0)
    })
}

pub fn is_off(rule: Rule) -> bool {
    off() == Some(rule)
}

/// The times of the protocol without one rule.
pub fn timing() -> Timing {
    let (whole, none) = (Timing::default(), std::time::Duration::ZERO);
    let long = whole.signature_life * 30;
    match off() {
        Some(Rule::Fence) => Timing { signature_life: none, ..whole },
        Some(Rule::Margin) => Timing { margin: none, ..whole },
        Some(Rule::SendWindow) => Timing { send_window: long, ..whole },
        Some(Rule::SkewLimit) => Timing { skew_limit: long, ..whole },
        Some(Rule::Freshness) => Timing { freshness: long, ..whole },
        _ => whole,
    }
}

/// A record of the slot as it is written without one rule.
pub fn record(before: &Value, mut record: Value) -> Value {
    let Some(rule) = off() else { return record };
    let stops = shapes::holders(&record)
        .any(|held| held.kind == words::STOP && !shapes::slot_holds(before, &held.id));
    for lane in ["type", "power"] {
        let Some(fields) = record.get_mut(lane).and_then(Value::as_object_mut) else { continue };
        let is_taken = fields.contains_key("holding");
        if rule == Rule::Expectation && !is_taken || rule == Rule::Earlier && is_taken {
            fields.remove("expects");
        }
        let state = fields.get_mut("holding").and_then(|held| held.pointer_mut("/state/is"));
        if let Some(state) = state
            && rule == Rule::Unverified
            && *state == "unverified"
        {
            *state = "open".into();
        }
    }
    if rule == Rule::Restore && stops {
        record.as_object_mut().map(|fields| fields.remove("restore"));
    }
    let held = |of: &Value| of.pointer("/power/holding/change").cloned();
    if rule == Rule::Lanes
        && held(&record).is_some()
        && held(&record) != held(before)
        && let Some(fields) = record.get_mut("type").and_then(Value::as_object_mut)
    {
        fields.remove("holding");
    }
    record
}

/// A status as it is written without one rule.
pub fn status(status: Value) -> Value {
    let mut status = status;
    if is_off(Rule::OnceForTarget) {
        status.as_object_mut().map(|fields| fields.remove("history"));
    }
    status
}
