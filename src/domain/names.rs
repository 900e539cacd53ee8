//! Names that cross rooms, each its own type.

use std::{fmt, path::Path, str::FromStr};

use serde::{Deserialize, Serialize};

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid {kind} name: {reason}")]
pub struct InvalidName {
    /// What kind of name was wanted, such as `service`.
    pub kind: &'static str,
    /// The text as written.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// The longest name Kubernetes takes as a label (RFC 1123).
const LONGEST_LABEL: usize = 63;

fn check_label(kind: &'static str, text: &str) -> Result<(), InvalidName> {
    let reason = if text.is_empty() {
        "it is empty"
    } else if text.len() > LONGEST_LABEL {
        "it is longer than 63 characters"
    } else if !text
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    {
        "only lower-case letters, digits and `-` are allowed"
    } else if text.starts_with('-') || text.ends_with('-') {
        "it must begin and end with a letter or a digit"
    } else {
        return Ok(());
    };
    Err(InvalidName {
        kind,
        text: text.to_owned(),
        reason,
    })
}

macro_rules! label {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                check_label($kind, text)?;
                Ok(Self(text.to_owned()))
            }
        }
        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

label!(
    /// The name of a project: `name:` of devenv.yaml.
    ProjectName,
    "project"
);
label!(
    /// The name of a service: also its Kubernetes Service, its Helm release and its host name in the cluster.
    ServiceName,
    "service"
);
label!(
    /// The name of a task: a container that runs to an end.
    TaskName,
    "task"
);
label!(
    /// The name of a profile: `profiles/<name>.yaml`.
    ProfileName,
    "profile"
);
label!(
    /// The name of a dataset: `datasets/<name>/dataset.yaml`.
    DatasetName,
    "dataset"
);
label!(
    /// The name of a snapshot of an environment's data.
    SnapshotName,
    "snapshot"
);
label!(
    /// The name of the k3d cluster of an environment.
    ClusterName,
    "cluster"
);
label!(
    /// The name of a volume among those of its service.
    VolumeName,
    "volume"
);
label!(
    /// What tells a snapshot from another of its name: names the directory of its data.
    SnapshotId,
    "snapshot id"
);
label!(
    /// A project at a place on disk: `<project>-<hash of the directory>`. Names the state directory.
    EnvironmentId,
    "environment"
);

/// A branch of git that can name a file: parts such as `feature` and `cart`, joined by `/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BranchName(String);

impl BranchName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BranchName {
    type Err = InvalidName;

    /// Git allows more than this; but what a file is named by must not lead out of its directory, nor drive a terminal.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let is_part = |part: &str| !part.is_empty() && !part.starts_with('.');
        let is_plain = |c: char| !c.is_control() && c != '\\';
        let reason = if !text.split('/').all(is_part) {
            "a part of it is empty, or begins with a dot"
        } else if !text.chars().all(is_plain) {
            "control characters and `\\` are not allowed"
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(InvalidName {
            kind: "branch",
            text: text.to_owned(),
            reason,
        })
    }
}

impl SnapshotId {
    /// An id that follows from `seed`, which is to be another every time.
    pub fn new(seed: &str) -> Self {
        let hash = blake3::hash(seed.as_bytes()).to_hex();
        Self(hash[..2 * HASH_DIGITS].to_owned())
    }
}

/// Hex digits of the directory's hash that make an environment's id unique on a machine.
const HASH_DIGITS: usize = 8;
/// k3d refuses longer cluster names.
const LONGEST_CLUSTER: usize = 32;

impl EnvironmentId {
    /// The id of the project `name` whose directory (absolute, canonical) is `directory`.
    pub fn new(name: &ProjectName, directory: &Path) -> Self {
        let hash = blake3::hash(directory.as_os_str().as_encoded_bytes()).to_hex();
        let room = LONGEST_LABEL - HASH_DIGITS - 1;
        let stem = shorten(name.as_str(), room);
        Self(format!("{stem}-{}", &hash[..HASH_DIGITS]))
    }

    /// The id that names a directory; `None` where the name is not that of an environment.
    pub fn of_directory(name: &str) -> Option<Self> {
        let (_, hash) = name.rsplit_once('-')?;
        let is_hash = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
        let is_id = hash.len() == HASH_DIGITS && hash.bytes().all(is_hash);
        is_id.then(|| name.parse().ok())?
    }

    /// The name of this environment's cluster, within k3d's limit.
    pub fn cluster(&self) -> ClusterName {
        let (stem, hash) = self.0.split_at(self.0.len() - HASH_DIGITS - 1);
        let room = LONGEST_CLUSTER - hash.len();
        ClusterName(format!("{}{hash}", shorten(stem, room)))
    }
}

impl ClusterName {
    /// The container of the cluster's first server, as k3d names it.
    pub fn server_container(&self) -> String {
        format!("k3d-{}-server-0", self.0)
    }

    /// The containers of the cluster's nodes, as k3d names them: the server's, then those of `agents` agents.
    pub fn node_containers(&self, agents: u32) -> impl Iterator<Item = String> {
        let agents = (0..agents).map(|index| format!("k3d-{}-agent-{index}", self.0));
        std::iter::once(self.server_container()).chain(agents)
    }

    /// The container of the cluster's registry: also its host name inside the cluster.
    pub fn registry_container(&self) -> String {
        format!("k3d-{}-registry", self.0)
    }

    /// Whether a container is one of the cluster's by the name that k3d gave it.
    pub fn owns_container(&self, name: &str) -> bool {
        let rest = name.strip_prefix(&self.network());
        rest.is_some_and(|rest| rest.starts_with('-'))
    }

    /// The docker network of the cluster.
    pub fn network(&self) -> String {
        format!("k3d-{}", self.0)
    }
}

fn shorten(text: &str, room: usize) -> &str {
    text[..text.len().min(room)].trim_end_matches('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_lower_case_and_bounded() {
        assert!("order-2".parse::<ServiceName>().is_ok());
        for bad in ["", "Order", "a_b", "-a", "a-", "..", "a/b", &"x".repeat(64)] {
            assert!(bad.parse::<ServiceName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_branch_leads_out_of_no_directory() {
        for good in ["main", "feature/cart-2", "Fix_#12", "für"] {
            assert_eq!(good.parse::<BranchName>().unwrap().as_str(), good);
        }
        for bad in [
            "", "/a", "a/", "a//b", "..", "a/../b", ".git", "a\\b", "a\u{1b}b",
        ] {
            assert!(bad.parse::<BranchName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_cluster_knows_its_containers_from_those_of_a_longer_name() {
        let cluster: ClusterName = "shop-1a2b3c4d".parse().unwrap();
        assert!(cluster.owns_container("k3d-shop-1a2b3c4d-serverlb"));
        assert!(!cluster.owns_container("k3d-shop-1a2b3c4dd-serverlb"));
        assert!(!cluster.owns_container("shop-1a2b3c4d-serverlb"));
    }

    #[test]
    fn two_directories_are_two_environments() {
        let name: ProjectName = "shop".parse().unwrap();
        let here = EnvironmentId::new(&name, Path::new("/a"));
        let there = EnvironmentId::new(&name, Path::new("/b"));
        assert_ne!(here, there);
        assert!(here.as_str().starts_with("shop-"));
    }

    #[test]
    fn a_cluster_name_fits_k3d() {
        let name: ProjectName = "a-project-with-a-very-long-name-indeed".parse().unwrap();
        let cluster = EnvironmentId::new(&name, Path::new("/a")).cluster();
        assert!(cluster.as_str().len() <= LONGEST_CLUSTER);
        assert!(cluster.as_str().parse::<ClusterName>().is_ok());
    }
}
