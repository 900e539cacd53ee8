//! Aligned columns.

use super::{
    style::{Style, Tone},
    text::{pad, safe_text, truncate, width},
};

/// Columns between two cells.
const GAP: usize = 2;
/// A last column narrower than this is not cut but left to wrap.
const NARROWEST: usize = 12;

/// One cell.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    text: String,
    tone: Option<Tone>,
}

impl Cell {
    /// A cell in a colour.
    pub(super) fn toned(tone: Tone, text: impl AsRef<str>) -> Self {
        Self {
            text: safe_text(text.as_ref()),
            tone: Some(tone),
        }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self {
            text: safe_text(text.as_ref()),
            tone: None,
        }
    }
}

/// Rows under a heading. Columns in which no row says anything are left out.
#[derive(Debug)]
pub(super) struct Table {
    heading: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    pub(super) fn new(heading: &[&'static str]) -> Self {
        Self {
            heading: heading.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row with as many cells as the heading has.
    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// The lines, each with its end. The last column is cut to the width of the terminal.
    pub(super) fn render(&self, style: &Style) -> String {
        let shown: Vec<usize> = (0..self.heading.len())
            .filter(|&column| self.rows.iter().any(|row| !row[column].text.is_empty()))
            .collect();
        let widths: Vec<usize> = shown
            .iter()
            .map(|&column| {
                self.rows
                    .iter()
                    .map(|row| width(&row[column].text))
                    .chain([width(self.heading[column])])
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let heading: Vec<Cell> = self
            .heading
            .iter()
            .map(|title| Cell::toned(Tone::Dim, title))
            .collect();
        std::iter::once(&heading)
            .chain(&self.rows)
            .map(|row| line(row, &shown, &widths, style))
            .collect()
    }
}

fn line(row: &[Cell], shown: &[usize], widths: &[usize], style: &Style) -> String {
    let mut line = String::new();
    let mut used = 0;
    // Cells at the end that say nothing would leave spaces behind.
    let last = shown
        .iter()
        .rposition(|&column| !row[column].text.is_empty());
    for (position, (&column, &columns)) in shown.iter().zip(widths).enumerate() {
        if Some(position) > last {
            break;
        }
        let cell = &row[column];
        let room = style.width.saturating_sub(used);
        let text = if position + 1 == shown.len() && room >= NARROWEST {
            truncate(&cell.text, room, style.ellipsis())
        } else {
            cell.text.clone()
        };
        let spaces = if Some(position) == last {
            0
        } else {
            columns + GAP - width(&text)
        };
        line.push_str(&match cell.tone {
            Some(tone) if !text.is_empty() => style.paint(tone, &text),
            _ => text,
        });
        line.push_str(&pad("", spaces));
        used += columns + GAP;
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::{super::style::samples::*, *};

    #[test]
    fn columns_are_aligned_by_what_is_seen_and_silent_ones_left_out() {
        let mut table = Table::new(&["SERVICE", "STATE", "URL", "NOTE"]);
        table.row(vec![
            "日本".into(),
            Cell::toned(Tone::Good, "ready"),
            "".into(),
            "".into(),
        ]);
        table.row(vec![
            "order".into(),
            "failed".into(),
            "".into(),
            "exit\x1b[2J code 1".into(),
        ]);
        insta::assert_snapshot!(table.render(&PLAIN), @r"
        SERVICE  STATE   NOTE
        日本     ready
        order    failed  exit^[[2J code 1
        ");
    }

    #[test]
    fn the_last_column_is_cut_to_the_terminal() {
        let mut table = Table::new(&["A", "NOTE"]);
        table.row(vec!["x".into(), "a very long note indeed".into()]);
        let narrow = Style { width: 20, ..PLAIN };
        assert_eq!(
            table.render(&narrow).lines().last(),
            Some("x  a very long note…")
        );
    }
}
