//! What a database has: its tables, their columns, and which refer to which.

use serde::Deserialize;

/// The query that answers with a [`Catalogue`] as JSON.
pub(super) const QUERY: &str = include_str!("catalogue.sql");
/// The query that answers with the names of all databases as JSON.
pub(super) const DATABASES: &str = "SELECT json_agg(datname ORDER BY datname) FROM pg_database WHERE datallowconn AND NOT datistemplate";

/// What a database has.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Catalogue {
    /// The version of the server, such as 150004.
    pub(super) version: u32,
    /// Whether whoever asks may do everything.
    pub(super) is_superuser: bool,
    /// Other databases of the server.
    pub(super) others: Vec<String>,
    /// Whether it has large objects, which belong to no table.
    pub(super) has_large_objects: bool,
    /// Its tables, by schema and name.
    pub(super) tables: Vec<Table>,
    /// Its foreign keys.
    pub(super) references: Vec<Reference>,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Table {
    /// What references name it by.
    pub(super) id: u64,
    pub(super) schema: String,
    pub(super) name: String,
    /// Whether it is found without its schema.
    pub(super) is_usual: bool,
    /// Whether its rows are in other tables, its partitions.
    pub(super) is_partitioned: bool,
    /// The columns of its primary key.
    pub(super) key: Vec<String>,
    pub(super) columns: Vec<Column>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Column {
    pub(super) name: String,
    /// Its type in the words of PostgreSQL.
    pub(super) shown_type: String,
    /// Its type with its schema, as SQL has it.
    #[serde(rename = "type")]
    pub(super) sql_type: String,
    pub(super) kind: Kind,
    /// How many characters a value can have, if that is bounded.
    pub(super) room: Option<u32>,
    pub(super) is_nullable: bool,
    /// Whether its values are made of those of others.
    pub(super) is_generated: bool,
    /// Whether no two of its values are the same.
    pub(super) is_unique: bool,
}

/// What kind of values a column has, as far as that decides what can take their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Kind {
    Text,
    Uuid,
    Bytes,
    Other,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reference {
    /// The table that refers.
    pub(super) from: u64,
    /// The table that is referred to.
    pub(super) to: u64,
    pub(super) columns: Vec<Pair>,
}

/// A column that refers to another.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Pair {
    pub(super) from: String,
    pub(super) to: String,
    /// What compares them, the column that is referred to on the left.
    pub(super) operator: String,
    pub(super) operator_schema: String,
}

impl Catalogue {
    /// The table of an id. Some are not known, such as partitions.
    pub(super) fn table(&self, id: u64) -> Option<&Table> {
        self.tables.iter().find(|table| table.id == id)
    }

    /// The table that a name in the rules means.
    pub(super) fn named(&self, name: &str) -> Option<&Table> {
        let full = self.tables.iter().find(|table| table.full_name() == name);
        full.or_else(|| {
            let mut usual = self.tables.iter();
            usual.find(|table| table.is_usual && table.name == name)
        })
    }
}

impl Table {
    /// Its name as the rules have it: with its schema only where that is not the usual one.
    pub(super) fn short_name(&self) -> String {
        if self.is_usual {
            self.name.clone()
        } else {
            self.full_name()
        }
    }

    fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}
