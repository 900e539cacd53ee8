//! A directory stands for the kubelet's, and the tests write, rename and remove as the runtime and the kubelet do.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions, create_dir_all},
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use devenv_agent::{
    log_protocol::{FileId, LogPosition, LogRecord, RunId},
    protocol::read_frame,
};
use flate2::{Compression, write::GzEncoder};
use rustix::event::{PollFd, PollFlags, poll};
use tempfile::TempDir;

use super::tail::{Left, Tail};

const POD: &str = "shop_order-7c9d_uid-1";
const FIRST_ROTATION: &str = "20260102-030405";
const SECOND_ROTATION: &str = "20260102-030415";

/// The directory of a node.
struct Node(TempDir);

impl Node {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn container(&self) -> PathBuf {
        let path = self.0.path().join(POD).join("order");
        create_dir_all(&path).unwrap();
        path
    }

    /// A run's file as the runtime opens it.
    fn run(&self, number: u32) -> File {
        let path = self.container().join(format!("{number}.log"));
        let mut options = OpenOptions::new();
        options.append(true).create(true).open(path).unwrap()
    }

    fn rename(&self, from: &str, to: &str) {
        let container = self.container();
        fs::rename(container.join(from), container.join(to)).unwrap();
    }

    /// Packs a file as the kubelet does.
    fn pack(&self, name: &str) {
        let path = self.container().join(name);
        let packed = self.container().join(format!("{name}.gz"));
        let mut encoder = GzEncoder::new(File::create(packed).unwrap(), Compression::fast());
        std::io::copy(&mut File::open(&path).unwrap(), &mut encoder).unwrap();
        encoder.finish().unwrap();
        remove(&path);
    }

    fn tail(&self, from: Vec<LogPosition>) -> Reader {
        let tail = Tail::begin(self.0.path(), "shop", from).unwrap();
        Reader {
            tail,
            runs: BTreeMap::new(),
            positions: BTreeMap::new(),
            said: BTreeMap::new(),
            events: Vec::new(),
        }
    }
}

fn remove(path: &Path) {
    if path.is_dir() {
        fs::remove_dir_all(path).unwrap();
    } else {
        fs::remove_file(path).unwrap();
    }
}

fn lines(range: std::ops::Range<u32>) -> String {
    range
        .map(|number| format!("2026-01-02T03:04:05.{number:09}Z stdout F line {number}\n"))
        .collect()
}

/// What a client makes of the records.
struct Reader {
    tail: Tail,
    runs: BTreeMap<u32, RunId>,
    positions: BTreeMap<u32, (FileId, u64)>,
    said: BTreeMap<u32, String>,
    /// What is not a line.
    events: Vec<String>,
}

impl Reader {
    /// Reads until nothing is left; the next file of a run that settles is not waited for.
    fn read(&mut self) -> &mut Self {
        while self.round() == Left::More {}
        self
    }

    fn round(&mut self) -> Left {
        let mut told = Vec::new();
        let left = self.tail.round(&mut told).unwrap();
        let mut told = told.as_slice();
        while let Some(record) = read_frame(&mut told).unwrap() {
            self.take(record);
        }
        left
    }

    fn take(&mut self, record: LogRecord) {
        match record {
            LogRecord::Opened { stream, run } => {
                self.runs.insert(stream, run);
            }
            LogRecord::File { stream, file } => {
                self.positions.insert(stream, (file, 0));
            }
            LogRecord::Lines {
                stream,
                offset,
                bytes,
            } => {
                self.positions.get_mut(&stream).unwrap().1 = offset;
                let run = self.runs[&stream].run;
                let text = String::from_utf8(bytes).unwrap();
                self.said.entry(run).or_default().push_str(&text);
            }
            LogRecord::Lost { stream, .. } => {
                self.events.push(format!("lost {}", self.runs[&stream].run));
            }
            LogRecord::Ended { stream } => {
                self.events
                    .push(format!("ended {}", self.runs[&stream].run));
                self.positions.remove(&stream);
            }
        }
    }

    fn said(&self, run: u32) -> &str {
        self.said.get(&run).map_or("", String::as_str)
    }

    fn positions(&self) -> Vec<LogPosition> {
        let position = |(stream, (file, offset)): (&u32, &(FileId, u64))| LogPosition {
            run: self.runs[stream].clone(),
            file: *file,
            offset: *offset,
        };
        self.positions.iter().map(position).collect()
    }
}

#[test]
fn what_is_there_is_read_and_then_what_comes() {
    let node = Node::new();
    let mut log = node.run(0);
    write!(log, "{}", lines(0..3)).unwrap();
    let mut reader = node.tail(Vec::new());
    assert_eq!(reader.read().said(0), lines(0..3));
    write!(log, "{}", lines(3..5)).unwrap();
    assert_eq!(reader.read().said(0), lines(0..5));
    assert_eq!(reader.round(), Left::Nothing);
    let run = &reader.runs[&1];
    assert_eq!(
        (&*run.pod, &*run.uid, &*run.container),
        ("order-7c9d", "uid-1", "order")
    );
}

#[test]
fn pods_containers_and_runs_that_come_later_are_read_and_other_namespaces_are_not() {
    let node = Node::new();
    create_dir_all(node.0.path().join("kube-system_dns_uid-2/dns")).unwrap();
    let mut reader = node.tail(Vec::new());
    reader.read();
    write!(node.run(0), "{}", lines(0..2)).unwrap();
    assert_eq!(reader.read().said(0), lines(0..2));
    write!(node.run(1), "{}", lines(2..4)).unwrap();
    assert_eq!(reader.read().said(1), lines(2..4));
    assert_eq!(reader.runs.len(), 2);
    assert_eq!(reader.events, Vec::<String>::new());
}

#[test]
fn half_a_line_waits_for_its_other_half_unless_none_can_come() {
    let node = Node::new();
    let mut log = node.run(0);
    let whole = lines(0..2);
    let (one, other) = whole.split_at(whole.len() - 5);
    write!(log, "{one}").unwrap();
    let mut reader = node.tail(Vec::new());
    assert_eq!(reader.read().said(0), lines(0..1));
    write!(log, "{other}half").unwrap();
    assert_eq!(reader.read().said(0), whole);
    remove(&node.container());
    assert_eq!(reader.read().said(0), format!("{whole}half"));
    assert_eq!(reader.events, ["ended 0"]);
}

#[test]
fn a_rotation_loses_nothing_and_repeats_nothing() {
    let node = Node::new();
    let mut old = node.run(0);
    write!(old, "{}", lines(0..3)).unwrap();
    let mut reader = node.tail(Vec::new());
    reader.read();
    node.rename("0.log", &format!("0.log.{FIRST_ROTATION}"));
    write!(old, "{}", lines(3..5)).unwrap();
    assert_eq!(reader.read().said(0), lines(0..5));
    let mut new = node.run(0);
    write!(new, "{}", lines(7..9)).unwrap();
    // What is still under way to the old file is told before the new one.
    assert_eq!(reader.read().said(0), lines(0..5));
    write!(old, "{}", lines(5..7)).unwrap();
    assert_eq!(reader.read().said(0), lines(0..7));
    drop(old);
    assert_eq!(reader.read().said(0), lines(0..9));
    write!(new, "{}", lines(9..10)).unwrap();
    assert_eq!(reader.read().said(0), lines(0..10));
    assert_eq!(reader.events, Vec::<String>::new());
}

#[test]
fn rotations_and_packing_that_nobody_saw_lose_nothing() {
    let node = Node::new();
    write!(node.run(0), "{}", lines(0..3)).unwrap();
    let mut reader = node.tail(Vec::new());
    reader.read();
    let first = format!("0.log.{FIRST_ROTATION}");
    write!(node.run(0), "{}", lines(3..5)).unwrap();
    node.rename("0.log", &first);
    write!(node.run(0), "{}", lines(5..8)).unwrap();
    node.pack(&first);
    node.rename("0.log", &format!("0.log.{SECOND_ROTATION}"));
    write!(node.run(0), "{}", lines(8..9)).unwrap();
    until_said(&mut reader, lines(0..9).len());
    assert_eq!(reader.said(0), lines(0..9));
    assert_eq!(reader.events, Vec::<String>::new());
}

#[test]
fn who_comes_back_goes_on_behind_any_byte_whatever_became_of_the_file() {
    let all = lines(0..4);
    let ends: Vec<usize> = all.match_indices('\n').map(|(at, _)| at + 1).collect();
    for became in ["stayed", "rotated", "packed"] {
        for end in &ends {
            let node = Node::new();
            write!(node.run(0), "{}", &all[..*end]).unwrap();
            let mut before = node.tail(Vec::new());
            before.read();
            write!(node.run(0), "{}", &all[*end..]).unwrap();
            let first = format!("0.log.{FIRST_ROTATION}");
            if became != "stayed" {
                node.rename("0.log", &first);
                write!(node.run(0), "{}", lines(4..6)).unwrap();
            }
            if became == "packed" {
                node.pack(&first);
                node.rename("0.log", &format!("0.log.{SECOND_ROTATION}"));
                write!(node.run(0), "{}", lines(6..7)).unwrap();
            }
            let mut after = node.tail(before.positions());
            let whole = match became {
                "stayed" => lines(0..4),
                "rotated" => lines(0..6),
                _ => lines(0..7),
            };
            until_said(&mut after, whole.len() - end);
            assert_eq!(after.said(0), &whole[*end..], "{became} at {end}");
            assert_eq!(after.events, Vec::<String>::new(), "{became} at {end}");
        }
    }
}

/// Waits for so much, and for what is due after a file has settled.
fn until_said(reader: &mut Reader, length: usize) {
    loop {
        let pause = match reader.round() {
            Left::Nothing => return,
            Left::More => Duration::ZERO,
            Left::Until(pause) => pause,
        };
        if reader.said(0).len() >= length {
            return;
        }
        let mut stirs = [PollFd::from_borrowed_fd(reader.tail.stirs(), PollFlags::IN)];
        poll(&mut stirs, Some(&pause.try_into().unwrap())).unwrap();
    }
}

#[test]
fn an_offset_in_a_line_is_gone_on_from_too() {
    let all = lines(0..2);
    let node = Node::new();
    write!(node.run(0), "{all}").unwrap();
    let mut whole = node.tail(Vec::new());
    whole.read();
    for offset in 0..=all.len() {
        let mut position = whole.positions();
        position[0].offset = offset as u64;
        let mut reader = node.tail(position);
        assert_eq!(reader.read().said(0), &all[offset..]);
        assert_eq!(reader.events, Vec::<String>::new());
    }
}

#[test]
fn a_file_that_was_removed_before_it_was_read_to_its_end_is_told() {
    let node = Node::new();
    write!(node.run(0), "{}", lines(0..3)).unwrap();
    let mut reader = node.tail(Vec::new());
    let positions = reader.read().positions();
    remove(&node.container().join("0.log"));
    write!(node.run(0), "{}", lines(5..6)).unwrap();
    let mut again = node.tail(positions.clone());
    assert_eq!(again.read().said(0), lines(5..6));
    assert_eq!(again.events, ["lost 0"]);
    remove(&node.container());
    let mut again = node.tail(positions);
    again.read();
    assert_eq!(again.events, ["lost 0", "ended 0"]);
}

#[test]
fn a_file_that_is_cut_is_told_and_read_from_its_start() {
    let node = Node::new();
    let mut log = node.run(0);
    write!(log, "{}", lines(0..3)).unwrap();
    let mut reader = node.tail(Vec::new());
    reader.read();
    log.set_len(0).unwrap();
    write!(log, "{}", lines(5..6)).unwrap();
    assert_eq!(reader.read().said(0), lines(0..3) + &lines(5..6));
    assert_eq!(reader.events, ["lost 0"]);
}

#[test]
fn a_removed_pod_is_read_to_its_end() {
    let node = Node::new();
    let mut log = node.run(0);
    write!(log, "{}", lines(0..1)).unwrap();
    let mut reader = node.tail(Vec::new());
    reader.read();
    write!(log, "{}", lines(1..3)).unwrap();
    remove(&node.0.path().join(POD));
    assert_eq!(reader.read().said(0), lines(0..3));
    assert_eq!(reader.events, ["ended 0"]);
    assert_eq!(reader.round(), Left::Nothing);
}

#[test]
fn runs_that_came_and_went_unseen_are_told() {
    let node = Node::new();
    write!(node.run(0), "{}", lines(0..1)).unwrap();
    let mut reader = node.tail(Vec::new());
    reader.read();
    remove(&node.container().join("0.log"));
    write!(node.run(3), "{}", lines(3..4)).unwrap();
    assert_eq!(reader.read().said(3), lines(3..4));
    reader.events.sort();
    assert_eq!(reader.events, ["ended 0", "lost 3"]);
}

#[test]
fn a_hundred_containers_are_read_at_once() {
    let node = Node::new();
    let mut reader = node.tail(Vec::new());
    reader.read();
    let mut logs: Vec<File> = (0..100)
        .map(|number| {
            let container = node
                .0
                .path()
                .join(format!("shop_pod-{number}_uid-{number}/c"));
            create_dir_all(&container).unwrap();
            File::create(container.join(format!("{number}.log"))).unwrap()
        })
        .collect();
    for part in 0..10 {
        for log in &mut logs {
            write!(log, "{}", lines(part * 100..(part + 1) * 100)).unwrap();
        }
        reader.read();
    }
    for number in 0..100 {
        assert_eq!(reader.said(number), lines(0..1000), "{number}");
    }
}
