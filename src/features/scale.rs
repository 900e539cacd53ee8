//! Gives services another number of pods, and waits for them.

use std::{collections::BTreeMap, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    Project,
    restart::{is_deployed, not_deployed},
    up::{completed, run, running},
};
use crate::{
    domain::{
        Desired, EventKind, ExitClass, Failure, Failures, NoticeLevel, Observed, ObservedWorkload,
        RunChange, ServiceName,
    },
    plan,
    report::{Outbox, Scale, ScaledService},
};

/// Scales each service to its number of pods. The caller holds the lock.
pub async fn scale(
    project: &Project,
    wanted: &BTreeMap<ServiceName, u32>,
    outbox: &Outbox,
    cancel: &CancellationToken,
    deadline: Duration,
) -> Result<Scale, Failures> {
    check(project, wanted)?;
    let tools = project.tools().await?;
    let sight = running(project, &tools, outbox).await?;
    let services = counted(project, &sight.observed, wanted)?;
    let record = project.record(outbox).await?;
    let world = project.world(Desired::default(), tools, record.as_ref());
    let plan = plan::scale(&project.environment, wanted);
    completed(run(&plan, &world, outbox, cancel, deadline).await)?;
    for (service, to) in wanted {
        let scaled = services
            .iter()
            .find(|scaled| scaled.name == service.as_str());
        let change = RunChange::Pods {
            service: service.clone(),
            before: scaled.map_or(0, |scaled| scaled.from),
            after: *to,
        };
        outbox.event(EventKind::Changed { change }).await;
    }
    let text = "this holds until the service is deployed anew; for good: `replicas` in devenv.yaml";
    outbox.notice(NoticeLevel::Info, text).await;
    Ok(Scale {
        environment: project.environment.id.to_string(),
        services,
    })
}

/// What the manifest says against it, before anything is asked of the cluster.
fn check(project: &Project, wanted: &BTreeMap<ServiceName, u32>) -> Result<(), Failures> {
    let refusals = wanted
        .iter()
        .filter_map(|(name, replicas)| refusal(project, name, *replicas));
    Failures::from_list(refusals.collect()).map_or(Ok(()), Err)
}

fn refusal(project: &Project, name: &ServiceName, replicas: u32) -> Option<Failure> {
    let workload = project.environment.services.get(name)?.workload()?;
    let (key, why, help) = if workload.autoscale.is_some() {
        (
            "autoscale",
            "it has `autoscale`, which would undo it at once".to_owned(),
            "change `min` and `max` of its `autoscale`, or remove it".to_owned(),
        )
    } else if replicas > 1 && !workload.volumes.is_empty() {
        (
            "volumes",
            format!("its {replicas} pods would write to the same volume, which ruins its data"),
            format!("devenv scale {name}=1"),
        )
    } else {
        return None;
    };
    let key = format!("services.{name}.{key}");
    Some(
        Failure::new(
            "scale.refused",
            ExitClass::Usage,
            format!("{name} cannot be scaled to {replicas}"),
        )
        .of(name)
        .because(why)
        .at(project.environment.provenance.place(&key).cloned())
        .help(help),
    )
}

/// How many pods each service has and gets; fails for those that have no workload to scale.
fn counted(
    project: &Project,
    observed: &Observed,
    wanted: &BTreeMap<ServiceName, u32>,
) -> Result<Vec<ScaledService>, Failures> {
    let (mut services, mut failures) = (Vec::new(), Vec::new());
    for (name, to) in wanted {
        let workloads: Vec<&ObservedWorkload> = observed
            .workloads
            .iter()
            .filter(|w| &w.service == name && w.kind != "DaemonSet")
            .collect();
        match workloads.as_slice() {
            [workload] => services.push(ScaledService {
                name: name.to_string(),
                from: workload.desired,
                to: *to,
            }),
            [] if !is_deployed(observed, name) && has_workload(project, name) => {
                failures.push(not_deployed(name));
            }
            others => failures.push(unclear(name, others)),
        }
    }
    Failures::from_list(failures).map_or(Ok(services), Err)
}

fn has_workload(project: &Project, name: &ServiceName) -> bool {
    let service = project.environment.services.get(name);
    service.is_some_and(|service| service.workload().is_some())
}

fn unclear(name: &ServiceName, workloads: &[&ObservedWorkload]) -> Failure {
    let why = if workloads.is_empty() {
        "it has neither a Deployment nor a StatefulSet in the cluster".to_owned()
    } else {
        let names: Vec<String> = workloads
            .iter()
            .map(|w| format!("{} {}", w.kind, w.name))
            .collect();
        format!("it has several workloads: {}", names.join(", "))
    };
    Failure::new(
        "scale.no-workload",
        ExitClass::Usage,
        format!("{name} cannot be scaled"),
    )
    .of(name)
    .because(why)
    .help("kubectl --kubeconfig \"$(devenv kubeconfig)\" get deployments,statefulsets")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            Autoscale, Source, Volume, Workload,
            testing::{name, ready_workload},
        },
        features::project::testing::project,
    };

    fn with(change: impl Fn(&mut Workload)) -> Project {
        let mut project = project(&[("order", &[])]);
        let order = project
            .environment
            .services
            .get_mut(&name("order"))
            .unwrap();
        if let Source::Workload(workload) = &mut order.source {
            change(workload);
        }
        project
    }

    fn refused(project: &Project, replicas: u32) -> Option<String> {
        refusal(project, &name("order"), replicas).map(|failure| failure.why[0].clone())
    }

    #[test]
    fn what_would_be_undone_or_ruin_data_is_refused() {
        assert_eq!(refused(&with(|_| {}), 5), None);
        let autoscaled = with(|w| {
            w.autoscale = Some(Autoscale {
                min: 1,
                max: 4,
                cpu: 70,
            });
        });
        assert!(refused(&autoscaled, 2).unwrap().contains("autoscale"));
        let stateful = with(|w| {
            w.volumes.push(Volume {
                name: "data".to_owned(),
                path: "/data".into(),
                size: "1Gi".parse().unwrap(),
            });
        });
        assert_eq!(refused(&stateful, 0), None);
        assert!(refused(&stateful, 2).unwrap().contains("same volume"));
    }

    fn codes(workloads: Vec<ObservedWorkload>) -> Result<Vec<ScaledService>, &'static str> {
        let observed = Observed {
            workloads,
            ..Observed::nothing()
        };
        let wanted = BTreeMap::from([(name("order"), 3)]);
        counted(&project(&[("order", &[])]), &observed, &wanted)
            .map_err(|failures| failures.iter().next().unwrap().code.0)
    }

    #[test]
    fn a_service_is_scaled_where_it_is_clear_what_to_scale() {
        let order = ready_workload(&name("order"));
        let scaled = codes(vec![order.clone()]).unwrap();
        assert_eq!((scaled[0].from, scaled[0].to), (1, 3));
        assert_eq!(codes(Vec::new()), Err("service.not-deployed"));
        assert_eq!(
            codes(vec![order.clone(), order.clone()]),
            Err("scale.no-workload")
        );
        let daemon = ObservedWorkload {
            kind: "DaemonSet".to_owned(),
            ..order
        };
        assert_eq!(codes(vec![daemon]), Err("scale.no-workload"));
    }
}
