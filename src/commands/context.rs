//! What every command gets: where it was called, with which flags, and whom it may talk to.

use std::{path::PathBuf, str::FromStr, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    adapters::{environment::HostVariables, host::HostEnvironment},
    domain::{ExitClass, Failure, Failures, ProfileName},
    report::{Outbox, OutputFormat},
    state::{Settings, UserPaths},
};

/// What every command gets.
#[derive(Debug)]
pub struct Context {
    /// The working directory, or that of `--directory`; absolute, without symbolic links.
    pub directory: PathBuf,
    /// The whole command line that there is, for the manual.
    pub command_line: fn() -> clap::Command,
    /// The words of the command line, as they were typed.
    pub typed: Vec<String>,
    /// `--file`, as given: relative to `directory`.
    pub file: Option<PathBuf>,
    /// `--profile`, in order.
    pub profiles: Vec<ProfileName>,
    /// `--set`, in order.
    pub sets: Vec<Assignment>,
    /// Whether questions are answered with yes already.
    pub consent: Consent,
    /// `--timeout`: how long the command may wait in all.
    pub timeout: Option<Duration>,
    /// The environment variables: what children inherit.
    pub variables: HostVariables,
    /// What the environment variables mean.
    pub host: HostEnvironment,
    /// The settings of this machine.
    pub settings: Settings,
    /// Why they are the defaults: only a command that can do without them sees that.
    pub settings_failures: Option<Failures>,
    /// `--output`. A command reports the same in all forms; only passed-through bytes need to know.
    pub format: OutputFormat,
    /// What the standard streams are.
    pub streams: Streams,
    /// Through which it speaks.
    pub outbox: Outbox,
    /// Cancelled by the first Ctrl-C, SIGTERM or SIGHUP.
    pub cancel: CancellationToken,
}

/// Whether questions are answered with yes already: `--yes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// The user must be asked.
    Ask,
    /// Yes to all.
    Given,
}

/// What a standard stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamKind {
    /// A terminal.
    Terminal,
    /// A file, a pipe or nothing.
    Other,
}

/// What the standard streams are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streams {
    /// Standard input.
    pub stdin: StreamKind,
    /// Standard output.
    pub stdout: StreamKind,
    /// Standard error.
    pub stderr: StreamKind,
}

impl Streams {
    /// Whether a user is there to be asked.
    pub fn can_ask(self) -> bool {
        self.stdin == StreamKind::Terminal && self.stderr == StreamKind::Terminal
    }
}

/// A value set on the command line: `services.order.replicas=2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The path of the key.
    pub path: String,
    /// The value, YAML.
    pub value: String,
}

/// A text without `=`, or without a key before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write it as `key=value`, such as `services.order.replicas=2`")]
pub struct InvalidAssignment;

impl FromStr for Assignment {
    type Err = InvalidAssignment;
    fn from_str(text: &str) -> Result<Self, InvalidAssignment> {
        match text.split_once('=') {
            Some((path, value)) if !path.trim().is_empty() => Ok(Self {
                path: path.trim().to_owned(),
                value: value.to_owned(),
            }),
            _ => Err(InvalidAssignment),
        }
    }
}

impl Context {
    /// The user's directories.
    pub fn user_paths(&self) -> Result<UserPaths, Failures> {
        UserPaths::of(&self.host).map_err(|error| error.failure().into())
    }

    /// Whether a user is there who can be asked.
    pub(super) fn can_ask(&self) -> bool {
        self.streams.can_ask() && self.format == OutputFormat::Text
    }

    /// Asks a user who is there, with lines that the question is about; Ctrl-C is a no.
    pub(super) async fn ask(&self, about: Vec<String>, question: &str) -> bool {
        tokio::select! {
            answer = self.outbox.ask(about, question) => answer,
            () = self.cancel.cancelled() => false,
        }
    }

    /// Asks before something that cannot be undone; `true` means go on.
    pub async fn confirm(&self, question: &str) -> Result<bool, Failures> {
        match self.consent {
            Consent::Given => Ok(true),
            Consent::Ask if self.can_ask() => Ok(self.ask(Vec::new(), question).await),
            Consent::Ask => Err(Failure::new(
                "usage.not-confirmed",
                ExitClass::Usage,
                "This needs a yes, and there is no terminal to ask on",
            )
            .because(format!("the question is: {question}"))
            .help("add --yes to say yes beforehand")
            .into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(consent: Consent, stdin: StreamKind) -> Context {
        Context {
            directory: "/".into(),
            command_line: clap::Command::default,
            typed: Vec::new(),
            file: None,
            profiles: Vec::new(),
            sets: Vec::new(),
            consent,
            timeout: None,
            variables: HostVariables::default(),
            host: HostEnvironment::from_variables([]),
            settings: Settings::default(),
            settings_failures: None,
            format: OutputFormat::Text,
            streams: Streams {
                stdin,
                stdout: StreamKind::Other,
                stderr: StreamKind::Terminal,
            },
            outbox: Outbox::new().0,
            cancel: CancellationToken::new(),
        }
    }

    #[tokio::test]
    async fn without_a_terminal_nothing_is_asked_and_the_failure_says_how_to_agree() {
        let failures = context(Consent::Ask, StreamKind::Other)
            .confirm("Remove the data?")
            .await
            .unwrap_err();
        let failure = failures.iter().next().unwrap();
        assert_eq!(failure.class, ExitClass::Usage);
        assert!(failure.help[0].contains("--yes"));
        let context = context(Consent::Given, StreamKind::Other);
        assert_eq!(context.confirm("Remove the data?").await, Ok(true));
    }

    #[tokio::test]
    async fn ctrl_c_at_a_question_is_a_no() {
        let mut context = context(Consent::Ask, StreamKind::Terminal);
        let (outbox, _message_rx) = Outbox::new();
        context.outbox = outbox;
        context.cancel.cancel();
        assert_eq!(context.confirm("Remove the data?").await, Ok(false));
    }

    #[test]
    fn an_assignment_has_a_key_and_keeps_the_value_as_written() {
        let set: Assignment = "services.order.env.A=b=c".parse().unwrap();
        assert_eq!(
            (set.path.as_str(), set.value.as_str()),
            ("services.order.env.A", "b=c")
        );
        assert_eq!("=x".parse::<Assignment>(), Err(InvalidAssignment));
        assert_eq!("x".parse::<Assignment>(), Err(InvalidAssignment));
    }
}
