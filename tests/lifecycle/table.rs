//! Rows of the tables: a name, what is given, what is done, what is shown, when to look again.

use zenlayer_vm_operator::{
    api::{ChangeKind, VmInstanceStatus},
    lifecycle::{
        Action, Held, Holding, HoldingState, LaneName, NextLook, Situation, SlotRecord, backoff,
        situation::{AtRest, HeldBack, Looking, Others, Power, Records, TypeChange},
    },
};

use crate::given::{Given, Pass};

/// Name; given; "Action Situation"; "Phase Reason Ready=… InSync=… [Reconciling|Stalled]"; look.
pub type Row = (&'static str, Given, &'static str, &'static str, &'static str);

/// Runs every row and shows all that differ at once.
pub fn check(rows: Vec<Row>) {
    let mut wrong = Vec::new();
    for (name, given, does, shows, look) in rows {
        let pass = given.pass();
        let expected = format!("{does} | {shows} | {look}");
        let found = format!("{} | {} | {}", does_of(&pass), shows_of(&pass), look_of(&pass));
        if expected != found {
            wrong.push(format!("{name}\n  expected {expected}\n  found    {found}"));
        }
    }
    assert!(wrong.is_empty(), "{} rows differ:\n{}", wrong.len(), wrong.join("\n"));
}

pub fn does_of(pass: &Pass) -> String {
    format!("{} {}", action(&pass.decision.action), situation(&pass.decision.situation))
}

/// What the next pass over this does.
pub fn does(given: &Given) -> String {
    does_of(&given.pass())
}

pub fn shows_of(pass: &Pass) -> String {
    shown(&pass.verdict.status)
}

pub fn shows(given: &Given) -> String {
    shows_of(&given.pass())
}

pub fn shown(status: &VmInstanceStatus) -> String {
    let phase = status.phase.map(|phase| format!("{phase:?}")).unwrap_or_default();
    let find = |name: &str| status.conditions.iter().find(|one| one.type_ == name);
    let value = |name: &str| find(name).map_or("absent", |one| one.status.as_str());
    let reason = find("Ready").map_or("absent", |one| one.reason.as_str());
    let extra = ["Reconciling", "Stalled"].into_iter().filter(|name| find(name).is_some());
    let extra: Vec<_> = extra.collect();
    let text = format!("{phase} {reason} Ready={} InSync={}", value("Ready"), value("InSync"));
    if extra.is_empty() { text } else { format!("{text} {}", extra.join(" ")) }
}

pub fn look_of(pass: &Pass) -> String {
    match pass.verdict.next_look {
        NextLook::Backoff => "backoff".into(),
        NextLook::OnChange => "change".into(),
        NextLook::WhenTold(pause) => format!("told or {}s", pause.as_secs()),
        NextLook::After(pause) => {
            let desired = &pass.desired;
            if pause == backoff::spread_over(desired.timing.drift, &desired.object.uid) {
                "rest".into()
            } else if pause.as_secs() == 0 {
                format!("{}ms", pause.as_millis())
            } else {
                format!("{}s", pause.as_secs())
            }
        }
    }
}

pub fn look(given: &Given) -> String {
    look_of(&given.pass())
}

pub fn ready_message(status: &VmInstanceStatus) -> &str {
    let ready = status.conditions.iter().find(|one| one.type_ == "Ready");
    ready.map_or("", |one| one.message.as_str())
}

/// What the pass over this says in its condition Ready.
pub fn says(given: &Given) -> String {
    ready_message(&given.pass().verdict.status).to_owned()
}

pub fn action(action: &Action) -> &'static str {
    match action {
        Action::Nothing => "Nothing",
        Action::Call(order) => match order.change.kind {
            ChangeKind::Modify => "Modify",
            ChangeKind::CancelDowngrade => "Cancel",
            ChangeKind::Stop => "Stop",
            ChangeKind::Start => "Start",
        },
        Action::WriteSlot { slot, record } => write(&slot.record, record),
        Action::SetFinalizer(true) => "SetFinalizer",
        Action::SetFinalizer(false) => "TakeFinalizerOff",
    }
}

fn write(before: &SlotRecord, after: &SlotRecord) -> &'static str {
    for lane in LaneName::ALL {
        let (before, after) = (before.lane(lane), after.lane(lane));
        if before == after {
            continue;
        }
        return match (before.held(), after.held()) {
            (Held::By(_), Held::By(holding)) if holding.state == HoldingState::Unverified => {
                "MarkUnverified"
            }
            (Held::By(_), Held::By(Holding { state: HoldingState::Accepted { .. }, .. })) => {
                "KeepAnswer"
            }
            (_, Held::Nobody) if before.expects() != after.expects() => "CloseLane",
            (Held::By(_), Held::Nobody) => "FreeLane",
            (before, after) => panic!("{before:?} becomes {after:?}"),
        };
    }
    "EndRestore"
}

macro_rules! situations {
    ($($theme:ident $prefix:literal: $($name:ident),+;)+) => {
        /// The variant's name; without a wildcard, so that a new one is not forgotten.
        pub fn situation(situation: &Situation) -> &'static str {
            match situation {
                Situation::Calling(_) => "Calling",
                $(Situation::$theme(theme) => match theme {
                    $($theme::$name { .. } => concat!($prefix, stringify!($name)),)+
                },)+
            }
        }

        pub const SITUATIONS: &[&str] =
            &["Calling", $($(concat!($prefix, stringify!($name)),)+)+];
    };
}

situations! {
    Looking "": Needs, InvalidStatus, SecretUnusable, NoQuota, InTrouble, ReadFailed, SlotUnreadable,
        SlotOfAnotherVersion, Missing, InstanceGone, ReadsDisagree, ReadLags, TooOld;
    Records "": Freed, BeingMade, Withdrawn, Unrecorded, AnswerKept;
    Power "Power": Requested, UnderWay, Unknown, Seen, Completed, NoEffect, Restored, LeftAsItIs,
        IsKept, IsFreeToGo;
    TypeChange "": Ordered, Accepted, Unknown, Unverified, NotMade, EffectSeen, Progressing, Overdue,
        NotInEffect, Completed, Undone, Resumed, Released, OrderedOnceMore, Reverted, Adopted,
        NoLongerFollowed, Unwanted;
    Others "": DuplicateClaim, HeldElsewhere, ForeignPlan, BeingDeleted;
    AtRest "": InSync, Drift, Suspended, Refused;
    HeldBack "": InstanceBusy, InstanceUnusable, ClockSkewed, ServedTwice, EditIsYoung, OrderLimit, OrdersUnknown,
        AnswersLost, DoesNotStop;
}

/// Whether the machine is changed.
pub fn is_call(action: &Action) -> bool {
    matches!(action, Action::Call(_))
}
