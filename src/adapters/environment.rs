//! The environment variables the process was started with, read once: what children inherit.
//!
//! Called by `cli`, which hands them down; `host` knows what the single ones mean.

use std::collections::BTreeMap;

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

    /// Takes a variable out, so that no child inherits it.
    pub fn take(&mut self, name: &str) -> Option<String> {
        self.variables.remove(name)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_set_to_nothing_is_unset() {
        let variables: HostVariables = [("A", ""), ("B", "x")].into_iter().collect();
        assert_eq!(variables.get("A"), None);
        assert_eq!(variables.get("B"), Some("x"));
    }
}
