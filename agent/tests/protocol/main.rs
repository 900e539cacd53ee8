//! What one side of the protocol makes of whatever the other sends. A process of its own: its memory is looked at.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../../../tests/support/corpus.rs"]
mod corpus;
mod every;
#[path = "../../../tests/support/generated.rs"]
mod generated;
#[path = "../../../tests/support/mutate.rs"]
mod mutate;

use std::{fmt::Debug, path::Path};

use devenv_agent::{
    init_protocol,
    log_protocol::LogRecord,
    protocol::{
        Entry, FileChange, FromAgent, LONGEST_FRAME, Stands, ToAgent, decode, frame, read_frame,
    },
    volume_protocol::Progress,
};
use serde::{Serialize, de::DeserializeOwned};

use mutate::{Mutator, rounds};

/// What reading any frame may take beyond the frame itself, in KiB: an announced length alone takes none.
const MOST_MEMORY: u64 = 48 << 10;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn assert_same<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, message: &T) {
    let bytes = frame(message).unwrap();
    let again = read_frame::<T>(&mut bytes.as_slice()).unwrap();
    assert_eq!(again.as_ref(), Some(message), "{name}");
    generated::keep_up_to_date(repository(), &format!("protocol/{name}"), &bytes);
}

/// One that was encoded otherwise than it has always been is another protocol: `VERSION` must be another one then.
#[test]
fn every_message_comes_out_as_it_went_in_and_is_encoded_as_always() {
    let mut names = Vec::new();
    for (name, message) in every::to_agent() {
        assert_same(&name, &message);
        names.push(name);
    }
    for (name, message) in every::from_agent() {
        assert_same(&name, &message);
        names.push(name);
    }
    for (name, record) in every::records() {
        assert_same(&name, &record);
        names.push(name);
    }
    names.sort();
    let there = corpus::files(repository(), "protocol");
    let there = there.iter().map(|(path, _)| path.file_name().unwrap());
    assert!(there.eq(names.iter().map(|name| std::ffi::OsStr::new(name.as_str()))));
}

/// Reads a frame as a message; one that is understood is written and read as the same again.
fn read<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) -> bool {
    let mut stream = bytes;
    let mut is_understood = false;
    while let Ok(Some(message)) = read_frame::<T>(&mut stream) {
        is_understood = true;
        // What is shown of it does not fail either.
        let shown = format!("{message:?}");
        let again = frame(&message).and_then(|frame| decode::<T>(&frame[4..]));
        assert_eq!(again.ok(), Some(message), "{shown}");
    }
    is_understood
}

/// Reads a frame as each kind of message that is sent anywhere: how many took it.
fn read_as_each(bytes: &[u8]) -> usize {
    if let Ok(Some(FromAgent::Answer {
        answer: Err(error), ..
    })) = read_frame(&mut &*bytes)
    {
        assert!(!error.to_string().is_empty());
    }
    let taken = [
        read::<ToAgent>(bytes),
        read::<FromAgent>(bytes),
        read::<FileChange>(bytes),
        read::<Entry>(bytes),
        read::<Stands>(bytes),
        read::<LogRecord>(bytes),
        read::<Progress>(bytes),
        read::<init_protocol::Request>(bytes),
        read::<Result<init_protocol::Answer, init_protocol::Refusal>>(bytes),
    ];
    taken.iter().filter(|taken| **taken).count()
}

/// The most memory that this process ever had, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.unwrap().trim().trim_end_matches(" kB");
    number.parse().unwrap()
}

#[test]
fn whatever_comes_is_answered_within_bounded_memory() {
    let corpus = corpus::files(repository(), "protocol");
    for (path, bytes) in &corpus {
        assert!(read_as_each(bytes) > 0, "{}", path.display());
    }
    // Frames of the longest kind were in memory once.
    let longest = [&[0, 0, 0x10, 0], &*vec![0xff; LONGEST_FRAME]].concat();
    read_as_each(&longest);
    let before = peak();
    let mut mutator = Mutator::new(0x000d_e4e4);
    let (mut understood, mut refused) = (0_u32, 0_u32);
    for (index, (_, bytes)) in corpus.iter().enumerate() {
        let (_, other) = &corpus[(index * 7 + 3) % corpus.len()];
        for _ in 0..rounds(200) {
            let mut damaged = mutator.damaged(bytes, other);
            let taken = read_as_each(&damaged);
            // With a length that fits, so that what is behind it is read too.
            if let Some(length) = damaged.len().checked_sub(4) {
                let length = u32::try_from(length).unwrap();
                damaged[..4].copy_from_slice(&length.to_le_bytes());
            }
            let taken = taken + read_as_each(&damaged);
            *if taken > 0 {
                &mut understood
            } else {
                &mut refused
            } += 1;
        }
    }
    // The damages are neither too small nor too large to say something.
    assert!(understood > 100 && refused > 100, "{understood} {refused}");
    let took = peak() - before;
    assert!(took < MOST_MEMORY, "{took} KiB");
}
