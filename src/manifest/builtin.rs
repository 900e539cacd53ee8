//! The values that hold where no layer says otherwise.

use crate::domain::Signal;

/// `cluster.kubernetes`.
pub(super) const KUBERNETES: &str = "1.35";
/// `cluster.agents`.
pub(super) const AGENTS: u32 = 0;
/// `cluster.ports.http`.
pub(super) const HTTP_PORT: u16 = 8080;
/// `cluster.ports.https`.
pub(super) const HTTPS_PORT: u16 = 8443;
/// `cluster.registry.port`.
pub(super) const REGISTRY_PORT: u16 = 5050;
/// `replicas` of a service.
pub(super) const REPLICAS: u32 = 1;
/// `ready.within` of a service.
pub(super) const READY_WITHIN: &str = "60s";
/// `within` of a hook.
pub(super) const HOOK_WITHIN: &str = "60s";
/// `quiesce.within` of a service.
pub(super) const QUIESCE_WITHIN: &str = "5s";
/// `build.dockerfile`.
pub(super) const DOCKERFILE: &str = "Dockerfile";
/// `volumes[].size`.
pub(super) const VOLUME_SIZE: &str = "1Gi";
/// `expose[].path`.
pub(super) const EXPOSE_PATH: &str = "/";
/// `autoscale.min`.
pub(super) const AUTOSCALE_MIN: u32 = 1;
/// `autoscale.cpu`.
pub(super) const AUTOSCALE_CPU: u32 = 80;
/// `live.onChange`.
pub(super) const ON_CHANGE: &str = "restart";
/// `live.signal`.
pub(super) const SIGNAL: Signal = Signal::Terminate;
/// `live.grace`.
pub(super) const GRACE: &str = "2s";
/// `live.build.directory`.
pub(super) const BUILD_DIRECTORY: &str = ".";
/// The name of a service's only port.
pub(super) const PORT_NAME: &str = "http";
/// `within` of a step of a dataset.
pub(super) const STEP_WITHIN: &str = "5m";
/// `within` of a check of a dataset.
pub(super) const CHECK_WITHIN: &str = "30s";
