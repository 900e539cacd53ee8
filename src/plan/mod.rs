//! Decides what to do: `Environment` x `Desired` x `Observed` -> `Plan`, each step with its reason.
//! What other commands than `up` do is decided in `operate`.
//!
//! Called by `engine` and by the features. Pure: no input or output, no clock, no async. The same
//! inputs give the same plan; after a green `up` the plan is empty (a property test holds this).

mod decide;
mod diagnose;
mod operate;
mod step;
#[cfg(test)]
mod tests;
mod values;

pub use decide::{Selection, plan, plan_task};
pub use diagnose::diagnose;
pub use operate::{Extent, after_start, down, hooks_after_up, restart, scale, settle, start, stop};
pub use step::{Action, Patience, Plan, Spared, Step};
pub use values::{
    INIT_IN_CONTAINER, Init, PROJECT_IN_NODE, STORE_IN_NODE, VOLUMES_IN_NODE, resources,
    service_values,
};
