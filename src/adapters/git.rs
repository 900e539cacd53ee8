//! What a git repository says about itself, read from its files: git need not be installed.

use std::path::{Path, PathBuf};

use super::files;

/// The branch that is checked out in the repository around a directory; `None` outside of one, or on no branch.
pub fn branch(directory: &Path) -> Option<String> {
    let repository = directory.ancestors().find_map(repository_of)?;
    let head = files::read_text(&repository.join("HEAD")).ok()?;
    let branch = head.trim().strip_prefix("ref: refs/heads/")?;
    Some(branch.to_owned())
}

/// The repository of a working tree: a directory, or, of a linked working tree, a file that names it.
fn repository_of(tree: &Path) -> Option<PathBuf> {
    let place = tree.join(".git");
    if place.is_dir() {
        return Some(place);
    }
    let text = files::read_text_if_there(&place).ok()??;
    let named = text.trim().strip_prefix("gitdir: ")?;
    Some(tree.join(named))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = tree.path().join(path);
            files::create_dir(path.parent().unwrap()).unwrap();
            files::write_shared(&path, text.as_bytes()).unwrap();
        }
        tree
    }

    #[test]
    fn the_branch_is_that_of_the_repository_around() {
        let own = tree(&[(".git/HEAD", "ref: refs/heads/feature/cart\n"), ("a/b", "")]);
        assert_eq!(branch(&own.path().join("a")).unwrap(), "feature/cart");
        let linked = tree(&[
            ("tree/.git", "gitdir: ../main/worktrees/tree\n"),
            ("main/worktrees/tree/HEAD", "ref: refs/heads/fix\n"),
        ]);
        assert_eq!(branch(&linked.path().join("tree")).unwrap(), "fix");
    }

    #[test]
    fn on_no_branch_and_outside_of_a_repository_there_is_none() {
        let detached = tree(&[(".git/HEAD", "0123456789abcdef\n")]);
        assert_eq!(branch(detached.path()), None);
        assert_eq!(branch(tree(&[]).path()), None);
    }
}
