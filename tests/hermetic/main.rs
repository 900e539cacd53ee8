//! Hermetic tests: the real program against a temporary home and fake tools.

#[path = "../support/ports.rs"]
mod ports;
#[path = "../support/mod.rs"]
mod support;

mod arrows;
mod broken;
mod bundle;
mod completions;
mod config;
mod crashes;
mod datasets;
mod docs;
mod doctor;
mod documents;
mod engine;
mod errors;
mod faults;
mod hints;
mod history;
mod init;
mod manifests;
mod reliability;
mod rights;
mod session;
mod shop;
mod sources;
mod trust;
mod usage;
mod version;
