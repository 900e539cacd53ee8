//! What in a context is likely there by mistake.

use std::{collections::BTreeSet, fmt, path::PathBuf};

use super::{Context, FileKind};

/// From here on a context is called large: sending and hashing it is felt.
const LARGE: u64 = 100 << 20;
/// Names of private keys as ssh makes them.
const KEYS: [&str; 4] = ["id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"];
/// Ends of environment files that are meant to be shared.
const SHARED_ENDS: [&str; 4] = ["example", "sample", "template", "dist"];

/// Something that is likely in a context by mistake. Shown as one sentence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContextWarning {
    /// The history of the repository.
    GitDirectory(PathBuf),
    /// Installed packages.
    Packages(PathBuf),
    /// A file that likely holds a secret.
    Secret(PathBuf),
    /// More than 100 MB.
    Large {
        /// All files together.
        bytes: u64,
    },
}

impl fmt::Display for ContextWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GitDirectory(path) => write!(
                f,
                "the build context holds {}: every commit rebuilds the image; add `{0}` to .dockerignore",
                path.display()
            ),
            Self::Packages(path) => write!(
                f,
                "the build context holds {}: add `**/node_modules` to .dockerignore",
                path.display()
            ),
            Self::Secret(path) => write!(
                f,
                "the build context holds {}, which looks like a secret: add `{0}` to .dockerignore",
                path.display()
            ),
            Self::Large { bytes } => write!(
                f,
                "the build context has {} MB: leave out what the image does not need in .dockerignore",
                bytes / 1_000_000
            ),
        }
    }
}

impl Context {
    /// What is likely in it by mistake: once for each directory or file.
    pub fn warnings(&self) -> Vec<ContextWarning> {
        let mut found: BTreeSet<ContextWarning> = self
            .files
            .iter()
            .filter_map(|file| {
                let name = file.path.file_name()?.to_str()?;
                let path = || file.path.clone();
                match (&file.kind, name) {
                    (FileKind::Directory, ".git") => Some(ContextWarning::GitDirectory(path())),
                    (FileKind::Directory, "node_modules") => Some(ContextWarning::Packages(path())),
                    (FileKind::File { .. }, name) if looks_secret(name) => {
                        Some(ContextWarning::Secret(path()))
                    }
                    _ => None,
                }
            })
            .filter(|warning| !warning.is_below_packages())
            .collect();
        let bytes = self.size();
        if bytes > LARGE {
            found.insert(ContextWarning::Large { bytes });
        }
        found.into_iter().collect()
    }
}

impl ContextWarning {
    /// Whether a directory of packages is warned of already that holds what this warning is about.
    fn is_below_packages(&self) -> bool {
        let (Self::GitDirectory(path) | Self::Packages(path) | Self::Secret(path)) = self else {
            return false;
        };
        path.parent()
            .is_some_and(|parent| parent.iter().any(|part| part == "node_modules"))
    }
}

fn looks_secret(name: &str) -> bool {
    if KEYS.contains(&name) {
        return true;
    }
    match name.strip_prefix(".env") {
        Some("") => true,
        Some(rest) => rest
            .strip_prefix('.')
            .is_some_and(|end| !SHARED_ENDS.contains(&end)),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::context::scan::{
        scan,
        tests::{build, directory},
    };

    #[test]
    fn what_is_swept_in_is_named_once() {
        let home = directory(&[
            ("Dockerfile", ""),
            (".git/HEAD", ""),
            (".git/objects/a", ""),
            ("web/node_modules/a/node_modules/b/x", ""),
            ("web/node_modules/a/.env", ""),
            (".env.order", ""),
            (".env.example", ""),
            ("keys/id_rsa", ""),
        ]);
        let warnings = scan(&build(home.path())).unwrap().warnings();
        assert_eq!(
            warnings,
            [
                ContextWarning::GitDirectory(".git".into()),
                ContextWarning::Packages("web/node_modules".into()),
                ContextWarning::Secret(".env.order".into()),
                ContextWarning::Secret("keys/id_rsa".into()),
            ]
        );
    }

    #[test]
    fn a_clean_context_has_no_warnings() {
        let home = directory(&[
            ("Dockerfile", ""),
            (".dockerignore", ".git\n.env*"),
            (".git/x", ""),
            (".env", ""),
        ]);
        assert!(scan(&build(home.path())).unwrap().warnings().is_empty());
    }
}
