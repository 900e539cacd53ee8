//! What devenv publishes: every JSON document, one file each, and the outbox through which rooms speak.
//!
//! Known by every room. A document's first field is its schema, such as `devenv.status/1`; its JSON
//! Schema lies in docs/json. Nothing here prints: `output` reads the outbox and renders.

mod outbox;

pub use outbox::{Message, Outbox};
