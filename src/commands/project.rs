//! From the flags of a command to the project it is about.

use std::str::FromStr;

use super::Context;
use crate::{
    adapters::files,
    domain::{ExitClass, Failure, Failures, NoticeLevel, ServiceName},
    features::Project,
    manifest,
};

/// Loads the manifest with its layers and everything around it.
///
/// Without `--file`, the project is the nearest directory upwards that has a manifest.
pub(super) async fn open(context: &Context) -> Result<Project, Failures> {
    let here = files::Project::new(context.directory.clone());
    let found = match context.file {
        Some(_) => None,
        None => manifest::find_project(&context.directory, &here),
    };
    let directory = found.unwrap_or_else(|| context.directory.clone());
    let request = manifest::Request {
        directory: directory.clone(),
        file: context.file.clone(),
        profiles: context.profiles.clone(),
        sets: context
            .sets
            .iter()
            .map(|set| format!("{}={}", set.path, set.value))
            .collect(),
    };
    let loaded = manifest::load(&request, &files::Project::new(directory))?;
    for notice in loaded.notices {
        context.outbox.notice(NoticeLevel::Info, notice).await;
    }
    let paths = context.user_paths()?.environment(&loaded.environment.id);
    Ok(Project {
        environment: loaded.environment,
        paths,
        settings: context.settings.clone(),
        variables: context.variables.clone(),
    })
}

/// Services as named on the command line; an unknown name is told with what it may have meant.
pub(super) fn services(project: &Project, names: &[String]) -> Result<Vec<ServiceName>, Failures> {
    let (mut services, mut failures) = (Vec::new(), Vec::new());
    for name in names {
        match ServiceName::from_str(name) {
            Ok(service) if project.environment.services.contains_key(&service) => {
                services.push(service);
            }
            _ => failures.push(unknown(project, name)),
        }
    }
    Failures::from_list(failures).map_or(Ok(services), Err)
}

fn unknown(project: &Project, name: &str) -> Failure {
    let known: Vec<&str> = project
        .environment
        .services
        .keys()
        .map(ServiceName::as_str)
        .collect();
    let failure = Failure::new(
        "usage.unknown-service",
        ExitClass::Usage,
        format!("there is no service `{name}`"),
    );
    match nearest(&known, name) {
        Some(nearest) => failure.help(format!("did you mean `{nearest}`?")),
        None => failure,
    }
    .help(format!("the services are {}", known.join(", ")))
}

/// The name that was probably meant: a longer beginning in common, or two letters that changed places.
fn nearest<'a>(known: &[&'a str], name: &str) -> Option<&'a str> {
    let likeness = |known: &&str| {
        let typed_wrong = strsim::osa_distance(known, name) <= 1;
        strsim::jaro_winkler(known, name).max(if typed_wrong { 0.9 } else { 0.0 })
    };
    let best = known
        .iter()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) > 0.75).then_some(*best)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_another_word_is_not() {
        let known = ["store", "web", "payment"];
        assert_eq!(nearest(&known, "wbe"), Some("web"));
        assert_eq!(nearest(&known, "paymnet"), Some("payment"));
        assert_eq!(nearest(&known, "nope"), None);
        assert_eq!(nearest(&[], "web"), None);
    }
}
