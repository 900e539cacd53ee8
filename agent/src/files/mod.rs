//! Files of a container, seen from its node.
//!
//! Nothing here follows a path of the container by its name alone: each is resolved below the container's root by
//! the kernel (`openat2` with `RESOLVE_IN_ROOT`), so that no symbolic link leads out of it, whoever changes it meanwhile.

mod change;
mod list;
mod owner;
mod read;
mod tree;
mod unfinished;

pub(crate) use change::change;
pub(crate) use list::list;
pub(crate) use owner::owner;
pub(crate) use read::read;
pub(crate) use tree::{
    PERMISSIONS, at, children, joined, kind, look, open_below, open_directory, open_within,
    problem_at, remove,
};
#[cfg(test)]
pub(crate) use unfinished::UNFINISHED;
pub(crate) use unfinished::{unfinished, writer_of};

#[cfg(test)]
mod tests;
