//! What somebody who helps needs to see, in one file: `devenv doctor --bundle`.
//!
//! Called by `commands`. Everything that can be had is taken, with a time limit each, and what cannot is told with its reason:
//! a bundle is asked for where something is broken. Nothing goes in that was not cleaned of secrets here.
//!
//! Adding a part: a line in [`gather`].

mod clean;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::json;

use super::{
    Project,
    config::{self, Secrets},
    logs::{self, Filter, Part, Window},
    observe::observe,
    status::{Detail, look},
    up::{Scope, Wanted, preview},
};
use crate::{
    adapters::{
        bundle::{self, BundledFile},
        files::{self, FileError, NewFile},
    },
    domain::{Desired, ExitClass, Failure, Failures},
    manifest::Request,
    report::{
        Bundle, BundleEntry, BundleGap, Doctor, LogDetail, Message, Outbox, PlanReport, PlanStep,
        Redactor, Report, Version,
    },
    state::{EnvironmentPaths, UserPaths, owner_of},
};

/// How long one part may take.
const WITHIN: Duration = Duration::from_secs(10);
/// How many lines of each container are taken, the last.
const LINES: u32 = 300;
/// How many journals are taken, the newest.
const JOURNALS: usize = 10;
/// How much of a file is taken, in bytes: its end.
const OF_A_FILE: usize = 1024 * 1024;

/// What a bundle is made from.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// What doctor found.
    pub doctor: &'a Doctor,
    /// Which devenv this is.
    pub version: &'a Version,
    /// The user's directories, if there can be any.
    pub users: Option<&'a UserPaths>,
    /// Which manifest it is about.
    pub request: &'a Request,
    /// The project, if its manifest can be used.
    pub project: Option<&'a Project>,
    /// The secrets.
    pub redactor: &'a Redactor,
}

/// A bundle that is going to be written: its place is free.
#[derive(Debug)]
pub struct Begun {
    archive: NewFile,
    path: PathBuf,
}

impl Begun {
    /// Begins the file at `path`, where nothing may be.
    pub fn at(path: PathBuf) -> Result<Self, Failure> {
        let archive = NewFile::beside(&path).map_err(|error| error.failure())?;
        Ok(Self { archive, path })
    }

    /// Gathers all that can be had, and writes it.
    pub async fn write(self, sources: &Sources<'_>) -> Result<Bundle, Failure> {
        let now = Timestamp::now();
        let mut parts = Box::pin(gather(sources)).await;
        parts.add_first(sources, now);
        let Self { archive, path } = self;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let directory = name.split('.').find(|part| !part.is_empty());
        let directory = directory.unwrap_or("bundle");
        let bytes = bundle::write(archive, &path, directory, &parts.files, now)
            .map_err(|error| error.failure())?;
        Ok(Bundle {
            file: path.display().to_string(),
            bytes,
            entries: parts.entries,
            missing: parts.missing,
        })
    }
}

/// What is taken, and what could not be.
struct Parts<'a> {
    redactor: &'a Redactor,
    files: Vec<BundledFile>,
    entries: Vec<BundleEntry>,
    missing: Vec<BundleGap>,
}

impl Parts<'_> {
    fn take(&mut self, path: &str, what: &str, contents: Vec<u8>) {
        self.entries.push(BundleEntry {
            path: path.to_owned(),
            what: what.to_owned(),
            bytes: contents.len() as u64,
        });
        let path = path.to_owned();
        self.files.push(BundledFile { path, contents });
    }

    fn lacks(&mut self, what: &str, why: impl Into<String>) {
        self.missing.push(BundleGap {
            what: what.to_owned(),
            why: self.redactor.text(&why.into()),
        });
    }

    fn document(&mut self, path: &str, what: &str, document: Result<Report, Failures>) {
        match document {
            Ok(report) => {
                // Reports hold texts, numbers and lists, which always have a JSON form.
                let value = serde_json::to_value(report).unwrap_or_default();
                self.take(path, what, clean::document(value, self.redactor));
            }
            Err(failures) => self.lacks(what, words(&failures)),
        }
    }

    /// The end of a file, line by line. One that is not there is nothing to tell.
    fn file(&mut self, path: &str, what: &str, file: &Path) {
        match end_of(file) {
            Ok(None) => {}
            Ok(Some(text)) => self.take(path, what, clean::lines(&text, self.redactor)),
            Err(error) => self.lacks(what, words(&error.failure().into())),
        }
    }

    /// What says what all of it is, before all of it.
    fn add_first(&mut self, sources: &Sources<'_>, now: Timestamp) {
        let about = about(sources, &self.entries, &self.missing, now);
        let about = self.redactor.text(&about).into_bytes();
        self.entries.insert(
            0,
            BundleEntry {
                path: "about.txt".to_owned(),
                what: "what is in this archive and what is not".to_owned(),
                bytes: about.len() as u64,
            },
        );
        let path = "about.txt".to_owned();
        let contents = about;
        self.files.insert(0, BundledFile { path, contents });
    }
}

fn words(failures: &Failures) -> String {
    let sentences = failures.iter().map(|failure| {
        let why = failure.why.iter().map(|why| format!(": {why}"));
        format!(
            "[{}] {}{}",
            failure.code,
            failure.what,
            why.collect::<String>()
        )
    });
    sentences.collect::<Vec<_>>().join("; ")
}

fn end_of(file: &Path) -> Result<Option<String>, FileError> {
    Ok(files::read_if_there(file)?.map(|bytes| {
        let from = bytes.len().saturating_sub(OF_A_FILE);
        let text = String::from_utf8_lossy(&bytes[from..]).into_owned();
        // What is left of a line that was cut may be the half of a secret.
        match text.split_once('\n') {
            Some((_, rest)) if from > 0 => rest.to_owned(),
            _ => text,
        }
    }))
}

async fn gather<'a>(sources: &Sources<'a>) -> Parts<'a> {
    let mut parts = Parts {
        redactor: sources.redactor,
        files: Vec::new(),
        entries: Vec::new(),
        missing: Vec::new(),
    };
    let version = Report::Version(sources.version.clone());
    parts.document("version.json", "the version of devenv", Ok(version));
    let doctor = Report::Doctor(sources.doctor.clone());
    let what = "what doctor found, with the versions of docker, k3d and Helm";
    parts.document("doctor.json", what, Ok(doctor));
    if let Some(users) = sources.users {
        let file = users.config_file();
        parts.file("settings.yaml", "the settings of this machine", file);
    }
    let config = config::show(sources.request, None, Secrets::Concealed);
    let what = "the manifest with all its layers";
    parts.document("config.json", what, config.map(Report::ConfigShow));
    match sources.project {
        Some(project) => Box::pin(of_project(&mut parts, project)).await,
        None => parts.lacks(
            "the plan, the status, the events and the logs",
            "there is no manifest that can be used, so that nobody knows what in them is secret",
        ),
    }
    match environment(sources) {
        Some(paths) => of_state(&mut parts, &paths),
        None => parts.lacks(
            "the journals and the state",
            "there is no environment of this directory",
        ),
    }
    parts
}

/// Where the state of the environment is, also if its manifest is wrong.
fn environment(sources: &Sources<'_>) -> Option<EnvironmentPaths> {
    if let Some(project) = sources.project {
        return Some(project.paths.clone());
    }
    let users = sources.users?;
    let ids = users.environments().ok()?;
    let mut all = ids.iter().map(|id| users.environment(id));
    all.find(|paths| owner_of(paths).is_some_and(|owner| owner == sources.request.directory))
}

/// What docker and the cluster say.
async fn of_project(parts: &mut Parts<'_>, project: &Project) {
    let redactor = parts.redactor;
    let (plan, status, events, said) = futures::join!(
        aside(redactor, async |outbox| plan(project, outbox).await),
        aside(redactor, async |outbox| status(project, outbox).await),
        aside(redactor, async |outbox| events(project, outbox).await),
        aside(redactor, async |outbox| said(project, outbox).await),
    );
    parts.document("plan.json", "the plan of `devenv up`", plan.0);
    parts.document("status.json", "the status of the services", status.0);
    let what = "the warnings of the cluster";
    match events.0 {
        Ok(events) => parts.take("events.json", what, clean::document(events, redactor)),
        Err(failures) => parts.lacks(what, words(&failures)),
    }
    let what = "the last lines of the services";
    let (told, lines) = said;
    let text = log_text(&lines);
    if !text.is_empty() {
        parts.take("logs.txt", what, clean::lines(&text, redactor));
    }
    if let Err(failures) = told {
        parts.lacks(what, words(&failures));
    }
}

async fn plan(project: &Project, outbox: &Outbox) -> Result<Report, Failures> {
    let wanted = Wanted {
        services: Vec::new(),
        scope: Scope::WithDependencies,
        deadline: WITHIN,
    };
    let plan = preview(project, &wanted, outbox).await?;
    Ok(Report::Plan(PlanReport {
        environment: project.environment.id.to_string(),
        steps: plan.summaries().iter().map(PlanStep::from).collect(),
    }))
}

async fn status(project: &Project, outbox: &Outbox) -> Result<Report, Failures> {
    let tools = project.tools().await?;
    let look = look(project, &tools, Detail::States, outbox).await?;
    Ok(Report::Status(look.status))
}

async fn events(project: &Project, outbox: &Outbox) -> Result<serde_json::Value, Failures> {
    let tools = project.tools().await?;
    let record = project.record(outbox).await?;
    let nothing = Desired::default();
    let sight = observe(project, &tools, record.as_ref(), &nothing, outbox).await?;
    Ok(json!(sight.observed.warnings))
}

async fn said(project: &Project, outbox: &Outbox) -> Result<(), Failures> {
    let wanted = logs::Wanted {
        services: Vec::new(),
        part: Part::Now(Window {
            tail: Some(LINES),
            since: None,
        }),
        filter: Filter::default(),
        detail: LogDetail::Full,
    };
    logs::logs(project, &wanted, outbox).await
}

fn log_text(items: &[Report]) -> String {
    let lines = items.iter().filter_map(|item| match item {
        Report::Log(line) => Some(line),
        _ => None,
    });
    let lines = lines.map(|line| {
        let time = line.time.map_or_else(String::new, |time| time.to_string());
        format!("{time} {}/{} {}\n", line.pod, line.container, line.message)
    });
    lines.collect()
}

/// Does a part of the work with an outbox of its own, so that nothing of it is shown. What it sent as items comes with it.
async fn aside<T>(
    redactor: &Redactor,
    work: impl AsyncFnOnce(&Outbox) -> Result<T, Failures>,
) -> (Result<T, Failures>, Vec<Report>) {
    let (outbox, mut message_rx) = Outbox::keeping(redactor.clone());
    let mut items = Vec::new();
    let working = tokio::time::timeout(WITHIN, work(&outbox));
    tokio::pin!(working);
    let done = loop {
        tokio::select! {
            biased;
            Some(message) = message_rx.recv() => {
                if let Message::Item(report) = message {
                    items.push(*report);
                }
            }
            done = &mut working => break done,
        }
    };
    while let Ok(message) = message_rx.try_recv() {
        if let Message::Item(report) = message {
            items.push(*report);
        }
    }
    (done.unwrap_or_else(|_| Err(late().into())), items)
}

fn late() -> Failure {
    let seconds = WITHIN.as_secs();
    let what = format!("no answer within {seconds} s");
    Failure::new("run.timeout", ExitClass::NotReady, what)
}

/// What devenv has written down.
fn of_state(parts: &mut Parts<'_>, paths: &EnvironmentPaths) {
    for (name, what, file) in [
        ("record.json", "what was created", paths.record()),
        ("project.json", "whose environment it is", paths.owner()),
        ("loaded.json", "which dataset was loaded", paths.loaded()),
        (
            "store.json",
            "what the volumes are in",
            paths.volume_store(),
        ),
        (
            "exchange.json",
            "an exchange of data that goes on",
            paths.exchange_record(),
        ),
        (
            "session.json",
            "what the session was asked for",
            paths.session_record(),
        ),
        ("session.log", "what the session said", paths.session_log()),
        ("live.jsonl", "what the session did", paths.live_events()),
    ] {
        parts.file(&format!("state/{name}"), what, &file);
    }
    let what = "the journal of a run";
    if !files::exists(&paths.journal()) {
        return parts.lacks(what, "nothing has run");
    }
    match files::list(&paths.journal()) {
        Ok(mut journals) => {
            journals.sort();
            for file in journals.iter().rev().take(JOURNALS) {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                parts.file(&format!("journal/{name}"), what, file);
            }
        }
        Err(error) => parts.lacks(what, words(&error.failure().into())),
    }
}

fn about(
    sources: &Sources<'_>,
    entries: &[BundleEntry],
    missing: &[BundleGap],
    now: Timestamp,
) -> String {
    let Version {
        version, platform, ..
    } = sources.version;
    let environment = sources.project.map(|project| &project.environment.id);
    let environment = environment.map_or_else(|| "none".to_owned(), ToString::to_string);
    let mut lines = vec![
        format!("devenv {version} on {platform}, environment {environment}, made {now}"),
        String::new(),
        "Secrets were taken out by their names and, where the manifest can be used, by their values.".to_owned(),
        "What services say may hold others: look through it before you give it away.".to_owned(),
        String::new(),
        "In it:".to_owned(),
    ];
    lines.extend(
        entries
            .iter()
            .map(|entry| format!("  {}: {}", entry.path, entry.what)),
    );
    if !missing.is_empty() {
        lines.extend([String::new(), "Not in it:".to_owned()]);
        lines.extend(
            missing
                .iter()
                .map(|gap| format!("  {}: {}", gap.what, gap.why)),
        );
    }
    lines.join("\n") + "\n"
}
