//! The manifest as a set of keys: which value holds, who set it, and changes of single ones.
//!
//! Called by `commands`. A manifest with mistakes can be looked at as long as it is YAML; a change must leave a good one.
//! Nothing is written here: who calls gets the texts.

mod change;
mod edit;
pub(super) mod key;
mod known;
mod view;

pub use change::{Change, Changed, Edited, InvalidLayer, Layer, change};
pub use key::{InvalidKeyPath, KeyPath};
pub use view::{Explained, View, Written};
