//! `devenv debug`

use super::{Context, Exit, project, session};
use crate::{
    domain::Failures,
    features::debug::{Ide, IdeFile, Wait, Wanted, debug, stop},
};

/// Start a service under its debugger, and undo that at the end
///
/// The process starts anew in its container, under Node's inspector, debugpy, Delve, JDWP or what `debug` of the
/// manifest says, and the port of the debugger is forwarded to this machine. A service that stands at a breakpoint
/// keeps its pod and its connections. Ctrl-C ends it: the process starts as before, and what was written is gone.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  devenv debug order                       # shows how to attach
  devenv debug order --ide vscode          # writes .vscode/launch.json
  devenv debug order --wait                # nothing runs until a debugger is there
  devenv debug order --stop                # undoes what a killed one has left")]
pub struct Args {
    /// The service
    #[arg(value_name = "SERVICE")]
    pub service: String,

    /// Write a configuration for an IDE, or show one
    #[arg(long, value_enum, default_value = "print")]
    pub ide: IdeName,

    /// Leave the IDE's configuration where it is at the end
    #[arg(long)]
    pub keep_ide: bool,

    /// Have the process wait for a debugger before it begins
    #[arg(long)]
    pub wait: bool,

    /// The port of this machine, 0 for any that is free; that of the debugger without it
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,

    /// Undo what a debugging that was killed has left, and debug nothing
    #[arg(long, conflicts_with_all = ["wait", "port", "keep_ide"])]
    pub stop: bool,
}

/// The IDEs, as they are named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum IdeName {
    /// Show how to attach
    Print,
    /// .vscode/launch.json
    Vscode,
    /// .idea/runConfigurations
    Jetbrains,
}

/// Runs the command.
pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failures> {
    let project = project::open_deployed(context).await?;
    session::revive(context, &project).await;
    let services = project::services(&project, std::slice::from_ref(&args.service))?;
    let (outbox, cancel) = (&context.outbox, &context.cancel);
    for service in services {
        if args.stop {
            stop(&project, &service, outbox).await?;
            continue;
        }
        let wanted = Wanted {
            service,
            wait: if args.wait {
                Wait::ForDebugger
            } else {
                Wait::No
            },
            port: args.port,
            ide: match args.ide {
                IdeName::Print => Ide::Print,
                IdeName::Vscode => Ide::Vscode,
                IdeName::Jetbrains => Ide::Jetbrains,
            },
            file: if args.keep_ide {
                IdeFile::Kept
            } else {
                IdeFile::PutBack
            },
        };
        debug(&project, &wanted, outbox, cancel).await?;
    }
    Ok(Exit::Success)
}
