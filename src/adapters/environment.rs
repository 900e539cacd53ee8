//! What the process was started with: environment variables and the working directory, read once.
//!
//! Called by `cli`, which hands the values down; no other room asks the process for them.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

/// A snapshot of the environment variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostVariables {
    variables: BTreeMap<String, String>,
}

impl HostVariables {
    /// The variables of this process. Those that are not UTF-8 are left out.
    pub fn read() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// The value of `name`; a variable that is set to nothing counts as unset.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Every variable, in order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for HostVariables {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        Self {
            variables: variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }
}

/// The working directory, or `chosen` seen from it: absolute, without symbolic links.
pub fn working_directory(chosen: Option<&Path>) -> io::Result<PathBuf> {
    let current = std::env::current_dir()?;
    let directory = current.join(chosen.unwrap_or_else(|| Path::new("")));
    let canonical = directory.canonicalize()?;
    if canonical.is_dir() {
        Ok(canonical)
    } else {
        Err(io::ErrorKind::NotADirectory.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_set_to_nothing_is_unset() {
        let variables: HostVariables = [("A", ""), ("B", "x")].into_iter().collect();
        assert_eq!(variables.get("A"), None);
        assert_eq!(variables.get("B"), Some("x"));
    }

    #[test]
    fn a_file_is_no_working_directory() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = working_directory(Some(file.path())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
    }
}
