//! The kinds of steps and checks: which key makes one, and which keys it takes beside it.

use crate::manifest::{
    problem::{Findings, Problem},
    tree::{Map, Node, Origin},
};

/// What makes a step or a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Sql,
    Csv,
    Redis,
    Command,
    Files,
    Http,
}

/// A kind with the keys that belong to it.
pub(super) struct KindKeys {
    kind: Kind,
    /// The key that makes it.
    key: &'static str,
    /// Keys it must have.
    needs: &'static [&'static str],
    /// Keys it can have.
    takes: &'static [&'static str],
}

/// The kinds of steps.
pub(super) const STEPS: &[KindKeys] = &[
    KindKeys {
        kind: Kind::Sql,
        key: "sql",
        needs: &[],
        takes: &["client", "user", "database"],
    },
    KindKeys {
        kind: Kind::Csv,
        key: "csv",
        needs: &["table"],
        takes: &["client", "user", "database", "columns", "delimiter"],
    },
    KindKeys {
        kind: Kind::Redis,
        key: "redis",
        needs: &[],
        takes: &[],
    },
    KindKeys {
        kind: Kind::Command,
        key: "command",
        needs: &[],
        takes: &["stdin"],
    },
    KindKeys {
        kind: Kind::Files,
        key: "files",
        needs: &["to"],
        takes: &["owner", "mode"],
    },
    KindKeys {
        kind: Kind::Http,
        key: "http",
        needs: &[],
        takes: &[],
    },
];

/// The kinds of checks.
pub(super) const CHECKS: &[KindKeys] = &[
    KindKeys {
        kind: Kind::Sql,
        key: "sql",
        needs: &[],
        takes: &["client", "user", "database"],
    },
    KindKeys {
        kind: Kind::Command,
        key: "command",
        needs: &[],
        takes: &[],
    },
    KindKeys {
        kind: Kind::Http,
        key: "http",
        needs: &[],
        takes: &[],
    },
];

/// What can be wrong with the keys of a step or a check as a whole.
#[derive(Debug, thiserror::Error)]
enum KindProblem {
    #[error("`{path}` says nothing to do: it has none of {}", list(kinds))]
    Nothing {
        path: String,
        kinds: Vec<&'static str>,
    },
    #[error("`{path}` must have exactly one of {}", list(found))]
    Several {
        path: String,
        found: Vec<&'static str>,
    },
    #[error("`{path}` is missing: `{kind}` needs it")]
    Missing {
        path: String,
        key: &'static str,
        kind: &'static str,
    },
    #[error("`{path}` has no effect beside `{kind}`")]
    Foreign {
        path: String,
        kind: &'static str,
        owners: Vec<&'static str>,
    },
}

fn list(keys: &[&'static str]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
    match keys.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => keys.concat(),
    }
}

impl Problem for KindProblem {
    fn code(&self) -> &'static str {
        match self {
            Self::Nothing { .. } | Self::Several { .. } => "dataset.step",
            Self::Missing { .. } => "manifest.missing-key",
            Self::Foreign { .. } => "dataset.not-for-step",
        }
    }

    fn help(&self) -> Vec<String> {
        vec![match self {
            Self::Nothing { .. } => "write one of them".to_owned(),
            Self::Several { .. } => {
                "make one of each: they run in the order in which they are written".to_owned()
            }
            Self::Missing { key, .. } => format!("write `{key}:` and its value here"),
            Self::Foreign { owners, .. } => format!("remove it: it belongs to {}", list(owners)),
        }]
    }
}

/// The kind of a step or a check; `None` if it is none, or one that something is wrong with.
pub(super) fn kind(
    map: &Map,
    kinds: &[KindKeys],
    path: &str,
    origin: Origin,
    findings: &mut Findings,
) -> Option<Kind> {
    let found: Vec<&KindKeys> = kinds.iter().filter(|kind| map.has(kind.key)).collect();
    let keys = |kinds: &[&KindKeys]| kinds.iter().map(|kind| kind.key).collect();
    let [kind] = found.as_slice() else {
        let path_text = path.to_owned();
        let problem = if found.is_empty() {
            KindProblem::Nothing {
                path: path_text,
                kinds: keys(&kinds.iter().collect::<Vec<_>>()),
            }
        } else {
            KindProblem::Several {
                path: path_text,
                found: keys(&found),
            }
        };
        findings.add(&problem, path, origin);
        return None;
    };
    let before = findings.len();
    for key in kind.needs.iter().filter(|key| !map.has(key)) {
        let path = format!("{path}.{key}");
        let problem = KindProblem::Missing {
            path: path.clone(),
            key,
            kind: kind.key,
        };
        findings.add(&problem, path, origin);
    }
    for entry in &map.entries {
        let key = entry.key.as_str();
        let owners: Vec<&KindKeys> = kinds.iter().filter(|kind| kind.owns(key)).collect();
        if !owners.is_empty() && !kind.owns(key) {
            let path = format!("{path}.{key}");
            let problem = KindProblem::Foreign {
                path: path.clone(),
                kind: kind.key,
                owners: keys(&owners),
            };
            findings.add(&problem, path, entry.key_origin);
        }
    }
    (findings.len() == before).then_some(kind.kind)
}

impl KindKeys {
    fn owns(&self, key: &str) -> bool {
        self.key == key || self.needs.contains(&key) || self.takes.contains(&key)
    }
}

/// Whether a step says that its files are templates.
pub(super) fn is_template(step: &Node) -> bool {
    step.as_map().is_some_and(|map| map.has("template"))
}
