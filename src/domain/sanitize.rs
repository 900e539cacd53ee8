//! Rules by which a copy of data is made that may leave the machine.

use std::{collections::BTreeMap, fmt};

use super::{Place, ServiceName};

/// What becomes of the data of each service on its way into a file. What no rule names is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SanitizeRules {
    /// The databases that are sanitised, by their service.
    pub services: BTreeMap<ServiceName, DatabaseRules>,
    /// Services whose data goes into the file as it is.
    pub keep: Vec<Located<ServiceName>>,
    /// What replacements are derived from beside the values; made anew for each file if `None`.
    pub seed: Option<Seed>,
}

/// Something, and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    /// What.
    pub what: T,
    /// Where.
    pub place: Place,
}

/// A secret that makes the replacements of two files the same. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed(pub String);

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed")
    }
}

/// The rules for a database. Every table of it is named once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseRules {
    /// Where they begin.
    pub place: Place,
    /// The database's name.
    pub database: Located<String>,
    /// Who looks after it; whoever the client takes if `None`.
    pub user: Option<String>,
    /// The rules for tables, in the order of their names.
    pub tables: Vec<TableRules>,
}

/// The rules for a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRules {
    /// Its name, with its schema before a `.` where that is not the usual one.
    pub name: Located<String>,
    /// Which of its rows stay.
    pub rows: KeptRows,
    /// The rules for its columns, in the order of their names.
    pub columns: Vec<ColumnRule>,
}

/// Which rows of a table stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptRows {
    /// All.
    All,
    /// So many of a hundred.
    Percent(u8),
    /// None.
    None,
}

/// The rule for a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnRule {
    /// Its name.
    pub name: Located<String>,
    /// What becomes of its values.
    pub change: Change,
}

/// What becomes of a value that is not NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Another of its kind, the same for the same value.
    Replace(Replacement),
    /// Every character becomes a `*` but so many at both ends; all where that would be none.
    Mask(Mask),
    /// This one.
    Value(String),
}

/// The characters of a value that a mask leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mask {
    /// At its beginning.
    pub first: u16,
    /// At its end.
    pub last: u16,
}

/// The kinds of values that take the place of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacement {
    /// A postal address.
    Address,
    /// Other digits; what is between them stays.
    Digits,
    /// A mail address.
    Email,
    /// A keyed hash.
    Hash,
    /// The name of a person.
    Name,
    /// NULL.
    Nothing,
    /// A telephone number that nobody has.
    Phone,
    /// Other letters and digits; white space and punctuation stay.
    Text,
    /// A UUID.
    Uuid,
}

impl Replacement {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Address,
        Self::Digits,
        Self::Email,
        Self::Hash,
        Self::Name,
        Self::Nothing,
        Self::Phone,
        Self::Text,
        Self::Uuid,
    ];

    /// How it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Digits => "digits",
            Self::Email => "email",
            Self::Hash => "hash",
            Self::Name => "name",
            Self::Nothing => "nothing",
            Self::Phone => "phone",
            Self::Text => "text",
            Self::Uuid => "uuid",
        }
    }

    /// Whether two values never become one, so that a column whose values differ keeps that.
    pub const fn keeps_apart(self) -> bool {
        match self {
            Self::Digits | Self::Email | Self::Hash | Self::Nothing | Self::Uuid => true,
            Self::Address | Self::Name | Self::Phone | Self::Text => false,
        }
    }
}

impl Change {
    /// Whether two values never become one.
    pub const fn keeps_apart(&self) -> bool {
        match self {
            Self::Replace(replacement) => replacement.keeps_apart(),
            Self::Mask(_) | Self::Value(_) => false,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replace(replacement) => f.write_str(replacement.name()),
            Self::Mask(Mask { first: 0, last: 0 }) => f.write_str("mask"),
            Self::Mask(Mask { first, last }) => write!(f, "mask, keeps {first}+{last}"),
            Self::Value(_) => f.write_str("value"),
        }
    }
}
