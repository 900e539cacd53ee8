//! Pods that work on copies of a service's data: nothing leads to them, and they are removed with what they worked on.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::super::site::{Site, Store};
use crate::{
    adapters::kube::{Cluster, ExecRequest, KubeError, NotRun, Ran},
    domain::{Environment, ExitClass, Failure, ObservedPod, PodPhase, ServiceName, SnapshotId},
    engine::log_lines,
    plan::{INIT_IN_CONTAINER, VOLUMES_IN_NODE, diagnose},
};

/// The label of all such pods.
const LABEL: &str = "devenv.sanitize";
/// The name of their only container.
const CONTAINER: &str = "database";
/// Volumes of the chart that belong to the init.
const OF_INIT: [&str; 2] = ["devenv-init", "devenv-run"];
/// How long a database may take to be there; one that was stopped hard has much to do.
const READY_WITHIN: Duration = Duration::from_mins(5);
/// How long it may take to answer whether it is there.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How often it is asked.
const ASK_EVERY: Duration = Duration::from_millis(300);
/// How long it may take to stop, in seconds.
const STOP_SECONDS: u32 = 30;
/// How long a node may take to have nothing left of one.
const GONE_WITHIN: Duration = Duration::from_mins(2);
/// The longest that one lives whose devenv was killed, in seconds beyond what the command has.
const ALONE_SECONDS: u64 = 60;

/// A pod that works on copies of a service's data.
pub(super) struct Scratch<'a> {
    cluster: &'a Cluster,
    service: &'a ServiceName,
    pod: String,
}

impl<'a> Scratch<'a> {
    /// Starts one on the data of an id, and waits until its database answers. It lives for `at_most`.
    pub(super) async fn start(
        site: &'a Site<'_>,
        service: &'a ServiceName,
        id: &SnapshotId,
        at_most: Duration,
    ) -> Result<Self, Failure> {
        let cluster = site.cluster()?;
        let found = cluster.pod_specification(service).await;
        let found = found.map_err(|error| error.failure())?;
        let template = found.ok_or_else(|| not_deployed(service))?;
        let environment = &site.project.environment;
        let pod = specification(environment, service, template, id, at_most);
        let pod = cluster.create_pod(pod).await;
        let scratch = Self {
            cluster,
            service,
            pod: pod.map_err(|error| error.failure())?,
        };
        scratch.ready().await?;
        Ok(scratch)
    }

    /// Waits until the database answers on the port on which it serves others: while it is made it does not.
    async fn ready(&self) -> Result<(), Failure> {
        let begun = Instant::now();
        let look = |pod: Option<&ObservedPod>| match pod {
            None => Some(Err(())),
            Some(pod) => match pod.phase {
                PodPhase::Running => Some(Ok(())),
                PodPhase::Succeeded | PodPhase::Failed => Some(Err(())),
                PodPhase::Pending | PodPhase::Unknown => None,
            },
        };
        let waited = self
            .cluster
            .wait_pod(&self.pod, self.service, READY_WITHIN, look);
        if !matches!(waited.await, Ok(Ok(()))) {
            return Err(self.not_started().await);
        }
        let asking = ["pg_isready", "--quiet", "--host=127.0.0.1"].map(str::to_owned);
        while begun.elapsed() < READY_WITHIN {
            match self.run(asking.to_vec(), None, ANSWER_WITHIN).await {
                Ok(ran) if ran.code == 0 => return Ok(()),
                Err(NotRun::Failed(KubeError::ExecNotStarted { .. })) => {
                    return Err(match self.look().await {
                        Some(pod) if pod.phase == PodPhase::Running => not_postgres(self.service),
                        _ => self.not_started().await,
                    });
                }
                Ok(_) | Err(_) => {}
            }
            if self
                .look()
                .await
                .is_none_or(|pod| pod.phase != PodPhase::Running)
            {
                break;
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        Err(self.not_started().await)
    }

    async fn look(&self) -> Option<ObservedPod> {
        let look = |pod: Option<&ObservedPod>| Some(pod.cloned());
        let seen = self
            .cluster
            .wait_pod(&self.pod, self.service, ANSWER_WITHIN, look);
        seen.await.ok().flatten()
    }

    async fn not_started(&self) -> Failure {
        let what = format!(
            "a copy of {} with the data to be sanitised did not start",
            self.service
        );
        let failure = Failure::new("sanitize.not-started", ExitClass::NotReady, what)
            .of(self.service)
            .help(format!(
                "see whether the service itself does: devenv status {}",
                self.service
            ))
            .help("allow more time: --timeout 30m");
        let Some(pod) = self.look().await else {
            return failure.because("its pod was deleted");
        };
        let warnings = self.cluster.observe().await.map(|found| found.warnings);
        let trouble = diagnose(self.service, &[], &[pod], &warnings.unwrap_or_default());
        let Some(trouble) = trouble else {
            return failure;
        };
        let lines = log_lines(self.cluster, &trouble).await;
        failure
            .because(trouble.message.clone())
            .with_evidence("the end of what it said", lines)
    }

    /// Runs a command in it to its end.
    pub(super) async fn run(
        &self,
        command: Vec<String>,
        input: Option<Vec<u8>>,
        within: Duration,
    ) -> Result<Ran, NotRun> {
        let request = self.request(command);
        self.cluster.run(&request, input, within, |_| {}).await
    }

    /// A command in it.
    pub(super) fn request(&self, command: Vec<String>) -> ExecRequest {
        ExecRequest {
            pod: self.pod.clone(),
            container: CONTAINER.to_owned(),
            command,
            tty: false,
        }
    }

    /// The cluster that it is in.
    pub(super) const fn cluster(&self) -> &'a Cluster {
        self.cluster
    }

    /// Stops it in order, and waits until nothing of it runs.
    pub(super) async fn stop(self) -> Result<(), Failure> {
        remove(self.cluster, self.service, &self.pod, STOP_SECONDS).await
    }
}

/// Removes every such pod; its data can be removed afterwards.
pub(in super::super) async fn remove_pods(site: &Site<'_>) -> Result<(), Failure> {
    let cluster = site.cluster()?;
    let pods = cluster.pods_labelled(LABEL).await;
    let pods = pods.map_err(|error| error.failure())?;
    // What they are of counts for nobody.
    let Some(anybody) = site.project.environment.services.keys().next() else {
        return Ok(());
    };
    for pod in pods {
        // What it worked on is not needed any more.
        remove(cluster, anybody, &pod, 1).await?;
    }
    Ok(())
}

async fn remove(
    cluster: &Cluster,
    service: &ServiceName,
    pod: &str,
    seconds: u32,
) -> Result<(), Failure> {
    let deleted = cluster.delete_pod_within(pod, seconds).await;
    deleted.map_err(|error| error.failure())?;
    let is_gone = |pod: Option<&ObservedPod>| pod.is_none().then_some(());
    let gone = cluster.wait_pod(pod, service, GONE_WITHIN, is_gone).await;
    gone.map_err(|error| error.failure())
}

/// Where the data of an id is, as a node sees it.
fn directory(id: &SnapshotId) -> PathBuf {
    Path::new(VOLUMES_IN_NODE).join(Store::Exchange.of(id))
}

/// A pod like those of a service that `template` says how to make, with the volumes of an id.
fn specification(
    environment: &Environment,
    service: &ServiceName,
    mut template: Value,
    id: &SnapshotId,
    at_most: Duration,
) -> Value {
    let own = Path::new(VOLUMES_IN_NODE).join(service.as_str());
    let copies = directory(id).join(service.as_str());
    let is_of_init = |named: &Value| OF_INIT.iter().any(|name| named["name"] == *name);
    if let Some(volumes) = template["volumes"].as_array_mut() {
        volumes.retain(|volume| !is_of_init(volume));
        for volume in volumes {
            let path = volume["hostPath"]["path"].as_str().map(PathBuf::from);
            if let Some(name) = path
                .as_deref()
                .and_then(|path| path.strip_prefix(&own).ok())
            {
                volume["hostPath"] = json!({ "path": copies.join(name), "type": "Directory" });
            }
        }
    }
    let mut container = template["containers"][0].take();
    if let Some(mounts) = container["volumeMounts"].as_array_mut() {
        mounts.retain(|mount| !is_of_init(mount));
    }
    if let Some(fields) = container.as_object_mut() {
        for field in [
            "ports",
            "livenessProbe",
            "readinessProbe",
            "startupProbe",
            "lifecycle",
        ] {
            fields.remove(field);
        }
    }
    without_init(&mut container);
    container["name"] = json!(CONTAINER);
    // The service itself has asked for it already.
    container["resources"]["requests"] = json!({ "cpu": "0", "memory": "0" });
    template["containers"] = json!([container]);
    template["restartPolicy"] = json!("Never");
    template["terminationGracePeriodSeconds"] = json!(STOP_SECONDS);
    template["activeDeadlineSeconds"] = json!(at_most.as_secs() + ALONE_SECONDS);
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": format!("sanitize-{service}-"),
            "labels": {
                "app.kubernetes.io/managed-by": "devenv",
                "devenv.project": environment.project,
                LABEL: id,
            },
        },
        "spec": template,
    })
}

/// Has a container run the service's own command where the init would run it.
fn without_init(container: &mut Value) {
    let Some(command) = container["command"].as_array() else {
        return;
    };
    let program = command.first().and_then(Value::as_str).unwrap_or_default();
    if !Path::new(program).starts_with(INIT_IN_CONTAINER) {
        return;
    }
    let own: Vec<Value> = command
        .iter()
        .skip_while(|word| **word != "--")
        .skip(1)
        .cloned()
        .collect();
    container["command"] = own.into();
}

fn not_deployed(service: &ServiceName) -> Failure {
    let what =
        format!("{service} is not deployed, so that it is not known how its database is started");
    Failure::new("sanitize.not-deployed", ExitClass::NotReady, what)
        .of(service)
        .help(format!("devenv up {service}"))
}

fn not_postgres(service: &ServiceName) -> Failure {
    let what = format!("the data of {service} cannot be sanitised");
    Failure::new("sanitize.not-postgres", ExitClass::Data, what)
        .because("its container has no `pg_isready`: only PostgreSQL databases can be sanitised")
        .of(service)
        .help("leave it out of the rules: its data is not written then")
        .help("or name it below `keep:`, where its data may leave the machine as it is")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::environment;

    fn pod(template: Value) -> Value {
        let (service, id) = ("postgres".parse().unwrap(), SnapshotId::new("x"));
        let within = Duration::from_mins(10);
        specification(&environment(&[]), &service, template, &id, within)
    }

    #[test]
    fn it_has_copies_of_the_volumes_and_nothing_that_leads_to_it() {
        let pod = pod(json!({
            "containers": [{
                "name": "postgres", "image": "p:1", "ports": [{ "containerPort": 5432 }],
                "readinessProbe": {}, "startupProbe": {}, "resources": { "limits": { "memory": "512Mi" } },
                "env": [{ "name": "PGDATA", "value": "/data/pg" }],
                "volumeMounts": [{ "name": "data", "mountPath": "/data" }],
            }],
            "volumes": [{ "name": "data", "hostPath": {
                "path": "/var/lib/devenv/volumes/postgres/data", "type": "DirectoryOrCreate",
            } }],
        }));
        let id = SnapshotId::new("x");
        let spec = &pod["spec"];
        assert_eq!(
            spec["volumes"][0]["hostPath"]["path"],
            format!("/var/lib/devenv/volumes/.exchange/{id}/postgres/data")
        );
        let container = &spec["containers"][0];
        assert_eq!(container["name"], "database");
        assert_eq!(container["env"][0]["value"], "/data/pg");
        assert_eq!(container["resources"]["limits"]["memory"], "512Mi");
        for field in ["ports", "readinessProbe", "startupProbe"] {
            assert!(container.get(field).is_none(), "{field}");
        }
        assert!(
            pod["metadata"]["labels"]
                .get("app.kubernetes.io/name")
                .is_none()
        );
        assert_eq!(spec["restartPolicy"], "Never");
    }

    #[test]
    fn the_init_of_a_live_service_does_not_run_it() {
        let pod = pod(json!({
            "containers": [{
                "command": ["/.devenv/bin/agent", "init", "--socket", "/s", "--", "postgres", "--", "-x"],
                "volumeMounts": [{ "name": "devenv-init" }, { "name": "devenv-run" }],
            }],
            "volumes": [{ "name": "devenv-init" }, { "name": "devenv-run" }, { "name": "other" }],
        }));
        let spec = &pod["spec"];
        assert_eq!(
            spec["containers"][0]["command"],
            json!(["postgres", "--", "-x"])
        );
        assert_eq!(spec["containers"][0]["volumeMounts"], json!([]));
        assert_eq!(spec["volumes"], json!([{ "name": "other" }]));
    }
}
