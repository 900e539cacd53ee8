//! `logs` and `exec` on a real cluster: nothing lost, nothing twice, nothing left.

mod past;

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::{BASE, Project};

/// Counts, with every number on one of its outputs; says farewell, so that the last line of a pod is known.
const COUNTER: &str = "trap 'echo bye; exit 0' TERM; n=0; \
                       while true; do n=$((n+1)); echo out $n; echo err $n >&2; sleep 0.1 & wait $!; done";

#[test]
fn what_services_say_is_seen_and_what_users_say_is_done() {
    let project = Project::empty("streams");
    project.manifest(&format!(
        "services:\n\
         \x20 counter: {{ build: image, command: [sh, -c, {COUNTER:?}], replicas: 2 }}\n\
         \x20 starter:\n\
         \x20   build: image\n\
         \x20   command: [sh, -c, 'echo warming; sleep 2; touch /tmp/ready; sleep 3; echo serving; sleep infinity']\n\
         \x20   ready: {{ command: [test, -e, /tmp/ready] }}\n\
         {}\
         tasks:\n\
         \x20 check: {{ build: image, command: [sh, -c, 'echo checked; exit 3'], secrets: [.env.check], dependsOn: [starter] }}\n\
         \x20 lost: {{ image: \"nowhere.invalid/none:1\", command: [sh] }}\n",
        past::services()
    ));
    project.write("image/Dockerfile", &format!("FROM {BASE}\n"));
    project.write(".env.check", "TOKEN=e2e-hidden-token\n");
    project.devenv(&["up"]).assert_code(0);

    logs_are_in_order_and_go_on_across_pods(&project);
    commands_run_in_services(&project);
    a_command_that_the_runtime_fails_to_begin_is_begun_again(&project);
    files_of_containers_are_copied_once_the_command_has_ended(&project);
    tasks_run_in_pods_of_their_own(&project);
    past::what_was_said_outlives_its_pod_and_its_cluster(&project);
    project.end();
}

fn logs_are_in_order_and_go_on_across_pods(project: &Project) {
    let lines = lines(
        &project
            .devenv(&["logs", "counter", "-o", "json"])
            .assert_code(0)
            .stdout,
    );
    assert_complete(&lines);

    let log = project.directory().join("follow.log");
    let follow = ["logs", "-f", "counter", "-o", "json", "--timeout", "12s"];
    let mut following = project.start(&follow, &log);
    until_written(&log);
    // It ends with its container, by whichever comes first.
    let killed = project.devenv(&["exec", "counter", "--", "sh", "-c", "kill 1"]);
    assert!(killed.code.is_some(), "{killed}");
    assert!(following.wait().unwrap().success());
    let text = devenv::adapters::files::read_text(&log).unwrap();
    let followed = self::lines(&text);
    assert!(
        followed.iter().any(|line| line["message"] == "bye"),
        "the last line of a run is shown: {killed}\n{text}"
    );
    assert_complete(&followed);

    project
        .devenv(&["logs", "counter", "--previous"])
        .assert_code(0)
        .assert_says(&["bye"]);
    let startup = project
        .devenv(&["logs", "starter", "--startup"])
        .assert_code(0);
    assert!(startup.stdout.contains("warming") && !startup.stdout.contains("serving"));
    project
        .devenv(&["logs", "countre"])
        .assert_code(2)
        .assert_says(&["did you mean `counter`?"]);
}

/// Waits until a file has something in it.
fn until_written(file: &std::path::Path) {
    let begun = Instant::now();
    while std::fs::metadata(file).is_ok_and(|file| file.len() == 0) {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "nothing is written"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn lines(text: &str) -> Vec<Value> {
    let documents = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    documents.collect()
}

/// Every run of every pod counts from 1 on both outputs without a gap and without a repetition.
fn assert_complete(lines: &[Value]) {
    let mut next = std::collections::BTreeMap::new();
    for line in lines {
        let message = line["message"].as_str().unwrap();
        let Some((output, number)) = message.split_once(' ') else {
            continue;
        };
        let number: u32 = number.parse().unwrap();
        let key = (line["pod"].to_string(), output.to_owned());
        let expected = next.entry(key).or_insert(1);
        assert!(
            number == *expected || number == 1,
            "{line} instead of {expected}"
        );
        *expected = number + 1;
    }
    assert!(next.len() >= 4, "two pods with two outputs: {next:?}");
}

fn commands_run_in_services(project: &Project) {
    let counted = project.devenv_fed(&["exec", "starter", "--", "cat"], b"through\n");
    assert_eq!(counted.assert_code(0).stdout, "through\n");
    let both = [
        "exec",
        "starter",
        "--",
        "sh",
        "-c",
        "echo out; echo err >&2; exit 42",
    ];
    let both = project.devenv(&both).assert_code(42);
    assert_eq!(
        (both.stdout.as_str(), both.stderr.as_str()),
        ("out\n", "err\n")
    );
    project
        .devenv(&["exec", "starter", "--", "sh", "-c", "kill -9 $$"])
        .assert_code(137);
    project
        .devenv(&["exec", "starter", "--", "nonesuch"])
        .assert_code(127)
        .assert_says(&["executable file not found"]);
    project
        .devenv(&["exec", "starter", "--", "/etc/passwd"])
        .assert_code(126);
    let much = [
        "exec",
        "starter",
        "--",
        "head",
        "-c",
        "10000000",
        "/dev/zero",
    ];
    let much = project.devenv(&much).assert_code(0);
    assert_eq!(much.stdout.len(), 10_000_000);
    let early = format!(
        "{} exec starter -- yes </dev/null | head -n 1",
        env!("CARGO_BIN_EXE_devenv")
    );
    let early = project.run("sh", &["-c", &early]).assert_code(0);
    assert_eq!((early.stdout.as_str(), early.stderr.as_str()), ("y\n", ""));
}

/// Where the node has its container runtime.
const RUNTIME: &str = "runc=$(command -v runc || echo /var/lib/rancher/k3s/data/current/bin/runc)";
/// What stands in the place of the node's container runtime: it fails to begin one command, twice, as it does where its
/// own first process is ended early.
const FAILS_TWICE: &str = r#"mv "$runc" "$runc.real" && cat > "$runc" <<'END'
#!/bin/sh
for file; do
    if grep -qs begun-again "$file" && { mkdir /run/failed-once || mkdir /run/failed-twice; } 2>/dev/null; then
        while [ "$1" != --log ]; do shift; done
        words='unable to start container process: waiting for init preliminary setup: read init-p: connection reset by peer'
        echo "{\"level\":\"error\",\"msg\":\"$words\"}" > "$2"
        exit 1
    fi
done
exec "$0.real" "$@"
END
chmod 755 "$runc"
"#;

fn a_command_that_the_runtime_fails_to_begin_is_begun_again(project: &Project) {
    let node = format!("k3d-{}-server-0", project.cluster_name());
    let in_node = |script: &str| {
        let words = ["exec", &node, "sh", "-c", script];
        project.run("docker", &words).assert_code(0).stdout
    };
    in_node(&format!("{RUNTIME}\n{FAILS_TWICE}"));
    let counting = "wc -c; : begun-again";
    let words = ["exec", "starter", "--", "sh", "-c", counting];
    let counted = project
        .devenv_fed(&words, &vec![b'x'; 100_000])
        .assert_code(0);
    assert_eq!(counted.stdout, "100000\n");
    assert_eq!(in_node("ls -d /run/failed-*").lines().count(), 2);
    in_node(&format!("{RUNTIME}\nmv \"$runc.real\" \"$runc\""));
}

fn files_of_containers_are_copied_once_the_command_has_ended(project: &Project) {
    // A task's pod is gone afterwards, however soon its command ends.
    let script = "mkdir -p /out/deep; echo one > /out/one; echo '#!/bin/sh' > /out/deep/run; \
                  chmod 755 /out/deep/run; ln -s /etc/passwd /out/link; exit 3";
    let words = [
        "exec",
        "check",
        "--copy-out",
        "/out:results",
        "--copy-out",
        "/none",
        "-o",
        "json",
        "--",
        "sh",
        "-c",
        script,
    ];
    let ran = project.devenv(&words).assert_code(3);
    let ran = ran.assert_says(&["there is no /none in the container"]);
    let report = ran.json();
    let copied = report["copied"].as_array().unwrap().iter();
    let from: Vec<&str> = copied.map(|file| file["from"].as_str().unwrap()).collect();
    assert_eq!(from, ["/out/deep/run", "/out/one"]);
    assert_eq!(report["leftOut"], serde_json::json!(["/out/link"]));
    assert_eq!(project.read("results/out/one"), "one\n");
    let run = project.directory().join("results/out/deep/run");
    project
        .run("test", &["-x", run.to_str().unwrap()])
        .assert_code(0);
    assert!(!project.directory().join("results/out/link").exists());

    let none = ["exec", "check", "--copy-out", "/none", "--", "true"];
    project
        .devenv(&none)
        .assert_code(5)
        .assert_says(&["exec.nothing-to-copy"]);

    let script = "head -c 3000000 /dev/zero > /tmp/large; ln -sf large /tmp/latest; echo said";
    let words = [
        "exec",
        "starter",
        "--copy-out",
        "/tmp/latest",
        "--",
        "sh",
        "-c",
        script,
    ];
    let ran = project.devenv(&words).assert_code(0);
    assert_eq!(ran.stdout, "said\n");
    assert_eq!(project.read("latest"), "\0".repeat(3_000_000));
}

fn tasks_run_in_pods_of_their_own(project: &Project) {
    let first = project.devenv(&["exec", "check"]).assert_code(3);
    assert_eq!(first.stdout, "checked\n");
    let fed = project.devenv_fed(&["exec", "check", "--", "cat"], b"to the task\n");
    assert_eq!(fed.assert_code(0).stdout, "to the task\n");
    project
        .devenv(&[
            "exec",
            "check",
            "--",
            "sh",
            "-c",
            "test \"$TOKEN\" = e2e-hidden-token",
        ])
        .assert_code(0);
    project
        .devenv(&["exec", "check", "--", "nonesuch"])
        .assert_code(127);
    project
        .devenv(&["exec", "lost"])
        .assert_code(6)
        .assert_says(&["nowhere.invalid"])
        .assert_within(Duration::from_mins(1));
    let kubeconfig = project.devenv(&["kubeconfig"]).assert_code(0).stdout;
    let left = [
        "--kubeconfig",
        kubeconfig.trim(),
        "wait",
        "pod",
        "-l",
        "devenv.task",
    ];
    let gone = [&left[..], &["--for=delete", "--timeout=20s"]].concat();
    project.run("kubectl", &gone).assert_code(0);
    let secrets = [
        "--kubeconfig",
        kubeconfig.trim(),
        "get",
        "secret",
        "-l",
        "devenv.task",
        "-o",
        "name",
    ];
    assert_eq!(project.run("kubectl", &secrets).assert_code(0).stdout, "");
}
