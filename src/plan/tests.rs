//! What a plan holds in which situation.

use proptest::prelude::*;

use super::{Action, Plan, Selection, plan, plan_task};
use crate::domain::{
    BuildInput, ClusterState, Desired, Environment, Hook, ImageName, Observed, ReleaseStatus,
    Resources, StepId, Task,
    testing::{achieved, desired, environment, expose, name},
};

fn shop() -> Environment {
    environment(&[
        ("web", &["gateway"]),
        ("gateway", &["postgres"]),
        ("postgres", &[]),
    ])
}

fn ids(plan: &Plan) -> Vec<&str> {
    plan.steps.iter().map(|step| step.id().as_str()).collect()
}

fn all(environment: &Environment, desired: &Desired, observed: &Observed) -> Plan {
    plan(environment, &Selection::All, desired, observed)
}

#[test]
fn a_task_needs_its_image_and_the_services_it_depends_on_and_nothing_else() {
    let shop = shop();
    let mut known = desired(&shop, "1");
    let mut observed = achieved(&known);
    let input = BuildInput::Task("test".parse().unwrap());
    let of_web = known.images[&BuildInput::Service(name("web"))].clone();
    let task = Task {
        name: "test".parse().unwrap(),
        image: ImageName::Build(of_web.build.clone()),
        command: vec!["run".to_owned()],
        env: std::collections::BTreeMap::new(),
        secrets: Vec::new(),
        depends_on: vec![name("gateway"), name("web")],
        resources: Resources::default(),
    };
    known.images.clear();
    known.images.insert(input.clone(), of_web);
    observed.workloads.retain_mut(|workload| {
        workload.ready = u32::from(workload.service != name("gateway"));
        true
    });
    let planned = plan_task(&shop, &task, &known, &observed);
    assert_eq!(ids(&planned), ["build:test", "push:test", "ready:gateway"]);
    observed.pushed_images.insert(input);
    let planned = plan_task(&shop, &task, &known, &observed);
    assert_eq!(ids(&planned), ["ready:gateway"]);
}

#[test]
fn addresses_are_waited_for_by_hooks_and_by_no_service() {
    let mut shop = shop();
    expose(&mut shop, &name("gateway"), &["shop.localhost"]);
    let seed = Hook {
        command: vec!["seed".to_owned()],
        service: None,
        within: std::time::Duration::from_mins(1),
    };
    shop.hooks.after_up = vec![seed];
    let plan = all(&shop, &desired(&shop, "1"), &Observed::nothing());
    let needs = |id: &str| {
        let mut steps = plan.steps.iter();
        let step = steps.find(|step| step.id().as_str() == id).unwrap();
        step.summary.needs.clone()
    };
    assert_eq!(needs("reach:gateway"), [StepId::new("ready", "gateway")]);
    let reach = StepId::new("reach", "gateway");
    assert!(needs("hook:1").contains(&reach));
    assert!(!needs("deploy:web").contains(&reach) && !needs("ready:web").contains(&reach));
}

#[test]
fn from_nothing_everything_is_made() {
    let shop = shop();
    let plan = all(&shop, &desired(&shop, "1"), &Observed::nothing());
    assert_eq!(
        ids(&plan),
        [
            "start:registry",
            "start:cluster",
            "build:gateway",
            "push:gateway",
            "build:postgres",
            "push:postgres",
            "build:web",
            "push:web",
            "deploy:postgres",
            "ready:postgres",
            "deploy:gateway",
            "ready:gateway",
            "deploy:web",
            "ready:web",
        ]
    );
    let build = plan
        .steps
        .iter()
        .find(|s| s.id().as_str() == "build:web")
        .unwrap();
    assert!(
        build.summary.needs.is_empty(),
        "images are built while the cluster is created"
    );
    let deploy = plan
        .steps
        .iter()
        .find(|s| s.id().as_str() == "deploy:web")
        .unwrap();
    assert!(
        deploy
            .summary
            .needs
            .contains(&StepId::new("ready", "gateway"))
    );
}

#[test]
fn a_change_to_one_service_touches_that_service_alone() {
    let shop = shop();
    let observed = achieved(&desired(&shop, "1"));
    let mut wanted = desired(&shop, "1");
    let changed = desired(&shop, "2");
    let gateway = BuildInput::Service(name("gateway"));
    wanted
        .images
        .insert(gateway.clone(), changed.images[&gateway].clone());
    wanted
        .releases
        .insert(name("gateway"), changed.releases[&name("gateway")].clone());
    let mut observed = observed;
    observed.pushed_images.remove(&gateway);
    observed.local_images.remove(&gateway);
    let plan = all(&shop, &wanted, &observed);
    assert_eq!(
        ids(&plan),
        [
            "build:gateway",
            "push:gateway",
            "deploy:gateway",
            "ready:gateway"
        ]
    );
}

#[test]
fn a_release_that_a_killed_helm_left_is_repaired_first() {
    let shop = shop();
    let wanted = desired(&shop, "1");
    let mut observed = achieved(&wanted);
    observed.releases.get_mut(&name("web")).unwrap().status = ReleaseStatus::PendingUpgrade;
    assert_eq!(
        ids(&all(&shop, &wanted, &observed)),
        ["repair:web", "deploy:web", "ready:web"]
    );
}

#[test]
fn an_unfinished_cluster_is_removed_and_made_again() {
    let shop = environment(&[]);
    let observed = Observed {
        cluster: ClusterState::Broken {
            reason: "it was interrupted".to_owned(),
            created: false,
        },
        ..achieved(&Desired::default())
    };
    let plan = all(&shop, &Desired::default(), &observed);
    assert_eq!(ids(&plan), ["delete:cluster", "start:cluster"]);
    assert_eq!(plan.steps[1].action, Action::CreateCluster);
}

#[test]
fn a_service_that_left_the_manifest_is_removed_but_only_if_it_is_ours() {
    let before = environment(&[("web", &[]), ("old", &[])]);
    let mut observed = achieved(&desired(&before, "1"));
    let foreign = crate::domain::ObservedRelease {
        revision: 1,
        status: ReleaseStatus::Deployed,
        inputs: None,
    };
    observed.releases.insert(name("foreign"), foreign);
    let now = environment(&[("web", &[])]);
    let wanted = desired(&now, "1");
    assert_eq!(ids(&all(&now, &wanted, &observed)), ["remove:old"]);
    let only = plan(
        &now,
        &Selection::Only(vec![name("web")]),
        &wanted,
        &observed,
    );
    assert!(only.is_empty(), "a focused run removes nothing");
}

#[test]
fn a_hook_runs_again_when_what_it_runs_for_has_changed() {
    let mut shop = environment(&[("web", &[])]);
    shop.hooks.after_up.push(Hook {
        service: Some(name("web")),
        command: vec!["./seed.sh".to_owned()],
        within: std::time::Duration::from_mins(1),
    });
    let wanted = desired(&shop, "1");
    assert!(all(&shop, &wanted, &achieved(&wanted)).is_empty());
    let mut observed = achieved(&wanted);
    observed.hooks_done.clear();
    assert_eq!(ids(&all(&shop, &wanted, &observed)), ["hook:1"]);
}

#[test]
fn after_a_start_every_service_is_waited_for() {
    let shop = shop();
    let wanted = desired(&shop, "1");
    let observed = Observed {
        cluster: ClusterState::Stopped,
        ..Observed::nothing()
    };
    let plan = all(&shop, &wanted, &observed);
    assert!(plan.steps.iter().any(|s| s.action == Action::StartCluster));
    assert!(
        plan.steps
            .iter()
            .any(|s| s.action == Action::WaitReady(name("web")))
    );
}

#[test]
fn of_a_stopped_environment_nothing_is_said_that_is_not_known() {
    let shop = shop();
    let wanted = desired(&shop, "1");
    let observed = Observed {
        cluster: ClusterState::Stopped,
        local_images: wanted.images.keys().cloned().collect(),
        ..Observed::nothing()
    };
    let is_known = |action: &Action| {
        matches!(
            action,
            Action::EnsureRegistry | Action::StartCluster | Action::WaitReady(_)
        )
    };
    for step in all(&shop, &wanted, &observed).steps {
        assert!(is_known(&step.action), "{:?}", step.summary);
    }
}

/// A random acyclic environment: each service depends on some of those before it.
fn environments() -> impl Strategy<Value = Environment> {
    prop::collection::vec(
        prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        1..12,
    )
    .prop_map(|edges| {
        let names: Vec<String> = (0..edges.len()).map(|i| format!("s{i}")).collect();
        let services: Vec<(&str, Vec<&str>)> = edges
            .iter()
            .enumerate()
            .map(|(i, depends)| {
                let mut on: Vec<&str> = if i == 0 {
                    Vec::new()
                } else {
                    depends.iter().map(|d| names[d.index(i)].as_str()).collect()
                };
                on.sort_unstable();
                on.dedup();
                (names[i].as_str(), on)
            })
            .collect();
        let borrowed: Vec<(&str, &[&str])> =
            services.iter().map(|(n, d)| (*n, d.as_slice())).collect();
        environment(&borrowed)
    })
}

proptest! {
    #[test]
    fn the_plan_after_an_up_is_empty(shop in environments()) {
        let wanted = desired(&shop, "1");
        prop_assert!(all(&shop, &wanted, &achieved(&wanted)).is_empty());
    }

    #[test]
    fn steps_come_after_what_they_need_and_ids_are_unique(shop in environments()) {
        let plan = all(&shop, &desired(&shop, "1"), &Observed::nothing());
        let mut seen = std::collections::BTreeSet::new();
        for step in &plan.steps {
            for need in &step.summary.needs {
                prop_assert!(seen.contains(need), "{} before {need}", step.id());
            }
            prop_assert!(seen.insert(step.id().clone()));
        }
    }
}

#[test]
fn what_a_profile_leaves_out_is_not_said_to_have_left_the_manifest() {
    let mut shop = shop();
    let observed = achieved(&desired(&shop, "1"));
    shop.services.remove(&name("web"));
    let reason = |shop: &Environment| {
        let plan = all(shop, &desired(shop, "1"), &observed);
        plan.steps[0].summary.reason.clone()
    };
    assert_eq!(reason(&shop), "it is no longer in the manifest");
    shop.profiles = vec!["small".parse().unwrap()];
    assert_eq!(reason(&shop), "it is not part of the profile small");
}
