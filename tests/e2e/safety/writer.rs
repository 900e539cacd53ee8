//! One command at a time changes an environment.

use std::time::Duration;

use super::{SERVE, assert_converged, project, until};
use crate::program::Project;

/// A command that has to wait for another must say so at once.
const AT_ONCE: Duration = Duration::from_secs(2);

#[test]
fn while_one_command_changes_an_environment_the_others_are_refused_and_looking_is_free() {
    let project = project(
        "writer",
        &format!(
            "services:\n  slow:\n    build: image\n    command: [sh, -c, {SERVE:?}]\n\
             \x20   ready: {{ command: [test, -e, /tmp/go], within: 3m }}\n"
        ),
    );
    let mut up = project.running(&["up"]);
    let holder = format!("at work on it: pid {} (devenv up, since ", up.pid());
    up.until("status tells of the creation", || {
        let status = project.devenv(&["status"]);
        status.stdout.contains("cluster being created") && status.stdout.contains(&holder)
    });
    up.until_it_says("started  wait until slow is ready");
    refuses_others(&project, "up", up.pid());
    // Its exit code says that not all is ready.
    project
        .devenv(&["status"])
        .assert_code(6)
        .assert_says(&["starting", &holder]);
    project.devenv(&["plan", "--exit-code"]).assert_code(10);
    until("its log is there", || {
        let logs = project.devenv(&["logs", "slow"]);
        logs.code == Some(0) && logs.stdout.contains("serving")
    });
    // Whoever holds it when it is killed hinders nobody.
    let killed = up.pid();
    up.kill();
    let lock = devenv::adapters::files::read_text(&project.state().join("lock")).unwrap();
    assert!(
        lock.contains(&killed.to_string()),
        "the dead one's name is still there: {lock}"
    );
    let mut up = project.running(&["up"]);
    up.until_it_says("started  wait until slow is ready");
    refuses_others(&project, "up", up.pid());
    let go = ["exec", "deployment/slow", "--", "touch", "/tmp/go"];
    project.kubectl(&go).assert_code(0);
    up.end().assert_code(0);
    assert_converged(&project, &["slow"]);
    project.end();
}

fn refuses_others(project: &Project, holder: &str, pid: u32) {
    let before = project.containers();
    for words in [
        &["up"][..],
        &["down"],
        &["down", "--volumes", "--yes"],
        &["scale", "slow=1"],
        &["restart", "slow"],
        &["stop"],
        &["start"],
    ] {
        let refused = project.devenv(words).assert_code(8).assert_within(AT_ONCE);
        let (holder, pid) = (format!("devenv {holder}"), format!("pid {pid}"));
        refused.assert_says(&["lock.held", &holder, &pid]);
    }
    assert_eq!(project.containers(), before);
}
