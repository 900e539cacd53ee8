//! Commands that run on this machine because a manifest says so, and which of them the user has confirmed.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    BuildRule, Environment, ExitClass, Failure, HookMoment, Place, Service, ServiceName,
    shell_words,
};

/// What makes a command run on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostMoment {
    /// A hook.
    Hook(HookMoment),
    /// A change of files that the `build` of a service's `live` waits for.
    LiveBuild,
}

impl HostMoment {
    /// Every moment.
    pub const ALL: [Self; 3] = [
        Self::Hook(HookMoment::AfterUp),
        Self::Hook(HookMoment::BeforeDown),
        Self::LiveBuild,
    ];

    /// When it runs, as part of a sentence; also what its approval holds for.
    const fn words(self) -> &'static str {
        match self {
            Self::Hook(HookMoment::AfterUp) => "after `devenv up`",
            Self::Hook(HookMoment::BeforeDown) => "before `devenv down`",
            Self::LiveBuild => "when files change",
        }
    }
}

/// A command of the manifest that runs on this machine, with the rights of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostCommand {
    /// What makes it run.
    pub moment: HostMoment,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Where it runs, absolute.
    pub directory: PathBuf,
    /// Where the manifest says it.
    pub place: Option<Place>,
}

impl HostCommand {
    /// The `build` of a service.
    pub fn of_build(environment: &Environment, service: &ServiceName, rule: &BuildRule) -> Self {
        let place = format!("services.{service}.live.build");
        Self {
            moment: HostMoment::LiveBuild,
            command: rule.command.clone(),
            directory: rule.directory.clone(),
            place: environment.provenance.place(&place).cloned(),
        }
    }

    /// What is kept when the user confirms it: the command as it is, where it runs and when. Whatever of that changes asks
    /// anew; in which line it is written does not.
    pub fn approval(&self) -> Approval {
        let mut hash = blake3::Hasher::new();
        let directory = self.directory.to_string_lossy();
        let words = self.command.iter().map(String::as_str);
        for part in [self.moment.words(), &directory].into_iter().chain(words) {
            // With its length: two words are not one.
            hash.update(&part.len().to_le_bytes());
            hash.update(part.as_bytes());
        }
        Approval(hash.finalize().to_hex().to_string())
    }

    /// What a user is shown of it: where it is written and when it runs, then the command, whole, with every line of it
    /// marked, so that none can pass for another command.
    pub fn shown(&self, project: &Path) -> Vec<String> {
        let place = self.place.as_ref();
        let place = place.map_or_else(String::new, |place| {
            format!("{}:{}, ", place.file.display(), place.line)
        });
        let within = match self.directory.strip_prefix(project) {
            Ok(inside) if inside.as_os_str().is_empty() => String::new(),
            Ok(inside) => format!(", in {}", inside.display()),
            Err(_) => format!(", in {}", self.directory.display()),
        };
        let heading = format!("{place}{}{within}:", self.moment.words());
        let command = shell_words(&self.command);
        let lines = command.split('\n').map(|line| format!("  | {line}"));
        std::iter::once(heading).chain(lines).collect()
    }
}

impl Environment {
    /// The hook of a moment as it runs on this machine; `None` where it runs in a service, or is not there.
    pub fn host_hook(&self, moment: HookMoment, index: usize) -> Option<HostCommand> {
        let hook = self.hooks.of(moment).get(index)?;
        let place = format!("hooks.{}[{index}]", moment.key());
        hook.service.is_none().then(|| HostCommand {
            moment: HostMoment::Hook(moment),
            command: hook.command.clone(),
            directory: self.directory.clone(),
            place: self.provenance.place(&place).cloned(),
        })
    }

    /// All commands that run on this machine because of the manifest.
    pub fn host_commands(&self) -> Vec<HostCommand> {
        let hooks = [HookMoment::AfterUp, HookMoment::BeforeDown]
            .into_iter()
            .flat_map(|moment| (0..self.hooks.of(moment).len()).map(move |index| (moment, index)))
            .filter_map(|(moment, index)| self.host_hook(moment, index));
        let builds = self.services.iter().filter_map(|(name, service)| {
            let live = Service::workload(service)?.live.as_ref()?;
            Some(HostCommand::of_build(self, name, live.build.as_ref()?))
        });
        hooks.chain(builds).collect()
    }
}

/// That the user has confirmed a command: the hash of what it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Approval(String);

/// Which commands of a project may run on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// All: the user's settings name its directory, or one above it.
    Directory,
    /// Those that the user has confirmed.
    Confirmed(BTreeSet<Approval>),
}

impl Trust {
    /// Whether a command may run.
    pub fn allows(&self, command: &HostCommand) -> bool {
        match self {
            Self::Directory => true,
            Self::Confirmed(approvals) => approvals.contains(&command.approval()),
        }
    }

    /// The failure of a command that may not run; `project` is the project's directory.
    pub fn check(&self, command: &HostCommand, project: &Path) -> Result<(), Failure> {
        if self.allows(command) {
            return Ok(());
        }
        Err(not_confirmed(std::slice::from_ref(command), project, "up"))
    }
}

/// The failure of commands that nobody has confirmed. `verb` asks for it.
pub fn not_confirmed(commands: &[HostCommand], project: &Path, verb: &str) -> Failure {
    let number = commands.len();
    let (what, them) = match number {
        1 => (
            "a command of the manifest that nobody has confirmed would run on this machine"
                .to_owned(),
            "it",
        ),
        _ => (
            format!(
                "{number} commands of the manifest that nobody has confirmed would run on this machine"
            ),
            "them",
        ),
    };
    let shown = commands.iter().flat_map(|command| command.shown(project));
    let place = commands.first().and_then(|command| command.place.clone());
    Failure::new("trust.not-confirmed", ExitClass::Usage, what)
        .at(place)
        .with_evidence("what would run", shown.collect())
        .help(format!("read {them}, then: devenv {verb} --yes"))
        .help("for projects of your own: their directory under `trust` in the settings (docs/trust.md)")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::{Hook, testing::environment};

    fn hook(service: Option<&str>, command: &[&str]) -> Hook {
        Hook {
            service: service.map(crate::domain::testing::name),
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            within: Duration::from_secs(1),
        }
    }

    fn command(words: &[&str]) -> HostCommand {
        let mut environment = environment(&[]);
        environment.hooks.after_up = vec![hook(None, words)];
        environment.host_hook(HookMoment::AfterUp, 0).unwrap()
    }

    #[test]
    fn what_runs_in_a_service_is_no_command_of_this_machine() {
        let mut environment = environment(&[("web", &[])]);
        environment.hooks.after_up = vec![hook(Some("web"), &["a"]), hook(None, &["b"])];
        environment.hooks.before_down = vec![hook(None, &["c"])];
        let commands = environment.host_commands();
        let words: Vec<&str> = commands.iter().map(|c| c.command[0].as_str()).collect();
        assert_eq!(words, ["b", "c"]);
    }

    #[test]
    fn an_approval_is_of_the_words_the_directory_and_the_moment() {
        let one = command(&["sh", "-c", "echo a"]);
        assert_eq!(one.approval(), command(&["sh", "-c", "echo a"]).approval());
        assert_ne!(one.approval(), command(&["sh", "-c", "echo b"]).approval());
        assert_ne!(one.approval(), command(&["sh", "-cecho a"]).approval());
        let mut elsewhere = one.clone();
        elsewhere.directory.push("below");
        assert_ne!(one.approval(), elsewhere.approval());
        let mut later = one.clone();
        later.moment = HostMoment::Hook(HookMoment::BeforeDown);
        assert_ne!(one.approval(), later.approval());
        let trust = Trust::Confirmed([one.approval()].into());
        assert!(trust.allows(&one) && !trust.allows(&later));
        assert!(Trust::Directory.allows(&later));
    }

    #[test]
    fn no_line_of_a_command_passes_for_another_command() {
        let command = command(&[
            "sh",
            "-c",
            "true\ndevenv.yaml:3, after `devenv up`:\n  | ls",
        ]);
        let shown = command.shown(&command.directory);
        assert_eq!(
            shown,
            [
                "after `devenv up`:",
                "  | sh -c 'true",
                "  | devenv.yaml:3, after `devenv up`:",
                "  |   | ls'",
            ]
        );
    }

    #[test]
    fn the_failure_shows_the_commands_and_what_to_type() {
        let (one, two) = (command(&["./seed.sh", "a b"]), command(&["make"]));
        let project = one.directory.clone();
        let failure = not_confirmed(&[one.clone(), two], &project, "down");
        assert!(failure.what.starts_with("2 commands"), "{failure:?}");
        let lines = &failure.evidence[0].lines;
        assert!(
            lines.contains(&"  | ./seed.sh 'a b'".to_owned()),
            "{lines:?}"
        );
        assert_eq!(failure.help[0], "read them, then: devenv down --yes");
        let none = Trust::Confirmed(BTreeSet::new());
        assert!(none.check(&one, &project).is_err());
        assert!(Trust::Directory.check(&one, &project).is_ok());
    }
}
