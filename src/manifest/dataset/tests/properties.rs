//! Whatever is in the files, loading answers and does not panic.

use proptest::prelude::*;

use super::{environment, project};
use crate::{
    domain::DatasetChain,
    manifest::{
        dataset::{hash, list, load},
        testing::MemoryFiles,
    },
};

/// Words that lead deep into the loader, among others.
const WORDS: &[&str] = &[
    "description",
    "extends",
    "base",
    "snapshot",
    "variables",
    "v",
    "${v}",
    "a ${v} $${v} ${",
    "${w}",
    "steps",
    "check",
    "service",
    "redis",
    "postgres",
    "gateway",
    "sql",
    "orders.sql",
    "csv",
    "table",
    "columns",
    "delimiter",
    "command",
    "stdin",
    "files",
    "images",
    "with-links",
    "to",
    "/data/images",
    "owner",
    "1:1",
    "mode",
    "0644",
    "http",
    "path",
    "/api",
    "headers",
    "body",
    "bodyFile",
    "expect",
    "200",
    "template",
    "true",
    "equals",
    "matches",
    "(",
    "within",
    "1s",
    "text",
    "file",
    "null",
    "..",
    "",
    "é",
    "<<",
];

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        9 => prop::sample::select(WORDS).prop_map(|word| format!("{word:?}")),
        1 => "\\PC{0,8}".prop_map(|text| format!("{text:?}")),
    ]
}

/// A tree as YAML's flow style.
fn tree() -> impl Strategy<Value = String> {
    word().prop_recursive(4, 48, 6, |inner| {
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

fn answered(files: &MemoryFiles) -> Option<DatasetChain> {
    let environment = environment(files, &[]);
    let chain = load(&"limit".parse().unwrap(), &environment, files).ok()?;
    hash(&chain, files).unwrap();
    Some(chain)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_is_answered(root in tree(), step in tree(), value in tree()) {
        answered(&project(&root));
        let step = format!("variables: {{ v: {value} }}\nsteps: [{step}, {{ service: redis, command: {value} }}]\n");
        answered(&project(&step));
        let check = format!("check: [{step}, {{ service: redis, command: [a], equals: {value} }}]\n");
        answered(&project(&check));
    }

    #[test]
    fn any_text_is_answered(text in "\\PC{0,64}|[-:{}\\[\\],&*!|>'\"#%@$ \\n\\ta-c]{0,64}") {
        let files = project(&text).file("datasets/other/dataset.yaml", &text);
        answered(&files);
        list(&files).unwrap();
    }

    #[test]
    fn a_value_comes_through_as_it_is(value in "\\PC{0,16}") {
        let quoted = serde_json::to_string(&value).unwrap();
        let text = format!("variables: {{ v: {quoted} }}\nsteps: [{{ service: redis, command: [\"<${{v}}>\"] }}]\n");
        let chain = answered(&project(&text)).unwrap();
        let crate::domain::DataAction::Command { command, .. } = &chain.top.steps[0].action else {
            panic!("a command")
        };
        prop_assert_eq!(command, &[format!("<{value}>")]);
    }
}
