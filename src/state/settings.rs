//! The settings of this machine, for all projects: `config.yaml` in the user's configuration directory.
//!
//! They hold what belongs to a machine: where images come from behind a mirror or without a registry,
//! and which binaries to use.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use crate::{
    adapters::files::{self, FileError},
    domain::{ExitClass, Failure, InvalidDuration, Memory, Place, Retention, parse_duration},
};

/// The settings; everything has a default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// The node image for a Kubernetes version, minor or exact: `"1.35": registry.example/k3s:v1.35.4`.
    pub node_images: BTreeMap<String, String>,
    /// Images that the cluster needs beside its nodes.
    pub images: SupportImages,
    /// The programs that devenv runs.
    pub binaries: Binaries,
    /// What volumes are kept in.
    pub volumes: VolumeSetting,
    /// Which snapshots stay where a manifest does not say it.
    pub snapshots: SnapshotSettings,
    /// Directories of projects whose commands may run on this machine, and of all projects below.
    pub trust: Vec<TrustedDirectory>,
}

/// A directory whose projects are trusted: `/home/you/work`, or `~/work`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct TrustedDirectory(String);

/// A directory that depends on where devenv is started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not where a directory always is: write it like `/home/you/work` or `~/work`")]
pub struct RelativeDirectory(String);

impl TryFrom<String> for TrustedDirectory {
    type Error = RelativeDirectory;
    fn try_from(text: String) -> Result<Self, RelativeDirectory> {
        let is_below_home = text == "~" || text.starts_with("~/");
        if is_below_home || Path::new(&text).is_absolute() {
            Ok(Self(text))
        } else {
            Err(RelativeDirectory(text))
        }
    }
}

impl TrustedDirectory {
    /// The directory, absolute; `None` if it is below a home and there is none.
    pub fn path(&self, home: Option<&Path>) -> Option<PathBuf> {
        match self.0.strip_prefix('~') {
            Some(below) => Some(home?.join(below.trim_start_matches('/'))),
            None => Some(PathBuf::from(&self.0)),
        }
    }
}

/// What the volumes of new environments are kept in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum VolumeSetting {
    /// Whatever copies data fastest here.
    #[default]
    Auto,
    /// A plain directory, in any case.
    Directory,
}

/// Which snapshots stay: the keys of the manifest's `snapshots`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SnapshotSettings {
    /// So many, the newest.
    pub keep: Option<usize>,
    /// Those that are not older.
    pub older_than: Option<Age>,
    /// As many of the newest as hold no more data together.
    pub max_size: Option<Memory>,
}

/// An age such as `30d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Age(Duration);

impl TryFrom<String> for Age {
    type Error = InvalidDuration;
    fn try_from(text: String) -> Result<Self, InvalidDuration> {
        parse_duration(&text).map(Self)
    }
}

impl SnapshotSettings {
    /// The same as bounds.
    pub fn retention(&self) -> Retention {
        Retention {
            keep: self.keep,
            older_than: self.older_than.map(|age| age.0),
            max_size: self.max_size,
        }
    }
}

/// Images that the cluster needs beside its nodes; `None` takes k3d's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SupportImages {
    /// k3d's load balancer.
    pub load_balancer: Option<String>,
    /// k3d's tools.
    pub tools: Option<String>,
    /// The image registry.
    pub registry: Option<String>,
}

/// Paths of programs; `None` looks on `PATH`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Binaries {
    /// k3d.
    pub k3d: Option<PathBuf>,
    /// Helm.
    pub helm: Option<PathBuf>,
    /// The docker client.
    pub docker: Option<PathBuf>,
    /// kubectl.
    pub kubectl: Option<PathBuf>,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file is not what settings are.
    #[error("{message}")]
    Invalid {
        /// What is wrong.
        message: String,
        /// Where.
        place: Option<Box<Place>>,
    },
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
}

impl SettingsError {
    /// What a user is told.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Invalid { place, .. } => Failure::new(
                "settings.invalid",
                ExitClass::Manifest,
                "The settings of this machine are not valid",
            )
            .caused_by(self)
            .at(place.as_deref().cloned())
            .help("known keys are nodeImages, images, binaries, volumes, snapshots and trust"),
            Self::File(error) => error.failure(),
        }
    }
}

impl Settings {
    /// Reads the settings; a file that is not there means the defaults.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        match files::read_text_if_there(path)? {
            Some(text) => Self::parse(path, &text),
            None => Ok(Self::default()),
        }
    }

    /// The node image for a Kubernetes version: the exact version's, else its minor version's.
    pub fn node_image(&self, kubernetes: &str) -> Option<&str> {
        let minor = kubernetes
            .match_indices('.')
            .nth(1)
            .map_or(kubernetes, |(end, _)| &kubernetes[..end]);
        self.node_images
            .get(kubernetes)
            .or_else(|| self.node_images.get(minor))
            .map(String::as_str)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, SettingsError> {
        // A file of comments alone is a null document.
        serde_saphyr::from_str::<Option<Self>>(text)
            .map(Option::unwrap_or_default)
            .map_err(|error| {
                let error = error.without_snippet();
                SettingsError::Invalid {
                    message: sentence(&error.to_string()),
                    place: error.location().and_then(|location| {
                        place(
                            path,
                            text,
                            usize::try_from(location.line()).ok()?,
                            usize::try_from(location.column()).ok()?,
                        )
                        .map(Box::new)
                    }),
                }
            })
    }
}

/// The parser's text without the place, which is shown on its own.
fn sentence(message: &str) -> String {
    match message.rfind(" at line ") {
        Some(end) => message[..end].to_owned(),
        None => message.to_owned(),
    }
}

fn place(path: &Path, text: &str, line: usize, column: usize) -> Option<Place> {
    let source_line = text.lines().nth(line.checked_sub(1)?)?;
    let length = source_line
        .chars()
        .skip(column.checked_sub(1)?)
        .take_while(|c| !c.is_whitespace() && *c != ':')
        .count();
    Some(Place {
        file: path.to_owned(),
        line,
        column,
        length: length.max(1),
        source_line: source_line.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, SettingsError> {
        Settings::parse(Path::new("config.yaml"), text)
    }

    #[test]
    fn a_missing_file_and_an_empty_one_mean_the_defaults() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(
            Settings::load(&directory.path().join("config.yaml")).unwrap(),
            Settings::default()
        );
        assert_eq!(parse("").unwrap(), Settings::default());
        assert_eq!(parse("# nothing yet\n").unwrap(), Settings::default());
    }

    #[test]
    fn an_exact_version_has_its_own_node_image_before_its_minor_version() {
        let settings =
            parse("nodeImages:\n  \"1.35\": minor\n  \"1.35.4\": exact\nimages: { tools: t }\n")
                .unwrap();
        assert_eq!(settings.node_image("1.35.4"), Some("exact"));
        assert_eq!(settings.node_image("1.35.1"), Some("minor"));
        assert_eq!(settings.node_image("1.35"), Some("minor"));
        assert_eq!(settings.node_image("1.3"), None);
        assert_eq!(settings.images.tools.as_deref(), Some("t"));
    }

    #[test]
    fn which_snapshots_stay_is_written_as_in_a_manifest() {
        let settings = parse("snapshots: { keep: 10, olderThan: 30d, maxSize: 20Gi }\n").unwrap();
        let retention = Retention {
            keep: Some(10),
            older_than: Some(Duration::from_hours(30 * 24)),
            max_size: Some(Memory::from_bytes(20 << 30)),
        };
        assert_eq!(settings.snapshots.retention(), retention);
        assert!(parse("snapshots: { olderThan: soon }\n").is_err());
    }

    #[test]
    fn a_trusted_directory_is_the_same_wherever_devenv_is_started() {
        let settings = parse("trust: [/srv/ci, ~/work, \"~\"]\n").unwrap();
        let home = Some(Path::new("/home/ann"));
        let paths: Vec<_> = settings.trust.iter().map(|t| t.path(home)).collect();
        let expected = ["/srv/ci", "/home/ann/work", "/home/ann"];
        assert_eq!(paths, expected.map(|path| Some(PathBuf::from(path))));
        assert_eq!(settings.trust[1].path(None), None);
        for wrong in ["work", ".", "~bob/work", "\"\""] {
            let error = parse(&format!("trust: [{wrong}]\n")).unwrap_err();
            assert!(error.failure().why[0].contains("~/work"), "{error:?}");
        }
    }

    #[test]
    fn an_unknown_key_is_an_error_with_its_place() {
        let error = parse("images:\n  loadbalancer: x\n").unwrap_err();
        let failure = error.failure();
        let place = failure.place.expect("a place");
        assert_eq!((place.line, place.column, place.length), (2, 3, 12));
        assert!(failure.why[0].contains("loadbalancer"), "{:?}", failure.why);
        assert!(!failure.why[0].contains("line 2"), "{:?}", failure.why);
    }
}
