//! Ports of this machine, and host names shared by services.

use std::collections::BTreeMap;

use super::Checker;
use crate::manifest::{builtin, problem::Problem};

/// What can be wrong with what services and cluster share.
#[derive(Debug, thiserror::Error)]
enum SharingProblem {
    #[error("`{path}` and `{other}` both use port {port} of this machine")]
    HostPort {
        path: String,
        other: &'static str,
        port: u16,
    },
    #[error("`{path}` exposes `{host}{url_path}`, which `{other}` already does")]
    Exposed {
        path: String,
        other: String,
        host: String,
        url_path: String,
    },
}

impl Problem for SharingProblem {
    fn code(&self) -> &'static str {
        match self {
            Self::HostPort { .. } => "manifest.port-conflict",
            Self::Exposed { .. } => "manifest.expose-conflict",
        }
    }

    fn help(&self) -> Vec<String> {
        vec![
            match self {
                Self::HostPort { .. } => "give each its own port",
                Self::Exposed { .. } => "give one of them another `host` or `path`",
            }
            .to_owned(),
        ]
    }
}

impl Checker<'_> {
    /// Checks what services and cluster share.
    pub(super) fn cluster(&mut self) {
        self.host_ports();
        self.exposed();
    }

    fn host_ports(&mut self) {
        let cluster = &self.keys.cluster;
        let ports = [
            ("cluster.ports.http", cluster.ports.http, builtin::HTTP_PORT),
            (
                "cluster.ports.https",
                cluster.ports.https,
                builtin::HTTPS_PORT,
            ),
            (
                "cluster.registry.port",
                cluster.registry.port,
                builtin::REGISTRY_PORT,
            ),
        ];
        let mut used: BTreeMap<u16, &'static str> = BTreeMap::new();
        for (path, port, default) in ports {
            let port = port.map_or(default, std::num::NonZeroU16::get);
            let Some(other) = used.insert(port, path).filter(|_| self.intact(path)) else {
                continue;
            };
            // Point at one that is written: the other may be the built-in default.
            let (path, other) = if self.places.has(path) {
                (path, other)
            } else {
                (other, path)
            };
            let problem = SharingProblem::HostPort {
                path: path.to_owned(),
                other,
                port,
            };
            self.report(&problem, path);
        }
    }

    fn exposed(&mut self) {
        let mut used: BTreeMap<(&str, &str), String> = BTreeMap::new();
        let mut problems = Vec::new();
        for (name, service) in &self.keys.services {
            let list = format!("services.{name}.expose");
            if !self.intact(&list) {
                continue;
            }
            for (index, rule) in service.expose.iter().enumerate() {
                let path = format!("{list}[{index}]");
                let url_path = rule.path.as_ref().map_or(builtin::EXPOSE_PATH, |p| &p.0);
                let key = (rule.host.0.as_str(), url_path.trim_end_matches('/'));
                if let Some(other) = used.get(&key) {
                    let problem = SharingProblem::Exposed {
                        path: path.clone(),
                        other: other.clone(),
                        host: rule.host.0.clone(),
                        url_path: url_path.to_owned(),
                    };
                    problems.push((problem, path));
                } else {
                    used.insert(key, path);
                }
            }
        }
        for (problem, path) in problems {
            self.report(&problem, &path);
        }
    }
}
