//! Files of a container, seen from its node.
//!
//! Nothing here follows a path of the container by its name alone: each is resolved below the container's root by
//! the kernel (`openat2` with `RESOLVE_IN_ROOT`), so that no symbolic link leads out of it, whoever changes it meanwhile.

mod change;
mod list;
mod tree;

pub(crate) use change::change;
pub(crate) use list::list;
pub(crate) use tree::{at, open_below};

#[cfg(test)]
mod tests;
