//! Where data is worked on: the running environment, its volumes and the agents of its nodes.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures::future::try_join_all;
use jiff::Timestamp;

use crate::{
    adapters::{
        agent::{
            Agent, AgentError, AgentFailure, ContainerId, DISK_FULL, Frozen, Progress as Told,
            Volumes,
        },
        files,
        host::{self, Space},
        kube::Cluster,
    },
    domain::{
        ContainerState, Environment, ExitClass, Failure, Failures, Memory, ObservedPod,
        ServiceName, SnapshotId, VolumeRef, VolumeStore,
    },
    engine::{Progress, Tools},
    features::{
        Project,
        observe::Sight,
        process::{Agents, Process},
        up::running,
    },
    plan::VOLUMES_IN_NODE,
    report::Outbox,
    state::load_volume_store,
};

/// The code of the failure of an environment that does not run.
pub(super) const NOT_RUNNING: &str = "cluster.not-running";
/// The code of the failure of work that would fill the disk.
const NO_ROOM: &str = "data.no-room";
/// What snapshots hold, relative to the directory of all volumes.
const SNAPSHOTS: &str = ".snapshots";
/// What datasets came to.
const PREPARED: &str = ".prepared";
/// Data on its way into its place or out of it.
const EXCHANGE: &str = ".exchange";

/// Directories beside the volumes in which data is kept by an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Store {
    /// That of snapshots.
    Snapshots,
    /// That which datasets came to.
    Prepared,
    /// That which is being exchanged.
    Exchange,
}

impl Store {
    /// Its directory, relative to that of all volumes.
    pub(super) fn directory(self) -> &'static Path {
        Path::new(match self {
            Self::Snapshots => SNAPSHOTS,
            Self::Prepared => PREPARED,
            Self::Exchange => EXCHANGE,
        })
    }

    /// The directory of an id, relative to that of all volumes.
    pub(super) fn of(self, id: impl AsRef<str>) -> PathBuf {
        self.directory().join(id.as_ref())
    }
}

/// A running environment whose data is worked on.
pub(super) struct Site<'a> {
    pub(super) project: &'a Project,
    pub(super) tools: Tools,
    pub(super) sight: Sight,
    pub(super) agents: Agents,
    /// Whether the volumes are in an image.
    is_image: bool,
}

/// Containers of some services, on all nodes.
pub(super) struct Containers {
    by_node: BTreeMap<String, Vec<ContainerId>>,
}

impl Containers {
    /// Those of processes.
    pub(super) fn of<'p>(processes: impl IntoIterator<Item = &'p Process>) -> Self {
        let mut by_node: BTreeMap<String, Vec<ContainerId>> = BTreeMap::new();
        for process in processes {
            let ids = by_node.entry(process.node.clone()).or_default();
            ids.push(process.container.clone());
        }
        Self { by_node }
    }

    /// The running ones of pods.
    pub(super) fn running<'p>(pods: impl IntoIterator<Item = &'p ObservedPod>) -> Self {
        let mut by_node: BTreeMap<String, Vec<ContainerId>> = BTreeMap::new();
        for pod in pods {
            let Some(node) = &pod.node else { continue };
            let running = pod.containers.iter();
            let running = running.filter(|container| container.now == ContainerState::Running);
            let ids = running.filter_map(|container| container.id.as_ref()?.parse().ok());
            by_node.entry(node.clone()).or_default().extend(ids);
        }
        by_node.retain(|_, ids| !ids.is_empty());
        Self { by_node }
    }

    /// These without those of processes.
    pub(super) fn without(&self, processes: &[Process]) -> Self {
        let mut by_node = self.by_node.clone();
        let is_its = |id: &ContainerId| processes.iter().any(|process| process.container == *id);
        for ids in by_node.values_mut() {
            ids.retain(|id| !is_its(id));
        }
        by_node.retain(|_, ids| !ids.is_empty());
        Self { by_node }
    }
}

impl<'a> Site<'a> {
    /// That of a project; fails where it does not run.
    pub(super) async fn of(project: &'a Project, outbox: &Outbox) -> Result<Self, Failure> {
        let tools = project.tools().await?;
        let sight = running(project, &tools, outbox).await?;
        let agents = Agents::new(tools.docker.clone());
        Ok(Self {
            project,
            tools,
            sight,
            agents,
            is_image: load_volume_store(&project.paths)? == Some(VolumeStore::Image),
        })
    }

    /// Looks again at what runs.
    pub(super) async fn look_again(&mut self, outbox: &Outbox) -> Result<(), Failure> {
        self.sight = running(self.project, &self.tools, outbox).await?;
        Ok(())
    }

    /// The agent that works on the volumes: every node has them, and the server is always there.
    pub(super) async fn agent(&self) -> Result<Arc<Agent>, Failure> {
        let node = self.project.environment.id.cluster().server_container();
        let agent = self.agents.of(&node).await;
        agent.map_err(|error| error.failure())
    }

    /// The cluster, after making sure that it is this environment's.
    pub(super) fn cluster(&self) -> Result<&Cluster, Failure> {
        // `running` fails where none answers.
        self.sight.cluster.as_ref().ok_or_else(|| {
            Failure::new(
                NOT_RUNNING,
                ExitClass::Cluster,
                "the environment does not run",
            )
            .help("devenv up")
        })
    }

    /// All pods that services have at this moment.
    pub(super) async fn pods_now(
        &self,
        services: &[ServiceName],
    ) -> Result<Vec<ObservedPod>, Failure> {
        let found = self.cluster()?.observe().await;
        let mut pods = found.map_err(|error| error.failure())?.pods;
        pods.retain(|pod| services.contains(&pod.service));
        Ok(pods)
    }

    /// Stops all processes of containers at once, for a while at most.
    pub(super) async fn freeze(
        &self,
        containers: &Containers,
        at_most: Duration,
    ) -> Result<Vec<Frozen>, Failure> {
        let nodes = containers.by_node.iter();
        let freezing = nodes.map(|(node, ids)| self.freeze_in(node, ids.clone(), at_most));
        let frozen = try_join_all(freezing).await;
        let frozen = frozen.map_err(|error| error.failure())?;
        Ok(frozen.into_iter().flatten().collect())
    }

    /// The same for those of a node; none of them may be left.
    async fn freeze_in(
        &self,
        node: &str,
        mut ids: Vec<ContainerId>,
        at_most: Duration,
    ) -> Result<Option<Frozen>, AgentFailure> {
        let agent = self.agents.of(node).await?;
        while !ids.is_empty() {
            match agent.freeze(&ids, at_most).await {
                // It has ended since it was looked at.
                Err(AgentFailure::Refused(AgentError::NoContainer(gone))) => {
                    ids.retain(|id| *id != gone);
                }
                frozen => return frozen.map(Some),
            }
        }
        Ok(None)
    }

    /// Kills all processes of containers.
    pub(super) async fn kill(&self, containers: &Containers) -> Result<(), Failure> {
        let killing = containers.by_node.iter().map(|(node, ids)| async move {
            let agent = self.agents.of(node).await?;
            agent.kill(ids).await
        });
        let killed = try_join_all(killing).await;
        killed.map(|_| ()).map_err(|error| error.failure())
    }

    /// Makes the directories, relative to that of all volumes, in which data of volumes is put.
    pub(super) async fn make_room(
        &self,
        directory: &Path,
        of: &[VolumeRef],
    ) -> Result<(), Failure> {
        if self.is_image {
            self.on_host(directory)?;
        }
        for service in owners(of) {
            self.make_directory(&directory.join(service.as_str()))
                .await?;
        }
        Ok(())
    }

    /// Has a place for a directory, relative to that of all volumes, that somebody else makes.
    pub(super) async fn make_place(&self, directory: &Path) -> Result<(), Failure> {
        if self.is_image {
            self.on_host(directory)?;
        }
        match directory.parent() {
            Some(above) => self.make_directory(above).await,
            None => Ok(()),
        }
    }

    async fn make_directory(&self, directory: &Path) -> Result<(), Failure> {
        if !self.is_image {
            return self.on_host(directory);
        }
        let agent = self.agent().await?;
        let made = volumes(&agent).prepare(directory).await;
        made.map_err(|error| error.failure())
    }

    /// Makes a directory on the host. Where the volumes are in an image, which only the nodes see, it is empty, and says
    /// that there is something to be looked after.
    fn on_host(&self, directory: &Path) -> Result<(), Failure> {
        let directory = self.project.paths.volumes().join(directory);
        files::create_private_dir(&directory).map_err(|error| error.failure())
    }

    /// The volumes of services, of all if none is named: those of the manifest, and what charts claim.
    pub(super) async fn volumes_of(
        &self,
        services: &[ServiceName],
    ) -> Result<Vec<VolumeRef>, Failure> {
        let environment = &self.project.environment;
        let mut volumes = volumes_of(environment, services);
        if has_charts(environment) {
            let kept = self.cluster()?.kept_claims().await;
            let kept = kept.map_err(|error| error.failure())?;
            let is_wanted = |claim: &VolumeRef| {
                let is_named = services.is_empty() || services.contains(&claim.service);
                let service = environment.services.get(&claim.service);
                is_named && service.is_some_and(|service| service.workload().is_none())
            };
            volumes.extend(kept.into_iter().filter(is_wanted));
        }
        Ok(volumes)
    }

    /// The names of claims of charts whose data is none of the environment's volumes.
    pub(super) async fn claims_not_kept(&self) -> Result<Vec<String>, Failure> {
        if !has_charts(&self.project.environment) {
            return Ok(Vec::new());
        }
        let others = self.cluster()?.other_claims().await;
        others.map_err(|error| error.failure())
    }

    /// Those volumes that are there.
    pub(super) async fn with_data(&self, of: Vec<VolumeRef>) -> Result<Vec<VolumeRef>, Failure> {
        let mut there = Vec::new();
        for volume in of {
            if self.inode(&volume.directory()).await?.is_some() {
                there.push(volume);
            }
        }
        Ok(there)
    }

    /// Who the directory of a volume, or what is to become one, is; `None` if it is not there.
    pub(super) async fn inode(&self, path: &Path) -> Result<Option<u64>, Failure> {
        let agent = self.agent().await?;
        let there = volumes(&agent).look(path).await;
        there.map_err(|error| error.failure())
    }

    /// The room that is left: on the host, or in the image of the volumes where that is less.
    async fn space(&self) -> Result<Space, Failure> {
        let on_host =
            host::space(&self.project.paths.volumes()).map_err(|error| error.failure())?;
        let agent = self.agent().await?;
        let inside = volumes(&agent).space().await;
        let inside = inside.map_err(|error| error.failure())?;
        let inside = Space {
            free: Memory::from_bytes(inside.free),
            total: Memory::from_bytes(inside.total),
            files: None,
        };
        Ok(on_host.least(inside))
    }

    /// What work on data came to; of failures, with how full the disk is where they may have come of that.
    pub(super) async fn explained<T>(&self, ended: Result<T, Failures>) -> Result<T, Failures> {
        let Err(failures) = ended else { return ended };
        let Ok(space) = self.space().await else {
            return Err(failures);
        };
        let directory = self.project.paths.volumes();
        let shown = format!("free space on it: `{}`", space.shown_by(&directory));
        let explained = |failure: &Failure| match failure.code.0 {
            _ if failure.help.contains(&shown) => failure.clone(),
            // They say it themselves.
            files::DISK_FULL | NO_ROOM => failure.clone(),
            code if code == DISK_FULL || space.is_full() => failure
                .clone()
                .because(format!("of the disk of {}, {space}", directory.display()))
                .help(shown.clone())
                .help(
                    "devenv snapshot list   # snapshots that may go: devenv snapshot remove NAME",
                ),
            _ => failure.clone(),
        };
        let list = failures.iter().map(explained).collect();
        Err(Failures::from_list(list).unwrap_or(failures))
    }

    /// Refuses to write so many bytes where there is no room for them.
    pub(super) async fn room(&self, needed: u64) -> Result<(), Failure> {
        let directory = self.project.paths.volumes();
        let least = self.space().await?;
        if least.free.bytes() > needed {
            return Ok(());
        }
        let needed = Memory::from_bytes(needed).bytes().div_ceil(1 << 20);
        Err(Failure::new(
            NO_ROOM,
            ExitClass::Prerequisite,
            "the copy of the data would fill the disk; nothing was begun",
        )
        .because(format!("it needs {needed} MiB, and {least}"))
        .help("devenv snapshot list   # snapshots that may go: devenv snapshot remove NAME")
        .help(least.shown_by(&directory)))
    }

    /// Removes a directory, relative to that of all volumes, with all that is in it.
    pub(super) async fn remove(&self, directory: &Path) -> Result<(), Failure> {
        let agent = self.agent().await?;
        let removed = volumes(&agent).remove(directory).await;
        removed.map_err(|error| error.failure())?;
        let on_host = self.project.paths.volumes().join(directory);
        files::remove_tree(&on_host).map_err(|error| error.failure())
    }
}

/// Another id every time, for what is done with `what`.
pub(super) fn new_id(what: impl fmt::Display) -> SnapshotId {
    SnapshotId::new(&format!(
        "{what} {} {}",
        Timestamp::now(),
        std::process::id()
    ))
}

/// The directories of all volumes through an agent.
pub(super) fn volumes(agent: &Agent) -> Volumes<'_> {
    agent.volumes(Path::new(VOLUMES_IN_NODE))
}

/// Whether any service is made of somebody else's objects, which may claim volumes.
fn has_charts(environment: &Environment) -> bool {
    let mut services = environment.services.values();
    services.any(|service| service.workload().is_none())
}

/// The volumes of services by the manifest; of all services if none is named.
pub(super) fn volumes_of(environment: &Environment, services: &[ServiceName]) -> Vec<VolumeRef> {
    let named = |name: &ServiceName| services.is_empty() || services.contains(name);
    let services = environment.services.values();
    let of_service = services.filter(|service| named(&service.name));
    let volumes = of_service.flat_map(|service| {
        let volumes = service.workload().into_iter().flat_map(|it| &it.volumes);
        volumes.filter_map(|volume| {
            Some(VolumeRef {
                service: service.name.clone(),
                volume: volume.name.parse().ok()?,
            })
        })
    });
    volumes.collect()
}

/// The services of volumes, by name.
pub(super) fn owners<'v>(volumes: impl IntoIterator<Item = &'v VolumeRef>) -> Vec<ServiceName> {
    let mut services: Vec<ServiceName> = volumes.into_iter().map(|it| it.service.clone()).collect();
    services.sort();
    services.dedup();
    services
}

/// Says how far something with a volume is.
pub(super) fn tell<'p>(progress: &'p Progress, volume: &VolumeRef) -> impl FnMut(Told) + Send + 'p {
    let volume = volume.to_string();
    move |told| {
        let mebibytes = told.bytes >> 20;
        progress.note(format!("{volume}: {} files, {mebibytes} MiB", told.files));
    }
}
