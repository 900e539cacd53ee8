//! The tree of one dataset -> the dataset, with everything checked and defaulted.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    str::FromStr,
    sync::LazyLock,
};

use serde::de::DeserializeOwned;

use super::{
    chain::Link,
    files::Wanted,
    format::OneLine,
    kinds::{self, CHECKS, Kind, KindKeys, STEPS},
    normal::normalise,
    types::{CheckKeys, ClientKey, ContentKeys, DatasetKeys, HttpKeys, StepKeys},
    variables::Variables,
};
use crate::{
    domain::{
        Answer, CsvColumns, CsvLoad, DataAction, DataCheck, DataFiles, DataQuestion, DataStep,
        DataText, DatabaseLogin, Dataset, DatasetBase, Delimiter, Environment, ExpectedStatus,
        FileMode, FilesCopy, Filling, HttpMethod, HttpRequest, Service, SqlClient,
    },
    manifest::{
        Unreadable, builtin,
        conform::conform,
        merge::strip_nulls,
        places::Places,
        problem::{Damaged, Findings, Problem},
        resolve::{texts, within},
        shape::{Shape, compile_root},
        source::Sources,
        tree::{Node, Value},
    },
};

/// The shape of `dataset.yaml`.
static DATASET: LazyLock<Shape> =
    LazyLock::new(|| compile_root(schemars::schema_for!(DatasetKeys).as_value()));

/// What can be wrong between the keys of a dataset.
#[derive(Debug, thiserror::Error)]
enum KeysProblem {
    #[error("a dataset is loaded onto another one or onto a snapshot, not onto both")]
    TwoBases,
    #[error("`{path}` must have exactly one of `file` and `text`")]
    Content { path: String },
    #[error("`{path}` must have at most one of `body` and `bodyFile`")]
    TwoBodies { path: String },
    #[error("`{path}` has no effect: the step reads no file")]
    NoTemplate { path: String },
    #[error("`{path}` must have {wanted} one of `equals`, `contains` and `matches`")]
    Answers { path: String, wanted: &'static str },
}

impl Problem for KeysProblem {
    fn code(&self) -> &'static str {
        match self {
            Self::TwoBases => "dataset.two-bases",
            Self::Content { .. } | Self::TwoBodies { .. } => "dataset.content",
            Self::NoTemplate { .. } => "dataset.not-for-step",
            Self::Answers { .. } => "dataset.answer",
        }
    }

    fn help(&self) -> Vec<String> {
        let help = match self {
            Self::TwoBases => "remove `extends` or `snapshot`",
            Self::Content { .. } => "write the name of a file, or `{ text: \"...\" }`",
            Self::TwoBodies { .. } => "remove one of them",
            Self::NoTemplate { .. } => {
                "remove it: variables in `dataset.yaml` itself are always replaced"
            }
            Self::Answers {
                wanted: "exactly", ..
            } => "write what the query must answer, such as `equals: 12`",
            Self::Answers { .. } => "make a check of each",
        };
        vec![help.to_owned()]
    }
}

/// What a dataset is made of, and what is found on the way.
pub(super) struct Resolver<'a> {
    /// The dataset's directory, relative to the project's.
    pub(super) directory: PathBuf,
    /// What must have its services; `None` where nobody asks, and the dataset is not complete then.
    pub(super) environment: Option<&'a Environment>,
    pub(super) files: &'a dyn DataFiles,
    pub(super) sources: &'a mut Sources,
    pub(super) findings: &'a mut Findings,
    pub(super) variables: Variables,
    /// Templates whose variables were looked for.
    pub(super) templates: BTreeSet<PathBuf>,
    /// Some template was not looked into: which variables are used is not known.
    pub(super) is_unsure: bool,
    places: Places,
    damaged: Damaged,
}

/// The dataset of a link. Mistakes go to its findings: the dataset is complete only if there are none.
///
/// For nobody's environment it has no steps and no checks: they are looked at all the same.
pub(super) fn resolve(
    link: &mut Link,
    environment: Option<&Environment>,
    files: &dyn DataFiles,
    sources: &mut Sources,
) -> Option<Dataset> {
    let root = link.root.as_mut()?;
    strip_nulls(root);
    normalise(root);
    let findings = &mut link.findings;
    let variables = put_variables(root, sources, findings);
    let mut found = Findings::default();
    let json = conform(root, &DATASET, &mut found);
    findings.add_unless_damaged(found);
    let mut json = json?;
    if let Some(keys) = json.as_object_mut() {
        // Wrong items are left out of these lists, so that the places of the others would not be known.
        keys.remove("steps");
        keys.remove("check");
    }
    let mut resolver = Resolver {
        directory: Dataset::directory_of(&link.name),
        environment,
        files,
        sources,
        damaged: findings.damaged(),
        findings,
        variables,
        templates: BTreeSet::new(),
        is_unsure: false,
        places: Places::of(root),
    };
    let keys: DatasetKeys = resolver.typed(json, "")?;
    if keys.extends.is_some() && keys.snapshot.is_some() {
        resolver.report(&KeysProblem::TwoBases, "snapshot");
    }
    let base = match (keys.extends, keys.snapshot) {
        (Some(dataset), _) => DatasetBase::Dataset(dataset),
        (None, Some(snapshot)) => DatasetBase::Snapshot(snapshot),
        (None, None) => DatasetBase::Empty,
    };
    let steps = resolver.items(root, "steps", STEPS, Resolver::step);
    let checks = resolver.items(root, "check", CHECKS, Resolver::check);
    resolver.report_unused();
    let written = items_of(root, "steps").len() + items_of(root, "check").len();
    if environment.is_some() && findings.is_empty() && steps.len() + checks.len() != written {
        return None;
    }
    let variables = keys.variables.into_iter();
    Some(Dataset {
        name: link.name.clone(),
        description: keys.description,
        base,
        variables: variables.map(|(name, value)| (name.0, value.0)).collect(),
        steps,
        checks,
    })
}

/// Puts the variables of a dataset into its steps and checks.
fn put_variables(root: &mut Node, sources: &Sources, findings: &mut Findings) -> Variables {
    let Some(root) = root.as_map_mut() else {
        return Variables::default();
    };
    let mut variables = Variables::of(root);
    for key in ["steps", "check"] {
        if let Some(list) = root.get_mut(key) {
            variables.put_into(list, &mut key.to_owned(), sources, findings);
        }
    }
    variables
}

impl Resolver<'_> {
    /// Reports a mistake about the key at `path`.
    pub(super) fn report(&mut self, problem: &dyn Problem, path: &str) {
        let origin = self.places.nearest(path);
        self.findings.add(problem, path, origin);
    }

    /// Checked JSON as keys.
    fn typed<T: DeserializeOwned>(&mut self, json: serde_json::Value, path: &str) -> Option<T> {
        let error = match serde_json::from_value(json) {
            Ok(keys) => return Some(keys),
            Err(error) => error,
        };
        let problem = Unreadable {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        self.report(&problem, path);
        None
    }

    /// The items of the list `key` that nothing is wrong with, as far as their own keys go.
    fn items<K: DeserializeOwned, T>(
        &mut self,
        root: &Node,
        key: &str,
        kinds: &[KindKeys],
        resolve: impl Fn(&mut Self, Kind, K, &str) -> Option<T>,
    ) -> Vec<T> {
        let mut good = Vec::new();
        for (index, node) in items_of(root, key).iter().enumerate() {
            let path = format!("{key}[{index}]");
            let item = self.item(node, key, kinds, &path);
            self.is_unsure |= item.is_none() && kinds::is_template(node);
            good.extend(item.and_then(|(kind, keys)| resolve(self, kind, keys, &path)));
        }
        good
    }

    /// The kind and the keys of an item; `None` if something is wrong with them.
    fn item<K: DeserializeOwned>(
        &mut self,
        node: &Node,
        list: &str,
        kinds: &[KindKeys],
        path: &str,
    ) -> Option<(Kind, K)> {
        let map = node.as_map()?;
        let is_intact = self.damaged.spares(path);
        let kind = is_intact
            .then(|| kinds::kind(map, kinds, path, node.origin, self.findings))
            .flatten();
        let Some(kind) = kind else {
            // Its service can be looked for all the same.
            let service = map.get("service").and_then(Node::as_scalar);
            let at = format!("{path}.service");
            if let Some(name) = service.and_then(|scalar| scalar.text.parse().ok())
                && self.damaged.spares(&at)
            {
                self.service(&name, &at);
            }
            return None;
        };
        let json = conform(node, item_shape(list)?, self.findings)?;
        Some((kind, self.typed(json, path)?))
    }

    fn step(&mut self, kind: Kind, keys: StepKeys, path: &str) -> Option<DataStep> {
        let service = self.service(&keys.service, &format!("{path}.service"));
        let filling = match keys.template {
            Some(true) => Filling::Template,
            Some(false) | None => Filling::AsItIs,
        };
        let at = |key: &str| format!("{path}.{key}");
        let action = match kind {
            Kind::Sql => {
                let statements = self.content(&keys.sql?, filling, &at("sql"))?;
                DataAction::Sql {
                    database: login(keys.client, keys.user, keys.database),
                    statements,
                }
            }
            Kind::Csv => DataAction::Csv(CsvLoad {
                rows: self.content(&keys.csv?, filling, &at("csv"))?,
                database: login(keys.client, keys.user, keys.database),
                table: keys.table?.0,
                columns: columns(keys.columns),
                delimiter: read(keys.delimiter.map(|text| text.0), Delimiter::USUAL)?,
            }),
            Kind::Redis => DataAction::Redis {
                commands: self.content(&keys.redis?, filling, &at("redis"))?,
            },
            Kind::Command => DataAction::Command {
                command: texts(keys.command?),
                stdin: match keys.stdin {
                    Some(stdin) => Some(self.content(&stdin, filling, &at("stdin"))?),
                    None => None,
                },
            },
            Kind::Files => {
                let from = self.file(
                    &keys.files?.0,
                    Wanted::FileOrDirectory,
                    filling,
                    &at("files"),
                );
                let to = keys.to?.normal();
                if let Some(service) = service {
                    self.kept(service, &to, &at("to"));
                }
                DataAction::Files(FilesCopy {
                    from: from?,
                    to,
                    owner: match keys.owner {
                        Some(owner) => Some(owner.0.parse().ok()?),
                        None => None,
                    },
                    mode: read(keys.mode.map(|text| text.0), FileMode::USUAL)?,
                })
            }
            Kind::Http => {
                DataAction::Http(self.request(keys.http?, service, filling, &at("http"))?)
            }
        };
        let origin = self.places.nearest(path);
        let step = DataStep {
            service: service?.name.clone(),
            action,
            within: within(keys.within, builtin::STEP_WITHIN),
            place: self.sources.place(origin),
        };
        if filling == Filling::Template && step.file().is_none() {
            let path = at("template");
            self.report(&KeysProblem::NoTemplate { path: path.clone() }, &path);
        }
        Some(step)
    }

    fn check(&mut self, kind: Kind, keys: CheckKeys, path: &str) -> Option<DataCheck> {
        let service = self.service(&keys.service, &format!("{path}.service"));
        let answer = self.answer(kind, &keys, path);
        let question = match kind {
            Kind::Sql => DataQuestion::Sql {
                database: login(keys.client, keys.user, keys.database),
                query: keys.sql?.0,
            },
            Kind::Command => DataQuestion::Command {
                command: texts(keys.command?),
            },
            Kind::Http => {
                let http = format!("{path}.http");
                DataQuestion::Http(self.request(keys.http?, service, Filling::AsItIs, &http)?)
            }
            Kind::Csv | Kind::Redis | Kind::Files => return None,
        };
        let origin = self.places.nearest(path);
        Some(DataCheck {
            service: service?.name.clone(),
            question,
            answer: answer?,
            within: within(keys.within, builtin::CHECK_WITHIN),
            place: self.sources.place(origin),
        })
    }

    fn answer(&mut self, kind: Kind, keys: &CheckKeys, path: &str) -> Option<Answer> {
        let answer = match (&keys.equals, &keys.contains, &keys.matches) {
            (None, None, None) if kind != Kind::Sql => Answer::Any,
            (Some(text), None, None) => Answer::Equals(text.0.clone()),
            (None, Some(text), None) => Answer::Contains(text.0.clone()),
            (None, None, Some(pattern)) => Answer::Matches(pattern.0.parse().ok()?),
            _ => {
                let problem = KeysProblem::Answers {
                    path: path.to_owned(),
                    wanted: if kind == Kind::Sql {
                        "exactly"
                    } else {
                        "at most"
                    },
                };
                self.report(&problem, path);
                return None;
            }
        };
        Some(answer)
    }

    fn content(&mut self, keys: &ContentKeys, filling: Filling, path: &str) -> Option<DataText> {
        match (&keys.file, &keys.text) {
            (Some(file), None) => {
                let path = format!("{path}.file");
                let file = self.file(&file.0, Wanted::File, filling, &path)?;
                Some(DataText::File(file))
            }
            (None, Some(text)) => Some(DataText::Inline(text.0.clone())),
            _ => {
                let path_text = path.to_owned();
                self.report(&KeysProblem::Content { path: path_text }, path);
                self.is_unsure |= filling == Filling::Template;
                None
            }
        }
    }

    fn request(
        &mut self,
        keys: HttpKeys,
        service: Option<&Service>,
        filling: Filling,
        path: &str,
    ) -> Option<HttpRequest> {
        let port = service.and_then(|service| self.port(service, keys.port, path));
        let body = match (keys.body, keys.body_file) {
            (Some(_), Some(_)) => {
                let path_text = path.to_owned();
                self.report(&KeysProblem::TwoBodies { path: path_text }, path);
                self.is_unsure |= filling == Filling::Template;
                return None;
            }
            (Some(text), None) => Some(DataText::Inline(text.0)),
            (None, Some(file)) => {
                let path = format!("{path}.bodyFile");
                let file = self.file(&file.0, Wanted::File, filling, &path)?;
                Some(DataText::File(file))
            }
            (None, None) => None,
        };
        let usual = if body.is_some() {
            HttpMethod::Post
        } else {
            HttpMethod::Get
        };
        let headers: BTreeMap<String, String> = keys
            .headers
            .into_iter()
            .map(|(name, value)| (name.0, value.0))
            .collect();
        Some(HttpRequest {
            method: keys.method.unwrap_or(usual),
            port: port?,
            path: keys.path.0,
            headers,
            body,
            expect: keys
                .expect
                .map_or(ExpectedStatus::Success, ExpectedStatus::Exactly),
        })
    }

    fn report_unused(&mut self) {
        if !self.is_unsure {
            let place = |path: &str| self.places.nearest(path);
            self.variables.report_unused(place, self.findings);
        }
    }
}

/// The items of a list of `dataset.yaml`.
fn items_of<'a>(root: &'a Node, key: &str) -> &'a [Node] {
    let list = root.as_map().and_then(|map| map.get(key));
    match list.map(|node| &node.value) {
        Some(Value::List(items)) => items,
        _ => &[],
    }
}

/// The shape of the items of a list of `dataset.yaml`.
fn item_shape(list: &str) -> Option<&'static Shape> {
    let Shape::Object(dataset) = &*DATASET else {
        return None;
    };
    match dataset.keys.get(list)? {
        Shape::List { items, .. } => Some(items),
        _ => None,
    }
}

/// A text of a format as what it says, or the usual one.
fn read<T: FromStr>(text: Option<String>, usual: T) -> Option<T> {
    match text {
        Some(text) => text.parse().ok(),
        None => Some(usual),
    }
}

fn login(
    client: Option<ClientKey>,
    user: Option<OneLine>,
    database: Option<OneLine>,
) -> DatabaseLogin {
    DatabaseLogin {
        client: match client {
            None | Some(ClientKey::Psql) => SqlClient::Psql,
            Some(ClientKey::Mysql) => SqlClient::Mysql,
        },
        user: user.map(|user| user.0),
        database: database.map(|database| database.0),
    }
}

fn columns(keys: Option<Vec<OneLine>>) -> CsvColumns {
    match keys {
        Some(names) => CsvColumns::Named(names.into_iter().map(|name| name.0).collect()),
        None => CsvColumns::FirstLine,
    }
}
