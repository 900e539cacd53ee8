//! Why a service is not ready, told apart. Found by `plan::diagnose`, explained by `features::explain`.

use serde::Serialize;

use super::ServiceName;

/// One reason why a service is not ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trouble {
    /// Which service.
    pub service: ServiceName,
    /// Which pod; the newest if several have the same trouble. `None` where no pod was made.
    pub pod: Option<String>,
    /// Which container.
    pub container: Option<String>,
    /// What is wrong.
    pub kind: TroubleKind,
    /// What Kubernetes says, in its own words.
    pub message: String,
    /// Whether waiting longer cannot help, so that the wait ends now.
    pub is_final: bool,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum TroubleKind {
    /// The image is not there, may not be pulled, or is of another architecture.
    ImageUnavailable {
        /// The image.
        image: String,
    },
    /// The container cannot be made: a bad command, a missing Secret, a bad mount.
    CannotStart {
        /// The kubelet's word, such as `CreateContainerConfigError`.
        reason: String,
    },
    /// The process ends again and again.
    CrashLoop {
        /// How it ended last.
        exit_code: i32,
        /// The signal that ended it.
        signal: Option<i32>,
        /// How often it was started again.
        restarts: u32,
    },
    /// The process was killed for its memory use.
    OutOfMemory {
        /// How often it was started again.
        restarts: u32,
    },
    /// No node can take the pod.
    Unschedulable,
    /// The node threw the pod out: disk or memory pressure.
    Evicted,
    /// The readiness probe fails.
    ProbeFailing,
    /// Kubernetes refuses to make the pod: quota, a bad specification.
    PodRefused,
}
