//! `devenv scale`

use std::{collections::BTreeMap, time::Duration};

use super::{Context, Exit, begin::Rollout, project, session};
use crate::{
    domain::{ExitClass, Failure, Failures, ServiceName},
    features::{Project, scale::scale},
    report::Report,
};

/// How long `scale` may take when `--timeout` says nothing.
const DEADLINE: Duration = Duration::from_mins(5);
/// The most pods of a service, as in the manifest's `replicas`: more would only bury the cluster.
const MOST_PODS: u32 = 1000;

/// Give services another number of pods, and wait until they are ready
///
/// It holds until the service is deployed anew: an `up` that changes nothing of it leaves it alone.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  devenv scale payment=3
  devenv scale payment=3 search=0")]
pub struct Args {
    /// A service and its number of pods
    #[arg(value_name = "SERVICE=PODS", required = true)]
    pub wanted: Vec<String>,
}

/// Runs the command.
pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failures> {
    let words = parse(&args.wanted)?;
    let project = project::open_deployed(context).await?;
    session::revive(context, &project).await;
    let wanted = known(&project, &words)?;
    let _lock = context
        .begin_run(&project, "scale", Rollout::Awaited)
        .await?;
    let deadline = context.timeout.unwrap_or(DEADLINE);
    let (outbox, cancel) = (&context.outbox, &context.cancel);
    let report = scale(&project, &wanted, outbox, cancel, deadline).await?;
    context.outbox.report(Report::Scale(report)).await;
    Ok(Exit::Success)
}

/// The names and numbers; one failure names every word that is neither.
fn parse(words: &[String]) -> Result<Vec<(String, u32)>, Failure> {
    let (mut read, mut bad) = (Vec::new(), Vec::new());
    for word in words {
        let parts = word.split_once('=');
        let number = |(name, number): (&str, &str)| {
            let number = number.parse().ok().filter(|n| *n <= MOST_PODS)?;
            (!name.is_empty()).then(|| (name.to_owned(), number))
        };
        match parts.and_then(number) {
            Some(pair) => read.push(pair),
            None => bad.push(format!("`{word}`")),
        }
    }
    if bad.is_empty() {
        return Ok(read);
    }
    let verb = if bad.len() == 1 { "is" } else { "are" };
    Err(Failure::new(
        "usage.scale",
        ExitClass::Usage,
        format!("{} {verb} not of the form SERVICE=PODS", bad.join(", ")),
    )
    .because(format!("PODS is a whole number from 0 to {MOST_PODS}"))
    .help("devenv scale payment=3 search=0"))
}

fn known(
    project: &Project,
    words: &[(String, u32)],
) -> Result<BTreeMap<ServiceName, u32>, Failures> {
    let names: Vec<String> = words.iter().map(|(name, _)| name.clone()).collect();
    let services = project::services(project, &names)?;
    let numbers = words.iter().map(|(_, number)| *number);
    let mut wanted = BTreeMap::new();
    for (service, number) in services.into_iter().zip(numbers) {
        if let Some(earlier) = wanted.insert(service.clone(), number)
            && earlier != number
        {
            let what = format!("{service} is to have both {earlier} and {number} pods");
            return Err(Failure::new("usage.scale", ExitClass::Usage, what)
                .help(format!("devenv scale {service}={number}"))
                .into());
        }
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Result<Vec<(String, u32)>, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        parse(&words).map_err(|failure| failure.what)
    }

    #[test]
    fn names_and_numbers_are_read() {
        let read = words(&["a=3", "b=0"]).unwrap();
        assert_eq!(read, [("a".to_owned(), 3), ("b".to_owned(), 0)]);
    }

    #[test]
    fn every_bad_word_is_named_in_one_failure() {
        assert_eq!(
            words(&["a", "b=2", "c=-1", "=3", "d=x"]).unwrap_err(),
            "`a`, `c=-1`, `=3`, `d=x` are not of the form SERVICE=PODS"
        );
        assert!(words(&["a"]).unwrap_err().starts_with("`a` is not"));
        assert!(words(&["a=1000"]).is_ok() && words(&["a=1001"]).is_err());
    }
}
