//! A program that runs, watched while it does, so that faults strike at a known moment.

use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader, Read, Write as _},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// How long any condition may take to come true.
const PATIENCE: Duration = Duration::from_mins(2);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A program that runs, mostly devenv. Dropped, it is killed.
pub(crate) struct Running {
    child: Child,
    said: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

/// How it ended after a signal, and what it had said on both streams.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; `None` after a signal that it did not survive.
    pub(crate) code: Option<i32>,
    pub(crate) said: String,
    /// From the signal, or the moment of asking, to the end.
    pub(crate) took: Duration,
}

impl Running {
    pub(super) fn start(mut command: Command, stdin: Stdio) -> Self {
        command.stdin(stdin);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let readers = vec![collect(stdout, &said), collect(stderr, &said)];
        Self {
            child,
            said,
            readers,
        }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it said so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Says a line to it.
    pub(crate) fn tell(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Waits until it has said `words`.
    #[track_caller]
    pub(crate) fn until_it_says(&mut self, words: &str) {
        let said = Arc::clone(&self.said);
        self.until(words, || said.lock().unwrap().contains(words));
    }

    /// Waits until it has said `words`, or has ended without: whether it said them.
    #[track_caller]
    pub(crate) fn until_it_says_or_ends(&mut self, words: &str) -> bool {
        let begun = Instant::now();
        loop {
            let has_ended = self.child.try_wait().unwrap().is_some();
            if has_ended || self.said().contains(words) {
                return !has_ended;
            }
            let has_time = begun.elapsed() < PATIENCE;
            assert!(has_time, "it never came to: {words}\n{}", self.said());
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Waits until `is_so`; it must not have ended before.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, mut is_so: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            let ended = self.child.try_wait().unwrap();
            let is_over = ended.is_some() && !is_so();
            assert!(!is_over, "it ended before: {what}\n{}", self.said());
            let has_time = begun.elapsed() < PATIENCE;
            assert!(has_time, "it never came to: {what}\n{}", self.said());
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Kills it, and nothing of what it had started.
    pub(crate) fn kill(self) -> Ended {
        self.signal(Signal::KILL);
        let ended = self.end();
        assert_eq!(ended.code, None, "{}", ended.said);
        ended
    }

    /// Kills it unless it has ended well meanwhile: for a moment that is near its end.
    pub(crate) fn kill_at_last(mut self) {
        // One whose end was seen has no process any more.
        if self.child.try_wait().unwrap().is_none() {
            self.signal(Signal::KILL);
        }
        let ended = self.end();
        assert!(matches!(ended.code, None | Some(0)), "{}", ended.said);
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        let asked = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            let has_time = asked.elapsed() < PATIENCE;
            assert!(has_time, "it does not end\n{}", self.said());
            std::thread::sleep(LOOK_AGAIN);
        }
        let took = asked.elapsed();
        let code = self.child.wait().unwrap().code();
        // An orphan may hold on to the pipes: then what it said is what there is.
        let begun = Instant::now();
        while self.readers.iter().any(|reader| !reader.is_finished())
            && begun.elapsed() < Duration::from_millis(500)
        {
            std::thread::sleep(LOOK_AGAIN);
        }
        Ended {
            code,
            said: self.said(),
            took,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Ended {
    #[track_caller]
    pub(crate) fn assert_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.said);
        self
    }

    #[track_caller]
    pub(crate) fn assert_says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(
                self.said.contains(word),
                "it does not say {word:?}\n{}",
                self.said
            );
        }
        self
    }

    #[track_caller]
    pub(crate) fn assert_within(self, limit: Duration) -> Self {
        assert!(
            self.took <= limit,
            "{:?}, more than {limit:?}\n{}",
            self.took,
            self.said
        );
        self
    }
}

fn collect(from: impl Read + Send + 'static, into: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let into = Arc::clone(into);
    std::thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            let _ = writeln!(into.lock().unwrap(), "{}", String::from_utf8_lossy(&line));
        }
    })
}
