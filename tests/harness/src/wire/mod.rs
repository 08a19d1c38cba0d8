//! A proxy between an unmodified operator and both of its servers, the Kubernetes API and the provider,
//! that a test programs: it holds single requests or answers, and lets them go wrong.
//!
//! | part | what it is |
//! | --- | --- |
//! | `shapes` | the operator's own JSON, and the names of its writes and calls: the only part that knows them |
//! | `classify` | what an exchange is |
//! | `rules` | which exchanges are meant, and what happens to them |
//! | `log` | all exchanges so far |
//! | `flow` | watches that run |
//! | `shared` | what both proxies share, and the threads that they run on |
//! | `proxy`, `upstream` | connections on both sides |
//!
//! Requests are passed on byte for byte, `Host` and credentials included; the provider's signature covers
//! the former. The operator speaks plain http, also where its server speaks TLS. A request that is held is
//! dropped when the operator leaves, and so is one whose connection it closes: a test that holds one for long
//! gives the operator a long `--testing-answer-limit`.

mod classify;
mod flow;
mod log;
mod proxy;
mod rules;
pub mod shapes;
mod shared;
mod upstream;

use std::{path::Path, sync::Arc};

use serde_json::Value;

pub use classify::{Class, Server, Verb};
pub use log::Exchange;
pub use proxy::Proxy;
pub use rules::{Fault, Select};
pub use upstream::Upstream;

use crate::processes::LogFile;
use rules::{Rule, Stage, State, What};
use shared::Shared;

/// The two proxies of one operator.
pub struct Wire {
    pub kubernetes: Proxy,
    pub cloud: Proxy,
    shared: Arc<Shared>,
}

impl Wire {
    pub fn start(kubernetes: Upstream, cloud: Upstream) -> Self {
        let shared = Arc::new(Shared::default());
        let proxy = |server, upstream| Proxy::start(server, upstream, shared.clone());
        Self {
            kubernetes: proxy(Server::Kubernetes, kubernetes),
            cloud: proxy(Server::Cloud, cloud),
            shared: shared.clone(),
        }
    }

    /// Between an operator and the servers that it was given. Writes its kubeconfig.
    pub fn between(kubeconfig: &Path, endpoint: &str, written: &Path) -> Self {
        let text = std::fs::read_to_string(kubeconfig).expect("a kubeconfig can be read");
        let mut config: Value = serde_json::from_str(&text).expect("the harness writes JSON");
        let wire = Self::start(Upstream::of_kubeconfig(&config), Upstream::plain(endpoint));
        config["clusters"][0]["cluster"] = serde_json::json!({ "server": wire.kubernetes.url() });
        std::fs::write(written, config.to_string()).expect("a temporary folder can be written");
        wire
    }

    /// Shows this log when something that is waited for does not come.
    pub fn shows(&self, operator: LogFile) {
        self.shared.shows(operator);
    }

    /// Holds exchanges from now on: `before-NAME` holds the request, `after-NAME` the answer, and
    /// `.INSTANCE` behind it means only those of one instance. `shapes` lists the names.
    pub fn hold(&self, point: &str) -> Hold {
        let (side, rest) = point.split_once('-').unwrap_or_default();
        let stage = match side {
            "before" => Stage::Before,
            "after" => Stage::After,
            _ => panic!("{point} begins neither with before- nor with after-"),
        };
        let select = match rest.split_once('.') {
            Some((name, instance)) => Select::named(name).instance(instance),
            None => Select::named(rest),
        };
        self.hold_where(point, select, stage)
    }

    /// Holds requests of any kind.
    pub fn hold_requests(&self, select: Select) -> Hold {
        self.hold_where(&format!("{select:?}"), select, Stage::Before)
    }

    /// Holds answers of any kind.
    pub fn hold_answers(&self, select: Select) -> Hold {
        self.hold_where(&format!("{select:?}"), select, Stage::After)
    }

    fn hold_where(&self, what: &str, select: Select, stage: Stage) -> Hold {
        Hold(self.rule(what.to_owned(), select, What::Hold(stage)))
    }

    /// Lets exchanges go wrong from now on.
    pub fn fault(&self, select: Select, fault: Fault) -> Broken {
        let what = format!("{fault:?} for {select:?}");
        Broken(self.rule(what, select, What::Fault(fault)))
    }

    fn rule(&self, what: String, select: Select, does: What) -> Handle {
        let rule = Rule::new(select, does);
        self.shared.flows.meet(&rule, &self.shared.rules);
        Handle { what, rule, shared: self.shared.clone() }
    }

    /// All exchanges so far, oldest first.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.shared.log.entries(|_| true)
    }

    /// Those that fit.
    pub fn exchanges_of(&self, select: &Select) -> Vec<Exchange> {
        self.shared.log.entries(|class| select.fits(class))
    }

    /// Waits until so many exchanges that fit have had an answer.
    pub async fn answered(&self, select: &Select, count: usize) {
        let log = &self.shared.log;
        let what = format!("{count} answers to {select:?}");
        self.shared.until(&what, || log.answers(|class| select.fits(class)) >= count).await;
    }
}

/// A rule that a test has made. It stays when this is dropped.
struct Handle {
    what: String,
    rule: Arc<Rule>,
    shared: Arc<Shared>,
}

impl Handle {
    fn state(&self) -> State {
        *self.rule.state.borrow()
    }

    fn lift(&self) {
        self.rule.state.send_modify(|state| state.active = false);
    }

    async fn hits(&self, count: usize) {
        let what = format!("{count} exchanges at {}", self.what);
        self.shared.until(&what, || self.state().hits >= count).await;
    }
}

/// Exchanges that are held.
#[must_use = "what is held has to be released, or waited for"]
pub struct Hold(Handle);

impl Hold {
    /// Waits until an exchange is held.
    pub async fn reached(&self) {
        self.0.hits(1).await;
    }

    /// How many are held now: one whose operator has left is not.
    pub fn waiting(&self) -> usize {
        self.0.state().waiting
    }

    /// Passes on what is held, and holds nothing more.
    pub fn release(&self) {
        self.0.lift();
    }
}

/// A fault that a test has made.
pub struct Broken(Handle);

impl Broken {
    /// Waits until it has come about so often.
    pub async fn happened(&self, count: usize) {
        self.0.hits(count).await;
    }

    /// From now on this does not go wrong any more; a stalled watch goes on.
    pub fn mend(&self) {
        self.0.lift();
    }
}
