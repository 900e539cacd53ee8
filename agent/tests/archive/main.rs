//! What the agent makes of archives that nobody of ours has written, and of those that were damaged on the way.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod commands;
mod damaged;
mod headers;
mod hostile;
mod limits;
mod raw;
mod stage;
