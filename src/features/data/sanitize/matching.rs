//! Rules and a database -> what is done with each of its tables. Pure.

use std::collections::BTreeMap;

use super::catalogue::{Catalogue, Column, Kind, Table};
use crate::domain::{
    Change, DatabaseRules, ExitClass, Failure, Failures, KeptRows, Place, Replacement, TableRules,
};

/// The oldest server that has the functions which are used.
const OLDEST: u32 = 120_000;
/// Fewer characters than this do not tell many values apart.
const LEAST_ROOM: u32 = 12;
/// The length of what stands behind the part of a mail address that differs.
const MAIL_DOMAIN: u32 = 12;
/// The length of a UUID.
const UUID: u32 = 36;
/// The length of a telephone number that still differs from others.
const PHONE: u32 = 10;

/// What is done with a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TablePlan<'a> {
    pub(super) table: &'a Table,
    pub(super) rows: KeptRows,
    /// Where the rules name it.
    pub(super) place: Place,
    pub(super) columns: Vec<ColumnPlan<'a>>,
}

/// What is done with a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ColumnPlan<'a> {
    pub(super) column: &'a Column,
    pub(super) change: Change,
    /// How many characters a value has room for, the same in all columns that refer to each other.
    pub(super) room: Option<u32>,
    /// The column whose rule it is, where it has none of its own: one that it refers to or that refers to it.
    pub(super) from: Option<String>,
    /// Where the rule is written.
    pub(super) place: Place,
}

/// A column by the id of its table and its name.
type Key<'a> = (u64, &'a str);

/// A change that a rule wants for a column.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    change: &'a Change,
    place: &'a Place,
    key: Key<'a>,
}

/// Decides on every table; all that is wrong with the rules is told at once.
pub(super) fn plan<'a>(
    rules: &'a DatabaseRules,
    catalogue: &'a Catalogue,
) -> Result<Vec<TablePlan<'a>>, Failures> {
    check_server(rules, catalogue)?;
    let mut matching = Matching {
        catalogue,
        failures: Vec::new(),
    };
    let tables = matching.tables(rules);
    let wanted = matching.wanted(&tables);
    let groups = matching.groups(&wanted);
    let mut plans = Vec::new();
    for (table, rules) in tables {
        let columns = table.columns.iter();
        let columns = columns.filter_map(|column| matching.column(table, column, &groups));
        plans.push(TablePlan {
            table,
            rows: rules.rows,
            place: rules.name.place.clone(),
            columns: columns.collect(),
        });
    }
    match Failures::from_list(matching.failures) {
        Some(failures) => Err(failures),
        None => Ok(plans),
    }
}

fn check_server(rules: &DatabaseRules, catalogue: &Catalogue) -> Result<(), Failure> {
    let at = |failure: Failure| failure.at(Some(rules.place.clone()));
    if catalogue.version < OLDEST {
        let what = "this PostgreSQL is too old for its data to be sanitised".to_owned();
        return Err(at(Failure::new(
            "sanitize.not-postgres",
            ExitClass::Data,
            what,
        )
        .because(format!("it is version {}", catalogue.version / 10_000))
        .help("move the service to PostgreSQL 12 or newer")));
    }
    if !catalogue.is_superuser {
        let what = "the database's user may not do what sanitising takes".to_owned();
        return Err(at(Failure::new(
            "sanitize.not-allowed",
            ExitClass::Manifest,
            what,
        )
        .because("only a superuser can change rows while no trigger and no foreign key acts")
        .help("name one: `user: postgres` beside `database:`")));
    }
    Ok(())
}

/// What the columns are changed to that refer to each other.
struct Group<'a> {
    wanted: Wanted<'a>,
    room: Option<u32>,
}

struct Matching<'a> {
    catalogue: &'a Catalogue,
    failures: Vec<Failure>,
}

impl<'a> Matching<'a> {
    fn fail(&mut self, failure: Failure, place: &Place) {
        self.failures.push(failure.at(Some(place.clone())));
    }

    /// The tables that the rules name, each with its rules; reports what is not there, named twice, or not named.
    fn tables(&mut self, rules: &'a DatabaseRules) -> Vec<(&'a Table, &'a TableRules)> {
        let mut found: BTreeMap<u64, (&Table, &TableRules)> = BTreeMap::new();
        for table_rules in &rules.tables {
            let (name, place) = (&table_rules.name.what, &table_rules.name.place);
            let Some(table) = self.catalogue.named(name) else {
                let known: Vec<String> = self
                    .catalogue
                    .tables
                    .iter()
                    .map(Table::short_name)
                    .collect();
                let what = format!("there is no table `{name}` in `{}`", rules.database.what);
                self.fail(not_found(what, name, &known, "tables"), place);
                continue;
            };
            if found.insert(table.id, (table, table_rules)).is_some() {
                let what = format!("the rules name the table `{name}` twice");
                let failure = Failure::new("sanitize.twice", ExitClass::Manifest, what);
                self.fail(failure.help("remove one of the two"), place);
            }
        }
        let all = self.catalogue.tables.iter();
        let undecided: Vec<String> = all
            .filter(|table| !found.contains_key(&table.id))
            .map(Table::short_name)
            .collect();
        if !undecided.is_empty() {
            self.fail(undecided_tables(rules, &undecided), &rules.place);
        }
        found.into_values().collect()
    }

    /// The columns that have a rule; reports those that are not there.
    fn wanted(&mut self, tables: &[(&'a Table, &'a TableRules)]) -> Vec<Wanted<'a>> {
        let mut wanted = Vec::new();
        for (table, rules) in tables {
            for rule in &rules.columns {
                let name = &rule.name.what;
                if let Some(column) = table.column(name) {
                    wanted.push(Wanted {
                        change: &rule.change,
                        place: &rule.name.place,
                        key: (table.id, &column.name),
                    });
                } else {
                    let known = table.columns.iter().map(|it| it.name.clone());
                    let known: Vec<String> = known.collect();
                    let what = format!("there is no column `{name}` in `{}`", table.short_name());
                    self.fail(not_found(what, name, &known, "columns"), &rule.name.place);
                }
            }
        }
        wanted
    }

    /// What each column becomes that has a rule or refers to one that has, over any number of references.
    fn groups(&mut self, wanted: &[Wanted<'a>]) -> BTreeMap<Key<'a>, Group<'a>> {
        // Who refers to nothing any more needs nothing that is like what it referred to.
        let cleared = |key: Key<'_>| {
            let mut own = wanted.iter().filter(|wanted| wanted.key == key);
            own.any(|wanted| *wanted.change == Change::Replace(Replacement::Nothing))
        };
        let mut neighbours: BTreeMap<Key<'a>, Vec<Key<'a>>> = BTreeMap::new();
        for reference in &self.catalogue.references {
            for pair in &reference.columns {
                let from = (reference.from, pair.from.as_str());
                let to = (reference.to, pair.to.as_str());
                if !cleared(from) && !cleared(to) {
                    neighbours.entry(from).or_default().push(to);
                    neighbours.entry(to).or_default().push(from);
                }
            }
        }
        let mut groups = BTreeMap::new();
        for &first in wanted {
            if groups.contains_key(&first.key) {
                continue;
            }
            let members = reachable(first.key, &neighbours);
            for other in wanted.iter().filter(|it| members.contains(&it.key)) {
                if other.change != first.change {
                    self.fail(self.differing(first, *other), other.place);
                }
            }
            let rooms = members.iter().filter_map(|key| self.find(*key)?.1.room);
            let room = rooms.min();
            for member in members {
                let own = wanted.iter().find(|it| it.key == member);
                let wanted = *own.unwrap_or(&first);
                groups.insert(member, Group { wanted, room });
            }
        }
        groups
    }

    fn find(&self, (table, column): Key<'_>) -> Option<(&'a Table, &'a Column)> {
        let table = self.catalogue.table(table)?;
        Some((table, table.column(column)?))
    }

    fn name(&self, key: Key<'_>) -> String {
        let table = self.catalogue.table(key.0).map(Table::short_name);
        format!("{}.{}", table.unwrap_or_default(), key.1)
    }

    fn differing(&self, one: Wanted<'_>, other: Wanted<'_>) -> Failure {
        let (first, second) = (self.name(one.key), self.name(other.key));
        let what = format!(
            "`{second}` and `{first}` are one by a foreign key, and become different things"
        );
        Failure::new("sanitize.twice", ExitClass::Manifest, what)
            .because(format!("`{first}`: {}, {}", one.change, one.place))
            .because(format!("`{second}`: {}", other.change))
            .help("give both the same rule, or only one of them a rule: the other follows")
    }

    fn column(
        &mut self,
        table: &'a Table,
        column: &'a Column,
        groups: &BTreeMap<Key<'a>, Group<'a>>,
    ) -> Option<ColumnPlan<'a>> {
        let key = (table.id, column.name.as_str());
        let group = groups.get(&key)?;
        let Wanted {
            change,
            place,
            key: by,
        } = group.wanted;
        if let Some(why) = objection(column, change, group.room) {
            let name = self.name(key);
            let what = format!("`{name}` cannot become `{change}`");
            let failure = Failure::new("sanitize.not-for-column", ExitClass::Manifest, what);
            let failure = failure.because(why.why);
            self.fail(failure.help(why.help), place);
            return None;
        }
        Some(ColumnPlan {
            column,
            change: change.clone(),
            room: group.room,
            from: (by != key).then(|| self.name(by)),
            place: place.clone(),
        })
    }
}

fn reachable<'a>(from: Key<'a>, neighbours: &BTreeMap<Key<'a>, Vec<Key<'a>>>) -> Vec<Key<'a>> {
    let mut found = vec![from];
    let mut next = 0;
    while let Some(key) = found.get(next) {
        for neighbour in neighbours.get(key).cloned().unwrap_or_default() {
            if !found.contains(&neighbour) {
                found.push(neighbour);
            }
        }
        next += 1;
    }
    found
}

/// Why a column cannot be changed so.
struct Objection {
    why: String,
    help: &'static str,
}

fn objection(column: &Column, change: &Change, room: Option<u32>) -> Option<Objection> {
    let object = |why: String, help| Some(Objection { why, help });
    if column.is_generated {
        return object(
            "the database makes its values of those of other columns".to_owned(),
            "give those a rule, and remove this one",
        );
    }
    if column.is_unique && !change.keeps_apart() {
        return object(
            "no two rows may have the same value, and this can make one of two".to_owned(),
            "take one that keeps values apart: `hash`, `email`, `uuid` or `digits`",
        );
    }
    match change {
        Change::Value(_) => None,
        Change::Replace(Replacement::Nothing) if column.is_nullable => None,
        Change::Replace(Replacement::Nothing) => object(
            "it cannot be NULL".to_owned(),
            "give all rows one value: `{ value: \"...\" }`",
        ),
        _ if !fits(column.kind, change) => object(
            format!("its values are of the type {}", column.shown_type),
            "take `nothing`, or one value for all rows: `{ value: \"...\" }`",
        ),
        _ if column.kind == Kind::Text && room.is_some_and(|room| room < least_room(change)) => {
            object(
                format!("it has room for {} characters", room.unwrap_or_default()),
                "take one that keeps the length of values: `digits`, `text` or `mask`",
            )
        }
        _ => None,
    }
}

const fn fits(kind: Kind, change: &Change) -> bool {
    match (kind, change) {
        (Kind::Text, _)
        | (Kind::Uuid, Change::Replace(Replacement::Uuid | Replacement::Hash))
        | (Kind::Bytes, Change::Replace(Replacement::Hash)) => true,
        (Kind::Uuid | Kind::Bytes | Kind::Other, _) => false,
    }
}

const fn least_room(change: &Change) -> u32 {
    match change {
        Change::Replace(Replacement::Hash) => LEAST_ROOM,
        Change::Replace(Replacement::Email) => LEAST_ROOM + MAIL_DOMAIN,
        Change::Replace(Replacement::Uuid) => UUID,
        Change::Replace(Replacement::Phone) => PHONE,
        // They keep the length, or say nothing less where they are cut.
        Change::Replace(
            Replacement::Address
            | Replacement::Digits
            | Replacement::Name
            | Replacement::Nothing
            | Replacement::Text,
        )
        | Change::Mask(_)
        | Change::Value(_) => 0,
    }
}

fn undecided_tables(rules: &DatabaseRules, names: &[String]) -> Failure {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let what = format!(
        "the rules do not say what becomes of all tables of `{}`",
        rules.database.what
    );
    Failure::new("sanitize.undecided", ExitClass::Manifest, what)
        .because(format!("they do not name {}", quoted.join(", ")))
        .help(
            "name each below `tables:`, in `keep:` (all rows as they are) or in `empty:` (no rows)",
        )
}

pub(super) fn not_found(what: String, name: &str, known: &[String], title: &str) -> Failure {
    /// Longer lists help nobody.
    const SHOWN: usize = 40;
    let failure = Failure::new("sanitize.not-found", ExitClass::Manifest, what);
    if known.is_empty() || known.len() > SHOWN {
        return failure.help(format!(
            "write the name as it is in the database, not `{name}`"
        ));
    }
    let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    failure.help(format!("{title}: {}", known.join(", ")))
}
