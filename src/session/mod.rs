//! The session: one background process per environment, which does a [`Work`] until it is told to end.
//!
//! Called by `commands`. It holds its lock for its life, answers on a socket in the environment's state
//! directory, and keeps every event of its work. It is never needed for correctness: commands act
//! themselves, under the environment's lock. What the work is, it does not know; it never prints.
//!
//! ```text
//! ensure, revive -> process `devenv session run` -> run: lock, socket, Work -> Board -> store, attached clients
//! status, attach, stop -> Client -> socket
//! ```

mod board;
mod client;
mod launch;
mod presence;
mod protocol;
mod run;
mod server;

use std::future::Future;

use tokio_util::sync::CancellationToken;

pub use self::{
    board::Board,
    client::{Client, ClientError, Said},
    launch::{Launch, Running, WasRunning, end, ensure, revive},
    presence::WhileThere,
    run::run,
};
use crate::domain::Failures;

/// What a session does while it lives.
pub trait Work {
    /// Does it until it is over, or until `cancel` is triggered.
    fn run(self, board: Board, cancel: CancellationToken) -> impl Future<Output = Ended> + Send;
}

/// Why the work of a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It was told to.
    Cancelled,
    /// The environment's cluster is no longer there.
    ClusterGone,
    /// It cannot go on.
    Failed(Failures),
}
