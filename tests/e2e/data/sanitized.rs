//! Copies of data that may leave the machine hold nothing of what rules replace, and fit together.

use std::{io::Read as _, thread::sleep, time::Duration};

use serde_json::{Value, json};

use crate::{
    program::{BASE, Project, Run},
    say,
};

/// What no copy may hold.
const CANARY: &str = "canary-4e1f";
/// Two tables of which one refers to the other twice, rows that were deleted, statistics, another database, an object
/// that is no row; names that are hard to write.
const DATA: &str = r#"
CREATE TABLE customers (id int PRIMARY KEY, email text UNIQUE NOT NULL, card text, number text UNIQUE, "it's; ""so""" text);
CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL REFERENCES customers, mail text REFERENCES customers (email));
CREATE TABLE sessions (token text);
CREATE SCHEMA audit;
CREATE TABLE audit."größe" (mail text, at date);
INSERT INTO customers SELECT i, 'canary-4e1f-' || i || '@example.org', '4111 1111 1111 ' || lpad(i::text, 4, '0'), '030-' || lpad(i::text, 5, '0'), 'canary-4e1f ''' || i
    FROM generate_series(1, 400) AS i;
INSERT INTO orders SELECT i, 1 + i % 400, 'canary-4e1f-' || 1 + i % 400 || '@example.org' FROM generate_series(1, 1000) AS i;
INSERT INTO sessions SELECT 'canary-4e1f-' || i FROM generate_series(1, 50) AS i;
INSERT INTO audit."größe" SELECT email, now() FROM customers;
INSERT INTO customers SELECT i, 'canary-4e1f-gone-' || i, NULL, NULL, NULL FROM generate_series(1000, 1200) AS i;
DELETE FROM customers WHERE id >= 1000;
ANALYZE;
SELECT lo_from_bytea(0, 'canary-4e1f');
"#;
const RULES: &str = r#"services:
  postgres:
    database: shop
    user: shop
    tables:
      customers:
        sample: { percent: 50 }
        columns:
          email: email
          card: { mask: { keepLast: 4 } }
          number: digits
          "it's; \"so\"": hash
      audit.größe:
        columns: { mail: email }
    keep: [orders]
    empty: [sessions]
"#;

fn manifest() -> String {
    "services:
  postgres:
    build: examples/shop/postgres
    ports: [5432]
    volumes: [{ name: data, path: /var/lib/postgresql/data, size: 1Gi }]
    ready: { command: [pg_isready, -U, shop], within: 60s }
  notes:
    build: notes
    command: [sh, -c, 'echo canary-4e1f > /data/kept; exec sleep infinity']
    volumes: [{ name: data, path: /data, size: 64Mi }]
"
    .to_owned()
}

struct Stage {
    project: Project,
}

impl Stage {
    fn up() -> Self {
        let project = Project::new("sanitize", &manifest());
        project.copy("examples/shop/postgres");
        project.write("notes/Dockerfile", &format!("FROM {BASE}\n"));
        project.devenv(&["up"]).assert_code(0);
        let stage = Self { project };
        let words = [
            "exec",
            "postgres",
            "--",
            "psql",
            "-U",
            "shop",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
        ];
        let filled = stage.project.devenv_fed(&words, DATA.as_bytes());
        filled.assert_code(0);
        stage.asks("CREATE DATABASE canary_other");
        stage
    }

    /// What the database answers, a line a row.
    #[track_caller]
    fn asks(&self, query: &str) -> String {
        let words = [
            "exec", "postgres", "--", "psql", "-U", "shop", "-Atc", query,
        ];
        let answer = self.project.devenv(&words).assert_code(0).stdout.clone();
        answer.trim().to_owned()
    }

    #[track_caller]
    fn snapshot(&self, words: &[&str]) -> Run {
        self.project.devenv(&[&["snapshot"], words].concat())
    }

    /// Whether a file that was exported holds the canary, anywhere in what it was before it was compressed.
    fn holds_canary(&self, file: &str) -> bool {
        let bytes = devenv::adapters::files::read(&self.project.directory().join(file)).unwrap();
        let decoder = zstd::Decoder::new(&bytes[..]).unwrap();
        let mut all = Vec::new();
        decoder.single_frame().read_to_end(&mut all).unwrap();
        assert!(
            all.len() > 1 << 20,
            "a database is larger than {}",
            all.len()
        );
        let mut windows = all.windows(CANARY.len());
        windows.any(|window| window.eq_ignore_ascii_case(CANARY.as_bytes()))
    }

    /// Copies that are left in the node, and pods that work on them.
    fn left(&self) -> (String, Vec<String>) {
        let node = format!("k3d-{}-server-0", self.project.cluster_name());
        let script = "ls /var/lib/devenv/volumes/.exchange 2>/dev/null || true";
        let listed = self
            .project
            .run("docker", &["exec", &node, "sh", "-c", script]);
        let pods = self.project.pods().into_iter();
        let pods = pods.filter(|name| name.starts_with("sanitize-")).collect();
        (listed.assert_code(0).stdout.clone(), pods)
    }

    /// Whether the canary is in any file of a volume, as the node has them.
    fn has_canary_in_volume(&self, service: &str) -> bool {
        let node = format!("k3d-{}-server-0", self.project.cluster_name());
        let place = format!("/var/lib/devenv/volumes/{service}");
        let words = ["exec", &node, "grep", "-rqi", CANARY, &place];
        let searched = self.project.run("docker", &words);
        assert!(matches!(searched.code, Some(0 | 1)), "{searched}");
        searched.code == Some(0)
    }

    /// Whether a script in the pod of the notes ends well.
    fn notes(&self, script: &str) -> bool {
        let words = ["exec", "notes", "--", "sh", "-c", script];
        self.project.devenv(&words).code == Some(0)
    }

    #[track_caller]
    fn nothing_is_left(&self) {
        assert_eq!(self.left(), (String::new(), Vec::new()));
    }
}

#[test]
fn a_sanitised_copy_holds_nothing_of_what_was_replaced_and_fits_together() {
    let stage = Stage::up();
    let save = ["save", "production", "--note", CANARY];
    stage.snapshot(&save).assert_code(0);
    mistakes_in_rules_are_told_with_their_lines(&stage);
    whoever_is_killed_leaves_nothing_that_the_next_command_does_not_remove(&stage);
    nothing_of_the_old_values_is_in_the_file(&stage);
    the_copy_fits_together(&stage);
    what_is_restored_by_rules_is_never_there_as_it_was(&stage);
    stage.project.end();
}

fn mistakes_in_rules_are_told_with_their_lines(stage: &Stage) {
    let export = [
        "export",
        "production",
        "safe.tar.zst",
        "--sanitize",
        "rules.yaml",
    ];
    let rules = RULES.replace("card:", "crad:");
    stage
        .project
        .write("rules.yaml", &rules.replace("    empty: [sessions]\n", ""));
    let refused = stage.snapshot(&export).assert_code(3);
    refused.assert_says(&[
        "rules.yaml:10",
        "there is no column `crad`",
        "rules.yaml:2",
        "`sessions`",
    ]);
    stage
        .project
        .write("rules.yaml", &RULES.replace("postgres:", "postgers:"));
    let refused = stage.snapshot(&export).assert_code(3);
    refused.assert_says(&["rules.yaml:2", "did you mean `postgres`"]);
    let not_a_database = "services: { notes: { database: shop } }\n";
    stage.project.write("rules.yaml", not_a_database);
    let refused = stage.snapshot(&export).assert_code(7);
    refused.assert_says(&["sanitize.not-postgres"]);
    assert!(!stage.project.directory().join("safe.tar.zst").exists());
    stage.nothing_is_left();
    stage.project.write("rules.yaml", RULES);
}

fn whoever_is_killed_leaves_nothing_that_the_next_command_does_not_remove(stage: &Stage) {
    let words = [
        "snapshot",
        "export",
        "production",
        "killed.tar.zst",
        "--sanitize",
        "rules.yaml",
    ];
    let mut exporting = stage.project.running(&words);
    assert!(exporting.until_it_says_or_ends("started  load what is left"));
    // The moment of the fault: the second pod is there.
    sleep(Duration::from_secs(1));
    exporting.kill_at_last();
    let (directories, pods) = stage.left();
    assert_eq!(
        (directories.lines().count(), pods.len()),
        (2, 2),
        "{pods:?}"
    );
    stage.snapshot(&["save", "afterwards"]).assert_code(0);
    stage.nothing_is_left();
    assert!(!stage.project.directory().join("killed.tar.zst").exists());
}

fn nothing_of_the_old_values_is_in_the_file(stage: &Stage) {
    assert!(stage.has_canary_in_volume("postgres"));
    stage
        .snapshot(&["export", "production", "raw.tar.zst"])
        .assert_code(0);
    assert!(stage.holds_canary("raw.tar.zst"), "it is not searched well");
    let words = [
        "export",
        "production",
        "safe.tar.zst",
        "--sanitize",
        "rules.yaml",
        "-o",
        "json",
    ];
    let exported = stage.snapshot(&words).assert_code(0).json();
    say(&format!(
        "           sanitised and exported in {:.1} s",
        exported["totalSeconds"].as_f64().unwrap()
    ));
    assert!(!stage.holds_canary("safe.tar.zst"));
    stage.nothing_is_left();
    let report = &exported["sanitized"];
    assert_eq!(report["leftOut"], json!(["notes"]));
    let database = &report["databases"][0];
    assert_eq!(database["leftOut"], json!(["canary_other"]));
    assert_eq!(database["largeObjectsLeftOut"], true);
    let orders = table(database, "orders");
    let mail = &orders["columns"][0];
    assert_eq!(
        (&mail["change"], &mail["follows"]),
        (&json!("email"), &json!("customers.email"))
    );
    assert_eq!(orders["rowsBefore"], 1000);
    assert_eq!(mail["values"], orders["rows"]);
    let customers = table(database, "customers");
    assert_eq!(
        (&customers["rowsBefore"], &customers["unchanged"]),
        (&json!(400), &json!(["id"]))
    );
    assert_eq!(table(database, "sessions")["rows"], 0);
    let rows = stage.asks("SELECT count(*) FROM customers WHERE email LIKE 'canary%'");
    assert_eq!(rows, "400", "the environment's own data is as it was");
}

fn table<'r>(database: &'r Value, name: &str) -> &'r Value {
    let mut tables = database["tables"].as_array().unwrap().iter();
    tables.find(|table| table["table"] == name).unwrap()
}

fn what_is_restored_by_rules_is_never_there_as_it_was(stage: &Stage) {
    assert!(stage.notes("echo own > /data/own"));
    let words = |rules| ["restore", "production", "--sanitize", rules, "--yes"];
    let refused = stage.snapshot(&words("none.yaml")).assert_code(3);
    refused.assert_says(&["none.yaml"]);
    let restored = stage.snapshot(&[&words("rules.yaml")[..], &["-o", "json"]].concat());
    let restored = restored.assert_code(0).json();
    assert_eq!(restored["restored"], json!(["postgres/data"]));
    let report = &restored["sanitized"];
    assert_eq!(report["leftOut"], json!(["notes"]));
    assert_eq!(
        table(&report["databases"][0], "customers")["rowsBefore"],
        400
    );
    stage.nothing_is_left();
    it_fits_together(stage);
    assert!(!stage.has_canary_in_volume("postgres"));
    assert!(stage.notes("grep own /data/own"), "no rule names them");
    // What the rules keep comes back as it is, and a snapshot with all of it is there as before.
    stage
        .project
        .write("rules.yaml", &format!("{RULES}keep: [notes]\n"));
    stage.snapshot(&words("rules.yaml")).assert_code(0);
    assert!(stage.notes("[ ! -e /data/own ]"));
    stage.snapshot(&["verify", "production"]).assert_code(0);
    stage.nothing_is_left();
}

fn the_copy_fits_together(stage: &Stage) {
    let import = ["import", "safe.tar.zst", "--name", "safe"];
    stage.snapshot(&import).assert_code(0);
    stage
        .snapshot(&["show", "safe"])
        .assert_code(0)
        .assert_says(&["sanitised"]);
    stage.snapshot(&["restore", "safe", "--yes"]).assert_code(0);
    it_fits_together(stage);
}

/// The data is that of the snapshot, by the rules.
fn it_fits_together(stage: &Stage) {
    let customers: u32 = stage
        .asks("SELECT count(*) FROM customers")
        .parse()
        .unwrap();
    assert!((120..280).contains(&customers), "half of 400: {customers}");
    let lost = "SELECT count(*) FROM orders o LEFT JOIN customers c ON c.id = o.customer AND c.email = o.mail WHERE c.id IS NULL";
    assert_eq!(stage.asks(lost), "0");
    let orders: u32 = stage.asks("SELECT count(*) FROM orders").parse().unwrap();
    assert!(
        (300..700).contains(&orders),
        "those of half of the customers: {orders}"
    );
    let known = "SELECT count(*) FROM audit.\"größe\" JOIN customers ON email = mail";
    assert_eq!(
        stage.asks(known),
        customers.to_string(),
        "the same mail became the same"
    );
    assert_eq!(stage.asks("SELECT count(*) FROM audit.\"größe\""), "400");
    assert_eq!(
        stage.asks("SELECT count(DISTINCT card) FROM customers WHERE card ~ '^\\*{15}[0-9]{4}$'"),
        customers.to_string()
    );
    let numbers =
        "SELECT count(DISTINCT number) FROM customers WHERE number ~ '^[0-9]{3}-[0-9]{5}$'";
    assert_eq!(stage.asks(numbers), customers.to_string());
    assert_eq!(stage.asks("SELECT count(*) FROM sessions"), "0");
    stage.asks("INSERT INTO orders VALUES (5000, (SELECT min(id) FROM customers))");
}
