//! The names that a shell completes: of services, tasks, snapshots, datasets, profiles and runs, and the keys of the
//! manifest.
//!
//! Called by `cli`, before anything else. They are read from files alone, so that they come at once and without a
//! cluster; where anything is wrong there are none, for a shell has no place for a failure.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::{Arg, Command};
use clap_complete::{ArgValueCandidates, CompletionCandidate};

use crate::{
    adapters::{
        environment::HostVariables,
        files,
        host::{self, HostEnvironment},
    },
    domain::{Environment, TaskName},
    manifest::{self, NamedFiles, config::View, dataset},
    state::{EnvironmentPaths, KeptSnapshot, RunId, SnapshotStore, UserPaths, runs},
};

/// A command line, and the variables that stand for flags of it.
#[derive(Debug, Clone)]
pub struct Typed {
    /// The words so far.
    pub words: Vec<OsString>,
    /// The environment variables.
    pub variables: HostVariables,
}

/// What has names, by the names of the values that stand for it on the command line.
#[derive(Debug, Clone, Copy)]
enum Named {
    Service,
    ServiceOrTask,
    Snapshot,
    Dataset,
    Profile,
    Run,
    Key,
    Assignment,
    Layer,
}

impl Named {
    fn by(value_name: &str) -> Option<Self> {
        Some(match value_name {
            "SERVICE" | "A,B" => Self::Service,
            "SERVICE|TASK" => Self::ServiceOrTask,
            "SNAPSHOT" | "SNAPSHOT|FILE" => Self::Snapshot,
            "DATASET" => Self::Dataset,
            "PROFILE" => Self::Profile,
            "RUN" => Self::Run,
            "KEY" => Self::Key,
            "KEY=VALUE" => Self::Assignment,
            "LAYER" => Self::Layer,
            _ => return None,
        })
    }
}

/// The command with what completes the names in it.
pub fn with_names(command: Command, typed: &Typed) -> Command {
    let command = command.mut_args(|arg| completed(arg, typed));
    let names: Vec<String> = command
        .get_subcommands()
        .map(|inner| inner.get_name().to_owned())
        .collect();
    names.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, |inner| with_names(inner, typed))
    })
}

fn completed(arg: Arg, typed: &Typed) -> Arg {
    let value_names = arg.get_value_names().unwrap_or_default();
    let Some(named) = value_names.first().and_then(|name| Named::by(name)) else {
        return arg;
    };
    let typed = typed.clone();
    arg.add(ArgValueCandidates::new(move || {
        typed.candidates(named).unwrap_or_default()
    }))
}

impl Typed {
    fn candidates(&self, named: Named) -> Option<Vec<CompletionCandidate>> {
        let directory = self.project()?;
        let files = files::Project::new(directory.clone());
        Some(match named {
            Named::Profile => manifest::profiles(&files)
                .into_iter()
                .map(CompletionCandidate::new)
                .collect(),
            Named::Dataset => {
                let datasets = dataset::list(&files).ok()?.good.into_iter();
                datasets
                    .map(|listed| candidate(listed.name.as_str(), listed.description))
                    .collect()
            }
            Named::Service => services(&self.environment(directory)?).collect(),
            Named::ServiceOrTask => {
                let environment = self.environment(directory)?;
                let tasks = environment.tasks.keys().map(TaskName::as_str);
                services(&environment)
                    .chain(tasks.map(CompletionCandidate::new))
                    .collect()
            }
            Named::Run => {
                let environment = self.environment(directory)?;
                let runs = runs(&self.paths(&environment)?).ok()?;
                let ids: Vec<RunId> = runs.iter().map(|run| run.id.clone()).collect();
                let known = runs.iter().map(|run| {
                    let about = format!("devenv {}", run.command);
                    candidate(run.id.short(&ids), Some(about))
                });
                let last = candidate("last", Some("the newest".to_owned()));
                std::iter::once(last).chain(known).collect()
            }
            Named::Key => {
                let keys = self.keys(directory)?.into_iter();
                keys.map(CompletionCandidate::new).collect()
            }
            Named::Assignment => {
                let keys = self.keys(directory)?.into_iter();
                keys.map(|key| CompletionCandidate::new(format!("{key}=")))
                    .collect()
            }
            Named::Layer => {
                let always = ["manifest", "branch", "local"]
                    .map(str::to_owned)
                    .into_iter();
                let layers = always.chain(manifest::profiles(&files));
                layers.map(CompletionCandidate::new).collect()
            }
            Named::Snapshot => {
                let environment = self.environment(directory)?;
                let kept = SnapshotStore::of(&self.paths(&environment)?).list().ok()?;
                kept.into_iter().map(of_snapshot).collect()
            }
        })
    }

    /// The directory of the project that the command is about.
    fn project(&self) -> Option<PathBuf> {
        let chosen = self.flag("-C", "--directory", "DEVENV_DIRECTORY");
        let directory = host::working_directory(chosen.as_deref()).ok()?;
        let here = files::Project::new(directory.clone());
        match self.file() {
            Some(_) => Some(directory),
            None => manifest::find_project(&directory, &here),
        }
    }

    fn file(&self) -> Option<PathBuf> {
        self.flag("-f", "--file", "DEVENV_FILE")
    }

    fn environment(&self, directory: PathBuf) -> Option<Environment> {
        let files = files::Project::new(directory.clone());
        let request = self.request(directory);
        Some(manifest::load(&request, &files).ok()?.environment)
    }

    /// The keys that are written in the manifest.
    fn keys(&self, directory: PathBuf) -> Option<Vec<String>> {
        let files = files::Project::new(directory.clone());
        let view = View::of(&self.request(directory), &files).ok()?;
        Some(view.keys())
    }

    fn request(&self, directory: PathBuf) -> manifest::Request {
        manifest::Request {
            branch: super::project::branch(&directory),
            directory,
            file: self.file(),
            named_files: NamedFiles::Assumed,
            ..manifest::Request::default()
        }
    }

    fn paths(&self, environment: &Environment) -> Option<EnvironmentPaths> {
        let variables = self.variables.iter();
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let host = HostEnvironment::from_variables(variables);
        Some(UserPaths::of(&host).ok()?.environment(&environment.id))
    }

    /// The value of a flag that comes before what is completed, or of its variable.
    fn flag(&self, short: &str, long: &str, variable: &str) -> Option<PathBuf> {
        let words: Vec<&str> = self.words.iter().filter_map(|word| word.to_str()).collect();
        let value = |index: usize| -> Option<&Path> {
            let word: &str = words[index];
            if word == short || word == long {
                return words.get(index + 1).map(Path::new);
            }
            let behind_long = || word.strip_prefix(long)?.strip_prefix('=');
            let behind_short = || word.strip_prefix(short).filter(|rest| !rest.is_empty());
            behind_long().or_else(behind_short).map(Path::new)
        };
        let typed = (0..words.len()).find_map(value);
        typed
            .or_else(|| self.variables.get(variable).map(Path::new))
            .map(Path::to_owned)
    }
}

fn services(environment: &Environment) -> impl Iterator<Item = CompletionCandidate> {
    let names = environment.services.keys();
    names.map(|service| CompletionCandidate::new(service.as_str()))
}

fn of_snapshot(kept: KeptSnapshot) -> CompletionCandidate {
    match kept {
        KeptSnapshot::Good(snapshot) => candidate(snapshot.name.as_str(), snapshot.note),
        KeptSnapshot::Unusable(name, _) => CompletionCandidate::new(name.as_str()),
    }
}

/// A name with what shells show beside it.
fn candidate(name: &str, about: Option<String>) -> CompletionCandidate {
    CompletionCandidate::new(name).help(about.map(Into::into))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag(line: &str, variables: &[(&str, &str)]) -> Option<PathBuf> {
        let typed = Typed {
            words: line.split(' ').map(OsString::from).collect(),
            variables: variables.iter().copied().collect(),
        };
        typed.flag("-C", "--directory", "DEVENV_DIRECTORY")
    }

    #[test]
    fn a_flag_is_read_in_every_form_and_wins_over_its_variable() {
        let variable = [("DEVENV_DIRECTORY", "other")];
        for line in [
            "-C shop up",
            "up -Cshop",
            "--directory shop",
            "up --directory=shop x",
        ] {
            assert_eq!(flag(line, &variable), Some("shop".into()), "{line}");
        }
        assert_eq!(flag("up", &variable), Some("other".into()));
        assert_eq!(flag("up -C", &[]), None);
    }
}
