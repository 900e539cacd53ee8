//! The only room that touches the outside: processes, files, the network, the environment, the clock.
//!
//! Called by `engine`, the features and `state`. Knows `domain` alone. What an adapter returns is a
//! value of the domain or of its own; what it fails with is a small enum that explains itself as a
//! `Failure`. Nothing here decides what should happen, and nothing prints.

pub mod environment;
pub mod helm;
pub mod k3d;
pub mod kube;
pub mod private;
mod private_file;
pub mod process;
