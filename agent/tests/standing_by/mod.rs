//! A service that is killed and started again in its container, as its data is exchanged.

use std::{fs, time::Duration};

use devenv_agent::init_protocol::{Answer, Refusal, Request, State};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    RUNS,
    support::{Init, eventually, is_gone, text},
};

const LONG: Request = Request::StandBy {
    within_ms: 600_000,
    hold_ms: 600_000,
};

fn kill(pid: u32) {
    let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

#[test]
fn a_killed_service_is_held_and_started_where_its_directory_is_then() {
    let directory = tempfile::tempdir().unwrap();
    let (data, other) = (
        directory.path().join("data"),
        directory.path().join("other"),
    );
    fs::create_dir(&data).unwrap();
    fs::create_dir(&other).unwrap();
    let script = "echo started >> starts; while [ ! -e broken ]; do sleep 0.01; done; exit 5";
    let mut command = Init::command(directory.path(), &[], &["sh", "-c", script]);
    let process = command.current_dir(&data).spawn().unwrap();
    let mut init = Init { process, directory };
    init.line("data/starts");
    assert_eq!(init.ask(&LONG), Ok(Answer::StandsBy));
    let before = init.running();
    kill(before);
    init.is_in(State::Held);
    is_gone(before);
    fs::rename(&data, init.path("before")).unwrap();
    fs::rename(&other, &data).unwrap();
    assert_eq!(init.ask(&Request::Release), Ok(Answer::Released));
    assert_eq!(init.line("data/starts"), "started");
    assert_eq!(init.line("before/starts"), "started");
    assert_ne!(init.running(), before);
    // It is as it was: an end that nobody expects is the container's.
    init.write("data/broken");
    assert_eq!(init.code(), 5);
}

#[test]
fn one_that_is_released_before_it_is_killed_goes_on_and_its_end_is_its_containers() {
    let mut init = Init::script(RUNS);
    let pid = init.pid_in("pid");
    assert_eq!(init.ask(&LONG), Ok(Answer::StandsBy));
    assert_eq!(init.ask(&Request::Release), Ok(Answer::Released));
    assert_eq!(init.running(), pid);
    kill(pid);
    assert_eq!(init.code(), 137);
}

#[test]
fn a_killed_service_that_nobody_releases_ends_its_container() {
    let mut init = Init::script(RUNS);
    init.pid_in("pid");
    let (within_ms, hold_ms) = (600_000, 1_000);
    assert_eq!(
        init.ask(&Request::StandBy { within_ms, hold_ms }),
        Ok(Answer::StandsBy)
    );
    kill(init.running());
    init.is_in(State::Held);
    assert_eq!(init.code(), 137);
    init.says("nobody released the service");
}

#[test]
fn an_end_after_the_time_is_the_containers() {
    let mut init = Init::script("echo $$ > pid; while [ ! -e end ]; do sleep 0.01; done; exit 4");
    init.pid_in("pid");
    let (within_ms, hold_ms) = (1, 600_000);
    assert_eq!(
        init.ask(&Request::StandBy { within_ms, hold_ms }),
        Ok(Answer::StandsBy)
    );
    std::thread::sleep(Duration::from_millis(5));
    init.write("end");
    assert_eq!(init.code(), 4);
}

#[test]
fn a_start_without_the_directory_ends_the_container() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    fs::create_dir(&data).unwrap();
    let mut command = Init::command(directory.path(), &[], &["sleep", "600"]);
    let process = command.current_dir(&data).spawn().unwrap();
    let mut init = Init { process, directory };
    assert_eq!(init.ask(&LONG), Ok(Answer::StandsBy));
    kill(init.running());
    init.is_in(State::Held);
    fs::remove_dir(&data).unwrap();
    assert_eq!(init.ask(&Request::Release), Err(Refusal::Ending));
    assert_eq!(init.code(), 127);
    let said = init.path("stderr");
    eventually("why", || {
        text(&said)?.contains("cannot start `sleep`").then_some(())
    });
}

#[test]
fn only_a_service_that_runs_can_be_waited_for() {
    let init = Init::held("600", RUNS);
    assert_eq!(init.ask(&LONG), Err(Refusal::NotRunning));
}
