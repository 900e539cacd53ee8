//! The files that secrets go to.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::{domain::ProjectFiles, manifest::parse_env_file};

/// A file of `KEY=value` lines that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SecretFile {
    /// Its path, relative to the project.
    pub(super) path: PathBuf,
    /// Its text.
    pub(super) text: String,
    /// The names of its variables.
    pub(super) names: Vec<String>,
}

impl SecretFile {
    /// The file for the secrets of `service`: a name that is free, or a file that holds just these.
    pub(super) fn of(
        service: &str,
        pairs: &BTreeMap<String, String>,
        files: &dyn ProjectFiles,
    ) -> Self {
        let first = PathBuf::from(format!(".env.{service}"));
        let others = (2..).map(|number| PathBuf::from(format!(".env.{service}-{number}")));
        let is_ours = |path: &Path| match files.read(path) {
            Ok(text) => parse_env_file(&text, path).is_ok_and(|found| found == *pairs),
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        };
        let path = std::iter::once(first)
            .chain(others)
            .find(|path| is_ours(path));
        let lines = pairs
            .iter()
            .map(|(name, value)| format!("{name}={}\n", quoted(value)));
        Self {
            path: path.unwrap_or_default(),
            text: format!(
                "# Secrets of the service {service}. Not committed.\n{}",
                lines.collect::<String>()
            ),
            names: pairs.keys().cloned().collect(),
        }
    }
}

/// A value in double quotes, as the reader of such files takes it.
fn quoted(value: &str) -> String {
    let mut text = String::from("\"");
    for c in value.chars() {
        match c {
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            '"' | '\\' | '$' => text.extend(['\\', c]),
            c => text.push(c),
        }
    }
    text + "\""
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::testing::MemoryFiles;

    #[test]
    fn a_file_is_read_as_it_was_written_and_one_that_is_there_is_kept() {
        let value = "a\"b\\c$d\n\te #f 'g' é";
        let pairs = BTreeMap::from([
            ("A".to_owned(), value.to_owned()),
            ("B".to_owned(), "1".to_owned()),
        ]);
        let file = SecretFile::of("db", &pairs, &MemoryFiles::default());
        assert_eq!(parse_env_file(&file.text, &file.path).unwrap(), pairs);
        let same = MemoryFiles::default().file(".env.db", &file.text);
        assert_eq!(
            SecretFile::of("db", &pairs, &same).path,
            PathBuf::from(".env.db")
        );
        let other = MemoryFiles::default().file(".env.db", "X=1");
        assert_eq!(
            SecretFile::of("db", &pairs, &other).path,
            PathBuf::from(".env.db-2")
        );
    }
}
