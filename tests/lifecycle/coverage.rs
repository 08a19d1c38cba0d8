//! What no table may leave out.

use std::collections::BTreeSet;

use zenlayer_vm_operator::api::{Phase, Reason};

use crate::table::{Row, SITUATIONS, situation};

pub fn all_rows() -> Vec<Row> {
    [
        crate::at_rest::rows(),
        crate::cancel::rows(),
        crate::power::rows(),
        crate::preflight::rows(),
        crate::in_flight::rows(),
        crate::unreadable::rows(),
        crate::answers::rows(),
        crate::refusals::rows(),
        crate::ownership::rows(),
        crate::fences::rows(),
    ]
    .concat()
}

#[test]
fn row_names_are_unique() {
    let rows = all_rows();
    let mut names = BTreeSet::new();
    let twice: Vec<_> = rows.iter().map(|row| row.0).filter(|name| !names.insert(*name)).collect();
    println!("{} rows", rows.len());
    assert!(twice.is_empty(), "{twice:?}");
}

#[test]
fn every_situation_stands_in_a_row() {
    let seen: BTreeSet<_> =
        all_rows().iter().map(|row| situation(&row.1.decide().situation)).collect();
    // What an answer leads to is not decided.
    let answered = ["PowerRequested"];
    let missing: Vec<_> = SITUATIONS
        .iter()
        .filter(|name| !seen.contains(*name) && !answered.contains(name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_reason_stands_in_a_row() {
    // InvalidSpec comes from `invalid`, tested in `messages`; Submitting from `intent`, in `answers`.
    let elsewhere = [Reason::InvalidSpec, Reason::Submitting];
    let mut seen = BTreeSet::from(elsewhere);
    for (_, given, ..) in all_rows() {
        let status = given.pass().verdict.status;
        seen.extend(status.conditions.iter().filter_map(|one| Reason::parse(&one.reason)));
    }
    let missing: Vec<_> = Reason::ALL.iter().filter(|reason| !seen.contains(reason)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_phase_but_the_first_stands_in_a_row() {
    // Pending is the schema's default and is never written.
    let phases = [
        Phase::InSync,
        Phase::Drifted,
        Phase::Waiting,
        Phase::Submitting,
        Phase::Changing,
        Phase::Scheduled,
        Phase::Suspended,
        Phase::Failed,
    ];
    let rows = all_rows();
    for phase in phases {
        let found = rows.iter().any(|row| row.1.pass().verdict.status.phase == Some(phase));
        assert!(found, "{phase:?}");
    }
}
