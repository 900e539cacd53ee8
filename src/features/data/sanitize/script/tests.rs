//! The SQL of plans, also of hostile names and values.

use super::*;
use crate::{
    domain::{ColumnRule, DatabaseRules, Failures, Located, Mask, Replacement, TableRules},
    features::data::sanitize::{catalogue::Column, matching::plan},
};

fn place(line: usize) -> Place {
    Place {
        file: "rules.yaml".into(),
        line,
        column: 1,
        length: 1,
        source_line: String::new(),
    }
}

fn column(name: &str) -> Column {
    Column {
        name: name.to_owned(),
        shown_type: "text".to_owned(),
        sql_type: "pg_catalog.text".to_owned(),
        kind: Kind::Text,
        room: None,
        is_nullable: true,
        is_generated: false,
        is_unique: false,
    }
}

fn table(id: u64, name: &str, columns: Vec<Column>) -> Table {
    Table {
        id,
        schema: "public".to_owned(),
        name: name.to_owned(),
        is_usual: true,
        is_partitioned: false,
        key: vec!["id".to_owned()],
        columns,
    }
}

/// Customers, and orders that refer to them by their mail address.
fn shop() -> Catalogue {
    let mut email = column("email");
    (email.is_unique, email.is_nullable, email.room) = (true, false, Some(60));
    let mut number = column("id");
    (number.kind, number.is_unique) = (Kind::Other, true);
    number.shown_type = "integer".to_owned();
    let mut contact = column("contact");
    contact.room = Some(40);
    let reference = Reference {
        from: 2,
        to: 1,
        columns: vec![crate::features::data::sanitize::catalogue::Pair {
            from: "contact".to_owned(),
            to: "email".to_owned(),
            operator: "=".to_owned(),
            operator_schema: "pg_catalog".to_owned(),
        }],
    };
    Catalogue {
        version: 150_000,
        is_superuser: true,
        others: Vec::new(),
        has_large_objects: false,
        tables: vec![
            table(1, "customers", vec![number.clone(), email, column("note")]),
            table(2, "orders", vec![number, contact]),
        ],
        references: vec![reference],
    }
}

fn rule(line: usize, name: &str, change: Change) -> ColumnRule {
    ColumnRule {
        name: Located {
            what: name.to_owned(),
            place: place(line),
        },
        change,
    }
}

fn of(line: usize, name: &str, rows: KeptRows, columns: Vec<ColumnRule>) -> TableRules {
    TableRules {
        name: Located {
            what: name.to_owned(),
            place: place(line),
        },
        rows,
        columns,
    }
}

fn rules(tables: Vec<TableRules>) -> DatabaseRules {
    DatabaseRules {
        place: place(1),
        database: Located {
            what: "shop".to_owned(),
            place: place(2),
        },
        user: None,
        tables,
    }
}

fn replace(line: usize, name: &str, by: Replacement) -> ColumnRule {
    rule(line, name, Change::Replace(by))
}

/// The script of rules, without the functions.
fn sql(rules: &DatabaseRules, catalogue: &Catalogue) -> String {
    let plans = plan(rules, catalogue).unwrap();
    let script = script(&plans, catalogue, "s", &Key([7; 32]));
    let text = script
        .text
        .replace(&functions("s", &Key([7; 32])), "FUNCTIONS");
    text.replace(TIDY, "TIDY")
}

/// Codes, lines and sentences of all that is wrong.
fn wrong(rules: &DatabaseRules, catalogue: &Catalogue) -> String {
    let failures: Failures = plan(rules, catalogue).unwrap_err();
    let lines = failures.iter().map(|failure| {
        let place = failure
            .place
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        format!(
            "{} {place} {}\n  {}\n",
            failure.code,
            failure.what,
            failure.why.join("; ")
        )
    });
    lines.collect()
}

#[test]
fn rows_go_with_those_that_refer_to_them_and_values_that_belong_together_change_together() {
    let rules = rules(vec![
        of(
            4,
            "customers",
            KeptRows::Percent(10),
            vec![
                replace(5, "email", Replacement::Email),
                rule(6, "note", Change::Mask(Mask { first: 1, last: 2 })),
            ],
        ),
        of(8, "public.orders", KeptRows::All, Vec::new()),
    ]);
    insta::assert_snapshot!(sql(&rules, &shop()));
}

#[test]
fn nothing_that_names_and_values_hold_ends_them() {
    let mut catalogue = shop();
    let name = "x\"; DROP TABLE y; --";
    catalogue.tables[0].columns.push(column(name));
    catalogue.tables[1].name = "it's $devenv$ \"ß\"".to_owned();
    let rules = rules(vec![
        of(
            4,
            "customers",
            KeptRows::None,
            vec![
                rule(5, name, Change::Value("'; DROP TABLE y; --\\".to_owned())),
                replace(6, "note", Replacement::Nothing),
            ],
        ),
        of(7, "it's $devenv$ \"ß\"", KeptRows::All, Vec::new()),
    ]);
    let sql = sql(&rules, &catalogue);
    let quoted = "\"x\"\"; DROP TABLE y; --\"";
    assert!(sql.contains(&format!(
        "SET \"note\" = NULL, {quoted} = CASE WHEN {quoted} IS NOT NULL THEN CAST('''; DROP TABLE y; --\\' AS pg_catalog.text) END;"
    )), "{sql}");
    assert!(sql.contains("DO $devenv1$DECLARE"), "{sql}");
    assert!(
        sql.contains("ONLY \"public\".\"it's $devenv$ \"\"ß\"\"\""),
        "{sql}"
    );
}

#[test]
fn what_is_not_there_or_not_decided_is_told_with_its_line() {
    let rules = rules(vec![
        of(4, "custmers", KeptRows::All, Vec::new()),
        of(
            5,
            "customers",
            KeptRows::All,
            vec![replace(6, "emial", Replacement::Email)],
        ),
        of(7, "public.customers", KeptRows::None, Vec::new()),
    ]);
    insta::assert_snapshot!(wrong(&rules, &shop()));
}

#[test]
fn a_rule_that_a_column_cannot_take_is_told_with_its_line() {
    let mut catalogue = shop();
    let mut generated = column("made");
    generated.is_generated = true;
    catalogue.tables[0].columns.push(generated);
    let mut short = column("short");
    short.room = Some(8);
    catalogue.tables[0].columns.push(short);
    let rules = rules(vec![
        of(
            4,
            "customers",
            KeptRows::All,
            vec![
                replace(5, "email", Replacement::Nothing),
                replace(6, "id", Replacement::Hash),
                replace(7, "made", Replacement::Hash),
                replace(8, "short", Replacement::Hash),
            ],
        ),
        of(9, "orders", KeptRows::All, Vec::new()),
    ]);
    insta::assert_snapshot!(wrong(&rules, &catalogue));
    let rules = self::rules(vec![
        of(
            4,
            "customers",
            KeptRows::All,
            vec![replace(5, "email", Replacement::Name)],
        ),
        of(
            6,
            "orders",
            KeptRows::All,
            vec![replace(7, "contact", Replacement::Email)],
        ),
    ]);
    insta::assert_snapshot!(wrong(&rules, &catalogue));
}

#[test]
fn who_may_not_do_everything_is_told_and_old_servers_are() {
    let mut catalogue = shop();
    catalogue.is_superuser = false;
    assert!(
        wrong(&rules(Vec::new()), &catalogue).starts_with("sanitize.not-allowed rules.yaml:1:1")
    );
    catalogue.version = 110_000;
    assert!(wrong(&rules(Vec::new()), &catalogue).starts_with("sanitize.not-postgres"));
}

#[test]
fn what_a_script_did_is_understood_and_what_it_failed_at_is_found() {
    let rules = rules(vec![
        of(
            4,
            "customers",
            KeptRows::Percent(50),
            vec![replace(5, "note", Replacement::Text)],
        ),
        of(6, "orders", KeptRows::All, Vec::new()),
    ]);
    let catalogue = shop();
    let plans = plan(&rules, &catalogue).unwrap();
    let script = script(&plans, &catalogue, "s", &Key([7; 32]));
    let mark = format!("{MARK}\n");
    let begin = format!("{mark}{mark}10\n{mark}20\n{mark}");
    assert_eq!(script.place_of_failure(&begin), Some(&place(4)));
    let rest = format!("{mark}{mark}5|3\n{mark}9\n{mark}");
    assert_eq!(
        script.place_of_failure(&format!("{begin}{rest}")),
        Some(&place(5))
    );
    let whole = format!("{begin}{rest}{mark}{mark}{mark}");
    let done = script.understand(&whole, &plans);
    let wanted = Done {
        before: vec![10, 20],
        after: vec![vec![5, 3], vec![9]],
    };
    assert_eq!(done, Some(wanted));
    assert_eq!(script.understand(&begin, &plans), None);
}
