//! Which project an environment belongs to: `project.json`, beside its data.
//!
//! The name of an environment says of its project's directory no more than a hash, and the record goes with the
//! cluster: what lies here after that would be nobody's.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::EnvironmentPaths;
use crate::adapters::files::{self, FileError};

#[derive(Serialize, Deserialize)]
struct Owner {
    directory: PathBuf,
}

/// Writes down which project the environment belongs to.
pub fn save_owner(paths: &EnvironmentPaths, directory: &Path) -> Result<(), FileError> {
    let directory = directory.to_owned();
    let text = serde_json::json!(Owner { directory }).to_string();
    files::create_private_dir(paths.data())?;
    files::write_private(&paths.owner(), text.as_bytes())
}

/// The directory of the project that an environment belongs to; `None` if nothing here says it.
pub fn owner_of(paths: &EnvironmentPaths) -> Option<PathBuf> {
    // Environments of old have it in the record alone.
    let mut files = [paths.owner(), paths.record()].into_iter();
    files.find_map(|file| {
        let text = files::read_text_if_there(&file).ok()??;
        let owner: Owner = serde_json::from_str(&text).ok()?;
        Some(owner.directory)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{adapters::host::HostEnvironment, domain::testing::environment, state::UserPaths};

    #[test]
    fn an_environment_is_of_the_project_that_is_written_down_or_of_that_of_its_record() {
        let home = tempfile::tempdir().unwrap();
        let variables = [("HOME".to_owned(), home.path().display().to_string())];
        let users = UserPaths::of(&HostEnvironment::from_variables(variables)).unwrap();
        let id = environment(&[]).id;
        let paths = users.environment(&id);
        assert_eq!(owner_of(&paths), None);
        assert_eq!(users.environments().unwrap(), []);
        paths.create().unwrap();
        assert_eq!(users.environments().unwrap(), [id]);
        let record = br#"{ "schema": 1, "directory": "/of/the/record" }"#;
        files::write_private(&paths.record(), record).unwrap();
        assert_eq!(owner_of(&paths), Some("/of/the/record".into()));
        save_owner(&paths, Path::new("/a project")).unwrap();
        assert_eq!(owner_of(&paths), Some("/a project".into()));
        files::write_private(&paths.owner(), b"{").unwrap();
        assert_eq!(owner_of(&paths), Some("/of/the/record".into()));
    }
}
