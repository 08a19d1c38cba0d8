//! What a credential's objects share: reads that fail, and an account that is refused. One object tries
//! again for all of them, with growing pauses, and its success wakes the others.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use zenlayer::{ApiError, ReadError, error::ErrorClass};

use crate::{
    controller::store::Scope,
    lifecycle::{ObjectKey, Timing, Trouble},
};

/// How long the one that tries has before another one may.
const TURN: Duration = Duration::from_secs(40);

/// How long after its next try trouble is remembered that nobody waits for.
const FORGOTTEN: Duration = Duration::from_secs(3600);

/// The troubles of all credentials. Time is the monotonic time of the caller's clock.
pub struct Troubles {
    /// First and longest pause between looks at a change: 5 s and 30 s. Those between failed reads are
    /// counted in them.
    poll: (Duration, Duration),
    /// Of the batches of machines.
    reads: Mutex<HashMap<Scope, Entry>>,
    /// Of the reads that a pass makes for itself.
    own_reads: Mutex<HashMap<Scope, Entry>>,
    accounts: Mutex<HashMap<Scope, Entry>>,
}

struct Entry {
    trouble: Trouble,
    in_a_row: u32,
    until: Duration,
    /// It is tried again.
    tried: bool,
    /// The object that tries again, in as many passes as that takes.
    tries: Option<ObjectKey>,
    /// Objects that were told to wait.
    waiting: HashSet<ObjectKey>,
}

impl Troubles {
    pub fn new(timing: &Timing) -> Self {
        let (reads, own_reads, accounts) = Default::default();
        Self { poll: timing.poll, reads, own_reads, accounts }
    }

    /// Trouble with reads, which this object waits for.
    pub fn with_reads(&self, scope: &Scope, object: &ObjectKey, now: Duration) -> Option<Trouble> {
        let mut reads = lock(&self.reads);
        let entry = reads.get_mut(scope)?;
        entry.waiting.insert(object.clone());
        let again_in = entry.until.saturating_sub(now);
        Some(Trouble { again_in, ..entry.trouble.clone() })
    }

    /// After what time a batch of the credential may be tried.
    pub fn may_read_in(&self, scope: &Scope, now: Duration) -> Duration {
        let until = lock(&self.reads).get(scope).map(|entry| entry.until);
        until.unwrap_or_default().saturating_sub(now)
    }

    /// A batch is tried.
    pub fn tries(&self, scope: &Scope, now: Duration) {
        if let Some(entry) = lock(&self.reads).get_mut(scope) {
            entry.until = now.saturating_add(TURN);
            entry.tried = true;
        }
    }

    /// Trouble with the reads that passes make for themselves, if this object has to wait for it.
    pub fn with_own_reads(
        &self,
        scope: &Scope,
        object: &ObjectKey,
        now: Duration,
    ) -> Option<Trouble> {
        wait(&mut lock(&self.own_reads), scope, object, now)
    }

    /// Trouble of the account, if this object has to wait for it.
    pub fn with_account(
        &self,
        scope: &Scope,
        object: &ObjectKey,
        now: Duration,
    ) -> Option<Trouble> {
        wait(&mut lock(&self.accounts), scope, object, now)
    }

    /// How often the account was refused in a row.
    pub fn refused_in_a_row(&self, scope: &Scope) -> u32 {
        lock(&self.accounts).get(scope).map_or(0, |entry| entry.in_a_row)
    }

    /// A batch was answered. Gives the objects that need not wait any more.
    pub fn batch_answered(&self, scope: &Scope) -> Vec<ObjectKey> {
        freed(&mut lock(&self.reads), scope)
    }

    /// A batch failed for a reason that others of the credential would meet, too.
    pub fn batch_failed(&self, scope: &Scope, error: &ReadError, trouble: Trouble, now: Duration) {
        self.failed(&mut lock(&self.reads), scope, error, trouble, now);
    }

    /// A read that a pass made for itself was answered. Gives the objects that need not wait any more.
    pub fn own_read_answered(&self, scope: &Scope) -> Vec<ObjectKey> {
        freed(&mut lock(&self.own_reads), scope)
    }

    /// A read that a pass made for itself failed. The rate limit sees to one that was throttled.
    pub fn own_read_failed(
        &self,
        scope: &Scope,
        error: &ReadError,
        trouble: Trouble,
        now: Duration,
    ) {
        if is_shared(error) && throttled(error).is_none() {
            self.failed(&mut lock(&self.own_reads), scope, error, trouble, now);
        }
    }

    fn failed(
        &self,
        table: &mut HashMap<Scope, Entry>,
        scope: &Scope,
        error: &ReadError,
        trouble: Trouble,
        now: Duration,
    ) {
        let (short, long) = self.poll;
        let first = if is_of_credential(error) { long } else { short };
        let in_a_row = table.get(scope).map_or(0, |entry| entry.in_a_row);
        let growing = first.saturating_mul(2u32.saturating_pow(in_a_row.min(10)));
        put(table, scope, trouble, growing.min(self.longest_pause()), now);
    }

    /// 10 min.
    fn longest_pause(&self) -> Duration {
        self.poll.1.saturating_mul(20)
    }

    /// A paid call was refused for a reason of the account.
    pub fn refused(&self, scope: &Scope, trouble: Trouble, now: Duration) {
        let pause = trouble.again_in;
        put(&mut lock(&self.accounts), scope, trouble, pause, now);
    }

    /// A paid call was accepted. Gives the objects that need not wait any more.
    pub fn accepted(&self, scope: &Scope) -> Vec<ObjectKey> {
        freed(&mut lock(&self.accounts), scope)
    }

    /// Forgets all other objects, and what nobody waits for.
    pub fn keep(&self, uids: &HashSet<String>, now: Duration) {
        for table in [&self.reads, &self.own_reads, &self.accounts] {
            lock(table).retain(|_, entry| {
                entry.waiting.retain(|object| uids.contains(&object.uid));
                !entry.waiting.is_empty() || now < entry.until.saturating_add(FORGOTTEN)
            });
        }
    }
}

/// Whether other reads of the credential would fail just so.
pub fn is_shared(error: &ReadError) -> bool {
    match error {
        ReadError::Api { error, .. } => match error.class() {
            ErrorClass::Credentials(_) | ErrorClass::Throttled | ErrorClass::Transient => true,
            ErrorClass::Terminal(_)
            | ErrorClass::Scarce(_)
            | ErrorClass::Busy(_)
            | ErrorClass::Unknown => false,
        },
        ReadError::Transport { .. } => true,
        ReadError::Malformed { .. } => false,
    }
}

/// Whether the provider refuses the credential.
pub fn is_of_credential(error: &ReadError) -> bool {
    let ReadError::Api { error, .. } = error else { return false };
    matches!(error.class(), ErrorClass::Credentials(_))
}

/// What the provider said when its rate limit was met.
pub fn throttled(error: &ReadError) -> Option<&ApiError> {
    let ReadError::Api { error, .. } = error else { return None };
    (error.class() == ErrorClass::Throttled).then_some(error)
}

fn wait(
    table: &mut HashMap<Scope, Entry>,
    scope: &Scope,
    object: &ObjectKey,
    now: Duration,
) -> Option<Trouble> {
    let entry = table.get_mut(scope)?;
    if now >= entry.until {
        // This one tries, for all.
        entry.until = now.saturating_add(TURN);
        entry.tried = true;
        entry.tries = Some(object.clone());
    }
    if entry.tries.as_ref() == Some(object) {
        return None;
    }
    entry.waiting.insert(object.clone());
    Some(Trouble { again_in: entry.until - now, ..entry.trouble.clone() })
}

fn put(
    table: &mut HashMap<Scope, Entry>,
    scope: &Scope,
    trouble: Trouble,
    pause: Duration,
    now: Duration,
) {
    let (in_a_row, waiting) = match table.remove(scope) {
        // What was asked before the trouble was known adds nothing to it.
        Some(entry) if !entry.tried => {
            table.insert(scope.clone(), entry);
            return;
        }
        Some(entry) => (entry.in_a_row.saturating_add(1), entry.waiting),
        None => (1, HashSet::new()),
    };
    let until = now.saturating_add(pause);
    table.insert(
        scope.clone(),
        Entry { trouble, in_a_row, until, tried: false, tries: None, waiting },
    );
}

fn freed(table: &mut HashMap<Scope, Entry>, scope: &Scope) -> Vec<ObjectKey> {
    table.remove(scope).map(|entry| entry.waiting.into_iter().collect()).unwrap_or_default()
}

fn lock<T>(table: &Mutex<T>) -> MutexGuard<'_, T> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Reason;

    fn object(name: &str) -> ObjectKey {
        ObjectKey { namespace: "shop".into(), name: name.into(), uid: name.into() }
    }

    #[test]
    fn one_object_tries_for_all_and_keeps_its_turn_over_several_passes() {
        let troubles = Troubles::new(&Timing::default());
        let scope = Scope::of("key");
        let at = Duration::from_secs;
        let trouble = Trouble {
            reason: Reason::PermissionDenied,
            problem: "denied".to_owned(),
            person: true,
            again_in: at(1800),
        };
        troubles.refused(&scope, trouble, at(0));
        let waits = |name: &str, now| troubles.with_account(&scope, &object(name), at(now));
        assert_eq!(waits("a", 1799).map(|one| one.again_in), Some(at(1)));
        assert_eq!(waits("a", 1800), None);
        // It comes back, for its turn of the rate limit, say.
        assert_eq!(waits("a", 1802), None);
        assert_eq!(waits("b", 1802).map(|one| one.again_in), Some(at(38)));
        // It never came to its call.
        assert_eq!(waits("b", 1840), None);
        let woken = troubles.accepted(&scope);
        assert_eq!(woken.len(), 2);
        assert_eq!(waits("c", 1841), None);
    }

    fn refused() -> ReadError {
        let cause = "connection reset".to_owned();
        ReadError::Transport { cause }
    }

    fn trouble() -> Trouble {
        Trouble {
            reason: Reason::ApiUnavailable,
            problem: "away".to_owned(),
            person: false,
            again_in: Duration::ZERO,
        }
    }

    #[test]
    fn the_reads_of_passes_fail_for_all_and_one_object_tries_again() {
        let (troubles, scope) = (Troubles::new(&Timing::default()), Scope::of("key"));
        let at = Duration::from_secs;
        let waits = |name: &str, now| {
            troubles.with_own_reads(&scope, &object(name), at(now)).map(|one| one.again_in)
        };
        assert_eq!(waits("a", 0), None);
        troubles.own_read_failed(&scope, &refused(), trouble(), at(0));
        assert_eq!((waits("a", 1), waits("b", 1)), (Some(at(4)), Some(at(4))));
        // The first one that comes tries, and the pause grows.
        assert_eq!((waits("a", 5), waits("b", 5)), (None, Some(at(40))));
        troubles.own_read_failed(&scope, &refused(), trouble(), at(6));
        assert_eq!(waits("b", 6), Some(at(10)));
        let freed = troubles.own_read_answered(&scope);
        assert_eq!((freed.len(), waits("b", 7)), (2, None));
    }

    #[test]
    fn a_batch_that_is_asked_about_is_not_tried_yet() {
        let (troubles, scope) = (Troubles::new(&Timing::default()), Scope::of("key"));
        let at = Duration::from_secs;
        troubles.batch_failed(&scope, &refused(), trouble(), at(0));
        assert_eq!(troubles.may_read_in(&scope, at(3)), at(2));
        assert_eq!(troubles.may_read_in(&scope, at(5)), at(0));
        assert_eq!(troubles.may_read_in(&scope, at(6)), at(0));
        troubles.tries(&scope, at(6));
        assert_eq!(troubles.may_read_in(&scope, at(6)), at(40));
    }

    #[test]
    fn trouble_that_nobody_waits_for_is_forgotten() {
        let (troubles, scope) = (Troubles::new(&Timing::default()), Scope::of("key"));
        let at = Duration::from_secs;
        troubles.batch_failed(&scope, &refused(), trouble(), at(0));
        troubles.with_reads(&scope, &object("a"), at(1));
        let known = |now| troubles.with_reads(&scope, &object("a"), at(now)).is_some();
        troubles.keep(&HashSet::from(["a".to_owned()]), at(9000));
        assert!(known(9000), "somebody waits");
        troubles.keep(&HashSet::new(), at(9000));
        assert!(!known(9000));
    }
}
