//! Why something with the agent failed.

use std::path::PathBuf;

use devenv_agent::protocol::AgentError;

use super::super::docker::DockerError;
use crate::domain::{ExitClass, Failure};

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
        let cluster = |code| Failure::new(code, ExitClass::Cluster, self.to_string());
        match self {
            Self::Docker(error) => error.failure(),
            Self::Gone { said, .. } => cluster("agent.gone")
                .with_evidence("agent", said.clone())
                .help("devenv up   # starts what is missing"),
            Self::Silent { .. } => cluster("agent.silent")
                .help("see whether the node has anything to do: docker stats"),
            Self::NotUnderstood { .. } => cluster("agent.not-understood")
                .help("devenv down && devenv up   # the data is kept"),
            Self::Refused(AgentError::File { .. }) => cluster("agent.file")
                .because("the container's file system refuses it")
                .help("sync to a directory that the container may write to, such as a volume"),
            Self::Refused(_) => cluster("agent.refused").help("devenv status"),
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
