//! Claims of storage, which charts make for their pods.

use serde::{Deserialize, Serialize};

use super::{Memory, VolumeName};

/// A claim that leaves it to the cluster where its data is: what devenv keeps as a volume of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Its name, which is the volume's.
    pub name: VolumeName,
    /// How much it wants at least. Nobody holds a directory to it.
    pub size: Memory,
    /// How it wants to be mounted.
    pub modes: Vec<AccessMode>,
}

/// How pods mount a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccessMode {
    /// For writing, by the pods of one node.
    ReadWriteOnce,
    /// For reading, by pods of any node.
    ReadOnlyMany,
    /// For writing, by pods of any node.
    ReadWriteMany,
    /// For writing, by one pod.
    ReadWriteOncePod,
}
