//! What devenv tells people to type exists.

use crate::sources;

/// Every `devenv WORD` that is marked as something to type: in backquotes, or as the whole of a help.
fn commands(text: &str) -> Vec<&str> {
    let marks = ["`devenv ", "help(\"devenv "];
    let found = marks.iter().flat_map(|mark| text.split(mark).skip(1));
    found
        .map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '-');
            &rest[..end.unwrap_or(rest.len())]
        })
        .filter(|word| !word.is_empty() && !word.starts_with('-'))
        .collect()
}

#[test]
fn every_command_that_a_text_names_is_one() {
    let verbs: Vec<String> = devenv::cli::command()
        .get_subcommands()
        .map(|verb| verb.get_name().to_owned())
        .collect();
    let mut texts: Vec<(String, String)> = sources::all()
        .into_iter()
        .map(|source| (source.path.display().to_string(), source.code))
        .collect();
    for path in [
        "README.md",
        "devenv.example.yaml",
        "docs/architecture.md",
        "docs/cli.md",
        "docs/doctor.md",
        "docs/errors.md",
        "docs/manifest.md",
        "docs/testing.md",
        "docs/validate.md",
        "examples/shop/README.md",
        "scripts/demo.sh",
    ] {
        texts.push((path.to_owned(), sources::text(path.as_ref())));
    }
    let mut named = 0;
    for (path, text) in &texts {
        for word in commands(text) {
            named += 1;
            assert!(
                verbs.iter().any(|verb| verb == word),
                "{path} names `devenv {word}`"
            );
        }
    }
    assert!(
        named > 50,
        "only {named} commands were found: the test looks at the wrong places"
    );
}
