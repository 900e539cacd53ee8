//! What is done with each table -> the SQL that does it. Pure.

use std::fmt::Write as _;

use super::{
    catalogue::{Catalogue, Kind, Reference, Table},
    matching::{ColumnPlan, TablePlan},
};
use crate::domain::{Change, KeptRows, Place, Replacement};

/// What stands between the answers to statements.
pub(super) const MARK: &str = "devenv-done";
/// The longest that a value of a column without bounds gets.
const UNBOUNDED: u32 = 10_000;
/// The length of a block of SHA-256, in bytes.
const BLOCK: usize = 64;
const FUNCTIONS: &str = include_str!("functions.sql");
/// So that nothing acts on the changes, and every name means what it says.
const SETTINGS: &str = "SET LOCAL session_replication_role = replica;
SET LOCAL search_path = '';
SET LOCAL row_security = off;
SET LOCAL statement_timeout = 0;
SET LOCAL lock_timeout = 0";
/// What a dump would have in it that is neither a row nor how rows are kept: values in statistics, and passwords for
/// other servers.
const TIDY: &str = "DELETE FROM pg_catalog.pg_statistic;
DELETE FROM pg_catalog.pg_statistic_ext_data;
DO $tidy$
DECLARE mapping record;
BEGIN
    FOR mapping IN SELECT srvname, umuser, usename FROM pg_catalog.pg_user_mappings LOOP
        EXECUTE pg_catalog.format('DROP USER MAPPING FOR %s SERVER %I',
            CASE mapping.umuser WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(mapping.usename) END, mapping.srvname);
    END LOOP;
END $tidy$";

/// A secret that replacements are derived from.
#[derive(Clone, Copy)]
pub(super) struct Key(pub(super) [u8; 32]);

/// A script for `psql`, and where the rules say what its statements do.
pub(super) struct Script<'a> {
    pub(super) text: String,
    places: Vec<Option<&'a Place>>,
}

/// What a script did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Done {
    /// For each table, how many rows it had.
    pub(super) before: Vec<u64>,
    /// For each table, how many rows are left, and then how many values of each of its columns that are changed.
    pub(super) after: Vec<Vec<u64>>,
}

/// The script that does all of a plan, in one transaction. `schema` is a name that nothing has.
pub(super) fn script<'a>(
    plans: &'a [TablePlan<'_>],
    catalogue: &Catalogue,
    schema: &str,
    key: &Key,
) -> Script<'a> {
    let mut script = Script {
        text: "SET standard_conforming_strings = on;\n".to_owned(),
        places: Vec::new(),
    };
    script.add(SETTINGS, None);
    script.add(&functions(schema, key), None);
    for plan in plans {
        script.add(
            &format!("SELECT count(*) FROM {}", source(plan.table)),
            None,
        );
    }
    let mut has_gone = false;
    for plan in plans {
        if let Some(statement) = remove(plan, schema) {
            script.add(&statement, Some(&plan.place));
            has_gone = true;
        }
    }
    if has_gone && let Some(statement) = follow(catalogue) {
        script.add(&statement, None);
    }
    for plan in plans {
        script.add(&count(plan), None);
    }
    for plan in plans {
        if let Some(first) = plan.columns.first() {
            script.add(&change(plan, schema), Some(&first.place));
        }
    }
    script.add(TIDY, None);
    script.add(
        &format!("SET LOCAL client_min_messages = warning;\nDROP SCHEMA {schema} CASCADE"),
        None,
    );
    script
}

impl<'a> Script<'a> {
    fn add(&mut self, statement: &str, place: Option<&'a Place>) {
        // Writing to a String cannot fail.
        let _ = write!(self.text, "{statement};\n\\echo {MARK}\n");
        self.places.push(place);
    }

    /// The rule whose statement failed, by what the script said before.
    pub(super) fn place_of_failure(&self, said: &str) -> Option<&'a Place> {
        let done = said.lines().filter(|line| *line == MARK).count();
        self.places.get(done).copied().flatten()
    }

    /// What a script did that came to its end; `None` if it did not say that.
    pub(super) fn understand(&self, said: &str, plans: &[TablePlan<'_>]) -> Option<Done> {
        let done = said.lines().filter(|line| *line == MARK).count();
        if done != self.places.len() {
            return None;
        }
        let numbers = |line: &str| line.split('|').map(|number| number.parse().ok()).collect();
        let lines = said
            .lines()
            .filter(|line| *line != MARK && !line.is_empty());
        let rows: Option<Vec<Vec<u64>>> = lines.map(numbers).collect();
        let rows = rows.filter(|rows| rows.len() == 2 * plans.len())?;
        let (before, after) = rows.split_at(plans.len());
        Some(Done {
            before: before
                .iter()
                .filter_map(|row| row.first().copied())
                .collect(),
            after: after.to_vec(),
        })
    }
}

/// The query that tells how many rows each table has, a line for each.
pub(super) fn rows(plans: &[TablePlan<'_>]) -> String {
    let counts = plans
        .iter()
        .map(|plan| format!("SELECT count(*) FROM {}", source(plan.table)));
    let counts: Vec<String> = counts.collect();
    counts.join(";\n")
}

fn functions(schema: &str, key: &Key) -> String {
    let pad = |with: u8| -> String {
        let key = key
            .0
            .iter()
            .copied()
            .chain(std::iter::repeat(0))
            .take(BLOCK);
        key.fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{:02x}", byte ^ with);
            hex
        })
    };
    let functions = FUNCTIONS.replace("@schema@", schema);
    let functions = functions
        .replace("@inner@", &pad(0x36))
        .replace("@outer@", &pad(0x5c));
    functions.trim_end().trim_end_matches(';').to_owned()
}

/// A table as what is read or written: without others that inherit from it.
fn source(table: &Table) -> String {
    let name = format!("{}.{}", identifier(&table.schema), identifier(&table.name));
    if table.is_partitioned {
        name
    } else {
        format!("ONLY {name}")
    }
}

/// Removes the rows that do not stay.
fn remove(plan: &TablePlan<'_>, schema: &str) -> Option<String> {
    let source = source(plan.table);
    let percent = match plan.rows {
        KeptRows::All => return None,
        KeptRows::None => return Some(format!("DELETE FROM {source}")),
        KeptRows::Percent(percent) => u32::from(percent),
    };
    let key: Vec<String> = plan
        .table
        .key
        .iter()
        .map(|column| format!("t.{}", identifier(column)))
        .collect();
    let row = match key.as_slice() {
        [] => "t.*".to_owned(),
        columns => columns.join(", "),
    };
    let many = percent * 100;
    Some(format!(
        "DELETE FROM {source} AS t WHERE NOT {schema}.stays(CAST(ROW({row}) AS text), {many})"
    ))
}

/// Removes the rows that refer to rows that are gone, and those that refer to these.
fn follow(catalogue: &Catalogue) -> Option<String> {
    let deletes = catalogue
        .references
        .iter()
        .filter_map(|reference| dangling(reference, catalogue));
    let deletes: Vec<String> = deletes
        .map(|delete| {
            format!("{delete};\nGET DIAGNOSTICS gone = ROW_COUNT;\ntotal := total + gone;\n")
        })
        .collect();
    if deletes.is_empty() {
        return None;
    }
    let body = format!(
        "DECLARE gone bigint; total bigint;\nBEGIN LOOP\ntotal := 0;\n{}EXIT WHEN total = 0;\nEND LOOP; END",
        deletes.concat()
    );
    Some(format!("DO {}", dollar_quoted(&body)))
}

fn dangling(reference: &Reference, catalogue: &Catalogue) -> Option<String> {
    let (from, to) = (
        catalogue.table(reference.from)?,
        catalogue.table(reference.to)?,
    );
    let set = reference.columns.iter();
    let set: Vec<String> = set
        .map(|pair| format!("c.{} IS NOT NULL", identifier(&pair.from)))
        .collect();
    let same = reference.columns.iter().map(|pair| {
        let operator = format!(
            "OPERATOR({}.{})",
            identifier(&pair.operator_schema),
            pair.operator
        );
        format!(
            "p.{} {operator} c.{}",
            identifier(&pair.to),
            identifier(&pair.from)
        )
    });
    let same: Vec<String> = same.collect();
    Some(format!(
        "DELETE FROM {} AS c WHERE {} AND NOT EXISTS (SELECT FROM {} AS p WHERE {})",
        source(from),
        set.join(" AND "),
        source(to),
        same.join(" AND ")
    ))
}

/// Counts the rows of a table, and the values that are going to be changed.
fn count(plan: &TablePlan<'_>) -> String {
    let columns = plan.columns.iter();
    let counts = columns.map(|it| format!(", count({})", identifier(&it.column.name)));
    let counts: String = counts.collect();
    format!("SELECT count(*){counts} FROM {}", source(plan.table))
}

fn change(plan: &TablePlan<'_>, schema: &str) -> String {
    let sets = plan.columns.iter().map(|column| {
        let name = identifier(&column.column.name);
        format!("{name} = {}", changed(column, schema))
    });
    let sets: Vec<String> = sets.collect();
    format!("UPDATE {} SET {}", source(plan.table), sets.join(", "))
}

/// What a column's value becomes.
fn changed(plan: &ColumnPlan<'_>, schema: &str) -> String {
    let column = identifier(&plan.column.name);
    let text = format!("CAST({column} AS text)");
    let room = plan.room.unwrap_or(UNBOUNDED);
    let replacement = match &plan.change {
        Change::Value(value) => {
            let value = format!("CAST({} AS {})", literal(value), plan.column.sql_type);
            return format!("CASE WHEN {column} IS NOT NULL THEN {value} END");
        }
        Change::Mask(mask) => {
            return format!("{schema}.mask({text}, {}, {})", mask.first, mask.last);
        }
        Change::Replace(replacement) => *replacement,
    };
    match (replacement, plan.column.kind) {
        (Replacement::Nothing, _) => "NULL".to_owned(),
        (_, Kind::Bytes) => format!("{schema}.hash_bytes(CAST({column} AS bytea))"),
        (_, Kind::Uuid) => format!("{schema}.uuid({text})"),
        (Replacement::Uuid, _) => format!("CAST({schema}.uuid({text}) AS text)"),
        (other, _) => format!("{schema}.{}({text}, {room})", other.name()),
    }
}

/// A name as SQL has it, whatever is in it.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL has it, whatever is in it.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A text between marks that are not in it.
fn dollar_quoted(text: &str) -> String {
    let mut mark = "$devenv$".to_owned();
    let mut number = 0;
    while text.contains(&mark) {
        number += 1;
        mark = format!("$devenv{number}$");
    }
    format!("{mark}{text}{mark}")
}

#[cfg(test)]
mod tests;
