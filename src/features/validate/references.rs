//! What objects refer to and is not there: names, labels and ports that lead nowhere.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Rendered;
use crate::{
    adapters::kube::Existing,
    domain::{
        Finding, ServiceName,
        objects::{containers, kind_of, name_of, pod_template},
    },
};

/// What exists without anybody's doing.
const BUILT_IN: [(&str, &str); 3] = [
    ("ServiceAccount", "default"),
    ("ConfigMap", "kube-root-ca.crt"),
    ("Service", "kubernetes"),
];
/// The probes of a container, and whether a pod is only ready once it succeeds.
const PROBES: [&str; 3] = ["readinessProbe", "livenessProbe", "startupProbe"];

/// Something that an object needs.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Need {
    kind: &'static str,
    name: String,
}

/// What is there to refer to.
struct There<'a> {
    names: BTreeMap<&'a str, BTreeSet<&'a str>>,
    /// Names that objects of other APIs mention: operators make what they say.
    of_operators: BTreeSet<&'a str>,
}

/// What leads nowhere, among all that was rendered and what exists in the cluster.
pub(super) fn dangling(rendered: &Rendered, existing: Option<&Existing>) -> Vec<Finding> {
    let there = There::of(rendered, existing);
    let pods: Vec<&Value> = rendered
        .objects()
        .filter_map(|(_, it)| pod_template(it))
        .collect();
    let mut found = Vec::new();
    for (service, object) in rendered.judged() {
        let whose = format!("{service}: {} {}", kind_of(object), name_of(object));
        let needs: BTreeSet<Need> = needs(object).into_iter().collect();
        let missing = needs.into_iter().filter(|need| !there.has(need));
        let mut its: Vec<Finding> = missing.map(|need| missing_of(&whose, &need)).collect();
        if let Some(pod) = pod_template(object) {
            its.extend(probes_into_nowhere(&whose, &pod["spec"]));
        }
        if kind_of(object) == "Service" {
            its.extend(leads_nowhere(&whose, service, object, &pods));
        }
        found.extend(its.into_iter().map(|one| rendered.about(service, one)));
    }
    found
}

fn missing_of(whose: &str, need: &Need) -> Finding {
    let Need { kind, name } = need;
    Finding::problem(
        "validate.dangling",
        format!("{whose} needs the {kind} {name}, which nobody makes"),
    )
    .because("it is in no chart and no file of the services, and not in the cluster")
    .fix(format!("make a {kind} `{name}`, or mend the name"))
}

impl<'a> There<'a> {
    fn of(rendered: &'a Rendered, existing: Option<&'a Existing>) -> Self {
        let mut names: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut of_operators = BTreeSet::new();
        for (kind, name) in BUILT_IN {
            names.entry(kind).or_default().insert(name);
        }
        for (kind, existing) in existing.iter().flat_map(|it| &it.names) {
            let names = names.entry(kind).or_default();
            names.extend(existing.iter().map(String::as_str));
        }
        for (_, object) in rendered.objects() {
            names
                .entry(kind_of(object))
                .or_default()
                .insert(name_of(object));
            if is_of_operator(object) {
                mentioned(object, &mut of_operators);
            }
        }
        Self {
            names,
            of_operators,
        }
    }

    fn has(&self, need: &Need) -> bool {
        let names = self.names.get(need.kind);
        names.is_some_and(|names| names.contains(need.name.as_str()))
            || self.of_operators.contains(need.name.as_str())
    }
}

/// Whether an object is of an API that Kubernetes itself does not have: what it makes of it only its operator knows.
fn is_of_operator(object: &Value) -> bool {
    let api = object["apiVersion"].as_str().unwrap_or_default();
    let group = api.split_once('/').map_or("", |(group, _)| group);
    group.contains('.') && !group.ends_with(".k8s.io")
}

fn mentioned<'a>(value: &'a Value, into: &mut BTreeSet<&'a str>) {
    match value {
        Value::String(text) => {
            into.insert(text);
        }
        Value::Array(items) => items.iter().for_each(|item| mentioned(item, into)),
        Value::Object(fields) => fields.values().for_each(|field| mentioned(field, into)),
        _ => {}
    }
}

/// What an object refers to by name.
fn needs(object: &Value) -> Vec<Need> {
    let mut found = Vec::new();
    if let Some(pod) = pod_template(object) {
        // A StatefulSet makes the claims of its templates itself.
        of_pod(&pod["spec"], &mut found);
    }
    match kind_of(object) {
        "Ingress" => of_ingress(&object["spec"], &mut found),
        "HorizontalPodAutoscaler" => {
            let target = &object["spec"]["scaleTargetRef"];
            for kind in ["Deployment", "StatefulSet", "ReplicaSet"] {
                if target["kind"] == kind {
                    need(kind, &target["name"], &mut found);
                }
            }
        }
        _ => {}
    }
    found
}

fn need(kind: &'static str, name: &Value, found: &mut Vec<Need>) {
    if let Some(name) = name.as_str().filter(|name| !name.is_empty()) {
        let name = name.to_owned();
        found.push(Need { kind, name });
    }
}

/// The same of something that may say that it works without.
fn need_unless_optional(kind: &'static str, reference: &Value, key: &str, found: &mut Vec<Need>) {
    if reference["optional"] != true {
        need(kind, &reference[key], found);
    }
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

fn of_pod(spec: &Value, found: &mut Vec<Need>) {
    need("ServiceAccount", &spec["serviceAccountName"], found);
    for secret in list(spec, "imagePullSecrets") {
        need("Secret", &secret["name"], found);
    }
    for volume in list(spec, "volumes") {
        need_unless_optional("Secret", &volume["secret"], "secretName", found);
        need_unless_optional("ConfigMap", &volume["configMap"], "name", found);
        need(
            "PersistentVolumeClaim",
            &volume["persistentVolumeClaim"]["claimName"],
            found,
        );
        for source in list(&volume["projected"], "sources") {
            need_unless_optional("Secret", &source["secret"], "name", found);
            need_unless_optional("ConfigMap", &source["configMap"], "name", found);
        }
    }
    for container in containers(spec) {
        for variable in list(container, "env") {
            let from = &variable["valueFrom"];
            need_unless_optional("Secret", &from["secretKeyRef"], "name", found);
            need_unless_optional("ConfigMap", &from["configMapKeyRef"], "name", found);
        }
        for from in list(container, "envFrom") {
            need_unless_optional("Secret", &from["secretRef"], "name", found);
            need_unless_optional("ConfigMap", &from["configMapRef"], "name", found);
        }
    }
}

fn of_ingress(spec: &Value, found: &mut Vec<Need>) {
    need("Service", &spec["defaultBackend"]["service"]["name"], found);
    for rule in list(spec, "rules") {
        for path in list(&rule["http"], "paths") {
            need("Service", &path["backend"]["service"]["name"], found);
        }
    }
    for tls in list(spec, "tls") {
        need("Secret", &tls["secretName"], found);
    }
}

/// Probes of ports by a name that their container does not give.
fn probes_into_nowhere(whose: &str, spec: &Value) -> Vec<Finding> {
    let mut found = Vec::new();
    for container in containers(spec) {
        for probe in PROBES {
            for how in ["httpGet", "tcpSocket"] {
                let Some(port) = container[probe][how]["port"].as_str() else {
                    continue;
                };
                if !names_port(container, port) {
                    let name = name_of_container(container);
                    let what = format!(
                        "{whose}: the {probe} of {name} asks a port `{port}` that {name} does not have"
                    );
                    found.push(
                        Finding::problem("validate.probe", what)
                            .because("a probe that cannot be asked fails for ever")
                            .fix(format!(
                                "name a port of the container `{port}`, or ask by its number"
                            )),
                    );
                }
            }
        }
    }
    found
}

fn name_of_container(container: &Value) -> &str {
    container["name"].as_str().unwrap_or_default()
}

fn names_port(container: &Value, port: &str) -> bool {
    list(container, "ports").any(|one| one["name"] == port)
}

/// A Service whose selector no pod matches, whose ports no pod has, or whose pods nobody asks whether they are ready.
fn leads_nowhere(
    whose: &str,
    service: &ServiceName,
    object: &Value,
    pods: &[&Value],
) -> Vec<Finding> {
    let Some(selector) = object["spec"]["selector"]
        .as_object()
        .filter(|it| !it.is_empty())
    else {
        return Vec::new();
    };
    let matches = |pod: &&&Value| {
        let labels = &pod["metadata"]["labels"];
        selector.iter().all(|(key, value)| &labels[key] == value)
    };
    let pods: Vec<&Value> = pods.iter().filter(matches).copied().collect();
    if pods.is_empty() {
        let labels = selector
            .iter()
            .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
        let labels: Vec<String> = labels.collect();
        let what = format!("{whose} leads to no pod");
        return vec![
            Finding::problem("validate.no-pods", what)
                .because(format!(
                    "no pod of the services has the labels {}",
                    labels.join(", ")
                ))
                .fix("mend its `selector`, or the labels of the pods"),
        ];
    }
    let mut found = Vec::new();
    let all: Vec<&Value> = pods
        .iter()
        .flat_map(|pod| containers(&pod["spec"]))
        .collect();
    for port in list(&object["spec"], "ports") {
        let Some(target) = port["targetPort"].as_str() else {
            continue;
        };
        if !all.iter().any(|container| names_port(container, target)) {
            let what = format!("{whose} leads to a port `{target}` that its pods do not have");
            found.push(Finding::problem("validate.no-port", what).fix(format!(
                "name a port of a container `{target}`, or write its number"
            )));
        }
    }
    if !all
        .iter()
        .any(|container| container["readinessProbe"].is_object())
    {
        let what = format!(
            "{service}: nobody asks whether the pods of {} are ready",
            name_of(object)
        );
        found.push(
            Finding::note("validate.no-probe", what)
                .because("without a readinessProbe a pod counts as ready as soon as it runs")
                .fix(format!(
                    "write `services.{service}.ready`, or a readinessProbe in its chart"
                )),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::testing::name;

    fn found(objects: &[Value], existing: Option<&Existing>) -> Vec<String> {
        let mut rendered = Rendered {
            judged: [name("shop")].into(),
            ..Rendered::default()
        };
        rendered.add(&name("shop"), objects);
        // Of services that are not judged it is known what they make.
        let other = json!({ "kind": "Secret", "metadata": { "name": "of-others" } });
        rendered.add(&name("other"), &[other]);
        let found = dangling(&rendered, existing).into_iter();
        found.map(|it| format!("{}: {}", it.id, it.what)).collect()
    }

    fn pod(spec: &Value) -> Value {
        json!({ "kind": "Deployment", "metadata": { "name": "it" }, "spec": {
            "template": { "metadata": { "labels": { "app": "it" } }, "spec": spec },
        } })
    }

    fn needing_much() -> Value {
        pod(&json!({
            "serviceAccountName": "robot",
            "imagePullSecrets": [{ "name": "login" }],
            "volumes": [
                { "secret": { "secretName": "certificate" } },
                { "configMap": { "name": "settings" } },
                { "persistentVolumeClaim": { "claimName": "data" } },
                { "projected": { "sources": [{ "configMap": { "name": "more", "optional": true } }] } },
            ],
            "containers": [{
                "name": "main",
                "env": [{ "valueFrom": { "secretKeyRef": { "name": "of-others", "key": "a" } } }],
                "envFrom": [{ "configMapRef": { "name": "env" } }],
            }],
        }))
    }

    #[test]
    fn what_pods_need_by_name_is_there_or_told() {
        let missing = [
            ("ConfigMap", "env"),
            ("ConfigMap", "settings"),
            ("PersistentVolumeClaim", "data"),
            ("Secret", "certificate"),
            ("Secret", "login"),
            ("ServiceAccount", "robot"),
        ];
        let told = missing.map(|(kind, name)| {
            format!(
                "validate.dangling: shop: Deployment it needs the {kind} {name}, which nobody makes"
            )
        });
        assert_eq!(found(&[needing_much()], None), told);
        let made =
            missing.map(|(kind, name)| json!({ "kind": kind, "metadata": { "name": name } }));
        let all = json!({ "kind": "List", "items": made });
        assert!(found(&[needing_much(), all], None).is_empty());
        let mut existing = Existing::default();
        for (kind, name) in missing {
            existing
                .names
                .entry(kind)
                .or_default()
                .insert(name.to_owned());
        }
        assert!(found(&[needing_much()], Some(&existing)).is_empty());
    }

    #[test]
    fn what_an_operator_is_told_to_make_is_there() {
        let ingress = json!({ "kind": "Ingress", "apiVersion": "networking.k8s.io/v1", "metadata": { "name": "it" },
            "spec": { "tls": [{ "secretName": "tls" }],
                      "rules": [{ "http": { "paths": [{ "backend": { "service": { "name": "gone" } } }] } }] } });
        let certificate = json!({ "kind": "Certificate", "apiVersion": "cert-manager.io/v1",
            "metadata": { "name": "it" }, "spec": { "secretName": "tls" } });
        let gone = "validate.dangling: shop: Ingress it needs the Service gone, which nobody makes";
        assert_eq!(found(&[ingress.clone(), certificate], None), [gone]);
        assert_eq!(found(&[ingress], None).len(), 2);
    }

    #[test]
    fn services_lead_to_pods_and_ports_and_to_those_that_say_when_they_are_ready() {
        let to = |app: &str, port: Value| {
            json!({ "kind": "Service", "metadata": { "name": "web" },
                    "spec": { "selector": { "app": app }, "ports": [{ "port": 80, "targetPort": port }] } })
        };
        let container = |probe: Value| {
            json!({ "containers": [{ "name": "main", "ports": [{ "name": "http", "containerPort": 80 }],
                                     "readinessProbe": probe }] })
        };
        let good = pod(&container(json!({ "httpGet": { "port": "http" } })));
        let told = |service: Value, pod: &Value| found(&[service, pod.clone()], None);
        assert!(told(to("it", json!("http")), &good).is_empty());
        assert!(told(to("it", json!(80)), &good).is_empty());
        assert_eq!(
            told(to("that", json!(80)), &good),
            ["validate.no-pods: shop: Service web leads to no pod"]
        );
        assert_eq!(
            told(to("it", json!("https")), &good),
            [
                "validate.no-port: shop: Service web leads to a port `https` that its pods do not have"
            ]
        );
        let silent = pod(&container(Value::Null));
        assert_eq!(
            told(to("it", json!(80)), &silent),
            ["validate.no-probe: shop: nobody asks whether the pods of web are ready"]
        );
        let wrong = pod(&container(json!({ "tcpSocket": { "port": "htpp" } })));
        assert_eq!(
            told(to("it", json!(80)), &wrong),
            [
                "validate.probe: shop: Deployment it: the readinessProbe of main asks a port `htpp` that main does not have"
            ]
        );
        // One without a selector is led by somebody else.
        let free = json!({ "kind": "Service", "metadata": { "name": "web" }, "spec": {} });
        assert!(told(free, &good).is_empty());
    }

    #[test]
    fn what_is_scaled_exists() {
        let scaler = json!({ "kind": "HorizontalPodAutoscaler", "metadata": { "name": "it" },
            "spec": { "scaleTargetRef": { "kind": "Deployment", "name": "it" } } });
        let there = pod(&json!({ "containers": [] }));
        assert!(found(&[scaler.clone(), there], None).is_empty());
        assert_eq!(found(&[scaler], None).len(), 1);
    }
}
