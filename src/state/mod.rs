//! What devenv keeps on the machine: paths, settings, the environment's lock, journal and record.
//!
//! Called by `cli`, `commands` and the features. Truth is the cluster and its labels; everything here
//! can be lost and is rebuilt. Nothing here knows devenv.yaml or prints.

mod journal;
mod lock;
pub mod log_store;
mod paths;
mod record;
mod settings;

pub use journal::{Journal, JournalError};
pub use lock::{EnvironmentLock, Holder, LockError};
pub use paths::{EnvironmentPaths, PathsError, UserPaths};
pub use record::{LoadedRecord, PortsRecord, Record, RecordError};
pub use settings::{Binaries, Settings, SettingsError, SupportImages};
