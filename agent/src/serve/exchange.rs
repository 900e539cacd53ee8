//! The stream as one request has it: what comes after it, and what goes before its answer.

use std::{
    io::{self, Read, Write},
    os::{fd::BorrowedFd, unix::net::UnixStream},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel},
    time::{Duration, Instant},
};

use devenv_agent::protocol::{
    AgentError, Answer, ContainerId, FromAgent, LONGEST_CHUNK, RequestId, Stands, WINDOW, frame,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::Server;
use crate::{cgroups, listener::Listener};

/// What follows a request.
pub(super) enum Piece {
    Chunk(Vec<u8>),
    Taken(u32),
    End,
    Cancel,
    /// Sent to learn whether anybody listens.
    Nothing,
}

/// A request's end where pieces are given to it.
pub(super) struct Asker {
    pub(super) pieces: Sender<Piece>,
    /// Rung for each piece; a full one rings already.
    ring: UnixStream,
}

impl Asker {
    pub(super) fn send(&self, piece: Piece) {
        // One that was answered early does not want it.
        if self.pieces.send(piece).is_ok() {
            let _ = (&self.ring).write(&[1]);
        }
    }
}

/// A request's end where it takes them.
pub(super) struct Heard {
    pieces: Receiver<Piece>,
    /// Can be read when a piece has come or the stream has ended, for those who wait for something else as well.
    bell: UnixStream,
}

/// Both ends of a new request.
pub(super) fn ends() -> io::Result<(Asker, Heard)> {
    let (sender, receiver) = channel();
    let (bell, ring) = UnixStream::pair()?;
    for end in [&bell, &ring] {
        end.set_nonblocking(true)?;
    }
    let asker = Asker {
        pieces: sender,
        ring,
    };
    let heard = Heard {
        pieces: receiver,
        bell,
    };
    Ok((asker, heard))
}

/// The stream as one request has it.
pub(super) struct Exchange<'a, W> {
    pub(super) server: &'a Server<W>,
    pub(super) id: RequestId,
    pub(super) heard: Heard,
}

impl<W: Write> Exchange<'_, W> {
    /// The next piece; fails once the request is cancelled or the stream has ended.
    fn next(&self) -> io::Result<Piece> {
        loop {
            match self.heard.pieces.recv() {
                Ok(Piece::Nothing) => {}
                Ok(Piece::Cancel) | Err(_) => return Err(io::ErrorKind::ConnectionAborted.into()),
                Ok(piece) => return Ok(piece),
            }
        }
    }

    /// Freezes containers, says so, and thaws them when all is sent that belongs to the request.
    pub(super) fn freeze(
        &self,
        containers: Vec<ContainerId>,
        at_most: Duration,
    ) -> Result<Answer, AgentError> {
        let known = &self.server.containers;
        let containers = containers.into_iter().map(|container| {
            let process = known.process(&container)?;
            Ok((container, process))
        });
        let frozen = cgroups::freeze(containers.collect::<Result<_, _>>()?, at_most)?;
        let took_us = micros(frozen.took());
        let stands = frame(&Stands { took_us }).map_err(|_| AgentError::Cancelled)?;
        let (id, bytes) = (self.id, stands);
        let told = self.server.send(&FromAgent::Chunk { id, bytes });
        told.map_err(|_| AgentError::Cancelled)?;
        let asked = self.wait_for_end(frozen.until());
        let stood = frozen.thaw()?;
        asked?;
        Ok(Answer::Thawed {
            stood_us: micros(stood),
        })
    }

    /// Waits until all is sent that belongs to the request; fails once it is cancelled or the time is over.
    fn wait_for_end(&self, until: Instant) -> Result<(), AgentError> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.heard.pieces.recv_timeout(left) {
                Ok(Piece::End) => return Ok(()),
                Ok(Piece::Cancel) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(AgentError::Cancelled);
                }
                Err(RecvTimeoutError::Timeout) => return Err(AgentError::StoodTooLong),
                Ok(_) => {}
            }
        }
    }

    /// Waits; fails once the request is cancelled or the stream has ended.
    pub(super) fn pause(&self, pause: Duration) -> io::Result<()> {
        let until = Instant::now() + pause;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.heard.pieces.recv_timeout(left) {
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Ok(Piece::Cancel) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                Ok(_) => {}
            }
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The chunks of a request as a stream of bytes.
pub(super) struct Incoming<'a, W> {
    exchange: Exchange<'a, W>,
    chunk: Vec<u8>,
    read: usize,
    is_ended: bool,
}

impl<'a, W: Write> Incoming<'a, W> {
    pub(super) const fn new(exchange: Exchange<'a, W>) -> Self {
        Self {
            exchange,
            chunk: Vec::new(),
            read: 0,
            is_ended: false,
        }
    }

    /// Waits for the next chunk; says that the one before is taken.
    fn next(&mut self) -> io::Result<()> {
        let Exchange { server, id, .. } = self.exchange;
        if let Ok(bytes @ 1..) = u32::try_from(self.chunk.len()) {
            server.send(&FromAgent::Taken { id, bytes })?;
        }
        self.chunk.clear();
        self.read = 0;
        match self.exchange.next()? {
            Piece::Chunk(bytes) => self.chunk = bytes,
            Piece::End => self.is_ended = true,
            Piece::Taken(_) | Piece::Cancel | Piece::Nothing => {}
        }
        Ok(())
    }
}

impl<W: Write> Read for Incoming<'_, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.read == self.chunk.len() && !self.is_ended {
            self.next()?;
        }
        let count = buffer.len().min(self.chunk.len() - self.read);
        buffer[..count].copy_from_slice(&self.chunk[self.read..self.read + count]);
        self.read += count;
        Ok(count)
    }
}

impl<W: Write> Listener for Outgoing<'_, W> {
    fn wait(&mut self, stirs: Option<BorrowedFd<'_>>, at_most: Duration) -> io::Result<()> {
        let bell = &self.exchange.heard.bell;
        let mut both = vec![PollFd::new(bell, PollFlags::IN)];
        both.extend(stirs.map(|stirs| PollFd::from_borrowed_fd(stirs, PollFlags::IN)));
        let at_most = Timespec::try_from(at_most).map_err(io::Error::other)?;
        match poll(&mut both, Some(&at_most)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        // Rung for what was taken already, perhaps.
        while matches!((&self.exchange.heard.bell).read(&mut [0; 64]), Ok(1..)) {}
        self.take_waiting()
    }

    fn has_ended(&self) -> bool {
        self.is_ended
    }
}

/// The chunks of an answer as a stream of bytes.
pub(super) struct Outgoing<'a, W> {
    exchange: Exchange<'a, W>,
    chunk: Vec<u8>,
    /// Bytes that were sent and not yet taken.
    under_way: u32,
    /// Whether all has come that belongs to the request.
    is_ended: bool,
}

impl<'a, W: Write> Outgoing<'a, W> {
    pub(super) const fn new(exchange: Exchange<'a, W>) -> Self {
        Self {
            exchange,
            chunk: Vec::new(),
            under_way: 0,
            is_ended: false,
        }
    }

    /// Takes the pieces that have come; fails once the request is cancelled or the stream has ended.
    fn take_waiting(&mut self) -> io::Result<()> {
        loop {
            match self.exchange.heard.pieces.try_recv() {
                Ok(Piece::Taken(taken)) => self.under_way = self.under_way.saturating_sub(taken),
                Ok(Piece::Cancel) | Err(TryRecvError::Disconnected) => {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                Ok(Piece::End) => self.is_ended = true,
                Ok(Piece::Chunk(_) | Piece::Nothing) => {}
                Err(TryRecvError::Empty) => return Ok(()),
            }
        }
    }

    fn wait_for_room(&mut self, bytes: u32) -> io::Result<()> {
        while self.under_way + bytes > WINDOW {
            match self.exchange.next()? {
                Piece::Taken(taken) => self.under_way = self.under_way.saturating_sub(taken),
                Piece::End => self.is_ended = true,
                Piece::Chunk(_) | Piece::Cancel | Piece::Nothing => {}
            }
        }
        Ok(())
    }
}

impl<W: Write> Write for Outgoing<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(LONGEST_CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..count]);
        if self.chunk.len() == LONGEST_CHUNK {
            self.flush()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.chunk);
        let Ok(length @ 1..) = u32::try_from(bytes.len()) else {
            return Ok(());
        };
        self.wait_for_room(length)?;
        self.under_way += length;
        let Exchange { server, id, .. } = self.exchange;
        server.send(&FromAgent::Chunk { id, bytes })
    }
}
