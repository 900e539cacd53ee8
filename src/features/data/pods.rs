//! Commands and requests for the pods of services, as data is loaded and services are brought to rest by them.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures::future::{join, join3};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use crate::{
    adapters::kube::{Cluster, ExecRequest},
    domain::Failure,
};

/// The room between a command and who reads what it says, in bytes.
const PIPE: usize = 64 * 1024;
/// How many lines of what a command says are shown.
const LINES_SHOWN: usize = 20;
/// How much is kept of what a command says, in bytes.
const KEPT: usize = 16 << 20;

/// A command that was run in a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ran {
    /// Its exit code.
    pub(super) code: i32,
    /// What it said on standard output; its beginning if that is long.
    pub(super) out: String,
    /// What it said on standard error; the same.
    pub(super) err: String,
}

impl Ran {
    /// The last lines of all that it said.
    pub(super) fn last_lines(&self) -> Vec<String> {
        let lines: Vec<String> = self
            .out
            .lines()
            .chain(self.err.lines())
            .map(str::to_owned)
            .collect();
        lines[lines.len().saturating_sub(LINES_SHOWN)..].to_vec()
    }
}

/// Why a command did not come to its end.
pub(super) enum NotRun {
    /// It took too long.
    Late,
    /// The cluster would not have it.
    Failed(Box<Failure>),
}

/// Runs a command in a pod to its end; `input` is what it reads.
pub(super) async fn run(
    cluster: &Cluster,
    request: &ExecRequest,
    input: Option<Vec<u8>>,
    within: Duration,
) -> Result<Ran, NotRun> {
    let (mut stdout, out) = duplex(PIPE);
    let (mut stderr, err) = duplex(PIPE);
    let (said, complained) = (Mutex::default(), Mutex::default());
    let running = async {
        let input = input.map(std::io::Cursor::new);
        let end = cluster
            .exec(request, input, &mut stdout, &mut stderr, None)
            .await;
        let _ = join(stdout.shutdown(), stderr.shutdown()).await;
        end
    };
    let reading = join3(running, collect(out, &said), collect(err, &complained));
    let Ok((end, ..)) = tokio::time::timeout(within, reading).await else {
        return Err(NotRun::Late);
    };
    let end = end.map_err(|error| NotRun::Failed(Box::new(error.failure())))?;
    let text = |said: &Mutex<Vec<u8>>| {
        let said = said.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&said).into_owned()
    };
    Ok(Ran {
        code: end.code,
        out: text(&said),
        err: text(&complained),
    })
}

async fn collect(mut from: DuplexStream, into: &Mutex<Vec<u8>>) {
    let mut buffer = vec![0; PIPE];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let mut said = into.lock().unwrap_or_else(PoisonError::into_inner);
        let room = KEPT.saturating_sub(said.len());
        said.extend_from_slice(&buffer[..count.min(room)]);
    }
}
