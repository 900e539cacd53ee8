//! `devenv kubeconfig`

use super::{Context, Exit, project};
use crate::{
    adapters::files,
    domain::{ExitClass, Failure, Failures},
    report::{Kubeconfig, Message, OutputFormat, OutputStream, Report},
};

/// Print the path of the environment's own kubeconfig, for kubectl and others
///
/// devenv never touches your own kubeconfig: name this one where you want to use another tool.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kubectl --kubeconfig \"$(devenv kubeconfig)\" get pods
  devenv kubeconfig --print > /tmp/kubeconfig
  export KUBECONFIG=\"$(devenv kubeconfig)\"")]
pub struct Args {
    /// Print the kubeconfig itself; it holds a key
    #[arg(long)]
    pub print: bool,
}

/// Runs the command.
pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failures> {
    let project = project::open_deployed(context).await?;
    let path = project.paths.kubeconfig();
    if !files::exists(&path) {
        let failure = Failure::new(
            "cluster.no-kubeconfig",
            ExitClass::Cluster,
            "this environment has no kubeconfig",
        )
        .because(format!(
            "there is no {}: it comes with the cluster",
            path.display()
        ))
        .help("devenv up");
        return Err(failure.into());
    }
    if args.print && context.format == OutputFormat::Text {
        let bytes = files::read(&path).map_err(|error| error.failure())?;
        let message = Message::Bytes(OutputStream::Stdout, bytes);
        context.outbox.send(message).await;
        return Ok(Exit::Success);
    }
    let report = Kubeconfig {
        path: path.display().to_string(),
        context: format!("k3d-{}", project.environment.id.cluster()),
    };
    context.outbox.report(Report::Kubeconfig(report)).await;
    Ok(Exit::Success)
}
