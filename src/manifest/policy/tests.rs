//! Policies as a whole: good ones hold, bad ones are explained with their lines, and the documents follow from the types.

use super::{load, reference, schema};
use crate::{
    domain::{Failures, Pin, Policy, Privilege},
    manifest::{
        NamedFiles, Request,
        testing::{DIRECTORY, MemoryFiles, keep_up_to_date, render},
    },
};

const MANIFEST: &str = "\
apiVersion: devenv/v1
name: shop
cluster: { kubernetes: '1.32' }
services:
  web:
    image: redis
    labels: { team: web }
  store:
    image: registry.example.com/store:1
    resources: { limits: { memory: 64Mi } }
  search:
    chart: { repo: https://charts.example.com/, name: search, version: ^1.2 }
";

fn policy(text: &str) -> Result<Policy, Failures> {
    load(&MemoryFiles::with_manifest(MANIFEST).file("policy.yaml", text))
}

fn told(text: &str) -> String {
    let files = MemoryFiles::with_manifest(MANIFEST).file("policy.yaml", text);
    files
        .load()
        .map_or_else(|failures| render(&failures), |_| "good".to_owned())
}

fn example() -> String {
    let page = reference();
    let example = page.split("```").nth(1).unwrap();
    example.trim_start_matches("yaml").trim_start().to_owned()
}

#[test]
fn the_example_of_the_reference_page_is_a_policy() {
    let policy = policy(&example())
        .map_err(|failures| render(&failures))
        .unwrap();
    assert_eq!(
        policy.registries,
        ["docker.io/library", "registry.example.com/team"]
    );
    assert_eq!(policy.pinned_images, Some(Pin::Tag));
    assert!(policy.pinned_charts && policy.forbidden.contains(&Privilege::HostPath));
    assert_eq!(policy.exceptions.len(), 1);
}

#[test]
fn without_a_policy_everything_is_allowed() {
    let files = MemoryFiles::with_manifest(MANIFEST);
    assert_eq!(load(&files).unwrap(), Policy::default());
    assert_eq!(told("# Nothing yet.\n"), "good");
}

#[test]
fn every_rule_that_the_manifest_breaks_is_told_with_both_lines() {
    let text = "\
images: { registries: [registry.example.com], pinned: tag }
charts: { repositories: [https://charts.example.org], pinned: true }
resources: { limits: [memory, cpu], requests: [memory] }
labels: [team]
kubernetes: '>=1.33'
except:
  - { service: store, rule: resources.requests, reason: it is small }
";
    insta::assert_snapshot!(told(text), @r"
    devenv.yaml:3:24 policy.broken Kubernetes 1.32 is not among the allowed versions, >=1.33
      devenv config set cluster.kubernetes=VERSION
    devenv.yaml:12:20 policy.broken search: the chart comes from `https://charts.example.com/`, which is not allowed
      take it from one of: https://charts.example.org
      whoever keeps policy.yaml can allow it, under `except`: { service: search, rule: charts.repositories, reason: ... }
    devenv.yaml:12:5 policy.broken search: the chart has no exact version
      devenv config set services.search.chart.version=1.2.3
      whoever keeps policy.yaml can allow it, under `except`: { service: search, rule: charts.pinned, reason: ... }
    devenv.yaml:10:18 policy.broken store: there is no `resources.limits.cpu`
      devenv config set services.store.resources.limits.cpu=...
      whoever keeps policy.yaml can allow it, under `except`: { service: store, rule: resources.limits, reason: ... }
    devenv.yaml:8:3 policy.broken store: the label `team` is missing
      write it under services.store.labels in devenv.yaml
      whoever keeps policy.yaml can allow it, under `except`: { service: store, rule: labels, reason: ... }
    devenv.yaml:6:12 policy.broken web: the image `redis` comes from none of the allowed registries
      take it from one of: registry.example.com
      whoever keeps policy.yaml can allow it, under `except`: { service: web, rule: images.registries, reason: ... }
    devenv.yaml:6:12 policy.broken web: the image `redis` is another one tomorrow: it has no tag but `latest`
      write its tag, such as `redis:7.4.1`
      whoever keeps policy.yaml can allow it, under `except`: { service: web, rule: images.pinned, reason: ... }
    devenv.yaml:5:3 policy.broken web: there is no `resources.limits.cpu`
      devenv config set services.web.resources.limits.cpu=...
      whoever keeps policy.yaml can allow it, under `except`: { service: web, rule: resources.limits, reason: ... }
    devenv.yaml:5:3 policy.broken web: there is no `resources.limits.memory`
      devenv config set services.web.resources.limits.memory=...
      whoever keeps policy.yaml can allow it, under `except`: { service: web, rule: resources.limits, reason: ... }
    devenv.yaml:5:3 policy.broken web: there is no `resources.requests.memory`
      devenv config set services.web.resources.requests.memory=...
      whoever keeps policy.yaml can allow it, under `except`: { service: web, rule: resources.requests, reason: ... }
    ");
}

#[test]
fn who_only_looks_is_not_bothered() {
    let text = "labels: [owner]\n";
    let files = MemoryFiles::with_manifest(MANIFEST).file("policy.yaml", text);
    let request = Request {
        directory: DIRECTORY.into(),
        named_files: NamedFiles::Assumed,
        ..Request::default()
    };
    assert!(crate::manifest::load(&request, &files).is_ok());
}

#[test]
fn mistakes_of_a_policy_are_told_at_once() {
    let text = "\
images: { pinned: sometimes, registry: docker.io }
resources: { limits: [disk] }
forbid: [hostpath]
labels: [devenv.service, 'a b']
kubernetes: latest
except: [{ service: web, rule: images.pined }]
";
    insta::assert_snapshot!(told(text), @r"
    policy.yaml:1:19 manifest.invalid-value `images.pinned` must be one of `tag`, `digest`, not `sometimes`
    policy.yaml:1:30 manifest.unknown-key `images.registry` is not a known key
      allowed here: `pinned`, `registries`
    policy.yaml:2:23 manifest.invalid-value `resources.limits[0]` must be one of `cpu`, `memory`, not `disk`
    policy.yaml:3:10 manifest.invalid-value `forbid[0]` must be one of `privileged`, `privilegeEscalation`, `addedCapabilities`, `root`, `hostPath`, `hostPort`, `hostNetwork`, `hostPID`, `hostIPC`, not `hostpath`
      did you mean `hostPath`?
    policy.yaml:4:10 manifest.invalid-value `labels[0]` must be the name of a label such as `team` or `example.com/team`, not `devenv.service`: devenv sets this label itself
    policy.yaml:4:26 manifest.invalid-value `labels[1]` must be the name of a label such as `team` or `example.com/team`, not `a b`
    policy.yaml:5:13 manifest.invalid-value `kubernetes` must be a version requirement such as `>=5.8` or `>=0.1, <2`, not `latest`: unexpected character 'l' while parsing major version number
    policy.yaml:6:10 manifest.missing-key `except[0].reason` is missing
      write `reason:` and its value here
    policy.yaml:6:32 manifest.invalid-value `except[0].rule` must be one of `images.registries`, `images.pinned`, `charts.repositories`, `charts.pinned`, `resources.limits`, `resources.requests`, `forbid`, `labels`, `kubernetes`, not `images.pined`
      did you mean `images.pinned`?
    ");
    insta::assert_snapshot!(told("- no map\n"), @r"
    policy.yaml:1:1 manifest.wrong-type `policy.yaml` must hold keys and values, not a list
      write `key: value` lines
    ");
}

#[test]
fn the_committed_schema_is_up_to_date() {
    let text = format!("{:#}\n", schema());
    keep_up_to_date("docs/schema/policy.schema.json", &text);
}

#[test]
fn the_committed_reference_is_up_to_date() {
    keep_up_to_date("docs/policy.md", &reference());
}
