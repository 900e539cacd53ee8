//! One run of `debug`: what it sets, what it keeps an eye on, and how it undoes it.

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{
    Wait, Wanted,
    command::{self, Start},
    debugger::{self, Listens},
    delve,
    ide::{Attach, Sources},
    local_port, put_back,
    written::{self, Told},
};
use crate::{
    adapters::{
        agent::{AgentError, AgentFailure, ServiceState},
        kube::Cluster,
    },
    domain::{
        self, ContainerState, Debug, DebugRuntime, ExitClass, Failure, NoticeLevel, Observed,
        ObservedPod, ServiceName, Workload,
    },
    engine::{Tools, no_pod},
    features::{
        Project,
        forward::{Forwarder, Ports},
        observe::Sight,
        process::{self, Agents, Awaited, Process},
    },
    report::{self, Outbox, Report},
};

/// How long a debugger may take until it listens.
const LISTENS_WITHIN: Duration = Duration::from_secs(30);

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// At most a debugger was brought into the container.
    Prepared,
    /// The process was started with another command.
    Begun,
}

/// A service that is debugged.
pub(super) struct Debugging<'a> {
    project: &'a Project,
    wanted: &'a Wanted,
    workload: &'a Workload,
    awaited: Awaited,
    cluster: Cluster,
    outbox: &'a Outbox,
    agents: Agents,
    debug: Debug,
    process: Process,
    sources: Option<Sources>,
    progress: Progress,
    address: SocketAddr,
    pod_tx: watch::Sender<Option<String>>,
    /// Until all is undone.
    forwarder: Option<Forwarder>,
}

impl<'a> Debugging<'a> {
    /// Finds the process, and listens for debuggers; nothing is changed yet.
    pub(super) async fn prepare(
        project: &'a Project,
        wanted: &'a Wanted,
        tools: Tools,
        sight: Sight,
        cluster: Cluster,
        outbox: &'a Outbox,
    ) -> Result<Self, Failure> {
        let service = &wanted.service;
        let found = project.environment.services.get(service);
        let found = found.and_then(|service| Some((service, service.workload()?)));
        let (described, workload) = found.ok_or_else(|| not_prepared(project, wanted, None))?;
        let pod = newest_ready(&sight.observed, wanted).ok_or_else(|| no_pod(service))?;
        let others = pods(&sight.observed, wanted).count() - 1;
        if others > 0 {
            let text = format!(
                "{service} has {} pods: {} is debugged, and the others answer as before",
                others + 1,
                pod.name
            );
            outbox.notice(NoticeLevel::Warning, text).await;
        }
        let agents = Agents::new(tools.docker.clone());
        let own = own_command(&cluster, &pod.name, service).await?;
        let process = agents.with_init(pod).await?;
        let process = process.ok_or_else(|| not_prepared(project, wanted, Some(&own)))?;
        let debug = match &workload.debug {
            Some(debug) => debug.clone(),
            None => recognised(&own).ok_or_else(|| not_prepared(project, wanted, Some(&own)))?,
        };
        let (pod_tx, pod_rx) = watch::channel(None);
        let (to, outbox_of_it) = (service.clone(), outbox.clone());
        let mut forwarder = Forwarder::new(cluster.clone(), to, pod_rx, outbox_of_it);
        let ports = Ports {
            local: local_port(wanted.port, debug.port),
            remote: debug.port,
        };
        let address = forwarder.listen(ports, &tools.docker).await;
        let address = address.map_err(|failure| {
            let any = format!("devenv debug {service} --port 0");
            failure.help(format!("take any port that is free: {any}"))
        })?;
        Ok(Self {
            project,
            wanted,
            workload,
            awaited: Awaited::of(described),
            cluster,
            outbox,
            agents,
            debug,
            process,
            sources: None,
            progress: Progress::Prepared,
            address,
            pod_tx,
            forwarder: Some(forwarder),
        })
    }

    /// Starts the process under its debugger, and again in each pod that takes the place of the one before.
    pub(super) async fn run(&mut self) -> Result<(), Failure> {
        self.begin().await?;
        self.tell().await?;
        let view = self.cluster.watch();
        let mut view_rx = view.subscribe();
        loop {
            if view_rx.changed().await.is_err() {
                return Ok(());
            }
            let pods = view_rx.borrow_and_update().pods.clone();
            let observed = Observed {
                pods,
                ..Observed::nothing()
            };
            if observed.pods.is_empty() || self.is_there(&observed) {
                continue;
            }
            self.pod_tx.send_replace(None);
            let next = newest_ready(&observed, self.wanted);
            let next = match next {
                Some(pod) => self.agents.with_init(pod).await?,
                None => None,
            };
            if let Some(process) = next {
                let text = format!(
                    "{} has taken the place of {} and is debugged now",
                    process.pod, self.process.pod
                );
                self.outbox.notice(NoticeLevel::Warning, text).await;
                self.process = process;
                self.begin().await?;
            }
        }
    }

    /// Whether the container that is debugged runs, and its pod is to stay.
    fn is_there(&self, observed: &Observed) -> bool {
        let own = &self.process.container;
        let mut pods = observed.pods.iter();
        pods.any(|pod| {
            let is_it = |container: &domain::ObservedContainer| {
                let runs = container.now == ContainerState::Running;
                let id = container.id.as_ref().and_then(|id| id.parse().ok());
                runs && id.as_ref() == Some(own)
            };
            pod.name == self.process.pod && !pod.deleting && pod.containers.iter().any(is_it)
        })
    }

    /// Starts the process under its debugger, and waits until that listens.
    async fn begin(&mut self) -> Result<(), Failure> {
        let own = own_command(&self.cluster, &self.process.pod, &self.wanted.service).await?;
        let (paths, pod) = (&self.project.paths, &self.process.pod);
        let begun = written::begin(paths, &self.wanted.service, pod);
        begun.map_err(|error| error.failure())?;
        let start = self.start(&own).await?;
        self.progress = Progress::Begun;
        self.with(start, &own).await
    }

    /// What the process is started with, with the debugger in its container.
    async fn start(&mut self, own: &[String]) -> Result<Start, Failure> {
        let (project, agents, process) = (self.project, &self.agents, &self.process);
        let debugger = debugger::bring(project, agents, process, &self.debug, own).await?;
        self.sources = match self.debug.runtime {
            DebugRuntime::Go if self.debug.command.is_empty() => {
                let asked =
                    delve::sources(project, (agents, process), self.workload, own, debugger);
                asked.await?
            }
            _ => sources(&project.environment.directory, self.workload),
        };
        let (wait, variables) = (self.wanted.wait, &self.workload.env);
        Ok(command::start(&self.debug, own, wait, debugger, variables))
    }

    async fn with(&self, start: Start, own: &[String]) -> Result<(), Failure> {
        let process = &self.process;
        let service = &process.service;
        let marked = self.cluster.set_debugged(service, Some(&process.pod)).await;
        marked.map_err(|error| error.failure().of(service))?;
        let Start {
            command,
            environment,
        } = start;
        let set = self.agents.set_command(process, command, environment);
        set.await.map_err(|error| process.failure(&error))?;
        process::restart(&self.agents, process, self.workload).await?;
        self.until_debugger_listens(own).await?;
        if self.wanted.wait == Wait::No {
            process::until_ready_again(&self.agents, process, &self.awaited).await?;
        }
        self.pod_tx.send_replace(Some(process.pod.clone()));
        Ok(())
    }

    async fn until_debugger_listens(&self, own: &[String]) -> Result<(), Failure> {
        let process = &self.process;
        let began = Instant::now();
        loop {
            let last = match debugger::listens(&self.agents, process, &self.debug, own).await? {
                Listens::Yes => return Ok(()),
                Listens::NotYet(last) => last,
            };
            let why = match self.state().await? {
                ServiceState::Failed { code } => format!("the process ended with code {code}"),
                _ if began.elapsed() >= LISTENS_WITHIN => last,
                _ => continue,
            };
            return Err(self.not_listening(&why));
        }
    }

    async fn state(&self) -> Result<ServiceState, Failure> {
        let state = self.agents.state(&self.process).await;
        state.map_err(|error| self.process.failure(&error))
    }

    async fn until_debugger_is_gone(&self) -> Result<(), Failure> {
        if self.state().await.is_err() {
            return Ok(());
        }
        let own = own_command(&self.cluster, &self.process.pod, &self.wanted.service).await?;
        debugger::until_gone(&self.agents, &self.process, &self.debug, &own).await
    }

    fn not_listening(&self, why: &str) -> Failure {
        let (service, port) = (&self.wanted.service, self.debug.port);
        let key = format!("services.{service}.debug");
        Failure::new(
            "debug.not-listening",
            ExitClass::NotReady,
            format!(
                "{service} was started under its debugger, which does not listen on port {port}"
            ),
        )
        .because(why)
        .of(service)
        .at(self.project.environment.provenance.place(&key).cloned())
        .help(format!("see what it says: devenv logs {service}"))
        .help("say how it is started: `debug: { command: [program, argument] }`")
    }

    /// Says where to attach, and writes the IDE's file.
    async fn tell(&self) -> Result<(), Failure> {
        let directory = &self.project.environment.directory;
        let attach = Attach {
            service: self.wanted.service.clone(),
            runtime: self.debug.runtime,
            port: self.address.port(),
            sources: self.sources.clone(),
        };
        let paths = &self.project.paths;
        let told = written::write(paths, directory, self.wanted, &attach);
        let file = match told.map_err(|error| error.failure())? {
            Told::File(path) => Some(path.display().to_string()),
            Told::None(why) => {
                if let Some(why) = why {
                    self.outbox.notice(NoticeLevel::Warning, why).await;
                }
                None
            }
        };
        let report = report::Debug {
            environment: self.project.environment.id.to_string(),
            service: self.wanted.service.to_string(),
            pod: self.process.pod.clone(),
            runtime: self.debug.runtime,
            address: self.address.to_string(),
            vscode: attach.vscode(),
            ide_file: file,
        };
        self.outbox.item(Report::Debug(report)).await;
        let text = "Ctrl-C ends it and undoes all of it";
        self.outbox.notice(NoticeLevel::Info, text).await;
        Ok(())
    }

    /// Has all as it was before. What cannot be undone is told: the rest is undone all the same.
    pub(super) async fn undo(&mut self) {
        // debugpy's helper goes only once no debugger is attached.
        self.forwarder = None;
        let service = &self.wanted.service;
        let files = put_back(self.project, service, self.outbox).await;
        if self.progress == Progress::Prepared {
            // Nothing runs with it; a container that is gone has taken it along.
            let _ = debugger::take_away(&self.agents, &self.process).await;
            let _ = written::forget(&self.project.paths, service);
            return;
        }
        let process = undo(&self.agents, &self.process, self.workload).await;
        let gone = self.until_debugger_is_gone().await;
        let ready = match &process {
            // Connections are to find it when they are sent to ready pods alone again.
            Ok(()) if self.state().await.is_ok() => {
                process::until_ready_again(&self.agents, &self.process, &self.awaited).await
            }
            _ => Ok(()),
        };
        let back = self.cluster.set_debugged(service, None).await;
        let back = back.map_err(|error| error.failure());
        let forgotten = if files.is_ok() && process.is_ok() && back.is_ok() {
            written::forget(&self.project.paths, service).map_err(|error| error.failure())
        } else {
            // The next command tries again.
            Ok(())
        };
        for failure in [files, process, gone, ready, back, forgotten]
            .into_iter()
            .filter_map(Result::err)
        {
            let text = format!("not undone: {}", failure.what);
            self.outbox.notice(NoticeLevel::Warning, text).await;
        }
    }
}

/// Has a process start with its own command again. One that is gone has taken all with it.
pub(super) async fn undo(
    agents: &Agents,
    process: &Process,
    workload: &Workload,
) -> Result<(), Failure> {
    match agents.set_command(process, None, Vec::new()).await {
        Ok(()) => {}
        Err(AgentFailure::Refused(
            AgentError::NoInit(_) | AgentError::NoContainer(_) | AgentError::InitEnded(_),
        )) => return Ok(()),
        Err(error) => return Err(process.failure(&error)),
    }
    process::restart(agents, process, workload).await?;
    let taken = debugger::take_away(agents, process).await;
    taken.map_err(|error| process.failure(&error))
}

/// What a pod of a service starts, without devenv's init.
async fn own_command(
    cluster: &Cluster,
    pod: &str,
    service: &ServiceName,
) -> Result<Vec<String>, Failure> {
    let started = cluster.command_of(pod, service.as_str()).await;
    let started = started.map_err(|error| error.failure().of(service))?;
    Ok(command::own(&started).to_vec())
}

fn recognised(own: &[String]) -> Option<Debug> {
    let runtime = command::recognised(own)?;
    Some(Debug {
        runtime,
        port: runtime.usual_port()?,
        command: Vec::new(),
    })
}

fn pods<'a>(observed: &'a Observed, wanted: &'a Wanted) -> impl Iterator<Item = &'a ObservedPod> {
    process::pods_of(&wanted.service, &observed.pods).filter(|pod| pod.ready)
}

fn newest_ready<'a>(observed: &'a Observed, wanted: &'a Wanted) -> Option<&'a ObservedPod> {
    pods(observed, wanted).max_by_key(|pod| pod.created)
}

/// The first directory that is kept the same in the container.
fn sources(project: &Path, workload: &Workload) -> Option<Sources> {
    let rules = workload.live.as_ref()?;
    rules.sync.iter().find_map(|rule| {
        let local = rule.from.strip_prefix(project).ok()?;
        Some(Sources {
            local: local.display().to_string(),
            remote: rule.to.clone(),
        })
    })
}

/// Devenv's init does not run the process, or nobody says how it is debugged.
fn not_prepared(project: &Project, wanted: &Wanted, own: Option<&[String]>) -> Failure {
    let service = &wanted.service;
    let runtime = own.and_then(command::recognised);
    let what = match runtime {
        Some(runtime) => {
            let name = serde_json::to_value(runtime).unwrap_or_default();
            format!("{{ runtime: {} }}", name.as_str().unwrap_or("node"))
        }
        None => "{ runtime: node }   # or python, go, jvm, other".to_owned(),
    };
    let key = format!("services.{service}");
    let failure = Failure::new(
        "debug.not-prepared",
        ExitClass::Manifest,
        format!("it is not known how {service} is debugged"),
    )
    .of(service)
    .at(project.environment.provenance.place(&key).cloned());
    match own {
        Some(_) => failure
            .because("the service has no `debug`, or was not brought up since it has")
            .help(format!("write below it in devenv.yaml: debug: {what}"))
            .help(format!("devenv up {service}")),
        None => failure
            .because(
                "it comes from a chart or from manifests, whose processes devenv does not start",
            )
            .help("start its debugger there, and forward its port: devenv forward"),
    }
}
