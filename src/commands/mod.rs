//! The verbs: one file each, with its `Args` (doc comments are the help) and its `run`.
//!
//! Called by `cli`. A command reads its arguments, calls features and engine, and reports through the
//! outbox of its [`Context`]; it prints nothing and knows neither clap's globals nor the terminal.
//!
//! Adding a verb: `commands/<verb>.rs` with `Args` and `run`, a line below, a line in `verbs!`; then
//! `UPDATE_DOCS=1 cargo test --test hermetic documents` writes docs/cli.md.

mod attach;
mod begin;
mod complete;
mod completions;
mod config;
mod context;
mod data;
mod debug;
mod diff;
mod docs;
mod doctor;
mod down;
mod exec;
mod forward;
mod history;
mod init;
mod kubeconfig;
mod logs;
mod man;
mod open;
mod plan;
mod project;
mod restart;
mod scale;
mod session;
mod snapshot;
mod start;
mod status;
mod stop;
mod up;
mod validate;
mod version;

pub use complete::{Typed, with_names};
pub use context::{Assignment, Consent, Context, InvalidAssignment, StreamKind, Streams};

use crate::domain::{ExitClass, Failures};

/// What a verb is for; the help groups by it, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// Getting an environment and letting it go.
    Environment,
    /// Working with what runs.
    Services,
    /// Data, datasets and snapshots.
    Data,
    /// The manifest and its layers.
    Manifest,
    /// Looking for causes.
    Diagnosis,
    /// devenv itself.
    Program,
}

impl Purpose {
    /// Every purpose, in the order of the help.
    pub const ALL: [Self; 6] = [
        Self::Environment,
        Self::Services,
        Self::Data,
        Self::Manifest,
        Self::Diagnosis,
        Self::Program,
    ];

    /// Its heading in the help.
    pub const fn heading(self) -> &'static str {
        match self {
            Self::Environment => "Environment",
            Self::Services => "Services",
            Self::Data => "Data",
            Self::Manifest => "Manifest",
            Self::Diagnosis => "Diagnosis",
            Self::Program => "devenv",
        }
    }
}

/// How a command ended that did what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0.
    Success,
    /// 10: `plan --exit-code` found something to do.
    ChangesPending,
    /// The code of a class, where the report itself says what is wrong, as `status` does.
    Class(ExitClass),
    /// The code of a child, as `exec` passes it on.
    Child(u8),
}

impl Exit {
    /// The process exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::ChangesPending => 10,
            Self::Class(class) => class.code(),
            Self::Child(code) => code,
        }
    }
}

/// Makes the enum of verbs, what each is for, and the call of each.
macro_rules! verbs {
    ($($verb:ident => $module:ident for $purpose:ident,)*) => {
        /// The verbs.
        #[derive(Debug, clap::Subcommand)]
        #[expect(missing_docs, reason = "each verb is documented by its Args")]
        pub enum Command {
            $($verb($module::Args),)*
        }

        impl Command {
            /// The modules of all verbs, by purpose; within one in the order of the list.
            pub const PURPOSES: &[(&str, Purpose)] = &[$((stringify!($module), Purpose::$purpose),)*];

            /// The module of the verb, which is its name with `_` for `-`.
            pub const fn module(&self) -> &'static str {
                match self {
                    $(Self::$verb(_) => stringify!($module),)*
                }
            }

            /// Runs the verb.
            pub async fn run(self, context: &Context) -> Result<Exit, Failures> {
                match self {
                    $(Self::$verb(args) => $module::run(args, context).await,)*
                }
            }
        }
    };
}

// By purpose; within one, in the order in which a newcomer meets them.
verbs! {
    Init => init for Environment,
    Up => up for Environment,
    Plan => plan for Environment,
    Stop => stop for Environment,
    Start => start for Environment,
    Down => down for Environment,
    Status => status for Services,
    Restart => restart for Services,
    Scale => scale for Services,
    Debug => debug for Services,
    Open => open for Services,
    Forward => forward for Services,
    Kubeconfig => kubeconfig for Services,
    Logs => logs for Services,
    Exec => exec for Services,
    Attach => attach for Services,
    Session => session for Services,
    Data => data for Data,
    Snapshot => snapshot for Data,
    Config => config for Manifest,
    Validate => validate for Manifest,
    Docs => docs for Manifest,
    Doctor => doctor for Diagnosis,
    History => history for Diagnosis,
    Diff => diff for Diagnosis,
    Completions => completions for Program,
    Man => man for Program,
    Version => version for Program,
}

impl Command {
    /// Whether it needs neither a runtime nor settings, so that it answers in a few milliseconds.
    pub const fn is_instant(&self) -> bool {
        matches!(self, Self::Completions(_) | Self::Man(_) | Self::Version(_))
    }
}
