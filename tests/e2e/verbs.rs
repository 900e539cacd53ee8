//! The verbs on one small project, whose services come from an image, a chart and manifests.

mod validate;

use devenv::adapters::files;
use serde_json::{Value, json};

use crate::program::{BASE, Project, Run, text_of};

const SECRET: &str = "e2e-verbs-hidden";

/// Answers every request with the greeting it was given.
const SERVER: &str = r#"use IO::Socket; $| = 1; $SIG{TERM} = sub { exit 0 };
my $s = IO::Socket::INET->new(LocalPort => 3000, Listen => 20, ReuseAddr => 1) or die $!;
print "serving with $ENV{TOKEN}\n";
while (my $c = $s->accept) {
    while (<$c>) { last if /^\r?$/ }
    my $b = "$ENV{GREETING} $ENV{LOCAL}\n";
    print $c "HTTP/1.0 200 OK\r\nContent-Length: " . length($b) . "\r\n\r\n$b"; close $c;
}
"#;

const SERVICES: &str = r#"hooks: { beforeDown: [{ command: [sh, -c, "echo saved > farewell.txt"] }] }
services:
  db:
    build: image
    command: [sh, -c, "echo kept > /data/file; exec sleep infinity"]
    volumes: [{ name: data, path: /data, size: 10Mi }]
  web:
    build: image
    command: [perl, /server.pl]
    ports: [3000]
    expose: verbs.localhost
    env: { GREETING: hello, LOCAL: none }
    secrets: [.env.web]
    dependsOn: [db]
    ready: { http: / }
    resources: { requests: { cpu: 10m, memory: 16Mi }, limits: { memory: 64Mi } }
  auto:
    build: image
    command: [sleep, infinity]
    resources: { requests: { cpu: 10m } }
    autoscale: { min: 1, max: 2, cpu: 70 }
"#;

const OTHERS: &str = r"  search: { chart: { path: charts/search, values: { greeting: from-the-manifest } } }
  legacy: { manifests: [k8s/*.yaml] }
";

/// A workload of the user's own, of the image that devenv pushed for `db`.
fn workload(name: &str, image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: {name} }}\nspec:\n\
         \x20 selector: {{ matchLabels: {{ app: {name} }} }}\n\
         \x20 template:\n\
         \x20   metadata: {{ labels: {{ app: {name} }} }}\n\
         \x20   spec:\n\
         \x20     terminationGracePeriodSeconds: 0\n\
         \x20     containers: [{{ name: {name}, image: {image:?}, command: [sleep, infinity] }}]\n"
    )
}

#[test]
fn every_verb_does_what_its_help_says() {
    let mut project = Project::new("verbs", SERVICES);
    // Also on a machine whose disk does not clone files.
    project.settings("volumes: directory");
    project.trust();
    project.write("image/Dockerfile", &format!("FROM {BASE}\nCOPY . /\n"));
    project.write("image/server.pl", SERVER);
    project.write(".env.web", &format!("TOKEN={SECRET}\n"));
    project.write(
        "profiles/small.yaml",
        "only: [web]\nservices: { web: { env: { GREETING: small } } }\n",
    );
    let absent = status(&project, &[], 5);
    assert_eq!(absent["clusterState"], "absent");

    only_what_is_named_and_what_it_needs_comes_up(&project);
    layers_reach_the_cluster(&project);
    the_history_tells_what_was_done_and_how_it_ended(&project);
    charts_and_manifests_are_deployed(&project);
    nothing_is_deployed_that_the_policy_forbids(&project);
    validate::what_would_not_come_up_is_found_before_it_is_made(&project);
    figures_are_within_what_the_manifest_allows(&project);
    a_restart_replaces_the_pods_of_one_service(&project);
    a_scale_holds_over_an_up(&project);
    a_key_that_is_changed_says_what_it_takes(&project);
    an_address_is_opened_and_answers(&mut project);
    what_leaves_the_manifest_leaves_the_cluster(&project);
    other_settings_of_the_cluster_are_told_and_hide_nothing(&project);
    a_stopped_environment_is_a_state(&project);
    hooks_run_before_anything_is_removed(&project);
    images_go_whatever_port_their_registry_had(&mut project);
    images_go_without_the_data(&project);
    project.end();
}

fn only_what_is_named_and_what_it_needs_comes_up(project: &Project) {
    let up = project.devenv(&["up", "--services", "web", "-o", "json"]);
    let up = valid(&up.assert_code(0), "up");
    assert_eq!(names(&up["services"]), ["db", "web"]);
    let status = status(project, &[], 0);
    assert_eq!(
        states(&status),
        [("auto", "absent"), ("db", "ready"), ("web", "ready")]
            .map(|(name, state)| (name.to_owned(), state.to_owned()))
    );
    let token = [
        "exec",
        "web",
        "--",
        "sh",
        "-c",
        "test $TOKEN = e2e-verbs-hidden",
    ];
    project.devenv(&token).assert_code(0);
}

fn layers_reach_the_cluster(project: &Project) {
    assert_eq!(greeting(project), "hello none");
    project.write(
        "devenv.local.yaml",
        "services: { web: { env: { LOCAL: mine } } }\n",
    );
    project.devenv(&["up", "-p", "small"]).assert_code(0);
    assert_eq!(greeting(project), "small mine");
    let set = ["up", "web", "--set", "services.web.env.GREETING=set"];
    project.devenv(&set).assert_code(0);
    assert_eq!(greeting(project), "set mine");
}

fn the_history_tells_what_was_done_and_how_it_ended(project: &Project) {
    let fails = ["up", "--set", "cluster.ports.http=18499"];
    project.devenv(&fails).assert_code(5);
    let history = ["history", "--command", "up", "-o", "json"];
    let history = valid(&project.devenv(&history).assert_code(0), "history");
    let runs = history["runs"].as_array().unwrap();
    let told: Vec<(&str, &str)> = runs
        .iter()
        .map(|run| (&run["result"], &run["changed"]))
        .map(|(result, changed)| (result.as_str().unwrap(), changed.as_str().unwrap()))
        .collect();
    let expected = [
        ("failed", ""),
        ("succeeded", "web (settings)"),
        ("succeeded", "web (settings)"),
        ("succeeded", "+db, +web"),
    ];
    assert_eq!(told, expected, "{history:#}");
    assert_eq!(runs[0]["codes"][0], "cluster.settings-changed");
    let id = |run: usize| runs[run]["id"].as_str().unwrap();
    let diff = ["diff", id(3), id(1), "-o", "json"];
    let diff = valid(&project.devenv(&diff).assert_code(0), "diff");
    let greeting = serde_json::json!(
        { "key": "services.web.env.GREETING", "before": "hello", "after": "set" });
    assert!(
        diff["keys"].as_array().unwrap().contains(&greeting),
        "{diff:#}"
    );
    assert_eq!(diff["services"], serde_json::json!([]));
    let show = ["history", "show", id(3), "-o", "json"];
    let show = valid(&project.devenv(&show).assert_code(0), "history-show");
    assert!(show["steps"].as_array().unwrap().len() > 4, "{show:#}");
}

fn charts_and_manifests_are_deployed(project: &Project) {
    let status = status(project, &[], 0);
    let image = &service(&status, "db")["images"][0];
    let image = image.as_str().unwrap();
    project.write(
        "charts/search/Chart.yaml",
        "apiVersion: v2\nname: search\nversion: 0.1.0\n",
    );
    project.write("charts/search/values.yaml", "greeting: from-the-chart\n");
    let chart = workload("search", image);
    project.write("charts/search/templates/search.yaml", &chart);
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: search }\n\
                  data: { greeting: {{ .Values.greeting | quote }} }\n";
    project.write("charts/search/templates/config.yaml", config);
    project.write("k8s/legacy.yaml", &workload("legacy", image));
    // The image that devenv pushed is one that can be named.
    let image = format!("  copy: {{ image: {image:?}, command: [sleep, infinity] }}\n");
    project.manifest(&format!("{SERVICES}{OTHERS}{image}"));
    project.devenv(&["up"]).assert_code(0);
    let status = self::status(project, &[], 0);
    for (name, state) in states(&status) {
        assert_eq!(state, "ready", "{name}: {status:#}");
    }
    assert_eq!(names(&status["services"]).len(), 6);
    let greeting = field(project, "configmap/search", "{.data.greeting}");
    assert_eq!(greeting, "from-the-manifest");
    let bounds = field(
        project,
        "hpa/auto",
        "{.spec.minReplicas} {.spec.maxReplicas}",
    );
    assert_eq!(bounds, "1 2");
    project.devenv(&["plan", "--exit-code"]).assert_code(0);
}

fn nothing_is_deployed_that_the_policy_forbids(project: &Project) {
    let template = "charts/search/templates/search.yaml";
    let good = project.read(template);
    let pod = "      terminationGracePeriodSeconds: 0\n";
    project.write(
        template,
        &good.replace(pod, &format!("{pod}      hostNetwork: true\n")),
    );
    project.write("policy.yaml", "forbid: [hostNetwork]\n");
    let refused = project.devenv(&["up"]).assert_code(3);
    refused.assert_says(&["policy.broken", "search", "`hostNetwork`", "policy.yaml:1"]);
    let of_pods = "{.spec.template.spec.hostNetwork}";
    assert_eq!(field(project, "deployment/search", of_pods), "");
    // What the manifest alone breaks is known before anything is done; who only looks is let be.
    project.write("policy.yaml", "images: { pinned: digest }\n");
    let refused = project.devenv(&["up"]).assert_code(3);
    refused.assert_says(&["images.pinned", "copy", "devenv.yaml:"]);
    status(project, &[], 0);
    project.write("policy.yaml", "# Everything is allowed again.\n");
    project.write(template, &good);
    project.devenv(&["plan", "--exit-code"]).assert_code(0);
}

/// What the cluster holds at a JSON path of an object.
fn field(project: &Project, object: &str, path: &str) -> String {
    let output = format!("jsonpath={path}");
    let found = project
        .kubectl(&["get", object, "-o", &output])
        .assert_code(0);
    found.stdout
}

fn figures_are_within_what_the_manifest_allows(project: &Project) {
    let status = status(project, &["--resources"], 0);
    let used = &service(&status, "web")["resources"];
    assert_eq!(used["cpuRequestMillis"], 10);
    assert_eq!(used["memoryRequestBytes"], 16 << 20);
    assert_eq!(used["memoryLimitBytes"], 64 << 20);
    let memory = used["memoryBytes"].as_u64().unwrap();
    assert!((1..64 << 20).contains(&memory), "{used}");
    assert!(used["cpuMillis"].is_u64(), "{used}");
    let node = &status["nodes"][0];
    let of_node = node["memoryBytes"].as_u64().unwrap();
    // What a service uses is part of what its node uses, with all of Kubernetes beside it.
    assert!(of_node > memory + (64 << 20), "{node}");
    assert!(
        node["memoryRequestBytes"].as_u64().unwrap() >= 16 << 20,
        "{node}"
    );
    assert_eq!(status["notFitting"], json!([]));
}

fn a_restart_replaces_the_pods_of_one_service(project: &Project) {
    let before = project.pods();
    let restarted = project.devenv(&["restart", "web", "-o", "json"]);
    valid(&restarted.assert_code(0), "restart");
    let after = project.pods();
    let gone: Vec<&String> = before.iter().filter(|pod| !after.contains(pod)).collect();
    assert!(gone.len() == 1 && gone[0].starts_with("web-"), "{gone:?}");
    assert_eq!(before.len(), after.len());
}

fn a_scale_holds_over_an_up(project: &Project) {
    let scaled = project.devenv(&["scale", "db=0", "copy=2", "-o", "json"]);
    let scaled = valid(&scaled.assert_code(0), "scale");
    assert_eq!(names(&scaled["services"]), ["copy", "db"]);
    project
        .devenv(&["history", "-n", "1"])
        .assert_code(0)
        .assert_says(&["copy (pods 1 -> 2)"]);
    let up = project.devenv(&["up", "-o", "json"]).assert_code(0);
    let up = up.json();
    assert_eq!(up["steps"]["done"], 0, "{up:#}");
    let diff = project.devenv(&["diff", "last"]).assert_code(0);
    diff.assert_says(&["nothing differs"]);
    assert_eq!(service(&up, "db")["state"], "stopped");
    let status = status(project, &[], 0);
    assert_eq!(service(&status, "copy")["replicas"]["ready"], 2);
    assert_eq!(service(&status, "db")["state"], "stopped");
    project
        .devenv(&["exec", "db", "--", "true"])
        .assert_code(6)
        .assert_says(&["it is scaled to 0", "devenv scale db=1"]);
    let manifest = project.read("devenv.yaml");
    let line = manifest.lines().position(|line| line.contains("autoscale"));
    let place = format!("devenv.yaml:{}:5", line.unwrap() + 1);
    project
        .devenv(&["scale", "auto=2"])
        .assert_code(2)
        .assert_says(&["it has `autoscale`", &place]);
    for wrong in ["db=-1", "db", "db=1001"] {
        project.devenv(&["scale", wrong]).assert_code(2);
    }
    project.devenv(&["scale", "db=1"]).assert_code(0);
}

fn a_key_that_is_changed_says_what_it_takes(project: &Project) {
    let manifest = project.read("devenv.yaml");
    let set = [
        "config",
        "set",
        "services.web.env.GREETING=hi",
        "-o",
        "json",
    ];
    let set = valid(&project.devenv(&set).assert_code(0), "config-change");
    assert_eq!(set["isRunning"], true, "{set:#}");
    let steps = set["effects"].as_array().unwrap().iter();
    let steps: Vec<&str> = steps.map(|step| step["id"].as_str().unwrap()).collect();
    assert_eq!(steps, ["deploy:web", "ready:web", "reach:web"]);
    let changed = manifest.replace("GREETING: hello", "GREETING: hi");
    assert_eq!(project.read("devenv.yaml"), changed);
    let other = ["config", "set", "cluster.ports.https=18498"];
    let other = project.devenv(&other).assert_code(0);
    other.assert_says(&["it has no effect yet", "settings"]);
    project.write("devenv.yaml", &manifest);
    let same = ["config", "set", "services.web.env.GREETING=hello"];
    let same = project.devenv(&same).assert_code(0);
    same.assert_says(&["nothing that runs needs to change"]);
    assert_eq!(project.read("devenv.yaml"), manifest);
}

fn an_address_is_opened_and_answers(project: &mut Project) {
    let kubeconfig = project.devenv(&["kubeconfig"]).assert_code(0);
    assert_eq!(
        kubeconfig.stdout.trim(),
        project.kubeconfig().to_str().unwrap()
    );
    // A browser that writes down where it was sent.
    project.write(
        "browser",
        "#!/bin/sh\nprintf %s \"$1\" > \"$(dirname \"$0\")/opened\"\n",
    );
    project.run("chmod", &["+x", "browser"]).assert_code(0);
    let browser = project.directory().join("browser");
    project.set("BROWSER", browser.to_str().unwrap());
    let open = project
        .devenv(&["open", "web", "-o", "json"])
        .assert_code(0);
    let open = valid(&open, "open");
    assert_eq!(open["opened"], true);
    assert_eq!(open["url"], project.read("opened"));
    assert_eq!(greeting(project), "hello mine");
}

fn what_leaves_the_manifest_leaves_the_cluster(project: &Project) {
    project.manifest(&format!("{SERVICES}{OTHERS}"));
    let plan = project.devenv(&["plan", "-o", "json"]).assert_code(0);
    let plan = valid(&plan, "plan");
    assert_eq!(plan["steps"].as_array().unwrap().len(), 1, "{plan:#}");
    assert_eq!(plan["steps"][0]["id"], "remove:copy");
    project.devenv(&["up"]).assert_code(0);
    let left = project.pods();
    assert!(!left.iter().any(|pod| pod.starts_with("copy-")), "{left:?}");
}

fn other_settings_of_the_cluster_are_told_and_hide_nothing(project: &Project) {
    let set = ["--set", "cluster.ports.http=18499"];
    let told = ["plan", set[0], set[1]];
    project
        .devenv(&told)
        .assert_code(5)
        .assert_says(&["cluster.settings-changed", "devenv down && devenv up"]);
    let seen = status(project, &set, 0);
    let url = service(&seen, "web")["urls"][0].as_str().unwrap();
    assert!(url.contains(&project.ports.http.to_string()), "{url}");
    let logs = project
        .devenv(&["logs", "web", set[0], set[1]])
        .assert_code(0);
    assert!(logs.stdout.contains("serving with [redacted]"), "{logs}");
}

/// Images are named after the port that the registry had when they were built.
fn images_go_whatever_port_their_registry_had(project: &mut Project) {
    assert!(project.left_in_docker().contains("image 127.0.0.1:"));
    project.manifest(SERVICES);
    let manifest = project.read("devenv.yaml");
    let port = format!("registry: {{ port: {} }}", project.ports.registry);
    assert!(manifest.contains(&port), "{manifest}");
    let other = manifest.replace(&port, "registry: { port: 18498 }");
    project.write("devenv.yaml", &other);
    // What takes down needs no file of those that are deployed.
    project.run("rm", &[".env.web"]).assert_code(0);
}

fn a_stopped_environment_is_a_state(project: &Project) {
    // `sleep` as the first process of a container does not end when it is asked to.
    project
        .devenv(&["stop", "--persist-data"])
        .assert_code(6)
        .assert_says(&["stop.not-ended", "sleep infinity", "nothing was stopped"]);
    assert_eq!(status(project, &[], 0)["clusterState"], "running");
    let stop = project.devenv(&["stop", "-o", "json"]).assert_code(0);
    valid(&stop, "stop");
    let stopped = status(project, &[], 5);
    assert_eq!(stopped["clusterState"], "stopped");
    assert_eq!(service(&stopped, "web")["state"], "stopped");
    let kept = project.devenv(&["logs"]).assert_code(0);
    kept.assert_says(&[
        "it is stopped; this is what was kept",
        "serving with [redacted]",
    ]);
    project.devenv(&["open", "web"]).assert_code(5);
}

fn hooks_run_before_anything_is_removed(project: &Project) {
    project.devenv(&["start"]).assert_code(0);
    let fails = "hooks.beforeDown=[{command: [sh, -c, 'echo no room >&2; exit 3']}]";
    project
        .devenv(&["down", "--set", fails])
        .assert_code(5)
        .assert_says(&["hook.failed", "no room", "nothing is removed"]);
    assert_eq!(status(project, &[], 0)["clusterState"], "running");
    project.devenv(&["down"]).assert_code(0);
    assert_eq!(project.read("farewell.txt"), "saved\n");
}

fn images_go_without_the_data(project: &Project) {
    let kept = project.left_in_docker();
    for what in ["image 127.0.0.1:", "volume k3d-"] {
        assert!(kept.contains(what), "{kept}");
    }
    project
        .devenv(&["down", "--images"])
        .assert_code(0)
        .assert_says(&[" images", "kept data of db"]);
    assert_eq!(project.left_in_docker(), "");
    let volume = project.data().join("volumes/db/data");
    assert_eq!(files::read_text(&volume.join("file")).unwrap(), "kept\n");
}

#[test]
fn a_compose_project_is_taken_over_and_comes_up() {
    let project = Project::empty("compose");
    project.write("api/Dockerfile", &format!("FROM {BASE}\nCOPY . /\n"));
    project.write("api/server.pl", SERVER);
    project.write(
        "docker-compose.yml",
        "name: e2e-compose\n\
         services:\n\
         \x20 api:\n\
         \x20   build: ./api\n\
         \x20   command: [perl, /server.pl]\n\
         \x20   ports: [\"18391:3000\"]\n\
         \x20   environment: { GREETING: composed, LOCAL: indeed, TOKEN: e2e-verbs-hidden }\n\
         \x20   depends_on: [worker]\n\
         \x20 worker: { build: ./api, command: sleep infinity }\n",
    );
    let init = project.devenv(&["init", "-o", "json"]).assert_code(0);
    valid(&init, "init");
    let manifest = project.read("devenv.yaml");
    assert!(!manifest.contains(SECRET), "{manifest}");
    assert!(project.read(".gitignore").contains(".env.api"));
    let ports = project.ports;
    project.write(
        "devenv.local.yaml",
        &format!(
            "cluster: {{ ports: {{ http: {}, https: {} }}, registry: {{ port: {} }} }}\n",
            ports.http, ports.https, ports.registry
        ),
    );
    project.devenv(&["up"]).assert_code(0);
    assert_eq!(ask(&project, "api.localhost"), "composed indeed");
    project.end();
}

/// What `web` answers.
fn greeting(project: &Project) -> String {
    ask(project, "verbs.localhost")
}

/// What a service answers under its host name. A pod that ends may still be sent a request (502); a route is there at once.
fn ask(project: &Project, host: &str) -> String {
    let url = format!("http://127.0.0.1:{}/", project.ports.http);
    let host = format!("Host: {host}");
    let words = [
        "-sS",
        "--fail",
        "--max-time",
        "20",
        "--retry",
        "5",
        "-H",
        &host,
        &url,
    ];
    let answer = project.run("curl", &words).assert_code(0);
    answer.stdout.trim().to_owned()
}

fn status(project: &Project, arguments: &[&str], code: i32) -> Value {
    let words = [&["status", "-o", "json"], arguments].concat();
    valid(&project.devenv(&words).assert_code(code), "status")
}

/// The document, which its published schema allows and which tells no secret.
fn valid(run: &Run, schema: &str) -> Value {
    let document = run.json();
    let schema = text_of(&format!("docs/json/{schema}.schema.json"));
    let schema = serde_json::from_str(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(&document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:?}\n{run}");
    assert!(!format!("{run}").contains(SECRET), "{run}");
    document
}

fn service<'a>(document: &'a Value, name: &str) -> &'a Value {
    let services = document["services"].as_array().unwrap();
    let mut named = services.iter().filter(|service| service["name"] == name);
    named
        .next()
        .unwrap_or_else(|| panic!("{name}: {document:#}"))
}

fn names(services: &Value) -> Vec<String> {
    let services = services.as_array().unwrap().iter();
    let mut names: Vec<String> = services
        .map(|service| service["name"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

fn states(status: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let services = status["services"].as_array().unwrap().iter();
    services
        .map(|service| (text(&service["name"]), text(&service["state"])))
        .collect()
}
