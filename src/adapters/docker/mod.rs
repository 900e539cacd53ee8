//! The docker engine: where it is, its containers, images, volumes, builds and pushes.
//!
//! Called by `engine` and `features`. Everything goes through the engine's API, never through the `docker`
//! program. Most of it is bollard's work; builds and pushes use a connection of our own, since bollard can
//! neither give a streamed build its secrets nor tell the layers of a push apart.

mod attach;
mod base;
mod build;
mod build_error;
mod client;
mod containers;
mod dockerfile;
mod endpoint;
mod error;
mod exec;
mod images;
mod local_clusters;
mod push;
mod remove_tree;
mod session;
mod trace;
mod transport;
mod usage;
mod volumes;

pub use attach::{Attached, AttachedInput, AttachedOutput, ExecId, Said};
pub use build::{BuildRequest, BuiltImage};
pub use build_error::{BuildError, FailedInstruction};
pub use client::{Docker, EngineInfo};
pub use containers::{
    ClusterContainer, ENVIRONMENT, EngineState, K3D_CLUSTER, NodeRole, PublishedPort,
};
pub use endpoint::Endpoint;
pub use error::DockerError;
pub use exec::ExecOutput;
pub use images::{LocalImage, RemoteImage};
pub use local_clusters::{ClusterMaker, LocalCluster};
pub use push::{PushError, PushProgress};
pub use trace::BuildProgress;
pub use usage::ContainerUse;
pub use volumes::EngineVolume;
