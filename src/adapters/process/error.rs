//! Why a child did not run to its end.

use std::{io, path::PathBuf, time::Duration};

use crate::domain::{ExitClass, Failure};

/// The last lines of a tool's output that are shown as evidence.
const EVIDENCE_LINES: usize = 12;

/// Why a child did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// There is no such program.
    #[error("`{}` is not installed", program.display())]
    NotFound {
        /// The program.
        program: PathBuf,
    },
    /// The file is there but may not be run.
    #[error("{} may not be executed", path.display())]
    NotExecutable {
        /// The file.
        path: PathBuf,
    },
    /// The system refused to start it.
    #[error("cannot start `{}`", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It could not be waited for.
    #[error("lost sight of `{command}`")]
    Wait {
        /// The command.
        command: String,
        /// What the system says.
        source: io::Error,
    },
    /// It ran into its deadline and was ended.
    #[error("`{command}` did not end within {}", seconds(*after))]
    Deadline {
        /// The command.
        command: String,
        /// How long it ran.
        after: Duration,
        /// The end of what it said.
        stderr: Vec<u8>,
    },
    /// It was ended because the run is being interrupted.
    #[error("`{command}` was interrupted")]
    Cancelled {
        /// The command.
        command: String,
    },
}

impl ProcessError {
    pub(super) fn with_stderr(mut self, said: Vec<u8>) -> Self {
        if let Self::Deadline { stderr, .. } = &mut self {
            *stderr = said;
        }
        self
    }

    /// The failure to show.
    pub fn failure(&self) -> Failure {
        let what = self.to_string();
        match self {
            Self::NotFound { program } => {
                let name = program.file_name().unwrap_or(program.as_os_str());
                Failure::new("tool.missing", ExitClass::Prerequisite, what)
                    .because(
                        "there is no such program on the PATH, nor a path to it in the settings",
                    )
                    .help(install_help(&name.to_string_lossy()))
            }
            Self::NotExecutable { path } => {
                Failure::new("tool.not-executable", ExitClass::Prerequisite, what)
                    .help(format!("chmod +x {}", path.display()))
            }
            Self::Spawn { source, .. } => {
                Failure::new("tool.not-started", ExitClass::Cluster, what).caused_by(source)
            }
            Self::Wait { source, .. } => {
                Failure::new("tool.lost", ExitClass::Internal, what).caused_by(source)
            }
            Self::Deadline { stderr, .. } => {
                Failure::new("tool.deadline", ExitClass::Cluster, what)
                    .because("it was ended, with all processes it had started")
                    .with_evidence("last lines it said", last_lines(stderr))
                    .help("try again with a longer --timeout, or with -v to follow what it does")
            }
            Self::Cancelled { .. } => Failure::new("run.interrupted", ExitClass::Interrupted, what)
                .help("run the same command again: it goes on from where this one stopped"),
        }
    }
}

fn install_help(program: &str) -> String {
    match program {
        "docker" => "install docker: https://docs.docker.com/engine/install".to_owned(),
        "k3d" => "install k3d: https://k3d.io/stable/#installation".to_owned(),
        "helm" => "install helm: https://helm.sh/docs/intro/install".to_owned(),
        other => format!("install {other} or put its directory on the PATH"),
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// The last lines of a tool's output without colours, empty lines left out.
pub fn last_lines(output: &[u8]) -> Vec<String> {
    let text = console::strip_ansi_codes(&String::from_utf8_lossy(output)).into_owned();
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .collect();
    lines[lines.len().saturating_sub(EVIDENCE_LINES)..]
        .iter()
        .map(|line| (*line).to_owned())
        .collect()
}
