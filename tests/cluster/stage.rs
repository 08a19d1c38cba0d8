//! A stage for one test: namespaces, the RBAC of `deploy/`, a credential, a simulator.

use std::{
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{Namespace, Secret, ServiceAccount},
    events::v1::Event,
    rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding},
};
use kube::{
    Api, Client,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use zenlayer_vm_operator::{
    api::{Phase, VmInstance},
    controller::{LEADERS, SECRET_TYPE},
};

use harness::{
    ControlPlane, Operator, Simulator,
    control_plane::random_hex,
    eventually,
    operator::OperatorOptions,
    records, root,
    simulator::{KEY_ID, KEY_PASSWORD},
};

/// Long enough for anything here on a loaded machine; reached only by a failure.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The rules of `deploy/kustomize`.
#[derive(Clone, PartialEq)]
pub struct Rules {
    pub cluster: Vec<PolicyRule>,
    pub slots: Vec<PolicyRule>,
}

impl Rules {
    pub fn of_deploy() -> Self {
        let rules = |file: &str, kind: &str| {
            let path = root().join("deploy/kustomize").join(file);
            let text = std::fs::read_to_string(path).unwrap();
            let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
            let found = documents.iter().find(|document| document["kind"] == kind).unwrap();
            serde_json::from_value(found["rules"].clone()).unwrap()
        };
        Self {
            cluster: rules("overlays/cluster-wide/rbac.yaml", "ClusterRole"),
            slots: rules("base/slots-role.yaml", "Role"),
        }
    }
}

pub struct Stage {
    pub plane: &'static ControlPlane,
    pub client: Client,
    /// Where the objects live.
    pub namespace: String,
    /// Where the slots live.
    pub slot_namespace: String,
    /// Which namespaces its operators serve; none: all.
    pub serves: Option<String>,
    pub sim: Simulator,
    kubeconfig: PathBuf,
    /// An operator was started here before.
    started: AtomicBool,
}

/// A simulation with these instances (YAML list items) and short times.
pub fn simulation(instances: &str) -> String {
    slow_simulation("1s", instances)
}

/// The same, where a change takes this long.
pub fn slow_simulation(processing_time: &str, instances: &str) -> String {
    format!(
        "processingTime: {processing_time}\ncredentials:\n  - accessKeyId: {KEY_ID}\n    accessKeyPassword: \
         {KEY_PASSWORD}\n  - token: sim-token-0001\ninstances:\n{instances}"
    )
}

/// One POSTPAID instance `vm-1` of type c.1c2g.
pub const ONE_POSTPAID: &str = "  - { id: vm-1, type: c.1c2g, chargeType: POSTPAID }\n";
/// One PREPAID instance `vm-1` of type c.1c2g.
pub const ONE_PREPAID: &str =
    "  - { id: vm-1, type: c.1c2g, chargeType: PREPAID, expiresIn: 20d, autoRenew: true }\n";

impl Stage {
    pub async fn given(instances: &str) -> Self {
        Self::with(instances, &Rules::of_deploy(), &[]).await
    }

    /// With these rules instead of the whole RBAC, and these arguments for the simulator.
    pub async fn with(instances: &str, rules: &Rules, sim_arguments: &[&str]) -> Self {
        Self::of_world(&simulation(instances), rules, sim_arguments).await
    }

    /// With a whole simulation file.
    pub async fn of_world(world: &str, rules: &Rules, sim_arguments: &[&str]) -> Self {
        let plane = ControlPlane::shared();
        apply_crd(plane);
        let namespace = grant_in_new_namespace(plane, rules).await;
        Self::on(plane, &namespace, world, sim_arguments).await
    }

    /// On a control plane that serves the CRD, with the ServiceAccount vm-operator of this
    /// namespace.
    pub async fn on(
        plane: &'static ControlPlane,
        slot_namespace: &str,
        world: &str,
        sim_arguments: &[&str],
    ) -> Self {
        let namespace = format!("t-{}", &random_hex()[..8]);
        create_namespace(&plane.client().await, &namespace).await;
        let serves = Some(namespace.clone());
        Self::within(plane, slot_namespace, (namespace, serves), world, sim_arguments).await
    }

    /// The same, with objects in this namespace, which is there, and operators that serve these.
    pub async fn within(
        plane: &'static ControlPlane,
        slot_namespace: &str,
        (namespace, serves): (String, Option<String>),
        world: &str,
        sim_arguments: &[&str],
    ) -> Self {
        let client = plane.client().await;
        let id = &random_hex()[..8];
        let token = plane.service_account_token(slot_namespace, "vm-operator").await;
        let kubeconfig = plane.kubeconfig_for(id, &token);
        let sim = Simulator::start(world, sim_arguments).await;
        let slot_namespace = slot_namespace.to_owned();
        let started = AtomicBool::default();
        let stage =
            Self { plane, client, namespace, slot_namespace, serves, sim, kubeconfig, started };
        stage.credentials("zenlayer-credentials").await;
        stage
    }

    /// Creates, or restores, a Secret with the simulator's access key.
    pub async fn credentials(&self, name: &str) {
        self.secret(name, json!({ "accessKeyId": KEY_ID, "accessKeyPassword": KEY_PASSWORD }))
            .await;
    }

    /// Creates, or replaces, a Secret of the type that is made for the operator.
    pub async fn secret(&self, name: &str, data: Value) {
        self.secret_of_type(name, Some(SECRET_TYPE), data).await;
    }

    /// The same, of any type; of none, as most people create one.
    pub async fn secret_of_type(&self, name: &str, type_: Option<&str>, data: Value) {
        for (key, value) in data.as_object().unwrap() {
            records::secret(&format!("{key} of Secret {name}"), value.as_str().unwrap());
        }
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {
                "name": name, "namespace": self.namespace,
                // Without it the API server takes no Secret with the token of an account.
                "annotations": { "kubernetes.io/service-account.name": "default" },
            },
            "type": type_,
            "stringData": data,
        });
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut secret: Secret = serde_json::from_value(secret).unwrap();
        match api.get_opt(name).await.unwrap() {
            // As a rotation does it: it is there all the time.
            Some(before) if before.type_.as_deref() == Some(type_.unwrap_or("Opaque")) => {
                secret.metadata.resource_version = before.metadata.resource_version;
                api.replace(name, &PostParams::default(), &secret).await.unwrap();
            }
            // Kubernetes changes no type.
            Some(_) => {
                api.delete(name, &Default::default()).await.unwrap();
                create(&api, &secret).await;
            }
            None => create(&api, &secret).await,
        }
    }

    /// Starts an operator on this stage, with pauses of 1 s and orders without delay, unless the
    /// arguments say otherwise.
    pub fn operator(&self, arguments: &[&str]) -> Operator {
        self.start(quick(arguments), false)
    }

    /// The same, with a proxy between it and its servers: the test holds what it writes and calls.
    /// Unless the arguments say otherwise, it waits for an answer as long as that is held.
    pub fn operator_on_a_wire(&self, arguments: &[&str]) -> Operator {
        self.start(with_flag(quick(arguments), ["--testing-answer-limit", "1h"]), true)
    }

    /// With the pauses of production, unless the arguments say otherwise.
    pub fn operator_at_its_own_pace(&self, arguments: &[&str]) -> Operator {
        self.start(arguments.iter().map(ToString::to_string).collect(), false)
    }

    /// One of several that stand for election, with a wire. The leases are those of the arguments.
    pub fn replica(&self, arguments: &[&str]) -> Operator {
        self.launch(with_flag(quick(arguments), ["--testing-answer-limit", "1h"]), true)
    }

    /// The operator's way to the API server.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// One after another that is gone, or frozen: what is left of its lease is not waited for.
    fn start(&self, arguments: Vec<String>, wired: bool) -> Operator {
        if self.started.swap(true, Ordering::Relaxed) {
            let (label, value) = LEADERS;
            let select = format!("{label}={value}");
            let delete = ["delete", "leases", "--namespace", &self.slot_namespace, "-l", &select];
            self.plane.kubectl_ok(&delete);
        }
        self.launch(arguments, wired)
    }

    fn launch(&self, arguments: Vec<String>, wired: bool) -> Operator {
        Operator::start(&OperatorOptions {
            kubeconfig: &self.kubeconfig,
            endpoint: &self.sim.endpoint(),
            slot_namespace: &self.slot_namespace,
            watch_namespace: self.serves.as_deref(),
            arguments,
            wired,
        })
    }

    /// Runs kubectl as the administrator in the namespace of the objects; it must succeed.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.plane.kubectl_ok(&[&["--namespace", &self.namespace], arguments].concat())
    }

    /// Reason and note of each event, oldest first.
    pub async fn events(&self) -> Vec<(String, String)> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut events = api.list(&Default::default()).await.unwrap().items;
        events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
        let told =
            |event: Event| (event.reason.unwrap_or_default(), event.note.unwrap_or_default());
        events.into_iter().map(told).collect()
    }

    /// The slots of this stage's operators.
    pub fn slots(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &self.slot_namespace)
    }

    pub fn objects(&self) -> Api<VmInstance> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub async fn create(&self, name: &str, spec: Value) -> VmInstance {
        let object = json!({
            "apiVersion": "vm.zenlayer.com/v1alpha1", "kind": "VmInstance",
            "metadata": { "name": name, "namespace": self.namespace },
            "spec": spec,
        });
        let object: VmInstance = serde_json::from_value(object).unwrap();
        self.objects().create(&PostParams::default(), &object).await.unwrap()
    }

    /// Declares `vm-1` of this type by an object of the same name.
    pub async fn declare(&self, type_id: &str) -> VmInstance {
        self.create("vm-1", json!({ "instanceId": "vm-1", "instanceTypeId": type_id })).await
    }

    pub async fn patch(&self, name: &str, patch: Value) -> VmInstance {
        let params = PatchParams::default();
        self.objects().patch(name, &params, &Patch::Merge(patch)).await.unwrap()
    }

    pub async fn get(&self, name: &str) -> VmInstance {
        self.objects().get(name).await.unwrap()
    }

    /// Waits until the object's status fits its generation and this test.
    pub async fn until(
        &self,
        operator: &Operator,
        name: &str,
        what: &str,
        test: impl Fn(&VmInstance) -> bool,
    ) -> VmInstance {
        eventually(&format!("{name} {what}"), LIMIT, async || {
            let object = self.objects().get(name).await.map_err(|error| error.to_string())?;
            let status = object.status.clone().unwrap_or_default();
            if status.observed_generation == object.metadata.generation && test(&object) {
                return Ok(object);
            }
            let shown = serde_json::to_string_pretty(&status).unwrap();
            Err(format!("{shown}\n{}", operator.process.tail()))
        })
        .await
    }

    pub async fn until_phase(&self, operator: &Operator, name: &str, phase: Phase) -> VmInstance {
        self.until(operator, name, &format!("is {phase:?}"), |object| {
            object.status.as_ref().is_some_and(|status| status.phase == Some(phase))
        })
        .await
    }
}

/// These arguments, with short pauses and no delay of an order unless they say otherwise.
fn quick(arguments: &[&str]) -> Vec<String> {
    let all = arguments.iter().map(ToString::to_string).collect();
    with_flag(with_flag(all, ["--testing-poll", "1s"]), ["--order-delay", "0s"])
}

/// These arguments, and this flag where they don't have it.
fn with_flag(mut all: Vec<String>, flag: [&str; 2]) -> Vec<String> {
    if !all.iter().any(|one| one == flag[0]) {
        all.extend(flag.map(str::to_owned));
    }
    all
}

/// Status and reason of a condition, such as `True InSync`.
pub fn shown(object: &VmInstance, type_: &str) -> String {
    let conditions = object.status.as_ref().map(|status| status.conditions.as_slice());
    conditions
        .unwrap_or_default()
        .iter()
        .find(|one| one.type_ == type_)
        .map_or_else(|| "absent".to_owned(), |one| format!("{} {}", one.status, one.reason))
}

/// The message of Ready.
pub fn message(object: &VmInstance) -> String {
    let conditions = &object.status.as_ref().unwrap().conditions;
    conditions.iter().find(|one| one.type_ == "Ready").unwrap().message.clone()
}

/// Applies the CRD once for all tests.
pub fn apply_crd(plane: &ControlPlane) {
    static APPLIED: OnceLock<()> = OnceLock::new();
    APPLIED.get_or_init(|| {
        plane.kubectl_ok(&["apply", "-k", root().join("crds").to_str().unwrap()]);
        let wait = ["wait", "--for=condition=Established", "--timeout=300s"];
        plane.kubectl_ok(&[&wait[..], &["crd/vminstances.vm.zenlayer.com"]].concat());
    });
}

async fn create_namespace(client: &Client, name: &str) {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..Default::default() };
    create(&Api::all(client.clone()), &Namespace { metadata, ..Default::default() }).await;
}

async fn create<K>(api: &Api<K>, object: &K)
where
    K: Clone + std::fmt::Debug + Serialize + DeserializeOwned + kube::Resource,
{
    api.create(&PostParams::default(), object).await.unwrap();
}

/// A namespace for an operator, with its ServiceAccount and these rules.
pub async fn grant_in_new_namespace(plane: &ControlPlane, rules: &Rules) -> String {
    let client = plane.client().await;
    // The audit log tells who was given less on purpose.
    let whole = *rules == Rules::of_deploy();
    let namespace = format!("{}-{}", if whole { "op" } else { "less" }, &random_hex()[..8]);
    create_namespace(&client, &namespace).await;
    grant(&client, &namespace, rules).await;
    namespace
}

/// The ServiceAccount of `deploy/` with its bindings, under names of this stage.
async fn grant(client: &Client, namespace: &str, rules: &Rules) {
    let named = |name: &str| ObjectMeta { name: Some(name.to_owned()), ..Default::default() };
    let slots = "vm-operator-slots";
    let subject = json!([
        { "kind": "ServiceAccount", "name": "vm-operator", "namespace": namespace }
    ]);
    let binding = |kind: &str, name: &str| {
        json!({
            "metadata": { "name": name },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name },
            "subjects": subject,
        })
    };
    let account = ServiceAccount { metadata: named("vm-operator"), ..Default::default() };
    create(&Api::namespaced(client.clone(), namespace), &account).await;
    let cluster = ClusterRole {
        metadata: named(namespace),
        rules: Some(rules.cluster.clone()),
        ..Default::default()
    };
    create(&Api::all(client.clone()), &cluster).await;
    let bound: ClusterRoleBinding =
        serde_json::from_value(binding("ClusterRole", namespace)).unwrap();
    create(&Api::all(client.clone()), &bound).await;
    let role = Role { metadata: named(slots), rules: Some(rules.slots.clone()) };
    create(&Api::namespaced(client.clone(), namespace), &role).await;
    let bound: RoleBinding = serde_json::from_value(binding("Role", slots)).unwrap();
    create(&Api::namespaced(client.clone(), namespace), &bound).await;
}
