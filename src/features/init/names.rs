//! Names that the manifest takes, made from names that others gave.

use std::{collections::BTreeSet, path::Path};

/// The longest name of a service: Helm's limit for a release.
const LONGEST: usize = 53;

/// `text` as a name: lower-case letters, digits and `-`; `None` if nothing is left.
pub(super) fn label(text: &str) -> Option<String> {
    let mut name = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            name.push(c.to_ascii_lowercase());
        } else if !name.ends_with('-') && !name.is_empty() {
            name.push('-');
        }
    }
    name.truncate(LONGEST);
    let name = name.trim_end_matches('-');
    (!name.is_empty()).then(|| name.to_owned())
}

/// `name`, or with a number at its end if it is taken already; it is taken then.
pub(super) fn unique(name: &str, taken: &mut BTreeSet<String>) -> String {
    let mut candidate = name.to_owned();
    let mut number = 1;
    while !taken.insert(candidate.clone()) {
        number += 1;
        let end = format!("-{number}");
        let stem = &name[..name.len().min(LONGEST - end.len())];
        candidate = format!("{}{end}", stem.trim_end_matches('-'));
    }
    candidate
}

/// A project's name from its directory.
pub(super) fn of_directory(directory: &Path) -> String {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    label(&name).unwrap_or_else(|| "app".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_becomes_a_name_or_nothing() {
        assert_eq!(label("My_Service.v2").as_deref(), Some("my-service-v2"));
        assert_eq!(label("--a--").as_deref(), Some("a"));
        assert_eq!(label("日本"), None);
        assert_eq!(label(&"x".repeat(80)).map(|name| name.len()), Some(LONGEST));
        assert_eq!(of_directory(Path::new("/")), "app");
    }

    #[test]
    fn a_name_is_given_once() {
        let mut taken = BTreeSet::new();
        let names = ["api", "api", "api"].map(|name| unique(name, &mut taken));
        assert_eq!(names, ["api", "api-2", "api-3"]);
        let long = "x".repeat(LONGEST);
        unique(&long, &mut taken);
        assert_eq!(unique(&long, &mut taken).len(), LONGEST);
    }
}
