//! One run of a container: its files, read one after another.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use devenv_agent::log_protocol::{FileId, LogRecord, RunId};

use super::{
    file::{LogFile, Name, Place, files_of},
    tell,
};

/// How much is read of a run before it is another's turn, in bytes.
const PIECE: usize = 128 * 1024;
/// For how long a file that was rotated may still be written to, where its end was not seen.
const SETTLES_IN: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 2000 });

/// What a run has left to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// Perhaps more.
    More,
    /// Nothing for now.
    Nothing,
    /// Nothing, and then its next file, unless this one grows.
    Next(Duration),
    /// Nothing any more.
    Ended,
}

/// A run that is read.
#[derive(Debug)]
pub(super) struct Run {
    stream: u32,
    number: u32,
    directory: PathBuf,
    /// Its files, as they were listed last, in order.
    names: Vec<Name>,
    /// Where to go on, until its file was looked for.
    from: Option<(FileId, u64)>,
    reading: Option<Reading>,
    /// The last of the files before the one that is read.
    behind: Option<Place>,
    /// A rotated file that nobody writes to any more.
    closed: Option<Place>,
}

/// The file that is read.
#[derive(Debug)]
struct Reading {
    file: LogFile,
    told: Told,
    offset: u64,
    place: Place,
    /// When it was found at its end with a next one beside it.
    ended: Option<Instant>,
}

/// Whether it was told which file is read.
#[derive(Debug, Clone, Copy)]
enum Told {
    /// Nothing of it was told.
    Nothing,
    /// Not on this stream; it is known.
    Not(FileId),
    Yes,
}

/// What was found behind the offset.
enum Piece {
    Lines,
    End,
    /// It cannot be read, such as one that was packed and is damaged.
    Damaged,
}

impl Run {
    /// Begins with the oldest file, or behind a position; tells so.
    pub(super) fn open(
        stream: u32,
        run: RunId,
        directory: &Path,
        from: Option<(FileId, u64)>,
        to: &mut impl Write,
    ) -> io::Result<Self> {
        let number = run.run;
        tell(to, &LogRecord::Opened { stream, run })?;
        Ok(Self {
            stream,
            number,
            directory: directory.to_owned(),
            names: Vec::new(),
            from,
            reading: None,
            behind: None,
            closed: None,
        })
    }

    /// Takes in which files there are.
    pub(super) fn list(&mut self) -> io::Result<()> {
        self.names = files_of(&self.directory, self.number)?;
        if let Some(reading) = &mut self.reading {
            reading.find_place(&self.directory, &self.names)?;
        }
        Ok(())
    }

    /// Takes in that nobody writes to a file any more.
    pub(super) fn closed(&mut self, name: Name) {
        if name.place != Place::Current {
            self.closed = Some(name.place);
        }
    }

    /// Tells that something before what follows was not read.
    pub(super) fn lost(&self, to: &mut impl Write) -> io::Result<()> {
        let (stream, bytes) = (self.stream, None);
        tell(to, &LogRecord::Lost { stream, bytes })
    }

    /// Reads a piece.
    pub(super) fn read(&mut self, to: &mut impl Write) -> io::Result<Rest> {
        let Some(reading) = &mut self.reading else {
            return self.begin(to);
        };
        match reading.piece(self.stream, to)? {
            Piece::Lines => Ok(Rest::More),
            Piece::End => self.at_end(to),
            Piece::Damaged => {
                self.lost(to)?;
                self.next(to)
            }
        }
    }

    /// Opens the file to begin with.
    fn begin(&mut self, to: &mut impl Write) -> io::Result<Rest> {
        let Some((wanted, offset)) = self.from else {
            return self.open_next(to);
        };
        for (index, name) in self.names.iter().enumerate() {
            let Some(mut file) = LogFile::open(&self.directory, name)? else {
                continue;
            };
            if file.id().is_ok_and(|id| id == wanted) {
                self.behind = index.checked_sub(1).map(|at| self.names[at].place.clone());
                let mut reading = Reading::of(file, name.place.clone());
                (reading.offset, reading.told) = (offset, Told::Not(wanted));
                if !name.is_packed {
                    // It may have been renamed since it was listed: its place is found out.
                    reading.place = Place::Current;
                }
                self.reading = Some(reading);
                self.from = None;
                self.list()?;
                return Ok(Rest::More);
            }
        }
        let before = std::mem::take(&mut self.names);
        self.list()?;
        if self.names != before {
            // It may have been renamed while it was looked for.
            return Ok(Rest::More);
        }
        self.from = None;
        self.lost(to)?;
        self.open_next(to)
    }

    /// Opens the first file behind those that were read.
    fn open_next(&mut self, to: &mut impl Write) -> io::Result<Rest> {
        loop {
            let is_next = |name: &&Name| self.behind.as_ref().is_none_or(|b| name.place > *b);
            let Some(name) = self.names.iter().find(is_next).cloned() else {
                break;
            };
            let file = LogFile::open(&self.directory, &name)?;
            // It may have been renamed, packed or removed between the look and the opening.
            let before = std::mem::take(&mut self.names);
            self.names = files_of(&self.directory, self.number)?;
            let is_same = self.names == before;
            match file {
                Some(file) if is_same || name.place != Place::Current => {
                    self.reading = Some(Reading::of(file, name.place));
                    return Ok(Rest::More);
                }
                None if is_same => self.behind = Some(name.place),
                None if !self.has(&name.place) => self.lost(to)?,
                Some(_) | None => {}
            }
        }
        if !self.names.is_empty() {
            return Ok(Rest::Nothing);
        }
        let stream = self.stream;
        tell(to, &LogRecord::Ended { stream })?;
        Ok(Rest::Ended)
    }

    fn has(&self, place: &Place) -> bool {
        self.names.iter().any(|name| name.place == *place)
    }

    /// All that is there of the file was read.
    fn at_end(&mut self, to: &mut impl Write) -> io::Result<Rest> {
        let Some(reading) = &mut self.reading else {
            return Ok(Rest::Nothing);
        };
        if reading.file.is_over()? {
            return self.next(to);
        }
        let has_next = self.names.iter().any(|name| name.place > reading.place);
        if reading.place == Place::Current || !has_next {
            return Ok(Rest::Nothing);
        }
        let ended = reading.ended.get_or_insert_with(Instant::now);
        let left = SETTLES_IN.saturating_sub(ended.elapsed());
        if left.is_zero() || self.closed.as_ref() == Some(&reading.place) {
            return self.next(to);
        }
        Ok(Rest::Next(left))
    }

    /// Goes on with the next file.
    fn next(&mut self, to: &mut impl Write) -> io::Result<Rest> {
        self.list()?;
        let Some(mut reading) = self.reading.take() else {
            return Ok(Rest::Nothing);
        };
        reading.tell_rest(self.stream, to)?;
        if reading.place != Place::Current {
            let has_next = self.names.iter().any(|name| name.place > reading.place);
            // The oldest are removed first: with this one, others behind it may have been.
            if has_next && !self.has(&reading.place) {
                self.lost(to)?;
            }
            self.behind = Some(reading.place);
        }
        self.open_next(to)
    }
}

impl Reading {
    const fn of(file: LogFile, place: Place) -> Self {
        Self {
            file,
            told: Told::Nothing,
            offset: 0,
            place,
            ended: None,
        }
    }

    /// Finds out where it is now, after its container's files have changed.
    fn find_place(&mut self, directory: &Path, names: &[Name]) -> io::Result<()> {
        if self.place != Place::Current {
            return Ok(());
        }
        for name in names.iter().filter(|name| !name.is_packed) {
            if let Some(file) = LogFile::open(directory, name)?
                && file.inode == self.file.inode
            {
                self.place = name.place.clone();
                return Ok(());
            }
        }
        if let Some(name) = self.file.last_name() {
            self.place = name.place;
        }
        Ok(())
    }

    /// Tells the next whole lines.
    fn piece(&mut self, stream: u32, to: &mut impl Write) -> io::Result<Piece> {
        let mut there = PIECE;
        if let Some(length) = self.file.length()? {
            if length < self.offset {
                tell(
                    to,
                    &LogRecord::Lost {
                        stream,
                        bytes: None,
                    },
                )?;
                (self.offset, self.told) = (0, Told::Nothing);
            }
            there = usize::try_from(length - self.offset).map_or(PIECE, |more| more.min(PIECE));
        }
        let mut bytes = vec![0; there];
        let Ok(count) = self.file.peek(self.offset, &mut bytes) else {
            return Ok(Piece::Damaged);
        };
        bytes.truncate(count);
        match bytes.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => bytes.truncate(end + 1),
            // A line that is longer than any runtime writes goes on in the next piece.
            None if count == PIECE => {}
            None => return Ok(Piece::End),
        }
        self.ended = None;
        self.tell(stream, bytes, to)?;
        Ok(Piece::Lines)
    }

    /// Tells the half line at the end of a file that does not grow any more.
    fn tell_rest(&mut self, stream: u32, to: &mut impl Write) -> io::Result<()> {
        let mut bytes = vec![0; PIECE];
        let count = self.file.peek(self.offset, &mut bytes).unwrap_or(0);
        bytes.truncate(count);
        if bytes.is_empty() {
            return Ok(());
        }
        self.tell(stream, bytes, to)
    }

    fn tell(&mut self, stream: u32, bytes: Vec<u8>, to: &mut impl Write) -> io::Result<()> {
        let file = match self.told {
            Told::Nothing => Some(FileId::of(&bytes)),
            Told::Not(file) => Some(file),
            Told::Yes => None,
        };
        if let Some(file) = file {
            tell(to, &LogRecord::File { stream, file })?;
            self.told = Told::Yes;
        }
        self.offset += bytes.len() as u64;
        let offset = self.offset;
        let lines = LogRecord::Lines {
            stream,
            offset,
            bytes,
        };
        tell(to, &lines)
    }
}
