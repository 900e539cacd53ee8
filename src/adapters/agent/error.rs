//! Why something with the agent failed.

use std::path::PathBuf;

use devenv_agent::{
    init_protocol::Refusal,
    protocol::{AgentError, FileProblem},
};

use super::super::docker::DockerError;
use crate::domain::{ExitClass, Failure};

/// The code of the failure where a disk with volumes is full.
pub const DISK_FULL: &str = "agent.disk-full";
/// How many lines of a command's output are shown.
const LINES_SHOWN: usize = 20;

/// Why something with the agent failed.
#[derive(Debug, thiserror::Error)]
pub enum AgentFailure {
    /// The docker engine would not have it.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// Its stream has ended.
    #[error("the agent in {node} has ended")]
    Gone {
        /// The container of the node.
        node: String,
        /// The end of what it wrote to standard error.
        said: Vec<String>,
    },
    /// It did not answer in time.
    #[error("the agent in {node} does not answer")]
    Silent {
        /// The container of the node.
        node: String,
    },
    /// What came over its stream is not the protocol of this devenv.
    #[error("the agent in {node} speaks another language: {problem}")]
    NotUnderstood {
        /// The container of the node.
        node: String,
        /// What is wrong.
        problem: String,
    },
    /// It could not do what it was asked.
    #[error(transparent)]
    Refused(AgentError),
    /// It could not do with a volume what it was asked.
    #[error(transparent)]
    Volume(AgentError),
    /// An archive is refused, or what should be in it cannot be read.
    #[error("the archive is refused: {0}")]
    Archive(devenv_agent::archive::Error),
    /// The init of a live service did not do what it was asked.
    #[error(transparent)]
    Init(Refusal),
    /// A file of this machine cannot be read.
    #[error("cannot read {}", path.display())]
    Local {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

impl AgentFailure {
    /// The failure to show.
    pub fn failure(&self) -> Failure {
        let cluster = |code| cluster(code, self);
        match self {
            Self::Docker(error) => error.failure(),
            Self::Gone { said, .. } => cluster("agent.gone")
                .with_evidence("agent", said.clone())
                .help("devenv up   # starts what is missing"),
            Self::Silent { .. } => cluster("agent.silent")
                .help("see whether the node has anything to do: docker stats"),
            Self::NotUnderstood { .. } => cluster("agent.not-understood")
                .help("devenv down && devenv up   # the data is kept"),
            Self::Refused(error) => by_agent(error),
            Self::Volume(error) => of_volume(error),
            Self::Archive(_) => Failure::new("archive.refused", ExitClass::Data, self.to_string())
                .help("devenv snapshot verify --archive FILE   # says whether it is the file"),
            Self::Init(refusal) => by_init(refusal),
            Self::Local { source, .. } => Failure::new(
                "agent.local-file",
                ExitClass::Prerequisite,
                self.to_string(),
            )
            .caused_by(source)
            .help("see who may read it: ls -l"),
        }
    }
}

fn cluster(code: &'static str, what: &dyn std::error::Error) -> Failure {
    Failure::new(code, ExitClass::Cluster, what.to_string())
}

/// What the agent refused.
fn by_agent(error: &AgentError) -> Failure {
    let cluster = |code| cluster(code, error);
    match error {
        AgentError::File { .. } => cluster("agent.file")
            .because("the container's file system refuses it")
            .help("sync to a directory that the container may write to, such as a volume"),
        AgentError::NoInit(_) => {
            cluster("agent.no-init").help("devenv up   # starts what is not as it should be")
        }
        AgentError::InitEnded(_) => cluster("agent.init-ended").help("devenv status"),
        AgentError::InitSilent(_) => cluster("agent.init-silent")
            .help("see whether the container has anything to do: docker stats"),
        AgentError::NotReached { .. } => {
            let what = error.to_string();
            Failure::new("agent.not-reached", ExitClass::NotReady, what)
                .help("see what it says: devenv logs")
        }
        AgentError::NotRemounted { .. } | AgentError::NotGone(_) => {
            cluster("agent.not-remounted").help("try it again when the machine has less to do")
        }
        AgentError::ControlGroup { .. } => cluster("agent.control-group")
            .help("see which control groups the machine has: docker info"),
        AgentError::StoodTooLong => {
            cluster("agent.stood-too-long").help("try it again when the machine has less to do")
        }
        AgentError::NoContainer(_) | AgentError::Protocol(_) | AgentError::Cancelled => {
            cluster("agent.refused").help("devenv status")
        }
    }
}

/// What the agent refused about volumes.
fn of_volume(error: &AgentError) -> Failure {
    match error {
        AgentError::File {
            problem: FileProblem::NoSpace,
            ..
        } => Failure::new(DISK_FULL, ExitClass::Prerequisite, error.to_string())
            .help("free space on the disk of the volumes, then run the same command again"),
        AgentError::File { .. } => cluster("agent.volume", error)
            .because("the file system of the node refuses it")
            .help("see who uses the volume: devenv status"),
        other => by_agent(other),
    }
}

/// What the init of a live service refused.
fn by_init(refusal: &Refusal) -> Failure {
    let cluster = |code| cluster(code, refusal);
    match refusal {
        Refusal::NotStarted(_) => {
            cluster("agent.not-started").help("see what the service says: devenv logs")
        }
        Refusal::NotRun(_) => {
            cluster("agent.not-run").help("name a program that the service's image has")
        }
        Refusal::TookTooLong { output } => cluster("agent.took-too-long")
            .with_evidence("the end of what it said", last_lines(output))
            .help("give it more time, or see what it waits for"),
        Refusal::NoSignal(_)
        | Refusal::NotRunning
        | Refusal::Ending
        | Refusal::NotUnderstood(_) => cluster("agent.init-refused").help("devenv status"),
    }
}

/// The last lines of an output.
fn last_lines(output: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(LINES_SHOWN)..];
    last.iter().map(|line| (*line).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_under_a_volume_is_told_from_other_refusals() {
        let refused = |problem| {
            AgentFailure::Volume(AgentError::File {
                doing: "copy to".to_owned(),
                path: b"/volumes/a".to_vec(),
                problem,
            })
            .failure()
        };
        let full = refused(FileProblem::NoSpace);
        assert_eq!(full.code.0, DISK_FULL);
        assert_eq!(full.what, "cannot copy to /volumes/a: no space is left");
        assert_eq!(refused(FileProblem::Exists).code.0, "agent.volume");
    }

    #[test]
    fn of_a_command_that_took_too_long_the_last_lines_are_shown() {
        let output: String = (0..100).map(|number| format!("line {number}\n")).collect();
        let output = output.into_bytes();
        let failure = AgentFailure::Init(Refusal::TookTooLong { output }).failure();
        assert_eq!(failure.code.0, "agent.took-too-long");
        let lines = &failure.evidence[0].lines;
        assert_eq!(lines.len(), LINES_SHOWN);
        assert_eq!(lines.last().unwrap(), "line 99");
    }
}
