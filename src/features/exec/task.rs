//! A task: a pod that is made for one run, and goes when the run ends.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, future::try_join};
use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;

use super::{
    Connection, Copied, Ended, Input, Outcome, Wanted,
    copy_out::{copy_out, too_late},
    pod::{AfterEnd, Start, Stdin, labels, specification},
    service::no_terminal,
    streams::Outputs,
    trouble::{explain_task, has_run, is_command, killed_for_memory},
};
use crate::{
    adapters::{
        agent::{AgentError, AgentFailure, INIT_SOCKET, ServiceState, install_everywhere, program},
        kube::{Cluster, ExecRequest, KubeError, LogOptions, PodEnd, shell_code_of},
        terminal::{self, RawMode, Redraw},
    },
    domain::{
        BuildInput, Desired, ExitClass, Failure, Failures, ImageName, NoticeLevel, ObservedPod,
        ServiceName, Task, Trouble, TroubleKind,
    },
    engine::log_lines,
    features::{
        Project,
        desire::task_image,
        process::{Agents, Process},
        secrecy::read_secrets,
        up::{self, interrupted, running_with},
    },
    plan::{Init, diagnose, plan_task},
    report::Outbox,
};

/// How long a pod may take to end once its process has.
const ENDING: Duration = Duration::from_secs(30);
/// How long what was made for a run may take to be removed.
const CLEANING: Duration = Duration::from_secs(10);
/// How often the warnings about a pod that does not start are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How often it is looked whether a command has ended whose container is kept.
const LOOK_AT_INIT_EVERY: Duration = Duration::from_millis(100);

/// Runs a task, or another command in its container. `deadline` bounds what comes before the command runs.
pub async fn in_task(
    project: &Project,
    task: &Task,
    wanted: &Wanted,
    deadline: Duration,
    outbox: &Outbox,
    cancel: &CancellationToken,
) -> Outcome {
    let begun = Instant::now();
    let (cluster, image) = prepare(project, task, deadline, outbox, cancel).await?;
    let tools = project.tools().await?;
    if !wanted.copy_out.is_empty() {
        // The init that keeps the container is the agent's program.
        let name = project.environment.id.cluster();
        let installed = install_everywhere(&tools.docker, &name).await;
        installed.map_err(|error| error.failure())?;
    }
    let run = Run {
        project,
        task,
        wanted,
        cluster: &cluster,
        name: name_of(task)?,
        deadline: deadline.saturating_sub(begun.elapsed()),
        outbox,
        agents: Agents::new(tools.docker),
    };
    let secrets = read_secrets(&task.secrets, outbox.redactor())?;
    run.all(&image, secrets, cancel).await
}

/// Whose pod it is, for those who tell pods apart by service.
fn name_of(task: &Task) -> Result<ServiceName, Failure> {
    task.name.as_str().parse().map_err(|error| {
        Failure::new(
            "run.inconsistent",
            ExitClass::Internal,
            format!("the task {} cannot be run", task.name),
        )
        .caused_by(&error)
    })
}

/// Has the image in the registry and the services that the task depends on ready.
///
/// Takes no lock: an image is named by its content, so two runs that make the same do not disturb each other.
async fn prepare(
    project: &Project,
    task: &Task,
    deadline: Duration,
    outbox: &Outbox,
    cancel: &CancellationToken,
) -> Result<(Cluster, String), Failures> {
    let environment = &project.environment;
    let tools = project.tools().await?;
    let mut desired = Desired::default();
    desired
        .images
        .extend(task_image(environment, &task.name).await?);
    let sight = running_with(project, &tools, &desired, outbox).await?;
    sight.check_usable(project)?;
    let lacking = task
        .depends_on
        .iter()
        .filter(|service| !sight.observed.releases.contains_key(service));
    let lacking = lacking.map(|service| not_deployed(project, task, service));
    if let Some(failures) = Failures::from_list(lacking.collect()) {
        return Err(failures);
    }
    let plan = plan_task(environment, task, &desired, &sight.observed);
    let image = match (&task.image, desired.images.values().next()) {
        (ImageName::Reference(reference), _) => reference.clone(),
        (ImageName::Build(_), Some(image)) => {
            let port = environment.cluster.registry_port;
            image.cluster_reference(&environment.id.cluster(), port)
        }
        (ImageName::Build(_), None) => {
            let input = BuildInput::Task(task.name.clone());
            let what = format!("no image of {input} is known");
            return Err(Failure::new("run.inconsistent", ExitClass::Internal, what).into());
        }
    };
    if !plan.is_empty() {
        let record = project.record(outbox).await?;
        let world = project.world(desired, tools, record.as_ref());
        let result = up::run(&plan, &world, outbox, cancel, deadline).await;
        if result.cancelled {
            return Err(interrupted().into());
        }
        if let Some(failures) = result.failures() {
            return Err(failures);
        }
    }
    match sight.cluster {
        Some(cluster) => Ok((cluster, image)),
        None => Err(interrupted().into()),
    }
}

fn not_deployed(project: &Project, task: &Task, service: &ServiceName) -> Failure {
    let key = format!("tasks.{}.dependsOn", task.name);
    Failure::new(
        "task.needs-service",
        ExitClass::NotReady,
        format!(
            "the task {} needs {service}, which is not deployed",
            task.name
        ),
    )
    .at(project.environment.provenance.place(&key).cloned())
    .of(service)
    .help(format!("devenv up {service}"))
}

/// One run of a task.
struct Run<'a> {
    project: &'a Project,
    task: &'a Task,
    wanted: &'a Wanted,
    cluster: &'a Cluster,
    name: ServiceName,
    deadline: Duration,
    outbox: &'a Outbox,
    agents: Agents,
}

/// What a pod does when it no longer only waits.
enum Started {
    /// Its process runs or has run.
    Yes,
    /// It cannot, and waiting does not help.
    No(Trouble),
    /// Somebody deleted it.
    Gone,
}

impl Run<'_> {
    /// From the first object made for the run to the removal of all.
    async fn all(
        &self,
        image: &str,
        secrets: BTreeMap<String, String>,
        cancel: &CancellationToken,
    ) -> Outcome {
        let labels = labels(&self.project.environment, self.task);
        let secret = if secrets.is_empty() {
            None
        } else {
            let prefix = format!("{}-", self.task.name);
            let made = self.cluster.create_secret(&prefix, &labels, &secrets);
            Some(made.await.map_err(|error| error.failure())?)
        };
        let secret_name = secret.as_deref();
        let program = program();
        let init = Init {
            program: &program,
            socket: INIT_SOCKET,
        };
        let start = Start {
            image,
            command: self.command(),
            secret: secret_name,
            stdin: self.stdin(),
            after_end: if self.wanted.copy_out.is_empty() {
                AfterEnd::End
            } else {
                AfterEnd::Keep(init)
            },
        };
        let specification = specification(&self.project.environment, self.task, &start);
        let made = self.cluster.create_pod(specification).await;
        let pod = match made {
            Ok(pod) => pod,
            Err(error) => {
                self.remove(None, secret_name).await;
                return Err(error.failure().into());
            }
        };
        let outcome = tokio::select! {
            outcome = self.attend(&pod, secret_name) => outcome,
            () = cancel.cancelled() => Ok(Ended::Interrupted),
            () = terminal::output_closed() => Ok(Ended::ReaderGone),
        };
        self.remove(Some(&pod), secret_name).await;
        outcome
    }

    const fn stdin(&self) -> Stdin {
        match self.wanted.connection {
            Connection::Terminal => Stdin::Terminal,
            Connection::Streams(Input::File) | Connection::Collected(Input::File) => Stdin::Open,
            Connection::Streams(Input::Keyboard) | Connection::Collected(Input::Keyboard) => {
                Stdin::Closed
            }
        }
    }

    /// Removes what was made. The Secret goes with its pod, but perhaps nobody has told the cluster yet.
    async fn remove(&self, pod: Option<&str>, secret: Option<&str>) {
        let removing = async {
            if let Some(secret) = secret {
                self.cluster.delete_secret(secret).await?;
            }
            match pod {
                Some(pod) => self.cluster.delete_pod(pod).await,
                None => Ok(()),
            }
        };
        let removed = tokio::time::timeout(CLEANING, removing).await;
        let why = match removed {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the cluster does not answer".to_owned(),
        };
        let left = pod.or(secret).unwrap_or_default();
        let text = format!("{left} is left in the cluster: {why}");
        self.outbox.notice(NoticeLevel::Warning, text).await;
    }

    /// From a pod that was made to its end.
    async fn attend(&self, pod: &str, secret: Option<&str>) -> Outcome {
        if let Some(secret) = secret {
            let given = self.cluster.give_secret(secret, pod).await;
            given.map_err(|error| error.failure())?;
        }
        match self.started(pod).await? {
            Started::Yes => {}
            Started::No(trouble) => return self.not_started(&trouble).await,
            Started::Gone => return Err(self.deleted(pod).into()),
        }
        let mut outputs = Outputs::open(self.wanted.connection, self.outbox);
        // The output ends with the container, which stays until its files are copied.
        let copying = async { Ok(self.copy_out(pod).await) };
        let ((), copied) = try_join(self.connect(pod, &mut outputs), copying).await?;
        let code = self.end(pod).await?;
        Ok(Ended::Ran(outputs.close(code, copied).await))
    }

    /// Connects the user with the pod's process until it ends.
    async fn connect(&self, pod: &str, outputs: &mut Outputs) -> Result<(), Failures> {
        if self.wanted.connection == Connection::Terminal {
            return self.attach(pod, outputs).await;
        }
        let input = self.feed(pod);
        let output = self.follow(pod, outputs);
        let mut output = std::pin::pin!(output);
        tokio::select! {
            done = &mut output => done,
            // The input is over; the output may go on.
            () = input => output.await,
        }
    }

    /// Copies what is wanted as soon as the command has ended, and lets its container end.
    async fn copy_out(&self, pod: &str) -> Copied {
        let wanted = &self.wanted.copy_out;
        if wanted.is_empty() {
            return Copied::default();
        }
        let Some(process) = self.ended_process(pod).await else {
            return too_late(wanted);
        };
        let copied = copy_out(&self.agents, &process, wanted).await;
        // Else it ends by itself, later.
        let _ = self.agents.release(&process).await;
        copied
    }

    /// The process of a pod, once its command has ended and its container is kept; `None` if that has ended too.
    async fn ended_process(&self, pod: &str) -> Option<Process> {
        let look = |seen: Option<&ObservedPod>| Some(seen.and_then(Process::of));
        let seen = self.cluster.wait_pod(pod, &self.name, ENDING, look).await;
        let process = seen.ok()??;
        loop {
            match self.agents.state(&process).await {
                Ok(ServiceState::Ended { .. }) => return Some(process),
                // It has not begun to listen.
                Ok(_) | Err(AgentFailure::Refused(AgentError::NoInit(_))) => {}
                Err(_) => return None,
            }
            tokio::time::sleep(LOOK_AT_INIT_EVERY).await;
        }
    }

    /// Waits until the process of a pod has started, or cannot.
    ///
    /// The state of a pod comes by a watch; the warnings about it, which often say more, are looked at from
    /// time to time.
    async fn started(&self, pod: &str) -> Result<Started, Failures> {
        let begun = Instant::now();
        loop {
            let left = self.deadline.saturating_sub(begun.elapsed());
            let waited = self
                .cluster
                .wait_pod(pod, &self.name, left.min(LOOK_EVERY), |seen| {
                    self.start_of(seen)
                })
                .await;
            match waited {
                Ok(started) => return Ok(started),
                Err(KubeError::Timeout { .. }) => {}
                Err(error) => return Err(error.failure().into()),
            }
            if let Some(trouble) = self.trouble(pod).await?
                && (trouble.is_final || left <= LOOK_EVERY)
            {
                return Ok(Started::No(trouble));
            }
            if left <= LOOK_EVERY {
                return Err(self.too_slow().into());
            }
        }
    }

    fn start_of(&self, pod: Option<&ObservedPod>) -> Option<Started> {
        let Some(pod) = pod else {
            return Some(Started::Gone);
        };
        if has_run(pod) {
            return Some(Started::Yes);
        }
        let found = diagnose(&self.name, &[], std::slice::from_ref(pod), &[]);
        found.filter(|trouble| trouble.is_final).map(Started::No)
    }

    /// What is wrong with a pod, with what the warnings say.
    async fn trouble(&self, pod: &str) -> Result<Option<Trouble>, Failures> {
        let look = |seen: Option<&ObservedPod>| Some(seen.cloned());
        let seen = self.cluster.wait_pod(pod, &self.name, ENDING, look).await;
        let Some(seen) = seen.map_err(|error| error.failure())? else {
            return Ok(None);
        };
        let contents = self.cluster.observe().await;
        let warnings = contents.map_err(|error| error.failure())?.warnings;
        Ok(diagnose(&self.name, &[], &[seen], &warnings))
    }

    async fn not_started(&self, trouble: &Trouble) -> Outcome {
        // The state came first; the warning with the runtime's words comes a moment later.
        let told = match &trouble.pod {
            Some(pod) => self.trouble(pod).await?,
            None => None,
        };
        let trouble = told.as_ref().unwrap_or(trouble);
        if let TroubleKind::CannotStart { reason } = &trouble.kind
            && is_command(reason)
        {
            return Ok(Ended::NotStarted {
                code: shell_code_of(&trouble.message),
                failure: Box::new(self.no_such_command(&trouble.message)),
            });
        }
        let lines = log_lines(self.cluster, trouble).await;
        Err(explain_task(&self.project.environment, self.task, trouble, lines).into())
    }

    fn no_such_command(&self, message: &str) -> Failure {
        let program = self.command().first().map_or("", String::as_str);
        let error = KubeError::ExecNotStarted {
            command: program.to_owned(),
            pod: format!("the task {}", self.task.name),
            message: message.to_owned(),
        };
        let key = format!("tasks.{}.command", self.task.name);
        let place = self.project.environment.provenance.place(&key).cloned();
        // A command of the command line is in no file.
        error
            .failure()
            .at(place.filter(|_| self.wanted.command.is_empty()))
    }

    const fn command(&self) -> &Vec<String> {
        if self.wanted.command.is_empty() {
            &self.task.command
        } else {
            &self.wanted.command
        }
    }

    /// Passes on the output of the pod's process until it ends.
    async fn follow(&self, pod: &str, outputs: &mut Outputs) -> Result<(), Failures> {
        let options = LogOptions {
            follow: true,
            ..LogOptions::default()
        };
        let lines = self.cluster.logs(pod, self.name.as_str(), &options);
        let mut lines = std::pin::pin!(lines);
        while let Some(line) = lines.next().await {
            let line = line.map_err(|error| error.failure())?;
            let mut bytes = line.bytes.to_vec();
            if line.ends {
                bytes.push(b'\n');
            }
            // The reading end stays open until the outputs are closed.
            let _ = outputs.stdout.write_all(&bytes).await;
        }
        Ok(())
    }

    /// Sends this process's input to the pod's, where there is one to send.
    async fn feed(&self, pod: &str) {
        if self.stdin() != Stdin::Open {
            std::future::pending::<()>().await;
        }
        let Ok(input) = terminal::input() else {
            return;
        };
        // A process that ended before it read its input needs none.
        let _ = self.cluster.feed(pod, self.name.as_str(), input).await;
    }

    /// Connects the user's terminal with the one of the pod's process.
    async fn attach(&self, pod: &str, outputs: &mut Outputs) -> Result<(), Failures> {
        let request = ExecRequest {
            pod: pod.to_owned(),
            container: self.name.to_string(),
            command: Vec::new(),
            tty: true,
        };
        let input = terminal::input().map_err(|error| no_terminal(&error))?;
        let _raw = RawMode::enter().map_err(|error| no_terminal(&error))?;
        let sizes = terminal::sizes(Redraw::Asked).map_err(|error| no_terminal(&error))?;
        let (stdout, stderr) = (&mut outputs.stdout, &mut outputs.stderr);
        let attached = self
            .cluster
            .exec(&request, Some(input), stdout, stderr, Some(sizes))
            .await;
        match attached {
            Ok(_) => Ok(()),
            // It was over before anybody was connected: what it said is in its log.
            Err(_) => self.follow(pod, outputs).await,
        }
    }

    /// The exit code of a pod whose output is over.
    async fn end(&self, pod: &str) -> Result<i32, Failures> {
        let look = |seen: Option<&ObservedPod>| match seen {
            None => Some(Err(self.deleted(pod))),
            Some(seen) => PodEnd::of(seen).map(|end| Ok((end.code, killed_for_memory(seen)))),
        };
        let ended = self.cluster.wait_pod(pod, &self.name, ENDING, look).await;
        let (code, for_memory) = ended.map_err(|error| error.failure())??;
        if for_memory {
            let text = format!(
                "{} was killed for its memory use (OOMKilled); its limit is \
                 `resources.limits.memory` of the task",
                self.task.name
            );
            self.outbox.notice(NoticeLevel::Warning, text).await;
        }
        Ok(code)
    }

    fn deleted(&self, pod: &str) -> Failure {
        Failure::new(
            "task.deleted",
            ExitClass::Cluster,
            format!(
                "the pod {pod} of the task {} was deleted while it ran",
                self.task.name
            ),
        )
        .help(format!("devenv exec {}", self.task.name))
    }

    fn too_slow(&self) -> Failure {
        Failure::new(
            "task.not-started",
            ExitClass::NotReady,
            format!(
                "the task {} did not start within {} s",
                self.task.name,
                self.deadline.as_secs()
            ),
        )
        .help("allow more time: --timeout 10m")
        .help("devenv status")
    }
}
