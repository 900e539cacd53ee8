use std::{sync::Mutex, time::Duration};

use super::*;

fn shell(script: &str, deadline: Duration) -> Invocation {
    let environment = ChildEnvironment::default().with("PATH", "/usr/local/bin:/usr/bin:/bin");
    Invocation::new("sh", environment, deadline).args(["-c", script])
}

const LONG: Duration = Duration::from_secs(20);

async fn run_quietly(invocation: &Invocation) -> Result<Finished, ProcessError> {
    run(invocation, &CancellationToken::new(), None).await
}

fn is_alive(pid: &str) -> bool {
    // A zombie whose parent was killed is reaped by init at its leisure: it counts as dead.
    std::fs::File::open(format!("/proc/{pid}/stat"))
        .and_then(std::io::read_to_string)
        .is_ok_and(|stat| !stat.contains(") Z "))
}

/// Waits for a condition that becomes true soon, without assuming how soon.
async fn eventually(what: &str, is_true: impl Fn() -> bool) {
    let wait = async {
        while !is_true() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(LONG, wait).await.is_ok(), "{what}");
}

#[tokio::test]
async fn exit_code_and_both_streams_come_back() {
    let done = run_quietly(&shell("echo out; echo err >&2; exit 3", LONG))
        .await
        .unwrap();
    assert_eq!((done.code, done.succeeded()), (3, false));
    assert_eq!(done.stdout, b"out\n");
    assert_eq!(done.stderr, b"err\n");
}

#[tokio::test]
async fn a_signal_counts_as_a_shell_counts_it() {
    let done = run_quietly(&shell("kill -9 $$", LONG)).await.unwrap();
    assert_eq!(done.code, 137);
}

#[tokio::test]
async fn input_is_fed_and_may_be_larger_than_a_pipe() {
    let mut invocation = shell("wc -c", LONG);
    invocation.stdin = Some(vec![b'x'; 1_000_000]);
    let done = run_quietly(&invocation).await.unwrap();
    assert_eq!(done.stdout_text().trim(), "1000000");
}

#[tokio::test]
async fn a_child_that_does_not_read_its_input_still_ends() {
    let mut invocation = shell("exit 0", LONG);
    invocation.stdin = Some(vec![b'x'; 1_000_000]);
    assert!(run_quietly(&invocation).await.unwrap().succeeded());
}

#[tokio::test]
async fn the_environment_is_what_was_named_and_nothing_else() {
    let mut invocation = shell("env", LONG);
    invocation.environment = invocation.environment.with("A", "1");
    let text = run_quietly(&invocation).await.unwrap().stdout_text();
    let mut names: Vec<&str> = text.lines().filter_map(|l| l.split('=').next()).collect();
    names.retain(|name| !["PWD", "SHLVL", "_", "OLDPWD"].contains(name));
    names.sort_unstable();
    assert_eq!(names, ["A", "PATH"]);
}

#[test]
fn the_users_kubeconfig_is_not_inherited() {
    let variables = [
        ("KUBECONFIG", "/prod"),
        ("PATH", "/bin"),
        ("AWS_SECRET", "x"),
    ]
    .map(|(name, value)| (name.into(), value.into()));
    let environment = ChildEnvironment::inherit(variables);
    let names: Vec<_> = environment.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["PATH"]);
}

#[tokio::test]
async fn lines_are_passed_on_as_they_are_said() {
    let lines = Mutex::new(Vec::new());
    let note = |stream, line: &str| lines.lock().unwrap().push((stream, line.to_owned()));
    run(
        &shell(r"printf 'a\r\nb'", LONG),
        &CancellationToken::new(),
        Some(&note),
    )
    .await
    .unwrap();
    let expected = ["a", "b"].map(|line| (Stream::Stdout, line.to_owned()));
    assert_eq!(*lines.lock().unwrap(), expected);
}

#[tokio::test]
async fn only_the_end_of_a_flood_is_kept() {
    let done = run_quietly(&shell("yes | head -c 1000000; echo END", LONG))
        .await
        .unwrap();
    assert_eq!(done.stdout.len(), OUTPUT_KEPT);
    assert!(done.stdout.ends_with(b"END\n"));
}

#[tokio::test]
async fn a_deadline_ends_the_whole_group_even_if_it_ignores_the_request() {
    let script = "trap '' TERM; sleep 600 & echo $! >&2; echo $$ >&2; wait; wait; sleep 600";
    let error = run_quietly(&shell(script, Duration::from_millis(300)))
        .await
        .unwrap_err();
    let ProcessError::Deadline { stderr, .. } = &error else {
        panic!("{error:?}");
    };
    let pids = String::from_utf8_lossy(stderr).into_owned();
    assert_eq!(pids.lines().count(), 2);
    for pid in pids.lines() {
        eventually("no process of the group is left", || !is_alive(pid)).await;
    }
    let failure = error.failure();
    assert_eq!(failure.code.0, "tool.deadline");
    assert!(!failure.evidence.is_empty());
}

#[tokio::test]
async fn cancellation_ends_the_child() {
    let cancel = CancellationToken::new();
    let trigger = cancel.clone();
    let on_line = move |_: Stream, _: &str| trigger.cancel();
    let error = run(
        &shell("echo ready; sleep 600", LONG),
        &cancel,
        Some(&on_line),
    )
    .await
    .unwrap_err();
    assert!(matches!(error, ProcessError::Cancelled { .. }));
    assert_eq!(error.failure().class.code(), 130);
}

#[tokio::test]
async fn dropping_the_run_kills_the_group() {
    let (pid_tx, mut pid_rx) = tokio::sync::mpsc::unbounded_channel();
    let task = tokio::spawn(async move {
        let on_line = move |_: Stream, line: &str| pid_tx.send(line.to_owned()).unwrap();
        run(
            &shell("sleep 600 & echo $!; wait", LONG),
            &CancellationToken::new(),
            Some(&on_line),
        )
        .await
    });
    let pid = pid_rx.recv().await.unwrap();
    task.abort();
    eventually("the grandchild is gone", || !is_alive(&pid)).await;
}

#[tokio::test]
async fn pipes_that_a_grandchild_holds_open_are_abandoned() {
    let started = Instant::now();
    let done = run_quietly(&shell("sleep 15 & echo $!", LONG))
        .await
        .unwrap();
    assert!(started.elapsed() < Duration::from_secs(10));
    let pid = done.stdout_text().trim().parse().unwrap();
    let sleeper = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(sleeper, rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn what_a_command_leaves_in_a_session_of_its_own_is_left_on_purpose() {
    let started = Instant::now();
    let script = "setsid sh -c 'echo $$; exec sleep 30 >/dev/null 2>&1' & sleep 0.3";
    let done = run_quietly(&shell(script, LONG)).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(10));
    let pid = done.stdout_text().trim().to_owned();
    assert!(is_alive(&pid), "{done:?}");
    let left = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::kill_process(left, rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn a_missing_program_says_how_to_install_it() {
    let environment = ChildEnvironment::default().with("PATH", "/nowhere");
    let error = run_quietly(&Invocation::new("k3d", environment, LONG))
        .await
        .unwrap_err();
    let failure = error.failure();
    assert_eq!(failure.code.0, "tool.missing");
    assert_eq!(failure.class.code(), 4);
    assert!(failure.help[0].contains("k3d.io"));
}

#[tokio::test]
async fn a_file_without_permission_is_told_from_a_missing_one() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let environment = ChildEnvironment::default();
    let error = run_quietly(&Invocation::new(file.path(), environment, LONG))
        .await
        .unwrap_err();
    assert_eq!(error.failure().code.0, "tool.not-executable");
}

#[test]
fn a_command_line_can_be_pasted_and_input_is_never_shown() {
    let mut invocation = shell("echo 'hi'", LONG);
    invocation.stdin = Some(b"hunter2".to_vec());
    assert_eq!(invocation.command_line(), r"sh -c 'echo '\''hi'\'''");
    assert!(!format!("{invocation:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_launched_program_that_ends_is_told_from_one_that_runs_on() {
    let ended = launch(&shell("exit 3", LONG)).await.unwrap();
    assert_eq!(ended, Launched::Ended(3));
    let home = tempfile::tempdir().unwrap();
    // The end of the directory is its end.
    let script = format!(
        "while [ -d {} ]; do sleep 0.01; done",
        home.path().display()
    );
    let runs = launch(&shell(&script, Duration::from_millis(50))).await;
    assert_eq!(runs.unwrap(), Launched::Runs);
}
