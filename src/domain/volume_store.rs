//! What the volumes of an environment are kept in.

use serde::{Deserialize, Serialize};

/// What the volumes of an environment are kept in: decided with its first cluster, and kept until its data is removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum VolumeStore {
    /// An image of a file system whose files share blocks, which the nodes mount.
    Image,
    /// A directory of the host, whose file system can do that itself.
    CloningDirectory,
    /// A directory of the host, whose files are copied.
    CopyingDirectory {
        /// Why it is no image.
        why: String,
    },
}
