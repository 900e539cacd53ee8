//! Commands in running containers that somebody waits for.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::{join, join3};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::{Cluster, ExecRequest, KubeError};

/// The room between a command and who reads what it says, in bytes.
const PIPE: usize = 64 * 1024;
/// How many lines of what a command says are shown.
const LINES_SHOWN: usize = 20;
/// How much is kept of the beginning of what a command says, and of the end, in bytes.
const BEGINNING: usize = 16 << 20;
const END: usize = 64 * 1024;

/// A command that came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Its exit code.
    pub code: i32,
    /// What it said on standard output; its beginning if that is long.
    pub out: String,
    /// The last lines of all that it said, in the order in which it came.
    pub last_lines: Vec<String>,
}

/// Why a command did not come to its end.
#[derive(Debug)]
pub enum NotRun {
    /// It took too long.
    Late,
    /// The cluster would not have it.
    Failed(KubeError),
}

impl Cluster {
    /// Runs a command in a container to its end; `input` is what it reads, `told` hears the last line of each piece that it
    /// says.
    pub async fn run(
        &self,
        request: &ExecRequest,
        input: Option<Vec<u8>>,
        within: Duration,
        told: impl Fn(&str) + Send + Sync,
    ) -> Result<Ran, NotRun> {
        let running = self.collected(request, input, &told);
        match tokio::time::timeout(within, running).await {
            Ok(ended) => ended.map_err(NotRun::Failed),
            Err(_) => Err(NotRun::Late),
        }
    }

    async fn collected(
        &self,
        request: &ExecRequest,
        input: Option<Vec<u8>>,
        told: &(impl Fn(&str) + Send + Sync),
    ) -> Result<Ran, KubeError> {
        let (mut stdout, out) = duplex(PIPE);
        let (mut stderr, err) = duplex(PIPE);
        let said = Mutex::default();
        let running = async {
            let input = input.map(std::io::Cursor::new);
            let end = self
                .exec(request, input, &mut stdout, &mut stderr, None)
                .await;
            // They are pipes in memory: closing them cannot fail.
            let _ = join(stdout.shutdown(), stderr.shutdown()).await;
            end
        };
        let collecting = (
            collect(out, Stream::Out, &said, told),
            collect(err, Stream::Error, &said, told),
        );
        let (end, ..) = join3(running, collecting.0, collecting.1).await;
        let code = end?.code;
        let said: MutexGuard<'_, Said> = said.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Ran {
            code,
            out: String::from_utf8_lossy(&said.out).into_owned(),
            last_lines: said.last_lines(),
        })
    }
}

/// Where a command says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Out,
    Error,
}

/// What a command said.
#[derive(Debug, Default)]
struct Said {
    out: Vec<u8>,
    end: Vec<u8>,
}

impl Said {
    fn add(&mut self, stream: Stream, piece: &[u8]) {
        if stream == Stream::Out {
            let room = BEGINNING.saturating_sub(self.out.len());
            self.out.extend_from_slice(&piece[..piece.len().min(room)]);
        }
        self.end.extend_from_slice(piece);
        if self.end.len() > 2 * END {
            self.end.drain(..self.end.len() - END);
        }
    }

    fn last_lines(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.end);
        let lines: Vec<&str> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(LINES_SHOWN)..];
        last.iter().map(|line| (*line).to_owned()).collect()
    }
}

async fn collect(
    mut from: DuplexStream,
    stream: Stream,
    into: &Mutex<Said>,
    told: &(impl Fn(&str) + Sync),
) {
    let mut buffer = vec![0; PIPE];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let piece = &buffer[..count];
        if let Some(line) = String::from_utf8_lossy(piece).lines().last() {
            told(line);
        }
        let mut said = into.lock().unwrap_or_else(PoisonError::into_inner);
        said.add(stream, piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_the_output_is_kept_and_the_end_of_all() {
        let mut said = Said::default();
        said.add(Stream::Out, b"first\n");
        let long = vec![b'x'; BEGINNING];
        said.add(Stream::Out, &long);
        for number in 0..100 {
            said.add(Stream::Error, format!("line {number}\n").as_bytes());
        }
        assert_eq!(said.out.len(), BEGINNING);
        assert!(said.out.starts_with(b"first\n"));
        assert!(said.end.len() <= 2 * END);
        let lines = said.last_lines();
        assert_eq!(
            (lines.len(), lines[LINES_SHOWN - 1].as_str()),
            (LINES_SHOWN, "line 99")
        );
    }
}
