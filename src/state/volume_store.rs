//! What the volumes of an environment are kept in: `store.json`, beside them.

use super::EnvironmentPaths;
use crate::{
    adapters::files,
    domain::{ExitClass, Failure, VolumeStore},
};

/// The store of an environment; `None` if none was decided on.
pub fn load_volume_store(paths: &EnvironmentPaths) -> Result<Option<VolumeStore>, Failure> {
    let path = paths.volume_store();
    let text = files::read_if_there(&path).map_err(|error| error.failure())?;
    let store = text.map(|text| serde_json::from_slice(&text)).transpose();
    store.map_err(|error| {
        let path = path.display();
        let what = format!("{path}, which says what the volumes are kept in, is damaged");
        let image = paths.volume_image();
        let kind = if files::exists(&image) {
            r#"{"kind":"image"}"#
        } else {
            r#"{"kind":"copyingDirectory","why":"unknown"}"#
        };
        Failure::new("data.record-damaged", ExitClass::Data, what)
            .because(error.to_string())
            .help(format!("echo '{kind}' > {path}"))
    })
}

/// Writes down what the volumes are kept in.
pub fn save_volume_store(paths: &EnvironmentPaths, store: &VolumeStore) -> Result<(), Failure> {
    let text = serde_json::to_vec(store).unwrap_or_default();
    let written = files::write_private(&paths.volume_store(), &text);
    written.map_err(|error| error.failure())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{adapters::host::HostEnvironment, domain::testing::environment, state::UserPaths};

    fn paths() -> (tempfile::TempDir, EnvironmentPaths) {
        let home = tempfile::tempdir().unwrap();
        let variables = [("HOME".to_owned(), home.path().display().to_string())];
        let paths = UserPaths::of(&HostEnvironment::from_variables(variables)).unwrap();
        let paths = paths.environment(&environment(&[]).id);
        paths.create().unwrap();
        (home, paths)
    }

    #[test]
    fn a_store_is_what_was_decided_on_and_a_damaged_record_says_how_to_mend_it() {
        let (_home, paths) = paths();
        assert_eq!(load_volume_store(&paths).unwrap(), None);
        let why = "xfs: No such device".to_owned();
        for store in [
            VolumeStore::Image,
            VolumeStore::CloningDirectory,
            VolumeStore::CopyingDirectory { why },
        ] {
            save_volume_store(&paths, &store).unwrap();
            assert_eq!(load_volume_store(&paths).unwrap(), Some(store));
        }
        files::write_private(&paths.volume_store(), b"{").unwrap();
        let failure = load_volume_store(&paths).unwrap_err();
        assert_eq!(failure.code.0, "data.record-damaged");
        assert!(failure.help[0].contains("copyingDirectory"), "{failure:?}");
    }
}
