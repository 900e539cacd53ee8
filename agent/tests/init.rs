//! `devenv-agent init` as a container would run it, with small shell scripts for services.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod beside;
mod standing_by;
mod support;

use std::{
    fs::File,
    io::Write,
    os::unix::fs::PermissionsExt,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use devenv_agent::{
    init_protocol::{Answer, Refusal, Request, State, Status, ask},
    protocol::{read_frame, write_frame},
};
use rustix::process::Signal;

use support::{Init, LONG, PATIENT, TERM, eventually, is_gone, process, restarted, text};

/// A service that tells its process and runs on.
const RUNS: &str = "echo $$ > pid; exec sleep 600";
/// A service that, asked to end, waits for a file before it does.
const ENDS_SLOWLY: &str = r"
    trap 'echo asked > asked; while [ ! -e go ]; do sleep 0.01; done; exit 0' TERM
    echo $$ > pid
    while :; do sleep 0.01; done";
/// A service that does not listen.
const IGNORES: &str = "trap '' TERM; echo $$ > pid; while :; do sleep 0.01; done";

#[test]
fn a_service_that_ends_by_itself_ends_the_container_with_its_code() {
    for (script, code) in [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137)] {
        assert_eq!(Init::script(script).code(), code, "{script}");
    }
}

#[test]
fn a_command_that_is_not_there_is_named_and_ends_with_127() {
    for command in ["no-such-program", "./no-such-file"] {
        let mut init = Init::run(&[], &[command]);
        assert_eq!(init.code(), 127);
        init.says(&format!("`{command}`"));
    }
}

#[test]
fn a_command_that_cannot_be_run_is_named_and_ends_with_126() {
    for mode in [0o644, 0o755] {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("program");
        let mut file = File::create(&program).unwrap();
        file.write_all(b"neither a program nor a script").unwrap();
        file.set_permissions(PermissionsExt::from_mode(mode))
            .unwrap();
        drop(file);
        let program = program.display().to_string();
        let mut init = Init::run(&[], &[&program]);
        assert_eq!(init.code(), 126, "{mode:o}");
        init.says(&program);
    }
}

#[test]
fn a_command_line_without_a_command_is_explained_and_ends_with_125() {
    let mut init = Init::run(&["--unknown"], &["true"]);
    assert_eq!(init.code(), 125);
    init.says("usage: devenv-agent init");
}

#[test]
fn the_service_has_what_the_container_gives_and_a_process_group_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let script = "cat; echo $GIVEN; pwd -P; id -u; cut -d' ' -f5 /proc/self/stat; echo $$";
    let mut command = Init::command(directory.path(), &[], &["sh", "-c", script]);
    command.env("GIVEN", "from outside").stdin(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut stdin = process.stdin.take().unwrap();
    stdin.write_all(b"input\n").unwrap();
    drop(stdin);
    let mut init = Init { process, directory };
    assert_eq!(init.code(), 0);
    let said = text(&init.path("stdout")).unwrap();
    let said: Vec<&str> = said.lines().collect();
    let user = rustix::process::getuid().as_raw().to_string();
    let directory = init.directory.path().canonicalize().unwrap();
    assert_eq!(said[..2], ["input", "from outside"]);
    assert_eq!(said[2..4], [directory.to_str().unwrap(), &user]);
    assert_eq!(said[4], said[5]);
}

#[test]
fn a_service_reads_from_the_containers_terminal_before_and_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let script = "while read line; do echo $$ $line > got; done";
    let mut command = Init::in_terminal(directory.path(), script);
    let mut process = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut terminal = process.stdin.take().unwrap();
    let init = Init { process, directory };
    terminal.write_all(b"one\n").unwrap();
    assert_eq!(init.line("got"), format!("{} one", init.running()));
    std::fs::rename(init.path("got"), init.path("before")).unwrap();
    let (signal, grace_ms) = (Signal::HUP.as_raw(), 60_000);
    let restarted = init.restart(&Request::Restart { signal, grace_ms });
    terminal.write_all(b"two\n").unwrap();
    assert_eq!(init.line("got"), format!("{} two", restarted.pid));
}

#[test]
fn signals_reach_the_service_and_nobody_else() {
    let script = r#"
        (trap 'echo reached > reached' HUP USR1 USR2 WINCH; echo ready > other; while :; do sleep 0.01; done) &
        for signal in HUP USR1 USR2 WINCH; do trap "echo $signal > $signal" $signal; done
        trap 'exit 7' TERM
        echo ready > ready
        while :; do sleep 0.01; done"#;
    let mut init = Init::script(script);
    init.line("ready");
    init.line("other");
    let signals = [
        (Signal::HUP, "HUP"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
        (Signal::WINCH, "WINCH"),
    ];
    for (signal, name) in signals {
        init.signal(signal);
        assert_eq!(init.line(name), name);
    }
    init.signal(Signal::TERM);
    assert_eq!(init.code(), 7);
    assert!(!init.path("reached").exists());
}

#[test]
fn an_orphan_becomes_the_inits_and_leaves_no_zombie() {
    let script = r"
        (sh -c 'while [ ! -e go ]; do sleep 0.01; done' & echo $! > orphan)
        exec sleep 600";
    let init = Init::script(script);
    let orphan = init.pid_in("orphan");
    eventually("the orphan is the init's", || {
        process(orphan).filter(|(_, parent, _)| *parent == init.pid())
    });
    init.write("go");
    is_gone(orphan);
}

#[test]
fn what_a_service_leaves_behind_ends_with_it() {
    let mut init = Init::script("trap '' TERM; sleep 600 & echo $! > left; exit 4");
    let left = init.pid_in("left");
    assert_eq!(init.code(), 4);
    // Whoever reaps it now may take its time.
    eventually("it is killed", || {
        process(left)
            .is_none_or(|(state, ..)| state == "Z")
            .then_some(())
    });
}

#[test]
fn a_restart_gives_a_new_process_in_the_same_container_and_says_how_long_it_took() {
    let init = Init::script(RUNS);
    let old = init.pid_in("pid");
    assert_eq!(init.running(), old);
    let asked = Instant::now();
    let restarted = init.restart(&PATIENT);
    let took = u64::try_from(asked.elapsed().as_micros()).unwrap();
    assert_ne!(restarted.pid, old);
    assert!(restarted.stopping_us > 0 && restarted.starting_us > 0);
    assert!(restarted.stopping_us + restarted.starting_us <= took);
    is_gone(old);
    assert_eq!(process(restarted.pid).unwrap().1, init.pid());
    let status = init.status();
    let pid = restarted.pid;
    assert_eq!((status.state, status.starts), (State::Running { pid }, 2));
    assert!(status.since_start_ms.unwrap() <= u64::try_from(LONG.as_millis()).unwrap());
}

#[test]
fn grandchildren_of_a_restarted_service_are_gone() {
    let script = r"
        sh -c 'sleep 600 & echo $! > far; wait' & echo $! > near
        echo $$ > pid
        wait";
    let init = Init::script(script);
    let before = ["pid", "near", "far"].map(|name| init.pid_in(name));
    init.restart(&PATIENT);
    // Not even their zombies: nothing was left when the new service was started.
    assert_eq!(before.map(|pid| process(pid).is_some()), [false; 3]);
}

#[test]
fn what_a_restarted_service_has_in_another_group_is_gone_too() {
    // As a debugger has the program that it runs.
    let init = Init::script("setsid sleep 600 & echo $! > other; echo $$ > pid; wait");
    let (leader, other) = (init.pid_in("pid"), init.pid_in("other"));
    init.restart(&PATIENT);
    assert_eq!(
        [leader, other].map(|pid| process(pid).is_some()),
        [false; 2]
    );
}

#[test]
fn a_service_that_does_not_listen_is_killed_after_its_grace() {
    let init = Init::script(IGNORES);
    let old = init.pid_in("pid");
    let (signal, grace_ms) = (TERM, 200);
    let restarted = init.restart(&Request::Restart { signal, grace_ms });
    assert!(restarted.stopping_us >= 200_000);
    assert!(process(old).is_none());
}

#[test]
fn a_service_is_asked_with_the_signal_that_was_chosen() {
    let script = "trap 'echo USR2 > got; exit' USR2; echo $$ > pid; while :; do sleep 0.01; done";
    let init = Init::script(script);
    init.pid_in("pid");
    let (signal, grace_ms) = (Signal::USR2.as_raw(), 60_000);
    init.restart(&Request::Restart { signal, grace_ms });
    assert_eq!(init.line("got"), "USR2");
}

#[test]
fn a_service_that_fails_after_a_restart_waits_for_the_next_which_mends_it() {
    let mut init = Init::script("echo $$ > pid; [ ! -e broken ] || exit 5; exec sleep 600");
    init.pid_in("pid");
    init.write("broken");
    init.restart(&PATIENT);
    init.is_in(State::Failed { code: 5 });
    init.says("the service ended with code 5: waiting for the next change");
    std::fs::rename(init.path("broken"), init.path("mended")).unwrap();
    let restarted = init.restart(&PATIENT);
    assert_eq!(restarted.stopping_us, 0);
    assert_eq!(init.running(), restarted.pid);
    assert_eq!(init.process.try_wait().unwrap(), None);
}

#[test]
fn a_service_that_is_done_after_a_restart_ends_the_container() {
    let script = "[ ! -e done ] || exit 0; echo $$ > pid; exec sleep 600";
    let mut init = Init::script(script);
    init.pid_in("pid");
    init.write("done");
    init.restart(&PATIENT);
    assert_eq!(init.code(), 0);
}

#[test]
fn a_service_that_cannot_be_started_again_waits_for_the_next_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (here, away) = (directory.path().join("run"), directory.path().join("away"));
    std::os::unix::fs::symlink("/bin/sleep", &here).unwrap();
    let init = Init::run(&[], &[here.to_str().unwrap(), "600"]);
    init.running();
    std::fs::rename(&here, &away).unwrap();
    let refused = init.ask(&PATIENT).unwrap_err();
    assert!(matches!(&refused, Refusal::NotStarted(why) if why.contains(here.to_str().unwrap())));
    init.is_in(State::Failed { code: 127 });
    std::fs::rename(&away, &here).unwrap();
    assert_eq!(init.restart(&PATIENT).pid, init.running());
}

#[test]
fn the_next_start_is_with_another_command_until_it_is_its_own_again() {
    let script = "echo own $ADDED > own-$$; sleep 600 & echo $$ > pid; wait";
    let init = Init::script(script);
    let first = init.pid_in("pid");
    let other = ["sh", "-c", "echo other $ADDED > other; exec sleep 600"].map(str::to_owned);
    let added = vec![("ADDED".to_owned(), "and more".to_owned())];
    let set = |command, environment| {
        init.ask(&Request::Command {
            command,
            environment,
        })
    };
    assert_eq!(
        set(Some(other.to_vec()), added.clone()),
        Ok(Answer::CommandSet)
    );
    assert_eq!(init.running(), first, "what runs stays");
    init.restart(&PATIENT);
    assert_eq!(init.line("other"), "other and more");
    set(None, added).unwrap();
    let pid = init.restart(&PATIENT).pid;
    assert_eq!(init.line(&format!("own-{pid}")), "own and more");
    set(None, Vec::new()).unwrap();
    let pid = init.restart(&PATIENT).pid;
    assert_eq!(init.line(&format!("own-{pid}")), "own");
}

#[test]
fn no_command_is_none_to_start_with() {
    let init = Init::script(RUNS);
    let refused = init.ask(&Request::Command {
        command: Some(Vec::new()),
        environment: Vec::new(),
    });
    assert!(matches!(refused, Err(Refusal::NotRun(_))), "{refused:?}");
    let old = init.pid_in("pid");
    assert_ne!(init.restart(&PATIENT).pid, old);
}

#[test]
fn a_service_that_is_told_to_end_after_a_restart_ends_the_container_with_any_code() {
    let mut init = Init::script(RUNS);
    init.pid_in("pid");
    init.restart(&PATIENT);
    init.signal(Signal::TERM);
    assert_eq!(init.code(), 143);
}

#[test]
fn a_service_that_another_signal_ends_after_a_restart_ends_the_container_too() {
    for (signal, code) in [(Signal::INT, 130), (Signal::QUIT, 131)] {
        let mut init = Init::held("600", RUNS);
        init.restart(&PATIENT);
        init.pid_in("pid");
        init.signal(signal);
        assert_eq!(init.code(), code);
    }
}

#[test]
fn a_service_that_outlives_a_signal_can_be_restarted() {
    let script = "trap 'echo dump > dump' QUIT; echo $$ > pid; while :; do sleep 0.01; done";
    let init = Init::script(script);
    init.pid_in("pid");
    init.signal(Signal::QUIT);
    init.line("dump");
    assert_eq!(init.restart(&PATIENT).pid, init.running());
}

#[test]
fn a_container_that_is_stopped_while_its_service_restarts_does_not_start_it_again() {
    let mut init = Init::script(ENDS_SLOWLY);
    init.pid_in("pid");
    let mut client = init.client();
    write_frame(&mut client, &PATIENT).unwrap();
    init.line("asked");
    init.signal(Signal::TERM);
    let answer: Option<Result<Answer, Refusal>> = read_frame(&mut client).unwrap();
    assert_eq!(answer, Some(Err(Refusal::Ending)));
    assert_eq!(init.status().state, State::Stopping);
    assert_eq!(init.ask(&PATIENT), Err(Refusal::Ending));
    init.write("go");
    assert_eq!(init.code(), 0);
}

#[test]
fn one_who_waits_for_a_failed_services_restart_can_stop_its_container() {
    let mut init = Init::script("echo $$ > pid; [ ! -e broken ] || exit 5; exec sleep 600");
    init.pid_in("pid");
    init.write("broken");
    init.restart(&PATIENT);
    init.is_in(State::Failed { code: 5 });
    init.signal(Signal::USR1);
    init.signal(Signal::TERM);
    assert_eq!(init.code(), 143);
}

#[test]
fn a_held_service_starts_when_it_is_released() {
    let mut init = Init::held("600", "echo started; exit 6");
    let nothing = Status {
        state: State::Held,
        starts: 0,
        since_start_ms: None,
    };
    assert_eq!(init.status(), nothing);
    assert_eq!(init.ask(&Request::Release), Ok(Answer::Released));
    assert_eq!(init.code(), 6);
    assert_eq!(init.line("stdout"), "started");
}

#[test]
fn a_release_whose_start_fails_is_refused_and_ends_the_container() {
    let mut init = Init::run(&["--hold", "600"], &["no-such-program"]);
    assert_eq!(init.ask(&Request::Release), Err(Refusal::Ending));
    assert_eq!(init.code(), 127);
}

#[test]
fn a_release_of_a_service_that_runs_changes_nothing() {
    let init = Init::script(RUNS);
    let pid = init.pid_in("pid");
    assert_eq!(init.ask(&Request::Release), Ok(Answer::Released));
    assert_eq!((init.running(), init.status().starts), (pid, 1));
}

#[test]
fn a_held_service_is_started_by_a_restart() {
    let init = Init::held("600", RUNS);
    let restarted = init.restart(&PATIENT);
    assert_eq!(
        (restarted.pid, restarted.stopping_us),
        (init.pid_in("pid"), 0)
    );
    assert_eq!(init.status().starts, 1);
}

#[test]
fn a_held_service_that_nobody_releases_starts_in_the_end() {
    let begun = Instant::now();
    let mut init = Init::held("1", "exit 6");
    assert_eq!(init.code(), 6);
    assert!(begun.elapsed() >= Duration::from_secs(1));
    init.says("nobody released the service");
}

#[test]
fn a_container_whose_service_is_held_is_stopped_at_once() {
    let mut init = Init::held("600", "exit 6");
    assert_eq!(init.status().state, State::Held);
    init.signal(Signal::TERM);
    assert_eq!(init.code(), 143);
}

#[test]
fn a_container_that_is_kept_after_its_service_ends_when_it_is_released_with_the_services_code() {
    for (script, code) in [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137)] {
        let mut init = Init::run(&["--keep", "600"], &["sh", "-c", script]);
        init.is_in(State::Ended { code });
        let signal = TERM;
        let refused = init.ask(&Request::Signal { signal });
        assert_eq!(refused, Err(Refusal::NotRunning));
        assert_eq!(init.ask(&PATIENT), Err(Refusal::Ending));
        assert_eq!(init.ask(&Request::Release), Ok(Answer::Released));
        assert_eq!(init.code(), i32::from(code), "{script}");
    }
}

#[test]
fn a_kept_container_ends_when_it_is_stopped_and_when_its_time_is_over() {
    let mut stopped = Init::run(&["--keep", "600"], &["sh", "-c", "exit 3"]);
    stopped.is_in(State::Ended { code: 3 });
    stopped.signal(Signal::TERM);
    assert_eq!(stopped.code(), 3);
    let begun = Instant::now();
    let mut forgotten = Init::run(&["--keep", "1"], &["sh", "-c", "exit 4"]);
    assert_eq!(forgotten.code(), 4);
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[test]
fn a_service_runs_also_where_no_requests_can_be_taken() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("no-directory/socket");
    // The last one counts. Nobody could release it.
    let options = [
        "--socket",
        socket.to_str().unwrap(),
        "--hold",
        "600",
        "--keep",
        "600",
    ];
    let mut init = Init::run(&options, &["sh", "-c", "exit 3"]);
    assert_eq!(init.code(), 3);
    init.says(socket.to_str().unwrap());
}

#[test]
fn two_clients_who_restart_at_once_are_answered_with_one_start() {
    let init = Init::script(ENDS_SLOWLY);
    init.pid_in("pid");
    let (mut first, mut second) = (init.client(), init.client());
    write_frame(&mut first, &PATIENT).unwrap();
    init.is_in(State::Stopping);
    thread::scope(|scope| {
        let joined = scope.spawn(|| ask(&mut second, &PATIENT).unwrap());
        init.line("asked");
        init.write("go");
        let answer = read_frame::<Result<Answer, Refusal>>(&mut first).unwrap();
        let answer = restarted(answer.unwrap());
        let other = restarted(joined.join().unwrap());
        // The second may have come only after the first was answered.
        assert_eq!(init.status().starts, if other == answer { 2 } else { 3 });
    });
}

#[test]
fn the_shortest_grace_of_those_who_restart_at_once_counts() {
    let init = Init::script(IGNORES);
    init.pid_in("pid");
    let mut patient = init.client();
    write_frame(&mut patient, &PATIENT).unwrap();
    init.is_in(State::Stopping);
    let (signal, grace_ms) = (TERM, 0);
    let hasty = init.restart(&Request::Restart { signal, grace_ms });
    let answer = read_frame::<Result<Answer, Refusal>>(&mut patient).unwrap();
    assert_eq!(restarted(answer.unwrap()), hasty);
}

#[test]
fn one_client_asks_many_times_while_another_is_connected() {
    let init = Init::script(RUNS);
    let pid = init.pid_in("pid");
    let _idle = init.client();
    let mut client = init.client();
    for _ in 0..50 {
        let answer = ask(&mut client, &Request::Status).unwrap();
        let running = |status: &Status| status.state == State::Running { pid };
        assert!(matches!(answer, Ok(Answer::Status(status)) if running(&status)));
    }
    assert_eq!(init.restart(&PATIENT).pid, init.running());
}

#[test]
fn a_signal_that_a_client_asks_for_reaches_the_service() {
    let script = "trap 'exit 9' USR1; echo $$ > pid; while :; do sleep 0.01; done";
    let mut init = Init::script(script);
    init.pid_in("pid");
    let signal = Signal::USR1.as_raw();
    let sent = init.ask(&Request::Signal { signal });
    assert_eq!(sent, Ok(Answer::Signalled));
    assert_eq!(init.code(), 9);
}

#[test]
fn what_cannot_be_done_is_refused() {
    let init = Init::held("600", RUNS);
    let signal = |signal| init.ask(&Request::Signal { signal });
    assert_eq!(signal(TERM), Err(Refusal::NotRunning));
    let grace_ms = 0;
    for number in [0, -9, 1000] {
        let refused = Err(Refusal::NoSignal(number));
        assert_eq!(signal(number), refused);
        let signal = number;
        assert_eq!(init.ask(&Request::Restart { signal, grace_ms }), refused);
    }
    assert_eq!(init.status().state, State::Held);
}
