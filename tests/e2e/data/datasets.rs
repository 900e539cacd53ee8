//! Datasets are loaded all or nothing, and data is set back.

use super::{LEFT, RIGHT, Stage};
use crate::say;

fn write_datasets(stage: &Stage) {
    let write = |path: &str, text: &str| stage.project.write(&format!("datasets/{path}"), text);
    write(
        "base/dataset.yaml",
        "description: Some files
steps:
  - { service: left, files: files, to: /data/files, owner: 'daemon:7' }
  - { service: right, command: [sh, -c, 'cat > /data/kept'], stdin: word }
check:
  - { service: left, command: [cat, /data/files/deep/one], equals: one }
  - { service: left, command: [stat, -c, '%U:%g', /data/files, /data/files/deep/one], equals: \"daemon:7\\ndaemon:7\" }
",
    );
    write("base/files/deep/one", "one\n");
    write("base/files/two", "two\n");
    write("base/word", "base\n");
    write(
        "more/dataset.yaml",
        "extends: base
variables: { who: ann }
steps:
  - { service: left, command: [sh, -c, 'cat > /data/kept'], stdin: letter, template: true }
check:
  - { service: left, command: [cat, /data/kept], equals: 'dear ann' }
",
    );
    write("more/letter", "dear ${who}\n");
    write(
        "broken/dataset.yaml",
        "extends: base
steps:
  - { service: left, command: [sh, -c, 'echo half > /data/kept'] }
  - { service: right, command: [sh, -c, 'echo no such table >&2; exit 3'] }
",
    );
    write(
        "doubtful/dataset.yaml",
        "steps:
  - { service: left, command: [sh, -c, 'echo 3 > /data/kept'] }
check:
  - { service: left, command: [cat, /data/kept], equals: 4 }
",
    );
}

#[test]
fn a_dataset_is_loaded_whole_or_not_at_all_and_the_data_is_set_back_to_it() {
    let stage = Stage::up("data-sets");
    write_datasets(&stage);
    stage.write("mine");
    the_data_is_set_back_to_what_the_first_up_made(&stage);
    a_dataset_takes_the_place_of_all_data(&stage);
    one_that_fails_leaves_the_data_as_it_was(&stage);
    the_data_is_set_back_to_the_dataset(&stage);
    a_snapshot_goes_through_a_file(&stage);
    snapshots_outlive_the_data_where_they_are_to(&stage);
    stage.project.end();
}

fn the_data_is_set_back_to_what_the_first_up_made(stage: &Stage) {
    let reset = stage
        .project
        .devenv(&["data", "reset", "--yes", "-o", "json"]);
    let reset = reset.assert_code(0).json();
    for service in [LEFT, RIGHT] {
        stage.ticks(service);
        assert_eq!(stage.inside(service, "ls /data"), "now\n");
    }
    let backup = reset["backup"].as_str().unwrap();
    stage.snapshot(&["restore", backup, "--yes"]).assert_code(0);
    assert_eq!(stage.data(), ["mine\n", "mine\n"]);
}

fn a_dataset_takes_the_place_of_all_data(stage: &Stage) {
    let load = &["data", "load", "--dataset", "more", "--yes"];
    stage.project.devenv(load).assert_code(0);
    assert_eq!(stage.data(), ["dear ann\n", "base\n"]);
    assert_eq!(stage.inside(LEFT, "cat /data/files/two"), "two\n");
    let listed = stage.project.devenv(&["data", "list", "-o", "json"]);
    let listed = listed.assert_code(0).json();
    let more = listed["datasets"].as_array().unwrap().iter();
    let more: Vec<_> = more
        .filter(|dataset| !dataset["loaded"].is_null())
        .collect();
    assert_eq!(more.len(), 1, "{listed}");
    assert_eq!(more[0]["name"], "more");
    stage.write("changed");
    let again = [&load[..], &["--if-changed"]].concat();
    let skipped = stage.project.devenv(&again).assert_code(0);
    skipped.assert_says(&["nothing to do"]);
    assert_eq!(stage.data(), ["changed\n", "changed\n"]);
}

fn one_that_fails_leaves_the_data_as_it_was(stage: &Stage) {
    for (dataset, said) in [
        ("broken", ["dataset.yaml:4", "no such table"]),
        ("doubtful", ["dataset.yaml:4", "wanted: 4"]),
    ] {
        let failed = stage.project.devenv(&["data", "load", dataset, "--yes"]);
        let failed = failed.assert_code(7).assert_says(&said);
        failed.assert_says(&["the data from before is put back"]);
        assert_eq!(stage.data(), ["changed\n", "changed\n"]);
    }
    let unknown = stage.project.devenv(&["data", "load", "mroe", "--yes"]);
    unknown.assert_code(3).assert_says(&["more"]);
}

fn the_data_is_set_back_to_the_dataset(stage: &Stage) {
    let reset = &["data", "reset", "--no-backup", "--yes"];
    let kept = "copy what it came to before";
    let set_back = stage.project.devenv(reset).assert_code(0);
    let took = set_back.assert_says(&[kept, "check command"]).took;
    say(&format!("           set back after {took:.1?}"));
    assert_eq!(stage.data(), ["dear ann\n", "base\n"]);
    assert_eq!(stage.inside(LEFT, "cat /data/files/deep/one"), "one\n");
    // Nobody sees it but the one who loads it again, and only as long as it is the same.
    let listed = stage.snapshot(&["list", "-o", "json"]).assert_code(0);
    assert!(!listed.stdout.contains("dataset-"), "{}", listed.stdout);
    for who in ["ben", "eve", "joe"] {
        let more = stage.project.read("datasets/more/dataset.yaml");
        let (_, rest) = more.split_once("steps:").unwrap();
        let more = format!("extends: base\nvariables: {{ who: {who} }}\nsteps:{rest}");
        let more = more.replace("'dear ann'", "'dear ${who}'");
        stage.project.write("datasets/more/dataset.yaml", &more);
        let loaded = stage.project.devenv(&["data", "load", "more", "--yes"]);
        let said = loaded.assert_code(0).assert_says(&["keep what it came to"]);
        assert!(!said.stderr.contains(kept), "{}", said.stderr);
        assert_eq!(stage.data()[0], format!("dear {who}\n"));
    }
    let prepared = stage.in_node("ls /var/lib/devenv/volumes/.prepared");
    assert_eq!(prepared.lines().count(), 3, "{prepared}");
}

fn a_snapshot_goes_through_a_file(stage: &Stage) {
    stage.write("sent");
    stage.snapshot(&["save", "sent"]).assert_code(0);
    stage
        .snapshot(&["export", "sent", "sent.tar.zst"])
        .assert_code(0);
    stage
        .snapshot(&["export", "sent", "sent.tar.zst"])
        .assert_code(4);
    stage
        .snapshot(&["verify", "--archive", "sent.tar.zst"])
        .assert_code(0);
    stage.write("after");
    let file = stage.project.directory().join("sent.tar.zst");
    let good = devenv::adapters::files::read(&file).unwrap();
    let bad = stage.project.directory().join("bad.tar.zst");
    devenv::adapters::files::write_private(&bad, &good[..good.len() / 2]).unwrap();
    for words in [
        &["snapshot", "import", "bad.tar.zst", "--name", "bad"][..],
        &["data", "restore", "--from", "bad.tar.zst", "--yes"],
    ] {
        let refused = stage.project.devenv(words).assert_code(7);
        refused.assert_says(&["archive.refused"]);
    }
    assert_eq!(stage.data(), ["after\n", "after\n"]);
    let import = &["import", "sent.tar.zst", "--name", "received"];
    stage.snapshot(import).assert_code(0);
    stage.snapshot(&["verify", "received"]).assert_code(0);
    let restore = &["data", "restore", "--from", "sent.tar.zst", "--yes"];
    stage.project.devenv(restore).assert_code(0);
    assert_eq!(stage.data(), ["sent\n", "sent\n"]);
}

fn snapshots_outlive_the_data_where_they_are_to(stage: &Stage) {
    let down = [
        "down",
        "--volumes",
        "--keep-snapshots",
        "--yes",
        "-o",
        "json",
    ];
    let down = stage.project.devenv(&down).assert_code(0).json();
    let kept = down["kept"][0]["what"].as_str().unwrap();
    assert!(kept.ends_with(" snapshots"), "{down:#}");
    let data = stage.project.data();
    assert!(!data.join("volumes/left").exists() && !data.join("loaded.json").exists());
    stage.project.devenv(&["up"]).assert_code(0);
    assert_eq!(stage.inside(LEFT, "ls /data"), "now\n");
    let restore = ["restore", "sent", "--yes"];
    stage.snapshot(&restore).assert_code(0);
    assert_eq!(stage.data(), ["sent\n", "sent\n"]);
}
