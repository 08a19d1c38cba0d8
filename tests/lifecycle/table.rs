//! Rows of the tables: a name, what is given, what is done, what is shown, when to look again.

use zenlayer_vm_operator::{
    api::{ChangeKind, VmInstanceStatus},
    lifecycle::{Action, NextLook, Situation, backoff},
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

pub fn shows_of(pass: &Pass) -> String {
    shown(&pass.verdict.status)
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
        NextLook::After(pause) => {
            let desired = &pass.desired;
            if pause == backoff::spread_over(desired.timing.drift, &desired.object.uid) {
                "rest".into()
            } else {
                format!("{}s", pause.as_secs())
            }
        }
    }
}

pub fn ready_message(status: &VmInstanceStatus) -> &str {
    let ready = status.conditions.iter().find(|one| one.type_ == "Ready");
    ready.map_or("", |one| one.message.as_str())
}

pub fn action(action: &Action) -> &'static str {
    match action {
        Action::Nothing => "Nothing",
        Action::Call { change, .. } => match change.kind {
            ChangeKind::Modify => "Modify",
            ChangeKind::CancelDowngrade => "Cancel",
            ChangeKind::Stop => "Stop",
            ChangeKind::Start => "Start",
        },
        Action::WriteSlot { slot, record } if record.closed != slot.record.closed => "CloseSlot",
        Action::WriteSlot { record, .. } if record.returned.is_some() => "ReturnSlot",
        Action::WriteSlot { .. } => "WriteSlot",
    }
}

macro_rules! situations {
    ($($name:ident),+ $(,)?) => {
        /// The variant's name; without a wildcard, so that a new one is not forgotten.
        pub fn situation(situation: &Situation) -> &'static str {
            match situation { $(Situation::$name { .. } => stringify!($name),)+ }
        }

        pub const SITUATIONS: &[&str] = &[$(stringify!($name)),+];
    };
}

situations!(
    Unusable,
    SecretUnusable,
    ReadFailed,
    InstanceGone,
    DuplicateClaim,
    HeldElsewhere,
    GivenBack,
    Calling,
    OutcomeUnknown,
    Unverified,
    Accepted,
    EffectSeen,
    Progressing,
    Overdue,
    NotInEffect,
    Completed,
    Undone,
    GivenUp,
    Resumed,
    Restored,
    Released,
    Rearmed,
    ReadLags,
    InSync,
    Adopted,
    LetGo,
    ForeignPlan,
    DriftObserved,
    Suspended,
    Refused,
    Reverted,
    InstanceBusy,
    InstanceUnusable,
    ClockSkewed,
    UnwantedPlan,
    OrderLimitReached,
    OrdersUnknown,
    ReadsStale,
);

/// Whether the machine is changed.
pub fn is_call(action: &Action) -> bool {
    matches!(action, Action::Call { .. })
}
