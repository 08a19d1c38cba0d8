//! What the tests of Flux and of Argo CD share: a control plane of their own, an operator for two namespaces
//! at its own pace, and a folder of declarations that is committed again and again.

use std::time::{Duration, Instant};

use harness::{ControlPlane, Operator, control_plane::random_hex, eventually, root};
use serde_json::{Value, json};
use zenlayer_vm_operator::api::{Phase, VmInstance};

use crate::stage::{LIMIT, Rules, Stage, grant_in_new_namespace, slow_simulation};

/// A new object for a machine that an older one had is Ready within this time, in the eyes of the tool.
pub const TAKEN_OVER: Duration = Duration::from_secs(10);
/// What takes no machine a change is Ready within this time: some looks of the tool, which may be 5 s apart.
pub const AT_ONCE: Duration = Duration::from_secs(20);

/// The same for what has a change of a machine in it.
pub const CHANGED: Duration = LIMIT;

const MACHINES: &str = "  - { id: web, type: c.1c2g, chargeType: POSTPAID }
  - { id: cache, type: c.1c2g, chargeType: POSTPAID }
  - { id: db, type: c.4c8g, chargeType: PREPAID, expiresIn: 20d, autoRenew: true }
  - { id: series, type: s.1c1g, chargeType: POSTPAID }
";

/// One declaration: object, namespace, machine and type.
pub struct Vm {
    pub name: &'static str,
    pub namespace: String,
    pub machine: &'static str,
    pub type_id: &'static str,
    /// Of Argo CD.
    pub wave: u8,
    /// Further fields of the spec.
    pub more: Value,
}

impl Vm {
    /// The object is named as its machine.
    pub fn new(namespace: &str, machine: &'static str, type_id: &'static str) -> Self {
        let namespace = namespace.to_owned();
        Self { name: machine, namespace, machine, type_id, wave: 0, more: json!({}) }
    }

    pub fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    pub fn in_namespace(self, namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), ..self }
    }

    /// With further fields of the spec.
    pub fn with(self, more: Value) -> Self {
        Self { more, ..self }
    }

    /// In this wave of an Application.
    pub fn in_wave(self, wave: u8) -> Self {
        Self { wave, ..self }
    }

    fn manifest(&self) -> Value {
        let mut spec = json!({ "instanceId": self.machine, "instanceTypeId": self.type_id });
        spec.as_object_mut().unwrap().extend(self.more.as_object().unwrap().clone());
        let wave = json!({ "argocd.argoproj.io/sync-wave": self.wave.to_string() });
        let metadata =
            json!({ "name": self.name, "namespace": self.namespace, "annotations": wave });
        let (version, kind) = ("vm.zenlayer.com/v1alpha1", "VmInstance");
        json!({ "apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec })
    }
}

/// The file with these declarations. JSON is YAML.
pub fn file(vms: &[Vm]) -> String {
    vms.iter().map(|vm| format!("---\n{}\n", vm.manifest())).collect()
}

/// An example of `deploy/`.
pub fn example(name: &str) -> Value {
    let text = std::fs::read_to_string(root().join("deploy/examples").join(name)).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// Waits until the API server serves every CRD that it has.
pub async fn all_kinds_are_served(plane: &ControlPlane) {
    eventually("every CRD to be established", LIMIT, async || {
        // A new one has no status yet, which kubectl calls an error.
        let wait = ["wait", "crd", "--all", "--for=condition=Established", "--timeout=10s"];
        let output = plane.kubectl(&wait);
        if output.status.success() { Ok(()) } else { Err(format!("{output:?}")) }
    })
    .await;
}

/// Where a tool is tried.
pub struct Place {
    pub stage: Stage,
    pub operator: Operator,
    /// Another namespace of VmInstances, beside that of the stage.
    pub other: String,
}

impl Place {
    /// A change takes this long at the provider.
    pub async fn given(processing_time: &str) -> Self {
        let plane: &'static ControlPlane = Box::leak(Box::new(ControlPlane::start(&[]).unwrap()));
        plane.kubectl_ok(&["apply", "-k", "crds"]);
        all_kinds_are_served(plane).await;
        let slots = grant_in_new_namespace(plane, &Rules::of_deploy()).await;
        let [home, other] = ["home", "other"].map(|name| format!("{name}-{}", &random_hex()[..8]));
        for namespace in [&home, &other] {
            plane.kubectl_ok(&["create", "namespace", namespace]);
            let secret = "deploy/examples/secret.yaml";
            plane.kubectl_ok(&["apply", "-n", namespace, "-f", secret]);
        }
        let serves = Some(format!("{home},{other}"));
        let world = slow_simulation(processing_time, MACHINES);
        let stage = Stage::within(plane, &slots, (home, serves), &world, &[]).await;
        let operator = stage.operator_at_its_own_pace(&[]);
        operator.ready().await;
        Self { stage, operator, other }
    }

    pub fn plane(&self) -> &'static ControlPlane {
        self.stage.plane
    }

    pub fn vm(&self, machine: &'static str, type_id: &'static str) -> Vm {
        Vm::new(&self.stage.namespace, machine, type_id)
    }

    /// An object as JSON, or nothing.
    pub fn object(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let get = ["get", kind, name, "-n", namespace, "-o", "json", "--ignore-not-found"];
        serde_json::from_str(&self.plane().kubectl_ok(&get)).ok()
    }

    pub fn vm_object(&self, namespace: &str, name: &str) -> Option<VmInstance> {
        self.object("zvm", namespace, name).map(|object| serde_json::from_value(object).unwrap())
    }

    /// The phase of an object.
    pub fn phase(&self, namespace: &str, name: &str) -> Option<Phase> {
        self.vm_object(namespace, name).and_then(|object| object.status.unwrap_or_default().phase)
    }

    /// How many orders each machine has had, in the order of their names.
    pub async fn orders(&self) -> [usize; 4] {
        let mut counts = [0; 4];
        for (count, machine) in counts.iter_mut().zip(["cache", "db", "series", "web"]) {
            *count = self.stage.sim.orders(machine).await.len();
        }
        counts
    }

    /// What the provider has a machine as, now.
    pub async fn type_of(&self, machine: &str) -> String {
        let world = self.stage.sim.get("instances").await;
        let instances = world["instances"].as_array().unwrap();
        let found = instances.iter().find(|one| one["id"] == machine).unwrap();
        found["type"].as_str().unwrap().to_owned()
    }
}

/// A tool that applies what is committed, and says when all of it is as declared.
pub trait Tool {
    fn commit(&mut self, vms: &[Vm]);

    /// It follows what is committed from now on.
    fn follow(&self);

    /// Waits until the newest commit is applied and all that it declares is so.
    async fn settles(&self, limit: Duration);

    /// When the newest commit was made.
    fn committed(&self) -> Instant;
}

/// Objects get other names and another namespace: each is taken over within `TAKEN_OVER`, and nothing is ordered
/// for it. A rename with a resize is one order. Machines take 8 s for a change.
pub async fn renames_and_moves_order_nothing(tool: &mut impl Tool, place: &Place, title: &str) {
    let (home, other) = (place.stage.namespace.clone(), place.other.clone());
    let mut figures = Figures::new();
    let all = |web: Vm| [web, place.vm("db", "c.2c4g"), place.vm("cache", "c.1c2g")];
    tool.commit(&all(place.vm("web", "c.2c4g")));
    tool.follow();
    tool.settles(CHANGED).await;
    assert_eq!(place.orders().await, [0, 1, 0, 1]);

    tool.commit(&all(place.vm("web", "c.2c4g").named("www")));
    tool.settles(TAKEN_OVER).await;
    figures.add("a rename", tool.committed());
    assert!(place.vm_object(&home, "web").is_none(), "it is pruned");
    assert_eq!(place.phase(&home, "www"), Some(Phase::InSync));

    // One of them with a change that waits for the next billing cycle.
    let all = |cache: Vm| {
        let moved = place.vm("db", "c.2c4g").in_namespace(&other);
        [place.vm("web", "c.2c4g").named("www").in_namespace(&other), moved, cache]
    };
    tool.commit(&all(place.vm("cache", "c.1c2g")));
    tool.settles(TAKEN_OVER).await;
    figures.add("a move of two, one with a scheduled change", tool.committed());
    assert_eq!(place.phase(&other, "www"), Some(Phase::InSync));
    assert_eq!(place.phase(&other, "db"), Some(Phase::Scheduled));
    assert!(place.vm_object(&home, "www").is_none() && place.vm_object(&home, "db").is_none());
    assert_eq!(place.orders().await, [0, 1, 0, 1]);

    // A rename and a resize in one commit: it is one order, of the new object.
    tool.commit(&all(place.vm("cache", "c.2c4g").named("redis")));
    tool.settles(CHANGED).await;
    figures.add("a rename with a resize of 8 s", tool.committed());
    assert_eq!(place.type_of("cache").await, "c.2c4g");
    assert_eq!(place.orders().await, [1, 1, 0, 1]);
    figures.show(title);
}

/// What was measured, for the end.
pub struct Figures(Vec<[String; 2]>);

impl Figures {
    pub fn new() -> Self {
        Self(vec![["COMMIT".to_owned(), "SECONDS".to_owned()]])
    }

    pub fn add(&mut self, what: &str, since: Instant) -> f64 {
        let seconds = since.elapsed().as_secs_f64();
        self.0.push([what.to_owned(), format!("{seconds:.1}")]);
        seconds
    }

    pub fn show(&self, title: &str) {
        harness::table::show(title, &self.0);
    }
}
