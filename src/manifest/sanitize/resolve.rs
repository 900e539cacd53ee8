//! The tree of a file of rules -> the rules, with everything checked that the file alone tells.

use std::{collections::BTreeMap, sync::LazyLock};

use super::types::{ColumnKeys, DatabaseKeys, RulesKeys, TableKeys};
use crate::{
    domain::{
        Change, ColumnRule, DatabaseRules, Environment, KeptRows, Located, Mask, SanitizeRules,
        Seed, ServiceName, TableRules,
    },
    manifest::{
        Unreadable,
        conform::conform,
        merge::strip_nulls,
        normal::wrap_scalar,
        places::Places,
        problem::{Damaged, Findings, Problem, suggestions},
        shape::{Shape, compile_root},
        source::Sources,
        tree::{Map, Node},
    },
};

/// The shape of a file of rules.
static RULES: LazyLock<Shape> =
    LazyLock::new(|| compile_root(schemars::schema_for!(RulesKeys).as_value()));

/// What can be wrong between the keys of a file of rules.
#[derive(Debug, thiserror::Error)]
enum KeysProblem {
    #[error("`{path}` names a service that does not exist: `{name}`")]
    UnknownService {
        path: String,
        name: ServiceName,
        known: Vec<String>,
    },
    #[error("`{path}` and `{first}` both say what becomes of `{name}`")]
    Twice {
        path: String,
        first: String,
        name: String,
    },
    #[error("`{path}` must have exactly one of `replace`, `mask` and `value`")]
    Change { path: String },
}

impl Problem for KeysProblem {
    fn code(&self) -> &'static str {
        match self {
            Self::UnknownService { .. } => "manifest.unknown-service",
            Self::Twice { .. } => "sanitize.twice",
            Self::Change { .. } => "sanitize.rule",
        }
    }

    fn help(&self) -> Vec<String> {
        match self {
            Self::UnknownService { name, known, .. } => {
                suggestions(name.as_str(), known.iter().map(String::as_str), "services")
            }
            Self::Twice { .. } => vec!["remove one of the two".to_owned()],
            Self::Change { .. } => {
                vec!["write a word such as `email`, or `{ mask: { keepLast: 4 } }`".to_owned()]
            }
        }
    }
}

/// The rules of a tree. Mistakes go to `findings`: the rules are complete only if there are none.
pub(super) fn resolve(
    root: &mut Node,
    environment: &Environment,
    sources: &Sources,
    findings: &mut Findings,
) -> Option<SanitizeRules> {
    strip_nulls(root);
    normalise(root);
    let mut found = Findings::default();
    let json = conform(root, &RULES, &mut found);
    findings.add_unless_damaged(found);
    let mut resolver = Resolver {
        environment,
        sources,
        places: Places::of(root),
        damaged: findings.damaged(),
        findings,
    };
    let keys: RulesKeys = match serde_json::from_value(json?) {
        Ok(keys) => keys,
        // What is missing is told already.
        Err(_) if !resolver.findings.is_empty() => return None,
        Err(error) => {
            let problem = Unreadable {
                path: String::new(),
                reason: error.to_string(),
            };
            resolver.report(&problem, "");
            return None;
        }
    };
    Some(resolver.rules(keys))
}

/// Writes out the short form of every column: a word is what `replace` says.
fn normalise(root: &mut Node) {
    fn entries(map: Option<&mut Map>) -> impl Iterator<Item = &mut Node> {
        let entries = map.into_iter().flat_map(|map| map.entries.iter_mut());
        entries.map(|entry| &mut entry.node)
    }
    fn below<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Map> {
        node.as_map_mut()?.get_mut(key)?.as_map_mut()
    }
    for service in entries(below(root, "services")) {
        for table in entries(below(service, "tables")) {
            for column in entries(below(table, "columns")) {
                wrap_scalar(column, "replace");
            }
        }
    }
}

struct Resolver<'a> {
    environment: &'a Environment,
    sources: &'a Sources,
    places: Places,
    damaged: Damaged,
    findings: &'a mut Findings,
}

impl Resolver<'_> {
    fn report(&mut self, problem: &dyn Problem, path: &str) {
        let origin = self.places.nearest(path);
        self.findings.add(problem, path, origin);
    }

    fn located<T>(&self, what: T, path: &str) -> Located<T> {
        let place = self.sources.place(self.places.nearest(path));
        Located { what, place }
    }

    fn rules(&mut self, keys: RulesKeys) -> SanitizeRules {
        let mut services = BTreeMap::new();
        for (name, database) in keys.services {
            let path = format!("services.{name}");
            self.known(&name, &path);
            services.insert(name, self.database(database, &path));
        }
        let mut keep: Vec<Located<ServiceName>> = Vec::new();
        for (index, name) in keys.keep.into_iter().enumerate() {
            let path = format!("keep[{index}]");
            self.known(&name, &path);
            if services.contains_key(&name) {
                self.twice(&path, format!("services.{name}"), name.as_str());
            }
            keep.push(self.located(name, &path));
        }
        SanitizeRules {
            services,
            keep,
            seed: keys.seed.map(|seed| Seed(seed.0)),
        }
    }

    /// Reports a service that the environment does not have.
    fn known(&mut self, name: &ServiceName, path: &str) {
        let services = &self.environment.services;
        if !services.contains_key(name) {
            let problem = KeysProblem::UnknownService {
                path: path.to_owned(),
                name: name.clone(),
                known: services.keys().map(ToString::to_string).collect(),
            };
            self.report(&problem, path);
        }
    }

    fn twice(&mut self, path: &str, first: String, name: &str) {
        let problem = KeysProblem::Twice {
            path: path.to_owned(),
            first,
            name: name.to_owned(),
        };
        self.report(&problem, path);
    }

    fn database(&mut self, keys: DatabaseKeys, path: &str) -> DatabaseRules {
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        let mut tables = Vec::new();
        for (name, table) in keys.tables {
            let path = format!("{path}.tables.{}", name.0);
            seen.insert(name.0.clone(), path.clone());
            tables.push(self.table(name.0, table, &path));
        }
        for (key, rows, names) in [
            ("keep", KeptRows::All, keys.keep),
            ("empty", KeptRows::None, keys.empty),
        ] {
            for (index, name) in names.into_iter().enumerate() {
                let path = format!("{path}.{key}[{index}]");
                if let Some(first) = seen.insert(name.0.clone(), path.clone()) {
                    self.twice(&path, first, &name.0);
                }
                tables.push(TableRules {
                    name: self.located(name.0, &path),
                    rows,
                    columns: Vec::new(),
                });
            }
        }
        DatabaseRules {
            place: self.sources.place(self.places.nearest(path)),
            database: self.located(keys.database.0, &format!("{path}.database")),
            user: keys.user.map(|user| user.0),
            tables,
        }
    }

    fn table(&mut self, name: String, keys: TableKeys, path: &str) -> TableRules {
        let mut columns = Vec::new();
        for (column, keys) in keys.columns {
            let path = format!("{path}.columns.{}", column.0);
            let name = self.located(column.0, &path);
            let change = self.change(keys, &path);
            columns.extend(change.map(|change| ColumnRule { name, change }));
        }
        TableRules {
            name: self.located(name, path),
            rows: keys
                .sample
                .map_or(KeptRows::All, |sample| KeptRows::Percent(sample.percent)),
            columns,
        }
    }

    fn change(&mut self, keys: ColumnKeys, path: &str) -> Option<Change> {
        match (keys.replace, keys.mask, keys.value) {
            (Some(replacement), None, None) => Some(Change::Replace(replacement.0)),
            (None, Some(mask), None) => Some(Change::Mask(Mask {
                first: mask.keep_first,
                last: mask.keep_last,
            })),
            (None, None, Some(value)) => Some(Change::Value(value.0)),
            _ => {
                if self.damaged.spares(path) {
                    let path_text = path.to_owned();
                    self.report(&KeysProblem::Change { path: path_text }, path);
                }
                None
            }
        }
    }
}
