//! A stage for one test: namespaces, the RBAC of `deploy/`, a credential, a simulator.

use std::{path::PathBuf, sync::OnceLock, time::Duration};

use k8s_openapi::api::{
    core::v1::{Namespace, Secret, ServiceAccount},
    rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding},
};
use kube::{
    Api, Client,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use zenlayer_vm_operator::api::{Phase, VmInstance};

use crate::harness::{
    ControlPlane, Operator, Simulator,
    control_plane::random_hex,
    eventually,
    operator::OperatorOptions,
    root,
    simulator::{KEY_ID, KEY_PASSWORD},
};

/// Long enough for anything here on a loaded machine; reached only by a failure.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The rules of `deploy/kustomize/rbac.yaml`.
#[derive(Clone)]
pub struct Rules {
    pub cluster: Vec<PolicyRule>,
    pub slots: Vec<PolicyRule>,
}

impl Rules {
    pub fn of_deploy() -> Self {
        let text = std::fs::read_to_string(root().join("deploy/kustomize/rbac.yaml")).unwrap();
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        let rules = |kind: &str| {
            let found = documents.iter().find(|document| document["kind"] == kind).unwrap();
            serde_json::from_value(found["rules"].clone()).unwrap()
        };
        Self { cluster: rules("ClusterRole"), slots: rules("Role") }
    }
}

pub struct Stage {
    pub client: Client,
    /// Where the objects live.
    pub namespace: String,
    /// Where the slots live.
    pub operator_namespace: String,
    pub sim: Simulator,
    kubeconfig: PathBuf,
}

/// A simulation with these instances (YAML list items) and short times.
pub fn simulation(instances: &str) -> String {
    format!(
        "processingTime: 1s\ncredentials:\n  - accessKeyId: {KEY_ID}\n    accessKeyPassword: \
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
        let plane = ControlPlane::shared();
        apply_crd(plane);
        let client = plane.client().await;
        let id = &random_hex()[..8];
        let (namespace, operator_namespace) = (format!("t-{id}"), format!("op-{id}"));
        for name in [&namespace, &operator_namespace] {
            let metadata = ObjectMeta { name: Some(name.clone()), ..Default::default() };
            create(&Api::all(client.clone()), &Namespace { metadata, ..Default::default() }).await;
        }
        grant(&client, &operator_namespace, rules).await;
        let token = plane.service_account_token(&operator_namespace, "vm-operator").await;
        let kubeconfig = plane.kubeconfig_for(id, &token);
        let sim = Simulator::start(&simulation(instances), sim_arguments).await;
        let stage = Self { client, namespace, operator_namespace, sim, kubeconfig };
        stage.credentials("zenlayer-credentials").await;
        stage
    }

    /// Creates, or restores, a Secret with the simulator's access key.
    pub async fn credentials(&self, name: &str) {
        self.secret(name, json!({ "accessKeyId": KEY_ID, "accessKeyPassword": KEY_PASSWORD }))
            .await;
    }

    pub async fn secret(&self, name: &str, data: Value) {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": name, "namespace": self.namespace },
            "stringData": data,
        });
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let _ = api.delete(name, &Default::default()).await;
        let secret: Secret = serde_json::from_value(secret).unwrap();
        create(&api, &secret).await;
    }

    /// Starts an operator on this stage, with short pauses.
    pub fn operator(&self, arguments: &[&str]) -> Operator {
        let mut all = vec!["--testing-poll".to_owned(), "1s".to_owned()];
        all.extend(arguments.iter().map(ToString::to_string));
        Operator::start(&OperatorOptions {
            kubeconfig: &self.kubeconfig,
            endpoint: &self.sim.endpoint(),
            operator_namespace: &self.operator_namespace,
            watch_namespace: Some(&self.namespace),
            arguments: all,
            gated: true,
        })
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
        let wait = ["wait", "--for=condition=Established", "--timeout=30s"];
        plane.kubectl_ok(&[&wait[..], &["crd/vminstances.vm.zenlayer.com"]].concat());
    });
}

async fn create<K>(api: &Api<K>, object: &K)
where
    K: Clone + std::fmt::Debug + Serialize + DeserializeOwned + kube::Resource,
{
    api.create(&PostParams::default(), object).await.unwrap();
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
