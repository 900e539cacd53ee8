//! Changes of keys: which file is changed, how, and whether the whole is still good.

use std::{
    collections::BTreeMap,
    fmt, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde_json::Value as Json;

use super::{KeyPath, View, edit, known::known};
use crate::{
    domain::{ExitClass, Failure, Failures, ProfileName, ProjectFiles},
    manifest::{
        Request,
        layers::{self, MANIFEST_FILE},
        load,
        problem::Problem as _,
    },
};

/// A layer that is a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layer {
    /// The manifest itself.
    Manifest,
    /// The overlay beside it that is not committed.
    Local,
    /// A profile.
    Profile(ProfileName),
}

/// A text that names no layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a layer is `manifest`, `local` or the name of a profile")]
pub struct InvalidLayer;

impl FromStr for Layer {
    type Err = InvalidLayer;

    fn from_str(text: &str) -> Result<Self, InvalidLayer> {
        match text {
            "manifest" => Ok(Self::Manifest),
            "local" => Ok(Self::Local),
            name => name.parse().map(Self::Profile).map_err(|_| InvalidLayer),
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest => f.write_str("manifest"),
            Self::Local => f.write_str("local"),
            Self::Profile(name) => f.write_str(name.as_str()),
        }
    }
}

impl Layer {
    /// The request with this layer among its own: a profile that is shown or changed must be a good one.
    pub fn among(layer: Option<&Self>, request: &Request) -> Request {
        let mut request = request.clone();
        if let Some(Self::Profile(name)) = layer
            && !request.profiles.contains(name)
        {
            request.profiles.push(name.clone());
        }
        request
    }

    /// Its file, relative to the project or as the request names it.
    pub fn file(&self, request: &Request) -> PathBuf {
        let manifest = request.file.clone();
        let manifest = manifest.unwrap_or_else(|| PathBuf::from(MANIFEST_FILE));
        match self {
            Self::Manifest => manifest,
            Self::Local => layers::local_file(&manifest),
            Self::Profile(name) => layers::profile_file(name),
        }
    }
}

/// What is to be done with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It gets a value, a text in YAML.
    Set(KeyPath, String),
    /// It is removed from where it is written.
    Unset(KeyPath),
}

impl Change {
    /// The key that is changed.
    pub const fn key(&self) -> &KeyPath {
        match self {
            Self::Set(key, _) | Self::Unset(key) => key,
        }
    }
}

/// A key that was changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// The key, without other names for it.
    pub key: String,
    /// The file in which it is, relative to the project or as the request names it.
    pub file: PathBuf,
    /// What held before.
    pub before: Option<Json>,
    /// What holds now.
    pub after: Option<Json>,
    /// The file and line of another layer that has the last word, if one has.
    pub overridden: Option<String>,
}

/// What changes come to. Nothing is written yet.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Edited {
    /// The texts of the files that change.
    pub files: BTreeMap<PathBuf, String>,
    /// What becomes of each key.
    pub changed: Vec<Changed>,
}

/// Works out changes of a manifest, in one layer if one is named. All of them are good together, or none is.
pub fn change(
    request: &Request,
    changes: &[Change],
    layer: Option<&Layer>,
    files: &dyn ProjectFiles,
) -> Result<Edited, Failures> {
    let request = &Layer::among(layer, request);
    for change in changes {
        known(change.key()).map_err(|unknown| unknown.failure())?;
    }
    let before = View::of(request, files)?;
    let mut edited = Over {
        below: files,
        texts: BTreeMap::new(),
    };
    let mut places = Vec::new();
    for change in changes {
        let file = file_for(change, layer, request, &before)?;
        edited.change(change, &file)?;
        places.push(file);
    }
    load(request, &edited).map_err(|failures| {
        failures
            .map(|failure| failure.help("nothing was written; the line is shown as it would be"))
    })?;
    let after = View::of(request, &edited)?;
    let changed = changes.iter().zip(places);
    let changed = changed.map(|(change, file)| told(change, file, &before, &after));
    Ok(Edited {
        changed: changed.collect::<Result<_, _>>()?,
        files: edited.texts,
    })
}

/// The file that is changed: the last in which the key is written, unless a layer is named.
fn file_for(
    change: &Change,
    layer: Option<&Layer>,
    request: &Request,
    view: &View,
) -> Result<PathBuf, Failure> {
    let key = change.key();
    let file = match layer {
        Some(layer) => return Ok(layer.file(request)),
        None => view.last_file(key).map(Path::to_owned),
    };
    match (file, change) {
        (Some(file), _) => Ok(file),
        (None, Change::Set(..)) => Ok(Layer::Manifest.file(request)),
        (None, Change::Unset(_)) => Err(not_written(key, "no file")),
    }
}

fn told(change: &Change, file: PathBuf, before: &View, after: &View) -> Result<Changed, Failure> {
    let key = change.key();
    let explained = after.explain(key)?;
    let winner = explained.written.first();
    let winner = winner.filter(|winner| winner.place.file != file);
    Ok(Changed {
        key: key.to_string(),
        before: before.value(key)?,
        after: explained.value,
        overridden: winner
            .map(|winner| format!("{}:{}", winner.place.file.display(), winner.place.line)),
        file,
    })
}

fn not_written(key: &KeyPath, whereof: &str) -> Failure {
    Failure::new(
        "config.not-written",
        ExitClass::Usage,
        format!("`{key}` is written in {whereof}"),
    )
    .help(format!(
        "devenv config explain '{key}'   # says where it comes from"
    ))
}

/// The files of a project with other texts for some of them.
struct Over<'a> {
    below: &'a dyn ProjectFiles,
    texts: BTreeMap<PathBuf, String>,
}

impl Over<'_> {
    fn change(&mut self, change: &Change, file: &Path) -> Result<(), Failure> {
        let text = match self.read(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(layers::unreadable_problem(file, &error).failure()),
        };
        let text = match change {
            Change::Set(key, value) => edit::set(&text, key, value),
            Change::Unset(key) => match edit::unset(&text, key) {
                Ok(Some(text)) => Ok(text),
                Ok(None) => {
                    return Err(not_written(
                        key,
                        &format!("other files, not in {}", file.display()),
                    ));
                }
                Err(problem) => Err(problem),
            },
        };
        let text = text.map_err(|problem| {
            let failure = problem.failure();
            failure.because(format!("{} is the file to be changed", file.display()))
        })?;
        self.texts.insert(file.to_owned(), text);
        Ok(())
    }
}

impl ProjectFiles for Over<'_> {
    fn read(&self, path: &Path) -> io::Result<String> {
        match self.texts.get(path) {
            Some(text) => Ok(text.clone()),
            None => self.below.read(path),
        }
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        match self.texts.get(path) {
            Some(text) => Ok(text.len() as u64),
            None => self.below.length(path),
        }
    }

    fn is_directory(&self, path: &Path) -> bool {
        self.below.is_directory(path)
    }

    fn is_file(&self, path: &Path) -> bool {
        self.texts.contains_key(path) || self.below.is_file(path)
    }

    fn names(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.below.names(directory)
    }

    fn glob(&self, pattern: &str) -> io::Result<Vec<PathBuf>> {
        self.below.glob(pattern)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::testing::{DIRECTORY, MemoryFiles, render};

    const MANIFEST: &str = "\
apiVersion: devenv/v1
name: shop
services:
  order: { image: order:1 }   # takes orders
  stock: { image: stock:1, replicas: 2 }
";

    fn project() -> MemoryFiles {
        MemoryFiles::with_manifest(MANIFEST).file(
            "devenv.local.yaml",
            "# mine\nservices: { stock: { replicas: 3 } }\n",
        )
    }

    fn changed(
        files: &MemoryFiles,
        changes: &[(&str, Option<&str>)],
        layer: Option<&Layer>,
    ) -> Result<Edited, String> {
        let request = Request {
            directory: PathBuf::from(DIRECTORY),
            ..Request::default()
        };
        let changes: Vec<Change> = changes
            .iter()
            .map(|(key, value)| match value {
                Some(value) => Change::Set(key.parse().unwrap(), (*value).to_owned()),
                None => Change::Unset(key.parse().unwrap()),
            })
            .collect();
        change(&request, &changes, layer, files).map_err(|failures| render(&failures))
    }

    #[test]
    fn a_key_is_changed_where_it_is_written_last_else_in_the_manifest() {
        let set = [
            ("services.stock.replicas", Some("4")),
            ("services.order.replicas", Some("2")),
        ];
        let edited = changed(&project(), &set, None).unwrap();
        let local = &edited.files[Path::new("devenv.local.yaml")];
        assert_eq!(local, "# mine\nservices: { stock: { replicas: 4 } }\n");
        let manifest = &edited.files[Path::new("devenv.yaml")];
        let expected = MANIFEST.replace("order:1 }", "order:1, replicas: 2 }");
        assert_eq!(*manifest, expected);
        let [stock, order] = edited.changed.as_slice() else {
            panic!("{edited:?}")
        };
        assert_eq!(
            (&stock.before, &stock.after),
            (&Some(3.into()), &Some(4.into()))
        );
        assert_eq!(
            (&order.before, &order.after),
            (&Some(1.into()), &Some(2.into()))
        );
    }

    #[test]
    fn a_named_layer_is_changed_and_who_has_the_last_word_is_told() {
        let set = [("services.stock.replicas", Some("5"))];
        let edited = changed(&project(), &set, Some(&Layer::Manifest)).unwrap();
        let told = &edited.changed[0];
        assert_eq!(told.after, Some(3.into()));
        assert_eq!(told.overridden.as_deref(), Some("devenv.local.yaml:2"));
        let set = [("services.order.replicas", Some("5"))];
        let profile = Layer::Profile("load".parse().unwrap());
        let files = project().file("profiles/load.yaml", "description: Much.\n");
        let edited = changed(&files, &set, Some(&profile)).unwrap();
        let text = &edited.files[Path::new("profiles/load.yaml")];
        assert_eq!(
            text,
            "description: Much.\nservices:\n  order:\n    replicas: 5\n"
        );
    }

    #[test]
    fn what_would_not_be_good_is_refused_and_nothing_changes() {
        let set = [
            ("services.order.replicas", Some("2")),
            ("services.order.dependsOn", Some("[nobody]")),
        ];
        assert!(
            changed(&project(), &set, None)
                .unwrap_err()
                .contains("nobody")
        );
        let set = [("services.order.replicas", Some("many"))];
        assert!(
            changed(&project(), &set, None)
                .unwrap_err()
                .contains("whole number")
        );
        let set = [("services.order.replica", Some("2"))];
        assert!(
            changed(&project(), &set, None)
                .unwrap_err()
                .contains("`replicas`")
        );
    }

    #[test]
    fn a_key_that_is_removed_falls_back_to_the_layer_below() {
        let unset = [("services.stock.replicas", None)];
        let edited = changed(&project(), &unset, None).unwrap();
        assert_eq!(edited.changed[0].after, Some(2.into()));
        assert_eq!(edited.files[Path::new("devenv.local.yaml")], "# mine\n");
        let refused = changed(&project(), &[("services.order.replicas", None)], None);
        assert!(refused.unwrap_err().contains("config.not-written"));
    }

    #[test]
    fn an_alias_is_set_as_the_key_that_it_stands_for() {
        let set = [("kubernetes.version", Some("1.34"))];
        let edited = changed(&project(), &set, None).unwrap();
        assert_eq!(edited.changed[0].key, "cluster.kubernetes");
        assert_eq!(edited.changed[0].after, Some("1.34".into()));
    }
}
