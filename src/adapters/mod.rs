//! The only room that touches the outside: processes, files, the network, the environment, the clock.
//!
//! Called by `engine`, `features` and `state`; knows only `domain`. Decides nothing: an adapter does
//! what it is asked and says in its error what it was about.

pub mod environment;
pub mod private;
