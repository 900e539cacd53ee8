//! A disk that gets full anywhere while data is worked on: afterwards there is the old data or the new, whole, nobody
//! stands, and the next command goes through.

#![expect(
    clippy::disallowed_methods,
    reason = "a test's own setting, and a look at its disk"
)]

use super::{LEFT, RIGHT, Stage, service};
use crate::{
    program::{BASE, Disk, Project, Room, Run},
    say,
};

/// Each service counts, and not on the disk that gets full.
const COUNT: &str = r#"$SIG{TERM} = sub { exit 0 };
for (my $count = 0;; $count++) {
    open my $file, ">", "/tmp/.count" or die;
    print $file "$count\n";
    close $file;
    rename "/tmp/.count", "/tmp/count" or die;
    select undef, undef, undef, 0.001;
}
"#;
/// Says what the data is, once the service is seen to go on.
const GOES_ON: &str = r#"count=$(cat /tmp/count); for try in $(seq 100); do
    [ "$count" = "$(cat /tmp/count)" ] || exec cat /data/kept
    sleep 0.1
done; echo it stands; exit 1"#;
/// What is in both services with it is the same as in the snapshot.
const DATASET: &str = "steps:
  - { service: left, command: [sh, -c, 'echo saved > /data/kept # NUMBER'] }
  - { service: right, command: [sh, -c, 'echo saved > /data/kept'] }
";
/// How much is in each volume, in bytes.
const HELD: u64 = 6 << 20;
const PLENTY: Room = Room {
    bytes: 400 << 20,
    files: 10_000,
};
/// More files than any of the commands makes.
const MANY_FILES: u64 = 60;

/// At how many points the disk gets full: at more where somebody wants to be surer.
struct Sweep {
    /// By how many files one point has more than the one before.
    files: usize,
    /// In how many parts a copy is divided.
    parts: u64,
}

impl Sweep {
    fn wanted() -> Self {
        match std::env::var("DEVENV_FULL_DISKS").as_deref() {
            Ok("all") => Self {
                files: 1,
                parts: 24,
            },
            _ => Self { files: 4, parts: 2 },
        }
    }
}

#[test]
fn a_disk_that_gets_full_leaves_the_old_data_or_the_new() {
    let scene = Scene::up();
    for words in [
        &["snapshot", "save", "new"][..],
        &["snapshot", "restore", "kept", "--yes"],
        &["data", "load", "--dataset", "base", "--yes"],
        &["data", "reset", "--to", "base", "--yes"],
    ] {
        scene.sweep(words, &Sweep::wanted());
    }
    scene.stage.project.end();
}

struct Scene {
    // The environment goes before its disk.
    stage: Stage,
    disk: Disk,
}

impl Scene {
    fn up() -> Self {
        let disk = Disk::mount("1g");
        let [left, right] = [LEFT, RIGHT].map(|name| {
            let service = service(name, "build: count");
            service.replace("/ticks.pl", "/count.pl")
        });
        let mut project = Project::new("full", &format!("services:\n{left}{right}"));
        let start = "WORKDIR /tmp\nENTRYPOINT [\"perl\"]\nCMD [\"/count.pl\"]\n";
        let dockerfile = format!("FROM {BASE}\nCOPY count.pl /\n{start}");
        project.write("count/Dockerfile", &dockerfile);
        project.write("count/count.pl", COUNT);
        project.settings("volumes: directory");
        for variable in ["XDG_DATA_HOME", "XDG_STATE_HOME"] {
            project.set(variable, disk.path().to_str().unwrap());
        }
        project.devenv(&["up"]).assert_code(0);
        let stage = Stage { project };
        for service in [LEFT, RIGHT] {
            let script =
                format!("head -c {HELD} /dev/urandom > /data/big; echo saved > /data/kept");
            stage.inside(service, &script);
        }
        stage.snapshot(&["save", "kept"]).assert_code(0);
        Self { stage, disk }
    }

    /// Runs a command with room for more files each time, until it goes through; and with room for all that it writes, of
    /// which somebody else takes the rest while it works.
    fn sweep(&self, words: &[&str], sweep: &Sweep) {
        let mut failed = 0;
        let mut few = (0..MANY_FILES).step_by(sweep.files);
        let enough = few.find(|files| {
            let room = Room {
                files: *files,
                ..PLENTY
            };
            let is_done = self.is_done(words, room, || self.stage.project.devenv(words));
            failed += usize::from(!is_done);
            is_done
        });
        assert!(enough.is_some() && failed > 1, "{enough:?} {failed}");
        for part in 0..sweep.parts {
            let room = Room {
                bytes: 2 * HELD + (1 << 20),
                ..PLENTY
            };
            let until = part * 2 * HELD / sweep.parts;
            let is_done = self.is_done(words, room, || {
                let devenv = || self.stage.project.devenv(words);
                self.disk.taken_after(until, devenv)
            });
            failed += usize::from(!is_done);
        }
        self.stage.snapshot(&["verify", "kept"]).assert_code(0);
        say(&format!(
            "           {failed} times without room, then with room for {} files",
            enough.unwrap()
        ));
    }

    /// Whether a command went through with little room on the disk: then there is the new data, else the old.
    fn is_done(&self, words: &[&str], room: Room, work: impl FnOnce() -> Run) -> bool {
        self.in_both("echo old > /data/kept");
        // Another each time, so that what one came to is of no use for the next.
        let dataset = DATASET.replace("NUMBER", &room.files.to_string());
        let path = "datasets/base/dataset.yaml";
        self.stage.project.write(path, &dataset);
        self.disk.leave(room);
        let run = work();
        let is_done = run.code == Some(0);
        let is_new = is_done && words != ["snapshot", "save", "new"];
        let data = if is_new { "saved\n" } else { "old\n" };
        assert_eq!(self.in_both(GOES_ON), [data, data], "{run}");
        self.nothing_is_left(&run);
        if !is_done {
            assert!(matches!(run.code, Some(4 | 7)), "{run}");
            run.assert_says(&["df -h", self.disk.path().to_str().unwrap()]);
        }
        self.disk.make_room();
        self.disk.leave(PLENTY);
        self.remove_snapshots();
        is_done
    }

    /// What a script says in both services.
    fn in_both(&self, script: &str) -> [String; 2] {
        std::thread::scope(|scope| {
            let asked = [LEFT, RIGHT].map(|it| scope.spawn(|| self.stage.inside(it, script)));
            asked.map(|asked| asked.join().unwrap())
        })
    }

    /// Every directory belongs to something.
    fn nothing_is_left(&self, run: &Run) {
        let data = self.stage.project.data();
        let number = |path: &str| std::fs::read_dir(data.join(path)).map_or(0, Iterator::count);
        let found = [
            "volumes/.exchange",
            "volumes/.snapshots",
            "volumes/.prepared",
        ]
        .map(number);
        let known = [0, number("snapshots"), number("prepared")];
        assert_eq!(found, known, "{run}");
        assert!(!data.join("exchange.json").exists(), "{run}");
    }

    /// Removes all snapshots but the first.
    fn remove_snapshots(&self) {
        let listed = self.stage.snapshot(&["list", "-o", "json"]).assert_code(0);
        let listed = listed.json();
        let names = listed["snapshots"].as_array().unwrap().iter();
        let names = names.map(|snapshot| snapshot["name"].as_str().unwrap());
        for name in names.filter(|name| *name != "kept") {
            self.stage.snapshot(&["remove", name]).assert_code(0);
        }
    }
}
