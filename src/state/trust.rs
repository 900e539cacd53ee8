//! Which commands of which projects the user has confirmed: `trust.json`, beside the environments' directories, so that it
//! outlives them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{EnvironmentPaths, settings::TrustedDirectory};
use crate::{
    adapters::{
        files::{self, FileError},
        lock_file::lock_directory,
    },
    domain::{Approval, HostCommand, Trust},
};

/// How long another devenv may take to write the file.
const WRITTEN_WITHIN: Duration = Duration::from_secs(2);

/// What the file says: the approvals of every project, by its directory.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Confirmed {
    #[serde(default)]
    projects: BTreeMap<PathBuf, BTreeSet<Approval>>,
}

impl Confirmed {
    fn read(path: &Path) -> Result<Self, FileError> {
        let text = files::read_text_if_there(path)?;
        // What cannot be read confirms nothing: the user is asked again.
        Ok(text
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default())
    }
}

/// Which commands of the project in `directory` may run on this machine; `trusted` are the directories of the settings.
pub fn trust_of(
    paths: &EnvironmentPaths,
    directory: &Path,
    trusted: &[TrustedDirectory],
    home: Option<&Path>,
) -> Result<Trust, FileError> {
    let is_above = |trusted: &TrustedDirectory| {
        // One that is not there has no project below it.
        let path = trusted
            .path(home)
            .and_then(|path| files::canonical(&path).ok());
        path.is_some_and(|path| directory.starts_with(path))
    };
    if trusted.iter().any(is_above) {
        return Ok(Trust::Directory);
    }
    let mut confirmed = Confirmed::read(&paths.trust())?;
    let approvals = confirmed.projects.remove(directory).unwrap_or_default();
    Ok(Trust::Confirmed(approvals))
}

/// Writes down that the user has confirmed these commands of the project in `directory`.
pub async fn approve(
    paths: &EnvironmentPaths,
    directory: &Path,
    commands: &[HostCommand],
) -> Result<(), FileError> {
    let path = paths.trust();
    let above = path.parent().unwrap_or(Path::new("/"));
    files::create_private_dir(above)?;
    // Two that write at once would lose what the other was told. Who is held up for long loses it.
    let _lock = lock_directory(above, WRITTEN_WITHIN).await?;
    let mut confirmed = Confirmed::read(&path)?;
    let approvals = commands.iter().map(HostCommand::approval);
    let project = confirmed.projects.entry(directory.to_owned()).or_default();
    project.extend(approvals);
    let text = serde_json::json!(confirmed).to_string();
    files::write_private(&path, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        adapters::host::HostEnvironment,
        domain::{HookMoment, HostMoment, testing::environment},
        state::UserPaths,
    };

    fn paths(home: &Path) -> EnvironmentPaths {
        let variables = [("HOME".to_owned(), home.display().to_string())];
        let users = UserPaths::of(&HostEnvironment::from_variables(variables)).unwrap();
        users.environment(&environment(&[]).id)
    }

    fn command(directory: &Path, word: &str) -> HostCommand {
        HostCommand {
            moment: HostMoment::Hook(HookMoment::AfterUp),
            command: vec![word.to_owned()],
            directory: directory.to_owned(),
            place: None,
        }
    }

    #[tokio::test]
    async fn what_was_confirmed_holds_for_that_project_alone_and_is_kept() {
        let home = tempfile::tempdir().unwrap();
        let paths = paths(home.path());
        let (ours, theirs) = (Path::new("/ours"), Path::new("/theirs"));
        let (one, two) = (command(ours, "one"), command(ours, "two"));
        let allows = |directory: &Path, command: &HostCommand| {
            let trust = trust_of(&paths, directory, &[], None).unwrap();
            trust.allows(command)
        };
        assert!(!allows(ours, &one));
        approve(&paths, ours, std::slice::from_ref(&one))
            .await
            .unwrap();
        assert!(allows(ours, &one) && !allows(ours, &two) && !allows(theirs, &one));
        approve(&paths, ours, std::slice::from_ref(&two))
            .await
            .unwrap();
        assert!(allows(ours, &one) && allows(ours, &two));
    }

    #[tokio::test]
    async fn a_damaged_file_confirms_nothing_and_is_written_anew() {
        let home = tempfile::tempdir().unwrap();
        let paths = paths(home.path());
        let ours = Path::new("/ours");
        let one = command(ours, "one");
        approve(&paths, ours, std::slice::from_ref(&one))
            .await
            .unwrap();
        files::write_private(&paths.trust(), b"{ \"projects\": ").unwrap();
        assert!(!trust_of(&paths, ours, &[], None).unwrap().allows(&one));
        approve(&paths, ours, std::slice::from_ref(&one))
            .await
            .unwrap();
        assert!(trust_of(&paths, ours, &[], None).unwrap().allows(&one));
    }

    #[test]
    fn a_trusted_directory_counts_for_projects_below_it_and_not_beside_it() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let paths = paths(&home);
        for directory in ["work/shop", "workshop"] {
            files::create_dir(&home.join(directory)).unwrap();
        }
        std::os::unix::fs::symlink(home.join("work"), home.join("link")).unwrap();
        for (trusted, project, expected) in [
            ("~/work", "work/shop", true),
            ("~/work", "work", true),
            ("~/link", "work/shop", true),
            ("~/work", "workshop", false),
            ("~/work/shop", "work", false),
            ("~/not-there", "work", false),
        ] {
            let trusted = [TrustedDirectory::try_from(trusted.to_owned()).unwrap()];
            let trust = trust_of(&paths, &home.join(project), &trusted, Some(&home)).unwrap();
            assert_eq!(trust == Trust::Directory, expected, "{trusted:?} {project}");
        }
    }
}
