//! The words of the project as types: names, the environment, datasets, what is observed, events, failures.
//!
//! Known by every room. Knows none: no input or output, no clock, no async. Anything that can be
//! decided from these values alone is decided here or in `plan`.

mod claim;
mod data_value;
mod dataset;
mod desired;
mod duration;
mod environment;
mod event;
mod failure;
mod files;
mod finding;
mod footprint;
mod host_command;
mod live;
mod names;
pub mod objects;
mod observed;
mod place;
mod policy;
mod quantity;
mod retention;
mod run;
mod said;
mod sanitize;
mod secrecy;
mod shell;
mod snapshot;
mod starts;
mod template;
#[cfg(test)]
pub(crate) mod testing;
mod trouble;
mod volume_store;
pub mod words;

pub use claim::{AccessMode, Claim};
pub use data_value::{
    Answer, Delimiter, ExpectedStatus, FileMode, HttpMethod, NotOfData, Owner, Pattern, Principal,
};
pub use dataset::{
    CsvColumns, CsvLoad, DATASETS, DataAction, DataCheck, DataFile, DataQuestion, DataStep,
    DataText, DatabaseLogin, Dataset, DatasetBase, DatasetChain, FilesCopy, Filling, HttpRequest,
    SqlClient,
};
pub use desired::{BuildInput, Desired, DesiredImage, DesiredRelease, InputsHash, ReleaseChart};
pub use duration::{InvalidDuration, parse_duration};
pub use environment::{
    Autoscale, Build, Chart, ChartOrigin, ClusterSpec, Environment, Expose, Hook, HookMoment,
    Hooks, ImageName, Limits, Port, PortNumber, Probe, Protocol, Provider, Quiesce, Ready,
    Requires, Resources, Service, Source, Task, Volume, Workload, node_architecture,
};
pub use event::{Event, EventKind, NoticeLevel, Outcome, Stage, StageTime, StepId, StepSummary};
pub use failure::{Code, Evidence, ExitClass, Failure, Failures};
pub use files::{DataFiles, FileKind, ProjectFiles};
pub use finding::{Finding, Mend, Severity};
pub use footprint::{Footprint, Presence};
pub use host_command::{Approval, HostCommand, HostMoment, Trust, not_confirmed};
pub use live::{
    BuildRule, Debug, DebugRuntime, Live, MountRule, OnChange, ReloadBy, RunRule, Signal, SyncRule,
};
pub use names::{
    BranchName, ClusterName, DatasetName, EnvironmentId, InvalidName, ProfileName, ProjectName,
    ServiceName, SnapshotId, SnapshotName, TaskName, VolumeName,
};
pub use observed::{
    ClusterIdentity, ClusterState, ContainerState, Observed, ObservedContainer, ObservedPod,
    ObservedRelease, ObservedWorkload, PodPhase, ReleaseStatus, WarningEvent, is_service_ready,
};
pub use place::{Place, Provenance};
pub use policy::{
    ComputeResource, POLICY_FILE, Pin, Policy, PolicyException, Privilege, Rule, Violation,
};
pub use quantity::{Cpu, InvalidQuantity, Memory};
pub use retention::{Bound, Divided, Retention};
pub use run::{Applying, RunChange, ServiceChange, ServiceShape};
pub use said::{LogLevel, Said};
pub use sanitize::{
    Change, ColumnRule, DatabaseRules, KeptRows, Located, Mask, Replacement, SanitizeRules, Seed,
    TableRules,
};
pub use secrecy::{
    REDACTED, conceal, conceal_line, conceal_named, is_secret, names_a_secret, without_secrets,
};
pub use shell::shell_words;
pub use snapshot::{
    CopyMeans, LoadedDataset, Maker, Sanitized, Snapshot, SnapshotVolume, VolumeRef,
};
pub use starts::NodeStarts;
pub use template::{TemplatePart, UnknownVariable, fill_template, template_parts};
pub use trouble::{Trouble, TroubleKind};
pub use volume_store::VolumeStore;
