//! A program that is followed from one change of a file to the next, and interrupted at one of them.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use nix::{
    errno::Errno,
    libc,
    sys::{
        ptrace::{self, Options},
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

/// Waits until it is followed.
pub(super) const BEGIN: &str = "read begin; exec \"$@\" </dev/null";

/// What happens to a program at one of its calls, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is left alone.
    Spared,
    /// It is killed before the call is made.
    KilledAt(usize),
    /// The call is not made and fails.
    #[cfg(target_arch = "x86_64")]
    RefusedAt(usize, Errno),
}

/// How it ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// The exit code; `None` after a signal.
    pub(super) code: Option<i32>,
    /// What it said on standard error.
    pub(super) said: String,
    /// The calls that it made, each with what it was about.
    pub(super) calls: Vec<String>,
}

/// Runs a shell that begins with [`BEGIN`], and what it becomes, to the end. Counts the calls that change files below
/// `root`, whichever thread makes them.
pub(super) fn follow(mut command: Command, root: &Path, fate: Fate) -> Ended {
    command.stdin(Stdio::piped());
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("a shell");
    let main = Pid::from_raw(child.id().try_into().expect("an id"));
    ptrace::attach(main).expect("it is our child");
    // It may be about to become the shell, which stops it too.
    while waitpid(main, None) != Ok(WaitStatus::Stopped(main, Signal::SIGSTOP)) {
        ptrace::cont(main, None).expect("it stands");
    }
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    ptrace::setoptions(main, options).expect("it stands");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(b"\n").expect("it reads");
    let mut following = Following {
        main,
        root: root.to_owned(),
        fate,
        inside: BTreeSet::new(),
        refused: BTreeSet::new(),
        calls: Vec::new(),
    };
    go_on(main, None);
    let code = following.until_the_end();
    Ended {
        code,
        said: said(&mut child),
        calls: following.calls,
    }
}

fn said(child: &mut Child) -> String {
    let mut said = String::new();
    let mut stderr = child.stderr.take().expect("it is piped");
    stderr.read_to_string(&mut said).expect("text");
    said
}

/// One that was killed meanwhile does not go on.
fn go_on(thread: Pid, signal: Option<Signal>) {
    match ptrace::syscall(thread, signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => panic!("{thread}: {error}"),
    }
}

struct Following {
    main: Pid,
    root: PathBuf,
    fate: Fate,
    /// The threads that are in a call.
    inside: BTreeSet<Pid>,
    /// The threads whose call is not made.
    refused: BTreeSet<Pid>,
    calls: Vec<String>,
}

impl Following {
    /// Its exit code.
    fn until_the_end(&mut self) -> Option<i32> {
        // Only what this thread follows: other tests have children too.
        let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        loop {
            match waitpid(None, Some(flags)).expect("it has not ended") {
                WaitStatus::Exited(thread, code) if thread == self.main => return Some(code),
                WaitStatus::Signaled(thread, ..) if thread == self.main => return None,
                WaitStatus::PtraceSyscall(thread) => {
                    self.call(thread);
                    go_on(thread, None);
                }
                WaitStatus::PtraceEvent(thread, ..)
                // A thread that is new.
                | WaitStatus::Stopped(thread, Signal::SIGSTOP) => go_on(thread, None),
                WaitStatus::Stopped(thread, signal) => go_on(thread, Some(signal)),
                _ => {}
            }
        }
    }

    /// A call begins, or has ended.
    fn call(&mut self, thread: Pid) {
        if self.inside.remove(&thread) {
            if self.refused.remove(&thread) {
                self.answer(thread);
            }
            return;
        }
        self.inside.insert(thread);
        let Some(call) = Call::of(self.main, thread, &self.root) else {
            return;
        };
        self.calls.push(call.0);
        let number = self.calls.len();
        match self.fate {
            Fate::KilledAt(at) if at == number => {
                kill(self.main, Signal::SIGKILL).expect("it stands");
            }
            #[cfg(target_arch = "x86_64")]
            Fate::RefusedAt(at, _) if at == number => {
                let mut registers = ptrace::getregs(thread).expect("it stands");
                // There is no such call.
                registers.orig_rax = u64::MAX;
                ptrace::setregs(thread, registers).expect("it stands");
                self.refused.insert(thread);
            }
            _ => {}
        }
    }

    /// Has a call that was not made end with its error.
    #[cfg(target_arch = "x86_64")]
    fn answer(&self, thread: Pid) {
        let Fate::RefusedAt(_, error) = self.fate else {
            return;
        };
        let mut registers = ptrace::getregs(thread).expect("it stands");
        registers.rax = (-i64::from(error as i32)).cast_unsigned();
        ptrace::setregs(thread, registers).expect("it stands");
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn answer(&self, thread: Pid) {
        unreachable!("{thread} of {} is refused nothing", self.main);
    }
}

/// A call that changes files.
struct Call(String);

/// Calls about a file that is open.
const OF_FILES: &[(libc::c_long, &str)] = &[
    (libc::SYS_write, "write"),
    (libc::SYS_writev, "writev"),
    (libc::SYS_pwrite64, "pwrite"),
    (libc::SYS_fsync, "fsync"),
    (libc::SYS_fdatasync, "fdatasync"),
    (libc::SYS_ftruncate, "ftruncate"),
    (libc::SYS_fchmod, "fchmod"),
    (libc::SYS_flock, "flock"),
];
/// Calls about names.
const OF_NAMES: &[(libc::c_long, &str)] = &[
    (libc::SYS_renameat2, "renameat2"),
    (libc::SYS_unlinkat, "unlinkat"),
    (libc::SYS_linkat, "linkat"),
    (libc::SYS_symlinkat, "symlinkat"),
    (libc::SYS_mkdirat, "mkdirat"),
    (libc::SYS_fchmodat, "fchmodat"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rename, "rename"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_renameat, "renameat"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_unlink, "unlink"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rmdir, "rmdir"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_link, "link"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mkdir, "mkdir"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, "chmod"),
];

impl Call {
    /// The call that a thread is about to make; nothing if it changes no file below `root`.
    fn of(process: Pid, thread: Pid, root: &Path) -> Option<Self> {
        // Its number and arguments, such as `1 0x3 0x7ffe 0x10 0x0 0x0 0x0 0x7ffd 0x7f01`.
        #[expect(clippy::disallowed_methods, reason = "a test's own look")]
        let text = fs::read_to_string(format!("/proc/{process}/task/{thread}/syscall")).ok()?;
        let mut words = text.split_whitespace();
        let number: libc::c_long = words.next()?.parse().ok()?;
        let named = |calls: &[(libc::c_long, &'static str)]| {
            let found = calls.iter().find(|(known, _)| *known == number);
            found.map(|(_, name)| *name)
        };
        let mut arguments =
            words.map(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).unwrap_or(0));
        if let Some(name) = named(OF_FILES) {
            let file = arguments.next()?;
            let path = fs::read_link(format!("/proc/{process}/fd/{file}")).ok()?;
            let below = path.strip_prefix(root).ok()?;
            return Some(Self(format!("{name} {}", below.display())));
        }
        let makes = u64::from((libc::O_CREAT | libc::O_TRUNC).cast_unsigned());
        if number == libc::SYS_openat {
            let flags = arguments.nth(2)?;
            return (flags & makes != 0).then(|| Self("open to write".to_owned()));
        }
        named(OF_NAMES).map(|name| Self(name.to_owned()))
    }
}
