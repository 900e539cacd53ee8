//! The command line of `devenv-agent init`.

use std::{ffi::OsString, path::PathBuf, time::Duration};

/// How it is written.
pub(super) const USAGE: &str =
    "usage: devenv-agent init --socket PATH [--hold SECONDS] [--keep SECONDS] -- COMMAND [ARG...]";

/// What the command line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// Where requests are taken.
    pub(super) socket: PathBuf,
    /// How long the first start waits at most for its release; without it, it does not wait.
    pub(super) hold: Option<Duration>,
    /// How long the container stays at most for its release when the service has ended by itself; without it, it ends
    /// with it.
    pub(super) keep: Option<Duration>,
    /// What to run.
    pub(super) program: OsString,
    /// Its arguments.
    pub(super) arguments: Vec<OsString>,
}

/// What is wrong with a command line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum OptionsError {
    /// An argument before `--` is none of ours.
    #[error("unknown argument `{}`", .0.display())]
    Unknown(OsString),
    /// An option came without its value.
    #[error("`{0}` needs a value")]
    NoValue(&'static str),
    /// A time is no whole number of seconds.
    #[error("`{}` is not a number of seconds", .0.display())]
    NotSeconds(OsString),
    /// No socket is named.
    #[error("`--socket` is missing")]
    NoSocket,
    /// Nothing follows `--`.
    #[error("the command is missing")]
    NoCommand,
}

impl Options {
    /// Reads the arguments that follow `init`.
    pub(super) fn parse(
        mut arguments: impl Iterator<Item = OsString>,
    ) -> Result<Self, OptionsError> {
        let mut socket = None;
        let (mut hold, mut keep) = (None, None);
        loop {
            let argument = arguments.next().ok_or(OptionsError::NoCommand)?;
            match argument.to_str() {
                Some("--socket") => {
                    socket = Some(arguments.next().ok_or(OptionsError::NoValue("--socket"))?);
                }
                Some("--hold") => {
                    let value = arguments.next().ok_or(OptionsError::NoValue("--hold"))?;
                    hold = Some(seconds(value)?);
                }
                Some("--keep") => {
                    let value = arguments.next().ok_or(OptionsError::NoValue("--keep"))?;
                    keep = Some(seconds(value)?);
                }
                Some("--") => break,
                _ => return Err(OptionsError::Unknown(argument)),
            }
        }
        Ok(Self {
            socket: socket.ok_or(OptionsError::NoSocket)?.into(),
            hold,
            keep,
            program: arguments.next().ok_or(OptionsError::NoCommand)?,
            arguments: arguments.collect(),
        })
    }
}

/// No more than fits into 32 bits, so that it can be added to any time of day.
fn seconds(value: OsString) -> Result<Duration, OptionsError> {
    let number: Option<u32> = value.to_str().and_then(|text| text.parse().ok());
    let number = number.ok_or(OptionsError::NotSeconds(value))?;
    Ok(Duration::from_secs(number.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, OptionsError> {
        Options::parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn everything_after_the_two_dashes_is_the_command() {
        let options = parse("--hold 5 --socket /run/init -- server --hold 9 -- x").unwrap();
        let arguments = ["--hold", "9", "--", "x"].map(OsString::from).to_vec();
        let expected = Options {
            socket: "/run/init".into(),
            hold: Some(Duration::from_secs(5)),
            keep: None,
            program: "server".into(),
            arguments,
        };
        assert_eq!(options, expected);
        let kept = parse("--socket s --keep 7 -- task").unwrap();
        assert_eq!((kept.hold, kept.keep), (None, Some(Duration::from_secs(7))));
    }

    #[test]
    fn a_command_line_that_is_not_complete_says_what_is_missing() {
        let wrong = [
            ("--socket s", OptionsError::NoCommand),
            ("--socket s --", OptionsError::NoCommand),
            ("-- server", OptionsError::NoSocket),
            ("--socket", OptionsError::NoValue("--socket")),
            ("--hold", OptionsError::NoValue("--hold")),
            ("--keep", OptionsError::NoValue("--keep")),
            ("--hold 1.5 -- x", OptionsError::NotSeconds("1.5".into())),
            ("server", OptionsError::Unknown("server".into())),
        ];
        for (line, error) in wrong {
            assert_eq!(parse(line).unwrap_err(), error, "{line}");
        }
    }
}
