//! A service's workload -> the values of the chart `charts/service`.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Map, Value, json};

use crate::domain::{
    Environment, Live, MountRule, Probe, Resources, Service, ServiceName, Volume, Workload,
};

/// Where an environment's volumes are in every node: `<service>/<volume>` below it.
pub const VOLUMES_IN_NODE: &str = "/var/lib/devenv/volumes";
/// Where the image of the volumes is in a node, if they are kept in one.
pub const STORE_IN_NODE: &str = "/var/lib/devenv/store";
/// Where the project directory is in every node, read-only.
pub const PROJECT_IN_NODE: &str = "/var/lib/devenv/project";

/// Where devenv's init is in a container that it starts.
pub const INIT_IN_CONTAINER: &str = "/.devenv/bin";
/// How long the init waits for the files of this machine before it starts what the image has, in seconds. Long
/// enough for a session that is just being started again, short enough to be borne where there is none.
const HOLD_SECONDS: &str = "10";

/// The init that runs the process of a service that follows its sources, can be debugged or has volumes.
#[derive(Debug, Clone, Copy)]
pub struct Init<'a> {
    /// Its program in every node, absolute.
    pub program: &'a str,
    /// Where it takes requests, in the container.
    pub socket: &'a str,
}

/// The values of a service's release, complete. They hold `secrets`: never printed.
///
/// `image_reference` is what the cluster pulls; `secrets` are the pairs of the service's secret files. Where the init
/// runs the process, an empty `command` is filled with the image's own when the release is installed, or the init left
/// out.
pub fn service_values(
    environment: &Environment,
    service: &Service,
    workload: &Workload,
    image_reference: &str,
    secrets: &BTreeMap<String, String>,
    init: Init<'_>,
) -> Value {
    let ports = workload
        .ports
        .iter()
        .map(|port| json!({ "name": port.name, "number": port.number, "protocol": port.protocol }));
    let ingress = workload
        .expose
        .iter()
        .map(|rule| json!({ "host": rule.host, "path": rule.path, "port": rule.port }));
    let volumes = workload.volumes.iter();
    let autoscale = workload
        .autoscale
        .map(|scale| json!({ "min": scale.min, "max": scale.max, "cpu": scale.cpu }));
    json!({
        "project": environment.project,
        "image": image_reference,
        "replicas": if autoscale.is_some() { Value::Null } else { json!(workload.replicas) },
        "command": workload.command,
        "args": workload.args,
        "ports": ports.collect::<Vec<_>>(),
        "ingress": ingress.collect::<Vec<_>>(),
        "env": workload.env,
        "labels": workload.labels,
        "secrets": secrets,
        "volumes": volumes.map(|v| volume(&service.name, v)).collect::<Vec<_>>(),
        "mounts": mounts(environment, workload.live.as_ref()),
        "init": workload.wants_init().then(|| start(workload.live.as_ref(), init)),
        "probe": workload.ready.as_ref().map(|ready| probe(&ready.probe)),
        "startupSeconds": service.ready_within.as_secs().max(1),
        "resources": resources(&workload.resources),
        "autoscale": autoscale,
    })
}

fn volume(service: &ServiceName, volume: &Volume) -> Value {
    json!({
        "name": volume.name,
        "path": volume.path,
        "hostPath": format!("{VOLUMES_IN_NODE}/{service}/{}", volume.name),
    })
}

/// Directories of the project, which every node has.
fn mounts(environment: &Environment, live: Option<&Live>) -> Vec<Value> {
    let rules = live.map(|live| live.mount.as_slice()).unwrap_or_default();
    let mount = |(index, rule): (usize, &MountRule)| {
        let inside = rule.from.strip_prefix(&environment.directory);
        let in_node = Path::new(PROJECT_IN_NODE).join(inside.unwrap_or(&rule.from));
        json!({ "name": format!("devenv-mount-{index}"), "path": rule.to, "hostPath": in_node })
    };
    rules.iter().enumerate().map(mount).collect()
}

/// How the init is started: its command line up to the service's own.
fn start(live: Option<&Live>, init: Init<'_>) -> Value {
    let hold = live
        .is_some_and(Live::holds_start)
        .then_some(("--hold", HOLD_SECONDS));
    json!({
        "command": init.command(hold),
        "program": { "path": INIT_IN_CONTAINER, "hostPath": init.directory() },
        "run": init.run_directory(),
    })
}

impl Init<'_> {
    /// Its command line up to what it runs, with an option and its value.
    pub fn command(&self, option: Option<(&str, &str)>) -> Vec<String> {
        let program = Path::new(self.program);
        let name = program.file_name().map_or(program, Path::new);
        let in_container = Path::new(INIT_IN_CONTAINER).join(name);
        let mut command = vec![
            in_container.display().to_string(),
            "init".to_owned(),
            "--socket".to_owned(),
            self.socket.to_owned(),
        ];
        if let Some((option, value)) = option {
            command.extend([option.to_owned(), value.to_owned()]);
        }
        command.push("--".to_owned());
        command
    }

    /// The directory of its program in every node.
    pub fn directory(&self) -> Option<&Path> {
        Path::new(self.program).parent()
    }

    /// The directory of its socket in the container.
    pub fn run_directory(&self) -> Option<&Path> {
        Path::new(self.socket).parent()
    }
}

fn probe(probe: &Probe) -> Value {
    match probe {
        Probe::Http { path, port } => json!({ "httpGet": { "path": path, "port": port } }),
        Probe::Tcp { port } => json!({ "tcpSocket": { "port": port } }),
        Probe::Command(command) => json!({ "exec": { "command": command } }),
    }
}

/// Requests and limits as a container of Kubernetes has them.
pub fn resources(resources: &Resources) -> Value {
    let amounts = |cpu: Option<String>, memory: Option<String>| {
        let amounts: Map<String, Value> = [("cpu", cpu), ("memory", memory)]
            .into_iter()
            .filter_map(|(name, amount)| Some((name.to_owned(), json!(amount?))))
            .collect();
        amounts
    };
    let text = |amount: Option<&dyn ToString>| amount.map(ToString::to_string);
    let requests = amounts(
        text(resources.request_cpu.as_ref().map(|cpu| cpu as _)),
        text(resources.request_memory.as_ref().map(|memory| memory as _)),
    );
    let limits = amounts(
        text(resources.limit_cpu.as_ref().map(|cpu| cpu as _)),
        text(resources.limit_memory.as_ref().map(|memory| memory as _)),
    );
    [("requests", requests), ("limits", limits)]
        .into_iter()
        .filter(|(_, amounts)| !amounts.is_empty())
        .map(|(name, amounts)| (name.to_owned(), Value::Object(amounts)))
        .collect::<Map<_, _>>()
        .into()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use super::*;
    use crate::domain::{
        Autoscale, ClusterSpec, Debug, DebugRuntime, EnvironmentId, Expose, Hooks, ImageName,
        Limits, OnChange, Policy, Port, PortNumber, Protocol, Provenance, Provider, Ready,
        ReloadBy, Requires, Retention, Signal, Source, SyncRule,
    };

    const SCHEMA: &str = include_str!("../../charts/service/values.schema.json");
    const DEFAULTS: &str = include_str!("../../charts/service/values.yaml");
    const TEMPLATES: &[&str] = &[
        include_str!("../../charts/service/templates/_helpers.tpl"),
        include_str!("../../charts/service/templates/autoscaler.yaml"),
        include_str!("../../charts/service/templates/deployment.yaml"),
        include_str!("../../charts/service/templates/ingress.yaml"),
        include_str!("../../charts/service/templates/secret.yaml"),
        include_str!("../../charts/service/templates/service.yaml"),
    ];

    fn port(number: u16) -> PortNumber {
        PortNumber::new(number).unwrap()
    }

    fn workload() -> Workload {
        Workload {
            image: ImageName::Reference("r/order:1".to_owned()),
            command: vec!["serve".to_owned()],
            args: Vec::new(),
            ports: vec![Port {
                name: "http".to_owned(),
                number: port(8080),
                protocol: Protocol::Tcp,
            }],
            expose: vec![Expose {
                host: "shop.localhost".to_owned(),
                path: "/api/orders".to_owned(),
                port: port(8080),
            }],
            env: BTreeMap::from([("N".to_owned(), "1".to_owned())]),
            labels: BTreeMap::from([("team".to_owned(), "shop".to_owned())]),
            secrets: Vec::new(),
            volumes: vec![Volume {
                name: "data".to_owned(),
                path: "/data".to_owned(),
                size: "1Gi".parse().unwrap(),
            }],
            ready: Some(Ready {
                probe: Probe::Http {
                    path: "/healthz".to_owned(),
                    port: port(8080),
                },
            }),
            resources: Resources {
                request_cpu: Some("50m".parse().unwrap()),
                limit_memory: Some("256Mi".parse().unwrap()),
                ..Resources::default()
            },
            replicas: 2,
            autoscale: None,
            live: None,
            debug: None,
            quiesce: None,
        }
    }

    const INIT: Init<'_> = Init {
        program: "/node/agent/devenv-agent-1",
        socket: "/.devenv/run/init",
    };

    fn values(workload: &Workload) -> Value {
        let project = "shop".parse().unwrap();
        let environment = Environment {
            id: EnvironmentId::new(&project, "/shop".as_ref()),
            project,
            directory: "/shop".into(),
            manifest: "/shop/devenv.yaml".into(),
            profiles: Vec::new(),
            dataset: None,
            requires: Requires::default(),
            cluster: ClusterSpec {
                provider: Provider::K3d,
                kubernetes: "1.35".to_owned(),
                image: None,
                agents: 0,
                http_port: port(8080),
                https_port: port(8443),
                registry_port: port(5050),
                limits: Limits::default(),
            },
            services: BTreeMap::new(),
            tasks: BTreeMap::new(),
            hooks: Hooks::default(),
            snapshots: Retention::default(),
            policy: Policy::default(),
            provenance: Provenance::default(),
        };
        let service = Service {
            name: "order".parse().unwrap(),
            source: Source::Workload(Box::new(workload.clone())),
            depends_on: Vec::new(),
            ready_within: Duration::from_secs(90),
        };
        let secrets = BTreeMap::from([("TOKEN".to_owned(), "x".to_owned())]);
        service_values(
            &environment,
            &service,
            workload,
            "r/order:1",
            &secrets,
            INIT,
        )
    }

    fn assert_fits_schema(values: &Value) {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(values)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{errors:?}");
    }

    /// The names after `.Values.` in the templates.
    fn used_by_templates() -> BTreeSet<String> {
        TEMPLATES
            .iter()
            .flat_map(|template| template.split(".Values.").skip(1))
            .map(|rest| {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric());
                rest[..end.unwrap_or(rest.len())].to_owned()
            })
            .collect()
    }

    #[test]
    fn a_full_workload_and_an_empty_one_fit_the_charts_schema() {
        assert_fits_schema(&values(&workload()));
        assert_fits_schema(&values(&Workload {
            command: Vec::new(),
            ports: Vec::new(),
            expose: Vec::new(),
            env: BTreeMap::new(),
            labels: BTreeMap::new(),
            volumes: Vec::new(),
            ready: None,
            resources: Resources::default(),
            ..workload()
        }));
    }

    #[test]
    fn templates_use_no_value_that_is_not_given_or_defaulted_and_no_value_is_given_in_vain() {
        let used = used_by_templates();
        let given: BTreeSet<String> = values(&workload())
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        let is_defaulted = |name: &String| DEFAULTS.contains(&format!("\n{name}: "));
        for name in &used {
            assert!(is_defaulted(name), "values.yaml lacks {name}");
        }
        assert_eq!(given.difference(&used).count(), 0, "{given:?} {used:?}");
    }

    fn live() -> Live {
        Live {
            base: "/shop/order".into(),
            sync: Vec::new(),
            mount: Vec::new(),
            run: Vec::new(),
            build: None,
            rebuild: vec!["Dockerfile".to_owned()],
            ignore: Vec::new(),
            on_change: OnChange::Nothing,
            budget: None,
        }
    }

    fn followed(live: Live) -> Value {
        let values = values(&Workload {
            live: Some(live),
            ..workload()
        });
        assert_fits_schema(&values);
        values
    }

    #[test]
    fn a_service_that_is_only_rebuilt_is_deployed_like_any_other() {
        assert_eq!(followed(live()), values(&workload()));
    }

    #[test]
    fn a_service_that_can_be_debugged_is_started_by_the_init_and_waits_for_nothing() {
        let debug = Debug {
            runtime: DebugRuntime::Node,
            port: port(9229),
            command: Vec::new(),
        };
        let values = values(&Workload {
            debug: Some(debug),
            ..workload()
        });
        assert_fits_schema(&values);
        let command = "/.devenv/bin/devenv-agent-1 init --socket /.devenv/run/init --";
        let command: Vec<&str> = command.split(' ').collect();
        assert_eq!(values["init"]["command"], json!(command));
    }

    #[test]
    fn the_process_of_a_synced_service_is_started_by_the_init_once_its_files_are_there() {
        let rule = SyncRule {
            from: "/shop/order/src".into(),
            to: "/app/src".to_owned(),
            ignore: Vec::new(),
        };
        let values = followed(Live {
            sync: vec![rule],
            ..live()
        });
        let command = "/.devenv/bin/devenv-agent-1 init --socket /.devenv/run/init --hold 10 --";
        let command: Vec<&str> = command.split(' ').collect();
        assert_eq!(values["init"]["command"], json!(command));
        assert_eq!(values["init"]["program"]["hostPath"], "/node/agent");
        assert_eq!(values["init"]["run"], "/.devenv/run");
    }

    #[test]
    fn a_mounted_directory_is_that_of_the_project_and_nothing_waits_for_it() {
        let rule = MountRule {
            from: "/shop/order/public".into(),
            to: "/public".to_owned(),
        };
        let mounted = Live {
            mount: vec![rule],
            ..live()
        };
        let values = followed(mounted.clone());
        assert_eq!(
            values["mounts"][0]["hostPath"],
            "/var/lib/devenv/project/order/public"
        );
        let on_change = OnChange::Reload(ReloadBy::Signal(Signal::Hangup));
        let values = followed(Live {
            on_change,
            ..mounted
        });
        let command = values["init"]["command"].as_array().unwrap();
        assert!(!command.contains(&json!("--hold")), "{command:?}");
    }

    #[test]
    fn a_service_with_volumes_is_started_by_the_init_and_one_without_anything_by_the_runtime() {
        let init = &values(&workload())["init"]["command"];
        assert_eq!(init[1], "init");
        assert!(!init.as_array().unwrap().contains(&json!("--hold")));
        let volumes = Vec::new();
        let without = values(&Workload {
            volumes,
            ..workload()
        });
        assert_eq!(without["init"], Value::Null);
    }

    #[test]
    fn the_autoscaler_alone_decides_the_number_of_pods_where_there_is_one() {
        let autoscale = Some(Autoscale {
            min: 1,
            max: 4,
            cpu: 70,
        });
        let values = values(&Workload {
            autoscale,
            ..workload()
        });
        assert_fits_schema(&values);
        assert_eq!(values["replicas"], Value::Null);
        assert_eq!(values["autoscale"]["max"], 4);
    }

    #[test]
    fn amounts_ports_and_paths_are_written_as_kubernetes_writes_them() {
        let values = values(&workload());
        assert_eq!(
            values["resources"],
            json!({ "requests": { "cpu": "50m" }, "limits": { "memory": "256Mi" } })
        );
        assert_eq!(
            values["ports"],
            json!([{ "name": "http", "number": 8080, "protocol": "TCP" }])
        );
        assert_eq!(
            values["volumes"][0]["hostPath"],
            "/var/lib/devenv/volumes/order/data"
        );
        assert_eq!(
            values["probe"],
            json!({ "httpGet": { "path": "/healthz", "port": 8080 } })
        );
        assert_eq!(values["startupSeconds"], 90);
    }
}
