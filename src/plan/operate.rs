//! What is done to an environment that is there: stop, start, take down, restart, scale.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Action, Patience, Plan, Spared, Step,
    decide::{cluster_id, cluster_steps, reach, ready_id},
};
use crate::domain::{
    Environment, Footprint, Hook, HookMoment, Observed, Presence, ServiceName, Stage, StepId,
    StepSummary,
};

/// How much of an environment is taken down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extent {
    /// The cluster and its registry. Images and data stay for the next `up`.
    Cluster,
    /// The images too. The data stays.
    Images,
    /// The data too. Its snapshots stay.
    AllButSnapshots,
    /// The data too: everything.
    Everything,
}

/// The steps that stop what runs, once its services have ended or their time is over.
pub fn stop(footprint: &Footprint, patience: Patience) -> Plan {
    let mut steps = Vec::new();
    // Where the services do not end, nothing is stopped.
    let mut needs = Vec::new();
    if footprint.cluster == Presence::Running {
        let end = end_services(patience);
        needs = vec![end.id().clone()];
        let id = StepId::new("stop", "cluster");
        let (title, reason) = ("stop the cluster", "it runs");
        let mut stop = step(&id, Action::StopCluster, Stage::Cluster, title, reason);
        stop.summary.needs.clone_from(&needs);
        steps.extend([end, stop]);
    }
    if footprint.registry == Presence::Running {
        let id = StepId::new("stop", "registry");
        let (title, reason) = ("stop the image registry", "it runs");
        let mut stop = step(&id, Action::StopRegistry, Stage::Cluster, title, reason);
        stop.summary.needs = needs;
        steps.push(stop);
    }
    Plan { steps }
}

/// The steps that remove what `up` made, after the hooks that run before it where the cluster runs.
pub fn down(environment: &Environment, footprint: &Footprint, extent: Extent) -> Plan {
    let mut hooks = match footprint.cluster {
        Presence::Running => hooks_before_down(environment),
        _ => Vec::new(),
    };
    let mut plan = removal(footprint, extent);
    if let Some(last) = hooks.last() {
        for step in &mut plan.steps {
            step.summary.needs.push(last.id().clone());
        }
    }
    hooks.append(&mut plan.steps);
    Plan { steps: hooks }
}

/// One after another: each may build on the one before.
fn hooks_before_down(environment: &Environment) -> Vec<Step> {
    let hooks = &environment.hooks.before_down;
    hooks_one_by_one(hooks, HookMoment::BeforeDown, "it runs before `down`")
}

/// The steps that run the hooks of `up`, whether they ran before or not.
pub fn hooks_after_up(environment: &Environment) -> Plan {
    let hooks = &environment.hooks.after_up;
    Plan {
        steps: hooks_one_by_one(hooks, HookMoment::AfterUp, "its data is new"),
    }
}

fn hooks_one_by_one(hooks: &[Hook], moment: HookMoment, reason: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (index, hook) in hooks.iter().enumerate() {
        let name = match moment {
            HookMoment::BeforeDown => "down",
            HookMoment::AfterUp => "up",
        };
        let id = StepId::new("hook", format!("{name}-{}", index + 1));
        let action = Action::RunHook(moment, index);
        let title = format!("run the hook `{}`", hook.command.join(" "));
        let mut run = step(&id, action, Stage::Hooks, &title, reason);
        run.summary.service.clone_from(&hook.service);
        run.summary.needs = steps
            .last()
            .map(|before| before.id().clone())
            .into_iter()
            .collect();
        steps.push(run);
    }
    steps
}

fn removal(footprint: &Footprint, extent: Extent) -> Plan {
    let (cluster, registry) = (
        StepId::new("remove", "cluster"),
        StepId::new("remove", "registry"),
    );
    let mut steps = Vec::new();
    if footprint.cluster != Presence::Absent {
        let mut remove = step(
            &cluster,
            Action::DeleteCluster,
            Stage::Remove,
            "remove the cluster",
            "it is there",
        );
        if footprint.cluster == Presence::Running && extent < Extent::AllButSnapshots {
            let end = end_services(Patience::AMoment);
            remove.summary.needs = vec![end.id().clone()];
            steps.push(end);
        }
        steps.push(remove);
    }
    if footprint.registry != Presence::Absent {
        steps.push(step(
            &registry,
            Action::DeleteRegistry,
            Stage::Remove,
            "remove the image registry",
            "it is there",
        ));
    }
    if extent >= Extent::Images && footprint.has_images() {
        let flag = match extent {
            Extent::AllButSnapshots | Extent::Everything => "--volumes",
            Extent::Cluster | Extent::Images => "--images",
        };
        steps.push(step_after(
            &steps,
            "images",
            Action::RemoveImages(footprint.images.clone()),
            "remove the images",
            flag,
        ));
    }
    let data = match extent {
        Extent::Cluster | Extent::Images => None,
        Extent::AllButSnapshots => Some((Spared::Snapshots, "remove the data; its snapshots stay")),
        Extent::Everything => Some((Spared::Nothing, "remove the data")),
    };
    if let Some((spared, title)) = data
        && footprint.has_data()
    {
        let services = footprint.volumes.join(", ");
        steps.push(step_after(
            &steps,
            "data",
            Action::RemoveData(spared),
            title,
            &format!("--volumes; there is data of {services}"),
        ));
    }
    Plan { steps }
}

/// Removes what the containers that are removed before it use, and would write anew.
fn step_after(before: &[Step], what: &str, action: Action, title: &str, reason: &str) -> Step {
    let id = StepId::new("remove", what);
    let mut remove = step(&id, action, Stage::Remove, title, reason);
    remove.summary.needs = before.iter().map(|step| step.id().clone()).collect();
    remove
}

fn end_services(patience: Patience) -> Step {
    step(
        &StepId::new("end", "services"),
        Action::EndServices(patience),
        Stage::Cluster,
        "ask the services to end",
        "their data is kept",
    )
}

/// The steps that start what is stopped and wait for what is deployed.
///
/// Only a cluster that runs says what is deployed: for a stopped one, plan again after it was started.
pub fn start(environment: &Environment, observed: &Observed) -> Plan {
    let mut steps = cluster_steps(environment, observed);
    let deployed: BTreeSet<&ServiceName> = observed.workloads.iter().map(|w| &w.service).collect();
    let waits = deployed
        .into_iter()
        .filter(|service| !observed.is_ready(service));
    for service in waits {
        let why = "it is not ready";
        steps.push(wait(service, why, vec![cluster_id()]));
        steps.extend(reach(environment, service, why));
    }
    let known: BTreeSet<StepId> = steps.iter().map(|step| step.id().clone()).collect();
    for step in &mut steps {
        step.summary.needs.retain(|need| known.contains(need));
    }
    Plan { steps }
}

/// `plan` for a cluster that was just started: it waits for the addresses of all of `services` that are deployed.
///
/// Also of those that are ready: the ingress was started with them and may not know them yet.
pub fn after_start(
    mut plan: Plan,
    environment: &Environment,
    observed: &Observed,
    services: &[ServiceName],
) -> Plan {
    let is_deployed = |name: &&ServiceName| observed.workloads.iter().any(|w| w.service == **name);
    let planned: BTreeSet<StepId> = plan.steps.iter().map(|step| step.id().clone()).collect();
    let missing: Vec<Step> = services
        .iter()
        .filter(is_deployed)
        .filter_map(|service| reach(environment, service, "the ingress was started too"))
        .filter(|reach| !planned.contains(reach.id()))
        .map(|mut reach| {
            // Who is planned for is waited for with its address: this one is ready.
            reach.summary.needs.clear();
            reach
        })
        .collect();
    for hook in plan.steps.iter_mut().filter(|step| is_hook(step)) {
        let addresses = missing.iter().map(|reach| reach.id().clone());
        hook.summary.needs.extend(addresses);
    }
    plan.steps.splice(0..0, missing);
    plan
}

const fn is_hook(step: &Step) -> bool {
    matches!(step.action, Action::RunHook(..))
}

/// The steps that wait until `services` are ready, for a reason.
pub fn settle(environment: &Environment, services: &[ServiceName], why: &str) -> Plan {
    let steps = services.iter().flat_map(|service| {
        let wait = wait(service, why, Vec::new());
        [wait].into_iter().chain(reach(environment, service, why))
    });
    Plan {
        steps: steps.collect(),
    }
}

/// The steps that replace the pods of `services` and wait for the new ones.
pub fn restart(environment: &Environment, services: &[ServiceName]) -> Plan {
    let steps = services.iter().flat_map(|service| {
        let id = StepId::new("restart", service);
        let action = Action::RestartService(service.clone());
        let title = format!("restart {service}");
        let mut restart = step(&id, action, Stage::Deploy, &title, "you asked for it");
        restart.summary.service = Some(service.clone());
        let why = "it is restarted";
        let wait = wait(service, why, vec![id]);
        [restart, wait]
            .into_iter()
            .chain(reach(environment, service, why))
    });
    Plan {
        steps: steps.collect(),
    }
}

/// The steps that give each service its number of pods and wait for them.
pub fn scale(environment: &Environment, wanted: &BTreeMap<ServiceName, u32>) -> Plan {
    let steps = wanted.iter().flat_map(|(service, replicas)| {
        let id = StepId::new("scale", service);
        let action = Action::ScaleService(service.clone(), *replicas);
        let title = format!("scale {service} to {replicas}");
        let mut scale = step(&id, action, Stage::Deploy, &title, "you asked for it");
        scale.summary.service = Some(service.clone());
        let why = "it is scaled";
        let wait = wait(service, why, vec![id]);
        [scale, wait]
            .into_iter()
            .chain(reach(environment, service, why))
    });
    Plan {
        steps: steps.collect(),
    }
}

fn wait(service: &ServiceName, reason: &str, needs: Vec<StepId>) -> Step {
    let title = format!("wait until {service} is ready");
    let action = Action::WaitReady(service.clone());
    let mut wait = step(&ready_id(service), action, Stage::Ready, &title, reason);
    wait.summary.service = Some(service.clone());
    wait.summary.needs = needs;
    wait
}

fn step(id: &StepId, action: Action, stage: Stage, title: &str, reason: &str) -> Step {
    Step {
        summary: StepSummary {
            id: id.clone(),
            title: title.to_owned(),
            reason: reason.to_owned(),
            stage,
            service: None,
            needs: Vec::new(),
        },
        action,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        ClusterState, Hook,
        testing::{achieved, desired, environment, expose, name},
    };

    fn ids(plan: &Plan) -> Vec<&str> {
        plan.steps.iter().map(|step| step.id().as_str()).collect()
    }

    fn footprint(cluster: Presence, registry: Presence) -> Footprint {
        Footprint {
            cluster,
            registry,
            images: vec!["127.0.0.1:5050/shop:order-1".to_owned()],
            image_stores: vec!["k3d-shop-1-server-0-images".to_owned()],
            registry_has_images: true,
            volumes: vec!["postgres".to_owned()],
            snapshots: 0,
        }
    }

    #[test]
    fn stopping_touches_only_what_runs() {
        let all = footprint(Presence::Running, Presence::Running);
        assert_eq!(
            ids(&stop(&all, Patience::AMoment)),
            ["end:services", "stop:cluster", "stop:registry"]
        );
        let half = footprint(Presence::Stopped, Presence::Running);
        assert_eq!(ids(&stop(&half, Patience::AMoment)), ["stop:registry"]);
        assert!(stop(&Footprint::default(), Patience::AMoment).is_empty());
    }

    #[test]
    fn taking_down_leaves_images_and_data_unless_they_are_to_go() {
        let all = footprint(Presence::Stopped, Presence::Running);
        let cluster = ["remove:cluster", "remove:registry"];
        assert_eq!(ids(&removal(&all, Extent::Cluster)), cluster);
        let images = removal(&all, Extent::Images);
        assert_eq!(ids(&images)[..2], cluster);
        assert_eq!(ids(&images)[2..], ["remove:images"]);
        let everything = removal(&all, Extent::Everything);
        assert_eq!(ids(&everything)[2..], ["remove:images", "remove:data"]);
        let (before, data) = everything.steps.split_at(3);
        let before: Vec<&StepId> = before.iter().map(Step::id).collect();
        assert_eq!(
            data[0].summary.needs.iter().collect::<Vec<_>>(),
            before,
            "what uses the data is gone before it"
        );
        assert!(data[0].summary.reason.contains("postgres"));
        assert_eq!(data[0].action, Action::RemoveData(Spared::Nothing));
        let but_snapshots = removal(&all, Extent::AllButSnapshots);
        assert_eq!(ids(&but_snapshots), ids(&everything));
        let action = &but_snapshots.steps[3].action;
        assert_eq!(*action, Action::RemoveData(Spared::Snapshots));
    }

    #[test]
    fn services_are_asked_to_end_where_their_data_is_kept() {
        let all = footprint(Presence::Running, Presence::Running);
        let keep = removal(&all, Extent::Cluster);
        assert_eq!(
            ids(&keep),
            ["end:services", "remove:cluster", "remove:registry"]
        );
        assert_eq!(
            keep.steps[1].summary.needs,
            [StepId::new("end", "services")]
        );
        assert_eq!(ids(&removal(&all, Extent::Everything))[0], "remove:cluster");
    }

    #[test]
    fn taking_down_what_is_not_there_does_nothing() {
        assert!(removal(&Footprint::default(), Extent::Everything).is_empty());
        let data_only = footprint(Presence::Absent, Presence::Absent);
        assert!(removal(&data_only, Extent::Cluster).is_empty());
        assert_eq!(
            ids(&removal(&data_only, Extent::Everything)),
            ["remove:images", "remove:data"]
        );
    }

    #[test]
    fn hooks_run_one_after_another_before_anything_is_removed_and_only_where_the_cluster_runs() {
        let mut environment = environment(&[("order", &[])]);
        let hook = |word: &str| Hook {
            service: None,
            command: vec![word.to_owned()],
            within: std::time::Duration::from_secs(9),
        };
        environment.hooks.before_down = vec![hook("save"), hook("tell")];
        let running = footprint(Presence::Running, Presence::Running);
        let plan = down(&environment, &running, Extent::Everything);
        assert_eq!(
            ids(&plan)[..3],
            ["hook:down-1", "hook:down-2", "remove:cluster"]
        );
        assert_eq!(plan.steps[1].summary.needs, [plan.steps[0].id().clone()]);
        let last = plan.steps[1].id().clone();
        assert!(
            plan.steps[2..]
                .iter()
                .all(|step| step.summary.needs.contains(&last))
        );
        let stopped = footprint(Presence::Stopped, Presence::Running);
        assert_eq!(
            down(&environment, &stopped, Extent::Cluster),
            removal(&stopped, Extent::Cluster)
        );
    }

    #[test]
    fn a_stopped_environment_is_started_and_one_that_runs_is_only_waited_for() {
        let environment = environment(&[("order", &[])]);
        let stopped = Observed {
            cluster: ClusterState::Stopped,
            ..Observed::nothing()
        };
        assert_eq!(
            ids(&start(&environment, &stopped)),
            ["start:registry", "start:cluster"]
        );
        let mut running = achieved(&desired(&environment, "1"));
        assert!(start(&environment, &running).is_empty());
        running.pods[0].ready = false;
        assert_eq!(ids(&start(&environment, &running)), ["ready:order"]);
    }

    #[test]
    fn after_a_start_the_addresses_of_all_are_waited_for_and_hooks_wait_for_them() {
        let mut environment = environment(&[("order", &[]), ("web", &[])]);
        expose(&mut environment, &name("web"), &["shop.localhost"]);
        let services = [name("order"), name("web")];
        let settled =
            |plan: Plan, observed: &Observed| after_start(plan, &environment, observed, &services);
        let mut running = achieved(&desired(&environment, "1"));
        let hook = step(
            &StepId::new("hook", 1),
            Action::RunHook(HookMoment::AfterUp, 0),
            Stage::Hooks,
            "run the hook",
            "it has not run yet",
        );
        let ready = settled(Plan { steps: vec![hook] }, &running);
        assert_eq!(ids(&ready), ["reach:web", "hook:1"]);
        assert_eq!(ready.steps[0].summary.needs, []);
        assert_eq!(ready.steps[1].summary.needs, [StepId::new("reach", "web")]);

        running.pods.iter_mut().for_each(|pod| pod.ready = false);
        let waiting = settled(start(&environment, &running), &running);
        assert_eq!(ids(&waiting), ["ready:order", "ready:web", "reach:web"]);
        assert_eq!(
            waiting.steps[2].summary.needs,
            [StepId::new("ready", "web")]
        );
        assert!(settled(Plan::default(), &Observed::nothing()).is_empty());
    }

    #[test]
    fn a_service_is_waited_for_after_it_was_restarted_or_scaled() {
        let order = name("order");
        let mut environment = environment(&[("order", &[])]);
        let one = std::slice::from_ref(&order);
        let restarted = restart(&environment, one);
        assert_eq!(ids(&restarted), ["restart:order", "ready:order"]);
        assert_eq!(
            restarted.steps[1].summary.needs,
            [StepId::new("restart", "order")]
        );
        expose(&mut environment, &order, &["shop.localhost"]);
        assert_eq!(
            ids(&restart(&environment, one)),
            ["restart:order", "ready:order", "reach:order"]
        );
        let scale = scale(&environment, &BTreeMap::from([(order.clone(), 0)]));
        assert_eq!(ids(&scale), ["scale:order", "ready:order", "reach:order"]);
        assert_eq!(scale.steps[0].action, Action::ScaleService(order, 0));
    }
}
