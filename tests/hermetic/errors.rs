//! Every stable code is explained in docs/errors.md, and nothing else is.

use std::{collections::BTreeSet, path::Path};

use crate::sources;

/// The codes of docs/errors.md: its second-level headings.
fn explained() -> Vec<String> {
    sources::text(Path::new("docs/errors.md"))
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|code| code.trim().trim_matches('`').to_owned())
        .collect()
}

/// The codes given to `Failure::new`.
fn used() -> BTreeSet<String> {
    sources::all()
        .iter()
        .flat_map(|source| {
            source
                .code
                .split("Failure::new(")
                .skip(1)
                .filter_map(|call| call.trim_start().strip_prefix('"')?.split('"').next())
                .map(ToOwned::to_owned)
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn every_code_is_explained() {
    let explained: BTreeSet<String> = explained().into_iter().collect();
    let missing: Vec<String> = used().difference(&explained).cloned().collect();
    assert!(missing.is_empty(), "not in docs/errors.md: {missing:#?}");
}

#[test]
fn every_explained_code_exists() {
    let sources = sources::all();
    let gone: Vec<String> = explained()
        .into_iter()
        .filter(|code| {
            let literal = format!("\"{code}\"");
            !sources.iter().any(|source| source.code.contains(&literal))
        })
        .collect();
    assert!(gone.is_empty(), "no longer in src: {gone:#?}");
}

#[test]
fn no_code_is_explained_twice() {
    let all = explained();
    let once: BTreeSet<&String> = all.iter().collect();
    assert_eq!(all.len(), once.len());
}
