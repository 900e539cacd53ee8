//! What each kind of step does, one file a family.
//!
//! Called by `World::execute` alone. A step does one thing, can be done again after a `kill -9` at any
//! point, and ends soon after it is told to stop.

mod claims;
pub(super) mod cluster;
pub(super) mod hooks;
mod image_command;
mod image_store;
pub(super) mod images;
mod node_image;
mod policy;
pub(super) mod power;
pub(super) mod prefetch;
pub(super) mod releases;
pub(super) mod remove;
mod start;
mod volume_store;
mod volumes;
pub(super) mod workloads;
