//! Ports of this machine that lead to a service, for as long as the command runs.
//!
//! Which pod a connection goes to is decided when it is made, so that the ports stay when pods are replaced.

mod forwarder;

use std::{net::SocketAddr, str::FromStr, sync::Arc};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(super) use self::forwarder::Forwarder;
use super::{Project, podless::podless, restart, up::running};
use crate::{
    adapters::kube::ClusterView,
    domain::{ExitClass, Failure, Failures, NoticeLevel, PortNumber, ServiceName},
    report::{Forward, ForwardedPort, Outbox, Report},
};

/// A port of this machine, and the one of the service that it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// The port of this machine; any that is free if `None`.
    pub local: Option<PortNumber>,
    /// The port of the service.
    pub remote: PortNumber,
}

/// A text that names no ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "write it as `8080`, as `18080:8080` for another port of this machine, or as `0:8080` for any that is free"
)]
pub struct InvalidPorts;

impl FromStr for Ports {
    type Err = InvalidPorts;
    fn from_str(text: &str) -> Result<Self, InvalidPorts> {
        let (local, remote) = text.split_once(':').unwrap_or((text, text));
        let local: u16 = local.parse().map_err(|_| InvalidPorts)?;
        Ok(Self {
            local: PortNumber::new(local),
            remote: remote.parse().map_err(|_| InvalidPorts)?,
        })
    }
}

/// Forwards ports of a service until it is cancelled; its first port if none are named.
pub async fn forward(
    project: &Project,
    service: &ServiceName,
    ports: &[Ports],
    outbox: &Outbox,
    cancel: &CancellationToken,
) -> Result<(), Failures> {
    let ports = match ports {
        [] => vec![first_port(project, service)?],
        named => named.to_vec(),
    };
    let tools = project.tools().await?;
    let sight = running(project, &tools, outbox).await?;
    if let Some(failure) = podless(&sight.observed, service) {
        return Err(failure.into());
    }
    let cluster = sight
        .cluster
        .filter(|_| restart::is_deployed(&sight.observed, service))
        .ok_or_else(|| restart::not_deployed(service))?;
    let (pod_tx, pod_rx) = watch::channel(None);
    let mut forwarder = Forwarder::new(cluster.clone(), service.clone(), pod_rx, outbox.clone());
    let mut forwarded = Vec::new();
    for port in ports {
        let address = forwarder.listen(port, &tools.docker).await;
        let any = format!("devenv forward {service} 0:{}", port.remote);
        let address = address
            .map_err(|failure| failure.help(format!("take any port that is free: {any}")))?;
        forwarded.push(told(address, port.remote));
    }
    let view = cluster.watch();
    let report = Forward {
        environment: project.environment.id.to_string(),
        service: service.to_string(),
        ports: forwarded,
    };
    outbox.item(Report::Forward(report)).await;
    let text = "Ctrl-C ends it; the addresses stay when pods are replaced";
    outbox.notice(NoticeLevel::Info, text).await;
    let following = follow_newest(view.subscribe(), service, &pod_tx);
    cancel.run_until_cancelled(following).await;
    Ok(())
}

fn told(address: SocketAddr, port: PortNumber) -> ForwardedPort {
    ForwardedPort {
        address: address.to_string(),
        port: port.get(),
    }
}

/// Names the newest ready pod of a service, again and again.
async fn follow_newest(
    mut view_rx: watch::Receiver<Arc<ClusterView>>,
    service: &ServiceName,
    pod_tx: &watch::Sender<Option<String>>,
) {
    loop {
        let newest = newest_ready(&view_rx.borrow_and_update(), service);
        pod_tx.send_if_modified(|pod| {
            let is_new = *pod != newest;
            *pod = newest;
            is_new
        });
        if view_rx.changed().await.is_err() {
            return;
        }
    }
}

fn newest_ready(view: &ClusterView, service: &ServiceName) -> Option<String> {
    let pods = view.pods.iter();
    let ready = pods.filter(|pod| &pod.service == service && pod.ready && !pod.deleting);
    ready
        .max_by_key(|pod| pod.created)
        .map(|pod| pod.name.clone())
}

fn first_port(project: &Project, service: &ServiceName) -> Result<Ports, Failure> {
    let found = project.environment.services.get(service);
    let workload = found.and_then(|service| service.workload());
    let first = workload.and_then(|workload| workload.ports.first());
    let number = first.map(|port| port.number).ok_or_else(|| {
        let key = format!("services.{service}");
        Failure::new(
            "usage.no-port",
            ExitClass::Usage,
            format!("which port of {service}?"),
        )
        .because("devenv.yaml names none")
        .of(service)
        .at(project.environment.provenance.place(&key).cloned())
        .help(format!("devenv forward {service} 8080"))
    })?;
    Ok(Ports {
        local: Some(number),
        remote: number,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::testing::name, features::project::testing::project};

    fn ports(text: &str) -> Option<(Option<u16>, u16)> {
        let ports: Ports = text.parse().ok()?;
        Some((ports.local.map(PortNumber::get), ports.remote.get()))
    }

    #[test]
    fn a_port_is_the_same_on_both_sides_unless_another_is_named() {
        assert_eq!(ports("8080"), Some((Some(8080), 8080)));
        assert_eq!(ports("18080:8080"), Some((Some(18080), 8080)));
        assert_eq!(ports("0:8080"), Some((None, 8080)));
        for wrong in ["", "0", "8080:0", "8080:", ":8080", "x", "1:2:3", "70000"] {
            assert_eq!(ports(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_service_of_which_no_port_is_known_needs_one_to_be_named() {
        let project = project(&[("web", &[])]);
        let failure = first_port(&project, &name("web")).unwrap_err();
        assert_eq!(failure.code.0, "usage.no-port");
        assert!(failure.help[0].contains("devenv forward web"));
    }
}
