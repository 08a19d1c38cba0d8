//! What a test lets happen to exchanges: it selects some and holds them, or lets them go wrong.

use std::{
    future::pending,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::{
    classify::{Class, Server, Verb},
    shapes,
};

/// Which exchanges are meant. All that is said must fit; what is not said fits always.
#[derive(Debug, Clone, Default)]
pub struct Select {
    server: Option<Server>,
    method: Option<String>,
    path: Option<String>,
    verb: Option<Verb>,
    resource: Option<String>,
    name: Option<String>,
    instance: Option<String>,
    nth: Option<usize>,
    times: Option<usize>,
}

impl Select {
    /// Exchanges with the Kubernetes API.
    pub fn kubernetes() -> Self {
        Self { server: Some(Server::Kubernetes), ..Self::default() }
    }

    /// Exchanges with the provider.
    pub fn cloud() -> Self {
        Self { server: Some(Server::Cloud), ..Self::default() }
    }

    /// Writes and calls of this name; `shapes` lists them.
    pub fn named(name: &str) -> Self {
        assert!(shapes::is_name(name), "no write and no call has the name {name}");
        Self { name: Some(name.to_owned()), ..Self::default() }
    }

    /// Those of one object type and verb, such as `vminstances/status`.
    pub fn verb(verb: Verb, resource: &str) -> Self {
        Self { verb: Some(verb), resource: Some(resource.to_owned()), ..Self::kubernetes() }
    }

    /// Calls of one of the provider's actions.
    pub fn action(action: &str) -> Self {
        Self { resource: Some(action.to_owned()), ..Self::cloud() }
    }

    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// The path; each `*` matches any text.
    pub fn path(mut self, pattern: &str) -> Self {
        self.path = Some(pattern.to_owned());
        self
    }

    pub fn instance(mut self, instance: &str) -> Self {
        self.instance = Some(instance.to_owned());
        self
    }

    /// Only the nth of those that fit, counted from 1 since the rule was made.
    pub fn nth(mut self, nth: usize) -> Self {
        self.nth = Some(nth);
        self
    }

    /// Only the first so many of those that fit.
    pub fn times(mut self, times: usize) -> Self {
        self.times = Some(times);
        self
    }

    /// Whether an exchange fits, without regard to how many came before.
    pub fn fits(&self, class: &Class) -> bool {
        self.server.is_none_or(|server| server == class.server)
            && self.verb.is_none_or(|verb| verb == class.verb)
            && self.method.as_ref().is_none_or(|method| *method == class.method)
            && self.path.as_ref().is_none_or(|pattern| matches(pattern, &class.path))
            && self.resource.as_ref().is_none_or(|resource| *resource == class.resource)
            && self.name.as_ref().is_none_or(|name| class.names.contains(name))
            && self.instance.as_ref().is_none_or(|one| Some(one) == class.instance.as_ref())
    }

    fn counts(&self, place: usize) -> bool {
        self.nth.is_none_or(|nth| place == nth) && self.times.is_none_or(|times| place <= times)
    }
}

/// Whether a text fits a pattern in which `*` matches any text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.into_iter().any(|at| matches(rest, &text[at..]))
        }),
    }
}

/// What goes wrong.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The request does not arrive: the connection is reset.
    LoseRequest,
    /// The request arrives and is carried out; the connection is reset in place of the answer.
    LoseAnswer,
    /// The answer comes this much later.
    DelayAnswer(Duration),
    /// The request does not arrive; this is the answer.
    Answer(u16, Value),
    /// The request does not arrive, no answer ever comes, and the connection stays open.
    Silence,
    /// Of a watch, also of one that runs: no further byte comes, and the connection stays open.
    Stall,
}

impl Fault {
    /// A failure as the Kubernetes API words it.
    pub fn status(code: u16) -> Self {
        let reason = match code {
            404 => "NotFound",
            409 => "Conflict",
            429 => "TooManyRequests",
            500 => "InternalError",
            503 => "ServiceUnavailable",
            504 => "Timeout",
            _ => "",
        };
        let body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": format!("a fault of the test: {code} {reason}"), "reason": reason,
            "code": code,
        });
        Self::Answer(code, body)
    }
}

/// Where in an exchange a rule applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Before the request is passed on.
    Before,
    /// Before the answer is passed on.
    After,
    /// While the body of the answer of a watch is passed on.
    Body,
}

pub(super) enum What {
    Hold(Stage),
    Fault(Fault),
}

impl What {
    fn stage(&self) -> Stage {
        match self {
            Self::Hold(stage) => *stage,
            Self::Fault(Fault::LoseRequest | Fault::Answer(..) | Fault::Silence) => Stage::Before,
            Self::Fault(Fault::LoseAnswer | Fault::DelayAnswer(_)) => Stage::After,
            Self::Fault(Fault::Stall) => Stage::Body,
        }
    }
}

/// What a rule has met so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    pub active: bool,
    /// Exchanges that it was applied to.
    pub hits: usize,
    /// Exchanges that wait at it now.
    pub waiting: usize,
}

pub(super) struct Rule {
    select: Select,
    pub what: What,
    fitted: AtomicUsize,
    pub state: watch::Sender<State>,
}

impl Rule {
    pub fn new(select: Select, what: What) -> Arc<Self> {
        let state = watch::Sender::new(State { active: true, hits: 0, waiting: 0 });
        Arc::new(Self { select, what, fitted: AtomicUsize::new(0), state })
    }

    /// Whether it applies to an exchange that has come to this stage. Counts.
    pub fn applies(&self, class: &Class, stage: Stage) -> bool {
        if self.what.stage() != stage || !self.select.fits(class) || !self.state.borrow().active {
            return false;
        }
        self.select.counts(self.fitted.fetch_add(1, Ordering::Relaxed) + 1)
    }

    pub fn hit(&self) {
        self.state.send_modify(|state| state.hits += 1);
    }

    /// Waits until it applies no more.
    pub async fn lifted(&self) {
        // The sender lives as long as the rule.
        let _ = self.state.subscribe().wait_for(|state| !state.active).await;
    }

    /// The same, and says meanwhile that an exchange waits.
    async fn wait(&self) {
        struct Waiting<'a>(&'a Rule);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.state.send_modify(|state| state.waiting -= 1);
            }
        }
        self.state.send_modify(|state| {
            state.hits += 1;
            state.waiting += 1;
        });
        let _waiting = Waiting(self);
        self.lifted().await;
    }
}

/// What becomes of a request, or of an answer.
pub(super) enum Verdict {
    Pass,
    Reset,
    Answer(u16, Value),
}

/// All rules of a wire, in the order in which they were made.
#[derive(Default)]
pub(super) struct Rules(Mutex<Vec<Arc<Rule>>>);

impl Rules {
    fn all(&self) -> MutexGuard<'_, Vec<Arc<Rule>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn add(&self, rule: Arc<Rule>) {
        let mut rules = self.all();
        rules.retain(|old| old.state.borrow().active);
        rules.push(rule);
    }

    /// Those that apply to an exchange that has come to this stage.
    pub fn applying(&self, class: &Class, stage: Stage) -> Vec<Arc<Rule>> {
        self.all().iter().filter(|rule| rule.applies(class, stage)).cloned().collect()
    }

    /// Holds an exchange as long as the rules say, and tells what becomes of it then.
    pub async fn pass(&self, class: &Class, stage: Stage) -> Verdict {
        for rule in self.applying(class, stage) {
            match &rule.what {
                What::Hold(_) if rule.state.borrow().active => rule.wait().await,
                // Lifted while the exchange waited at another one.
                What::Hold(_) => {}
                What::Fault(fault) => {
                    rule.hit();
                    match fault {
                        Fault::LoseRequest | Fault::LoseAnswer => return Verdict::Reset,
                        Fault::Answer(status, body) => {
                            return Verdict::Answer(*status, body.clone());
                        }
                        Fault::Silence => pending().await,
                        Fault::DelayAnswer(time) => tokio::time::sleep(*time).await,
                        Fault::Stall => {}
                    }
                }
            }
        }
        Verdict::Pass
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(name: &str, instance: &str) -> Class {
        Class {
            server: Server::Kubernetes,
            method: "PUT".to_owned(),
            path: "/apis/coordination.k8s.io/v1/namespaces/op/leases/x".to_owned(),
            verb: Verb::Update,
            resource: "leases".to_owned(),
            names: vec![name.to_owned()],
            instance: Some(instance.to_owned()),
        }
    }

    #[test]
    fn what_is_selected_must_fit_in_every_part() {
        let class = update("slot-stop", "a");
        for (expected, select) in [
            (true, Select::default()),
            (true, Select::named("slot-stop").instance("a").method("PUT")),
            (true, Select::verb(Verb::Update, "leases").path("/apis/*/leases/*")),
            (false, Select::named("slot-stop").instance("b")),
            (false, Select::named("slot-start")),
            (false, Select::kubernetes().method("POST")),
            (false, Select::verb(Verb::Create, "leases")),
            (false, Select::verb(Verb::Update, "vminstances")),
            (false, Select::cloud()),
            (false, Select::kubernetes().path("/api/*")),
        ] {
            assert_eq!(select.fits(&class), expected, "{select:?}");
        }
    }

    #[test]
    fn a_star_matches_any_text() {
        for (pattern, text, expected) in [
            ("/a/b", "/a/b", true),
            ("/a/*", "/a/", true),
            ("/a/*/c", "/a/b/b/c", true),
            ("*c*", "abcd", true),
            ("/a/*/c", "/a/c", false),
            ("/a", "/a/b", false),
            ("*b", "abc", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn only_the_nth_or_the_first_few_are_meant_and_only_those_that_fit_are_counted() {
        let rule = |select: Select| Rule::new(select, What::Fault(Fault::LoseRequest));
        let second = rule(Select::named("slot-stop").nth(2));
        let two = rule(Select::named("slot-stop").times(2));
        let applied = |rule: &Rule| {
            let applied = ["slot-stop", "slot-start", "slot-stop", "slot-stop"];
            applied.map(|name| rule.applies(&update(name, "a"), Stage::Before))
        };
        assert_eq!(applied(&second), [false, false, true, false]);
        assert_eq!(applied(&two), [true, false, true, false]);
        assert!(!second.applies(&update("slot-stop", "a"), Stage::After));
    }

    #[test]
    fn a_rule_that_was_lifted_applies_no_more() {
        let rules = Rules::default();
        let rule = Rule::new(Select::default(), What::Hold(Stage::Before));
        rules.add(rule.clone());
        let class = update("slot-stop", "a");
        assert_eq!(rules.applying(&class, Stage::Before).len(), 1);
        rule.state.send_modify(|state| state.active = false);
        assert!(rules.applying(&class, Stage::Before).is_empty());
    }
}
