//! `devenv version`

use super::{Context, Exit};
use crate::{
    domain::Failures,
    report::{Report, Version},
};

/// Print the version of devenv
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  devenv version
  devenv version -o json")]
pub struct Args {}

/// Runs the command.
pub(super) async fn run(_args: Args, context: &Context) -> Result<Exit, Failures> {
    context.outbox.report(Report::Version(own())).await;
    Ok(Exit::Success)
}

/// Which devenv this is.
pub(super) fn own() -> Version {
    Version {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        platform: format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
        manifest: "devenv/v1".to_owned(),
    }
}
