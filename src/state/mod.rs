//! What devenv keeps on the machine: paths, settings, the environment's lock, journals and record, and what its
//! session did.
//!
//! Called by `cli`, `commands`, `session` and the features. Truth is the cluster and its labels; everything here
//! can be lost and is rebuilt. Nothing here knows devenv.yaml or prints.

mod exchange;
mod journal;
mod live_store;
mod loaded;
mod lock;
pub mod log_store;
mod owner;
mod paths;
mod record;
mod runs;
mod session;
mod settings;
mod snapshots;
mod trust;
mod volume_store;

pub use exchange::{Before, ExchangeRecord, Exchanged};
pub use journal::{Journal, JournalError, RunHeader};
pub use live_store::{LiveStore, live_events, live_times};
pub use loaded::Loaded;
pub use lock::{Actor, EnvironmentLock, Holder, LockError};
pub use owner::{owner_of, save_owner};
pub use paths::{EnvironmentPaths, PathsError, UserPaths};
pub use record::{LoadedRecord, PortsRecord, Record, RecordError};
pub use runs::{RecordedEnd, RecordedRun, RecordedStep, RunId, StepProgress, run_ids, runs};
pub use session::{
    SessionHolder, SessionLife, SessionLock, SessionLockAttempt, SessionProgram, SessionRecord,
    SessionRequest,
};
pub use settings::{
    Binaries, Settings, SettingsError, SupportImages, TrustedDirectory, VolumeSetting,
};
pub use snapshots::{KeptSnapshot, SnapshotError, SnapshotStore, describe, understand};
pub use trust::{approve, trust_of};
pub use volume_store::{load_volume_store, save_volume_store};
