//! Whether the Kubernetes API still answers the watch: a connection can stay open and silent.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The watch is asked anew at least this often, so a longer silence is a fault.
const SILENCE_LIMIT: Duration = Duration::from_secs(50);

/// What is known of the watch; clones share it.
#[derive(Debug, Clone)]
pub struct WatchHealth(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// The objects were listed once.
    listed: bool,
    /// When something of the answer to a list or a watch last came.
    answered: Instant,
    /// The last attempt since then failed.
    failed: bool,
}

impl Default for WatchHealth {
    fn default() -> Self {
        let state = State { listed: false, answered: Instant::now(), failed: false };
        Self(Arc::new(Mutex::new(state)))
    }
}

impl WatchHealth {
    /// Something of the answer to a list or a watch came, or its end.
    pub fn answered(&self) {
        self.with(|state| {
            state.answered = Instant::now();
            state.failed = false;
        });
    }

    pub fn failed(&self) {
        self.with(|state| state.failed = true);
    }

    /// The first list is complete; tells whether this is news.
    pub fn listed(&self) -> bool {
        self.with(|state| !std::mem::replace(&mut state.listed, true))
    }

    /// How long ago the API last answered.
    pub fn silence(&self) -> Duration {
        self.with(|state| state.answered.elapsed())
    }

    /// Why the view of the objects may be old, if it may.
    pub fn problem(&self) -> Option<String> {
        self.with(|state| {
            let silence = state.answered.elapsed();
            let seconds = silence.as_secs();
            if !state.listed {
                Some("the objects have not been listed yet".to_owned())
            } else if state.failed {
                Some(format!(
                    "the watch of the Kubernetes API failed (the log says why); it last answered \
                     {seconds} s ago"
                ))
            } else if silence > SILENCE_LIMIT {
                Some(format!("the Kubernetes API last answered the watch {seconds} s ago"))
            } else {
                None
            }
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
