//! The data of an environment: snapshots of all volumes at one instant, restored whole or not at all.

mod claims;
mod datasets;
mod full;
mod image;
mod killed;
mod sanitized;
mod stay;

use std::time::{Duration, Instant};

use crate::{
    program::{BASE, Project, Run},
    say,
};

/// Each service writes the time into a file of its volume, in which it is started, again and again, and is ready unless
/// its data says otherwise.
const TICKS: &str = r#"$SIG{TERM} = sub { exit 0 };
while (1) {
    open my $uptime, "<", "/proc/uptime" or die;
    open my $file, ">", ".now" or die;
    print $file +(split " ", <$uptime>)[0], "\n";
    close $file;
    rename ".now", "now" or die;
    select undef, undef, undef, 0.001;
}
"#;
/// How far apart the last times in two volumes of a snapshot may be, in seconds: their services write every
/// millisecond what the kernel counts in hundredths of a second.
const ONE_INSTANT: f64 = 0.05;
const LEFT: &str = "left";
const RIGHT: &str = "right";

/// How a service of the stage is written whose image is built or taken, by the line that says so. One has the command
/// of its image, the other one of its own.
fn service(name: &str, image: &str) -> String {
    let command = match name {
        RIGHT => "    command: [perl, /ticks.pl, of-its-own]\n",
        _ => "",
    };
    format!(
        "  {name}:
    {image}
{command}    volumes: [{{ name: data, path: /data, size: 64Mi }}]
    ready: {{ command: [test, '!', -e, /data/bad], within: 20s }}
"
    )
}

fn manifest() -> String {
    let [left, right] = [LEFT, RIGHT].map(|name| service(name, "build: ticks"));
    format!("services:\n{left}{right}")
}

struct Stage {
    project: Project,
}

impl Stage {
    fn up(name: &str) -> Self {
        let project = Self::project(name);
        project.devenv(&["up"]).assert_code(0);
        Self { project }
    }

    /// The project before its first `up`.
    fn project(name: &str) -> Project {
        let project = Project::new(name, &manifest());
        let start = "WORKDIR /data\nENTRYPOINT [\"perl\"]\nCMD [\"/ticks.pl\"]\n";
        let dockerfile = format!("FROM {BASE}\nCOPY ticks.pl /\n{start}");
        project.write("ticks/Dockerfile", &dockerfile);
        project.write("ticks/ticks.pl", TICKS);
        project
    }

    #[track_caller]
    fn snapshot(&self, words: &[&str]) -> Run {
        self.project.devenv(&[&["snapshot"], words].concat())
    }

    /// The output of a shell script in the pod of a service.
    #[track_caller]
    fn inside(&self, service: &str, script: &str) -> String {
        let words = ["exec", service, "--", "sh", "-c", script];
        self.project.devenv(&words).assert_code(0).stdout.clone()
    }

    /// What is in the file of both services.
    fn data(&self) -> [String; 2] {
        [LEFT, RIGHT].map(|service| self.inside(service, "cat /data/kept"))
    }

    fn write(&self, text: &str) {
        for service in [LEFT, RIGHT] {
            self.inside(service, &format!("echo {text} > /data/kept; sync"));
        }
    }

    /// The text of a file in a volume of a snapshot, as the node sees it.
    fn held(&self, name: &str, service: &str, file: &str) -> String {
        let described = self.project.data().join(format!("snapshots/{name}.json"));
        let described = devenv::adapters::files::read_text(&described).unwrap();
        let described: serde_json::Value = serde_json::from_str(&described).unwrap();
        let id = described["id"].as_str().unwrap();
        self.in_node(&format!(
            "cat /var/lib/devenv/volumes/.snapshots/{id}/{service}/data/{file}"
        ))
    }

    /// The output of a shell script in the node.
    #[track_caller]
    fn in_node(&self, script: &str) -> String {
        let node = format!("k3d-{}-server-0", self.project.cluster_name());
        let words = ["exec", &node, "sh", "-c", script];
        self.project.run("docker", &words).assert_code(0).stdout
    }

    /// Waits until a service writes the time.
    #[track_caller]
    fn ticks(&self, service: &str) {
        let begun = Instant::now();
        let now = self.inside(service, "cat /data/now");
        while self.inside(service, "cat /data/now") == now {
            let has_time = begun.elapsed() < Duration::from_secs(30);
            assert!(has_time, "{service} stands");
        }
    }
}

#[test]
fn a_snapshot_is_of_one_instant_and_its_data_comes_back_whole_or_not_at_all() {
    let stage = Stage::up("data");
    stage.write("first");
    all_volumes_are_of_one_instant(&stage);
    what_there_is_is_listed_and_shown(&stage);
    the_data_comes_back(&stage);
    stay::containers_stay_while_their_data_is_exchanged(&stage);
    data_that_the_services_do_not_come_up_with_is_put_back(&stage);
    what_is_not_what_was_saved_is_found_and_not_restored(&stage);
    mistakes_are_told_before_anything_is_done(&stage);
    what_is_removed_is_gone(&stage);
    stage.project.end();
}

fn all_volumes_are_of_one_instant(stage: &Stage) {
    let saved = stage.snapshot(&["save", "first", "--note", "two files", "-o", "json"]);
    let saved = saved.assert_code(0).json();
    assert_eq!(saved["schema"], "devenv.snapshot-save/1");
    say(&format!(
        "           the services stood for {:.0} ms, all of it took {:.2} s",
        saved["stoodSeconds"].as_f64().unwrap() * 1000.0,
        saved["totalSeconds"].as_f64().unwrap()
    ));
    let [left, right] = [LEFT, RIGHT].map(|service| -> f64 {
        let time = stage.held("first", service, "now");
        time.trim().parse().unwrap()
    });
    let apart = (left - right).abs();
    assert!(apart < ONE_INSTANT, "{apart} s between {left} and {right}");
    for service in [LEFT, RIGHT] {
        stage.ticks(service);
    }
}

fn what_there_is_is_listed_and_shown(stage: &Stage) {
    let listed = stage
        .snapshot(&["list", "-o", "json"])
        .assert_code(0)
        .json();
    let snapshot = &listed["snapshots"][0];
    assert_eq!(snapshot["name"], "first");
    assert_eq!(snapshot["note"], "two files");
    assert_eq!(snapshot["services"], serde_json::json!([LEFT, RIGHT]));
    let shown = stage.snapshot(&["show", "first"]).assert_code(0);
    shown.assert_says(&["two files", "left/data", "right/data"]);
}

fn the_data_comes_back(stage: &Stage) {
    stage.write("second");
    let restored = stage.snapshot(&["restore", "first", "--yes"]);
    let took = restored.assert_code(0).took;
    assert_eq!(stage.data(), ["first\n", "first\n"]);
    let told = stage.project.devenv(&["history", "show"]).assert_code(0);
    told.assert_says(&["restore the snapshot first", "result    ok"]);
    say(&format!("           restored and ready after {took:.1?}"));
    stage.write("third");
    let words = ["restore", "first", "--services", LEFT, "--yes"];
    stage.snapshot(&words).assert_code(0);
    assert_eq!(stage.data(), ["first\n", "third\n"]);
}

fn data_that_the_services_do_not_come_up_with_is_put_back(stage: &Stage) {
    stage.inside(LEFT, "touch /data/bad");
    stage.snapshot(&["save", "bad"]).assert_code(0);
    stage.inside(LEFT, "rm /data/bad");
    stage.write("fourth");
    let failed = stage.snapshot(&["restore", "bad", "--yes"]).assert_code(6);
    failed.assert_says(&["left", "the data from before is put back"]);
    let told = stage.project.devenv(&["history", "show"]).assert_code(0);
    assert!(!told.stdout.contains("\nchanged\n"), "{told}");
    told.assert_says(&["exit code 6", "the data from before is put back"]);
    assert_eq!(stage.data(), ["fourth\n", "fourth\n"]);
    stage.project.devenv(&["up"]).assert_code(0);
    stage.snapshot(&["remove", "bad"]).assert_code(0);
}

fn what_is_not_what_was_saved_is_found_and_not_restored(stage: &Stage) {
    stage.snapshot(&["verify", "first"]).assert_code(0);
    let spoil = |script: &str| {
        let place = "cd /var/lib/devenv/volumes/.snapshots/*/left/data";
        stage.in_node(&format!("{place} && {script}"));
    };
    spoil("echo other > kept");
    let verified = stage.snapshot(&["verify", "first"]).assert_code(7);
    verified.assert_says(&["left/data: its files are not what was saved"]);
    spoil("echo longer than before > kept");
    let refused = stage
        .snapshot(&["restore", "first", "--yes"])
        .assert_code(7);
    refused.assert_says(&["snapshot.not-as-saved", "nothing was changed"]);
    assert_eq!(stage.data(), ["fourth\n", "fourth\n"]);
}

fn mistakes_are_told_before_anything_is_done(stage: &Stage) {
    for (words, code, said) in [
        (
            &["save", "first"][..],
            2,
            "there is a snapshot first already",
        ),
        (&["save", "../first"], 2, "only lower-case letters"),
        (
            &["restore", "frist", "--yes"],
            2,
            "there is no snapshot frist",
        ),
        (&["restore", "first"], 2, "--yes"),
        (&["remove", "frist"], 2, "there is no snapshot frist"),
        (&["save", "x", "--services", "lfet"], 2, "left"),
    ] {
        stage.snapshot(words).assert_code(code).assert_says(&[said]);
    }
}

fn what_is_removed_is_gone(stage: &Stage) {
    stage.snapshot(&["remove", "first"]).assert_code(0);
    let listed = stage
        .snapshot(&["list", "-o", "json"])
        .assert_code(0)
        .json();
    assert_eq!(listed["snapshots"], serde_json::json!([]));
    assert_eq!(stage.in_node("ls /var/lib/devenv/volumes/.snapshots"), "");
}
