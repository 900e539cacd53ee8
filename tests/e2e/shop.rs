//! The example shop, from an empty machine to nothing left, as its README tells it.

mod qa;
mod snapshots;

use std::time::Duration;

use crate::program::{Project, Run, text_of};

/// The services that the shop is made of, with its database and its cache.
const SERVICES: [&str; 10] = [
    "catalog",
    "gateway",
    "inventory",
    "order",
    "payment",
    "postgres",
    "recommendation-api",
    "redis",
    "user",
    "web",
];

#[test]
fn the_shop_lives_is_changed_stopped_started_ended_and_brought_back_with_its_data() {
    let shop = Shop::new();
    let run = &shop.project;

    run.devenv(&["plan", "--exit-code"])
        .assert_code(10)
        .assert_says(&["create the cluster", "deploy payment"]);
    assert_eq!(run.left_behind(), "", "a plan makes nothing");

    let up = run.devenv(&["up", "-o", "json"]).assert_code(0);
    let up = up.assert_within(Duration::from_mins(5));
    assert_eq!(ready_services(&up), SERVICES);
    assert_ne!(shop.layers_fetched_by_its_node(), "");

    shop.sells();
    shop.passes_its_own_tests();
    shop.sells_while_snapshots_are_made();
    shop.is_tested_the_same_way_every_time();
    shop.has_nothing_to_do();
    shop.deploys_only_what_changed();
    shop.stops_and_starts();
    shop.comes_back_with_its_data();
    shop.project.end();
}

/// A copy of the shop, to be edited.
struct Shop {
    project: Project,
}

impl Shop {
    fn new() -> Self {
        let project = Project::empty("shop");
        project.copy("examples/shop");
        project.copy("datasets");
        let manifest = text_of("devenv.example.yaml");
        let ports = project.ports;
        let manifest = manifest
            .replace("\nname: shop\n", "\nname: e2e-shop\n")
            .replace(
                "http: 8080, https: 8443",
                &format!("http: {}, https: {}", ports.http, ports.https),
            )
            .replace("{ port: 5050 }", &format!("{{ port: {} }}", ports.registry));
        project.write("devenv.yaml", &manifest);
        Self { project }
    }

    /// Asks the shop's front door.
    fn ask(&self, arguments: &[&str], path: &str) -> Run {
        let url = format!("http://127.0.0.1:{}{path}", self.project.ports.http);
        let mut words = vec!["-sS", "--max-time", "20", "-H", "Host: shop.localhost"];
        words.extend(arguments);
        words.push(&url);
        self.project.run("curl", &words).assert_code(0)
    }

    fn rows(&self, table: &str) -> u32 {
        let query = format!("select count(*) from {table}");
        let sql = [
            "exec", "postgres", "--", "psql", "-U", "shop", "-Atc", &query,
        ];
        let answer = self.project.devenv(&sql).assert_code(0);
        answer.stdout.trim().parse().unwrap()
    }

    /// An order through the gateway takes stock and money, and the page shows it.
    fn sells(&self) {
        let json = "Content-Type: application/json";
        let stock = r#"{"quantity":7}"#;
        self.ask(&["-X", "PUT", "-H", json, "-d", stock], "/api/stock/mug");
        let (orders, payments) = (self.rows("orders"), self.rows("payments"));
        let order = r#"{"userId":1,"items":[{"sku":"mug","quantity":2}]}"#;
        let placed = self.ask(&["-X", "POST", "-H", json, "-d", order], "/api/orders");
        let id = placed.json()["id"].to_string();
        assert_eq!(
            (self.rows("orders"), self.rows("payments")),
            (orders + 1, payments + 1)
        );
        let left = self.ask(&[], "/api/stock/mug");
        assert_eq!(left.json()["available"], 5, "{left}");
        let page = self.ask(&[], "/");
        let shown = format!("data-order=\"{}\"", id.trim_matches('"'));
        assert!(page.stdout.contains(&shown), "{shown}\n{page}");
    }

    fn passes_its_own_tests(&self) {
        self.project
            .devenv(&[
                "exec",
                "test",
                "--copy-out",
                "/results/junit.xml:reports",
                "--",
                "npm",
                "run",
                "integration",
            ])
            .assert_code(0)
            .assert_says(&["fail 0"]);
        let results = self.project.read("reports/junit.xml");
        assert!(results.contains("failures=\"0\""), "{results}");
    }

    fn has_nothing_to_do(&self) {
        let again = self.project.devenv(&["up"]).assert_code(0);
        let again = again.assert_says(&["nothing to do"]);
        again.assert_within(Duration::from_millis(400));
        self.project.devenv(&["plan", "--exit-code"]).assert_code(0);
    }

    fn deploys_only_what_changed(&self) {
        let before = self.project.pods();
        let app = "examples/shop/payment/src/app.py";
        let changed = format!("{}\n# Changed by the test.\n", self.project.read(app));
        self.project.write(app, &changed);
        let plan = self.project.devenv(&["plan", "-o", "json"]).assert_code(0);
        let steps = plan.json()["steps"].as_array().unwrap().clone();
        assert!(!steps.is_empty());
        for step in &steps {
            assert_eq!(step["service"], "payment", "{plan}");
        }
        self.project.devenv(&["up"]).assert_code(0);
        let after = self.project.pods();
        let kept = |pod: &&String| after.contains(pod);
        let gone: Vec<&String> = before.iter().filter(|pod| !kept(pod)).collect();
        assert_eq!(gone.len(), 1, "{gone:?}");
        assert!(gone[0].starts_with("payment-"), "{gone:?}");
        self.project.devenv(&["plan", "--exit-code"]).assert_code(0);
    }

    fn stops_and_starts(&self) {
        let orders = self.rows("orders");
        self.project.devenv(&["stop"]).assert_code(0);
        let start = self.project.devenv(&["start"]).assert_code(0);
        start.assert_within(Duration::from_secs(20));
        assert_eq!(self.rows("orders"), orders);
        self.ask(&["--fail"], "/api/products");
        self.project.devenv(&["plan", "--exit-code"]).assert_code(0);
    }

    fn comes_back_with_its_data(&self) {
        let orders = self.rows("orders");
        self.project.devenv(&["down"]).assert_code(0);
        let again = self.project.devenv(&["up"]).assert_code(0);
        again.assert_within(Duration::from_secs(45));
        assert_eq!(self.rows("orders"), orders);
        self.ask(&["--fail"], "/");
        assert_eq!(self.layers_fetched_by_its_node(), "", "it kept them all");
    }

    /// What the node's container runtime stored since the node was made, one a line.
    fn layers_fetched_by_its_node(&self) -> String {
        let server = format!("k3d-{}-server-0", self.project.cluster_name());
        let layers = "/var/lib/rancher/k3s/agent/containerd/io.containerd.content.v1.content/blobs";
        // Docker writes it when the container is made.
        let since = ["-newer", "/etc/hostname", "-type", "f"];
        let find = [&["exec", &server, "find", layers], since.as_slice()].concat();
        self.project.run("docker", &find).assert_code(0).stdout
    }
}

fn ready_services(up: &Run) -> Vec<String> {
    let report = up.json();
    let services = report["services"].as_array().unwrap().iter();
    let ready = services.filter(|service| service["state"] == "ready");
    ready
        .map(|service| service["name"].as_str().unwrap().to_owned())
        .collect()
}
