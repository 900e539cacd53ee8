//! `devenv completions`, and the answers to a shell that asks.

use crate::support::TestEnvironment;

#[test]
fn each_shell_gets_its_script() {
    let environment = TestEnvironment::new();
    for (shell, sign) in [
        ("bash", "complete -o"),
        ("zsh", "#compdef devenv"),
        ("fish", "complete --keep-order"),
        ("elvish", "edit:completion"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let output = environment.devenv(["completions", shell]);
        assert_eq!(output.code, Some(0), "{output}");
        assert!(output.stdout.contains(sign), "{shell}: {output}");
    }
}

#[test]
fn the_shell_follows_from_the_variable() {
    let mut environment = TestEnvironment::new();
    environment.set("SHELL", "/usr/bin/fish");
    let output = environment.devenv(["completions", "-o", "json"]);
    assert_eq!(output.document()["shell"], "fish");
}

#[test]
fn an_unknown_shell_is_a_usage_failure_that_says_what_to_type() {
    let mut environment = TestEnvironment::new();
    environment.set("SHELL", "/bin/unheard-of");
    insta::assert_snapshot!(environment.devenv(["completions"]), @r"
    ------- stderr -------
    error[usage.unknown-shell]: The shell is not known
      why:   $SHELL names none that can be completed
      try:
        devenv completions bash   # or zsh, fish, elvish, powershell
    [exit code: 2]
    ");
}

/// What a shell offers for the last of these words, whatever it says beside it.
fn offered(environment: &mut TestEnvironment, words: &[&str]) -> Vec<String> {
    environment.set("COMPLETE", "bash");
    environment.set("_CLAP_COMPLETE_INDEX", &words.len().to_string());
    environment.set("_CLAP_IFS", "\n");
    let output = environment.devenv(["--", "devenv"].iter().chain(words));
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (Some(0), ""),
        "{output}"
    );
    let mut names: Vec<String> = output.stdout.lines().map(str::to_owned).collect();
    names.retain(|name| !name.starts_with('-'));
    names
}

#[test]
fn a_shell_that_asks_gets_the_verbs() {
    let mut environment = TestEnvironment::new();
    assert_eq!(offered(&mut environment, &["ver"]), ["version"]);
}

const MANIFEST: &str = "apiVersion: devenv/v1
name: shop
services: { order: { build: gone }, postgres: { image: postgres } }
tasks: { test: { image: test, command: [run] } }
";
/// A description of a snapshot, complete enough to be one.
const SNAPSHOT: &str = r#"{"schema":1,"name":"x","id":"x-1","created":"2026-01-02T03:04:05Z","note":"full",
    "project":"shop","branch":null,"devenv":"0.1.0","architecture":"x86_64","volumes":[]}"#;

fn shop(directory: &str) -> TestEnvironment {
    let environment = TestEnvironment::new();
    let write = |path: &str, text: &str| {
        environment.write_project(&format!("{directory}{path}"), text);
    };
    write("devenv.yaml", MANIFEST);
    write("profiles/minimal.yaml", "only: [order]\n");
    write("profiles/ci.yaml", "only: [order]\n");
    write(
        "datasets/checkout/dataset.yaml",
        "description: A cart\nsteps: []\n",
    );
    environment
}

#[test]
fn a_shell_that_asks_gets_the_names_of_what_there_is() {
    let mut shop = shop("");
    let project = shop.devenv(["snapshot", "list", "-o", "json"]);
    let id = project.document()["environment"]
        .as_str()
        .unwrap()
        .to_owned();
    for name in ["cart-full", "before"] {
        let path = format!(".local/share/devenv/{id}/snapshots/{name}.json");
        shop.write_home(&path, SNAPSHOT);
    }
    let journal = format!(".local/state/devenv/{id}/journal/20260102T030405.000000Z-up.jsonl");
    shop.write_home(&journal, "damaged");
    let runs = ["last", "20260102T030405"];
    let snapshots = ["before", "cart-full"];
    let targets = ["order", "postgres", "test"];
    let keys = ["services.postgres", "services.postgres.image"];
    for (words, names) in [
        (&["up", ""][..], &targets[..2]),
        (&["up", "ord"], &targets[..1]),
        (&["logs", "order", "p"], &targets[1..2]),
        (&["exec", ""], &targets),
        (&["config", "get", "services.pos"], &keys),
        (
            &["config", "set", "services.order.b"],
            &["services.order.build=", "services.order.build.context="],
        ),
        (&["config", "set", "--layer", "m"], &["manifest", "minimal"]),
        (
            &["snapshot", "save", "x", "--services", "order,p"],
            &["order,postgres"],
        ),
        (&["snapshot", "save", "b"], &[]),
        (&["snapshot", "show", ""], &snapshots),
        (&["snapshot", "restore", "c"], &snapshots[1..]),
        (&["snapshot", "verify", "b"], &snapshots[..1]),
        (&["snapshot", "export", "b"], &snapshots[..1]),
        (&["snapshot", "remove", "b"], &snapshots[..1]),
        (&["data", "restore", "--from", "c"], &snapshots[1..]),
        (&["data", "load", ""], &["checkout"]),
        (&["data", "load", "--dataset", "ch"], &["checkout"]),
        (&["data", "reset", "--to", "ch"], &["checkout"]),
        (&["history", "show", ""], &runs),
        (&["diff", "last", "2"], &runs[1..]),
        (&["-p", ""], &["ci", "minimal"]),
        (&["up", "--profile", "ci,m"], &["ci,minimal"]),
    ] {
        assert_eq!(offered(&mut shop, words), names, "{words:?}");
    }
}

#[test]
fn names_come_from_the_project_that_the_line_is_about_and_from_none_where_there_is_none() {
    let mut elsewhere = shop("else/where/");
    for (words, names) in [
        (&["up", "o"][..], &[][..]),
        (&["-C", "else/where", "up", "o"], &["order"]),
        (&["-Celse/where", "-f", "none.yaml", "up", "o"], &[]),
        (&["data", "load", "c"], &[]),
    ] {
        assert_eq!(offered(&mut elsewhere, words), names, "{words:?}");
    }
    elsewhere.write_project("devenv.yaml", "services: [");
    assert_eq!(offered(&mut elsewhere, &["up", "o"]), [] as [&str; 0]);
}

#[test]
fn every_command_has_a_page_of_the_manual() {
    let environment = TestEnvironment::new();
    let page = environment.devenv(["man", "snapshot", "save"]);
    assert_eq!(page.code, Some(0), "{page}");
    for words in [
        ".TH devenv-snapshot-save 1",
        "\\-\\-services",
        "\\-\\-timeout",
        ".SH EXAMPLES",
    ] {
        assert!(page.stdout.contains(words), "{words}: {page}");
    }
    let written = environment.devenv(["man", "--out", "pages", "-o", "json"]);
    let pages = written.document()["pages"].as_array().unwrap().len();
    assert!(pages > 40, "{pages}");
    assert_eq!(
        environment.read_project("pages/devenv-snapshot-save.1"),
        page.stdout
    );
    // Commands that nobody types have none.
    assert!(!written.stdout.contains("devenv-session-run"));
    insta::assert_snapshot!(environment.devenv(["man", "snapshot", "safe"]), @r"
    ------- stderr -------
    error[usage.no-page]: `snapshot safe` is no command
      why:   there is a page for every command, and for nothing else
      try:
        devenv --help   # all commands
    [exit code: 2]
    ");
}
