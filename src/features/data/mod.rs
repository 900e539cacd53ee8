//! The data of an environment: snapshots of all volumes at one instant, and data that takes the place of other.
//!
//! Called by `commands`, under the environment's lock where something is changed. The work on volumes, whose files
//! belong to root and to the services, is done by the agent of the server's node; what there is is decided by files of
//! the state room that are written last and removed first. So whoever is killed anywhere leaves the old data or the new,
//! whole, and [`mend`] puts away what else is left.
//!
//! ```text
//! volumes/<service>/<volume>            the data
//! volumes/.snapshots/<id>/<service>/..  what snapshots hold; snapshots/<name>.json says which id is which
//! volumes/.prepared/<id>/<service>/..   what datasets came to; prepared/<name>.json says of which
//! volumes/.exchange/<id>/<service>/..   data that is to take its place, and afterwards the data from before; copies
//!                                       that are sanitised
//! ```

mod archive;
mod exchange;
mod load;
mod mend;
mod prepared;
mod prune;
mod quiesce;
mod reset;
mod restore;
mod sanitize;
mod save;
mod site;
mod snapshots;
mod stay;
mod step;
mod steps;
mod words;

pub use archive::{export, import, verify_file};
pub use load::{Again, Load, load};
pub use mend::mend;
pub use prune::{Pruning, prune, prune_own};
pub use reset::{Backup, ResetTo, reset};
pub use restore::restore;
pub use sanitize::{export_sanitized, restore_sanitized};
pub use save::{Save, save};
pub(super) use snapshots::directories;
pub use snapshots::{find, list, remove, verify};
pub use steps::Limits;
