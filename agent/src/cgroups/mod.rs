//! The control groups of containers: what they use, and how all their processes are stopped at once.
//!
//! Called by `serve`. Both versions of control groups are spoken to, as the kernel of the node has them. Nothing stays
//! frozen that nobody thaws: see [`freeze`].

mod freeze;
mod place;
mod usage;

pub(crate) use self::{
    freeze::{freeze, thaw_when_left},
    usage::usage,
};

use devenv_agent::protocol::{AgentError, ContainerId};

/// The error of a file of a container's control group.
fn refused(doing: &str, container: &ContainerId, error: &std::io::Error) -> AgentError {
    AgentError::ControlGroup {
        doing: doing.to_owned(),
        container: container.clone(),
        reason: error.to_string(),
    }
}
