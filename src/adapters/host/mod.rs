//! The machine devenv runs on: its environment variables, ports, disk space, memory, sleep and random bytes.
//!
//! Asked by `cli` (once, for the environment), `features` and `engine` before anything is created. It only
//! looks: it changes nothing on the machine.

mod capacity;
mod directory;
mod environment;
mod ports;
mod secret;
mod sleep;
mod user;

pub use capacity::{HostError, MemoryState, Space, free_space, memory, space};
pub use directory::working_directory;
pub use environment::{DockerVariables, HostEnvironment, TerminalVariables};
pub use ports::{PortState, port_owner, port_state};
pub use secret::secret;
pub use sleep::slept_since_boot;
pub use user::{Account, account};
