//! Delve: where it comes from, and what it tells of a program before that is debugged.

use std::{
    env::consts::ARCH,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    command::{BROUGHT_TO, Debugger, delve},
    debugger::{copy, lacking},
    elf,
    ide::Sources,
};
use crate::{
    adapters::{
        agent::{AgentFailure, Change, Refusal},
        files::{self, FileError},
    },
    domain::{ExitClass, Failure, ImageName, ServiceName, Workload},
    features::{
        Project,
        process::{Agents, Process},
    },
};

/// How a Delve is made that runs in any container.
const MAKES_DELVE: &str = "CGO_ENABLED=0 go install github.com/go-delve/delve/cmd/dlv@latest";
/// How long it may take to read a program.
const READS_WITHIN: Duration = Duration::from_secs(30);
/// The file with what it is asked.
const QUESTION: &str = "question";
/// What it says of a program that was built without debug information; older ones refuse to start it.
const NO_DEBUG_INFORMATION: [&str; 2] = ["no debug info found", "could not open debug info"];

/// What brings Delve into a container: that of this machine.
pub(super) fn of_this_machine(project: &Project, service: &ServiceName) -> Result<Change, Failure> {
    let path = project.variables.get("PATH").unwrap_or_default();
    let mut candidates = path
        .split(':')
        .map(|directory| Path::new(directory).join("dlv"));
    let Some(found) = candidates.find(|candidate| files::exists(candidate)) else {
        return Err(lacking(service, "dlv")
            .because("nor does the PATH of this machine")
            .help(MAKES_DELVE));
    };
    let program = files::read(&found).map_err(|error| error.failure())?;
    elf::check(&program, ARCH).map_err(|unfit| {
        lacking(service, "dlv")
            .because(format!("{} of this machine {unfit}", found.display()))
            .help(MAKES_DELVE)
    })?;
    Ok(copy("dlv".into(), found, 0o755))
}

/// Where the sources of a program are, by what Delve reads in it; fails where it has no debug information.
///
/// Delve starts the program for that and ends it before its first instruction.
pub(super) async fn sources(
    project: &Project,
    (agents, process): (&Agents, &Process),
    workload: &Workload,
    own: &[String],
    debugger: Debugger,
) -> Result<Option<Sources>, Failure> {
    let Some(program) = own.first() else {
        return Ok(None);
    };
    let question = question(project).map_err(|error| error.failure())?;
    let question = [copy(QUESTION.into(), question, 0o644)];
    if agents.change(process, &question).await.is_err() {
        // An image with a Delve of its own may forbid to write: its program can be debugged all the same.
        return Ok(None);
    }
    let command = asks_where_main_is(program, debugger);
    let ran = match agents.run(process, &command, READS_WITHIN).await {
        Ok(ran) => ran,
        Err(AgentFailure::Init(Refusal::NotRun(_) | Refusal::TookTooLong { .. })) => {
            return Ok(None);
        }
        Err(error) => return Err(process.failure(&error)),
    };
    let said = String::from_utf8_lossy(&ran.output);
    if NO_DEBUG_INFORMATION
        .iter()
        .any(|words| said.contains(words))
    {
        return Err(no_debug_information(&process.service, program));
    }
    let ImageName::Build(build) = &workload.image else {
        return Ok(None);
    };
    let directory = &project.environment.directory;
    Ok(main_of(&said).and_then(|main| matching(main, &build.context, directory)))
}

/// The file with the question where the file of `main` is.
fn question(project: &Project) -> Result<PathBuf, FileError> {
    let directory = project.paths.debuggers();
    files::create_private_dir(&directory)?;
    let file = directory.join(QUESTION);
    files::write_private(&file, b"list main.main\n")?;
    Ok(file)
}

fn asks_where_main_is(program: &str, debugger: Debugger) -> Vec<String> {
    let mut command = vec![delve(debugger), "exec".to_owned(), program.to_owned()];
    let options = format!(
        "--check-go-version=false --allow-non-terminal-interactive=true --init /{BROUGHT_TO}/{QUESTION}"
    );
    command.extend(options.split(' ').map(str::to_owned));
    command
}

/// The file of `main` in Delve's answer.
fn main_of(said: &str) -> Option<&str> {
    let mut lines = said.lines();
    let shown = lines.find_map(|line| line.strip_prefix("Showing "))?;
    let (file, _line) = shown.split(" (PC").next()?.rsplit_once(':')?;
    Some(file)
}

/// The directory of the build that is the same on both sides: the longest end of the file's path that is there.
fn matching(file: &str, context: &Path, project: &Path) -> Option<Sources> {
    let starts = file.match_indices('/').map(|(at, _)| at);
    let mut ends = starts.map(|at| (&file[..at], &file[at + 1..]));
    let (remote, _) = ends.find(|(_, end)| !end.is_empty() && files::exists(&context.join(end)))?;
    if remote.is_empty() {
        return None;
    }
    let local = context.strip_prefix(project).ok()?;
    Some(Sources {
        local: local.display().to_string(),
        remote: remote.to_owned(),
    })
}

fn no_debug_information(service: &ServiceName, program: &str) -> Failure {
    Failure::new(
        "debug.no-information",
        ExitClass::Prerequisite,
        format!("the program of {service} was built without debug information"),
    )
    .because(format!(
        "{program} names neither its variables nor their types"
    ))
    .of(service)
    .help("build it without -ldflags=\"-s -w\", and with -gcflags=\"-N -l\"")
    .help(format!("devenv up {service}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "Type 'help' for list of commands.\n\
         Showing /src/cmd/shop/main.go:19 (PC: 0x6aa36e)\n\
         /.devenv/debug/question:1: open /src/cmd/shop/main.go: no such file or directory\n";

    #[test]
    fn delve_is_asked_beside_the_service() {
        let command = asks_where_main_is("/inventory", Debugger::Brought).join(" ");
        assert!(
            command.starts_with("/.devenv/debug/dlv exec /inventory "),
            "{command}"
        );
        assert!(
            command.ends_with("--init /.devenv/debug/question"),
            "{command}"
        );
    }

    #[test]
    fn the_sources_are_where_the_path_of_main_ends_in_the_same_way() {
        let root = tempfile::tempdir().unwrap();
        let context = root.path().join("shop");
        files::create_dir(&context.join("cmd/shop")).unwrap();
        files::write_shared(&context.join("cmd/shop/main.go"), b"").unwrap();
        let found = matching(main_of(SAID).unwrap(), &context, root.path()).unwrap();
        assert_eq!(
            (found.local.as_str(), found.remote.as_str()),
            ("shop", "/src")
        );
        // With -trimpath a path begins with the module's name.
        let trimmed = matching("corp/shop/cmd/shop/main.go", &context, root.path()).unwrap();
        assert_eq!(trimmed.remote, "corp/shop");
        assert_eq!(matching("/elsewhere/app.go", &context, root.path()), None);
        assert_eq!(main_of("could not launch process"), None);
    }
}
