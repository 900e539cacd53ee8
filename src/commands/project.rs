//! From the flags of a command to the project it is about.

use std::{path::Path, str::FromStr};

use super::Context;
use crate::{
    adapters::{environment::HostVariables, files, git},
    domain::{BranchName, ExitClass, Failure, Failures, NoticeLevel, ServiceName, Task, conceal},
    features::{Project, secrecy::hide_secrets},
    manifest::{self, NamedFiles},
    state::{Settings, UserPaths},
};

/// Loads the manifest with its layers and everything around it.
///
/// Without `--file`, the project is the nearest directory upwards that has a manifest.
pub(super) async fn open(context: &Context) -> Result<Project, Failures> {
    load(context, NamedFiles::Required).await
}

/// The same for a command that deploys nothing: files that the manifest names may be gone.
pub(super) async fn open_deployed(context: &Context) -> Result<Project, Failures> {
    load(context, NamedFiles::Assumed).await
}

/// Reads the project of a context again and again, also after the context is gone.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    request: manifest::Request,
    users: UserPaths,
    settings: Settings,
    variables: HostVariables,
}

impl Reader {
    /// The reader of what the flags of a command name.
    pub(super) fn of(context: &Context, named_files: NamedFiles) -> Result<Self, Failures> {
        Ok(Self {
            request: request(context, named_files),
            users: context.user_paths()?,
            settings: context.settings.clone(),
            variables: context.variables.clone(),
        })
    }

    /// The project as it is now, and what is worth a line about it.
    pub(super) fn read(&self) -> Result<(Project, Vec<String>), Failures> {
        let files = files::Project::new(self.request.directory.clone());
        let request = manifest::Request {
            // Another one may have been checked out since.
            branch: branch(&self.request.directory),
            ..self.request.clone()
        };
        let loaded = manifest::load(&request, &files)?;
        let mut manifest = loaded.written;
        conceal(&mut manifest);
        let project = Project {
            paths: self.users.environment(&loaded.environment.id),
            environment: loaded.environment,
            manifest,
            settings: self.settings.clone(),
            variables: self.variables.clone(),
        };
        Ok((project, loaded.notices))
    }
}

/// Which environment the flags of a command ask for.
///
/// Without `--file`, the project is the nearest directory upwards that has a manifest.
pub(super) fn request(context: &Context, named_files: NamedFiles) -> manifest::Request {
    let here = files::Project::new(context.directory.clone());
    let found = match context.file {
        Some(_) => None,
        None => manifest::find_project(&context.directory, &here),
    };
    let sets = context.sets.iter();
    let directory = found.unwrap_or_else(|| context.directory.clone());
    manifest::Request {
        branch: branch(&directory),
        directory,
        file: context.file.clone(),
        profiles: context.profiles.clone(),
        sets: sets
            .map(|set| format!("{}={}", set.path, set.value))
            .collect(),
        named_files,
    }
}

/// The branch that is checked out, if its name can name a file.
pub(super) fn branch(directory: &Path) -> Option<BranchName> {
    git::branch(directory)?.parse().ok()
}

/// Loads it and says nothing: the project, and what is worth a line about it.
pub(super) fn read(
    context: &Context,
    named_files: NamedFiles,
) -> Result<(Project, Vec<String>), Failures> {
    let (project, notices) = Reader::of(context, named_files)?.read()?;
    hide_secrets(&project.environment, context.outbox.redactor());
    Ok((project, notices))
}

async fn load(context: &Context, named_files: NamedFiles) -> Result<Project, Failures> {
    let (project, notices) = read(context, named_files)?;
    for notice in notices {
        context.outbox.notice(NoticeLevel::Info, notice).await;
    }
    Ok(project)
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

/// What a command can run in.
pub(super) enum Target<'a> {
    /// A service.
    Service(ServiceName),
    /// A task.
    Task(&'a Task),
}

/// The service or task of that name; an unknown one is told with what it may have meant.
pub(super) fn target<'a>(project: &'a Project, name: &str) -> Result<Target<'a>, Failures> {
    let environment = &project.environment;
    if let Some(service) = environment.services.keys().find(|s| s.as_str() == name) {
        return Ok(Target::Service(service.clone()));
    }
    let mut tasks = environment.tasks.values();
    if let Some(task) = tasks.find(|task| task.name.as_str() == name) {
        return Ok(Target::Task(task));
    }
    let services: Vec<&str> = environment.services.keys().map(AsRef::as_ref).collect();
    let tasks: Vec<&str> = environment.tasks.keys().map(AsRef::as_ref).collect();
    let known: Vec<&str> = services.iter().chain(&tasks).copied().collect();
    let mut failure = Failure::new(
        "usage.unknown-service",
        ExitClass::Usage,
        format!("there is no service or task `{name}`"),
    );
    failure.help.extend(meant(&known, name));
    let failure = failure.help(format!("the services are {}", services.join(", ")));
    Err(if tasks.is_empty() {
        failure
    } else {
        failure.help(format!("the tasks are {}", tasks.join(", ")))
    }
    .into())
}

fn unknown(project: &Project, name: &str) -> Failure {
    let services = project.environment.services.keys();
    let known: Vec<&str> = services.map(ServiceName::as_str).collect();
    let mut failure = Failure::new(
        "usage.unknown-service",
        ExitClass::Usage,
        format!("there is no service `{name}`"),
    );
    failure.help.extend(meant(&known, name));
    failure.help(format!("the services are {}", known.join(", ")))
}

/// What a name that is not known may have meant: a longer beginning in common, or one slip of the finger.
fn meant(known: &[&str], name: &str) -> Option<String> {
    let likeness = |known: &&str| {
        let typed_wrong = strsim::osa_distance(known, name) <= 1;
        strsim::jaro_winkler(known, name).max(if typed_wrong { 0.9 } else { 0.0 })
    };
    let best = known
        .iter()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) > 0.75).then(|| format!("did you mean `{best}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_told_with_what_was_meant_and_a_guess_is_not_forced() {
        let known = ["payment", "order", "web"];
        let told = meant(&known, "paymnet").unwrap();
        assert_eq!(told, "did you mean `payment`?");
        assert_eq!(meant(&known, "wbe").unwrap(), "did you mean `web`?");
        assert_eq!(meant(&known, "xyz"), None);
        assert_eq!(meant(&[], "order"), None);
    }
}
