//! Runs a plan: order, parallelism, deadlines, cancellation, events.
//!
//! Called by the features that change something. `run` knows how steps depend on each other and
//! nothing of what they do; `World` knows what each step does, through the adapters. The engine never
//! decides what should be done: that is `plan`'s.

mod explain;
mod own;
mod reach;
mod remove;
mod run;
mod steps;
mod wait;
mod world;

pub use explain::explain;
pub use own::{OwnContainers, not_ours};
pub use remove::remove_directory;
pub use run::{Execute, Finished, Progress, RunResult, run};
pub use steps::releases::render;
pub use wait::{Target, log_lines, newest_ready_pod, no_pod};
pub use world::{NAMESPACE, Places, Remember, Tools, World, check_identity};
