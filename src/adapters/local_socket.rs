//! A unix socket in a directory of the user's own: lines of text, both ways.
//!
//! Called by `session`. Knows nothing of what the lines say.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io,
    os::{
        fd::AsRawFd as _,
        unix::{
            ffi::OsStrExt as _,
            fs::{OpenOptionsExt as _, PermissionsExt as _},
        },
    },
    path::{Path, PathBuf},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use super::files::{self, FileError, Operation};

/// Only the user may connect.
const MODE: u32 = 0o600;
/// Longer paths do not fit into the address of a socket: 108 bytes with the zero at the end.
const LONGEST_ADDRESS: usize = 107;

/// A socket that takes connections.
#[derive(Debug)]
pub struct Listener(UnixListener);

impl Listener {
    /// Makes the socket at `path` in a directory that nobody else may enter; one that is there is replaced.
    ///
    /// The caller makes sure that nobody answers at it any more.
    pub fn bind(path: &Path) -> Result<Self, FileError> {
        files::remove_file(path)?;
        let bind = || -> io::Result<UnixListener> {
            let address = Address::of(path)?;
            let listener = UnixListener::bind(&address.path)?;
            fs::set_permissions(path, Permissions::from_mode(MODE))?;
            Ok(listener)
        };
        bind().map(Self).map_err(|source| FileError {
            operation: Operation::Write,
            path: path.to_owned(),
            source,
        })
    }

    /// The next one who connects.
    pub async fn accept(&self) -> io::Result<(LineReader, LineWriter)> {
        self.0.accept().await.map(|(stream, _)| halves(stream))
    }
}

/// Connects to whoever answers at `path`.
pub async fn connect(path: &Path) -> io::Result<(LineReader, LineWriter)> {
    let address = Address::of(path)?;
    UnixStream::connect(&address.path).await.map(halves)
}

fn halves(stream: UnixStream) -> (LineReader, LineWriter) {
    let (reader, writer) = stream.into_split();
    let reader = LineReader {
        reader: BufReader::new(reader),
        open_line: Vec::new(),
    };
    (reader, LineWriter(writer))
}

/// A path that fits into the address of a socket.
struct Address {
    path: PathBuf,
    /// A path that is too long leads through the descriptor of its directory.
    _directory: Option<File>,
}

impl Address {
    fn of(path: &Path) -> io::Result<Self> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        if path.as_os_str().as_bytes().len() <= LONGEST_ADDRESS {
            return Ok(Self {
                path: path.to_owned(),
                _directory: None,
            });
        }
        let only_its_place = rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY;
        let directory = OpenOptions::new()
            .read(true)
            .custom_flags(only_its_place.bits().cast_signed())
            .open(parent)?;
        Ok(Self {
            path: Path::new("/proc/self/fd")
                .join(directory.as_raw_fd().to_string())
                .join(name),
            _directory: Some(directory),
        })
    }
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A line, without its end; bytes that are not UTF-8 are replaced.
    Text(String),
    /// One that is longer than allowed. What follows has no meaning any more.
    TooLong,
    /// The other side says nothing more.
    End,
}

/// Reads lines.
#[derive(Debug)]
pub struct LineReader {
    reader: BufReader<OwnedReadHalf>,
    open_line: Vec<u8>,
}

impl LineReader {
    /// The next line of at most `longest` bytes. A call that is dropped loses nothing.
    pub async fn next(&mut self, longest: usize) -> io::Result<Line> {
        loop {
            let piece = self.reader.fill_buf().await?;
            if piece.is_empty() {
                return Ok(Line::End);
            }
            let line_end = piece.iter().position(|byte| *byte == b'\n');
            let count = line_end.map_or(piece.len(), |at| at + 1);
            self.open_line
                .extend_from_slice(&piece[..line_end.unwrap_or(count)]);
            self.reader.consume(count);
            if self.open_line.len() > longest {
                return Ok(Line::TooLong);
            }
            if line_end.is_some() {
                let line = std::mem::take(&mut self.open_line);
                return Ok(Line::Text(String::from_utf8_lossy(&line).into_owned()));
            }
        }
    }
}

/// Writes lines.
#[derive(Debug)]
pub struct LineWriter(OwnedWriteHalf);

impl LineWriter {
    /// Writes a line, which has no end of line in it; waits while the other side is behind.
    pub async fn line(&mut self, line: &str) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(line.len() + 1);
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        self.0.write_all(&bytes).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn talk(path: &Path) {
        let listener = Listener::bind(path).unwrap();
        let (connected, accepted) = tokio::join!(connect(path), listener.accept());
        let (mut answers, mut asks) = connected.unwrap();
        let (mut questions, mut says) = accepted.unwrap();
        asks.line("one").await.unwrap();
        asks.line("far too long").await.unwrap();
        let text = |text: &str| Line::Text(text.to_owned());
        assert_eq!(questions.next(3).await.unwrap(), text("one"));
        assert_eq!(questions.next(3).await.unwrap(), Line::TooLong);
        says.line("no").await.unwrap();
        drop(says);
        drop(questions);
        assert_eq!(answers.next(9).await.unwrap(), text("no"));
        assert_eq!(answers.next(9).await.unwrap(), Line::End);
    }

    #[tokio::test]
    async fn a_socket_is_private_and_takes_the_place_of_one_that_is_left() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a.sock");
        talk(&path).await;
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, MODE);
        let left = connect(&path).await.unwrap_err();
        assert_eq!(left.kind(), io::ErrorKind::ConnectionRefused);
        talk(&path).await;
    }

    #[tokio::test]
    async fn a_path_longer_than_an_address_will_do() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("d".repeat(120));
        files::create_private_dir(&directory).unwrap();
        talk(&directory.join("a.sock")).await;
    }
}
