//! What a git repository says about itself, read from its files: git need not be installed.

use std::path::{Path, PathBuf};

use super::files;

/// The commit that is checked out in the repository around a directory; `None` outside of one, or before the first.
pub fn commit(directory: &Path) -> Option<String> {
    let repository = directory.ancestors().find_map(repository_of)?;
    let head = files::read_text(&repository.join("HEAD")).ok()?;
    let Some(reference) = head.trim().strip_prefix("ref: ") else {
        return hash(&head);
    };
    // A linked working tree has a HEAD of its own, and the branches of the first.
    let common = files::read_text_if_there(&repository.join("commondir")).ok()?;
    let common = common.map_or_else(
        || repository.clone(),
        |common| repository.join(common.trim()),
    );
    if let Ok(Some(text)) = files::read_text_if_there(&common.join(reference)) {
        return hash(&text);
    }
    let packed = files::read_text_if_there(&common.join("packed-refs")).ok()??;
    let mut lines = packed.lines().filter_map(|line| line.split_once(' '));
    let (text, _) = lines.find(|(_, name)| *name == reference)?;
    hash(text)
}

fn hash(text: &str) -> Option<String> {
    let text = text.trim();
    let is_hash = text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| text.to_owned())
}

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
    fn the_commit_is_found_wherever_git_keeps_it() {
        let first = "0123456789abcdef0123456789abcdef01234567";
        let commit = |files: &[(&str, &str)]| commit(&tree(files).path().join("tree"));
        let head = ("tree/.git/HEAD", "ref: refs/heads/fix\n");
        assert_eq!(commit(&[("tree/.git/HEAD", first)]).unwrap(), first);
        assert_eq!(
            commit(&[head, ("tree/.git/refs/heads/fix", first)]).unwrap(),
            first
        );
        let packed = format!("# pack-refs with: peeled\n{first} refs/heads/fix\n");
        assert_eq!(
            commit(&[head, ("tree/.git/packed-refs", &packed)]).unwrap(),
            first
        );
        let linked = [
            ("tree/.git", "gitdir: ../main/worktrees/tree\n"),
            ("main/worktrees/tree/HEAD", "ref: refs/heads/fix\n"),
            ("main/worktrees/tree/commondir", "../..\n"),
            ("main/refs/heads/fix", first),
        ];
        assert_eq!(commit(&linked).unwrap(), first);
        assert_eq!(commit(&[head]), None);
    }

    #[test]
    fn on_no_branch_and_outside_of_a_repository_there_is_none() {
        let detached = tree(&[(".git/HEAD", "0123456789abcdef\n")]);
        assert_eq!(branch(detached.path()), None);
        assert_eq!(branch(tree(&[]).path()), None);
    }
}
