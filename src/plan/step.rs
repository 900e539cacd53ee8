//! A plan and its steps.

use crate::domain::{BuildInput, HookMoment, ServiceName, Stage, StepId, StepSummary};

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Have the environment's image registry running: created, or started if it was stopped.
    EnsureRegistry,
    /// Delete the cluster with its network: containers and what is in them; not the services' data.
    DeleteCluster,
    /// Ask the processes of all services to end, so that what they hold in memory reaches their data.
    EndServices(Patience),
    /// Stop the cluster; everything in it stays.
    StopCluster,
    /// Stop the image registry.
    StopRegistry,
    /// Remove the container of the image registry; the images it holds stay.
    DeleteRegistry,
    /// Remove the images: these from the docker engine, and what the registry and the nodes keep.
    RemoveImages(Vec<String>),
    /// Remove the data: the services' volumes, and what belongs to them.
    RemoveData(Spared),
    /// Create the cluster and wait until its node is ready.
    CreateCluster,
    /// Start the stopped cluster and wait until its node is ready.
    StartCluster,
    /// Build an image.
    BuildImage(BuildInput),
    /// Push an image to the registry, unless the registry holds it already.
    PushImage(BuildInput),
    /// Clear the release that a killed Helm left pending.
    RepairRelease(ServiceName),
    /// Install or upgrade a release.
    InstallRelease(ServiceName),
    /// Uninstall the release of a service that is no longer in the manifest.
    RemoveRelease(ServiceName),
    /// Replace all pods of a service, one after another.
    RestartService(ServiceName),
    /// Set how many pods a service has.
    ScaleService(ServiceName, u32),
    /// Wait until every workload of a service is ready.
    WaitReady(ServiceName),
    /// Wait until the addresses of a service lead to it.
    WaitReachable(ServiceName),
    /// Run a hook, by its index among those of its moment.
    RunHook(HookMoment, usize),
}

/// What of the data stays when it is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spared {
    /// Nothing.
    Nothing,
    /// Its snapshots.
    Snapshots,
}

/// How long the services have to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// A moment: those that are still there are killed with their node.
    AMoment,
    /// As long as a database may take; that one does not end is a failure, and its node stays.
    UntilTheyHave,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What a reader sees of it.
    pub summary: StepSummary,
    /// What it does.
    pub action: Action,
}

impl Step {
    /// Its id.
    pub const fn id(&self) -> &StepId {
        &self.summary.id
    }
}

/// The steps of a run, in an order that respects their needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub const fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// What a reader sees of it.
    pub fn summaries(&self) -> Vec<StepSummary> {
        self.steps.iter().map(|step| step.summary.clone()).collect()
    }

    /// Whether any step belongs to `stage`.
    pub fn has_stage(&self, stage: Stage) -> bool {
        self.steps.iter().any(|step| step.summary.stage == stage)
    }
}
