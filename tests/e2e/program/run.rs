//! One run of a program, from its start to its end.

use std::{
    ffi::OsStr,
    fmt,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// How a program ended, and what it said.
pub(crate) struct Run {
    line: String,
    /// The exit code; `None` after a signal.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Run {
    pub(super) fn of(mut command: Command, stdin: &[u8]) -> Self {
        let line = line(&command);
        let started = Instant::now();
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{line}: {e}"));
        let (mut pipe, stdin) = (child.stdin.take().unwrap(), stdin.to_owned());
        // Beside the reading: a program that answers while it reads would otherwise wait for us, and we for it.
        let feeding = std::thread::spawn(move || pipe.write_all(&stdin));
        let output = child.wait_with_output().unwrap();
        // A program may end without reading all of it.
        let _ = feeding.join().unwrap();
        let run = Self {
            line,
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            took: started.elapsed(),
        };
        super::super::say(&format!("{:>7.2} s  {}", run.took.as_secs_f64(), run.line));
        run
    }

    /// Fails with all there is to know unless it ended so.
    #[track_caller]
    pub(crate) fn assert_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Fails unless what it said, on either stream, holds each of `words`.
    #[track_caller]
    pub(crate) fn assert_says(self, words: &[&str]) -> Self {
        for word in words {
            let said = self.stdout.contains(word) || self.stderr.contains(word);
            assert!(said, "it does not say {word:?}\n{self}");
        }
        self
    }

    /// Fails unless it took at most this long.
    #[track_caller]
    pub(crate) fn assert_within(self, limit: Duration) -> Self {
        assert!(self.took <= limit, "more than {limit:?}\n{self}");
        self
    }

    /// Standard output as the one JSON document that it must be.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{self}"))
    }
}

/// The command as one would type it, without its environment.
fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or_default();
    let words = std::iter::once(name).chain(command.get_args());
    let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
    words.join(" ")
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}", self.line, self.stdout)?;
        writeln!(f, "------- stderr -------\n{}", self.stderr)?;
        write!(f, "------- exit {:?} after {:?}", self.code, self.took)
    }
}
