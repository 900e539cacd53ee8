//! The only room that touches the outside: the docker engine, processes, files, the network, the environment.
//!
//! Called by `engine`, `features` and `state`. Knows `domain` and nothing else of the project. Each adapter
//! says what it met in its own small error type, which explains itself as a `domain::Failure`; none decides
//! what is to be done, prints, or reads a setting that it was not given.

pub mod context;
pub mod docker;
pub mod files;
pub mod host;
pub mod registry;
