//! The process of a session, from its lock to its end.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Board, Ended, Work,
    protocol::{FORM, Greeting},
    server::serve,
};
use crate::{
    adapters::{
        files::{self, FileError},
        local_socket::Listener,
    },
    domain::{ExitClass, Failure, Failures},
    report::Redactor,
    state::{
        EnvironmentPaths, LiveStore, SessionHolder, SessionLock, SessionLockAttempt, SessionRecord,
        live_events,
    },
};

/// How long to ask for the lock: whoever looks whether a session lives has it for a moment.
const LOCK_WITHIN: Duration = Duration::from_millis(500);
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// How long the work may take to end once it was told to.
const WORK_ENDS_WITHIN: Duration = Duration::from_secs(10);

/// Is the session of an environment until its work ends, until it is asked to end, or until `cancel`.
///
/// Removes its socket and its record then: what ends in order is not started again.
pub async fn run(
    paths: &EnvironmentPaths,
    work: impl Work,
    redactor: &Redactor,
    cancel: &CancellationToken,
) -> Result<Ended, Failures> {
    let file_failure = |error: FileError| error.failure();
    paths.create().map_err(file_failure)?;
    let since = Timestamp::now();
    let _lock = lock(paths, since).await?;
    // What earlier sessions did is good to know, and no reason not to start.
    let earlier = live_events(&paths.live_events()).unwrap_or_default();
    let store = LiveStore::new(paths.live_events());
    let board = Board::new(store, &earlier, redactor.clone());
    let listener = Listener::bind(&paths.session_socket()).map_err(file_failure)?;
    let greeting = Greeting {
        session: FORM,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        since,
    };
    let stop = cancel.child_token();
    let over = CancellationToken::new();
    let serving = serve(
        listener,
        greeting,
        board.clone(),
        stop.clone(),
        over.clone(),
    );
    let working = async {
        // Boxed, since a work may be of any size.
        let work = Box::pin(work.run(board.clone(), stop.clone()));
        let ended = until_told(work, &stop).await;
        // Before the socket says that nobody answers: from now on nobody waits for it in vain.
        let removed =
            files::remove_file(&paths.session_socket()).and_then(|()| SessionRecord::remove(paths));
        board.close();
        over.cancel();
        (ended, removed)
    };
    let ((ended, removed), ()) = tokio::join!(working, serving);
    removed.map_err(file_failure)?;
    match ended {
        Ended::Failed(failures) => Err(failures),
        Ended::Cancelled | Ended::ClusterGone => Ok(ended),
    }
}

/// How the work ended; one that does not end although it was told to is left where it is.
async fn until_told(working: impl Future<Output = Ended>, stop: &CancellationToken) -> Ended {
    let too_long = async {
        stop.cancelled().await;
        tokio::time::sleep(WORK_ENDS_WITHIN).await;
    };
    tokio::select! {
        ended = working => ended,
        () = too_long => Ended::Cancelled,
    }
}

async fn lock(paths: &EnvironmentPaths, now: Timestamp) -> Result<SessionLock, Failure> {
    let deadline = Instant::now() + LOCK_WITHIN;
    loop {
        let attempt = SessionLock::take(paths, now).map_err(|error| error.failure())?;
        match attempt {
            SessionLockAttempt::Held(lock) => return Ok(lock),
            SessionLockAttempt::Busy(_) if Instant::now() < deadline => {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            SessionLockAttempt::Busy(holder) => return Err(running(holder.as_ref())),
        }
    }
}

fn running(holder: Option<&SessionHolder>) -> Failure {
    let failure = Failure::new(
        "session.running",
        ExitClass::Locked,
        "a session of this environment runs already",
    );
    match holder {
        Some(holder) => failure.because(format!("it is process {}", holder.pid)),
        None => failure,
    }
    .help("devenv session status")
    .help("devenv session stop   # ends it")
}
