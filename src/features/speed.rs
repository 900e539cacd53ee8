//! A large manifest loads and is planned fast enough not to be noticed.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use crate::{
    domain::{
        Observed,
        testing::{achieved, desired},
    },
    manifest::testing::{MemoryFiles, render},
    plan::{Selection, plan},
};

const SERVICES: usize = 1_000;
/// What is promised of a build that is shipped; one that is made for tests only has to be far below anything quadratic.
const BOUND: Duration = Duration::from_millis(if cfg!(debug_assertions) { 10_000 } else { 150 });
/// Other work on the machine makes one of them slow, and not all.
const TRIES: usize = 5;

fn thousand_services() -> String {
    let mut text = "apiVersion: devenv/v1\nname: large\nservices:\n".to_owned();
    for n in 0..SERVICES {
        let below = n.saturating_sub(1);
        let depends_on = if n == 0 {
            String::new()
        } else {
            format!("s{below}")
        };
        writeln!(
            text,
            "  s{n}:\n    build: {{ context: services/s, target: dev }}\n    ports: [{{ name: http, port: 8080 }}]\n    \
             expose: {{ host: shop.localhost, path: /s{n} }}\n    env: {{ A: 1, B: two, C: \"3\", D: no }}\n    \
             dependsOn: [{depends_on}]\n    ready: {{ http: /healthz, within: 60s }}\n    \
             resources: {{ requests: {{ cpu: 50m }} }}\n    replicas: 1"
        )
        .unwrap();
    }
    text
}

#[test]
fn a_thousand_services_are_loaded_resolved_and_planned_in_no_time() {
    let files = MemoryFiles::with_manifest(&thousand_services()).file("services/s/Dockerfile", "");
    let mut best = Duration::MAX;
    for _ in 0..TRIES {
        let start = Instant::now();
        let loaded = files.load().map_err(|f| render(&f)).unwrap();
        let mut took = start.elapsed();
        let environment = loaded.environment;
        assert_eq!(environment.services.len(), SERVICES);
        // What it comes to is hashed from the contexts, however large those are.
        let wanted = desired(&environment, "1");
        let start = Instant::now();
        let from_nothing = plan(&environment, &Selection::All, &wanted, &Observed::nothing());
        took += start.elapsed();
        assert!(from_nothing.steps.len() > 3 * SERVICES);
        let again = plan(&environment, &Selection::All, &wanted, &achieved(&wanted));
        assert!(again.is_empty());
        best = best.min(took);
    }
    assert!(best < BOUND, "{best:?}");
}
