//! Files that a command left in its container, brought to this machine once it has ended.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Component, Path, PathBuf},
};

use super::Copied;
use crate::{
    adapters::{
        agent::{AgentError, AgentFailure, Entry, EntryKind, FileProblem},
        files::{FileError, Landing},
    },
    domain::{ExitClass, Failure},
    features::process::{Agents, Process},
    report::CopiedFile,
};

/// What the kernel shows as files and is none.
const NO_FILES: [&str; 3] = ["/dev", "/proc", "/sys"];
/// Any right to run a file.
const RUN: u32 = 0o111;

/// Something in a container that is copied to this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOut {
    /// The file or directory in the container: absolute, made of names alone.
    remote: PathBuf,
    /// The directory of this machine that gets it under its last name.
    to: PathBuf,
}

/// Why a text does not say what is copied out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoCopyOut {
    /// The path in the container is relative, or has `..` in it.
    #[error("`{0}` is not an absolute path in the container, such as `/results/junit.xml`")]
    Remote(String),
    /// It is the whole file system, or no part of it that holds files.
    #[error("`{0}` is nothing to copy: name a file or a directory in it")]
    TooMuch(String),
}

impl std::str::FromStr for CopyOut {
    type Err = NoCopyOut;

    fn from_str(text: &str) -> Result<Self, NoCopyOut> {
        let (remote, to) = text.split_once(':').unwrap_or((text, ""));
        let path = Path::new(remote);
        let is_plain = path.components().skip(1).all(is_name);
        if !path.is_absolute() || !is_plain {
            return Err(NoCopyOut::Remote(remote.to_owned()));
        }
        let is_none = NO_FILES.iter().any(|none| path.starts_with(none));
        if path.file_name().is_none() || is_none {
            return Err(NoCopyOut::TooMuch(remote.to_owned()));
        }
        // Without `//` and a `/` at its end.
        let remote = path.components().collect();
        let to = if to.is_empty() { "." } else { to };
        Ok(Self {
            remote,
            to: to.into(),
        })
    }
}

impl CopyOut {
    /// The same where the directory of this machine is relative to another.
    #[must_use]
    pub fn below(self, directory: &Path) -> Self {
        let to = directory.join(self.to);
        Self { to, ..self }
    }

    /// Its last name, under which it arrives.
    fn name(&self) -> &Path {
        Path::new(self.remote.file_name().unwrap_or_default())
    }
}

const fn is_name(part: Component<'_>) -> bool {
    matches!(part, Component::Normal(_))
}

/// Copies all that is wanted; what fails does not keep the rest from being copied.
pub(super) async fn copy_out(agents: &Agents, process: &Process, wanted: &[CopyOut]) -> Copied {
    let mut copied = Copied::default();
    for wanted in wanted {
        if let Err(failure) = copy(agents, process, wanted, &mut copied).await {
            copied.failures.push(failure);
        }
    }
    copied
}

async fn copy(
    agents: &Agents,
    process: &Process,
    wanted: &CopyOut,
    copied: &mut Copied,
) -> Result<(), Failure> {
    let CopyOut { remote, to } = wanted;
    let listed = agents.list(process, remote.strip_prefix("/").unwrap_or(remote));
    let listed = listed.await.map_err(|error| not_copied(remote, &error))?;
    let landing = Landing::at(to).map_err(|error| error.failure())?;
    let way = Way {
        agents,
        process,
        landing: &landing,
    };
    // Where it is a link to a file nothing is listed.
    let entries = listed.unwrap_or_else(|| vec![lone_file()]);
    if let [entry] = entries.as_slice()
        && entry.path.is_empty()
    {
        let file = way.bring(remote, wanted.name(), is_program(entry)).await?;
        copied.files.push(file);
        return Ok(());
    }
    let made = landing.directory(wanted.name());
    made.map_err(|error| error.failure())?;
    for entry in entries {
        let path = Path::new(OsStr::from_bytes(&entry.path));
        if !path.components().all(is_name) {
            return Err(not_copied(remote, &"a name in it leads out of it"));
        }
        let (from, to) = (remote.join(path), wanted.name().join(path));
        match entry.kind {
            EntryKind::File { .. } => {
                let file = way.bring(&from, &to, is_program(&entry)).await?;
                copied.files.push(file);
            }
            EntryKind::Directory { .. } => {
                let made = landing.directory(&to);
                made.map_err(|error| error.failure())?;
            }
            // A link may lead anywhere on this machine, and what is special means nothing here.
            EntryKind::Link { .. } | EntryKind::Special => {
                copied.left_out.push(from.display().to_string());
            }
        }
    }
    Ok(())
}

/// What is listed of a file.
const fn lone_file() -> Entry {
    Entry {
        path: Vec::new(),
        kind: EntryKind::File {
            mode: 0,
            hash: [0; 32],
        },
    }
}

const fn is_program(entry: &Entry) -> bool {
    matches!(entry.kind, EntryKind::File { mode, .. } if mode & RUN != 0)
}

/// From where to where files are brought.
struct Way<'a> {
    agents: &'a Agents,
    process: &'a Process,
    landing: &'a Landing,
}

/// Why a file was not brought.
enum Stopped {
    There(AgentFailure),
    Here(FileError),
}

impl From<AgentFailure> for Stopped {
    fn from(error: AgentFailure) -> Self {
        Self::There(error)
    }
}

impl Way<'_> {
    async fn bring(&self, from: &Path, to: &Path, is_program: bool) -> Result<CopiedFile, Failure> {
        let begun = self.landing.file(to, is_program);
        let mut file = begun.map_err(|error| error.failure())?;
        let agent = self.agents.of(&self.process.node).await;
        let agent = agent.map_err(|error| not_copied(from, &error))?;
        let path = from.as_os_str().as_bytes();
        let take = |piece: &[u8]| file.write(piece).map_err(Stopped::Here);
        let read = agent.read(&self.process.container, path, take).await;
        let bytes = read.map_err(|stopped| match stopped {
            Stopped::There(AgentFailure::Refused(AgentError::File {
                problem: FileProblem::NotThere,
                ..
            })) => not_there(from),
            Stopped::There(error) => not_copied(from, &error),
            Stopped::Here(error) => error.failure(),
        })?;
        let copied = CopiedFile {
            from: from.display().to_string(),
            to: file.path().display().to_string(),
            bytes,
        };
        file.keep().map_err(|error| error.failure())?;
        Ok(copied)
    }
}

fn not_there(remote: &Path) -> Failure {
    Failure::new(
        "exec.nothing-to-copy",
        ExitClass::Cluster,
        format!("there is no {} in the container", remote.display()),
    )
    .because("the command ended and has not written it")
    .help("name the place where it writes: --copy-out REMOTE[:LOCAL]")
}

/// The failure of something that is there, or may be, and was not copied.
pub(super) fn not_copied(remote: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::new(
        "exec.not-copied",
        ExitClass::Cluster,
        format!("{} could not be copied", remote.display()),
    )
    .because(why.to_string())
    .help("run the same command again")
}

/// Nothing of what is wanted was copied, for the container ended before.
pub(super) fn too_late(wanted: &[CopyOut]) -> Copied {
    let why = "its container ended before: its command could not be started, or it was killed";
    let failures = wanted.iter().map(|wanted| not_copied(&wanted.remote, &why));
    Copied {
        failures: failures.collect(),
        ..Copied::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_copied_is_absolute_and_goes_to_the_directory_behind_the_colon() {
        let parse = |text: &str| text.parse::<CopyOut>().unwrap();
        let alone = parse("/app//results/");
        assert_eq!(alone.remote, Path::new("/app/results"));
        assert_eq!(
            (alone.name(), alone.to.as_path()),
            (Path::new("results"), Path::new("."))
        );
        let both = parse("/r/junit.xml:reports/today");
        assert_eq!(both.name(), Path::new("junit.xml"));
        assert_eq!(both.to, Path::new("reports/today"));
        assert_eq!(parse("/r:").to, Path::new("."));
        for bad in [
            "",
            ":x",
            "results",
            "../x",
            "/a/../b",
            "/",
            "//",
            "/proc/kcore",
            "/dev",
        ] {
            assert!(bad.parse::<CopyOut>().is_err(), "{bad}");
        }
    }
}
