//! The beginning of every run that changes an environment.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use super::Context;
use crate::{
    adapters::process,
    domain::{EventKind, Failure, Failures, NoticeLevel},
    features::{Project, data::mend, debug::undo_killed},
    session,
    state::{Actor, EnvironmentLock, EnvironmentPaths, Holder, Journal, LockError},
};

/// How long until a lock is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// How long a holder may take to say who it is, or to let go once it says nothing more.
const NAMED_WITHIN: Duration = Duration::from_secs(1);
/// How long the kernel may take to free the lock of a session that has ended.
const FREED_WITHIN: Duration = Duration::from_secs(5);

/// What becomes of an edit that the session is rolling out when a command wants the environment for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rollout {
    /// It is waited for: the command goes on from what it made.
    Awaited,
    /// It is given up, and the session is ended: the command ends both anyway.
    GivenUp,
}

impl Context {
    /// Begins a run that changes an environment: its directories are made, its lock is taken, its journal
    /// listens and its readers are told. The run ends when the lock is dropped.
    ///
    /// Another command that is at work is an error; the session is not, as nobody called it.
    pub async fn begin_run(
        &self,
        project: &Project,
        command: &str,
        rollout: Rollout,
    ) -> Result<EnvironmentLock, Failures> {
        let paths = &project.paths;
        paths.create().map_err(|error| error.failure())?;
        let lock = self.lock(paths, command, rollout).await?;
        // A run that was killed let go of the lock, and what it had started may be at work still.
        for program in process::end_orphans(paths.state()).await {
            let text = format!("ended {program}, which a killed devenv had left at work");
            self.outbox.notice(NoticeLevel::Info, text).await;
        }
        self.begin_journal(project, command).await;
        let started = EventKind::RunStarted {
            command: command.to_owned(),
        };
        self.outbox.event(started).await;
        Ok(lock)
    }

    /// Begins the journal of a run that changes an environment, or its manifest, whose directories exist.
    pub(super) async fn begin_journal(&self, project: &Project, command: &str) {
        let redactor = self.outbox.redactor().clone();
        let typed = self.typed.get(1..).unwrap_or_default();
        let header = project.run_header(Actor::Command, command, typed);
        match Journal::begin(&project.paths.journal(), &header, redactor) {
            Ok(journal) => self.outbox.listen(Box::new(journal)),
            // A run without its journal is better than no run.
            Err(error) => {
                let text = format!("{error}: {}", source_text(&error));
                self.outbox.notice(NoticeLevel::Warning, text).await;
            }
        }
    }

    /// Undoes what killed commands have left in the cluster and of the data. The caller holds the lock.
    ///
    /// That something of a `debug` cannot be undone is worth a line; with half of the data nobody may go on.
    pub(super) async fn undo_killed(&self, project: &Project) -> Result<(), Failures> {
        undo_killed(project, &self.outbox).await;
        Box::pin(mend(project, &self.outbox, &self.cancel)).await
    }

    async fn lock(
        &self,
        paths: &EnvironmentPaths,
        command: &str,
        rollout: Rollout,
    ) -> Result<EnvironmentLock, Failures> {
        let held = match take(paths, command).await {
            Err(LockError::Held {
                holder: Some(holder),
            }) if holder.by == Actor::Session => holder,
            taken => return Ok(taken.map_err(|error| now(&error))?),
        };
        let within = match rollout {
            Rollout::Awaited => {
                self.say("waits for", &held).await;
                self.timeout
            }
            Rollout::GivenUp => {
                self.say("gives up", &held).await;
                session::end(paths).await?;
                Some(FREED_WITHIN)
            }
        };
        let deadline = within.map(|within| Instant::now() + within);
        loop {
            match take(paths, command).await {
                Err(LockError::Held {
                    holder: Some(holder),
                }) if holder.by == Actor::Session
                    && deadline.is_none_or(|deadline| Instant::now() < deadline) => {}
                taken => return Ok(taken.map_err(|error| now(&error))?),
            }
            if self
                .cancel
                .run_until_cancelled(sleep(ASK_AGAIN))
                .await
                .is_none()
            {
                return Err(Failure::interrupted().into());
            }
        }
    }

    async fn say(&self, verb: &str, holder: &Holder) {
        let text = format!("{verb} what the session is doing: {}", holder.command);
        self.outbox.notice(NoticeLevel::Info, text).await;
    }
}

/// Takes the lock, or learns who holds it: at its beginning and at its end a holder does not say so for an instant.
async fn take(paths: &EnvironmentPaths, command: &str) -> Result<EnvironmentLock, LockError> {
    let begun = Instant::now();
    loop {
        match EnvironmentLock::take(paths, Actor::Command, command, Timestamp::now()) {
            Err(LockError::Held { holder: None }) if begun.elapsed() < NAMED_WITHIN => {
                sleep(ASK_AGAIN).await;
            }
            taken => return taken,
        }
    }
}

fn now(error: &LockError) -> Failure {
    error.failure(Timestamp::now())
}

fn source_text(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(String::new, ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        adapters::{
            host::HostEnvironment,
            lock_file::{LockAttempt, try_lock},
        },
        domain::testing::environment,
        state::UserPaths,
    };

    #[tokio::test(start_paused = true)]
    async fn a_holder_that_says_nothing_is_about_to_speak_or_to_let_go() {
        let home = tempfile::tempdir().unwrap();
        let variables = [("HOME".to_owned(), home.path().display().to_string())];
        let users = UserPaths::of(&HostEnvironment::from_variables(variables)).unwrap();
        let paths = users.environment(&environment(&[]).id);
        paths.create().unwrap();
        let silent = || match try_lock(&paths.lock()).unwrap() {
            LockAttempt::Held(file) => file,
            LockAttempt::Busy(who) => panic!("{who} holds it"),
        };
        let holder = silent();
        let letting_go = async {
            sleep(ASK_AGAIN / 2).await;
            drop(holder);
        };
        let (taken, ()) = tokio::join!(take(&paths, "up"), letting_go);
        drop(taken.unwrap());
        let _never = silent();
        let refused = take(&paths, "up").await.unwrap_err();
        assert!(matches!(refused, LockError::Held { holder: None }));
    }
}
