//! Where things lie, by the XDG base directory rules.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use crate::{
    adapters::{
        files::{self, FileError},
        host::HostEnvironment,
    },
    domain::{EnvironmentId, ExitClass, Failure, ServiceName},
};

/// The directory of devenv within each base directory.
const OURS: &str = "devenv";

/// Why there are no paths.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathsError {
    /// Neither the XDG variable nor HOME says where to look.
    #[error("neither {variable} nor HOME is set to an absolute path")]
    NoHome {
        /// The XDG variable that was looked for.
        variable: &'static str,
    },
}

impl PathsError {
    /// What a user is told.
    pub fn failure(&self) -> Failure {
        Failure::new(
            "state.no-home",
            ExitClass::Prerequisite,
            "There is no place for devenv's state",
        )
        .caused_by(self)
        .help("export HOME=/home/you")
    }
}

/// The user's directories of devenv.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserPaths {
    state: PathBuf,
    data: PathBuf,
    config_file: PathBuf,
}

impl UserPaths {
    /// The directories that the environment variables name.
    pub fn of(host: &HostEnvironment) -> Result<Self, PathsError> {
        let config_file = match host.devenv.get("DEVENV_CONFIG") {
            Some(file) => file.into(),
            None => ours(host.config_home.as_deref(), "XDG_CONFIG_HOME")?.join("config.yaml"),
        };
        Ok(Self {
            state: ours(host.state_home.as_deref(), "XDG_STATE_HOME")?,
            data: ours(host.data_home.as_deref(), "XDG_DATA_HOME")?,
            config_file,
        })
    }

    /// The settings of this machine; the file need not exist.
    pub fn config_file(&self) -> &Path {
        &self.config_file
    }

    /// The directory of devenv's state.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The environments of which this user has state or data, by id.
    pub fn environments(&self) -> Result<Vec<EnvironmentId>, FileError> {
        let mut ids = BTreeSet::new();
        for directory in [&self.state, &self.data] {
            if files::exists(directory) {
                let names = files::list(directory)?;
                let names = names.iter().filter_map(|path| path.file_name()?.to_str());
                ids.extend(names.filter_map(EnvironmentId::of_directory));
            }
        }
        Ok(ids.into_iter().collect())
    }

    /// The directories of one environment.
    pub fn environment(&self, id: &EnvironmentId) -> EnvironmentPaths {
        EnvironmentPaths {
            state: self.state.join(id.as_str()),
            data: self.data.join(id.as_str()),
        }
    }
}

fn ours(base: Option<&Path>, variable: &'static str) -> Result<PathBuf, PathsError> {
    base.map(|base| base.join(OURS))
        .ok_or(PathsError::NoHome { variable })
}

/// The directories of one environment. All are absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentPaths {
    state: PathBuf,
    data: PathBuf,
}

impl EnvironmentPaths {
    /// Makes the directories, for the user alone.
    pub fn create(&self) -> Result<(), FileError> {
        let directories = [
            self.state.clone(),
            self.journal(),
            self.helm(),
            self.charts(),
            self.state.join("live"),
            self.logs(),
            self.data.clone(),
            self.volumes(),
            self.data.join("store"),
            self.snapshots(),
            self.registry(),
        ];
        directories
            .iter()
            .try_for_each(|directory| files::create_private_dir(directory))
    }

    /// The directories of another environment of the same user.
    #[must_use]
    pub fn of_other(&self, id: &str) -> Self {
        Self {
            state: self.state.with_file_name(id),
            data: self.data.with_file_name(id),
        }
    }

    /// The directory of the state: everything below it can be lost.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The directory of the data: what is below it is the user's.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// What is to be undone of the debugging of a service; also its lock, by another ending.
    pub fn debugging(&self, service: &ServiceName, ending: &str) -> PathBuf {
        self.state.join(format!("debug-{service}.{ending}"))
    }

    /// Debuggers that were fetched, for all environments of the user.
    pub fn debuggers(&self) -> PathBuf {
        self.data.with_file_name("debuggers")
    }

    /// Which commands of which projects the user has confirmed, for all environments.
    pub fn trust(&self) -> PathBuf {
        self.state.with_file_name("trust.json")
    }

    /// The lock file.
    pub fn lock(&self) -> PathBuf {
        self.state.join("lock")
    }

    /// The private kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.state.join("kubeconfig")
    }

    /// The directory of the journals, one file a run.
    pub fn journal(&self) -> PathBuf {
        self.state.join("journal")
    }

    /// The record of what was created.
    pub fn record(&self) -> PathBuf {
        self.state.join("record.json")
    }

    /// The lock of the session.
    pub fn session_lock(&self) -> PathBuf {
        self.state.join("session.lock")
    }

    /// What the session was asked for.
    pub fn session_record(&self) -> PathBuf {
        self.state.join("session.json")
    }

    /// Where the session answers.
    pub fn session_socket(&self) -> PathBuf {
        self.state.join("session.sock")
    }

    /// What the session says while nobody looks.
    pub fn session_log(&self) -> PathBuf {
        self.state.join("session.log")
    }

    /// What the session did, one event a line.
    pub fn live_events(&self) -> PathBuf {
        self.state.join("live.jsonl")
    }

    /// Helm's own directories, apart from the user's.
    pub fn helm(&self) -> PathBuf {
        self.state.join("helm")
    }

    /// Charts that devenv writes out for Helm.
    pub fn charts(&self) -> PathBuf {
        self.state.join("charts")
    }

    /// What is remembered of the files of a live service.
    pub fn live_places(&self, service: &ServiceName) -> PathBuf {
        self.state.join("live").join(service.as_str())
    }

    /// What the services said, a directory a service.
    pub fn logs(&self) -> PathBuf {
        self.state.join("logs")
    }

    /// The volumes of the services.
    pub fn volumes(&self) -> PathBuf {
        self.data.join("volumes")
    }

    /// The image that the volumes are kept in, where they are in one.
    pub fn volume_image(&self) -> PathBuf {
        self.data.join("store/volumes.xfs")
    }

    /// What the volumes are kept in.
    pub fn volume_store(&self) -> PathBuf {
        self.data.join("store.json")
    }

    /// Which project the environment belongs to.
    pub fn owner(&self) -> PathBuf {
        self.data.join("project.json")
    }

    /// What describes the snapshots, a file each: what is not described is none.
    pub fn snapshots(&self) -> PathBuf {
        self.data.join("snapshots")
    }

    /// What describes the data that datasets came to, a file each, as of snapshots.
    pub fn prepared(&self) -> PathBuf {
        self.data.join("prepared")
    }

    /// What is to be undone of an exchange of data that was broken off.
    pub fn exchange_record(&self) -> PathBuf {
        self.data.join("exchange.json")
    }

    /// Which dataset was loaded last.
    pub fn loaded(&self) -> PathBuf {
        self.data.join("loaded.json")
    }

    /// The images of the environment's registry.
    pub fn registry(&self) -> PathBuf {
        self.data.join("registry")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> EnvironmentId {
        EnvironmentId::new(&"shop".parse().unwrap(), Path::new("/shop"))
    }

    fn host(variables: &[(&str, &str)]) -> HostEnvironment {
        HostEnvironment::from_variables(
            variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        )
    }

    #[test]
    fn everything_lies_in_our_directory_of_its_base() {
        let variables = [("HOME", "/home/ann"), ("XDG_STATE_HOME", "/state")];
        let paths = UserPaths::of(&host(&variables)).unwrap();
        let environment = paths.environment(&id());
        assert!(environment.lock().starts_with("/state/devenv"));
        assert!(
            environment
                .volumes()
                .starts_with("/home/ann/.local/share/devenv")
        );
        assert_eq!(
            paths.config_file(),
            Path::new("/home/ann/.config/devenv/config.yaml")
        );
    }

    #[test]
    fn the_settings_can_be_anywhere() {
        let variables = [("HOME", "/home/ann"), ("DEVENV_CONFIG", "/kit/config.yaml")];
        let paths = UserPaths::of(&host(&variables)).unwrap();
        assert_eq!(paths.config_file(), Path::new("/kit/config.yaml"));
    }

    #[test]
    fn without_a_home_the_failure_says_what_to_set() {
        let failure = UserPaths::of(&host(&[])).unwrap_err().failure();
        assert_eq!(failure.class, ExitClass::Prerequisite);
        assert!(failure.why[0].contains("HOME"));
    }
}
