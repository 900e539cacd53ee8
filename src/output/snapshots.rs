//! Snapshots as text for people.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    documents::good,
    style::{Style, Tone},
    table::{Cell, Table},
    text::safe_text,
    units::{age, memory, millis, seconds},
};
use crate::{
    domain::words::count,
    report::{
        RetentionBound, SanitizedData, SanitizedTable, SnapshotEntry, SnapshotExported,
        SnapshotImported, SnapshotList, SnapshotMeans, SnapshotPruned, SnapshotRemoved,
        SnapshotRestored, SnapshotSaved, SnapshotShown, SnapshotVerified,
    },
};

pub(super) fn saved(report: &SnapshotSaved, style: &Style) -> String {
    let snapshot = &report.snapshot;
    format!(
        "{} saved {}: {} of {}, in {}; the services stood for {}\n",
        good(style),
        safe_text(&snapshot.name),
        memory(snapshot.bytes),
        safe_text(&snapshot.services.join(", ")),
        seconds(report.total_seconds),
        millis(report.stood_seconds * 1000.0),
    )
}

pub(super) fn exported(report: &SnapshotExported, style: &Style) -> String {
    let sanitized = report.sanitized.as_ref();
    format!(
        "{}{} exported {} to {}: {} of data in {}, in {}\n",
        sanitized
            .map(|it| sanitized_text(it, style))
            .unwrap_or_default(),
        good(style),
        safe_text(&report.snapshot.name),
        safe_text(&report.file),
        memory(report.snapshot.bytes),
        memory(report.bytes),
        seconds(report.total_seconds),
    )
}

/// What was changed and left out on the way.
fn sanitized_text(report: &SanitizedData, style: &Style) -> String {
    let mut table = Table::new(&["SERVICE", "TABLE", "ROWS", "COLUMN", "BECAME", "VALUES"]);
    let mut notes = String::new();
    for database in &report.databases {
        for of in &database.tables {
            add_table(&mut table, &database.service, of);
        }
        let of = safe_text(&database.service);
        if !database.left_out.is_empty() {
            let names = safe_text(&database.left_out.join(", "));
            notes.push_str(&format!("left out of {of}: the databases {names}\n"));
        }
        if database.large_objects_left_out {
            notes.push_str(&format!("left out of {of}: its large objects\n"));
        }
    }
    if !report.kept.is_empty() {
        let names = safe_text(&report.kept.join(", "));
        notes.push_str(&format!(
            "as it is, as the rules say: the data of {names}\n"
        ));
    }
    if !report.left_out.is_empty() {
        let names = safe_text(&report.left_out.join(", "));
        notes.push_str(&format!("left out: the data of {names}\n"));
    }
    format!("{}\n{notes}", table.render(style))
}

/// A line for each column of a table that was changed, and one for those that were not.
fn add_table(table: &mut Table, service: &str, of: &SanitizedTable) {
    let mut first = vec![
        Cell::from(service),
        Cell::from(&of.table),
        Cell::from(if of.rows == of.rows_before {
            of.rows.to_string()
        } else {
            format!("{} of {}", of.rows, of.rows_before)
        }),
    ];
    let mut add = |rest: [Cell; 3]| {
        let empty = || vec![Cell::from(""), Cell::from(""), Cell::from("")];
        let mut row = std::mem::replace(&mut first, empty());
        row.extend(rest);
        table.row(row);
    };
    for column in &of.columns {
        let became = match &column.follows {
            None => column.change.clone(),
            Some(other) => format!("{}, as {other}", column.change),
        };
        add([
            Cell::from(&column.column),
            Cell::from(became),
            Cell::from(column.values.to_string()),
        ]);
    }
    if !of.unchanged.is_empty() {
        add([
            Cell::from(of.unchanged.join(", ")),
            Cell::from("as it was"),
            Cell::from(""),
        ]);
    }
}

pub(super) fn imported(report: &SnapshotImported, style: &Style) -> String {
    let name = safe_text(&report.snapshot.name);
    format!(
        "{} imported {name}: {} of {}, in {}\n\nnext:\n  devenv snapshot restore {name}\n",
        good(style),
        memory(report.snapshot.bytes),
        safe_text(&report.snapshot.services.join(", ")),
        seconds(report.total_seconds),
    )
}

pub(super) fn restored(report: &SnapshotRestored, style: &Style) -> String {
    let sanitized = report.sanitized.as_ref();
    format!(
        "{}{} restored {}: {}, in {}\n",
        sanitized
            .map(|it| sanitized_text(it, style))
            .unwrap_or_default(),
        good(style),
        safe_text(&report.snapshot.name),
        safe_text(&report.restored.join(", ")),
        seconds(report.total_seconds),
    )
}

pub(super) fn pruned(report: &SnapshotPruned, style: &Style) -> String {
    let verb = if report.dry_run {
        "would remove"
    } else {
        "removed"
    };
    let lines = report.removed.iter().map(|pruned| {
        let snapshot = &pruned.snapshot;
        let because: Vec<&str> = pruned.because.iter().map(|bound| against(*bound)).collect();
        format!(
            "{} {verb} {} ({}, {} old): {}\n",
            good(style),
            safe_text(&snapshot.name),
            memory(snapshot.bytes),
            age_of(snapshot),
            because.join(", ")
        )
    });
    let lines: String = lines.collect();
    let left = count(report.kept, "snapshot");
    if lines.is_empty() {
        return format!("nothing to remove; {left} kept\n");
    }
    format!("{lines}{left} kept\n")
}

/// What is against a snapshot, in words.
const fn against(bound: RetentionBound) -> &'static str {
    match bound {
        RetentionBound::Keep => "enough are newer (keep)",
        RetentionBound::OlderThan => "it is too old (older-than)",
        RetentionBound::MaxSize => "too much with the newer (max-size)",
    }
}

pub(super) fn removed(report: &SnapshotRemoved, style: &Style) -> String {
    let freed = match report.bytes {
        0 => String::new(),
        bytes => format!(" ({})", memory(bytes)),
    };
    format!(
        "{} removed {}{freed}\n",
        good(style),
        safe_text(&report.snapshot)
    )
}

pub(super) fn verified(report: &SnapshotVerified, style: &Style) -> String {
    let name = safe_text(&report.snapshot);
    if report.is_good() {
        let volumes = count(report.volumes.len(), "volume");
        return format!("{} {name} is what was saved ({volumes})\n", good(style));
    }
    let lines = report.volumes.iter().map(|volume| match &volume.problem {
        None => format!("{} {}\n", good(style), safe_text(&volume.volume)),
        Some(problem) => format!(
            "{} {}: {}\n",
            style.paint(Tone::Bad, style.glyph("✗", "x")),
            safe_text(&volume.volume),
            safe_text(problem)
        ),
    });
    let lines: String = lines.collect();
    format!("{lines}\nnext:\n  devenv snapshot remove {name}\n")
}

pub(super) fn shown(report: &SnapshotShown, style: &Style) -> String {
    let snapshot = &report.snapshot;
    let mut out = format!("{}\n", safe_text(&snapshot.name));
    let mut say = |what: &str, text: &str| {
        out.push_str(&format!("  {what:<12} {}\n", safe_text(text)));
    };
    say("created", &format!("{} ago", age_of(snapshot)));
    say("size", &memory(snapshot.bytes));
    if let Some(dataset) = &snapshot.dataset {
        say("dataset", dataset);
    }
    if let Some(branch) = &snapshot.branch {
        say("branch", branch);
    }
    if let Some(note) = &snapshot.note {
        say("note", note);
    }
    if snapshot.sanitized {
        say("sanitised", "by rules, when it was exported");
    }
    say(
        "made by",
        &format!("devenv {}, {}", snapshot.devenv, snapshot.architecture),
    );
    out.push('\n');
    let mut table = Table::new(&["VOLUME", "SIZE", "FILES", "MADE", "HASH"]);
    for volume in &snapshot.volumes {
        table.row(vec![
            Cell::from(&volume.volume),
            Cell::from(memory(volume.bytes)),
            Cell::from(volume.files.to_string()),
            Cell::from(match volume.means {
                SnapshotMeans::Cloned => "cloned",
                SnapshotMeans::Copied => "copied",
            }),
            Cell::from(volume.hash.get(..16).unwrap_or_default()),
        ]);
    }
    out + &table.render(style)
}

pub(super) fn list(report: &SnapshotList, style: &Style) -> String {
    if report.snapshots.is_empty() && report.unusable.is_empty() {
        return "no snapshots\n\nnext:\n  devenv snapshot save NAME\n".to_owned();
    }
    let mut table = Table::new(&[
        "NAME", "AGE", "SIZE", "SERVICES", "DATASET", "BRANCH", "NOTE",
    ]);
    for snapshot in &report.snapshots {
        table.row(vec![
            Cell::from(&snapshot.name),
            Cell::from(age_of(snapshot)),
            Cell::from(memory(snapshot.bytes)),
            Cell::from(snapshot.services.join(",")),
            Cell::from(snapshot.dataset.as_deref().unwrap_or_default()),
            Cell::from(snapshot.branch.as_deref().unwrap_or_default()),
            Cell::from(snapshot.note.as_deref().unwrap_or_default()),
        ]);
    }
    for snapshot in &report.unusable {
        let empty = || Cell::from("");
        let why = Cell::toned(Tone::Bad, &snapshot.why);
        table.row(vec![
            Cell::from(&snapshot.name),
            empty(),
            empty(),
            empty(),
            empty(),
            empty(),
            why,
        ]);
    }
    table.render(style)
}

fn age_of(snapshot: &SnapshotEntry) -> String {
    let since = Timestamp::now().duration_since(snapshot.created);
    age(Duration::try_from(since).unwrap_or_default().as_secs())
}
