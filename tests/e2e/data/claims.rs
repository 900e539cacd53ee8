//! What a chart claims is kept with the environment's other volumes.

use super::{Stage, service};
use crate::program::{BASE, Project};

/// The service that is a chart, and its pod.
const STORE: &str = "store";
const SEED: &str = "seed";

/// A set of pods, each with a claim of its own, and a claim that they share. Nobody in it is root.
const TEMPLATES: &str = r"apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: shared }
spec: { accessModes: [ReadWriteMany], resources: { requests: { storage: 16Mi } } }
---
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: store }
spec:
  serviceName: store
  selector: { matchLabels: { app: store } }
  template:
    metadata: { labels: { app: store } }
    spec:
      terminationGracePeriodSeconds: 0
      securityContext: { runAsUser: 1000 }
      containers:
        - name: store
          image: {{ .Values.image | quote }}
          command: [sleep, infinity]
          volumeMounts:
            - { name: data, mountPath: /data }
            - { name: shared, mountPath: /shared }
      volumes:
        - { name: shared, persistentVolumeClaim: { claimName: shared } }
  volumeClaimTemplates:
    - metadata: { name: data }
      spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 16Mi } } }
";

fn without_the_chart() -> String {
    format!("services:\n{}", service(SEED, "build: ticks"))
}

/// An environment of a chart, and of a service whose image the chart uses.
fn up() -> (Stage, String) {
    let project = Project::new("claims", &without_the_chart());
    let start = "WORKDIR /data\nCMD [\"perl\", \"/ticks.pl\"]\n";
    let dockerfile = format!("FROM {BASE}\nCOPY ticks.pl /\n{start}");
    project.write("ticks/Dockerfile", &dockerfile);
    project.write("ticks/ticks.pl", super::TICKS);
    let chart = "apiVersion: v2\nname: store\nversion: 0.1.0\n";
    project.write("chart/Chart.yaml", chart);
    project.write("chart/templates/store.yaml", TEMPLATES);
    project.devenv(&["up"]).assert_code(0);
    let stage = Stage { project };
    let image = stage.of_pod(SEED, "{.spec.containers[0].image}");
    let chart =
        format!("  {STORE}: {{ chart: {{ path: chart, values: {{ image: {image:?} }} }} }}\n");
    let with_the_chart = format!("{}{chart}", without_the_chart());
    stage.project.manifest(&with_the_chart);
    stage.project.devenv(&["up"]).assert_code(0);
    (stage, with_the_chart)
}

#[test]
fn what_a_chart_claims_outlives_its_cluster_and_comes_back_with_a_snapshot() {
    let (stage, manifest) = up();
    assert_eq!(stage.volume_of("data-store-0"), "devenv-data-store-0");
    stage.keep("first");
    its_data_is_in_snapshots(&stage);
    more_pods_have_theirs_too(&stage);
    what_is_claimed_anew_is_what_was_there(&stage, &manifest);
    stage
        .project
        .devenv(&["down"])
        .assert_code(0)
        .assert_says(&["kept data of seed, store"]);
    stage.project.devenv(&["up"]).assert_code(0);
    assert_eq!(stage.kept(), "third third");
    let reset = ["data", "reset", "--no-backup", "--yes"];
    stage.project.devenv(&reset).assert_code(0);
    assert_eq!(stage.kept(), "");
    stage.keep("last");
    let down = ["down", "--volumes", "--yes"];
    let down = stage.project.devenv(&down).assert_code(0);
    down.assert_says(&["data of seed, store"]);
    stage.project.end();
}

fn its_data_is_in_snapshots(stage: &Stage) {
    stage.snapshot(&["save", "one"]).assert_code(0);
    let shown = stage.snapshot(&["show", "one"]).assert_code(0);
    shown.assert_says(&["seed/data", "store/data-store-0", "store/shared"]);
    stage.keep("second");
    for words in [
        &["export", "one", "one.tar.zst"][..],
        &["remove", "one"],
        &["import", "one.tar.zst"],
        &["restore", "one", "--yes"],
    ] {
        stage.snapshot(words).assert_code(0);
    }
    assert_eq!(stage.kept(), "first first");
}

fn more_pods_have_theirs_too(stage: &Stage) {
    for pods in ["store=2", "store=1"] {
        stage.project.devenv(&["scale", pods]).assert_code(0);
    }
    assert_eq!(stage.volume_of("data-store-1"), "devenv-data-store-1");
}

/// A claim of its own goes with the chart, and the next one of its name has the data.
fn what_is_claimed_anew_is_what_was_there(stage: &Stage, manifest: &str) {
    stage.keep("third");
    for manifest in [&without_the_chart(), manifest] {
        stage.project.manifest(manifest);
        stage.project.devenv(&["up"]).assert_code(0);
    }
    assert_eq!(stage.volume_of("shared"), "devenv-shared");
    assert_eq!(stage.kept(), "third third");
}

impl Stage {
    /// The volume that a claim is bound to.
    fn volume_of(&self, claim: &str) -> String {
        let words = ["get", "pvc", claim, "-o", "jsonpath={.spec.volumeName}"];
        self.project.kubectl(&words).assert_code(0).stdout
    }

    /// Writes a text where the chart keeps its data.
    fn keep(&self, text: &str) {
        self.inside(
            STORE,
            &format!("echo {text} | tee /data/kept > /shared/kept; sync"),
        );
    }

    /// What is there of it.
    fn kept(&self) -> String {
        let said = self.inside(STORE, "cat /data/kept /shared/kept 2>/dev/null || true");
        said.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}
