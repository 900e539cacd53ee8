//! Runs a plan: order, parallelism, deadlines, cancellation, events.
//!
//! Called by the features that change something. `run` knows how steps depend on each other and
//! nothing of what they do; `World` knows what each step does, through the adapters. The engine never
//! decides what should be done: that is `plan`'s.

mod explain;
mod run;

pub use explain::explain;
pub use run::{Execute, Finished, Progress, RunResult, run};
