//! `devenv validate`

use super::{Context, Exit, project};
use crate::{
    domain::{ExitClass, Failures, Severity},
    features::{config, validate},
    manifest::NamedFiles,
    report::{DoctorFinding, Report, Validated},
};

/// Check the manifest, and whether the services would come up; changes nothing
///
/// Without a service, the manifest, every profile and every dataset are checked, and that they keep to policy.yaml. Of
/// services, what their charts come to is looked at too: APIs that the version of Kubernetes does not have, names,
/// labels and ports that lead nowhere, images that are nowhere, more requests than the cluster can give, and what the
/// cluster itself says to the objects without making them. What cannot be asked, such as a cluster that does not run, is
/// told and is no mistake. Every finding is explained in docs/validate.md. Exits with 0 if there is no problem, else
/// with 3.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  devenv validate                  # the files alone
  devenv validate --all-services   # as CI does
  devenv validate payment order
  devenv validate --all-services -o json | jq '.findings[] | select(.severity == \"problem\")'")]
pub struct Args {
    /// Look at these services too
    #[arg(value_name = "SERVICE")]
    pub names: Vec<String>,

    /// The same as a list
    #[arg(long, value_name = "A,B", value_delimiter = ',', alias = "service")]
    pub services: Vec<String>,

    /// Look at all services too
    #[arg(long, conflicts_with_all = ["names", "services"])]
    pub all_services: bool,
}

/// Runs the command.
pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failures> {
    let manifest = config::validate(&project::request(context, NamedFiles::Required))?;
    let project = project::open(context).await?;
    let names: Vec<String> = args.names.iter().chain(&args.services).cloned().collect();
    let services = project::services(&project, &names)?;
    let mut report = Validated {
        manifest,
        ..Validated::default()
    };
    let mut exit = Exit::Success;
    if args.all_services || !services.is_empty() {
        let looking = validate::look(&project, &services, &context.outbox, &context.cancel);
        let looked = Box::pin(looking).await?;
        if looked
            .findings
            .iter()
            .any(|it| it.severity == Severity::Problem)
        {
            exit = Exit::Class(ExitClass::Manifest);
        }
        report.services = looked.services;
        report.findings = looked.findings.iter().map(DoctorFinding::from).collect();
    }
    context.outbox.report(Report::Validate(report)).await;
    Ok(exit)
}
