//! `devenv doctor`

use std::path::PathBuf;

use super::{Context, Exit, project, session, version};
use crate::{
    domain::{EnvironmentId, ExitClass, Failure, Failures, Finding, Mend, Severity},
    features::{
        Project,
        bundle::{Begun, Sources},
        doctor::{Removal, Scope, examine, remove_environment, start_registry},
    },
    manifest::NamedFiles,
    report::{Bundle, Doctor, DoctorFinding, DoctorSeverity, Mending, Report},
    session::end as end_session,
    state::UserPaths,
};

/// What says that a directory has no manifest: `doctor` works anywhere.
const NO_MANIFEST: &str = "manifest.not-found";

/// Look for what is wrong with this machine and the environment, and say what mends it
///
/// Works anywhere, also without a project, without docker, and with a manifest or settings that are wrong. Changes nothing unless
/// --fix is given: then it starts again what died, and removes what is left of environments whose project is gone and
/// that have no data; it asks first. Every finding is explained in docs/doctor.md. Exits with 0 if there is no
/// problem, with 4 if there is one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  devenv doctor
  devenv doctor --fix
  devenv doctor --fix --yes     # asks nothing
  devenv doctor --bundle support.tar.zst   # for somebody who helps: without secrets
  devenv doctor -o json | jq '.findings[] | select(.severity == \"problem\")'")]
pub struct Args {
    /// Mend what can be mended safely
    #[arg(long)]
    pub fix: bool,

    /// Write what somebody who helps needs into a file, a tar archive compressed with zstd, without secrets; nothing may be there
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
}

/// Runs the command.
pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failures> {
    let bundle = args
        .bundle
        .map(|file| Begun::at(context.directory.join(file)));
    let bundle = bundle.transpose()?;
    let mut found: Vec<Finding> = context
        .settings_failures
        .clone()
        .into_iter()
        .flat_map(problems)
        .collect();
    let users = match context.user_paths() {
        Ok(users) => Some(users),
        Err(failures) => {
            found.extend(problems(failures));
            None
        }
    };
    let project = users.as_ref().and_then(|_| open(context, &mut found));
    let scope = Scope {
        host: &context.host,
        variables: &context.variables,
        settings: &context.settings,
        users: users.as_ref(),
        project: project.as_ref(),
        cancel: &context.cancel,
    };
    let examining = Box::pin(examine(&scope));
    let examined = context.cancel.run_until_cancelled(examining).await;
    found.extend(examined.ok_or_else(Failure::interrupted)?);
    found.sort_by_key(|finding| finding.severity);
    let mut shown: Vec<DoctorFinding> = found.iter().map(DoctorFinding::from).collect();
    if args.fix {
        for (finding, shown) in found.iter().zip(&mut shown) {
            if let Some(mend) = &finding.mend {
                shown.mending = carry_out(mend, finding, &scope, context).await;
            }
        }
    }
    let is_problem =
        |finding: &DoctorFinding| finding.severity == DoctorSeverity::Problem && finding.is_left();
    let exit = if shown.iter().any(is_problem) {
        Exit::Class(ExitClass::Prerequisite)
    } else {
        Exit::Success
    };
    let environment = project.as_ref().map(|project| &project.environment.id);
    let mut report = Doctor {
        environment: environment.map(ToString::to_string),
        findings: shown,
        bundle: None,
    };
    if let Some(bundle) = bundle {
        report.bundle = Some(write(bundle, &report, &scope, context).await?);
    }
    context.outbox.report(Report::Doctor(report)).await;
    Ok(exit)
}

/// Writes the bundle, unless the user ends it before.
async fn write(
    bundle: Begun,
    doctor: &Doctor,
    scope: &Scope<'_>,
    context: &Context,
) -> Result<Bundle, Failures> {
    let request = project::request(context, NamedFiles::Assumed);
    let version = version::own();
    let sources = Sources {
        doctor,
        version: &version,
        users: scope.users,
        request: &request,
        project: scope.project,
        redactor: context.outbox.redactor(),
    };
    let writing = Box::pin(bundle.write(&sources));
    let written = context.cancel.run_until_cancelled(writing).await;
    Ok(written.ok_or_else(Failure::interrupted)??)
}

/// The project, if there is one; what is wrong with its manifest is found.
fn open(context: &Context, found: &mut Vec<Finding>) -> Option<Project> {
    match project::read(context, NamedFiles::Required) {
        Ok((project, _)) => {
            let manifest = project.environment.manifest.file_name();
            let name = manifest.unwrap_or_default().to_string_lossy().into_owned();
            found.push(Finding::ok("manifest", format!("{name} is good")));
            Some(project)
        }
        Err(failures) => {
            let is_elsewhere = |failure: &Failure| failure.code.0 == NO_MANIFEST;
            if context.file.is_none() && failures.iter().all(is_elsewhere) {
                let what = "there is no project here: only the machine is looked at";
                found.push(Finding::ok("manifest", what));
            } else {
                found.extend(problems(failures));
            }
            None
        }
    }
}

fn problems(failures: Failures) -> impl Iterator<Item = Finding> {
    let failures = failures.into_iter();
    failures.map(|failure| Finding::of(Severity::Problem, failure))
}

/// Mends one thing; that it cannot be mended is told beside it.
async fn carry_out(
    mend: &Mend,
    finding: &Finding,
    scope: &Scope<'_>,
    context: &Context,
) -> Mending {
    let done = match (mend, scope.project, scope.users) {
        (Mend::ReviveSession, Some(project), _) => revive(context, project).await,
        (Mend::StartRegistry(container), _, _) => {
            let started = start_registry(scope, container).await;
            started.map(|()| format!("started {container}"))
        }
        (Mend::RemoveEnvironment(id), _, Some(users)) => {
            return remove(id, finding, users, scope, context).await;
        }
        (Mend::ReviveSession, None, _) | (Mend::RemoveEnvironment(_), _, None) => {
            return Mending::Possible;
        }
    };
    match done {
        Ok(what) => Mending::Mended { what },
        Err(failure) => not_mended(&failure),
    }
}

async fn revive(context: &Context, project: &Project) -> Result<String, Failure> {
    Ok(match session::try_to_revive(context, project).await? {
        Some(running) => format!("started the session again, as process {}", running.pid),
        None => "the session runs again already".to_owned(),
    })
}

async fn remove(
    id: &EnvironmentId,
    finding: &Finding,
    users: &UserPaths,
    scope: &Scope<'_>,
    context: &Context,
) -> Mending {
    let question = format!("{}. Remove it?", capital(&finding.what));
    match context.confirm(&question).await {
        Ok(true) => {}
        Ok(false) => {
            let why = "you did not agree".to_owned();
            return Mending::NotMended { why };
        }
        Err(_) => {
            let why =
                "it needs a yes, and there is no terminal to ask on: devenv doctor --fix --yes";
            return Mending::NotMended {
                why: why.to_owned(),
            };
        }
    }
    if let Err(failure) = end_session(&users.environment(id)).await {
        return not_mended(&failure);
    }
    match remove_environment(scope, users, id).await {
        Ok(Removal::Done) => Mending::Mended {
            what: format!("removed what was left of {id}"),
        },
        Ok(Removal::NotDead) => Mending::NotMended {
            why: "its project is back, or it has data: nothing was touched".to_owned(),
        },
        Err(failure) => not_mended(&failure),
    }
}

fn not_mended(failure: &Failure) -> Mending {
    let mut why = vec![failure.what.clone()];
    why.extend(failure.why.iter().cloned());
    Mending::NotMended {
        why: why.join(": "),
    }
}

fn capital(text: &str) -> String {
    let mut rest = text.chars();
    let first = rest.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}", first.unwrap_or_default(), rest.as_str())
}
