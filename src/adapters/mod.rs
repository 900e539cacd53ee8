//! The only room that touches the outside: the docker engine, processes, files, the network, the environment.
//!
//! Called by `engine`, the features and `state`. Knows `domain` alone. What an adapter returns is a
//! value of the domain or of its own; what it fails with is a small enum that explains itself as a
//! `Failure`. Nothing here decides what should happen, prints, or reads a setting it was not given.

pub mod agent;
pub mod archive;
pub mod bundle;
pub mod context;
pub mod docker;
pub mod environment;
pub mod files;
pub mod git;
pub mod helm;
pub mod host;
pub mod ingress;
pub mod k3d;
pub mod kube;
pub mod local_port;
pub mod local_socket;
pub mod lock_file;
mod loopback;
pub mod process;
pub mod registry;
pub mod terminal;
pub mod volume_image;
pub mod watch;
