//! The session of the environment, and runs that were killed.

use jiff::Timestamp;

use super::Scope;
use crate::{
    domain::{Finding, Mend, Severity},
    state::{Holder, SessionLife, SessionRecord},
};

/// What is known of the session: a record without a session is that of one that was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Nothing,
    Lives,
    WasKilled,
}

/// What is to be said of the session and of the last run.
pub(super) fn look(scope: &Scope<'_>) -> Vec<Finding> {
    let Some(project) = scope.project else {
        return Vec::new();
    };
    let paths = &project.paths;
    let mut found = Vec::new();
    let at_work = Holder::of(paths);
    match (SessionLife::of(paths), SessionRecord::load(paths)) {
        (Ok(life), Ok(record)) => {
            let known = match (life, record) {
                (SessionLife::Lives(_), _) => Known::Lives,
                // A command that is at work sees to its session itself.
                (SessionLife::Gone, Some(_)) if at_work.is_none() => Known::WasKilled,
                (SessionLife::Gone, _) => Known::Nothing,
            };
            found.extend(judge(known));
        }
        (Err(error), _) | (_, Err(error)) => {
            found.push(Finding::of(Severity::Problem, error.failure()));
        }
    }
    found.extend(Holder::killed(paths).map(|holder| killed(&holder, Timestamp::now())));
    found
}

fn judge(known: Known) -> Option<Finding> {
    match known {
        Known::Nothing => None,
        Known::Lives => Some(Finding::ok("session", "the session runs")),
        Known::WasKilled => Some(
            Finding::warning(
                "session.died",
                "the session was killed: no logs are kept, and edits do not become live",
            )
            .because("its record is there, and nobody holds its lock")
            .fix("devenv doctor --fix")
            .mended_by(Mend::ReviveSession),
        ),
    }
}

fn killed(holder: &Holder, now: Timestamp) -> Finding {
    Finding::note(
        "run.killed",
        "the last command that changed the environment was killed; the next one goes on from there",
    )
    .because(holder.describe(now))
    .fix("devenv up")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_session_that_was_killed_is_something_to_mend() {
        assert_eq!(judge(Known::Nothing), None);
        assert_eq!(judge(Known::Lives).unwrap().severity, Severity::Ok);
        let died = judge(Known::WasKilled).unwrap();
        assert_eq!(died.mend, Some(Mend::ReviveSession));
        assert_eq!(died.id.0, "session.died");
    }
}
