//! Carries out the steps of a dataset, and asks what must hold afterwards.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use http::header;

use super::{site::Site, words};
use crate::{
    adapters::{
        agent::{self, Change, Content},
        files,
        kube::{ExecRequest, NotRun, Ran},
    },
    domain::{
        DataAction, DataCheck, DataFile, DataQuestion, DataStep, DataText, Dataset, ExitClass,
        Failure, FileKind, FilesCopy, Filling, HttpRequest, Owner, Place, Principal, ServiceName,
        fill_template,
    },
    engine::{newest_ready_pod, no_pod},
    features::process::{Process, pods_of},
};

/// How much of an answer is shown that is not the one that was wanted, in characters.
const SHOWN: usize = 400;
/// What to do about it.
const MEND: &str = "mend the dataset, or what loads it; the data from before is there as it was";

/// A dataset whose steps are carried out.
pub(super) struct Loading<'a> {
    pub(super) site: &'a Site<'a>,
    pub(super) dataset: &'a Dataset,
}

impl Loading<'_> {
    /// Carries out a step.
    pub(super) async fn step(&self, step: &DataStep) -> Result<(), Failure> {
        let done = self.act(step).await;
        done.map_err(|failure| of(failure, "step", &step.title(), &step.service, &step.place))
    }

    async fn act(&self, step: &DataStep) -> Result<(), Failure> {
        let service = &step.service;
        match &step.action {
            DataAction::Sql {
                database,
                statements,
            } => {
                let input = self.read(statements)?;
                let client = words::statements(database);
                let ran = self.ask(service, client, Some(input), step.within).await;
                ran.map(|_| ())
            }
            DataAction::Csv(load) => {
                let input = self.read(&load.rows)?;
                let first = String::from_utf8_lossy(&input);
                let client = words::rows(load, first.lines().next().unwrap_or_default());
                let ran = self.ask(service, client, Some(input), step.within).await;
                ran.map(|_| ())
            }
            DataAction::Redis { commands } => {
                let input = self.read(commands)?;
                let (client, script) = words::redis(&String::from_utf8_lossy(&input));
                let input = script.into_bytes();
                let ran = self.ask(service, client, Some(input), step.within).await?;
                if let Some((line, error)) = words::redis_error(&ran.out) {
                    return Err(refused(&format!("line {line}: {error}"), &[]));
                }
                Ok(())
            }
            DataAction::Command { command, stdin } => {
                let input = stdin.as_ref().map(|text| self.read(text)).transpose()?;
                let client = command.clone();
                let ran = self.ask(service, client, input, step.within).await;
                ran.map(|_| ())
            }
            DataAction::Files(copy) => self.copy(service, copy).await,
            DataAction::Http(request) => {
                let answered = self.request(service, request, step.within).await;
                answered.map(|_| ())
            }
        }
    }

    /// Asks what must hold.
    pub(super) async fn check(&self, check: &DataCheck) -> Result<(), Failure> {
        let service = &check.service;
        let said = match &check.question {
            DataQuestion::Sql { database, query } => {
                let client = words::query(database, query);
                let ran = self.ask(service, client, None, check.within).await;
                ran.map(|ran| ran.out)
            }
            DataQuestion::Command { command } => {
                let client = command.clone();
                let ran = self.ask(service, client, None, check.within).await;
                ran.map(|ran| ran.out)
            }
            DataQuestion::Http(request) => self.request(service, request, check.within).await,
        };
        let title = check.title();
        let said = said.map_err(|failure| of(failure, "check", &title, service, &check.place))?;
        if check.answer.accepts(&said) {
            return Ok(());
        }
        let shown: String = said.trim().chars().take(SHOWN).collect();
        let what = format!("the data is not as `{title}` wants it");
        Err(Failure::new("data.check-failed", ExitClass::Data, what)
            .because(format!("wanted: {}", check.answer))
            .because(format!("it is: {shown}"))
            .of(service)
            .at(Some(check.place.clone()))
            .help(MEND))
    }

    /// Runs a client in the newest ready pod of a service; fails unless it ends well.
    async fn ask(
        &self,
        service: &ServiceName,
        command: Vec<String>,
        input: Option<Vec<u8>>,
        within: Duration,
    ) -> Result<Ran, Failure> {
        let cluster = self.site.cluster()?;
        let pod = newest_ready_pod(cluster, service).await?;
        let request = ExecRequest {
            pod: pod.name,
            container: pod.container,
            command,
            tty: false,
        };
        match cluster.run(&request, input, within, |_| {}).await {
            Ok(ran) if ran.code == 0 => Ok(ran),
            Ok(ran) => Err(refused(
                &format!(
                    "`{}` ended with exit code {}",
                    words::program(&request.command),
                    ran.code
                ),
                &ran.last_lines,
            )),
            Err(NotRun::Failed(error)) => Err(error.failure()),
            Err(NotRun::Late) => Err(refused(
                &format!("it did not end within {} s", within.as_secs_f64()),
                &[],
            )
            .help("give it more time: `within: 15m` beside it")),
        }
    }

    /// Sends a request to the newest ready pod of a service; the body of the answer.
    async fn request(
        &self,
        service: &ServiceName,
        asked: &HttpRequest,
        within: Duration,
    ) -> Result<String, Failure> {
        let cluster = self.site.cluster()?;
        let pod = newest_ready_pod(cluster, service).await?;
        let body = asked
            .body
            .as_ref()
            .map(|text| self.read(text))
            .transpose()?;
        let mut request = http::Request::builder()
            .method(asked.method.name())
            .uri(&asked.path)
            .header(header::HOST, format!("{service}:{}", asked.port));
        for (name, value) in &asked.headers {
            request = request.header(name, value);
        }
        let says_kind = asked
            .headers
            .keys()
            .any(|name| name.eq_ignore_ascii_case("content-type"));
        if body.is_some() && !says_kind {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = Bytes::from(body.unwrap_or_default());
        let answering = cluster.http(&pod.name, asked.port, request, body);
        let Ok(answer) = tokio::time::timeout(within, answering).await else {
            let why = format!("it did not answer within {} s", within.as_secs_f64());
            return Err(refused(&why, &[]));
        };
        let (status, body) = answer.map_err(|error| error.failure())?;
        let text = String::from_utf8_lossy(&body).into_owned();
        if asked.expect.accepts(status.as_u16()) {
            return Ok(text);
        }
        let shown: String = text.chars().take(SHOWN).collect();
        let lines: Vec<String> = shown.lines().map(str::to_owned).collect();
        let why = format!("{} {} was answered with {status}", asked.method, asked.path);
        Err(refused(&why, &lines))
    }

    /// Copies files into the containers of a service.
    async fn copy(&self, service: &ServiceName, copy: &FilesCopy) -> Result<(), Failure> {
        let changes = self.changes(copy)?;
        let pods = &self.site.sight.observed.pods;
        // Its volumes are those of all its pods.
        let process = pods_of(service, pods).find_map(Process::of);
        let process = process.ok_or_else(|| no_pod(service))?;
        let agents = &self.site.agents;
        let changed = match &copy.owner {
            Some(owner) => agents.change_for(&process, &known(owner), &changes).await,
            None => agents.change(&process, &changes).await,
        };
        changed.map_err(|error| error.failure())
    }

    /// What is to be written, with paths relative to the root of a container.
    fn changes(&self, copy: &FilesCopy) -> Result<Vec<Change>, Failure> {
        let from = self.place(&copy.from);
        let to = copy.to.trim_start_matches('/').to_owned();
        let mode = u32::from(copy.mode.bits());
        let directory = u32::from(copy.mode.of_directory().bits());
        let mut changes = Vec::new();
        let mut open = vec![(from, to)];
        while let Some((from, to)) = open.pop() {
            let kind = files::kind_of(&from).map_err(|error| error.failure())?;
            let path = to.clone().into_bytes();
            match kind {
                FileKind::Directory => {
                    let content = Content::Directory { mode: directory };
                    changes.push(Change { path, content });
                    for child in files::list(&from).map_err(|error| error.failure())? {
                        let name = child
                            .file_name()
                            .unwrap_or_default()
                            .to_string_lossy()
                            .into_owned();
                        open.push((child, format!("{to}/{name}")));
                    }
                }
                FileKind::File => {
                    let content = Content::File { from, mode };
                    changes.push(Change { path, content });
                }
                FileKind::Link | FileKind::Other => return Err(changed_meanwhile(&from)),
            }
        }
        Ok(changes)
    }

    fn place(&self, file: &DataFile) -> PathBuf {
        let project = &self.site.project.environment.directory;
        project.join(self.dataset.directory()).join(&file.path)
    }

    /// What is sent.
    fn read(&self, text: &DataText) -> Result<Vec<u8>, Failure> {
        let file = match text {
            DataText::Inline(text) => return Ok(text.clone().into_bytes()),
            DataText::File(file) => file,
        };
        let path = self.place(file);
        if files::kind_of(&path).map_err(|error| error.failure())? != FileKind::File {
            return Err(changed_meanwhile(&path));
        }
        match file.filling {
            Filling::AsItIs => files::read(&path).map_err(|error| error.failure()),
            Filling::Template => {
                let text = files::read_text(&path).map_err(|error| error.failure())?;
                let filled = fill_template(&text, &self.dataset.variables);
                filled
                    .map(String::into_bytes)
                    .map_err(|_| changed_meanwhile(&path))
            }
        }
    }
}

/// An owner as agents know one.
fn known(owner: &Owner) -> agent::Owner {
    let principal = |principal: &Principal| match principal {
        Principal::Number(number) => agent::Principal::Number(*number),
        Principal::Name(name) => agent::Principal::Name(name.clone()),
    };
    agent::Owner {
        user: principal(&owner.user),
        group: principal(&owner.group),
    }
}

/// What a step or a check failed with, before it is known which it is.
fn refused(why: &str, lines: &[String]) -> Failure {
    let failure = Failure::new("data.step-failed", ExitClass::Data, "it did not work");
    let failure = failure.because(why.to_owned());
    match lines {
        [] => failure,
        lines => failure.with_evidence("what it said", lines.to_vec()),
    }
}

/// The failure of a step or a check.
fn of(failure: Failure, kind: &str, title: &str, service: &ServiceName, place: &Place) -> Failure {
    let what = format!("the {kind} `{title}` of {service} did not work");
    let why = match failure.code.0 {
        "data.step-failed" => failure.why,
        // What another says of itself is why.
        _ => [vec![failure.what], failure.why].concat(),
    };
    let failure = Failure {
        what,
        why,
        ..failure
    };
    failure.of(service).at(Some(place.clone())).help(MEND)
}

fn changed_meanwhile(path: &Path) -> Failure {
    Failure::new(
        "data.file-changed",
        ExitClass::Data,
        format!("{} is not what it was a moment ago", path.display()),
    )
    .because("somebody changed the dataset while it was loaded")
    .help("run the same command again")
}
