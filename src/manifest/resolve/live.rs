//! `live` and `debug` of a service, with everything defaulted.

use std::path::Path;

use super::{
    super::{
        builtin,
        format::ContextPattern,
        types::{DebugKeys, LiveBuildKeys, LiveKeys, OnChangeKey, ReloadKeys},
    },
    below, texts, within,
};
use crate::domain::{BuildRule, Debug, Live, MountRule, OnChange, ReloadBy, RunRule, SyncRule};

/// What `keys` come to for a service whose paths are relative to `base`.
pub(super) fn live(keys: LiveKeys, base: &Path) -> Live {
    Live {
        base: base.to_path_buf(),
        on_change: on_change(&keys),
        sync: keys
            .sync
            .into_iter()
            .map(|rule| SyncRule {
                from: below(base, &rule.from.0),
                to: rule.to.normal(),
                ignore: patterns(rule.ignore),
            })
            .collect(),
        mount: keys
            .mount
            .into_iter()
            .map(|rule| MountRule {
                from: below(base, &rule.from.0),
                to: rule.to.normal(),
            })
            .collect(),
        run: keys
            .run
            .into_iter()
            .map(|rule| RunRule {
                on: patterns(rule.on),
                command: texts(rule.command),
            })
            .collect(),
        build: keys.build.map(|keys| build(keys, base)),
        rebuild: patterns(keys.rebuild),
        ignore: patterns(keys.ignore),
        budget: keys.budget.map(|budget| budget.0),
    }
}

fn build(keys: LiveBuildKeys, base: &Path) -> BuildRule {
    let directory = keys.directory.as_ref();
    let directory = directory.map_or(Path::new(builtin::BUILD_DIRECTORY), |path| &path.0);
    BuildRule {
        command: texts(keys.command),
        on: patterns(keys.on),
        directory: below(base, directory),
    }
}

fn on_change(keys: &LiveKeys) -> OnChange {
    match (keys.on_change, &keys.reload) {
        (Some(OnChangeKey::None), _) => OnChange::Nothing,
        (Some(OnChangeKey::Reload), Some(reload)) => OnChange::Reload(reload_by(reload)),
        // The check has made sure that `reload` says how.
        (Some(OnChangeKey::Restart | OnChangeKey::Reload) | None, _) => OnChange::Restart {
            signal: keys.signal.unwrap_or(builtin::SIGNAL),
            grace: within(keys.grace, builtin::GRACE),
        },
    }
}

/// The check has made sure that there is exactly one of the two.
fn reload_by(keys: &ReloadKeys) -> ReloadBy {
    match keys.signal {
        Some(signal) => ReloadBy::Signal(signal),
        None => ReloadBy::Command(texts(keys.command.clone())),
    }
}

/// `None` only where there is no port, which the check has refused.
pub(super) fn debug(keys: DebugKeys) -> Option<Debug> {
    Some(Debug {
        runtime: keys.runtime,
        port: keys.port.or(keys.runtime.usual_port())?,
        command: texts(keys.command),
    })
}

fn patterns(list: Vec<ContextPattern>) -> Vec<String> {
    list.into_iter().map(|pattern| pattern.0).collect()
}
