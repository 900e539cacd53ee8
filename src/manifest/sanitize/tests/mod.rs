//! Rules as a whole: good ones resolve, bad ones are explained with their lines, and the documents follow from the types.

use std::path::Path;

use serde_json::Value;

use super::{load, reference, schema};
use crate::{
    domain::{Change, Failures, KeptRows, Mask, Replacement, SanitizeRules},
    manifest::testing::{MemoryFiles, keep_up_to_date, render},
};

const MANIFEST: &str = "\
apiVersion: devenv/v1
name: shop
services:
  postgres: { image: postgres:16 }
  redis: { image: redis:7 }
";

fn rules(text: &str) -> Result<SanitizeRules, Failures> {
    let files = MemoryFiles::with_manifest(MANIFEST).file("rules.yaml", text);
    let environment = files.load().unwrap().environment;
    load(Path::new("/project/rules.yaml"), &environment, &files)
}

fn bad(text: &str) -> String {
    render(&rules(text).unwrap_err())
}

fn example() -> String {
    let page = reference();
    let example = page.split("```").nth(1).unwrap();
    example.trim_start_matches("yaml").trim_start().to_owned()
}

#[test]
fn the_example_of_the_reference_page_says_what_becomes_of_everything() {
    let rules = rules(&example())
        .map_err(|failures| render(&failures))
        .unwrap();
    let postgres = rules.services.values().next().unwrap();
    assert_eq!(postgres.database.what, "shop");
    let tables: Vec<(&str, KeptRows)> = postgres
        .tables
        .iter()
        .map(|table| (table.name.what.as_str(), table.rows))
        .collect();
    assert_eq!(
        tables,
        [
            ("customers", KeptRows::Percent(10)),
            ("orders", KeptRows::All),
            ("products", KeptRows::All),
            ("audit.kinds", KeptRows::All),
            ("sessions", KeptRows::None),
        ]
    );
    let customers = postgres.tables[0].columns.iter();
    let changes: Vec<(&str, &Change)> = customers
        .map(|it| (it.name.what.as_str(), &it.change))
        .collect();
    assert_eq!(
        changes,
        [
            ("birthday", &Change::Value("1990-01-01".to_owned())),
            ("card", &Change::Mask(Mask { first: 0, last: 4 })),
            ("email", &Change::Replace(Replacement::Email)),
            ("name", &Change::Replace(Replacement::Name)),
            ("token", &Change::Replace(Replacement::Hash)),
        ]
    );
    assert_eq!(postgres.tables[0].columns[2].name.place.line, 9);
    assert_eq!(rules.keep[0].what.as_str(), "redis");
}

#[test]
fn mistakes_are_told_all_at_once_with_their_lines() {
    let said = bad("\
services:
  postgers: { database: shop }
  postgres:
    databse: shop
    tables:
      customers:
        sample: { percent: 100 }
        columns:
          email: emial
          card: { mask: { keepLast: 4 }, value: x }
          name: {}
    keep: [customers, \"we.ird\"]
    empty: [we.ird]
keep: [redis, postgres]
");
    insta::assert_snapshot!(said);
}

#[test]
fn a_service_or_a_table_is_named_once() {
    let said = bad("\
services:
  postgers: { database: shop }
  postgres:
    database: shop
    tables: { customers: {} }
    keep: [customers, \"we.ird\"]
    empty: [we.ird]
keep: [redis, postgres, nobody]
");
    insta::assert_snapshot!(said);
}

#[test]
fn names_may_hold_whatever_a_database_lets_them() {
    let rules = rules(
        "services: { postgres: { database: 'sh\"op', tables: { \"a.b; DROP 'x\": { columns: { \"ä \\\"ö\": hash } } } } }",
    );
    let rules = rules.map_err(|failures| render(&failures)).unwrap();
    let table = &rules.services.values().next().unwrap().tables[0];
    assert_eq!(table.name.what, "a.b; DROP 'x");
    assert_eq!(table.columns[0].name.what, "ä \"ö");
}

#[test]
fn a_file_that_says_nothing_or_is_not_there_is_refused() {
    for text in ["", "# nothing\n", "{}\n"] {
        let said = bad(text);
        assert!(
            said.contains("sanitize.empty") || said.contains("manifest."),
            "{said}"
        );
    }
    assert!(bad("- a list\n").contains("manifest."));
    let files = MemoryFiles::with_manifest(MANIFEST);
    let environment = files.load().unwrap().environment;
    let missing = load(Path::new("/project/rules.yaml"), &environment, &files).unwrap_err();
    assert!(render(&missing).contains("sanitize.no-rules"));
}

#[test]
fn a_seed_is_never_shown() {
    let rules = rules("seed: geheim\nkeep: [redis]\n").unwrap();
    assert!(!format!("{rules:?}").contains("geheim"));
}

#[test]
fn the_published_schema_is_up_to_date_and_takes_the_example() {
    let text = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    keep_up_to_date("docs/schema/sanitize.schema.json", &text);
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let json: Value = serde_saphyr::from_str(&example()).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(&json)
        .map(|error| error.to_string())
        .collect();
    assert_eq!(errors, [""; 0]);
}

#[test]
fn the_reference_page_is_up_to_date() {
    keep_up_to_date("docs/sanitize.md", &reference());
}
