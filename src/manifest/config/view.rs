//! A manifest as the layers in which it is written, and what they come to.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::{
    key::{KeyPath, Step, follow, place_of},
    known::{Known, known, typed},
};
use crate::{
    domain::{Failure, Failures, Place, ProjectFiles},
    manifest::{
        Request, layers, merge, normal,
        problem::{Findings, Problem as _},
        set,
        source::Sources,
        tree::{Node, Value},
    },
};

/// A manifest whose files are YAML, whatever else may be wrong with them.
pub struct View {
    sources: Sources,
    /// In the order in which they are laid over each other, each with its short forms written out.
    layers: Vec<Node>,
    /// What they come to, `--set` flags included.
    root: Node,
    /// The flags, laid over nothing.
    flags: Option<Node>,
}

/// Where a value is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// The file and line, or the flag.
    pub place: Place,
    /// The key that is written there: a value of a service may come from `defaults`.
    pub key: String,
    /// What is written; `None` where it takes away what layers below say.
    pub value: Option<Json>,
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// The key, without other names for it.
    pub key: String,
    /// The value that holds; `None` if nothing does.
    pub value: Option<Json>,
    /// Where it is written, the one that wins first. Maps are put together of all.
    pub written: Vec<Written>,
    /// What holds where nothing is written.
    pub builtin: Option<Json>,
    /// What it is for.
    pub meaning: String,
}

impl View {
    /// That of a project's manifest. Only mistakes in the form of its files are looked for.
    pub fn of(request: &Request, files: &dyn ProjectFiles) -> Result<Self, Failures> {
        let (mut sources, mut findings) = (Sources::default(), Findings::default());
        let written = layers::each(request, files, &mut sources, &mut findings)?;
        let layers = written.map(|written| written.layers).unwrap_or_default();
        let mut root = layers.iter().cloned().reduce(merge::merge);
        let mut flags: Option<Node> = None;
        for flag in &request.sets {
            let Some(root) = &mut root else { continue };
            set::apply(root, flag, &mut sources, &mut findings);
            let mut alone = Node::new(Value::Null, root.origin);
            // What is wrong with a flag is said already.
            set::apply(&mut alone, flag, &mut sources, &mut Findings::default());
            flags = Some(match flags {
                Some(before) => merge::merge(before, alone),
                None => alone,
            });
        }
        if let Some(failures) = Failures::from_list(findings.into_failures(&sources)) {
            return Err(failures);
        }
        let mut root = root.unwrap_or_else(Node::empty);
        normal::normalise(&mut root);
        merge::apply_defaults(&mut root);
        merge::strip_nulls(&mut root);
        Ok(Self {
            sources,
            layers,
            root,
            flags,
        })
    }

    /// All that is written and holds.
    pub fn whole(&self) -> Json {
        typed(&self.root, &KeyPath::of(&[]))
    }

    /// All keys that are written, those above others too, and the other names that keys have.
    pub fn keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        collect(&self.whole(), &mut Vec::new(), &mut keys);
        let others = KeyPath::aliases()
            .iter()
            .map(|(name, _)| (*name).to_owned());
        keys.extend(others);
        keys
    }

    /// What one file says, by its path as in [`files`](Self::files).
    pub fn layer(&self, file: &Path) -> Option<Json> {
        let mut layers = self.layers.iter();
        let layer = layers.find(|layer| self.file(layer) == file)?;
        Some(typed(layer, &KeyPath::of(&[])))
    }

    /// The files, relative to the project where they are inside it, in the order in which they are laid over each other.
    pub fn files(&self) -> Vec<PathBuf> {
        let files = self.layers.iter().map(|layer| self.file(layer).to_owned());
        files.collect()
    }

    fn file(&self, layer: &Node) -> &Path {
        self.sources.file(layer.origin.source)
    }

    /// What holds for a key; `None` if nothing is written and nothing is built in.
    pub fn value(&self, key: &KeyPath) -> Result<Option<Json>, Failure> {
        let known = known(key).map_err(|unknown| unknown.failure())?;
        Ok(self.written_value(key).or(known.builtin))
    }

    /// What is written for a key, whoever wrote it.
    pub(super) fn written_value(&self, key: &KeyPath) -> Option<Json> {
        follow(&self.root, key.steps()).map(|node| typed(node, key))
    }

    /// The last file in which a key itself is written.
    pub(super) fn last_file(&self, key: &KeyPath) -> Option<&Path> {
        let mut layers = self.layers.iter().rev();
        let layer = layers.find(|layer| follow(layer, key.steps()).is_some())?;
        Some(self.file(layer))
    }

    /// Who says what about a key.
    pub fn explain(&self, key: &KeyPath) -> Result<Explained, Failure> {
        let Known { meaning, builtin } = known(key).map_err(|unknown| unknown.failure())?;
        let layers = || self.flags.iter().chain(self.layers.iter().rev());
        let mut written: Vec<Written> = layers()
            .filter_map(|layer| self.written(layer, key))
            .collect();
        // What is under `defaults` is under all that services say themselves.
        if let Some(default) = key.in_defaults() {
            written.extend(layers().filter_map(|layer| self.written(layer, &default)));
        }
        Ok(Explained {
            key: key.to_string(),
            value: self.written_value(key).or_else(|| builtin.clone()),
            written,
            builtin,
            meaning,
        })
    }

    fn written(&self, layer: &Node, key: &KeyPath) -> Option<Written> {
        let node = follow(layer, key.steps())?;
        let origin = place_of(layer, key.steps()).unwrap_or(node.origin);
        Some(Written {
            place: self.sources.place(origin),
            key: key.to_string(),
            value: (node.value != Value::Null).then(|| typed(node, key)),
        })
    }
}

fn collect(value: &Json, above: &mut Vec<Step>, keys: &mut Vec<String>) {
    let below: Vec<(Step, &Json)> = match value {
        Json::Object(map) => map
            .iter()
            .map(|(key, value)| (Step::Key(key.clone()), value))
            .collect(),
        Json::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, value)| (Step::Item(index), value))
            .collect(),
        _ => return,
    };
    for (step, value) in below {
        above.push(step);
        keys.push(KeyPath::of(above).to_string());
        collect(value, above, keys);
        above.pop();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manifest::testing::{DIRECTORY, MemoryFiles};

    fn view(files: &MemoryFiles, profiles: &[&str], sets: &[&str]) -> View {
        let request = Request {
            directory: PathBuf::from(DIRECTORY),
            profiles: profiles.iter().map(|name| name.parse().unwrap()).collect(),
            sets: sets.iter().map(|flag| (*flag).to_owned()).collect(),
            ..Request::default()
        };
        View::of(&request, files).unwrap()
    }

    fn project() -> MemoryFiles {
        let manifest = "apiVersion: devenv/v1\n\
                        name: shop\n\
                        defaults: { env: { LEVEL: info } }\n\
                        services:\n\
                        \x20 order: { image: order:1, replicas: 2 }\n\
                        \x20 stock: { image: stock:1, env: { LEVEL: debug } }\n";
        MemoryFiles::with_manifest(manifest)
            .file("profiles/load.yaml", "services: { order: { replicas: 5 } }")
            .file(
                "devenv.local.yaml",
                "services: { order: { replicas: null } }",
            )
    }

    fn told(view: &View, key: &str) -> Vec<String> {
        let explained = view.explain(&key.parse().unwrap()).unwrap();
        let one = |written: &Written| {
            let value = written.value.as_ref().map(ToString::to_string);
            format!(
                "{} {} {}",
                written.place,
                written.key,
                value.unwrap_or_default()
            )
        };
        explained.written.iter().map(one).collect()
    }

    #[test]
    fn all_keys_that_are_written_are_known() {
        let files = MemoryFiles::with_manifest(
            "apiVersion: devenv/v1\nname: a\nservices: { x: { image: y, ports: [80], env: { A.B: 1 } } }\n",
        );
        let keys = view(&files, &[], &[]).keys();
        for key in [
            "services.x",
            "services.x.ports[0].port",
            r"services.x.env.A\.B",
            "kubernetes.version",
        ] {
            assert!(keys.iter().any(|known| known == key), "{key}: {keys:?}");
        }
        let are_keys = keys.iter().all(|key| key.parse::<KeyPath>().is_ok());
        assert!(are_keys, "{keys:?}");
    }

    #[test]
    fn a_key_is_explained_by_all_who_write_it_the_winner_first() {
        let view = view(&project(), &["load"], &[]);
        assert_eq!(
            told(&view, "services.order.replicas"),
            [
                "devenv.local.yaml:1:22 services.order.replicas ",
                "profiles/load.yaml:1:32 services.order.replicas 5",
                "devenv.yaml:5:38 services.order.replicas 2",
            ]
        );
        let explained = view.explain(&"services.order.replicas".parse().unwrap());
        let explained = explained.unwrap();
        assert_eq!(
            (explained.value, explained.builtin),
            (Some(json!(1)), Some(json!(1)))
        );
    }

    #[test]
    fn what_a_service_does_not_say_itself_comes_from_the_defaults() {
        let view = view(&project(), &[], &["services.order.env.LEVEL=trace"]);
        assert_eq!(
            told(&view, "services.order.env.LEVEL"),
            [
                "--set:1:26 services.order.env.LEVEL \"trace\"",
                "devenv.yaml:3:27 defaults.env.LEVEL \"info\"",
            ]
        );
        let of_stock = "services.stock.env.LEVEL".parse().unwrap();
        assert_eq!(view.value(&of_stock).unwrap(), Some(json!("debug")));
    }

    #[test]
    fn a_layer_is_what_its_file_says_with_short_forms_written_out() {
        let view = view(&project(), &["load"], &[]);
        let files = ["devenv.yaml", "profiles/load.yaml", "devenv.local.yaml"];
        assert_eq!(view.files(), files.map(PathBuf::from));
        let load = view.layer(Path::new("profiles/load.yaml")).unwrap();
        assert_eq!(load, json!({ "services": { "order": { "replicas": 5 } } }));
        assert_eq!(view.layer(Path::new("other.yaml")), None);
        assert_eq!(
            view.whole()["services"]["order"],
            json!({ "image": "order:1", "env": { "LEVEL": "info" } })
        );
    }
}
