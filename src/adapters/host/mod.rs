//! The machine devenv runs on: its environment variables, ports, disk space, memory, kernel, names, sleep and random
//! bytes.
//!
//! Asked by `cli` (once, for the environment), `features` and `engine` before anything is created. It only
//! looks: it changes nothing on the machine.

mod capacity;
mod directory;
mod environment;
mod inotify;
mod kernel;
mod lookup;
mod ports;
mod secret;
mod sleep;
mod user;

pub use capacity::{HostError, MemoryState, Space, file_system_of, free_space, memory, space};
pub use directory::working_directory;
pub use environment::{DockerVariables, HostEnvironment, TerminalVariables};
pub use inotify::{InotifyUse, inotify_use, most_queued_events};
pub use kernel::knows_file_system;
pub use lookup::addresses_of;
pub use ports::{PortState, port_owner, port_state};
pub use secret::secret;
pub use sleep::slept_since_boot;
pub use user::{Account, account};
