//! What containers use.

use bollard::{models::ContainerStatsResponse, query_parameters::StatsOptionsBuilder};
use futures::StreamExt as _;

use super::{Docker, DockerError, client::QUICK};
use crate::domain::Memory;

/// What a container uses with all that runs in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContainerUse {
    /// Of processors since it was started, in microseconds.
    pub cpu_us: u64,
    /// Of memory, without what the kernel keeps of files and could give up.
    pub memory: Memory,
}

impl Docker {
    /// What a container uses; `None` unless it runs.
    pub async fn usage_of(&self, container: &str) -> Result<Option<ContainerUse>, DockerError> {
        let options = StatsOptionsBuilder::new().stream(false).one_shot(true);
        let mut figures = self.client().stats(container, Some(options.build()));
        let what = format!("ask what the container {container} uses");
        let asking = async { figures.next().await.transpose() };
        match self.call(&what, QUICK, asking).await {
            Ok(found) => Ok(found.as_ref().and_then(read)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Both versions of control groups are told of in the same way, but for the name of what could be given up.
fn read(figures: &ContainerStatsResponse) -> Option<ContainerUse> {
    let cpu_nanos = figures
        .cpu_stats
        .as_ref()?
        .cpu_usage
        .as_ref()?
        .total_usage?;
    let memory = figures.memory_stats.as_ref()?;
    let idle = memory.stats.as_ref().and_then(|stats| {
        let idle = stats.get("total_inactive_file");
        idle.or_else(|| stats.get("inactive_file")).copied()
    });
    Some(ContainerUse {
        cpu_us: cpu_nanos / 1_000,
        memory: Memory::from_bytes(memory.usage?.saturating_sub(idle.unwrap_or(0))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(memory: &str) -> ContainerStatsResponse {
        let text = format!(
            r#"{{ "cpu_stats": {{ "cpu_usage": {{ "total_usage": 2500000 }} }}, "memory_stats": {memory} }}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn what_the_kernel_could_give_up_is_not_counted() {
        for idle in ["total_inactive_file", "inactive_file"] {
            let used = read(&figures(&format!(
                r#"{{ "usage": 1000, "stats": {{ "{idle}": 300 }} }}"#
            )));
            let expected = ContainerUse {
                cpu_us: 2_500,
                memory: Memory::from_bytes(700),
            };
            assert_eq!(used, Some(expected));
        }
        // One that does not run is told of without figures.
        assert_eq!(read(&figures("{}")), None);
    }
}
