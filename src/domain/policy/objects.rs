//! What objects of Kubernetes break that others have written.

use serde_json::Value;

use super::{Policy, Privilege, Rule, Violation};
use crate::domain::{
    ServiceName,
    objects::{containers, kind_of, name_of, pod_template, single_objects},
};

/// Something that breaks a rule: the rule, what it is, how it is mended.
type Broken = (Rule, String, String);

impl Policy {
    /// What objects of a service break. Objects that make pods in ways of their own are not understood.
    pub fn broken_by_objects(&self, service: &ServiceName, objects: &[Value]) -> Vec<Violation> {
        let mut found = Vec::new();
        for object in single_objects(objects) {
            self.judge_object(service, object, &mut found);
        }
        self.without_exceptions(found)
    }

    fn judge_object(&self, service: &ServiceName, object: &Value, found: &mut Vec<Violation>) {
        let Some(pod) = pod_template(object) else {
            return;
        };
        let (kind, name) = (kind_of(object), name_of(object));
        let broken = self.judge_pod(pod).into_iter();
        found.extend(broken.map(|(rule, what, mend)| Violation {
            rule,
            service: Some(service.clone()),
            key: format!("services.{service}"),
            what: format!("{service}: {kind} {name}: {what}"),
            mend,
        }));
    }

    fn judge_pod(&self, pod: &Value) -> Vec<Broken> {
        let (spec, mut found) = (&pod["spec"], Vec::new());
        for label in &self.labels {
            if pod["metadata"]["labels"][label].as_str().is_none() {
                let what = format!("its pods do not have the label `{label}`");
                found.push((Rule::Labels, what, in_values("the labels of its pods")));
            }
        }
        self.forbid(
            spec,
            Privilege::HostNetwork,
            is_true(&spec["hostNetwork"]),
            &mut found,
        );
        self.forbid(
            spec,
            Privilege::HostPid,
            is_true(&spec["hostPID"]),
            &mut found,
        );
        self.forbid(
            spec,
            Privilege::HostIpc,
            is_true(&spec["hostIPC"]),
            &mut found,
        );
        let is_root = spec["securityContext"]["runAsUser"] == 0;
        self.forbid(spec, Privilege::Root, is_root, &mut found);
        let mut volumes = spec["volumes"].as_array().into_iter().flatten();
        let of_host = volumes.any(|volume| volume.get("hostPath").is_some());
        self.forbid(spec, Privilege::HostPath, of_host, &mut found);
        for container in containers(spec) {
            self.judge_container(container, &mut found);
        }
        found
    }

    fn judge_container(&self, container: &Value, found: &mut Vec<Broken>) {
        let name = container["name"].as_str().unwrap_or_default();
        if let Some(image) = container["image"].as_str() {
            let broken = self.judge_image(image).into_iter();
            let of_chart = |(rule, what, _): Broken| {
                let what = format!("container {name}: {what}");
                (rule, what, in_values("its image"))
            };
            found.extend(broken.map(of_chart));
        }
        for (rule, word, wanted) in [
            (Rule::Limits, "limits", &self.limits),
            (Rule::Requests, "requests", &self.requests),
        ] {
            for resource in wanted {
                if container["resources"][word].get(resource.name()).is_none() {
                    let what = format!(
                        "container {name} has no `resources.{word}.{}`",
                        resource.name()
                    );
                    found.push((rule, what, in_values("its resources")));
                }
            }
        }
        let context = &container["securityContext"];
        let added = context["capabilities"]["add"].as_array();
        let mut ports = container["ports"].as_array().into_iter().flatten();
        for (privilege, has) in [
            (Privilege::Privileged, is_true(&context["privileged"])),
            (
                Privilege::PrivilegeEscalation,
                is_true(&context["allowPrivilegeEscalation"]),
            ),
            (
                Privilege::AddedCapabilities,
                added.is_some_and(|added| !added.is_empty()),
            ),
            (Privilege::Root, context["runAsUser"] == 0),
            (
                Privilege::HostPort,
                ports.any(|port| port.get("hostPort").is_some()),
            ),
        ] {
            self.forbid(container, privilege, has, found);
        }
    }

    /// Notes that something is done which is forbidden, by a container or, where that has no name, by a pod.
    fn forbid(&self, by: &Value, privilege: Privilege, is_done: bool, found: &mut Vec<Broken>) {
        if !is_done || !self.forbidden.contains(&privilege) {
            return;
        }
        let word = privilege.name();
        let what = by["name"].as_str().map_or_else(
            || format!("its pods use `{word}`, which is forbidden"),
            |name| format!("container {name} uses `{word}`, which is forbidden"),
        );
        found.push((Rule::Forbid, what, in_values("what turns it off")));
    }
}

fn is_true(value: &Value) -> bool {
    value.as_bool() == Some(true)
}

fn in_values(what: &str) -> String {
    format!("look in its values or files for {what}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::domain::objects::TEMPLATES;
    use crate::domain::{ComputeResource, Pin, PolicyException};

    fn strict() -> Policy {
        Policy {
            registries: vec!["registry.example.com".to_owned()],
            pinned_images: Some(Pin::Tag),
            limits: ComputeResource::ALL.into(),
            requests: BTreeSet::from([ComputeResource::Memory]),
            forbidden: Privilege::ALL.into(),
            labels: BTreeSet::from(["team".to_owned()]),
            ..Policy::default()
        }
    }

    fn broken(policy: &Policy, objects: &[Value]) -> Vec<String> {
        let service = "search".parse().unwrap();
        let found = policy.broken_by_objects(&service, objects);
        let found = found.iter().map(|it| format!("{}: {}", it.rule, it.what));
        found.collect()
    }

    fn bad_pod() -> Value {
        json!({
            "metadata": { "labels": { "app": "a" } },
            "spec": {
                "hostNetwork": true, "hostPID": true, "hostIPC": true,
                "securityContext": { "runAsUser": 0 },
                "volumes": [{ "name": "v", "hostPath": { "path": "/" } }],
                "initContainers": [{ "name": "first", "image": "busybox" }],
                "containers": [{
                    "name": "main",
                    "image": "registry.example.com/a:1",
                    "resources": { "limits": { "cpu": 1, "memory": "1Gi" }, "requests": { "memory": "1Gi" } },
                    "ports": [{ "containerPort": 1, "hostPort": 1 }],
                    "securityContext": {
                        "privileged": true, "allowPrivilegeEscalation": true, "runAsUser": 0,
                        "capabilities": { "add": ["SYS_ADMIN"] },
                    },
                }],
            },
        })
    }

    #[test]
    fn every_rule_is_found_broken_in_every_kind_of_object() {
        let told = |object: Value| broken(&strict(), &[object]);
        let deployment = told(json!({
            "kind": "Deployment", "metadata": { "name": "a" }, "spec": { "template": bad_pod() },
        }));
        insta::assert_snapshot!(deployment.join("\n"), @r"
        labels: search: Deployment a: its pods do not have the label `team`
        forbid: search: Deployment a: its pods use `hostNetwork`, which is forbidden
        forbid: search: Deployment a: its pods use `hostPID`, which is forbidden
        forbid: search: Deployment a: its pods use `hostIPC`, which is forbidden
        forbid: search: Deployment a: its pods use `root`, which is forbidden
        forbid: search: Deployment a: its pods use `hostPath`, which is forbidden
        forbid: search: Deployment a: container main uses `privileged`, which is forbidden
        forbid: search: Deployment a: container main uses `privilegeEscalation`, which is forbidden
        forbid: search: Deployment a: container main uses `addedCapabilities`, which is forbidden
        forbid: search: Deployment a: container main uses `root`, which is forbidden
        forbid: search: Deployment a: container main uses `hostPort`, which is forbidden
        images.registries: search: Deployment a: container first: the image `busybox` comes from none of the allowed registries
        images.pinned: search: Deployment a: container first: the image `busybox` is another one tomorrow: it has no tag but `latest`
        resources.limits: search: Deployment a: container first has no `resources.limits.cpu`
        resources.limits: search: Deployment a: container first has no `resources.limits.memory`
        resources.requests: search: Deployment a: container first has no `resources.requests.memory`
        ");
        let others = TEMPLATES.iter().filter(|(kind, _)| *kind != "Pod");
        for (kind, path) in others {
            let mut inside = bad_pod();
            for key in path.rsplit('/').filter(|key| !key.is_empty()) {
                inside = json!({ key: inside });
            }
            inside["kind"] = (*kind).into();
            let list = json!({ "kind": "List", "items": [inside] });
            assert_eq!(told(list).len(), deployment.len(), "{kind}");
        }
        let mut pod = bad_pod();
        pod["kind"] = "Pod".into();
        assert_eq!(told(pod).len(), deployment.len());
        assert!(told(json!({ "kind": "ConfigMap", "data": {} })).is_empty());
        assert!(told(json!(["no object"])).is_empty());
    }

    #[test]
    fn an_exception_is_of_a_service_and_a_rule() {
        let mut policy = strict();
        policy.exceptions.push(PolicyException {
            service: "search".parse().unwrap(),
            rule: Rule::Forbid,
        });
        let mut pod = bad_pod();
        pod["kind"] = "Pod".into();
        let found = broken(&policy, &[pod]);
        assert!(!found.is_empty());
        assert!(
            found.iter().all(|it| !it.starts_with("forbid")),
            "{found:?}"
        );
    }

    #[test]
    fn without_rules_everything_is_allowed() {
        let mut pod = bad_pod();
        pod["kind"] = "Pod".into();
        assert!(broken(&Policy::default(), &[pod]).is_empty());
        assert!(!Policy::default().judges_objects());
        assert!(strict().judges_objects());
    }
}
