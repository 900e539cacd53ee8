//! What devenv publishes: every JSON document, one file each, and the outbox through which rooms speak.
//!
//! Known by every room. A document's first field is its schema, such as `devenv.status/1`; its JSON
//! Schema lies in docs/json. Nothing here prints: `output` reads the outbox and renders.
//!
//! Adding a document: a file with its type, a line in [`Report`], a line in [`json_schemas`], then
//! `UPDATE_DOCS=1 cargo test --test hermetic documents`. A field may be added to a document; one that
//! changes its meaning or goes away makes a new number.

mod completions;
mod config;
mod data;
mod debug;
mod docs;
mod doctor;
mod down;
mod exec;
mod failure;
mod format;
mod forward;
mod history;
mod init;
mod kubeconfig;
mod live;
mod log;
mod manual;
mod open;
mod outbox;
mod plan;
mod power;
mod redactor;
mod restart;
mod scale;
mod session;
mod snapshot;
mod status;
mod up;
mod validate;
mod version;

pub use completions::Completions;
pub use config::{
    ConfigChange, ConfigChanged, ConfigExplained, ConfigSchema, ConfigShown, ConfigValidated,
    ConfigValue, ConfigWritten,
};
pub use data::{BrokenDataset, DataList, DataLoaded, DataReset, DatasetEntry};
pub use debug::Debug;
pub use docs::DocsGenerated;
pub use doctor::{Doctor, DoctorFinding, DoctorSeverity, Mending};
pub use down::{Down, Kept};
pub use exec::{CopiedFile, Exec};
pub use failure::{EvidenceEntry, FailureEntry, FailureReport, PlaceEntry};
pub use format::OutputFormat;
pub use forward::{Forward, ForwardedPort};
pub use history::{
    Diff, DiffSide, History, HistoryActor, HistoryChange, HistoryNotice, HistoryResult, HistoryRun,
    HistoryShown, HistoryStep, KeyDifference, ServiceDifference, ServiceMade,
};
pub use init::{Init, InitFile, InitFileChange, InitMend, NotConverted};
pub use kubeconfig::Kubeconfig;
pub use live::{LiveAction, LiveChange, LiveEvent, LiveLeft, LiveStage, LiveWhat};
pub use log::{LogDetail, LogLine};
pub use manual::{Manual, ManualPage};
pub use open::Open;
pub use outbox::{Listener, Message, Outbox, OutputStream, Question};
pub use plan::{PlanReport, PlanStep};
pub use power::{Start, Stop};
pub use redactor::Redactor;
pub use restart::{Restart, RestartedBy, RestartedService};
pub use scale::{Scale, ScaledService};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde::Serialize;
pub use session::{
    LiveEdit, LiveTimes, Session, SessionService, SessionStop, Standing, StandingState,
};
pub use snapshot::{
    PrunedSnapshot, RetentionBound, SanitizedColumn, SanitizedData, SanitizedDatabase,
    SanitizedTable, SnapshotEntry, SnapshotExported, SnapshotImported, SnapshotList, SnapshotMeans,
    SnapshotPruned, SnapshotRemoved, SnapshotRestored, SnapshotSaved, SnapshotShown,
    SnapshotVerified, SnapshotVolumeEntry, UnusableSnapshot, VolumeVerified,
};
pub use status::{
    ClusterPhase, ContainerUsage, NodeUsage, NotFitting, Replicas, ServiceState, ServiceStatus,
    Status, VolumeStatus, VolumeStoreKind,
};
pub use up::{StageSeconds, StepCounts, Up, UpService};
pub use validate::{Validated, ValidatedService};
pub use version::Version;

/// Every document that a command can publish.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "schema")]
pub enum Report {
    /// Of `completions`.
    #[serde(rename = "devenv.completions/1")]
    Completions(Completions),
    /// Of `man`.
    #[serde(rename = "devenv.man/1")]
    Man(Manual),
    /// Of `config set` and `config unset`.
    #[serde(rename = "devenv.config-change/1")]
    ConfigChange(ConfigChanged),
    /// Of `config explain`.
    #[serde(rename = "devenv.config-explain/1")]
    ConfigExplain(ConfigExplained),
    /// Of `config get`.
    #[serde(rename = "devenv.config-get/1")]
    ConfigGet(ConfigValue),
    /// Of `config schema`.
    #[serde(rename = "devenv.config-schema/1")]
    ConfigSchema(ConfigSchema),
    /// Of `config show`.
    #[serde(rename = "devenv.config-show/1")]
    ConfigShow(ConfigShown),
    /// Of `config validate`.
    #[serde(rename = "devenv.config-validate/1")]
    ConfigValidate(ConfigValidated),
    /// Of `data list`.
    #[serde(rename = "devenv.data-list/1")]
    DataList(DataList),
    /// Of `data load`.
    #[serde(rename = "devenv.data-load/1")]
    DataLoad(DataLoaded),
    /// Of `data reset`.
    #[serde(rename = "devenv.data-reset/1")]
    DataReset(DataReset),
    /// Of `debug`.
    #[serde(rename = "devenv.debug/1")]
    Debug(Debug),
    /// Of `doctor`.
    #[serde(rename = "devenv.doctor/1")]
    Doctor(Doctor),
    /// Of `diff`.
    #[serde(rename = "devenv.diff/1")]
    Diff(Diff),
    /// Of `docs generate`.
    #[serde(rename = "devenv.docs-generate/1")]
    DocsGenerate(DocsGenerated),
    /// Of `down`.
    #[serde(rename = "devenv.down/1")]
    Down(Down),
    /// Of `exec`.
    #[serde(rename = "devenv.exec/1")]
    Exec(Exec),
    /// Of any command that did not do what it was asked.
    #[serde(rename = "devenv.failure/1")]
    Failure(FailureReport),
    /// Of `forward`.
    #[serde(rename = "devenv.forward/1")]
    Forward(Forward),
    /// Of `history`.
    #[serde(rename = "devenv.history/1")]
    History(History),
    /// Of `history show`.
    #[serde(rename = "devenv.history-show/1")]
    HistoryShow(Box<HistoryShown>),
    /// Of `init`.
    #[serde(rename = "devenv.init/1")]
    Init(Init),
    /// Of `kubeconfig`.
    #[serde(rename = "devenv.kubeconfig/1")]
    Kubeconfig(Kubeconfig),
    /// Of `attach`: one a line.
    #[serde(rename = "devenv.live/1")]
    Live(LiveEvent),
    /// Of `logs`: one a line.
    #[serde(rename = "devenv.log/1")]
    Log(LogLine),
    /// Of `open`.
    #[serde(rename = "devenv.open/1")]
    Open(Open),
    /// Of `plan`.
    #[serde(rename = "devenv.plan/1")]
    Plan(PlanReport),
    /// Of `restart`.
    #[serde(rename = "devenv.restart/1")]
    Restart(Restart),
    /// Of `scale`.
    #[serde(rename = "devenv.scale/1")]
    Scale(Scale),
    /// Of `session status`.
    #[serde(rename = "devenv.session/1")]
    Session(Session),
    /// Of `session stop`.
    #[serde(rename = "devenv.session-stop/1")]
    SessionStop(SessionStop),
    /// Of `snapshot export`.
    #[serde(rename = "devenv.snapshot-export/1")]
    SnapshotExport(SnapshotExported),
    /// Of `snapshot import`.
    #[serde(rename = "devenv.snapshot-import/1")]
    SnapshotImport(SnapshotImported),
    /// Of `snapshot list`.
    #[serde(rename = "devenv.snapshot-list/1")]
    SnapshotList(SnapshotList),
    /// Of `snapshot prune`.
    #[serde(rename = "devenv.snapshot-prune/1")]
    SnapshotPrune(SnapshotPruned),
    /// Of `snapshot remove`.
    #[serde(rename = "devenv.snapshot-remove/1")]
    SnapshotRemove(SnapshotRemoved),
    /// Of `snapshot restore`.
    #[serde(rename = "devenv.snapshot-restore/1")]
    SnapshotRestore(SnapshotRestored),
    /// Of `snapshot save`.
    #[serde(rename = "devenv.snapshot-save/1")]
    SnapshotSave(SnapshotSaved),
    /// Of `snapshot show`.
    #[serde(rename = "devenv.snapshot-show/1")]
    SnapshotShow(SnapshotShown),
    /// Of `snapshot verify`.
    #[serde(rename = "devenv.snapshot-verify/1")]
    SnapshotVerify(SnapshotVerified),
    /// Of `start`.
    #[serde(rename = "devenv.start/1")]
    Start(Start),
    /// Of `status`.
    #[serde(rename = "devenv.status/1")]
    Status(Status),
    /// Of `stop`.
    #[serde(rename = "devenv.stop/1")]
    Stop(Stop),
    /// Of `up`.
    #[serde(rename = "devenv.up/1")]
    Up(Up),
    /// Of `validate`.
    #[serde(rename = "devenv.validate/1")]
    Validate(Validated),
    /// Of `version`.
    #[serde(rename = "devenv.version/1")]
    Version(Version),
}

/// The JSON Schema of every document: its name such as `status`, and the schema.
pub fn json_schemas() -> Vec<(&'static str, serde_json::Value)> {
    vec![
        schema_of::<Completions>("completions"),
        schema_of::<Manual>("man"),
        schema_of::<ConfigChanged>("config-change"),
        schema_of::<ConfigExplained>("config-explain"),
        schema_of::<ConfigValue>("config-get"),
        schema_of::<ConfigSchema>("config-schema"),
        schema_of::<ConfigShown>("config-show"),
        schema_of::<ConfigValidated>("config-validate"),
        schema_of::<DataList>("data-list"),
        schema_of::<DataLoaded>("data-load"),
        schema_of::<DataReset>("data-reset"),
        schema_of::<Debug>("debug"),
        schema_of::<Doctor>("doctor"),
        schema_of::<Diff>("diff"),
        schema_of::<DocsGenerated>("docs-generate"),
        schema_of::<Down>("down"),
        schema_of::<Exec>("exec"),
        schema_of::<FailureReport>("failure"),
        schema_of::<Forward>("forward"),
        schema_of::<History>("history"),
        schema_of::<HistoryShown>("history-show"),
        schema_of::<Init>("init"),
        schema_of::<Kubeconfig>("kubeconfig"),
        schema_of::<LiveEvent>("live"),
        schema_of::<LogLine>("log"),
        schema_of::<Open>("open"),
        schema_of::<PlanReport>("plan"),
        schema_of::<Restart>("restart"),
        schema_of::<Scale>("scale"),
        schema_of::<Session>("session"),
        schema_of::<SessionStop>("session-stop"),
        schema_of::<SnapshotExported>("snapshot-export"),
        schema_of::<SnapshotImported>("snapshot-import"),
        schema_of::<SnapshotList>("snapshot-list"),
        schema_of::<SnapshotPruned>("snapshot-prune"),
        schema_of::<SnapshotRemoved>("snapshot-remove"),
        schema_of::<SnapshotRestored>("snapshot-restore"),
        schema_of::<SnapshotSaved>("snapshot-save"),
        schema_of::<SnapshotShown>("snapshot-show"),
        schema_of::<SnapshotVerified>("snapshot-verify"),
        schema_of::<Start>("start"),
        schema_of::<Status>("status"),
        schema_of::<Stop>("stop"),
        schema_of::<Up>("up"),
        schema_of::<Validated>("validate"),
        schema_of::<Version>("version"),
    ]
}

/// The schema of one document, with the field `schema` that [`Report`] writes in front.
fn schema_of<T: JsonSchema>(name: &'static str) -> (&'static str, serde_json::Value) {
    let generator = SchemaGenerator::new(SchemaSettings::draft2020_12().for_serialize());
    let mut schema: Schema = generator.into_root_schema_for::<T>();
    let id = format!("devenv.{name}/1");
    schema.insert("title".into(), id.clone().into());
    if let Some(properties) = schema
        .ensure_object()
        .entry("properties")
        .or_insert_with(|| serde_json::json!({}))
        .as_object_mut()
    {
        properties.shift_insert(0, "schema".into(), serde_json::json!({ "const": id }));
    }
    if let Some(required) = schema
        .ensure_object()
        .entry("required")
        .or_insert_with(|| serde_json::json!([]))
        .as_array_mut()
    {
        required.insert(0, "schema".into());
    }
    (name, schema.to_value())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_field_of_a_document_is_its_schema() {
        let report = Report::Kubeconfig(Kubeconfig {
            path: "/x".into(),
            context: "k3d-shop".into(),
        });
        assert_eq!(
            serde_json::to_string(&report).unwrap(),
            r#"{"schema":"devenv.kubeconfig/1","path":"/x","context":"k3d-shop"}"#
        );
    }

    #[test]
    fn a_document_satisfies_its_published_schema() {
        let up = Report::Up(up::sample());
        let (_, schema) = schema_of::<Up>("up");
        let validator = jsonschema::validator_for(&schema).unwrap();
        assert!(validator.is_valid(&serde_json::to_value(&up).unwrap()));
        assert!(!validator.is_valid(&serde_json::json!({ "schema": "devenv.down/1" })));
    }
}
