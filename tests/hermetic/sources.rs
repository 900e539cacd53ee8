//! The sources of the program, for tests that hold rules about them.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A source file without its tests and comments.
pub(crate) struct Source {
    /// The path below the repository's root.
    pub(crate) path: PathBuf,
    /// The code.
    pub(crate) code: String,
}

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file of the repository; empty if there is none.
#[expect(
    clippy::disallowed_methods,
    reason = "a test's own look at the sources"
)]
pub(crate) fn text(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_default()
}

/// Every source file of the program.
pub(crate) fn all() -> Vec<Source> {
    let mut sources = Vec::new();
    let mut open = vec![root().join("src")];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).expect("a directory of sources") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() {
                open.push(path);
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
                let path = path
                    .strip_prefix(root())
                    .expect("below the root")
                    .to_owned();
                let code = code(&text(&path));
                sources.push(Source { path, code });
            }
        }
    }
    assert!(!sources.is_empty());
    sources
}

/// `text` without comments, and without the tests that end a file.
fn code(text: &str) -> String {
    text.split("#[cfg(test)]\nmod tests")
        .next()
        .unwrap_or_default()
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}
