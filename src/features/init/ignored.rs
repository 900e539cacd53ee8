//! Lines for .gitignore: what belongs to one person must not be committed.

use std::path::Path;

use ignore::gitignore::GitignoreBuilder;

use crate::domain::ProjectFiles;

/// Whether `directory` (absolute) is in a git repository.
pub(super) fn is_repository(directory: &Path, files: &dyn ProjectFiles) -> bool {
    directory.ancestors().any(|above| holds_git(above, files))
}

fn holds_git(directory: &Path, files: &dyn ProjectFiles) -> bool {
    // A file in worktrees and submodules.
    let git = directory.join(".git");
    files.is_directory(&git) || files.is_file(&git)
}

/// The text of `directory/.gitignore` with what is missing of `names` (relative to it); `None` if nothing is.
pub(super) fn with(directory: &Path, names: &[String], files: &dyn ProjectFiles) -> Option<String> {
    let text = files
        .read(&directory.join(".gitignore"))
        .unwrap_or_default();
    let missing: Vec<&String> = names
        .iter()
        .filter(|name| !is_ignored(directory, name, files))
        .collect();
    if missing.is_empty() {
        return None;
    }
    let end = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    let lines: String = missing.iter().map(|name| format!("/{name}\n")).collect();
    Some(format!("{text}{end}{lines}"))
}

/// Whether a .gitignore of the repository covers a file; the innermost that says something decides.
fn is_ignored(directory: &Path, name: &str, files: &dyn ProjectFiles) -> bool {
    let path = directory.join(name);
    for above in directory.ancestors() {
        let mut builder = GitignoreBuilder::new(above);
        for line in files
            .read(&above.join(".gitignore"))
            .unwrap_or_default()
            .lines()
        {
            // A line that is no pattern is none for git either.
            let _ = builder.add_line(None, line);
        }
        if let Ok(rules) = builder.build() {
            let matched = rules.matched_path_or_any_parents(&path, false);
            if !matched.is_none() {
                return matched.is_ignore();
            }
        }
        if holds_git(above, files) {
            break;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::testing::{DIRECTORY, MemoryFiles};

    fn names() -> Vec<String> {
        ["devenv.local.yaml", ".env.db"].map(str::to_owned).to_vec()
    }

    #[test]
    fn only_what_is_missing_is_added_and_nothing_is_lost() {
        let files = MemoryFiles::default()
            .file(".git/HEAD", "")
            .file(".gitignore", "*.log\n.env*");
        assert!(is_repository(Path::new(DIRECTORY), &files));
        let text = with(Path::new(DIRECTORY), &names(), &files).unwrap();
        assert_eq!(text, "*.log\n.env*\n/devenv.local.yaml\n");
        let files = files.file(".gitignore", &text);
        assert_eq!(with(Path::new(DIRECTORY), &names(), &files), None);
    }

    #[test]
    fn the_ignore_file_of_the_repository_counts_below_it() {
        let files = MemoryFiles::default()
            .file(".git/HEAD", "")
            .file(".gitignore", "*.local.yaml\n.env.*\n");
        assert_eq!(
            with(&Path::new(DIRECTORY).join("a"), &names(), &files),
            None
        );
        assert!(!is_repository(Path::new("/other"), &files));
    }
}
