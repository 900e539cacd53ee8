//! What must hold inside one service or task.

use std::{collections::BTreeMap, fmt::Display};

use super::{Checker, is_workload};
use crate::{
    domain::{PortNumber, Protocol, ServiceName},
    manifest::{
        builtin,
        problem::{Problem, nearest},
        types::{ChartKeys, ReadyKeys, ResourcesKeys, ServiceKeys, TaskKeys},
    },
};

/// What can be wrong inside a service.
#[derive(Debug, thiserror::Error)]
enum ServiceProblem {
    #[error("`{path}` has none of {allowed}")]
    NoSource {
        path: String,
        allowed: &'static str,
        similar: Option<String>,
    },
    #[error("`{path}` has several of {allowed}: {}", written.join(" and "))]
    SeveralSources {
        path: String,
        allowed: &'static str,
        written: Vec<&'static str>,
    },
    #[error("`{path}` has no effect: the service is made of {source_of}")]
    NotForSource {
        path: String,
        source_of: &'static str,
    },
    #[error("`{path}` repeats {what} of `{other}`")]
    Repeated {
        path: String,
        what: String,
        other: String,
    },
    #[error("`{path}` needs a port, and the service has none")]
    NoPort { path: String },
    #[error("`{path}` leads to port {port}, which is not among the service's `ports`")]
    UnknownPort {
        path: String,
        port: PortNumber,
        known: Vec<String>,
    },
    #[error("`{path}` has several of `http`, `tcp` and `command`: {}", written.join(" and "))]
    SeveralProbes {
        path: String,
        written: Vec<&'static str>,
    },
    #[error("`{path}` is {small}, which is less than {than}: {large}")]
    Less {
        path: String,
        small: String,
        than: String,
        large: String,
    },
    #[error("`{path}` needs either `path`, or `repo`, `name` and `version`")]
    ChartOrigin { path: String },
    #[error("`{path}` must be an `https://`, `http://` or `oci://` URL, not `{text}`")]
    ChartRepo { path: String, text: String },
}

const SOURCES: &str = "`build`, `image`, `chart` and `manifests`";
const TASK_SOURCES: &str = "`build` and `image`";

impl Problem for ServiceProblem {
    fn code(&self) -> &'static str {
        match self {
            Self::NoSource { .. } | Self::SeveralSources { .. } | Self::ChartOrigin { .. } => {
                "manifest.source"
            }
            Self::NotForSource { .. } => "manifest.not-for-source",
            Self::Repeated { .. } => "manifest.duplicate-value",
            Self::NoPort { .. } | Self::UnknownPort { .. } => "manifest.port-missing",
            Self::SeveralProbes { .. } => "manifest.several-probes",
            Self::Less { .. } => "manifest.bounds",
            Self::ChartRepo { .. } => "manifest.invalid-value",
        }
    }

    fn help(&self) -> Vec<String> {
        let help = match self {
            Self::NoSource {
                similar: Some(name),
                ..
            } => {
                return vec![
                    format!("did you mean `{name}`?"),
                    "else write one of them".to_owned(),
                ];
            }
            Self::NoSource { .. } => "write one of them",
            Self::SeveralSources { .. } => {
                "keep one; in an overlay, remove the other with `null`: `build: null`"
            }
            Self::NotForSource { path, .. } if is_of_workloads_alone(path) => {
                "remove it: only services with `build` or `image` have it"
            }
            Self::NotForSource { .. } => {
                "set it in there; beside it only `dependsOn` and `ready.within` count"
            }
            Self::Repeated { .. } => "give it another one, or remove it",
            Self::NoPort { .. } => "write `ports: [8080]` with the port the process listens on",
            Self::UnknownPort { known, .. } => {
                return vec![format!("ports of the service: {}", known.join(", "))];
            }
            Self::SeveralProbes { .. } => {
                "keep one; in an overlay, remove the other with `null`: `http: null`"
            }
            Self::Less { .. } => "swap them, or raise the larger one",
            Self::ChartOrigin { .. } => {
                "write `chart: { path: charts/search }` or `chart: { repo: https://..., name: search, version: 1.2.3 }`"
            }
            Self::ChartRepo { .. } => "take the URL from the chart's documentation",
        };
        vec![help.to_owned()]
    }
}

/// Whether a key means nothing in a chart or in manifests either.
fn is_of_workloads_alone(path: &str) -> bool {
    matches!(path.rsplit('.').next(), Some("live" | "debug" | "quiesce"))
}

impl Checker<'_> {
    /// Checks one service.
    pub(super) fn service(&mut self, name: &ServiceName, service: &ServiceKeys, path: &str) {
        self.service_source(name, service, path);
        self.ready(&service.ready, path);
        if is_workload(service) {
            self.ports(service, path);
            self.port_uses(service, path);
            self.volumes(service, path);
            self.resources(&service.resources, path);
            self.autoscale(service, path);
            self.live_and_debug(service, path);
        }
    }

    /// Checks one task.
    pub(super) fn task(&mut self, task: &TaskKeys, path: &str) {
        let sources = [
            ("build", task.build.is_some()),
            ("image", task.image.is_some()),
        ];
        self.one_source(&sources, TASK_SOURCES, None, path);
        self.resources(&task.resources, path);
    }

    fn service_source(&mut self, name: &ServiceName, service: &ServiceKeys, path: &str) {
        let sources = [
            ("build", service.build.is_some()),
            ("image", service.image.is_some()),
            ("chart", service.chart.is_some()),
            ("manifests", service.manifests.is_some()),
        ];
        self.one_source(&sources, SOURCES, Some(name), path);
        if let Some(chart) = &service.chart {
            self.chart(chart, &format!("{path}.chart"));
        }
        let source_of = match (&service.chart, &service.manifests) {
            _ if is_workload(service) => return,
            (Some(_), _) => "a chart",
            (_, Some(_)) => "plain manifests",
            _ => return,
        };
        let without_effect = [
            "command",
            "args",
            "ports",
            "expose",
            "env",
            "labels",
            "secrets",
            "volumes",
            "resources",
            "replicas",
            "autoscale",
            "live",
            "debug",
            "quiesce",
            "ready.http",
            "ready.tcp",
            "ready.command",
            "ready.port",
        ];
        for key in without_effect {
            let path = format!("{path}.{key}");
            if self.places.has(&path) {
                let problem = ServiceProblem::NotForSource {
                    path: path.clone(),
                    source_of,
                };
                self.report(&problem, &path);
            }
        }
    }

    fn one_source(
        &mut self,
        sources: &[(&'static str, bool)],
        allowed: &'static str,
        name: Option<&ServiceName>,
        path: &str,
    ) {
        // A source whose value is wrong is left out of the keys, but it is written.
        let written: Vec<&'static str> = sources
            .iter()
            .filter(|(key, is_set)| {
                let path = format!("{path}.{key}");
                *is_set || self.places.has(&path) || !self.intact(&path)
            })
            .map(|(key, _)| *key)
            .collect();
        let path_text = path.to_owned();
        if written.is_empty() {
            let problem = ServiceProblem::NoSource {
                path: path_text,
                allowed,
                similar: name.and_then(|name| self.similar(name)),
            };
            self.report(&problem, path);
        } else if let [_, .., last] = &*written {
            let at = format!("{path}.{last}");
            let problem = ServiceProblem::SeveralSources {
                path: path_text,
                allowed,
                written,
            };
            self.report(&problem, &at);
        }
    }

    /// A service that a layer may have meant when it wrote `name`.
    fn similar(&self, name: &ServiceName) -> Option<String> {
        let others = self.keys.services.iter();
        let others = others.filter(|(other, keys)| *other != name && is_workload(keys));
        nearest(name.as_str(), others.map(|(other, _)| other.as_str())).map(str::to_owned)
    }

    fn chart(&mut self, chart: &ChartKeys, path: &str) {
        if !self.intact(path) {
            return;
        }
        let of_repository = [
            chart.repo.is_some(),
            chart.name.is_some(),
            chart.version.is_some(),
        ];
        let is_whole = if chart.path.is_some() {
            !of_repository.contains(&true)
        } else {
            !of_repository.contains(&false)
        };
        if !is_whole {
            let problem = ServiceProblem::ChartOrigin {
                path: path.to_owned(),
            };
            self.report(&problem, path);
        }
        if let Some(repo) = &chart.repo {
            let is_url = ["https://", "http://", "oci://"]
                .iter()
                .any(|scheme| repo.len() > scheme.len() && repo.starts_with(scheme));
            if !is_url {
                let path = format!("{path}.repo");
                let problem = ServiceProblem::ChartRepo {
                    path: path.clone(),
                    text: repo.clone(),
                };
                self.report(&problem, &path);
            }
        }
    }

    fn ports(&mut self, service: &ServiceKeys, path: &str) {
        let list = format!("{path}.ports");
        if !self.intact(&list) {
            return;
        }
        let numbers = service.ports.iter().map(|port| {
            let protocol = port.protocol.unwrap_or_default();
            let protocol = if protocol == Protocol::Udp {
                "UDP"
            } else {
                "TCP"
            };
            Some(format!("port {}/{protocol}", port.port))
        });
        self.unique(numbers, &list, "port");
        let names = service
            .ports
            .iter()
            .map(|port| Some(format!("the name `{}`", port.name.as_ref()?.0)));
        self.unique(names, &list, "name");
    }

    fn volumes(&mut self, service: &ServiceKeys, path: &str) {
        let list = format!("{path}.volumes");
        if !self.intact(&list) {
            return;
        }
        let names = service.volumes.iter();
        let names = names.map(|volume| Some(format!("the name `{}`", volume.name.0)));
        self.unique(names, &list, "name");
        let paths = service.volumes.iter();
        let paths = paths.map(|volume| {
            let path = volume.path.0.trim_end_matches('/');
            Some(format!("the path `{path}`"))
        });
        self.unique(paths, &list, "path");
    }

    /// Reports items whose value (as said in the message) an earlier item has.
    fn unique(&mut self, values: impl Iterator<Item = Option<String>>, list: &str, key: &str) {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for (index, value) in values.enumerate() {
            let Some(value) = value else { continue };
            if let Some(first) = seen.get(&value) {
                let path = format!("{list}[{index}].{key}");
                let problem = ServiceProblem::Repeated {
                    path: path.clone(),
                    what: value,
                    other: format!("{list}[{first}]"),
                };
                self.report(&problem, &path);
            } else {
                seen.insert(value, index);
            }
        }
    }

    /// Ports that `expose` and `ready` lead to.
    fn port_uses(&mut self, service: &ServiceKeys, path: &str) {
        if !self.intact(&format!("{path}.ports")) {
            return;
        }
        let expose = format!("{path}.expose");
        if self.intact(&expose) {
            for (index, rule) in service.expose.iter().enumerate() {
                let path = format!("{expose}[{index}]");
                self.port_use(service, rule.port, true, &path);
            }
        }
        let ready = format!("{path}.ready");
        let is_probed = service.ready.http.is_some() || service.ready.tcp == Some(true);
        if is_probed && self.intact(&ready) {
            // A probe may ask a port that other services do not see.
            if service.ready.port.is_none() {
                let key = if service.ready.http.is_some() {
                    "http"
                } else {
                    "tcp"
                };
                self.port_use(service, None, false, &format!("{ready}.{key}"));
            }
        }
    }

    fn port_use(
        &mut self,
        service: &ServiceKeys,
        port: Option<PortNumber>,
        must_be_listed: bool,
        path: &str,
    ) {
        let path_text = path.to_owned();
        match port {
            None if service.ports.is_empty() => {
                self.report(&ServiceProblem::NoPort { path: path_text }, path);
            }
            Some(_) if must_be_listed && service.ports.is_empty() => {
                self.report(&ServiceProblem::NoPort { path: path_text }, path);
            }
            Some(port)
                if must_be_listed && !service.ports.iter().any(|listed| listed.port == port) =>
            {
                let known = service.ports.iter().map(|port| port.port.to_string());
                let path = format!("{path}.port");
                let problem = ServiceProblem::UnknownPort {
                    path: path.clone(),
                    port,
                    known: known.collect(),
                };
                self.report(&problem, &path);
            }
            _ => {}
        }
    }

    fn ready(&mut self, ready: &ReadyKeys, path: &str) {
        let path = format!("{path}.ready");
        let probes = [
            ("http", ready.http.is_some()),
            ("tcp", ready.tcp == Some(true)),
            ("command", !ready.command.is_empty()),
        ];
        let written: Vec<&'static str> = probes
            .iter()
            .filter(|(_, is_set)| *is_set)
            .map(|(key, _)| *key)
            .collect();
        if let [_, .., last] = &*written {
            let at = format!("{path}.{last}");
            self.report(&ServiceProblem::SeveralProbes { path, written }, &at);
        }
    }

    fn resources(&mut self, resources: &ResourcesKeys, path: &str) {
        let path = format!("{path}.resources");
        let (requests, limits) = (&resources.requests, &resources.limits);
        self.not_less(limits.cpu, requests.cpu, "cpu", &path);
        self.not_less(limits.memory, requests.memory, "memory", &path);
    }

    fn not_less<T: Ord + Display>(
        &mut self,
        limit: Option<T>,
        request: Option<T>,
        key: &str,
        resources: &str,
    ) {
        if let (Some(limit), Some(request)) = (limit, request)
            && limit < request
        {
            let path = format!("{resources}.limits.{key}");
            let problem = ServiceProblem::Less {
                path: path.clone(),
                small: limit.to_string(),
                than: format!("`{resources}.requests.{key}`"),
                large: request.to_string(),
            };
            self.report(&problem, &path);
        }
    }

    fn autoscale(&mut self, service: &ServiceKeys, path: &str) {
        let Some(autoscale) = &service.autoscale else {
            return;
        };
        let min = autoscale.min.unwrap_or(builtin::AUTOSCALE_MIN);
        if autoscale.max < min {
            let path = format!("{path}.autoscale");
            let at = format!("{path}.max");
            let problem = ServiceProblem::Less {
                path: at.clone(),
                small: autoscale.max.to_string(),
                than: format!("`{path}.min`"),
                large: min.to_string(),
            };
            self.report(&problem, &at);
        }
    }
}
