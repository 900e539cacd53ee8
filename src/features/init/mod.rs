//! A first manifest from what a directory holds, and the mending of one that is there.
//!
//! Called by `commands::init`. A draft is made from a compose file or from Dockerfiles, and nothing is
//! written before the manifest room has loaded it. Must not print a value that may be a secret.

mod compose;
mod create;
mod dockerfile;
mod draft;
mod fix;
mod ignored;
mod interpolate;
mod names;
mod scan;
mod secrets;
mod words;
mod yaml;

pub use create::{InitProblem, Wanted, create};
pub use fix::{Fixed, Writing, fix};
