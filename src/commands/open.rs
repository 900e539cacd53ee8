//! `devenv open`

use super::{Context, Exit, project};
use crate::{
    domain::Failures,
    features::open::{Show, check_served, open},
    report::Report,
};

/// Show a service in the browser, and print its address
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  devenv open gateway
  devenv open gateway --print
  curl \"$(devenv open gateway --print)\"")]
pub struct Args {
    /// The service
    #[arg(value_name = "SERVICE")]
    pub service: String,

    /// Print the address, and open nothing
    #[arg(long)]
    pub print: bool,
}

/// Runs the command.
pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failures> {
    let project = project::open_deployed(context).await?;
    let services = project::services(&project, &[args.service])?;
    let show = if args.print {
        Show::Address
    } else {
        Show::Browser
    };
    if show == Show::Browser {
        check_served(&project)?;
    }
    for service in &services {
        let report = open(&project, service, show, &context.outbox).await?;
        context.outbox.report(Report::Open(report)).await;
    }
    Ok(Exit::Success)
}
