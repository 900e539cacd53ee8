//! The only room that prints: reads the outbox and shows what comes, on a terminal, as lines, as JSON or YAML.
//!
//! Called by `cli` alone. Standard output is data, standard error is talk. It decides nothing and asks
//! nobody but the user. Text from outside goes through [`safe_text`] and the run's `Redactor`.

mod board;
mod config;
mod data;
mod doctor;
mod documents;
mod failures;
mod history;
mod json;
mod lines;
mod live;
mod logs;
mod reader;
mod snapshots;
mod steps;
mod style;
mod table;
mod terminal;
mod text;
mod units;
mod usage;
mod validate;

pub use reader::{Reader, Redraw, Settings, Talk};
pub use style::{Colour, Glyphs, Style};
pub use text::safe_text;

/// What makes the cursor of a terminal visible again, for one who leaves in a hurry.
pub const SHOW_CURSOR: &str = terminal::SHOW_CURSOR;
