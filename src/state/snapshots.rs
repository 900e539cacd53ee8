//! The snapshots of an environment: a file describes each. What no file describes is none, whatever there is of its
//! data: the file is written last and removed first.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize, de::Error as _};
use serde_json::Value;

use super::EnvironmentPaths;
use crate::{
    adapters::files::{self, FileError},
    domain::{ExitClass, Failure, InputsHash, Snapshot, SnapshotName},
};

/// The form of the description that this program writes. A higher number is a newer program's.
const SCHEMA: u32 = 2;
/// The form that had no digest of what it says.
const WITHOUT_DIGEST: u32 = 1;
const DIGEST: &str = "digest";
const ENDING: &str = "json";

/// The descriptions of an environment's snapshots.
#[derive(Debug, Clone)]
pub struct SnapshotStore {
    directory: PathBuf,
}

/// A snapshot as it is kept.
#[derive(Debug)]
pub enum KeptSnapshot {
    /// It can be used.
    Good(Box<Snapshot>),
    /// It cannot.
    Unusable(SnapshotName, SnapshotError),
}

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// A newer devenv made it.
    #[error("{} has form {found}; this devenv knows forms up to {SCHEMA}", path.display())]
    Newer {
        /// Where it is described.
        path: PathBuf,
        /// Its form.
        found: u32,
    },
    /// Its description is not one.
    #[error("the description of a snapshot in {} is damaged", path.display())]
    Damaged {
        /// Where it is described.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
}

impl SnapshotError {
    /// What a user is told.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Newer { .. } => Failure::new("snapshot.newer", ExitClass::Data, self.to_string())
                .help("use the devenv that made it, or a newer one"),
            Self::Damaged { path, source } => {
                Failure::new("snapshot.damaged", ExitClass::Data, self.to_string())
                    .because(source.to_string())
                    .help("devenv snapshot remove NAME   # removes one that is kept")
                    .help(format!("look at it: less {}", path.display()))
            }
            Self::File(error) => error.failure(),
        }
    }
}

/// Read first, so that a newer description is told from a damaged one.
#[derive(Deserialize)]
struct Form {
    schema: u32,
}

#[derive(Serialize, Deserialize)]
struct Description {
    schema: u32,
    #[serde(flatten)]
    snapshot: Snapshot,
}

impl SnapshotStore {
    /// Those of an environment.
    pub fn of(paths: &EnvironmentPaths) -> Self {
        Self {
            directory: paths.snapshots(),
        }
    }

    /// What an environment's datasets came to, kept in the same form.
    pub fn prepared(paths: &EnvironmentPaths) -> Self {
        Self {
            directory: paths.prepared(),
        }
    }

    /// All snapshots, by name.
    pub fn list(&self) -> Result<Vec<KeptSnapshot>, FileError> {
        if !files::exists(&self.directory) {
            return Ok(Vec::new());
        }
        let mut names: Vec<SnapshotName> = files::list(&self.directory)?
            .iter()
            .filter_map(|path| name_of(path))
            .collect();
        names.sort();
        let kept = names.into_iter().filter_map(|name| match self.find(&name) {
            Ok(snapshot) => snapshot.map(|it| KeptSnapshot::Good(Box::new(it))),
            Err(error) => Some(KeptSnapshot::Unusable(name, error)),
        });
        Ok(kept.collect())
    }

    /// The snapshot of a name; `None` if there is none.
    pub fn find(&self, name: &SnapshotName) -> Result<Option<Snapshot>, SnapshotError> {
        let path = self.path(name);
        let Some(text) = files::read_if_there(&path)? else {
            return Ok(None);
        };
        let snapshot = understand(&text, &path)?;
        // The name of the file is what the user calls it, also where it was copied by hand.
        Ok(Some(Snapshot {
            name: name.clone(),
            ..snapshot
        }))
    }

    /// Whether there is one of a name, be it one that cannot be used.
    pub fn has(&self, name: &SnapshotName) -> bool {
        files::exists(&self.path(name))
    }

    /// Makes a snapshot be there, its data being complete and on disk.
    pub fn keep(&self, snapshot: &Snapshot) -> Result<(), FileError> {
        let path = self.path(&snapshot.name);
        files::write_private(&path, &describe(snapshot))
    }

    /// Makes a snapshot be there no more; its data is to be removed afterwards.
    pub fn forget(&self, name: &SnapshotName) -> Result<(), FileError> {
        files::remove_file_for_good(&self.path(name))
    }

    fn path(&self, name: &SnapshotName) -> PathBuf {
        self.directory.join(format!("{name}.{ENDING}"))
    }
}

/// The description of a snapshot, as JSON.
pub fn describe(snapshot: &Snapshot) -> Vec<u8> {
    let description = Description {
        schema: SCHEMA,
        snapshot: snapshot.clone(),
    };
    let mut said = serde_json::to_value(&description).unwrap_or_default();
    let digest = digest_of(&said);
    if let Some(fields) = said.as_object_mut() {
        fields.insert(DIGEST.to_owned(), digest.into());
    }
    serde_json::to_vec_pretty(&said).unwrap_or_default()
}

/// What is changed of a description is found by it.
fn digest_of(said: &Value) -> String {
    let mut sorted = said.clone();
    sorted.sort_all_objects();
    InputsHash::of(sorted.to_string().as_bytes())
        .as_str()
        .to_owned()
}

fn with_digest_checked(description: &[u8]) -> Result<(), serde_json::Error> {
    let mut said: Value = serde_json::from_slice(description)?;
    let fields = said.as_object_mut();
    let digest = fields.and_then(|fields| fields.shift_remove(DIGEST));
    if digest == Some(digest_of(&said).into()) {
        return Ok(());
    }
    Err(serde_json::Error::custom(
        "it does not say what was written: its digest is another",
    ))
}

/// The snapshot of a description, which is in the file at `path`.
pub fn understand(description: &[u8], path: &Path) -> Result<Snapshot, SnapshotError> {
    let damaged = |source| SnapshotError::Damaged {
        path: path.to_owned(),
        source,
    };
    let form: Form = serde_json::from_slice(description).map_err(damaged)?;
    if form.schema > SCHEMA {
        return Err(SnapshotError::Newer {
            path: path.to_owned(),
            found: form.schema,
        });
    }
    if form.schema != WITHOUT_DIGEST {
        with_digest_checked(description).map_err(damaged)?;
    }
    let description: Description = serde_json::from_slice(description).map_err(damaged)?;
    Ok(description.snapshot)
}

fn name_of(path: &Path) -> Option<SnapshotName> {
    let has_ending = path.extension().is_some_and(|ending| ending == ENDING);
    has_ending.then(|| path.file_stem()?.to_str()?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::snapshot;

    fn store() -> (tempfile::TempDir, SnapshotStore) {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().to_owned();
        (home, SnapshotStore { directory })
    }

    fn names(store: &SnapshotStore) -> Vec<String> {
        let kept = store.list().unwrap().into_iter();
        kept.map(|kept| match kept {
            KeptSnapshot::Good(snapshot) => snapshot.name.to_string(),
            KeptSnapshot::Unusable(name, error) => format!("{name}: {}", error.failure().code.0),
        })
        .collect()
    }

    #[test]
    fn what_is_kept_is_found_as_it_was_until_it_is_forgotten() {
        let (_home, store) = store();
        for name in ["b", "a"] {
            store.keep(&snapshot(name)).unwrap();
        }
        assert_eq!(names(&store), ["a", "b"]);
        let found = store.find(&"a".parse().unwrap()).unwrap();
        assert_eq!(found, Some(snapshot("a")));
        store.forget(&"a".parse().unwrap()).unwrap();
        assert_eq!(names(&store), ["b"]);
        assert!(!store.has(&"a".parse().unwrap()));
    }

    #[test]
    fn what_cannot_be_used_is_listed_and_says_why() {
        let (home, store) = store();
        let write = |name: &str, text: &str| {
            files::write_private(&home.path().join(name), text.as_bytes()).unwrap();
        };
        write("cut.json", r#"{"schema":1,"name":"#);
        write("future.json", r#"{"schema":99}"#);
        write("hostile.json", r#"{"schema":1,"name":"../../x"}"#);
        write("notes.txt", "not a snapshot");
        assert_eq!(
            names(&store),
            [
                "cut: snapshot.damaged",
                "future: snapshot.newer",
                "hostile: snapshot.damaged"
            ]
        );
    }

    #[test]
    fn every_bit_of_a_description_that_is_turned_is_found() {
        let good = describe(&snapshot("a"));
        let path = Path::new("a.json");
        assert_eq!(understand(&good, path).unwrap(), snapshot("a"));
        for at in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[at / 8] ^= 1 << (at % 8);
            let text = String::from_utf8_lossy(&bad);
            assert!(understand(&bad, path).is_err(), "bit {at}: {text}");
        }
    }

    #[test]
    fn a_description_from_before_there_were_digests_is_understood() {
        let description = Description {
            schema: WITHOUT_DIGEST,
            snapshot: snapshot("a"),
        };
        let text = serde_json::to_vec(&description).unwrap();
        let found = understand(&text, Path::new("a.json")).unwrap();
        assert_eq!(found, snapshot("a"));
    }

    #[test]
    fn without_a_directory_there_are_none() {
        let (home, store) = store();
        drop(home);
        assert_eq!(names(&store), [] as [&str; 0]);
    }
}
