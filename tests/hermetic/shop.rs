//! The profiles and datasets of the example shop.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use devenv::{
    adapters::files::Project,
    domain::{Environment, Failures, Memory, ProfileName, ProjectFiles, Service, Workload},
    manifest::{self, Loaded, Request, dataset},
};

use crate::sources;

const PROFILES: [&str; 4] = ["ci", "integration-test", "minimal", "production-like"];
const DATASETS: [&str; 3] = ["base", "checkout", "large"];
/// Those that keep what the others know.
const STORES: [&str; 2] = ["postgres", "redis"];

fn files() -> Project {
    Project::new(sources::root().to_owned())
}

/// The shop with these profiles, in order.
fn load(profiles: &[&str]) -> Loaded {
    let name = |name: &&str| name.parse::<ProfileName>().expect("a name");
    let request = Request {
        directory: sources::root().to_owned(),
        file: Some(PathBuf::from("devenv.example.yaml")),
        profiles: profiles.iter().map(name).collect(),
        ..Request::default()
    };
    let loaded = manifest::load(&request, &files());
    loaded.unwrap_or_else(|failures| panic!("{profiles:?}: {}", said(&failures)))
}

fn shop(profiles: &[&str]) -> Environment {
    load(profiles).environment
}

/// Every profile alone, and with every other in both orders.
fn combinations() -> Vec<Vec<&'static str>> {
    let mut combinations = Vec::new();
    for first in PROFILES {
        combinations.push(vec![first]);
        let others = PROFILES.into_iter().filter(|other| *other != first);
        combinations.extend(others.map(|second| vec![first, second]));
    }
    combinations
}

fn said(failures: &Failures) -> String {
    let said: Vec<String> = failures.iter().map(ToString::to_string).collect();
    said.join("\n")
}

fn names(environment: &Environment) -> Vec<&str> {
    let names = environment.services.keys();
    names.map(AsRef::as_ref).collect()
}

fn workload<'a>(environment: &'a Environment, name: &str) -> &'a Workload {
    let mut services = environment.services.values();
    let service = services.find(|service| service.name.as_ref() == name);
    let service = service.unwrap_or_else(|| panic!("no service {name}"));
    service.workload().expect("an image")
}

fn workloads(environment: &Environment) -> impl Iterator<Item = (&str, &Workload)> {
    let services = environment.services.values();
    services.map(|service| {
        (
            service.name.as_ref(),
            service.workload().expect("services of the shop are images"),
        )
    })
}

fn memory(text: &str) -> Memory {
    text.parse().expect("an amount")
}

/// The host name and path of everything that can be reached from outside, with its service.
fn exposed(environment: &Environment) -> Vec<String> {
    let exposed = workloads(environment).flat_map(|(name, workload)| {
        let rules = workload.expose.iter();
        rules.map(move |rule| format!("{name} {}{}", rule.host, rule.path))
    });
    exposed.collect()
}

fn dataset(environment: &Environment) -> Option<&str> {
    environment.dataset.as_ref().map(AsRef::as_ref)
}

fn assert_runs_as_built(environment: &Environment) {
    for (name, workload) in workloads(environment) {
        assert!(workload.live.is_none(), "{name} is live");
        assert!(!workload.needs_init(), "{name} is made for a debugger");
    }
}

#[test]
fn every_profile_says_what_it_is_for_and_is_tested_here() {
    let found = files().glob("profiles/*.yaml").expect("profiles");
    let expected = PROFILES.map(|name| PathBuf::from(format!("profiles/{name}.yaml")));
    assert_eq!(found, expected);
    for profile in found {
        let text = sources::text(&profile);
        assert!(text.starts_with("description: "), "{}", profile.display());
    }
}

#[test]
fn profiles_go_with_each_other_in_every_order_and_every_dataset_goes_with_them() {
    for profiles in combinations() {
        let environment = shop(&profiles);
        for name in DATASETS {
            let name = name.parse().expect("a name");
            let chain = dataset::load(&name, &environment, &files());
            let chain = chain.unwrap_or_else(|f| panic!("{profiles:?}, {name}: {}", said(&f)));
            dataset::hash(&chain, &files()).expect("files that can be read");
        }
    }
}

#[test]
fn every_dataset_says_what_it_is_for_begins_with_base_and_checks_both_stores() {
    let catalogue = dataset::list(&files()).expect("datasets");
    assert_eq!(catalogue.broken, []);
    let found: Vec<&str> = catalogue
        .good
        .iter()
        .map(|good| good.name.as_ref())
        .collect();
    assert_eq!(found, DATASETS);
    for listed in &catalogue.good {
        let name = &listed.name;
        assert!(listed.description.is_some(), "{name}");
        let chain = dataset::load(name, &shop(&[]), &files()).expect("a good dataset");
        let first = chain.iter().next().map(|dataset| dataset.name.as_ref());
        assert_eq!(first, Some("base"), "{name}");
        let asked: BTreeSet<&str> = chain
            .top
            .checks
            .iter()
            .map(|check| check.service.as_ref())
            .collect();
        assert!(STORES.iter().all(|store| asked.contains(store)), "{name}");
    }
}

#[test]
fn the_data_of_base_is_what_the_services_begin_with() {
    let rows = |file: &str| -> Vec<Vec<String>> {
        let text = sources::text(format!("datasets/base/{file}").as_ref());
        let rows = text.lines().skip(1);
        rows.map(|row| row.split(',').map(str::to_owned).collect())
            .collect()
    };
    let source = |path: &str| sources::text(format!("examples/shop/{path}").as_ref());
    let catalog = source("catalog/src/app.py");
    let products = rows("products.csv");
    for row in &products {
        let [sku, name, .., price] = row.as_slice() else {
            panic!("{row:?}");
        };
        let begin = format!("('{sku}', '{name}', '");
        let seeded = catalog.lines().find(|line| line.contains(&begin));
        let end = format!(", {price})");
        assert!(seeded.is_some_and(|line| line.contains(&end)), "{row:?}");
    }
    assert_eq!(products.len(), catalog.matches("            ('").count());
    let inventory = source("inventory/store.go");
    for row in rows("stock.csv") {
        let seed = format!("('{}', {})", row[0], row[1]);
        assert!(inventory.contains(&seed), "{seed}");
    }
    let user = source("user/src/app.py");
    for row in rows("users.csv") {
        let seed = format!("('{}', '{}')", row[0], row[1]);
        assert!(user.contains(&seed), "{seed}");
    }
}

#[test]
fn minimal_is_what_a_checkout_needs_in_little_memory_with_orders_reachable() {
    let Loaded {
        environment,
        notices,
        ..
    } = load(&["minimal"]);
    let wanted = [
        "catalog",
        "inventory",
        "order",
        "payment",
        "postgres",
        "redis",
        "user",
    ];
    assert_eq!(names(&environment), wanted);
    assert_runs_as_built(&environment);
    assert_eq!(exposed(&environment), ["order shop.localhost/orders"]);
    for (name, workload) in workloads(&environment) {
        let most = if name == "postgres" { "256Mi" } else { "128Mi" };
        assert_eq!(
            workload.resources.limit_memory,
            Some(memory(most)),
            "{name}"
        );
        assert_eq!(workload.replicas, 1, "{name}");
    }
    // The shop's own tests go through the page.
    assert!(environment.tasks.is_empty());
    assert!(notices.iter().any(|notice| notice.contains("task `test`")));
    assert_eq!(environment.hooks, shop(&[]).hooks);
}

#[test]
fn integration_tests_have_the_whole_shop_as_built_and_hear_of_failures_within_half_a_minute() {
    let environment = shop(&["integration-test"]);
    let plain = shop(&[]);
    assert_eq!(names(&environment), names(&plain));
    assert_eq!(environment.tasks, plain.tasks);
    assert_eq!(exposed(&environment), exposed(&plain));
    assert_runs_as_built(&environment);
    let within = |service: &Service| service.ready_within == Duration::from_secs(30);
    assert!(environment.services.values().all(within));
    assert_eq!(dataset(&environment), Some("checkout"));
    for (name, workload) in workloads(&environment) {
        assert_eq!(workload.ready, self::workload(&plain, name).ready, "{name}");
    }
}

#[test]
fn a_build_server_runs_the_integration_tests_in_less_memory_and_exposes_nothing() {
    let environment = shop(&["ci"]);
    let tests = shop(&["integration-test"]);
    assert_eq!(names(&environment), names(&tests));
    assert_eq!(environment.tasks, tests.tasks);
    assert_eq!(environment.dataset, tests.dataset);
    assert_runs_as_built(&environment);
    assert!(exposed(&environment).is_empty());
    let of_nodes = |environment: &Environment| environment.cluster.limits.memory.expect("a limit");
    assert!(of_nodes(&environment) < of_nodes(&tests));
    for (name, workload) in workloads(&environment) {
        let limit = |workload: &Workload| workload.resources.limit_memory.expect("a limit");
        assert!(
            limit(workload) < limit(self::workload(&tests, name)),
            "{name}"
        );
        assert!(workload.resources.limit_cpu.is_some(), "{name}");
    }
}

#[test]
fn production_like_has_two_nodes_and_several_bounded_pods_of_all_but_the_stores() {
    let Loaded {
        environment,
        notices,
        ..
    } = load(&["production-like"]);
    assert_eq!(notices, [""; 0]);
    assert_eq!(names(&environment), names(&shop(&[])));
    assert_eq!(environment.cluster.agents, 1);
    assert_eq!(dataset(&environment), Some("large"));
    assert_runs_as_built(&environment);
    for (name, workload) in workloads(&environment) {
        let pods = workload.autoscale.map_or(workload.replicas, |by| by.min);
        if STORES.contains(&name) {
            assert_eq!(pods, 1, "{name}");
        } else {
            assert!((2..=3).contains(&pods), "{name} has {pods}");
        }
        let resources = &workload.resources;
        assert!(
            resources.request_cpu.is_some()
                && resources.request_memory.is_some()
                && resources.limit_cpu.is_some()
                && resources.limit_memory.is_some(),
            "{name}"
        );
    }
    let scaled = workloads(&environment).filter(|(_, workload)| workload.autoscale.is_some());
    let scaled: Vec<&str> = scaled.map(|(name, _)| name).collect();
    assert_eq!(scaled, ["catalog"]);
}

#[test]
fn the_later_of_two_profiles_decides_on_data_and_memory_and_both_on_the_rest() {
    for (profiles, data, most) in [
        (["ci", "production-like"], "large", "256Mi"),
        (["production-like", "ci"], "checkout", "192Mi"),
    ] {
        let environment = shop(&profiles);
        assert_eq!(dataset(&environment), Some(data));
        let order = workload(&environment, "order");
        let memory = Some(memory(most));
        assert_eq!(order.resources.limit_memory, memory, "{profiles:?}");
        assert_eq!(order.replicas, 2, "{profiles:?}");
        assert!(exposed(&environment).is_empty(), "{profiles:?}");
        assert_eq!(environment.cluster.agents, 1, "{profiles:?}");
    }
    let small = shop(&["production-like", "minimal"]);
    assert_eq!(names(&small), names(&shop(&["minimal"])));
    assert_eq!(workload(&small, "order").replicas, 2);
}
