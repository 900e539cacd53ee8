//! The keys below `live` and `debug` of a service.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::{
    super::{
        builtin,
        format::{ContainerPath, ContextPath, ContextPattern, Within, Written},
    },
    PortNumber,
};
use crate::domain::{DebugRuntime, Signal};

/// What a change of a service's sources does while it runs. It has at least one of `sync`, `mount`, `run`, `build` and `rebuild`. Paths and patterns below it are relative to the build context, those of an `image:` service to the project. Patterns are written as in a `.gitignore`: one without a `/` in it counts in every directory, one with a `/` at its end is a directory and all in it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Live")]
pub(in crate::manifest) struct LiveKeys {
    /// What is copied into the running containers. Short form of an item: `from:to`.
    pub(in crate::manifest) sync: Vec<SyncKeys>,
    /// Directories of this machine that the containers read where they are, without a copy. Short form of an item: `from:to`.
    pub(in crate::manifest) mount: Vec<MountKeys>,
    /// Commands that run in the containers after a sync, when certain files have changed.
    pub(in crate::manifest) run: Vec<RunKeys>,
    /// A command that runs on this machine before a sync, for services whose program is compiled.
    pub(in crate::manifest) build: Option<LiveBuildKeys>,
    /// Patterns of files whose change builds the image anew.
    pub(in crate::manifest) rebuild: Vec<ContextPattern>,
    /// Patterns of files whose change means nothing, besides those of `.gitignore` and `.dockerignore`.
    pub(in crate::manifest) ignore: Vec<ContextPattern>,
    /// What becomes of the process after a sync. `restart`: it is started anew in its container. `reload`: it is told to read its files again. `none`: it notices by itself.
    #[schemars(extend("default" = builtin::ON_CHANGE))]
    pub(in crate::manifest) on_change: Option<OnChangeKey>,
    /// The signal that ends the process before a restart.
    #[schemars(schema_with = "signal", extend("default" = builtin::SIGNAL.name()))]
    pub(in crate::manifest) signal: Option<Signal>,
    /// How long the process may take to end before a restart kills it.
    #[schemars(extend("default" = builtin::GRACE))]
    pub(in crate::manifest) grace: Option<Within>,
    /// How the process is told to read its files again, with `onChange: reload`.
    pub(in crate::manifest) reload: Option<ReloadKeys>,
    /// How long a change may take until the process runs with it, such as `400ms`. A longer one is warned about.
    pub(in crate::manifest) budget: Option<Within>,
}

/// A file or directory that is copied into the running containers.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Sync", extend("x-short" = ["string"]))]
pub(in crate::manifest) struct SyncKeys {
    /// The file or directory on this machine. It must be there, unless the service has a `live.build` that may write it.
    pub(in crate::manifest) from: ContextPath,
    /// Where it is in the container.
    pub(in crate::manifest) to: ContainerPath,
    /// Patterns of files that are left out.
    #[serde(default)]
    pub(in crate::manifest) ignore: Vec<ContextPattern>,
}

/// A directory of this machine that the containers read where it is. They cannot write into it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Mount", extend("x-short" = ["string"]))]
pub(in crate::manifest) struct MountKeys {
    /// The directory on this machine.
    pub(in crate::manifest) from: ContextPath,
    /// Where it is in the container.
    pub(in crate::manifest) to: ContainerPath,
}

/// A command that runs in the containers when certain files have changed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Run")]
pub(in crate::manifest) struct RunKeys {
    /// Patterns of the files. One or a list.
    #[schemars(length(min = 1), extend("x-short" = ["string"]))]
    pub(in crate::manifest) on: Vec<ContextPattern>,
    /// The program and its arguments. Short form: a line for the container's shell, `sh -c`.
    #[schemars(length(min = 1), extend("x-short" = ["string"]))]
    pub(in crate::manifest) command: Vec<Written>,
}

/// A command that runs on this machine before a sync.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "LiveBuild")]
pub(in crate::manifest) struct LiveBuildKeys {
    /// The program and its arguments. Short form: a line for this machine's shell, `sh -c`.
    #[schemars(length(min = 1), extend("x-short" = ["string"]))]
    pub(in crate::manifest) command: Vec<Written>,
    /// Patterns of the files whose change asks for it. One or a list.
    #[schemars(length(min = 1), extend("x-short" = ["string"]))]
    pub(in crate::manifest) on: Vec<ContextPattern>,
    /// The directory in which it runs.
    #[serde(default)]
    #[schemars(extend("default" = builtin::BUILD_DIRECTORY))]
    pub(in crate::manifest) directory: Option<ContextPath>,
}

/// What becomes of a process after a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub(in crate::manifest) enum OnChangeKey {
    Restart,
    Reload,
    None,
}

/// How a process is told to read its files again: exactly one of `signal` and `command`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Reload")]
pub(in crate::manifest) struct ReloadKeys {
    /// A signal that the process gets.
    #[schemars(schema_with = "signal")]
    pub(in crate::manifest) signal: Option<Signal>,
    /// A command in its container: the program and its arguments. Short form: a line for the container's shell, `sh -c`.
    #[schemars(extend("x-short" = ["string"]))]
    pub(in crate::manifest) command: Vec<Written>,
}

/// How the service's process is started under a debugger.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Debug")]
pub(in crate::manifest) struct DebugKeys {
    /// What runs the process, and with it the debugger: Node's inspector, debugpy, Delve, JDWP. `other` needs `port` and `command`.
    #[schemars(with = "DebugRuntimeValue")]
    pub(in crate::manifest) runtime: DebugRuntime,
    /// The port in the container on which the debugger listens. Without it, the usual one: 9229 of `node`, 5678 of `python`, 2345 of `go`, 5005 of `jvm`.
    #[serde(default)]
    #[schemars(with = "Option<u16>", range(min = 1, max = 65535))]
    pub(in crate::manifest) port: Option<PortNumber>,
    /// Replaces the service's command while it is debugged. Without it, the runtime's usual way to start a debugger.
    #[serde(default)]
    pub(in crate::manifest) command: Vec<Written>,
}

/// Stands for the domain's runtime in the schema.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
#[expect(dead_code, reason = "only its schema is used")]
enum DebugRuntimeValue {
    Node,
    Python,
    Go,
    Jvm,
    Other,
}

/// Stands for the domain's signal in the schema.
fn signal(_: &mut SchemaGenerator) -> Schema {
    let names = Signal::ALL.iter().map(|signal| signal.name());
    let words: Vec<Option<&str>> = names.map(Some).chain([None]).collect();
    json_schema!({"type": ["string", "null"], "enum": words})
}
