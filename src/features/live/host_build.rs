//! The command on this machine that makes what is copied.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::shared::Shared;
use crate::{
    adapters::process::{self, Invocation, last_lines},
    domain::{BuildRule, ExitClass, Failure, HostCommand, ServiceName},
};

/// How long it may take.
const WITHIN: Duration = Duration::from_mins(10);

/// Runs it; the compiler's words are in the failure.
pub(super) async fn build(
    shared: &Shared,
    service: &ServiceName,
    rule: &BuildRule,
    cancel: &CancellationToken,
) -> Result<(), Failure> {
    let command = HostCommand::of_build(shared.environment(), service, rule);
    let trusted = shared.project.check_trust(&command);
    trusted.map_err(|failure| failure.of(service))?;
    let (program, args) = rule.command.split_first().ok_or_else(|| {
        Failure::new(
            "run.inconsistent",
            ExitClass::Internal,
            "a build without a command",
        )
    })?;
    let mut invocation = Invocation::new(program, shared.tools.children.clone(), WITHIN).args(args);
    invocation.directory = Some(rule.directory.clone());
    let finished = process::run(&invocation, cancel, None).await;
    let finished =
        finished.map_err(|error| error.failure().of(service).at(command.place.clone()))?;
    if finished.code == 0 {
        return Ok(());
    }
    let said = format!("{}{}", finished.stdout_text(), finished.stderr_text());
    let words = rule.command.join(" ");
    Err(Failure::new(
        "live.build-failed",
        ExitClass::Cluster,
        format!(
            "`{words}` ended with code {} on this machine",
            finished.code
        ),
    )
    .of(service)
    .at(command.place.clone())
    .with_evidence(program.clone(), last_lines(said.as_bytes()))
    .help("mend what it says: the next change runs it again"))
}
