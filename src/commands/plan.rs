//! `devenv plan`

use std::time::Duration;

use super::{Context, Exit, project};
use crate::{
    domain::Failures,
    features::up::{Scope, Wanted, preview},
    report::{PlanReport, PlanStep, Report},
};

/// Show what `up` would do, each step with its reason; touches nothing
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  devenv plan
  devenv plan payment
  devenv plan --exit-code   # 10 if there is something to do")]
pub struct Args {
    /// Only these services, and what they depend on
    #[arg(value_name = "SERVICE")]
    pub names: Vec<String>,

    /// The same as a list
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub services: Vec<String>,

    /// Exit with 10 if there is something to do
    #[arg(long)]
    pub exit_code: bool,
}

/// Runs the command.
pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failures> {
    let project = project::open(context).await?;
    let names: Vec<String> = args.names.iter().chain(&args.services).cloned().collect();
    let wanted = Wanted {
        services: project::services(&project, &names)?,
        scope: Scope::WithDependencies,
        deadline: Duration::MAX,
    };
    let plan = preview(&project, &wanted, &context.outbox).await?;
    let report = PlanReport {
        environment: project.environment.id.to_string(),
        steps: plan.summaries().iter().map(PlanStep::from).collect(),
    };
    context.outbox.report(Report::Plan(report)).await;
    Ok(if args.exit_code && !plan.is_empty() {
        Exit::ChangesPending
    } else {
        Exit::Success
    })
}
