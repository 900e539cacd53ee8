//! `devenv forward`

use super::{Context, Exit, project, session};
use crate::{
    domain::Failures,
    features::forward::{Ports, forward},
};

/// Make a service reachable on a port of this machine
///
/// Each connection goes to a pod that is ready when it is made; while none is, it waits up to 30 seconds for one. So the
/// address stays when pods are replaced. It listens on 127.0.0.1 until Ctrl-C.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  devenv forward postgres              # its first port, the same on this machine
  devenv forward web 18080:8080 9090
  devenv forward redis 0:6379 -o json  # on any port that is free")]
pub struct Args {
    /// The service
    #[arg(value_name = "SERVICE")]
    pub service: String,

    /// The ports, as PORT or LOCAL:PORT; the service's first one if none is named
    #[arg(value_name = "PORT")]
    pub ports: Vec<Ports>,
}

/// Runs the command.
pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failures> {
    let project = project::open_deployed(context).await?;
    session::revive(context, &project).await;
    let services = project::services(&project, std::slice::from_ref(&args.service))?;
    let (outbox, cancel) = (&context.outbox, &context.cancel);
    for service in &services {
        let forwarding = forward(&project, service, &args.ports, outbox, cancel);
        match context.timeout {
            Some(timeout) => match tokio::time::timeout(timeout, forwarding).await {
                Ok(ended) => ended?,
                // As long as was asked for.
                Err(_) => return Ok(Exit::Success),
            },
            None => forwarding.await?,
        }
    }
    Ok(Exit::Success)
}
