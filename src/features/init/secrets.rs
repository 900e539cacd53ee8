//! Which values are secrets, and the files they go to.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::{domain::ProjectFiles, manifest::parse_env_file};

/// Parts of a variable's name, between `_`, that make its value a secret.
const WORDS: [&str; 9] = [
    "PASSWORD",
    "PASSWD",
    "PASS",
    "PASSPHRASE",
    "PW",
    "SECRET",
    "SECRETS",
    "TOKEN",
    "CREDENTIALS",
];
/// Ends of a variable's name that make its value a secret.
const ENDS: [&str; 7] = [
    "API_KEY",
    "APIKEY",
    "ACCESS_KEY",
    "PRIVATE_KEY",
    "SECRET_KEY",
    "ENCRYPTION_KEY",
    "MASTER_KEY",
];
/// Values that are switches whatever the name says, as in `ALLOW_EMPTY_PASSWORD=yes`.
const SWITCHES: [&str; 8] = ["yes", "no", "true", "false", "on", "off", "0", "1"];

/// Whether the name of a variable says that its value is a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase().replace(['-', '.'], "_");
    // `DB_PASSWORD_FILE` is a path.
    !name.ends_with("_FILE")
        && (ENDS.iter().any(|end| name.ends_with(end))
            || name.split('_').any(|part| {
                WORDS.contains(&part) || part.ends_with("PASSWORD") || part.ends_with("SECRET")
            }))
}

/// Whether a variable's value is a secret, by its name or because it is a URL with a password.
pub(super) fn is_secret(name: &str, value: &str) -> bool {
    let is_switch = value.is_empty() || SWITCHES.contains(&&*value.to_ascii_lowercase());
    !is_switch && is_secret_name(name) || has_password(value)
}

fn has_password(value: &str) -> bool {
    value.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', '?', '#', ' ']).next().unwrap_or_default();
        let user = authority.rsplit_once('@').map(|(user, _)| user);
        user.and_then(|user| user.split_once(':'))
            .is_some_and(|(_, password)| !password.is_empty())
    })
}

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
    fn secrets_are_known_by_name_or_by_a_password_in_a_url() {
        for (name, value) in [
            ("POSTGRES_PASSWORD", "x"),
            ("db.password", "x"),
            ("JWT_SECRET", "x"),
            ("MYSQL_ROOT_PASSWORD", "x"),
            ("GITHUB_TOKEN", "x"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
            ("PGPASSWORD", "x"),
            ("DATABASE_URL", "postgres://a:b@db/x"),
        ] {
            assert!(is_secret(name, value), "{name}");
        }
        for (name, value) in [
            ("POSTGRES_USER", "x"),
            ("ALLOW_EMPTY_PASSWORD", "yes"),
            ("PASSWORD_FILE", "/run/x"),
            ("DATABASE_URL", "postgres://db:5432/x"),
            ("REDIS_URL", "redis://redis:6379"),
            ("COMPASS", "x"),
            ("DB_PASSWORD", ""),
            ("KEYBOARD", "x"),
            ("URL", "http://a@b/c:d@e"),
        ] {
            assert!(!is_secret(name, value), "{name}");
        }
    }

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
