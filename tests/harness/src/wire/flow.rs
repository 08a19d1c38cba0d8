//! Watches that run: each can be stalled, also in the middle.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::{
    classify::Class,
    rules::{Rule, Rules, Stage},
};

/// The body of one watch.
pub(super) struct Flow {
    pub class: Class,
    stalled_by: Mutex<Vec<Arc<Rule>>>,
}

impl Flow {
    fn rules(&self) -> MutexGuard<'_, Vec<Arc<Rule>>> {
        self.stalled_by.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as long as it is stalled.
    pub async fn stalled(&self) {
        loop {
            let Some(rule) = self.rules().last().cloned() else { return };
            rule.lifted().await;
            self.rules().retain(|one| one.state.borrow().active);
        }
    }

    fn stall(&self, rule: &Arc<Rule>) {
        rule.hit();
        self.rules().push(rule.clone());
    }
}

/// All watches that run.
#[derive(Default)]
pub(super) struct Flows(Mutex<Vec<Weak<Flow>>>);

impl Flows {
    /// One more; rules that are there already may stall it from its first byte.
    pub fn begin(&self, class: &Class, rules: &Rules) -> Arc<Flow> {
        let flow = Arc::new(Flow { class: class.clone(), stalled_by: Mutex::default() });
        let mut flows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        flows.retain(|old| old.strong_count() > 0);
        flows.push(Arc::downgrade(&flow));
        rules.applying(class, Stage::Body).iter().for_each(|rule| flow.stall(rule));
        flow
    }

    /// A rule is made while they run. It is in the list of rules afterwards, under the same lock, so
    /// that a watch that begins meanwhile meets it once.
    pub fn meet(&self, rule: &Arc<Rule>, rules: &Rules) {
        let flows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for flow in flows.iter().filter_map(Weak::upgrade) {
            if rule.applies(&flow.class, Stage::Body) {
                flow.stall(rule);
            }
        }
        rules.add(rule.clone());
    }
}
