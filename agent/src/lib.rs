//! What devenv and its agent in a node say to each other.
//!
//! The agent is a small static program that devenv starts in every node of its cluster and keeps talking to over
//! one stream. Both sides are built from this crate: the library is the protocol, the program is the agent.

pub mod archive;
pub mod init_protocol;
pub mod log_protocol;
pub mod protocol;
pub mod volume_protocol;
