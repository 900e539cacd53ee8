//! Does the environment have the services that a dataset is for, and what its steps need of them.

use std::path::Path;

use super::resolve::Resolver;
use crate::{
    domain::{
        Environment, PortNumber, ProfileName, Protocol, Service, ServiceName, Source, Workload,
    },
    manifest::{
        format::ContainerPath,
        problem::{Problem, suggestions},
    },
};

/// What can be wrong with the service of a step or a check.
#[derive(Debug, thiserror::Error)]
enum ServiceProblem {
    #[error("`{path}` names a service that does not exist: `{name}`")]
    Unknown {
        path: String,
        name: ServiceName,
        known: Vec<String>,
    },
    #[error("`{path}` names a service that {} out: `{name}`", leaver(profiles))]
    LeftOut {
        path: String,
        name: ServiceName,
        profiles: Vec<ProfileName>,
    },
    #[error("`{path}` names a service without a pod: `{name}` has `replicas: 0`")]
    NoPod { path: String, name: ServiceName },
    #[error("`{path}` needs a TCP port, and `{name}` lists none")]
    NoPort { path: String, name: ServiceName },
    #[error("`{path}` is not a TCP port of `{name}`: {port}")]
    OtherPort {
        path: String,
        name: ServiceName,
        port: PortNumber,
        known: Vec<PortNumber>,
    },
    #[error("`{path}` is missing: which ports `{name}` has is not known")]
    PortsUnknown { path: String, name: ServiceName },
    #[error("`{path}` is not on a volume of `{name}`: what is copied there would end with its pod")]
    NotKept {
        path: String,
        name: ServiceName,
        volumes: Vec<String>,
    },
}

fn leaver(profiles: &[ProfileName]) -> String {
    match profiles {
        [one] => format!("the profile `{one}` leaves"),
        _ => "the profiles leave".to_owned(),
    }
}

impl Problem for ServiceProblem {
    fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "manifest.unknown-service",
            Self::LeftOut { .. } => "dataset.service-left-out",
            Self::NoPod { .. } => "dataset.no-pod",
            Self::NoPort { .. } | Self::OtherPort { .. } | Self::PortsUnknown { .. } => {
                "dataset.port"
            }
            Self::NotKept { .. } => "dataset.not-kept",
        }
    }

    fn help(&self) -> Vec<String> {
        let help = match self {
            Self::Unknown { name, known, .. } => {
                let known = known.iter().map(String::as_str);
                return suggestions(name.as_str(), known, "services");
            }
            Self::LeftOut { name, .. } => {
                format!("add `{name}` to the profile's `only`, or load another dataset with it")
            }
            Self::NoPod { name, .. } => {
                format!("set `services.{name}.replicas` to 1 or more, or use another service")
            }
            Self::NoPort { name, .. } => {
                format!("add the port it listens on to `services.{name}.ports`")
            }
            Self::OtherPort { name, known, .. } if known.is_empty() => {
                format!("add it to `services.{name}.ports`")
            }
            Self::OtherPort { known, .. } => {
                let known: Vec<String> = known.iter().map(|port| format!("`{port}`")).collect();
                format!("its ports: {}", known.join(", "))
            }
            Self::PortsUnknown { .. } => {
                "write `port:` and the number of the port: a chart or plain manifests make the service"
                    .to_owned()
            }
            Self::NotKept { name, volumes, .. } if volumes.is_empty() => {
                format!("add a volume to `services.{name}.volumes` and copy into it")
            }
            Self::NotKept { volumes, .. } => {
                let volumes: Vec<String> = volumes.iter().map(|path| format!("`{path}`")).collect();
                format!("its volumes: {}", volumes.join(", "))
            }
        };
        vec![help]
    }
}

impl<'a> Resolver<'a> {
    /// The service called `name` at `path`; `None` if there is a mistake, or nobody asks.
    pub(super) fn service(&mut self, name: &ServiceName, path: &str) -> Option<&'a Service> {
        let environment = self.environment?;
        let path = path.to_owned();
        let Some(service) = environment.services.get(name) else {
            let problem = if is_left_out(environment, name) {
                ServiceProblem::LeftOut {
                    path: path.clone(),
                    name: name.clone(),
                    profiles: environment.profiles.clone(),
                }
            } else {
                ServiceProblem::Unknown {
                    path: path.clone(),
                    name: name.clone(),
                    known: environment
                        .services
                        .keys()
                        .map(ToString::to_string)
                        .collect(),
                }
            };
            self.report(&problem, &path);
            return None;
        };
        let is_stopped =
            |workload: &Workload| workload.replicas == 0 && workload.autoscale.is_none();
        if service.workload().is_some_and(is_stopped) {
            let problem = ServiceProblem::NoPod {
                path: path.clone(),
                name: name.clone(),
            };
            self.report(&problem, &path);
            return None;
        }
        Some(service)
    }

    /// The port of a request, below `path`; `None` if there is a mistake.
    pub(super) fn port(
        &mut self,
        service: &Service,
        written: Option<PortNumber>,
        path: &str,
    ) -> Option<PortNumber> {
        let name = service.name.clone();
        let at = format!("{path}.port");
        let Source::Workload(workload) = &service.source else {
            if written.is_none() {
                let path = at.clone();
                self.report(&ServiceProblem::PortsUnknown { path, name }, &at);
            }
            return written;
        };
        let ports = workload.ports.iter();
        let known: Vec<PortNumber> = ports
            .filter(|port| port.protocol == Protocol::Tcp)
            .map(|port| port.number)
            .collect();
        match written {
            Some(port) if known.contains(&port) => Some(port),
            Some(port) => {
                let problem = ServiceProblem::OtherPort {
                    path: at.clone(),
                    name,
                    port,
                    known,
                };
                self.report(&problem, &at);
                None
            }
            None if known.is_empty() => {
                let path_text = path.to_owned();
                let problem = ServiceProblem::NoPort {
                    path: path_text,
                    name,
                };
                self.report(&problem, path);
                None
            }
            None => known.first().copied(),
        }
    }

    /// Reports a target of files at `path` that is on none of the service's volumes, as far as they are known.
    pub(super) fn kept(&mut self, service: &Service, target: &str, path: &str) {
        let Source::Workload(workload) = &service.source else {
            return;
        };
        let volumes: Vec<String> = workload
            .volumes
            .iter()
            .map(|volume| ContainerPath(volume.path.clone()).normal())
            .collect();
        if volumes
            .iter()
            .any(|volume| Path::new(target).starts_with(volume))
        {
            return;
        }
        let problem = ServiceProblem::NotKept {
            path: path.to_owned(),
            name: service.name.clone(),
            volumes,
        };
        self.report(&problem, path);
    }
}

/// Whether the manifest has the service, and a profile's `only` leaves it out.
fn is_left_out(environment: &Environment, name: &ServiceName) -> bool {
    let path = format!("services.{name}");
    environment
        .provenance
        .iter()
        .any(|(known, _)| known == path)
}
