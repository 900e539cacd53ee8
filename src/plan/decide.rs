//! The decision: which steps lead from what is observed to what is desired, and why each is needed.

use std::collections::BTreeSet;

use super::{Action, Plan, Step};
use crate::domain::{
    BuildInput, ClusterState, Desired, DesiredRelease, Environment, HookMoment, Observed,
    ObservedRelease, ServiceName, Stage, StepId, StepSummary, Task,
};

/// Which services a run is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All; releases that are no longer in the manifest are removed.
    All,
    /// These, with what they depend on already added; nothing is removed.
    Only(Vec<ServiceName>),
}

/// The steps that make `observed` what `environment` and `desired` say.
///
/// `desired` must hold an entry for every selected service. The order of the steps respects their
/// needs; steps without a common need can run at the same time.
pub fn plan(
    environment: &Environment,
    selection: &Selection,
    desired: &Desired,
    observed: &Observed,
) -> Plan {
    let mut planner = Planner::new(environment, desired, observed);
    planner.cluster();
    let services = match selection {
        Selection::All => environment.services.keys().cloned().collect(),
        Selection::Only(services) => services.clone(),
    };
    planner.images(&services);
    for service in in_dependency_order(environment, &services) {
        planner.release(&service);
    }
    planner.hooks(&services);
    if *selection == Selection::All {
        planner.removals();
    }
    Plan {
        steps: planner.steps,
    }
}

/// The steps that make registry and cluster run, without a look at what is in the cluster.
pub(super) fn cluster_steps(environment: &Environment, observed: &Observed) -> Vec<Step> {
    let desired = Desired::default();
    let mut planner = Planner::new(environment, &desired, observed);
    planner.cluster();
    planner.steps
}

/// The steps after which a task can run in a running cluster: its image is in the registry, and the deployed
/// services it depends on are ready.
pub fn plan_task(
    environment: &Environment,
    task: &Task,
    desired: &Desired,
    observed: &Observed,
) -> Plan {
    let mut planner = Planner::new(environment, desired, observed);
    let input = BuildInput::Task(task.name.clone());
    if desired.images.contains_key(&input) {
        planner.cluster();
        planner.image(&input, None);
    }
    for service in task.depends_on.iter().filter(|s| !observed.is_ready(s)) {
        planner.add(
            ready_id(service),
            Action::WaitReady(service.clone()),
            Stage::Ready,
            Some(service),
            (
                format!("wait until {service} is ready"),
                format!("{} needs it", task.name),
            ),
            Vec::new(),
        );
    }
    Plan {
        steps: planner.steps,
    }
}

/// `services` so that each comes after what it depends on. The manifest has no cycles.
fn in_dependency_order(environment: &Environment, services: &[ServiceName]) -> Vec<ServiceName> {
    fn visit(
        environment: &Environment,
        name: &ServiceName,
        wanted: &BTreeSet<&ServiceName>,
        seen: &mut BTreeSet<ServiceName>,
        order: &mut Vec<ServiceName>,
    ) {
        let Some(service) = environment.services.get(name) else {
            return;
        };
        if !seen.insert(name.clone()) {
            return;
        }
        for dependency in &service.depends_on {
            visit(environment, dependency, wanted, seen, order);
        }
        if wanted.contains(name) {
            order.push(name.clone());
        }
    }
    let wanted: BTreeSet<&ServiceName> = services.iter().collect();
    let mut seen = BTreeSet::new();
    let mut order = Vec::new();
    for name in services {
        visit(environment, name, &wanted, &mut seen, &mut order);
    }
    order
}

struct Planner<'a> {
    environment: &'a Environment,
    desired: &'a Desired,
    observed: &'a Observed,
    steps: Vec<Step>,
    ids: BTreeSet<StepId>,
}

impl<'a> Planner<'a> {
    const fn new(
        environment: &'a Environment,
        desired: &'a Desired,
        observed: &'a Observed,
    ) -> Self {
        Self {
            environment,
            desired,
            observed,
            steps: Vec::new(),
            ids: BTreeSet::new(),
        }
    }

    /// Adds a step. Needs that are not part of the plan are met already and left out.
    fn add(
        &mut self,
        id: StepId,
        action: Action,
        stage: Stage,
        service: Option<&ServiceName>,
        (title, reason): (String, String),
        needs: Vec<StepId>,
    ) {
        let needs = needs
            .into_iter()
            .filter(|need| self.ids.contains(need))
            .collect();
        self.ids.insert(id.clone());
        let summary = StepSummary {
            id,
            title,
            reason,
            stage,
            service: service.cloned(),
            needs,
        };
        self.steps.push(Step { summary, action });
    }

    const fn cluster_runs(&self) -> bool {
        matches!(self.observed.cluster, ClusterState::Running { .. })
    }

    fn cluster(&mut self) {
        let unfinished = match &self.observed.cluster {
            ClusterState::Broken {
                reason,
                created: false,
            } => Some(reason.clone()),
            _ => None,
        };
        if let Some(reason) = unfinished {
            self.add(
                delete_id(),
                Action::DeleteCluster,
                Stage::Cluster,
                None,
                ("remove what is left of the cluster".to_owned(), reason),
                Vec::new(),
            );
        }
        self.registry();
        match &self.observed.cluster {
            ClusterState::Running { .. } => {}
            ClusterState::Stopped => {
                let reason = "it is stopped; once it runs, what is in it is compared";
                self.start_cluster(reason.to_owned());
            }
            ClusterState::Broken {
                reason,
                created: true,
            } => self.start_cluster(reason.clone()),
            ClusterState::Broken { created: false, .. } => {
                self.create_cluster("the one before is of no use");
            }
            ClusterState::Absent => self.create_cluster("there is none"),
        }
    }

    fn registry(&mut self) {
        if self.observed.registry_runs {
            return;
        }
        self.add(
            registry_id(),
            Action::EnsureRegistry,
            Stage::Cluster,
            None,
            (
                "start the image registry".to_owned(),
                "it does not run".to_owned(),
            ),
            // It would join the network that is being removed.
            vec![delete_id()],
        );
    }

    fn create_cluster(&mut self, reason: &str) {
        let kubernetes = &self.environment.cluster.kubernetes;
        self.add(
            cluster_id(),
            Action::CreateCluster,
            Stage::Cluster,
            None,
            (
                format!("create the cluster (Kubernetes {kubernetes})"),
                reason.to_owned(),
            ),
            vec![registry_id(), delete_id()],
        );
    }

    fn start_cluster(&mut self, reason: String) {
        self.add(
            cluster_id(),
            Action::StartCluster,
            Stage::Cluster,
            None,
            ("start the cluster".to_owned(), reason),
            vec![registry_id()],
        );
    }

    fn images(&mut self, services: &[ServiceName]) {
        for service in services {
            self.image(&BuildInput::Service(service.clone()), Some(service));
        }
    }

    fn image(&mut self, input: &BuildInput, service: Option<&ServiceName>) {
        let Some(image) = self.desired.images.get(input) else {
            return;
        };
        let is_local = self.observed.local_images.contains(input);
        // A registry that is stopped with its cluster is asked what it has once it runs (`engine` plans again).
        let is_unknown = !self.observed.registry_runs && !self.can_say_what_is_there() && is_local;
        if self.observed.pushed_images.contains(input) || is_unknown {
            return;
        }
        let tag = &image.hash.as_str()[..12];
        if !is_local {
            self.add(
                build_id(input),
                Action::BuildImage(input.clone()),
                Stage::Images,
                service,
                (
                    format!("build the image of {input}"),
                    format!("no image of its present content ({tag})"),
                ),
                Vec::new(),
            );
        }
        self.add(
            push_id(input),
            Action::PushImage(input.clone()),
            Stage::Images,
            service,
            (
                format!("push the image of {input}"),
                format!("the registry lacks {tag}"),
            ),
            vec![build_id(input), registry_id()],
        );
    }

    fn release(&mut self, service: &ServiceName) {
        let Some(desired) = self.desired.releases.get(service) else {
            return;
        };
        // Without its dependencies a service would only crash and be restarted.
        let mut needs = vec![cluster_id()];
        needs.extend(
            self.environment.services[service]
                .depends_on
                .iter()
                .map(ready_id),
        );
        let reason = self.release_reason(service, desired);
        if let Some(reason) = &reason {
            self.repair(service);
            let mut install_needs = needs.clone();
            install_needs.push(push_id(&BuildInput::Service(service.clone())));
            install_needs.push(StepId::new("repair", service));
            self.add(
                install_id(service),
                Action::InstallRelease(service.clone()),
                Stage::Deploy,
                Some(service),
                (format!("deploy {service}"), reason.clone()),
                install_needs,
            );
        }
        if reason.is_some() || !self.cluster_runs() || !self.observed.is_ready(service) {
            needs.push(install_id(service));
            let why = if reason.is_some() {
                "it is deployed anew"
            } else {
                "it is not ready"
            };
            self.add(
                ready_id(service),
                Action::WaitReady(service.clone()),
                Stage::Ready,
                Some(service),
                (format!("wait until {service} is ready"), why.to_owned()),
                needs,
            );
            if let Some(reach) = reach(self.environment, service, why) {
                self.ids.insert(reach.id().clone());
                self.steps.push(reach);
            }
        }
    }

    fn repair(&mut self, service: &ServiceName) {
        let stuck = self
            .observed
            .releases
            .get(service)
            .filter(|release| release.status.is_stuck());
        if stuck.is_some() {
            self.add(
                StepId::new("repair", service),
                Action::RepairRelease(service.clone()),
                Stage::Deploy,
                Some(service),
                (
                    format!("repair the release of {service}"),
                    "helm was killed while it worked on it".to_owned(),
                ),
                vec![cluster_id()],
            );
        }
    }

    /// Why the release must be installed or upgraded; `None` if it is as desired.
    fn release_reason(&self, service: &ServiceName, desired: &DesiredRelease) -> Option<String> {
        match self.observed.releases.get(service) {
            // A stopped cluster cannot be asked: its releases are compared once it runs (`engine` plans again).
            None if !self.can_say_what_is_there() => None,
            None => Some("it is not deployed".to_owned()),
            Some(release) => difference(release, desired),
        }
    }

    /// Whether it is known what is in the cluster: it runs, or there is none.
    const fn can_say_what_is_there(&self) -> bool {
        self.cluster_runs() || self.is_new_cluster()
    }

    const fn is_new_cluster(&self) -> bool {
        matches!(
            self.observed.cluster,
            ClusterState::Absent | ClusterState::Broken { created: false, .. }
        )
    }

    fn hooks(&mut self, services: &[ServiceName]) {
        if !self.can_say_what_is_there() {
            return;
        }
        let mut before: Option<StepId> = None;
        for (index, hook) in self.environment.hooks.after_up.iter().enumerate() {
            let selected = match &hook.service {
                Some(service) => services.contains(service),
                None => services.len() == self.environment.services.len(),
            };
            let wanted = self.desired.hooks.get(index);
            let done = self.observed.hooks_done.get(&index);
            if !selected || wanted.is_none() || (done == wanted && self.cluster_runs()) {
                continue;
            }
            // Hooks seed data: every service must be there, and they run one after another.
            let mut needs: Vec<StepId> = services
                .iter()
                .flat_map(|s| [ready_id(s), reach_id(s)])
                .collect();
            needs.extend(before.clone());
            needs.push(cluster_id());
            let id = StepId::new("hook", index + 1);
            let title = format!("run the hook `{}`", hook.command.join(" "));
            let reason = if done.is_some() {
                "what it runs for has changed"
            } else {
                "it has not run yet"
            };
            self.add(
                id.clone(),
                Action::RunHook(HookMoment::AfterUp, index),
                Stage::Hooks,
                hook.service.as_ref(),
                (title, reason.to_owned()),
                needs,
            );
            before = Some(id);
        }
    }

    fn removals(&mut self) {
        let profiles: Vec<&str> = self
            .environment
            .profiles
            .iter()
            .map(AsRef::as_ref)
            .collect();
        let reason = if profiles.is_empty() {
            "it is no longer in the manifest".to_owned()
        } else {
            // It may well be in the manifest: `only` of a profile leaves services out.
            format!("it is not part of the profile {}", profiles.join(", "))
        };
        for (service, release) in &self.observed.releases {
            // A release that devenv did not make is the user's own business.
            if release.inputs.is_none() || self.environment.services.contains_key(service) {
                continue;
            }
            self.add(
                StepId::new("remove", service),
                Action::RemoveRelease(service.clone()),
                Stage::Remove,
                Some(service),
                (format!("remove {service}"), reason.clone()),
                Vec::new(),
            );
        }
    }
}

fn difference(release: &ObservedRelease, desired: &DesiredRelease) -> Option<String> {
    if release.status.is_stuck() {
        return Some("its last deployment was interrupted".to_owned());
    }
    if release.status != crate::domain::ReleaseStatus::Deployed {
        return Some("its last deployment failed".to_owned());
    }
    match &release.inputs {
        Some(inputs) if *inputs == desired.inputs => None,
        Some(_) => Some("its image or settings changed".to_owned()),
        None => Some("it was deployed by someone else".to_owned()),
    }
}

fn registry_id() -> StepId {
    StepId::new("start", "registry")
}
fn delete_id() -> StepId {
    StepId::new("delete", "cluster")
}
pub(super) fn cluster_id() -> StepId {
    StepId::new("start", "cluster")
}
fn build_id(input: &BuildInput) -> StepId {
    StepId::new("build", input)
}
fn push_id(input: &BuildInput) -> StepId {
    StepId::new("push", input)
}
fn install_id(service: &ServiceName) -> StepId {
    StepId::new("deploy", service)
}
fn reach_id(service: &ServiceName) -> StepId {
    StepId::new("reach", service)
}

/// The step that waits for the addresses of a service, if it has any. Services find each other inside the
/// cluster: none of them waits for it.
pub(super) fn reach(
    environment: &Environment,
    service: &ServiceName,
    reason: &str,
) -> Option<Step> {
    let workload = environment.services.get(service)?.workload()?;
    let has_address = !workload.expose.is_empty();
    has_address.then(|| Step {
        summary: StepSummary {
            id: reach_id(service),
            title: format!("wait until the address of {service} leads to it"),
            reason: reason.to_owned(),
            stage: Stage::Ready,
            service: Some(service.clone()),
            needs: vec![ready_id(service)],
        },
        action: Action::WaitReachable(service.clone()),
    })
}

pub(super) fn ready_id(service: &ServiceName) -> StepId {
    StepId::new("ready", service)
}
