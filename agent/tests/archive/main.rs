//! What the agent makes of archives that nobody of ours has written, and of those that were damaged on the way.

mod commands;
mod damaged;
mod hostile;
mod limits;
mod raw;
mod stage;
