//! The manifest as a set of keys: which value holds, who set it, and changes of single ones.
//!
//! Called by `commands`. A manifest with mistakes can be looked at as long as it is YAML; nothing here resolves it.

mod edit;
pub(super) mod key;

pub use key::{InvalidKeyPath, KeyPath};
