//! The room as a whole: good manifests resolve, bad ones are explained.

mod bad;
mod fifty;
mod files;
mod good;
mod layers;
mod live;
mod properties;

use std::{collections::BTreeSet, path::Path};

/// Every code in `text` that stands behind `before`: in quotes or as a heading.
fn codes(text: &str, before: &str) -> BTreeSet<String> {
    let found = text.match_indices(before).map(|(at, _)| {
        let rest = &text[at + before.len()..];
        let end = rest.find(|c: char| c != '-' && !c.is_ascii_lowercase());
        rest[..end.unwrap_or(rest.len())].to_owned()
    });
    found.filter(|code| !code.is_empty()).collect()
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test looks at the repository it is part of"
)]
fn every_code_is_documented_and_every_documented_code_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut used = BTreeSet::new();
    let mut of_datasets = BTreeSet::new();
    for folder in ["src/manifest", "src/manifest/check", "src/manifest/dataset"] {
        for entry in root.join(folder).read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(path).unwrap();
                used.extend(codes(&text, "\"manifest."));
                of_datasets.extend(codes(&text, "\"dataset."));
            }
        }
    }
    // The name of a file.
    of_datasets.remove("yaml");
    let documented = std::fs::read_to_string(root.join("docs/errors.md")).unwrap();
    assert_eq!(used, codes(&documented, "\n## manifest."));
    assert_eq!(of_datasets, codes(&documented, "\n## dataset."));
    assert!(used.len() > 20 && of_datasets.len() > 10, "{used:?}");
}
