//! Whatever is in the files, loading answers and does not panic.

use std::path::Path;

use proptest::prelude::*;

use crate::{
    corpus,
    manifest::testing::{MemoryFiles, render},
    mutate::{Mutator, rounds},
};

/// Words that lead deep into the loader, among others.
const WORDS: &[&str] = &[
    "apiVersion",
    "devenv/v1",
    "name",
    "shop",
    "services",
    "tasks",
    "hooks",
    "afterUp",
    "defaults",
    "cluster",
    "ports",
    "port",
    "expose",
    "host",
    "path",
    "build",
    "context",
    "secrets",
    "id=file",
    "image",
    "chart",
    "values",
    "manifests",
    "k8s/*.yaml",
    "env",
    "dependsOn",
    "ready",
    "http",
    "tcp",
    "within",
    "1m30s",
    "command",
    "volumes",
    "size",
    "1Gi",
    "resources",
    "limits",
    "cpu",
    "replicas",
    "autoscale",
    "max",
    "live",
    "sync",
    "mount",
    "run",
    "on",
    "rebuild",
    "src:/app/src",
    "from",
    "to",
    "onChange",
    "reload",
    "signal",
    "SIGTERM",
    "debug",
    "runtime",
    "other",
    "extends",
    "only",
    "null",
    "~",
    "true",
    "0",
    "-1",
    "1.10",
    "80",
    "99999999999999999999",
    "é",
    "",
    "..",
    "/",
    "<<",
];

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        9 => prop::sample::select(WORDS).prop_map(|word| format!("{word:?}")),
        3 => prop::sample::select(WORDS).prop_filter_map("plain", |word| {
            (!word.is_empty() && word != "<<").then(|| word.to_owned())
        }),
        1 => "\\PC{0,8}".prop_map(|text| format!("{text:?}")),
    ]
}

/// A tree as YAML's flow style.
fn tree() -> impl Strategy<Value = String> {
    word().prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::vec((word(), inner), 0..6).prop_map(|entries| {
                let entries: Vec<String> = entries
                    .iter()
                    .map(|(key, value)| format!("{key}: {value}"))
                    .collect();
                format!("{{{}}}", entries.join(", "))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_is_answered(service in tree(), root in tree(), profile in tree(), flag in tree()) {
        let _ = MemoryFiles::with_manifest(&root).load();
        let manifest = format!("apiVersion: devenv/v1\nname: x\nservices: {{ a: {service}, b: {{ image: i }} }}\n");
        let flag = format!("services.b={flag}");
        let files = MemoryFiles::with_manifest(&manifest).file("profiles/p.yaml", &profile);
        let _ = files.load_with(&["p"], &[&flag]);
    }

    #[test]
    fn any_text_is_answered(text in "\\PC{0,64}|[-:{}\\[\\],&*!|>'\"#%@ \\n\\ta-c]{0,64}", flag in "\\PC{0,16}") {
        let _ = MemoryFiles::with_manifest(&text).load();
        let _ = MemoryFiles::with_manifest("apiVersion: devenv/v1\nname: x\n").load_with(&[], &[&flag]);
    }
}

/// Found by damaging manifests: the circle was looked for in a service that is none.
#[test]
fn a_service_may_depend_on_one_that_cannot_be_read() {
    for service in ["text", "[]", "null", "{ image: 1, 2: 3 }"] {
        let manifest = format!(
            "apiVersion: devenv/v1\nname: x\nservices: {{ a: {{ image: i, dependsOn: [b] }}, b: {service} }}\n"
        );
        assert!(MemoryFiles::with_manifest(&manifest).load().is_err());
    }
}

/// Manifests of the shapes that people write, and of those that only YAML knows.
#[test]
fn manifests_of_the_corpus_are_answered_whatever_is_done_to_them() {
    let corpus = corpus::files(Path::new(env!("CARGO_MANIFEST_DIR")), "manifest");
    let load = |text: &str| {
        let files = MemoryFiles::with_manifest(text).file("web/Dockerfile", "FROM scratch\n");
        files
            .load()
            .map(|_| ())
            .map_err(|failures| render(&failures))
    };
    for (path, bytes) in &corpus {
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert_eq!(load(&text), Ok(()), "{}", path.display());
    }
    let mut mutator = Mutator::new(0x3a11);
    let (mut good, mut bad) = (0, 0);
    for (index, (_, bytes)) in corpus.iter().enumerate() {
        let (_, other) = &corpus[(index + 1) % corpus.len()];
        for _ in 0..rounds(60) {
            let damaged = mutator.damaged(bytes, other);
            match load(&String::from_utf8_lossy(&damaged)) {
                Ok(()) => good += 1,
                Err(said) => {
                    assert!(said.contains("manifest."), "{said}");
                    bad += 1;
                }
            }
        }
    }
    assert!(good > 10 && bad > 10, "{good} {bad}");
}
