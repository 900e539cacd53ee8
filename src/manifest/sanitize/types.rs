//! The keys of a file of rules as types. Their doc comments are the reference page and the schema.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{
    domain::{Replacement, ServiceName},
    manifest::{
        dataset::format::OneLine,
        format::{Formatted, Written, schema_of},
    },
};

/// The keys of a file of rules. Data of services that it does not name is left out.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Rules")]
pub(super) struct RulesKeys {
    /// The databases that are sanitised, by the name of their service.
    #[schemars(with = "BTreeMap<String, DatabaseKeys>", extend("propertyNames" = schema_of(&ServiceName::FORMAT)))]
    pub(super) services: BTreeMap<ServiceName, DatabaseKeys>,
    /// Services whose data is kept as it is.
    pub(super) keep: Vec<ServiceName>,
    /// A secret. With the same one, the same value becomes the same in every file; without one, two files have nothing in common. Who knows it can try out which value a replacement was made of.
    pub(super) seed: Option<OneLine>,
}

/// The rules for a PostgreSQL database. Every table must be named in exactly one of `tables`, `keep` and `empty`; other databases of the server are left out.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Database")]
pub(super) struct DatabaseKeys {
    /// The database's name.
    pub(super) database: OneLine,
    /// The user who looks after it, a superuser. Without it, whoever `psql` in the container takes.
    #[serde(default)]
    pub(super) user: Option<OneLine>,
    /// The tables that are changed, by their names. The schema stands before a `.` where that is not the usual one, as in `audit.events`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, TableKeys>", extend("propertyNames" = schema_of(&OneLine::FORMAT)))]
    pub(super) tables: BTreeMap<OneLine, TableKeys>,
    /// Tables that are kept as they are.
    #[serde(default)]
    pub(super) keep: Vec<OneLine>,
    /// Tables of which no row is kept.
    #[serde(default)]
    pub(super) empty: Vec<OneLine>,
}

/// The rules for a table. Columns that are not named stay as they are.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Table")]
pub(super) struct TableKeys {
    /// What becomes of the values of columns, by the name of the column.
    #[schemars(with = "BTreeMap<String, ColumnKeys>", extend("propertyNames" = schema_of(&OneLine::FORMAT)))]
    pub(super) columns: BTreeMap<OneLine, ColumnKeys>,
    /// Which rows stay. Without it, all.
    pub(super) sample: Option<SampleKeys>,
}

/// A part of the rows of a table, the same ones for the same `seed`. Rows of other tables that refer to rows that go, go too.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Sample")]
pub(super) struct SampleKeys {
    /// How many of a hundred rows stay, more or less.
    #[schemars(range(min = 1, max = 99))]
    pub(super) percent: u8,
}

/// What becomes of the values of a column; NULL stays NULL. It has exactly one of `replace`, `mask` and `value`. Short form: what `replace` says.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Column", extend("x-short" = ["string"]))]
pub(super) struct ColumnKeys {
    /// A value of this kind, the same for the same value in all tables.
    #[schemars(schema_with = "replacement")]
    pub(super) replace: Option<ReplacementKey>,
    /// Each character becomes a `*`, but some at the ends. A value that is not longer than what would stay becomes `*` as a whole.
    pub(super) mask: Option<MaskKeys>,
    /// The same value for all rows, as PostgreSQL reads it.
    pub(super) value: Option<Written>,
}

/// The characters of a value that stay.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Mask")]
pub(super) struct MaskKeys {
    /// How many stay at the beginning.
    #[schemars(range(min = 0, max = 1000))]
    pub(super) keep_first: u16,
    /// How many stay at the end.
    #[schemars(range(min = 0, max = 1000))]
    pub(super) keep_last: u16,
}

/// A [`Replacement`] as it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReplacementKey(pub(super) Replacement);

impl<'de> Deserialize<'de> for ReplacementKey {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let word = String::deserialize(from)?;
        let mut all = Replacement::ALL.into_iter();
        let found = all.find(|replacement| replacement.name() == word);
        found.map(Self).ok_or_else(|| D::Error::custom(word))
    }
}

/// Stands for the domain's replacement in the schema.
fn replacement(_: &mut SchemaGenerator) -> Schema {
    let names = Replacement::ALL
        .iter()
        .map(|replacement| replacement.name());
    let words: Vec<Option<&str>> = names.map(Some).chain([None]).collect();
    json_schema!({"type": ["string", "null"], "enum": words})
}
