//! A large manifest loads fast enough not to be noticed.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use crate::manifest::testing::{MemoryFiles, render};

const SERVICES: usize = 1_000;
/// Far above what is measured, so that a busy machine does not matter, and far below anything quadratic.
const BOUND: Duration = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 1 });

#[test]
fn a_thousand_services_load_in_no_time() {
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
    let files = MemoryFiles::with_manifest(&text).file("services/s/Dockerfile", "");
    let start = Instant::now();
    let loaded = files.load().map_err(|f| render(&f)).unwrap();
    let took = start.elapsed();
    assert_eq!(loaded.environment.services.len(), SERVICES);
    assert!(took < BOUND, "{took:?}");
}
