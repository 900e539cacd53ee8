//! What the agent makes of archives that nobody of ours has written, and of those that were damaged on the way.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod commands;
mod corpus;
mod damaged;
mod headers;
mod hostile;
mod limits;
#[path = "../../../tests/support/mutate.rs"]
mod mutate;
mod raw;
mod stage;
