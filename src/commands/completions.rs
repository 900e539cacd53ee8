//! `devenv completions`

use clap_complete::env::Shells;

use super::{Context, Exit};
use crate::{
    domain::{ExitClass, Failure, Failures},
    report::{Completions, Report},
};

/// The variable by which a shell asks the program to complete.
const COMPLETE: &str = "COMPLETE";
const PROGRAM: &str = "devenv";

/// Print the script that completes devenv's command line in your shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  source <(devenv completions bash)                              # this shell
  devenv completions fish > ~/.config/fish/completions/devenv.fish")]
pub struct Args {
    /// The shell; that of $SHELL if left out
    #[arg(value_enum)]
    shell: Option<Shell>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

impl Shell {
    const fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Elvish => "elvish",
            Self::Fish => "fish",
            Self::Powershell => "powershell",
            Self::Zsh => "zsh",
        }
    }

    /// The shell that a path such as `/usr/bin/zsh` leads to.
    fn from_path(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next()?;
        <Self as clap::ValueEnum>::from_str(name, false).ok()
    }
}

/// Runs the command.
pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failures> {
    let shell = args
        .shell
        .or_else(|| Shell::from_path(context.host.shell.as_deref()?))
        .ok_or_else(|| {
            Failure::new(
                "usage.unknown-shell",
                ExitClass::Usage,
                "The shell is not known",
            )
            .because("$SHELL names none that can be completed")
            .help("devenv completions bash   # or zsh, fish, elvish, powershell")
        })?;
    context
        .outbox
        .report(Report::Completions(Completions {
            shell: shell.name().to_owned(),
            script: script(shell)?,
        }))
        .await;
    Ok(Exit::Success)
}

fn script(shell: Shell) -> Result<String, Failures> {
    let shells = Shells::builtins();
    let failure = || {
        Failure::new(
            "internal.completions",
            ExitClass::Internal,
            "The completion script cannot be written",
        )
    };
    let completer = shells.completer(shell.name()).ok_or_else(failure)?;
    let mut script = Vec::new();
    completer
        .write_registration(COMPLETE, PROGRAM, PROGRAM, PROGRAM, &mut script)
        .map_err(|error| failure().caused_by(&error))?;
    String::from_utf8(script).map_err(|error| failure().caused_by(&error).into())
}
