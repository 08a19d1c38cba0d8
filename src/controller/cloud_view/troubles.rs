//! What a credential's objects share: reads that fail, and an account that is refused. One object tries
//! again for all of them, with growing pauses, and its success wakes the others.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use zenlayer::{ReadError, error::ErrorClass};

use crate::{
    controller::store::Scope,
    lifecycle::{ObjectKey, Timing, Trouble},
};

/// How long the one that tries has before another one may.
const TURN: Duration = Duration::from_secs(40);

/// The troubles of all credentials. Time is the monotonic time of the caller's clock.
pub struct Troubles {
    /// First and longest pause between looks at a change: 5 s and 30 s. Those between failed reads are
    /// counted in them.
    poll: (Duration, Duration),
    reads: Mutex<HashMap<Scope, Entry>>,
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

/// How a read of the instance ended, as far as its credential is concerned.
pub enum ReadResult<'a> {
    Answered,
    Failed { error: &'a ReadError, trouble: Trouble },
}

impl Troubles {
    pub fn new(timing: &Timing) -> Self {
        Self { poll: timing.poll, reads: Mutex::default(), accounts: Mutex::default() }
    }

    /// Trouble with reads, which this object waits for.
    pub fn with_reads(&self, scope: &Scope, object: &ObjectKey, now: Duration) -> Option<Trouble> {
        let mut reads = lock(&self.reads);
        let entry = reads.get_mut(scope)?;
        entry.waiting.insert(object.clone());
        let again_in = entry.until.saturating_sub(now);
        Some(Trouble { again_in, ..entry.trouble.clone() })
    }

    /// Whether a read of the credential may be tried; else, how long that takes.
    pub fn may_read(&self, scope: &Scope, now: Duration) -> Result<(), Duration> {
        match lock(&self.reads).get_mut(scope) {
            Some(entry) if now < entry.until => Err(entry.until - now),
            Some(entry) => {
                entry.until = now.saturating_add(TURN);
                entry.tried = true;
                Ok(())
            }
            None => Ok(()),
        }
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

    /// A read ended. Gives the objects that need not wait any more.
    pub fn read(&self, scope: &Scope, result: ReadResult, now: Duration) -> Vec<ObjectKey> {
        let mut reads = lock(&self.reads);
        match result {
            ReadResult::Answered => freed(&mut reads, scope),
            ReadResult::Failed { error, trouble } => {
                let Some(first) = self.first_pause(error) else {
                    return freed(&mut reads, scope);
                };
                let in_a_row = reads.get(scope).map_or(0, |entry| entry.in_a_row);
                let growing = first.saturating_mul(2u32.saturating_pow(in_a_row.min(10)));
                let pause = growing.min(self.longest_pause());
                put(&mut reads, scope, trouble, pause, now);
                Vec::new()
            }
        }
    }

    /// The first pause after a failure that other reads of the credential would meet, too.
    fn first_pause(&self, error: &ReadError) -> Option<Duration> {
        let (short, long) = self.poll;
        let of_credential = matches!(
            error,
            ReadError::Api { error, .. } if matches!(error.class(), ErrorClass::Credentials(_))
        );
        is_shared(error).then_some(if of_credential { long } else { short })
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
}
