use std::{fs::OpenOptions, io::Write as _, path::Path};

use proptest::prelude::*;

use super::{testing::origin, *};
use crate::adapters::{agent::FileId, files};

const SMALL: Bounds = Bounds {
    segment: 1_000,
    store: 5_000,
};

fn raw(number: u64) -> String {
    format!("2026-01-02T03:04:05.{number:09}Z stdout F line {number}\n")
}

fn lines(range: std::ops::Range<u64>) -> Addition {
    Addition::Lines {
        origin: origin("order-1", 0),
        file: FileId(7),
        offset: range.end,
        bytes: range.map(raw).collect::<String>().into_bytes(),
    }
}

fn said(items: &[Item]) -> Vec<String> {
    let said = |item: &Item| match item {
        Item::Line { line, .. } => String::from_utf8(line.bytes.clone()).unwrap(),
        Item::Lost { bytes, .. } => format!("lost {bytes:?}"),
        Item::Dropped(amount) => format!("dropped {}", amount.lines),
    };
    items.iter().map(said).collect()
}

fn all(directory: &Path) -> Vec<String> {
    said(&rest(&mut LogReader::open(directory).unwrap().unwrap()))
}

fn rest(reader: &mut LogReader) -> Vec<Item> {
    let mut items = Vec::new();
    loop {
        let more = reader.read().unwrap();
        if more.is_empty() {
            return items;
        }
        items.extend(more);
    }
}

fn numbered(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|number| format!("line {number}")).collect()
}

#[test]
fn what_is_added_is_read_in_order_also_while_it_is_added() {
    let directory = tempfile::tempdir().unwrap();
    assert!(
        LogReader::open(&directory.path().join("none"))
            .unwrap()
            .is_none()
    );
    let mut writer = LogWriter::open(directory.path(), Bounds::SERVICE).unwrap();
    let mut reader = LogReader::open(directory.path()).unwrap().unwrap();
    for part in 0..5 {
        let (start, end) = (part * 10, part * 10 + 10);
        writer.append(&[lines(start..end)]).unwrap();
        assert_eq!(said(&rest(&mut reader)), numbered(start..end));
    }
    assert_eq!(all(directory.path()), numbered(0..50));
}

#[test]
fn the_runs_of_which_there_are_lines_are_known() {
    let directory = tempfile::tempdir().unwrap();
    assert!(LogReader::runs(directory.path()).unwrap().is_empty());
    let mut writer = LogWriter::open(directory.path(), SMALL).unwrap();
    for number in 0..50 {
        writer.append(&[lines(number..number + 1)]).unwrap();
    }
    let lost = Addition::Lost {
        origin: origin("silent", 0),
        bytes: None,
    };
    writer.append(&[lost]).unwrap();
    let runs = LogReader::runs(directory.path()).unwrap();
    assert_eq!(runs, [origin("order-1", 0).run].into());
}

#[test]
fn the_oldest_are_dropped_beyond_the_bound_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = LogWriter::open(directory.path(), SMALL).unwrap();
    for number in 0..500 {
        writer.append(&[lines(number..number + 1)]).unwrap();
    }
    let kept = files::list(directory.path()).unwrap();
    let size = |path: &std::path::PathBuf| files::read(path).unwrap().len() as u64;
    assert!(kept.iter().map(size).sum::<u64>() <= SMALL.store);
    let read = all(directory.path());
    let first = 500 - (read.len() as u64 - 1);
    assert!(first > 0);
    assert_eq!(read[0], format!("dropped {first}"));
    assert_eq!(read[1..], numbered(first..500));
}

#[test]
fn a_reader_that_is_overtaken_goes_on_with_the_oldest() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = LogWriter::open(directory.path(), SMALL).unwrap();
    let mut reader = LogReader::open(directory.path()).unwrap().unwrap();
    writer.append(&[lines(0..1)]).unwrap();
    assert_eq!(said(&rest(&mut reader)), numbered(0..1));
    for number in 1..500 {
        writer.append(&[lines(number..number + 1)]).unwrap();
    }
    let read = said(&rest(&mut reader));
    assert_eq!(read.last().unwrap(), "line 499");
}

#[test]
fn positions_outlive_the_writer_and_the_segments_they_were_written_in() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = LogWriter::open(directory.path(), SMALL).unwrap();
    let quiet = Addition::Lines {
        origin: origin("quiet", 3),
        file: FileId(9),
        offset: 77,
        bytes: b"2026-01-02T03:04:05Z stdout F once\n".to_vec(),
    };
    let over = origin("over", 0);
    let ended = Addition::Lines {
        origin: over.clone(),
        file: FileId(1),
        offset: 5,
        bytes: Vec::new(),
    };
    writer.append(&[quiet, ended]).unwrap();
    writer.append(&[Addition::Ended { origin: over }]).unwrap();
    for number in 0..500 {
        writer.append(&[lines(number..number + 1)]).unwrap();
    }
    drop(writer);
    let writer = LogWriter::open(directory.path(), SMALL).unwrap();
    let positions: Vec<(String, u64)> = writer
        .positions()
        .map(|(node, position)| {
            assert_eq!(node, "server-0");
            (position.run.pod, position.offset)
        })
        .collect();
    let expected = [("order-1".to_owned(), 500), ("quiet".to_owned(), 77)];
    assert_eq!(positions, expected);
}

#[test]
fn parts_of_a_line_are_put_together_each_output_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = LogWriter::open(directory.path(), Bounds::SERVICE).unwrap();
    let time = "2026-01-02T03:04:05Z";
    let text = format!(
        "{time} stdout P be\n{time} stderr F other\n{time} stdout P gi\n{time} stdout F n\n"
    );
    let mut addition = lines(0..0);
    if let Addition::Lines { bytes, .. } = &mut addition {
        *bytes = text.into_bytes();
    }
    writer.append(&[addition]).unwrap();
    let lost = Addition::Lost {
        origin: origin("order-1", 0),
        bytes: None,
    };
    writer.append(&[lost]).unwrap();
    assert_eq!(all(directory.path()), ["other", "begin", "lost None"]);
}

#[test]
fn a_segment_whose_beginning_is_torn_is_begun_anew() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = LogWriter::open(directory.path(), Bounds::SERVICE).unwrap();
    writer.append(&[lines(0..3)]).unwrap();
    drop(writer);
    let next = directory.path().join(name(1));
    files::append_private(&next)
        .unwrap()
        .write_all(b"torn")
        .unwrap();
    let mut writer = LogWriter::open(directory.path(), Bounds::SERVICE).unwrap();
    writer.append(&[lines(3..4)]).unwrap();
    assert_eq!(all(directory.path()), numbered(0..4));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_tail_that_is_torn_anywhere_costs_what_was_not_whole_and_nothing_else(cut in 1_u64..400, noise in any::<Vec<u8>>()) {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = LogWriter::open(directory.path(), Bounds::SERVICE).unwrap();
        for number in 0..10 {
            writer.append(&[lines(number..number + 1)]).unwrap();
        }
        drop(writer);
        let path = directory.path().join(name(0));
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        let length = file.metadata().unwrap().len();
        file.set_len(length - cut).unwrap();
        file.write_all(&noise).unwrap();
        let mut writer = LogWriter::open(directory.path(), Bounds::SERVICE).unwrap();
        // The position tells exactly which lines are there.
        let reached = writer.positions().next().map_or(0, |(_, position)| position.offset);
        prop_assert_eq!(all(directory.path()), numbered(0..reached));
        writer.append(&[lines(reached..12)]).unwrap();
        prop_assert_eq!(all(directory.path()), numbered(0..12));
    }
}
