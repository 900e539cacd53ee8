//! Commands that the init runs beside its service.

use std::{
    io::Write as _,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use devenv_agent::{
    init_protocol::{Answer, OUTPUT_KEPT, Ran, Refusal, Request, State},
    protocol::write_frame,
};
use rustix::process::Signal;

use crate::{
    ENDS_SLOWLY, RUNS,
    support::{Init, LONG, PATIENT, eventually, is_gone, process, text},
};

/// More than any command here needs.
const AMPLE: u32 = 60_000;

fn script(script: &str, within_ms: u32) -> Request {
    let command = ["sh", "-c", script].map(str::to_owned).to_vec();
    Request::Run { command, within_ms }
}

fn run(init: &Init, command: &str) -> Ran {
    ran(init.ask(&script(command, AMPLE)))
}

fn ran(answer: Result<Answer, Refusal>) -> Ran {
    match answer {
        Ok(Answer::Ran(ran)) => ran,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_command_is_answered_with_its_code_and_what_it_said_on_both_streams() {
    let init = Init::script(RUNS);
    let asked = Instant::now();
    let spoke = run(&init, "echo out; echo error >&2; echo out again; exit 3");
    let took = u64::try_from(asked.elapsed().as_micros()).unwrap();
    let said = String::from_utf8(spoke.output).unwrap();
    assert_eq!((spoke.code, &*said), (3, "out\nerror\nout again\n"));
    assert!(spoke.took_us > 0 && spoke.took_us <= took);
    for (command, code) in [("true", 0), ("false", 1), ("kill -9 $$", 137)] {
        assert_eq!(run(&init, command).code, code, "{command}");
    }
}

#[test]
fn a_command_has_what_the_init_has_reads_nothing_and_leads_a_group_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Init::command(directory.path(), &[], &["sh", "-c", RUNS]);
    command.env("GIVEN", "from outside").stdin(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut stdin = process.stdin.take().unwrap();
    stdin.write_all(b"the service's\n").unwrap();
    let init = Init { process, directory };
    let look = "cat; echo $GIVEN; pwd -P; id -u; cut -d' ' -f5 /proc/self/stat; echo $$";
    let said = String::from_utf8(run(&init, look).output).unwrap();
    let said: Vec<&str> = said.lines().collect();
    let user = rustix::process::getuid().as_raw().to_string();
    let directory = init.directory.path().canonicalize().unwrap();
    assert_eq!(
        said[..3],
        ["from outside", directory.to_str().unwrap(), &user]
    );
    assert_eq!(said[3], said[4]);
    assert_ne!(said[3], init.pid_in("pid").to_string());
}

#[test]
fn of_much_output_the_end_is_answered() {
    let init = Init::script(RUNS);
    let spoke = run(&init, "yes | head -c 1000000; echo end");
    assert_eq!(spoke.output.len(), OUTPUT_KEPT);
    assert!(spoke.output.ends_with(b"y\ny\nend\n"));
}

#[test]
fn a_command_that_takes_too_long_is_killed_with_its_grandchildren() {
    let init = Init::script(RUNS);
    let long = r"
        sh -c 'trap : TERM; sleep 600 & echo $! > far; wait' & echo $! > near
        echo $$ > own; echo began; wait";
    let refused = init.ask(&script(long, 500));
    let output = b"began\n".to_vec();
    assert_eq!(refused, Err(Refusal::TookTooLong { output }));
    for name in ["own", "near", "far"] {
        is_gone(init.pid_in(name));
    }
    assert_eq!(init.running(), init.pid_in("pid"));
}

#[test]
fn what_a_command_leaves_behind_ends_with_it() {
    let init = Init::script(RUNS);
    let spoke = run(&init, "sleep 600 & echo $! > left; echo done");
    assert_eq!((spoke.code, &*spoke.output), (0, &b"done\n"[..]));
    is_gone(init.pid_in("left"));
}

#[test]
fn one_who_left_the_group_of_a_command_and_goes_on_speaking_holds_nobody_up() {
    let init = Init::script(RUNS);
    let daemon = "setsid sh -c 'echo $$ > daemon; exec yes' & while [ ! -s daemon ]; do sleep 0.01; done; exit 4";
    assert_eq!(run(&init, daemon).code, 4);
    let daemon = init.pid_in("daemon");
    // Nobody reads what it writes any more, of which it dies.
    is_gone(daemon);
}

#[test]
fn a_command_that_says_no_more_runs_on_until_it_ends() {
    let init = Init::script(RUNS);
    thread::scope(|scope| {
        let closes =
            "exec > closed 2>&1; echo closed; while [ ! -e go ]; do sleep 0.01; done; exit 6";
        let running = scope.spawn(|| run(&init, closes));
        init.line("closed");
        init.write("go");
        let ran = running.join().unwrap();
        assert_eq!((ran.code, &*ran.output), (6, &b""[..]));
    });
}

#[test]
fn a_command_that_cannot_be_started_is_refused_with_its_name() {
    let init = Init::script(RUNS);
    let refused = |command: &[&str]| {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        let within_ms = AMPLE;
        match init.ask(&Request::Run { command, within_ms }) {
            Err(Refusal::NotRun(why)) => why,
            other => panic!("{other:?}"),
        }
    };
    for program in ["no-such-program", "./no-such-file", "/"] {
        assert!(refused(&[program]).contains(&format!("`{program}`")));
    }
    assert_eq!(refused(&[]), "there is no command to run");
}

#[test]
fn commands_run_at_once_and_the_init_answers_meanwhile() {
    let init = Init::script(RUNS);
    let pid = init.pid_in("pid");
    thread::scope(|scope| {
        let each = [1, 2, 3].map(|number| {
            let wait = format!(
                "echo here > {number}; while [ ! -e go ]; do sleep 0.01; done; exit {number}"
            );
            let init = &init;
            scope.spawn(move || run(init, &wait).code)
        });
        for name in ["1", "2", "3"] {
            init.line(name);
        }
        assert_eq!(init.running(), pid);
        init.write("go");
        assert_eq!(each.map(|running| running.join().unwrap()), [1, 2, 3]);
    });
}

#[test]
fn a_command_outlives_a_restart_of_the_service() {
    let init = Init::script(ENDS_SLOWLY);
    init.pid_in("pid");
    thread::scope(|scope| {
        let begun =
            "echo begun > begun; while [ ! -e restarted ]; do sleep 0.01; done; echo seen; exit 8";
        let running = scope.spawn(|| run(&init, begun));
        init.line("begun");
        let restart = scope.spawn(|| init.restart(&PATIENT));
        init.is_in(State::Stopping);
        assert_eq!(run(&init, "exit 2").code, 2);
        init.write("go");
        let restarted = restart.join().unwrap();
        assert_eq!(init.running(), restarted.pid);
        init.write("restarted");
        let ran = running.join().unwrap();
        assert_eq!((ran.code, &*ran.output), (8, &b"seen\n"[..]));
    });
}

#[test]
fn a_command_runs_beside_a_service_that_is_held() {
    let init = Init::held("600", RUNS);
    assert_eq!(run(&init, "exit 2").code, 2);
    assert_eq!(init.status().state, State::Held);
}

#[test]
fn many_commands_leave_no_zombie() {
    let init = Init::script(RUNS);
    for number in 0..20 {
        let gone = run(&init, "(sleep 0 &); echo $$");
        assert_eq!(gone.code, 0, "{number}");
        let pid = String::from_utf8(gone.output).unwrap();
        assert!(process(pid.trim().parse().unwrap()).is_none());
    }
    eventually("only the service is left", || {
        let children = format!("/proc/{0}/task/{0}/children", init.pid());
        let children = text(children.as_ref())?;
        (children.split_whitespace().count() == 1).then_some(())
    });
}

#[test]
fn a_command_whose_client_goes_is_killed() {
    let init = Init::script(RUNS);
    let mut client = init.client();
    let long = "sleep 600 & echo $! > far; echo $$ > own; wait";
    write_frame(&mut client, &script(long, AMPLE)).unwrap();
    let processes = ["own", "far"].map(|name| init.pid_in(name));
    drop(client);
    processes.into_iter().for_each(is_gone);
    assert_eq!(run(&init, "true").code, 0);
}

#[test]
fn a_command_ends_with_the_container_and_its_client_is_told() {
    let mut init = Init::script(RUNS);
    init.pid_in("pid");
    thread::scope(|scope| {
        let running = scope.spawn(|| init.ask(&script("echo $$ > own; exec sleep 600", AMPLE)));
        let own = init.pid_in("own");
        let ended = Instant::now();
        init.signal(Signal::TERM);
        assert_eq!(running.join().unwrap(), Err(Refusal::Ending));
        assert!(ended.elapsed() < LONG.min(Duration::from_secs(10)));
        eventually("it is killed", || {
            process(own)
                .is_none_or(|(state, ..)| state == "Z")
                .then_some(())
        });
    });
    assert_eq!(init.code(), 143);
}

#[test]
fn a_container_that_ends_runs_no_more_commands() {
    let mut init = Init::script(ENDS_SLOWLY);
    init.pid_in("pid");
    init.signal(Signal::TERM);
    init.line("asked");
    assert_eq!(init.ask(&script("true", AMPLE)), Err(Refusal::Ending));
    init.write("go");
    assert_eq!(init.code(), 0);
}
