//! Which container is meant.

use serde::{Deserialize, Serialize};

/// The id of a container as its runtime knows it: 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ContainerId(String);

/// Text that is no id of a container.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the id of a container")]
pub struct NoContainerId(String);

impl std::str::FromStr for ContainerId {
    type Err = NoContainerId;

    fn from_str(text: &str) -> Result<Self, NoContainerId> {
        // Kubernetes writes the runtime's name before it: containerd://0123...
        let id = text.rsplit_once("//").map_or(text, |(_, id)| id);
        if id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(Self(id.to_owned()))
        } else {
            Err(NoContainerId(text.to_owned()))
        }
    }
}

/// What the other side sends is looked at too: it becomes part of paths.
impl TryFrom<String> for ContainerId {
    type Error = NoContainerId;

    fn try_from(text: String) -> Result<Self, NoContainerId> {
        text.parse()
    }
}

impl ContainerId {
    /// The hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ContainerId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0[..12])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_containers_id_is_taken_as_kubernetes_writes_it() {
        let digits = "0a".repeat(32);
        let id: ContainerId = format!("containerd://{digits}").parse().unwrap();
        assert_eq!(id.as_str(), digits);
        for wrong in ["", "containerd://", "../../etc", &digits[1..]] {
            assert!(wrong.parse::<ContainerId>().is_err(), "{wrong}");
        }
    }
}
