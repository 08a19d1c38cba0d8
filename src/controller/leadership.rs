//! Whether this process leads, as everything else in it knows it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

use super::leader::Term;

/// Clones share it.
#[derive(Clone)]
pub struct Leadership {
    term: watch::Receiver<Option<Term>>,
    /// Passes may begin.
    serves: Arc<AtomicBool>,
}

impl Leadership {
    /// That of an election; nothing is served yet.
    pub fn elected(term: watch::Receiver<Option<Term>>) -> Self {
        Self { term, serves: Arc::default() }
    }

    /// That of a process that is alone.
    pub fn always() -> Self {
        let term = Some(Term { number: 1, until: Duration::MAX });
        let leadership = Self::elected(watch::channel(term).1);
        leadership.serve(true);
        leadership
    }

    /// The term at this time.
    pub fn term(&self, now: Duration) -> Option<Term> {
        self.term.borrow().filter(|term| now < term.until)
    }

    /// For how long something may still be begun. Nothing that runs beside has to notice first that the
    /// term is over.
    pub fn left(&self, now: Duration) -> Duration {
        self.term(now).map_or(Duration::ZERO, |term| term.until.saturating_sub(now))
    }

    /// Whether a pass may begin.
    pub fn serves(&self, now: Duration) -> bool {
        self.serves.load(Ordering::Acquire) && !self.left(now).is_zero()
    }

    pub fn serve(&self, serves: bool) {
        self.serves.store(serves, Ordering::Release);
    }

    /// Resolves once the term is another one, or has been renewed.
    pub async fn news(&mut self) {
        if self.term.changed().await.is_err() {
            // Nobody will say anything any more: it is as it is.
            std::future::pending::<()>().await;
        }
    }
}
