//! End-to-end tests: the real program against a real cluster.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cluster;
mod docker;
