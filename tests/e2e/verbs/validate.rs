//! `devenv validate` beside a cluster that runs.

use std::collections::BTreeSet;

use devenv::adapters::files;
use serde_json::json;

use super::{names, valid};
use crate::program::Project;

/// What none of would come up.
const BAD_OBJECTS: &str = r"
apiVersion: batch/v1beta1
kind: CronJob
metadata: { name: old }
---
apiVersion: example.com/v1
kind: Widget
metadata: { name: strange }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: refused }
data: { count: 3 }
---
apiVersion: v1
kind: Service
metadata: { name: lonely }
spec: { selector: { app: nobody }, ports: [{ port: 80 }] }
---
apiVersion: v1
kind: Pod
metadata: { name: large }
spec:
  containers:
    - name: main
      image: nowhere.invalid/large:1
      envFrom: [{ secretRef: { name: nobody-makes-it } }]
      resources: { requests: { memory: 9000Gi } }
";

pub(super) fn what_would_not_come_up_is_found_before_it_is_made(project: &Project) {
    let validate = |code| {
        let all = ["validate", "--all-services", "-o", "json"];
        let document = valid(&project.devenv(&all).assert_code(code), "validate");
        let findings = document["findings"].as_array().unwrap().clone();
        let ids = findings
            .iter()
            .map(|it| it["id"].as_str().unwrap().to_owned());
        (ids.collect::<BTreeSet<_>>(), document)
    };
    let (found, good) = validate(0);
    assert!(found.is_empty(), "{good:#}");
    assert_eq!(names(&good["services"]).len(), 6);
    assert_eq!(good["manifest"]["profiles"], json!(["small"]));
    let bad = "charts/search/templates/bad.yaml";
    project.write(bad, BAD_OBJECTS);
    let (found, document) = validate(3);
    let expected = [
        "dangling",
        "image-not-asked",
        "no-pods",
        "refused",
        "removed-api",
        "too-large",
        "too-much",
        "unknown-kind",
    ];
    let expected = expected.map(|id| format!("validate.{id}"));
    assert_eq!(found, expected.into(), "{document:#}");
    // Other services are fine, whatever this one is made of.
    let others = ["validate", "web", "legacy"];
    project.devenv(&others).assert_code(0);
    let made = project.kubectl(&["get", "pod/large", "service/lonely", "--ignore-not-found"]);
    assert_eq!(made.assert_code(0).stdout, "");
    files::remove_file(&project.directory().join(bad)).unwrap();
}
