//! Many commands at once, and a terminal that goes away.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStringExt as _, fs::OpenOptionsExt as _, net::UnixListener},
    },
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::tcgetattr,
};

use super::{is_at_work, project, until};
use crate::support::TestEnvironment;

const COMMANDS: usize = 20;
/// How long docker has to answer, and a moment.
const SOON: Duration = Duration::from_secs(6);
const HIDES_CURSOR: &str = "\u{1b}[?25l";
const SHOWS_CURSOR: &str = "\u{1b}[?25h";

/// A project whose docker engine takes connections and never answers, so that a command is at work for a while.
fn silent() -> (TestEnvironment, UnixListener) {
    let mut environment = project();
    let socket = environment.home().join("docker.sock");
    let silent = UnixListener::bind(&socket).expect("a fresh name");
    environment.set("DOCKER_HOST", &format!("unix://{}", socket.display()));
    environment.set("TERM", "xterm-256color");
    (environment, silent)
}

#[test]
fn of_twenty_commands_that_begin_at_once_one_works_and_the_others_name_it() {
    let (environment, _silent) = silent();
    let gate = environment.home().join("gate");
    let held = fs::File::create(&gate).expect("a fresh name");
    held.lock().expect("nobody else has it");
    let script = format!(
        "exec /usr/bin/flock --shared {} $DEVENV up --no-session",
        gate.display()
    );
    let commands = [(); COMMANDS].map(|()| {
        let mut command = environment.shell(&script);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().expect("a shell")
    });
    // They begin once nobody has the gate for itself.
    drop(held);
    let ended = commands.map(|command| command.wait_with_output().expect("it ends"));
    let said = |code: i32| {
        let with_code = ended
            .iter()
            .filter(move |it| it.status.code() == Some(code));
        with_code.map(|it| String::from_utf8_lossy(&it.stderr).into_owned())
    };
    let (worked, refused) = (said(4).count(), said(8).count());
    assert_eq!(worked + refused, COMMANDS, "{ended:?}");
    assert!(worked >= 1 && refused >= COMMANDS / 2, "{worked} {refused}");
    assert!(said(4).all(|said| said.contains("docker.no-answer")));
    let names_it = |said: &String| said.contains("lock.held") && said.contains("(devenv up, since");
    assert!(said(8).all(|said| names_it(&said)), "{ended:?}");
    let status = environment.devenv(["status"]);
    assert!(!status.to_string().contains("at work"), "{status}");
    let history = environment.devenv(["history"]);
    assert_eq!(history.code, Some(0), "{history}");
}

/// A terminal that no program inherits unasked.
struct Pty {
    master: OwnedFd,
    slave: fs::File,
}

impl Pty {
    fn open() -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).expect("a terminal");
        grantpt(&master).expect("it is ours");
        unlockpt(&master).expect("it is ours");
        let name = ptsname(&master, Vec::new()).expect("it has a name");
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true);
        options.custom_flags(OpenptFlags::NOCTTY.bits().cast_signed());
        let name = std::ffi::OsString::from_vec(name.into_bytes());
        let slave = options.open(name).expect("it is there");
        Self { master, slave }
    }
}

/// Starts `up` in a session of its own whose terminal is the slave's.
fn up_in(environment: &TestEnvironment, slave: &fs::File) -> Child {
    let stream = || Stdio::from(slave.try_clone().expect("a descriptor"));
    let mut up = environment.shell("exec /usr/bin/setsid --ctty $DEVENV up --no-session");
    up.stdin(stream()).stdout(stream()).stderr(stream());
    let up = up.spawn().expect("a shell");
    until("it is at work", || is_at_work(environment));
    up
}

fn code_of(mut up: Child) -> Option<i32> {
    let begun = Instant::now();
    loop {
        if let Some(status) = up.try_wait().expect("it is ours") {
            return status.code();
        }
        if begun.elapsed() > SOON {
            let _ = up.kill();
            panic!("it does not end with its terminal");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_terminal_that_is_closed_ends_the_command_and_nobody_is_held_up() {
    let (environment, _silent) = silent();
    let pty = Pty::open();
    let up = up_in(&environment, &pty.slave);
    drop(pty.slave);
    drop(pty.master);
    assert_eq!(code_of(up), Some(143));
    let status = environment.devenv(["status"]);
    assert!(!status.to_string().contains("at work"), "{status}");
    let history = environment.devenv(["history"]);
    assert!(!history.stdout.contains("killed"), "{history}");
}

#[test]
fn a_terminal_is_left_as_it_was_when_a_command_is_interrupted() {
    let (environment, _silent) = silent();
    let pty = Pty::open();
    let before = tcgetattr(&pty.slave).expect("a terminal");
    let up = up_in(&environment, &pty.slave);
    let mut master = fs::File::from(pty.master);
    master.write_all(b"\x03").expect("it is open");
    assert_eq!(code_of(up), Some(130));
    let after = tcgetattr(&pty.slave).expect("a terminal");
    assert_eq!(before.local_modes, after.local_modes);
    assert_eq!(before.input_modes, after.input_modes);
    assert_eq!(before.output_modes, after.output_modes);
    drop(pty.slave);
    let mut said = Vec::new();
    // It ends with an error once nobody has the other side.
    let _ = master.read_to_end(&mut said);
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(said.contains("stopping; press Ctrl-C again"), "{said:?}");
    let hidden = said.rfind(HIDES_CURSOR);
    assert!(hidden <= said.rfind(SHOWS_CURSOR), "{said:?}");
}
