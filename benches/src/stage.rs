//! What a program is measured on: a control plane and a simulator of its own, machines, objects.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use harness::{
    ControlPlane, Simulator, eventually,
    simulator::{KEY_ID, KEY_PASSWORD},
};
use jiff::Timestamp;
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::{Namespace, Secret, ServiceAccount},
    rbac::v1::ClusterRoleBinding,
};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    audit::Audit,
    program::{NAMESPACE, Program, Wanted},
    provider::{Looked, Tail},
    say,
    subject::{Subject, between},
};

/// The ServiceAccount of the measured program.
const ACCOUNT: &str = "measured";
/// Objects that are created at once.
const CREATES: usize = 48;
/// The type that machines have at the start.
pub const FIRST: &str = "c.1c2g";
/// The type that they are changed to; of a higher price.
pub const SECOND: &str = "c.2c4g";
/// The Secret that objects name where nothing else is said.
pub const SECRET: &str = "zenlayer-credentials";
/// Where the objects are that a bench is about.
pub const FLEET: &str = "fleet";

/// What the simulator starts from.
pub struct World {
    /// Machines, all running and of the first type.
    pub machines: Vec<Machine>,
    /// Access keys beside the harness's own.
    pub keys: Vec<String>,
    /// How long a change takes.
    pub processing: Duration,
}

pub struct Machine {
    pub id: String,
    pub prepaid: bool,
}

impl World {
    /// So many machines that are billed by the hour, `vm-00000` and so on.
    pub fn of(count: usize, processing: Duration) -> Self {
        let machines = names("vm", count).map(|id| Machine { id, prepaid: false }).collect();
        Self { machines, keys: Vec::new(), processing }
    }

    fn yaml(&self) -> String {
        let processing = self.processing.as_secs_f64();
        let mut text = format!("processingTime: {processing}s\ncredentials:\n");
        for key in std::iter::once(KEY_ID).chain(self.keys.iter().map(String::as_str)) {
            text += &format!("  - {{ accessKeyId: {key}, accessKeyPassword: {KEY_PASSWORD} }}\n");
        }
        text += "instances:\n";
        for Machine { id, prepaid } in &self.machines {
            let charge =
                if *prepaid { "PREPAID, expiresIn: 20d, autoRenew: true" } else { "POSTPAID" };
            text += &format!("  - {{ id: {id}, type: {FIRST}, chargeType: {charge} }}\n");
        }
        text
    }
}

/// Names that are all of one length.
pub fn names(prefix: &str, count: usize) -> impl Iterator<Item = String> {
    (0..count).map(move |index| format!("{prefix}-{index:05}"))
}

/// A further access key of a simulation.
pub fn key(index: usize) -> String {
    format!("AKIDSIM{index:013}")
}

pub struct Stage {
    pub plane: ControlPlane,
    pub client: Client,
    pub sim: Simulator,
    kubeconfig: PathBuf,
}

impl Stage {
    pub async fn start(program: &Program, world: &World) -> Result<Self> {
        say(&format!("control plane, simulator with {} machines", world.machines.len()));
        // The default rotates the log away under the reader.
        let plane = ControlPlane::start(&["--audit-log-maxsize=100000"]);
        let plane = plane.map_err(anyhow::Error::msg)?;
        let client = plane.client().await;
        let (done, output) =
            plane.kubectl_with(&["apply", "--server-side", "-f-"], &program.crd()?);
        ensure!(done, "kubectl apply of the CRD: {output}");
        let established = ["wait", "--for=condition=Established", "--timeout=60s"];
        plane.kubectl_ok(&[&established[..], &["crd/vminstances.vm.zenlayer.com"]].concat());
        let sim = Simulator::start(&world.yaml(), &["--log-filter", "warn"]).await;
        let kubeconfig = PathBuf::new();
        let mut stage = Self { plane, client, sim, kubeconfig };
        stage.admit().await?;
        stage.namespace(FLEET).await?;
        stage.secret(FLEET, SECRET, KEY_ID).await?;
        Ok(stage)
    }

    /// The measured program may do anything: what it needs differs from version to version, and the
    /// API server spends nothing worth measuring on the question.
    async fn admit(&mut self) -> Result<()> {
        self.namespace(NAMESPACE).await?;
        let metadata = json!({ "name": ACCOUNT, "namespace": NAMESPACE });
        let account = json!({ "metadata": metadata });
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), NAMESPACE);
        accounts.create(&Default::default(), &from(account)?).await?;
        let binding = json!({
            "metadata": { "name": ACCOUNT },
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin",
            },
            "subjects": [{ "kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE }],
        });
        let bindings: Api<ClusterRoleBinding> = Api::all(self.client.clone());
        bindings.create(&Default::default(), &from(binding)?).await?;
        let spec = TokenRequestSpec { expiration_seconds: Some(86_400), ..Default::default() };
        let request = TokenRequest { spec: Some(spec), ..Default::default() };
        let answer = accounts.create_token_request(ACCOUNT, &Default::default(), &request).await?;
        let token = answer.status.and_then(|status| status.token);
        let token = token.context("the API server gave no token")?;
        self.kubeconfig = self.plane.kubeconfig_for(ACCOUNT, &token);
        Ok(())
    }

    pub async fn namespace(&self, name: &str) -> Result<()> {
        let namespace = from(json!({ "metadata": { "name": name } }))?;
        Api::<Namespace>::all(self.client.clone()).create(&Default::default(), &namespace).await?;
        Ok(())
    }

    /// A Secret with an access key of the simulator.
    pub async fn secret(&self, namespace: &str, name: &str, key: &str) -> Result<()> {
        let secret = from(json!({
            "metadata": { "name": name, "namespace": namespace },
            "stringData": { "accessKeyId": key, "accessKeyPassword": KEY_PASSWORD },
        }))?;
        let api = Api::<Secret>::namespaced(self.client.clone(), namespace);
        api.create(&Default::default(), &secret).await?;
        Ok(())
    }

    pub fn objects(&self, namespace: &str) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("vm.zenlayer.com", "v1alpha1", "VmInstance");
        let resource = ApiResource::from_gvk_with_plural(&kind, "vminstances");
        Api::namespaced_with(self.client.clone(), namespace, &resource)
    }

    /// Declares these machines as of the first type, each by an object of its own name.
    pub async fn declare(
        &self,
        namespace: &str,
        names: impl IntoIterator<Item = String>,
        secret: &str,
    ) -> Result<usize> {
        let (api, started) = (self.objects(namespace), Instant::now());
        let create = async |name: String| {
            let object = from(json!({
                "apiVersion": "vm.zenlayer.com/v1alpha1", "kind": "VmInstance",
                "metadata": { "name": name, "namespace": namespace },
                "spec": {
                    "instanceId": name, "instanceTypeId": FIRST,
                    "credentials": { "secretRef": { "name": secret } },
                },
            }))?;
            api.create(&Default::default(), &object).await?;
            anyhow::Ok(())
        };
        let creates = stream::iter(names).map(create).buffer_unordered(CREATES);
        let count = creates.try_fold(0, async |count, ()| Ok(count + 1)).await?;
        say(&format!("{count} objects created in {:.1} s", started.elapsed().as_secs_f64()));
        Ok(count)
    }

    /// Starts the measured program.
    pub fn subject(&self, program: &Program, wanted: &Wanted) -> Result<Subject> {
        let log = self.kubeconfig.with_file_name("measured.log");
        Subject::start(program, wanted, &self.kubeconfig, &self.sim.endpoint(), &log)
    }

    /// What the measured program asks of Kubernetes, from the start.
    pub fn audit(&self) -> Audit {
        let user = format!("system:serviceaccount:{NAMESPACE}:{ACCOUNT}");
        Audit::of(&self.plane.audit_log_file(), &user)
    }

    /// Declares another type, and gives the moments before and after.
    pub async fn edit(
        &self,
        namespace: &str,
        name: &str,
        to: &str,
    ) -> Result<(Timestamp, Timestamp)> {
        let patch = Patch::Merge(json!({ "spec": { "instanceTypeId": to } }));
        let before = Timestamp::now();
        self.objects(namespace).patch(name, &PatchParams::default(), &patch).await?;
        Ok((before, Timestamp::now()))
    }

    /// How many objects of a namespace are not in sync with their newest declaration.
    pub async fn out_of_sync(&self, namespace: &str) -> Result<usize> {
        let url = format!("/apis/vm.zenlayer.com/v1alpha1/namespaces/{namespace}/vminstances");
        let request = kube::api::Request::new(url).list(&ListParams::default().match_any());
        let list: Listed = self.client.request(request?).await?;
        Ok(list.items.iter().filter(|one| !one.in_sync()).count())
    }

    /// Waits until all objects of a namespace are in sync.
    pub async fn in_sync(&self, namespace: &str, limit: Duration) {
        eventually(&format!("{namespace} in sync"), limit, async || {
            let started = Instant::now();
            let left = self.out_of_sync(namespace).await.map_err(|error| error.to_string())?;
            if left == 0 {
                return Ok(());
            }
            // The question costs as much as it takes: it is asked for a tenth of the time.
            tokio::time::sleep(started.elapsed() * 9).await;
            Err(format!("{left} objects are not"))
        })
        .await;
    }

    /// Waits until each of these machines was looked at, and gives the time from the start of the
    /// program to the last first look.
    pub async fn all_looked_at(
        &self,
        subject: &mut Subject,
        tail: &mut Tail,
        names: impl IntoIterator<Item = String>,
        limit: Duration,
    ) -> Result<Duration> {
        let mut looked = Looked::new(names);
        let deadline = Instant::now() + limit;
        while looked.missing() > 0 {
            looked.learn(&tail.next(&self.sim).await?);
            if subject.process.ended().is_some() || Instant::now() > deadline {
                bail!(
                    "{} machines were not looked at; {}",
                    looked.missing(),
                    subject.process.tail()
                );
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(looked.last.map_or(Duration::ZERO, |last| between(subject.started, last)))
    }
}

/// What is read of objects, however many they are.
#[derive(Deserialize)]
struct Listed {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    metadata: Metadata,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
struct Metadata {
    generation: i64,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: String,
    observed_generation: i64,
}

impl Item {
    fn in_sync(&self) -> bool {
        self.status.phase == "InSync" && self.status.observed_generation == self.metadata.generation
    }
}

fn from<T: DeserializeOwned>(value: Value) -> Result<T> {
    Ok(serde_json::from_value(value)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_in_sync_when_its_status_speaks_of_its_newest_generation() {
        let item = |status: Value| -> Item {
            from(json!({ "metadata": { "generation": 2 }, "status": status })).unwrap()
        };
        assert!(item(json!({ "phase": "InSync", "observedGeneration": 2 })).in_sync());
        assert!(!item(json!({ "phase": "InSync", "observedGeneration": 1 })).in_sync());
        assert!(!item(json!({ "phase": "Changing", "observedGeneration": 2 })).in_sync());
        assert!(!item(json!({})).in_sync());
    }
}
