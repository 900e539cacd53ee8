//! What must hold below `live` and `debug` of a service.

use std::path::{Component, Path, PathBuf};

use super::Checker;
use crate::{
    domain::DebugRuntime,
    manifest::{
        format::{ContainerPath, ContextPath},
        problem::{Problem, nearest},
        types::{DebugKeys, LiveKeys, OnChangeKey, ServiceKeys},
    },
};

/// What can be wrong with `live` or `debug`.
#[derive(Debug, thiserror::Error)]
enum LiveProblem {
    #[error("`{path}` does nothing: it has none of `sync`, `mount`, `run`, `build` and `rebuild`")]
    Idle { path: String },
    #[error("`{path}` has no effect: the service's image is not built here")]
    NothingToRebuild { path: String },
    #[error("`{path}` has no effect: `onChange` is `{on_change}`")]
    OfAnother {
        path: String,
        on_change: &'static str,
        wanted: &'static str,
    },
    #[error("`{path}` is `reload`, but `reload` does not say how")]
    NoReload { path: String },
    #[error("`{path}` needs exactly one of `signal` and `command`")]
    ReloadBy { path: String },
    #[error("`{path}` is the same as `{other}`: `{target}`")]
    SameTarget {
        path: String,
        other: String,
        target: String,
    },
    #[error("`{inner}` lies inside `{outer}`: `{inner_target}` inside `{outer_target}`")]
    NestedTarget {
        inner: String,
        inner_target: String,
        outer: String,
        outer_target: String,
    },
    #[error("`{path}` names {wanted} that does not exist: `{file}`")]
    NoPath {
        path: String,
        wanted: Wanted,
        file: String,
        similar: Option<String>,
    },
    #[error("`{path}` is missing: `runtime: other` has no usual one")]
    NoUsual { path: String, key: &'static str },
    #[error(
        "`{path}` is missing: what `image` starts is not known, and a live service is started by devenv"
    )]
    NoCommand { path: String },
}

/// What a path must lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Directory,
    FileOrDirectory,
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Directory => "a directory",
            Self::FileOrDirectory => "a file or directory",
        })
    }
}

impl Problem for LiveProblem {
    fn code(&self) -> &'static str {
        match self {
            Self::Idle { .. } | Self::NothingToRebuild { .. } | Self::OfAnother { .. } => {
                "manifest.no-effect"
            }
            Self::NoReload { .. } | Self::ReloadBy { .. } => "manifest.reload",
            Self::SameTarget { .. } | Self::NestedTarget { .. } => "manifest.target-conflict",
            Self::NoPath { .. } => "manifest.path-missing",
            Self::NoUsual { .. } | Self::NoCommand { .. } => "manifest.missing-key",
        }
    }

    fn help(&self) -> Vec<String> {
        let help = match self {
            Self::Idle { .. } => "write `sync: [{ from: src, to: /app/src }]`, or remove it",
            Self::NothingToRebuild { .. } => "remove it, or give the service a `build`",
            Self::OfAnother { wanted, .. } => {
                return vec![format!("remove it, or write `onChange: {wanted}`")];
            }
            Self::NoReload { .. } | Self::ReloadBy { .. } => {
                "write `reload: { signal: SIGHUP }` or `reload: { command: [nginx, -s, reload] }`"
            }
            Self::SameTarget { .. } | Self::NestedTarget { .. } => {
                "give each a place of its own in the container, or keep one"
            }
            Self::NoPath { similar, .. } => {
                let similar = similar.iter().map(|name| format!("did you mean `{name}`?"));
                let base = "paths are relative to the service's build context, without one to the directory of the project";
                return similar.chain([base.to_owned()]).collect();
            }
            Self::NoCommand { .. } => {
                "write what the container runs, as a list: `command: [program, argument]`"
            }
            Self::NoUsual { key: "port", .. } => "write the port on which the debugger listens",
            Self::NoUsual { .. } => {
                "write the command that starts the process under its debugger, as a list"
            }
        };
        vec![help.to_owned()]
    }
}

/// A place in the container that a rule or a volume fills.
struct Target {
    /// The path of the key that says so.
    path: String,
    /// Where it leads.
    target: String,
}

impl Checker<'_> {
    /// Checks `live` and `debug` of a service that runs an image.
    pub(super) fn live_and_debug(&mut self, service: &ServiceKeys, owner: &str) {
        if let Some(live) = &service.live {
            let path = format!("{owner}.live");
            self.live_does_something(live, service, &path);
            self.on_change(live, &path);
            self.targets(live, service, &path);
            self.live_paths(live, service, owner);
            self.command_of_an_image(live, service, owner);
        }
        if let Some(debug) = &service.debug {
            self.debug(debug, &format!("{owner}.debug"));
        }
    }

    fn live_does_something(&mut self, live: &LiveKeys, service: &ServiceKeys, path: &str) {
        let is_idle = live.sync.is_empty()
            && live.mount.is_empty()
            && live.run.is_empty()
            && live.build.is_none()
            && live.rebuild.is_empty();
        // What was wrong is left out of the keys, but it is written.
        if is_idle && self.intact(path) {
            let path_text = path.to_owned();
            self.report(&LiveProblem::Idle { path: path_text }, path);
        }
        if service.build.is_none() && !live.rebuild.is_empty() {
            let path = format!("{path}.rebuild");
            self.report(&LiveProblem::NothingToRebuild { path: path.clone() }, &path);
        }
    }

    /// What is built here says in its image what it starts; others are not looked into.
    fn command_of_an_image(&mut self, live: &LiveKeys, service: &ServiceKeys, owner: &str) {
        let path = format!("{owner}.command");
        let is_started_here = !live.sync.is_empty()
            || (!live.mount.is_empty() && live.on_change != Some(OnChangeKey::None));
        let is_known = service.image.is_none() || self.places.has(&path);
        if is_started_here && !is_known {
            let problem = LiveProblem::NoCommand { path };
            self.report(&problem, &format!("{owner}.live"));
        }
    }

    fn on_change(&mut self, live: &LiveKeys, path: &str) {
        let at = format!("{path}.onChange");
        if !self.intact(&at) {
            return;
        }
        let on_change = live.on_change.unwrap_or(OnChangeKey::Restart);
        if on_change != OnChangeKey::Restart {
            self.only_with(on_change, "restart", &["signal", "grace"], path);
        }
        let reload = format!("{path}.reload");
        if on_change != OnChangeKey::Reload {
            self.only_with(on_change, "reload", &["reload"], path);
        } else if !self.places.has(&reload) {
            self.report(&LiveProblem::NoReload { path: at.clone() }, &at);
        } else if let (true, Some(keys)) = (self.intact(&reload), &live.reload)
            && keys.signal.is_some() != keys.command.is_empty()
        {
            let problem = LiveProblem::ReloadBy {
                path: reload.clone(),
            };
            self.report(&problem, &reload);
        }
    }

    /// Reports `keys` that have an effect only where `onChange` is `wanted`.
    fn only_with(
        &mut self,
        on_change: OnChangeKey,
        wanted: &'static str,
        keys: &[&str],
        live: &str,
    ) {
        for key in keys {
            let path = format!("{live}.{key}");
            if self.places.has(&path) {
                let problem = LiveProblem::OfAnother {
                    path: path.clone(),
                    on_change: word(on_change),
                    wanted,
                };
                self.report(&problem, &path);
            }
        }
    }

    /// No two rules fill the same place, or one inside another: neither would know what is its own.
    fn targets(&mut self, live: &LiveKeys, service: &ServiceKeys, path: &str) {
        let (sync, mount) = (format!("{path}.sync"), format!("{path}.mount"));
        if !self.intact(&sync) || !self.intact(&mount) {
            return;
        }
        let mut targets = numbered(live.sync.iter().map(|rule| &rule.to), &sync, "to");
        let mounts = numbered(live.mount.iter().map(|rule| &rule.to), &mount, "to");
        let owner = path.trim_end_matches(".live");
        self.mounts_beside_volumes(&mounts, service, owner);
        targets.extend(mounts);
        for (index, later) in targets.iter().enumerate() {
            let conflict = targets[..index]
                .iter()
                .find_map(|earlier| conflict(earlier, later));
            if let Some(problem) = conflict {
                self.report(&problem, &later.path);
            }
        }
    }

    /// Kubernetes mounts one thing at one path.
    fn mounts_beside_volumes(&mut self, mounts: &[Target], service: &ServiceKeys, owner: &str) {
        let list = format!("{owner}.volumes");
        if !self.intact(&list) {
            return;
        }
        let volumes = numbered(
            service.volumes.iter().map(|volume| &volume.path),
            &list,
            "path",
        );
        for mount in mounts {
            let taken = volumes.iter().find(|volume| volume.target == mount.target);
            if let Some(volume) = taken {
                self.report(&same(volume, mount), &mount.path);
            }
        }
    }

    fn live_paths(&mut self, live: &LiveKeys, service: &ServiceKeys, owner: &str) {
        let Some(base) = self.base(service, owner) else {
            return;
        };
        let path = format!("{owner}.live");
        let sync = format!("{path}.sync");
        // What a build on this machine writes is not there in a fresh clone.
        if live.build.is_none() && self.intact(&sync) {
            for (index, rule) in live.sync.iter().enumerate() {
                let path = format!("{sync}[{index}].from");
                self.path_below(&base, &rule.from, Wanted::FileOrDirectory, &path);
            }
        }
        let mount = format!("{path}.mount");
        if self.intact(&mount) {
            for (index, rule) in live.mount.iter().enumerate() {
                let path = format!("{mount}[{index}].from");
                self.path_below(&base, &rule.from, Wanted::Directory, &path);
            }
        }
        if let Some(directory) = live.build.as_ref().and_then(|keys| keys.directory.as_ref()) {
            let path = format!("{path}.build.directory");
            self.path_below(&base, directory, Wanted::Directory, &path);
        }
    }

    /// What the service's paths are relative to, in the project; `None` where that itself is a mistake.
    fn base(&self, service: &ServiceKeys, owner: &str) -> Option<PathBuf> {
        let build = format!("{owner}.build");
        let base = match &service.build {
            Some(build) => build.context.0.clone(),
            None if self.places.has(&build) => return None,
            None => PathBuf::new(),
        };
        self.files.is_directory(&base).then_some(base)
    }

    fn path_below(&mut self, base: &Path, file: &ContextPath, wanted: Wanted, path: &str) {
        let whole = base.join(&file.0);
        let is_there = self.files.is_directory(&whole)
            || (wanted == Wanted::FileOrDirectory && self.files.is_file(&whole));
        if !is_there {
            let problem = LiveProblem::NoPath {
                path: path.to_owned(),
                wanted,
                file: whole.display().to_string(),
                similar: self.similar_path(base, &file.0),
            };
            self.report(&problem, path);
        }
    }

    /// `file` with its first part that is not there replaced by the name of something that is.
    fn similar_path(&self, base: &Path, file: &Path) -> Option<String> {
        let mut known = PathBuf::new();
        for part in file.components() {
            let Component::Normal(name) = part else {
                continue;
            };
            let directory = base.join(&known);
            let next = directory.join(name);
            if self.files.is_directory(&next) || self.files.is_file(&next) {
                known.push(name);
                continue;
            }
            let names = self.files.names(&directory).ok()?;
            let found = nearest(name.to_str()?, names.iter().map(String::as_str))?;
            return Some(known.join(found).display().to_string());
        }
        None
    }

    fn debug(&mut self, debug: &DebugKeys, path: &str) {
        if debug.runtime != DebugRuntime::Other {
            return;
        }
        let missing = [
            ("port", debug.port.is_none()),
            ("command", debug.command.is_empty()),
        ];
        for (key, is_missing) in missing {
            let path = format!("{path}.{key}");
            if is_missing && self.intact(&path) {
                let problem = LiveProblem::NoUsual {
                    path: path.clone(),
                    key,
                };
                self.report(&problem, &path);
            }
        }
    }
}

const fn word(on_change: OnChangeKey) -> &'static str {
    match on_change {
        OnChangeKey::Restart => "restart",
        OnChangeKey::Reload => "reload",
        OnChangeKey::None => "none",
    }
}

/// The targets of a list, each with its place: `list[0].key`.
fn numbered<'a>(
    paths: impl Iterator<Item = &'a ContainerPath>,
    list: &str,
    key: &str,
) -> Vec<Target> {
    paths
        .enumerate()
        .map(|(index, path)| Target {
            path: format!("{list}[{index}].{key}"),
            target: path.normal(),
        })
        .collect()
}

fn same(earlier: &Target, later: &Target) -> LiveProblem {
    LiveProblem::SameTarget {
        path: later.path.clone(),
        other: earlier.path.clone(),
        target: later.target.clone(),
    }
}

/// What is wrong with two rules' targets, if anything.
fn conflict(earlier: &Target, later: &Target) -> Option<LiveProblem> {
    if earlier.target == later.target {
        return Some(same(earlier, later));
    }
    let lies_in = |inner: &Target, outer: &Target| {
        Path::new(&inner.target)
            .starts_with(&outer.target)
            .then(|| LiveProblem::NestedTarget {
                inner: inner.path.clone(),
                inner_target: inner.target.clone(),
                outer: outer.path.clone(),
                outer_target: outer.target.clone(),
            })
    };
    lies_in(later, earlier).or_else(|| lies_in(earlier, later))
}
