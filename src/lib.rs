//! devenv: from a clone to a running Kubernetes environment, with its data.
//!
//! The rooms, and who may call whom (a test in `tests/hermetic/arrows.rs` holds this):
//!
//! ```text
//! main -> cli -> commands -> session -> features -> engine -> plan -> domain
//!          |         |                     |          |
//!          |         |                     +----------+--> adapters -> domain   (the only room that touches the outside)
//!          |         +--> manifest -> domain                         (devenv.yaml -> Environment; datasets)
//!          |         +--> state -> adapters                          (paths, lock, journal, settings)
//!          +--> output -> report, domain                             (the only room that prints)
//! ```
//! `domain` and `report` are known by all.

pub mod adapters;
pub mod cli;
pub mod commands;
pub mod domain;
pub mod engine;
pub mod features;
pub mod manifest;
pub mod output;
pub mod plan;
pub mod report;
pub mod session;
pub mod state;

#[cfg(test)]
#[path = "../tests/support/corpus.rs"]
mod corpus;
#[cfg(test)]
#[path = "../tests/support/mutate.rs"]
mod mutate;
