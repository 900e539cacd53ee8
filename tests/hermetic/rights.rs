//! What devenv keeps is for the user alone, whatever the umask says.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::support::TestEnvironment;

/// One whose build makes the session wait for edits, and whose hook is confirmed.
const MANIFEST: &str = "apiVersion: devenv/v1
name: shop
services: { web: { image: nginx:1, env: { GREETING: hello } } }
hooks: { afterUp: [{ command: [echo, done] }] }
";
/// All that writes state where there is no cluster. Each must be over before the next begins.
const SCRIPT: &str = "
$DEVENV up --yes --no-session
$DEVENV config set services.web.env.GREETING=hi
$DEVENV config set services.web.env.GREETING=ho --layer local
$DEVENV doctor
$DEVENV session run & session=$!
until $DEVENV session status -o json | /bin/grep -q '\"running\": true'; do /bin/sleep 0.02; done
/usr/bin/find $HOME/.local/state/devenv \\( -type d ! -perm 700 \\) -o \\( ! -type d ! -perm 600 \\) > while-it-runs
$DEVENV session stop
wait $session
$DEVENV history
$DEVENV down --yes
";

/// Everything below a directory, with itself.
fn below(directory: &Path) -> Vec<PathBuf> {
    let mut found = vec![directory.to_owned()];
    let mut next = 0;
    while let Some(path) = found.get(next).cloned() {
        next += 1;
        let is_directory = path.symlink_metadata().expect("it is there").is_dir();
        if is_directory {
            let entries = std::fs::read_dir(path).expect("it may be read");
            found.extend(entries.map(|entry| entry.expect("an entry").path()));
        }
    }
    found
}

fn mode(path: &Path) -> u32 {
    let about = path.symlink_metadata().expect("it is there");
    about.permissions().mode() & 0o7777
}

#[track_caller]
fn assert_private(directory: &Path) -> usize {
    let found = below(directory);
    for path in &found {
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        let mode = mode(path);
        assert_eq!(mode, expected, "{} has {mode:o}", path.display());
    }
    found.len()
}

#[test]
fn state_and_data_are_for_the_user_alone_whatever_the_umask() {
    for umask in ["000", "022", "077", "027"] {
        let mut environment = TestEnvironment::new();
        environment.set("DOCKER_HOST", "unix:///nowhere");
        environment.write_project("devenv.yaml", MANIFEST);
        let script = format!("umask {umask}\n{SCRIPT}");
        let output = environment.finished(&mut environment.shell(&script));
        let state = environment.home().join(".local/state/devenv");
        assert!(state.join("trust.json").exists(), "{output}");
        let seen: Vec<PathBuf> = below(&state);
        let has = |name: &str| seen.iter().any(|path| path.ends_with(name));
        for name in ["lock", "session.lock", "journal", "trust.json"] {
            assert!(has(name), "{name} is not there: {seen:#?}\n{output}");
        }
        assert_eq!(environment.read_project("while-it-runs"), "", "{output}");
        assert!(assert_private(&state) > 10, "{seen:#?}\n{output}");
        assert_private(&environment.home().join(".local/share/devenv"));
    }
}
