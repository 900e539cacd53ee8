//! Which run is meant.

use std::{convert::Infallible, str::FromStr};

use crate::{
    domain::{Applying, ExitClass, Failure},
    state::{RecordedRun, RunId},
};

/// A run as it is named on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunName {
    /// `last`: the newest.
    Last,
    /// Its id, or the beginning of it.
    Beginning(String),
}

impl FromStr for RunName {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "last" => Self::Last,
            text => Self::Beginning(text.to_owned()),
        })
    }
}

/// The run that is meant, of those that are known, the newest first.
pub fn find(mut runs: Vec<RecordedRun>, name: &RunName) -> Result<RecordedRun, Failure> {
    let beginning = match name {
        RunName::Last if runs.is_empty() => return Err(none_at_all()),
        RunName::Last => return Ok(runs.swap_remove(0)),
        RunName::Beginning(beginning) => beginning,
    };
    let ids: Vec<RunId> = runs.iter().map(|run| run.id.clone()).collect();
    runs.retain(|run| !beginning.is_empty() && run.id.as_str().starts_with(&**beginning));
    match runs.len() {
        0 if ids.is_empty() => Err(none_at_all()),
        0 => Err(Failure::new(
            "history.unknown-run",
            ExitClass::Usage,
            format!("there is no run `{beginning}`"),
        )
        .help("devenv history")
        .help(format!(
            "known are {} runs; older ones are forgotten",
            ids.len()
        ))),
        1 => Ok(runs.swap_remove(0)),
        _ => {
            let lines = runs.iter().map(|run| {
                let short = run.id.short(&ids);
                format!("{short}  {}", run.command)
            });
            let what = format!("several runs begin with `{beginning}`");
            Err(
                Failure::new("history.ambiguous-run", ExitClass::Usage, what)
                    .with_evidence("they are", lines.collect())
                    .help("write more of its id"),
            )
        }
    }
}

/// The run that is meant, with what it applied; `last` is the last that applied something.
pub fn applied(
    mut runs: Vec<RecordedRun>,
    name: &RunName,
) -> Result<(RecordedRun, Applying), Failure> {
    if *name == RunName::Last {
        if runs.is_empty() {
            return Err(none_at_all());
        }
        runs.retain(|run| run.applying.is_some());
        if runs.is_empty() {
            return Err(nothing_applied("none of the known runs applied a manifest"));
        }
    }
    let mut run = find(runs, name)?;
    if let Some(applying) = run.applying.take() {
        return Ok((run, applying));
    }
    let what = format!("the run {} applied no manifest", run.id.as_str());
    Err(nothing_applied(&what).because(format!("it was `devenv {}`", run.command)))
}

fn nothing_applied(what: &str) -> Failure {
    Failure::new("history.nothing-applied", ExitClass::Usage, what)
        .help("devenv history --command up")
}

fn none_at_all() -> Failure {
    Failure::new(
        "history.no-runs",
        ExitClass::Usage,
        "nothing is known of this environment",
    )
    .because("no command has changed it yet, or `devenv down --volumes` removed what was known")
    .help("devenv up")
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    fn runs(seconds: &[i64]) -> Vec<RecordedRun> {
        let run = |second: &i64| RecordedRun {
            id: RunId::at(at(*second)),
            ..ended("up", 0)
        };
        seconds.iter().map(run).collect()
    }

    fn code(name: &str, seconds: &[i64]) -> &'static str {
        let name = name.parse().unwrap();
        find(runs(seconds), &name).unwrap_err().code.0
    }

    #[test]
    fn a_run_is_found_by_as_much_of_its_id_as_tells_it_from_others() {
        let known = runs(&[70, 0]);
        let ids: Vec<RunId> = known.iter().map(|run| run.id.clone()).collect();
        let short = known[1].id.short(&ids);
        let name: RunName = short.parse().unwrap();
        assert_eq!(find(known.clone(), &name).unwrap(), known[1]);
        assert_eq!(find(known.clone(), &RunName::Last).unwrap(), known[0]);
        assert_eq!(code("2026", &[70, 0]), "history.ambiguous-run");
        assert_eq!(code("1999", &[70, 0]), "history.unknown-run");
        assert_eq!(code("", &[70, 0]), "history.unknown-run");
        assert_eq!(code("last", &[]), "history.no-runs");
        assert_eq!(code("2026", &[]), "history.no-runs");
    }

    #[test]
    fn the_last_that_is_compared_is_the_last_that_applied_something() {
        let mut known = runs(&[70, 0]);
        let none = applied(known.clone(), &RunName::Last).unwrap_err();
        assert_eq!(none.code.0, "history.nothing-applied");
        known[1].applying = Some(Applying {
            manifest: serde_json::Value::Null,
            services: std::collections::BTreeMap::new(),
            changes: Vec::new(),
        });
        let (found, _) = applied(known.clone(), &RunName::Last).unwrap();
        assert_eq!(found.id, known[1].id);
        let other = RunName::Beginning(known[0].id.as_str().to_owned());
        let failure = applied(known, &other).unwrap_err();
        assert_eq!(failure.code.0, "history.nothing-applied");
    }
}
