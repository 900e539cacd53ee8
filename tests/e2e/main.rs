//! End-to-end tests: the real program against a real cluster.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod agent;
mod cluster;
mod data;
mod debug;
mod docker;
mod doctor;
mod failures;
mod kept;
mod live;
#[path = "../support/ports.rs"]
mod ports;
mod program;
mod safety;
mod shop;
mod streams;
mod verbs;

use std::io::Write as _;

/// A line for the reader of the test's output.
#[expect(
    clippy::print_stderr,
    reason = "figures are for the reader of the test's output"
)]
fn say(line: &str) {
    eprintln!("{line}");
    let _ = std::io::stderr().flush();
}
