//! `devenv config set` is killed at every call that changes a file, and each of these calls fails once: the manifest is
//! the old or the new, whole, and the next command goes on.

mod traced;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use nix::errno::Errno;

use self::traced::{BEGIN, Ended, Fate, follow};
use crate::support::TestEnvironment;

const OLD: &str = "\
# Ours.
apiVersion: devenv/v1
name: notes
services:
  # What people see.
  web: { image: 'notes/web:1', replicas: 2 }   # two, for the sessions
";
/// What the overlay says, which is changed together with it.
const OLD_LOCAL: &str = "# mine alone\nservices: { web: { env: { LEVEL: info } } }\n";
const SET: [&str; 4] = [
    "config",
    "set",
    "services.web.replicas=3",
    "services.web.env.LEVEL=debug",
];
const MODE: u32 = 0o640;

/// A project with a manifest and an overlay.
struct Scene {
    environment: TestEnvironment,
}

impl Scene {
    fn new() -> Self {
        let mut environment = TestEnvironment::new();
        environment.set("DOCKER_HOST", "unix:///nowhere/docker.sock");
        Self { environment }
    }

    /// Runs `config set` in two files that are as they were.
    fn set(&self, fate: Fate) -> Ended {
        self.environment.write_project("devenv.yaml", OLD);
        let manifest = self.environment.project().join("devenv.yaml");
        let mode = fs::Permissions::from_mode(MODE);
        fs::set_permissions(manifest, mode).expect("it is ours");
        self.environment
            .write_project("devenv.local.yaml", OLD_LOCAL);
        let mut command = self.environment.shell(BEGIN);
        command.args(["sh", env!("CARGO_BIN_EXE_devenv")]).args(SET);
        let home = self.environment.home();
        follow(command, home.parent().expect("a root"), fate)
    }

    /// Whether both files are the new ones; each is the old or the new one, as it was meant.
    fn is_new(&self, ended: &Ended) -> bool {
        let read = |path: &str| self.environment.read_project(path);
        let manifest = read("devenv.yaml");
        let new = new();
        assert!(manifest == OLD || manifest == new.0, "{ended:?} {manifest}");
        let local = read("devenv.local.yaml");
        assert!(local == OLD_LOCAL || local == new.1, "{ended:?} {local}");
        let about = fs::metadata(self.environment.project().join("devenv.yaml"));
        let mode = about.expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, MODE, "{ended:?}");
        (manifest, local) == new
    }

    /// The files of the project beside those that belong to it.
    fn left(&self) -> Vec<String> {
        let known = ["devenv.yaml", "devenv.local.yaml"];
        let names = names(&self.environment.project()).into_iter();
        names
            .filter(|name| !known.contains(&name.as_str()))
            .collect()
    }

    /// The next commands go on from there, and nothing is left beside the files.
    fn goes_on(&self, ended: &Ended) {
        let looked = self.environment.devenv(["history"]);
        assert_eq!(looked.code, Some(0), "{ended:?}\n{looked}");
        let again = self.environment.devenv(SET);
        assert_eq!(again.code, Some(0), "{ended:?}\n{again}");
        assert!(self.is_new(ended), "{ended:?}");
        assert_eq!(self.left(), [""; 0], "{ended:?}");
    }
}

fn new() -> (String, String) {
    (
        OLD.replace("replicas: 2", "replicas: 3"),
        OLD_LOCAL.replace("LEVEL: info", "LEVEL: debug"),
    )
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory of ours");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

/// At how many calls a run can be interrupted.
fn calls(scene: &Scene) -> usize {
    // The first makes directories that the others find.
    for _ in 0..2 {
        let ended = scene.set(Fate::Spared);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(scene.is_new(&ended));
    }
    let calls = scene.set(Fate::Spared).calls;
    let has = |name: &str| calls.iter().filter(|call| call.starts_with(name)).count();
    assert!(
        has("rename") >= 2 && has("fsync") >= 4 && has("write") >= 2,
        "{calls:?}"
    );
    calls.len()
}

#[test]
fn whoever_kills_config_set_finds_the_old_or_the_new() {
    let scene = Scene::new();
    let (mut old, mut new) = (0, 0);
    for at in 1..=calls(&scene) {
        let ended = scene.set(Fate::KilledAt(at));
        assert_eq!(ended.code, None, "{at}: {ended:?}");
        assert_eq!(ended.calls.len(), at, "{ended:?}");
        let is_new = scene.is_new(&ended);
        *if is_new { &mut new } else { &mut old } += 1;
        scene.goes_on(&ended);
    }
    assert!(old > 4 && new > 4, "{old} {new}");
}

#[test]
fn a_first_config_set_that_is_killed_leaves_directories_that_the_next_goes_on_in() {
    let count = Scene::new().set(Fate::Spared).calls.len();
    for at in 1..=count {
        let scene = Scene::new();
        let ended = scene.set(Fate::KilledAt(at));
        scene.is_new(&ended);
        scene.goes_on(&ended);
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_call_that_fails_once_leaves_the_old_or_the_new_and_is_told() {
    let scene = Scene::new();
    let count = calls(&scene);
    for error in [Errno::EIO, Errno::ENOSPC, Errno::EROFS, Errno::EINTR] {
        let mut told = 0;
        for at in 1..=count {
            let ended = scene.set(Fate::RefusedAt(at, error));
            let is_new = scene.is_new(&ended);
            match ended.code {
                Some(0) => assert!(is_new, "{error}: {ended:?}"),
                Some(code) => {
                    assert!((2..=8).contains(&code), "{error}: {ended:?}");
                    assert!(ended.said.contains("error["), "{error}: {ended:?}");
                    assert!(ended.said.contains("try:"), "{error}: {ended:?}");
                    told += 1;
                }
                None => panic!("{error}: {ended:?}"),
            }
            scene.goes_on(&ended);
        }
        assert!(told > 2 || error == Errno::EINTR, "{error}: {told}");
    }
}
