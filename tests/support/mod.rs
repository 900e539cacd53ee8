//! A place to run the real program in: temporary home, cleared environment, no tools but those a test makes.
//!
//! ```text
//! let environment = TestEnvironment::new();
//! environment.fake_tool("helm", "echo v4.0.1");
//! let output = environment.devenv(["version"]);
//! assert_eq!(output.code, Some(0), "{output}");
//! ```

use std::{
    ffi::OsStr,
    fmt, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// What stands in outputs for the directory of the environment.
const PLACE: &str = "$TEST_ENV";

/// A temporary home with a project directory and a directory of fake tools.
pub(crate) struct TestEnvironment {
    root: TempDir,
    variables: Vec<(String, String)>,
}

impl TestEnvironment {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        for directory in ["home", "project", "bin", "tmp"] {
            fs::create_dir(root.path().join(directory)).expect("a fresh directory");
        }
        Self {
            root,
            variables: Vec::new(),
        }
    }

    /// The directory in which the program is started.
    pub(crate) fn project(&self) -> PathBuf {
        self.path("project")
    }

    /// The home directory, in which the XDG directories have their usual places.
    pub(crate) fn home(&self) -> PathBuf {
        self.path("home")
    }

    fn path(&self, name: &str) -> PathBuf {
        // Without symbolic links, as the program shows it.
        self.root
            .path()
            .canonicalize()
            .expect("the root is there")
            .join(name)
    }

    /// Sets a variable for the runs that follow.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Writes a file below the home directory.
    pub(crate) fn write_home(&self, path: &str, text: &str) {
        write(&self.home().join(path), text);
    }

    /// Writes a file below the project's directory.
    pub(crate) fn write_project(&self, path: &str, text: &str) {
        write(&self.project().join(path), text);
    }

    /// The text of a file below the project's directory.
    #[expect(clippy::disallowed_methods, reason = "a test's own files")]
    pub(crate) fn read_project(&self, path: &str) -> String {
        fs::read_to_string(self.project().join(path)).expect("a file of the project")
    }

    /// Puts a shell script on the program's PATH. `PATH` in it has the system's own tools.
    pub(crate) fn fake_tool(&self, name: &str, script: &str) {
        let path = self.path("bin").join(name);
        write(&path, &format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("our own file");
    }

    /// Runs the program to its end.
    pub(crate) fn devenv<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> CommandOutput {
        self.finished(self.command().args(arguments))
    }

    /// Runs a command that was prepared here to its end.
    pub(crate) fn finished(&self, command: &mut Command) -> CommandOutput {
        let output = command.output().expect("the program can be started");
        let text = |bytes| {
            String::from_utf8(bytes)
                .expect("output is UTF-8")
                .replace(&self.path("").display().to_string(), PLACE)
        };
        CommandOutput {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// The program, ready to be given arguments.
    pub(crate) fn command(&self) -> Command {
        self.prepared(env!("CARGO_BIN_EXE_devenv"))
    }

    /// A shell in which `$DEVENV` is the program, ready to be run.
    pub(crate) fn shell(&self, script: &str) -> Command {
        let mut command = self.prepared("/bin/sh");
        command
            .args(["-c", script])
            .env("DEVENV", env!("CARGO_BIN_EXE_devenv"));
        command
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the program is what these tests run"
    )]
    fn prepared(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", self.home())
            .env("PATH", self.path("bin"))
            .env("TMPDIR", self.path("tmp"))
            .env("COLUMNS", "100")
            .env("LANG", "C.UTF-8")
            .env("TZ", "UTC")
            .envs(self.variables.iter().cloned())
            .current_dir(self.project())
            .stdin(Stdio::null());
        command
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's own files")]
fn write(path: &Path, text: &str) {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).expect("a directory of ours");
    }
    fs::write(path, text).expect("a file of ours");
}

/// How a run ended. Shown, it holds all there is to know.
#[must_use = "assert the exit code or take a snapshot"]
pub(crate) struct CommandOutput {
    /// The exit code; `None` after a signal.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl CommandOutput {
    /// Standard output as the one JSON document that it must be.
    pub(crate) fn document(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{self}"))
    }
}

impl fmt::Display for CommandOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.stdout)?;
        if !self.stderr.is_empty() {
            write!(f, "------- stderr -------\n{}", self.stderr)?;
        }
        match self.code {
            Some(0) => Ok(()),
            Some(code) => write!(f, "[exit code: {code}]"),
            None => write!(f, "[ended by a signal]"),
        }
    }
}
