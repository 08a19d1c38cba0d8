//! Since when this process has known what it knows, by its own monotonic clock: nobody can set that.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use zenlayer::InstanceId;

use crate::lifecycle::{
    Known, LaneName, Observed, PerLane, Since, SlotRecord, backoff::spread_over,
};

/// What was seen, and since when.
#[derive(Default)]
pub struct Sightings {
    slots: Mutex<HashMap<InstanceId, PerLane<Sighting>>>,
    objects: Mutex<HashMap<String, Seen>>,
}

/// Something that is as it is since then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sighting {
    what: u64,
    since: Duration,
}

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    generation: Sighting,
    missing: Option<Duration>,
    disagree: Option<Duration>,
    undone: Option<Duration>,
    plan_is_due: Option<Duration>,
}

impl Sightings {
    /// This record of a slot was read or written. Tells for how long each of its lanes has been as it is.
    pub fn slot(
        &self,
        instance: &InstanceId,
        record: &SlotRecord,
        now: Duration,
    ) -> PerLane<Known> {
        let mut slots = lock(&self.slots);
        let known = slots.entry(instance.clone()).or_default();
        let see = |lane: LaneName, sighting: &mut Sighting| {
            let what = crate::lifecycle::backoff::fnv(&format!("{:?}", record.lane(lane)));
            if sighting.what != what {
                *sighting = Sighting { what, since: now };
            }
            Known(now.saturating_sub(sighting.since))
        };
        let of_type = see(LaneName::Type, &mut known.of_type);
        let of_power = see(LaneName::Power, &mut known.of_power);
        PerLane { of_type, of_power }
    }

    /// What a pass starts from. An object is due for a look at its plan at a time of its own, so that a
    /// restart causes no burst.
    pub fn begin(&self, uid: &str, generation: i64, every: Duration, now: Duration) -> Since {
        let mut objects = lock(&self.objects);
        let seen = objects.entry(uid.to_owned()).or_default();
        let what = u64::from_ne_bytes(generation.to_ne_bytes()).wrapping_add(1);
        if seen.generation.what != what {
            seen.generation = Sighting { what, since: now };
        }
        // Moved by a tenth of itself either way, so five times that is all of it.
        let share = spread_over(every, uid).saturating_sub(every * 9 / 10) * 5;
        let due = *seen.plan_is_due.get_or_insert(now.saturating_add(share));
        Since {
            lanes: PerLane::default(),
            spec: now.saturating_sub(seen.generation.since),
            missing: seen.missing.map(|since| now.saturating_sub(since)),
            disagree: seen.disagree.map(|since| now.saturating_sub(since)),
            undone: seen.undone.map(|since| now.saturating_sub(since)),
            plan_is_due: now >= due,
        }
    }

    /// The instance, or its plan, was read in this pass.
    pub fn read(&self, uid: &str, observed: &mut Observed, every: Duration, now: Duration) {
        let mut objects = lock(&self.objects);
        let seen = objects.entry(uid.to_owned()).or_default();
        if let Some(Ok(_)) = &observed.instance {
            note(&mut seen.missing, observed.is_missing(), now);
        }
        if let Some(Ok(plan)) = &observed.plan {
            seen.plan_is_due = Some(now.saturating_add(every));
            let other = match (observed.instance(), &plan.value) {
                (Some(instance), Some(status)) => instance.type_id != status.current,
                (Some(_), None) => true,
                (None, _) => false,
            };
            note(&mut seen.disagree, other, now);
            note(&mut seen.undone, observed.shows_nothing_of_its_change(), now);
        }
        observed.since.missing = seen.missing.map(|since| now.saturating_sub(since));
        observed.since.disagree = seen.disagree.map(|since| now.saturating_sub(since));
        observed.since.undone = seen.undone.map(|since| now.saturating_sub(since));
    }

    /// Forgets all other objects.
    pub fn keep(&self, uids: &HashSet<String>, instances: &HashSet<InstanceId>) {
        lock(&self.objects).retain(|uid, _| uids.contains(uid));
        lock(&self.slots).retain(|instance, _| instances.contains(instance));
    }
}

fn note(since: &mut Option<Duration>, holds: bool, now: Duration) {
    *since = if holds { Some(since.unwrap_or(now)) } else { None };
}

fn lock<T>(table: &Mutex<T>) -> MutexGuard<'_, T> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}
