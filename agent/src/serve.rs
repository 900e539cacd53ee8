//! Answers devenv over one stream: reads frames, gives each request a thread of its own, writes frames.

use std::{
    collections::HashMap,
    convert::Infallible,
    io::{self, Read, Write},
    os::{fd::BorrowedFd, unix::net::UnixStream},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel},
    },
    thread,
    time::{Duration, Instant},
};

use devenv_agent::{
    init_protocol,
    protocol::{
        AgentError, Answer, ContainerId, FromAgent, Hello, LONGEST_CHUNK, Request, RequestId,
        Stands, ToAgent, Usage, VERSION, WINDOW, frame, read_frame, write_frame,
    },
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::{
    cgroups,
    containers::{self, Containers},
    files, inits,
    listener::Listener,
    logs, probe, remount, volumes,
};

/// How long work that leaves something behind may take to undo it once the stream has ended.
const UNDO_WITHIN: Duration = Duration::from_mins(1);

/// Speaks the protocol until `input` ends. What is under way then is broken off with its request.
pub(crate) fn serve<W: Write + Send + 'static>(input: &mut impl Read, output: W) -> io::Result<()> {
    let server = Arc::new(Server {
        containers: Containers::default(),
        output: Mutex::new(output),
    });
    server.send(&FromAgent::Hello(Hello {
        version: VERSION,
        pid: std::process::id(),
    }))?;
    let (working, undone) = channel();
    let ended = hear(&server, input, &working);
    drop(working);
    // Nobody sends anything: it ends when the last who works has dropped their end.
    let _ = undone.recv_timeout(UNDO_WITHIN);
    ended
}

/// Takes messages until `input` ends. Who may leave something behind holds `working` until it is undone.
fn hear<W: Write + Send + 'static>(
    server: &Arc<Server<W>>,
    input: &mut impl Read,
    working: &Sender<Infallible>,
) -> io::Result<()> {
    let mut open: HashMap<RequestId, Asker> = HashMap::new();
    while let Some(message) = read_frame(input)? {
        let (id, piece) = match message {
            ToAgent::Request { id, request } => {
                let (asker, heard) = ends()?;
                // Those that were answered have dropped their end.
                open.retain(|_, asker| asker.pieces.send(Piece::Nothing).is_ok());
                open.insert(id, asker);
                let server = Arc::clone(server);
                let leaves = matches!(
                    request,
                    Request::Change { .. } | Request::Freeze { .. } | Request::Volume { .. }
                );
                let working = leaves.then(|| working.clone());
                thread::spawn(move || {
                    server.answer(id, request, heard);
                    drop(working);
                });
                continue;
            }
            ToAgent::Chunk { id, bytes } => (id, Piece::Chunk(bytes)),
            ToAgent::Taken { id, bytes } => (id, Piece::Taken(bytes)),
            ToAgent::End { id } => (id, Piece::End),
            ToAgent::Cancel { id } => (id, Piece::Cancel),
        };
        if let Some(asker) = open.get(&id) {
            asker.send(piece);
        }
    }
    Ok(())
}

/// What follows a request.
enum Piece {
    Chunk(Vec<u8>),
    Taken(u32),
    End,
    Cancel,
    /// Sent to learn whether anybody listens.
    Nothing,
}

/// A request's end where pieces are given to it.
struct Asker {
    pieces: Sender<Piece>,
    /// Rung for each piece; a full one rings already.
    ring: UnixStream,
}

impl Asker {
    fn send(&self, piece: Piece) {
        // One that was answered early does not want it.
        if self.pieces.send(piece).is_ok() {
            let _ = (&self.ring).write(&[1]);
        }
    }
}

/// A request's end where it takes them.
struct Heard {
    pieces: Receiver<Piece>,
    /// Can be read when a piece has come or the stream has ended, for those who wait for something else as well.
    bell: UnixStream,
}

/// Both ends of a new request.
fn ends() -> io::Result<(Asker, Heard)> {
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

struct Server<W> {
    containers: Containers,
    output: Mutex<W>,
}

impl<W: Write> Server<W> {
    fn send(&self, message: &FromAgent) -> io::Result<()> {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        write_frame(&mut *output, message)
    }

    fn answer(&self, id: RequestId, request: Request, heard: Heard) {
        let exchange = Exchange {
            server: self,
            id,
            heard,
        };
        let answer = self.carry_out(request, exchange);
        // A stream that is gone ends the program where it reads.
        let sent = self.send(&FromAgent::Answer { id, answer });
        if sent.is_err_and(|error| error.kind() == io::ErrorKind::InvalidInput) {
            let answer = Err(AgentError::Protocol("the answer is too long".to_owned()));
            let _ = self.send(&FromAgent::Answer { id, answer });
        }
    }

    fn carry_out(&self, request: Request, exchange: Exchange<'_, W>) -> Result<Answer, AgentError> {
        match request {
            Request::Ping => Ok(Answer::Pong),
            Request::Change {
                container,
                base,
                owner,
            } => {
                let root = self.containers.root(&container)?;
                let owner = owner.map(|owner| files::owner(&root, &owner)).transpose()?;
                let mut records = Incoming::new(exchange);
                let count = files::change(root, &base, owner, &mut records)?;
                Ok(Answer::Changed { count })
            }
            Request::List {
                container,
                directory,
            } => {
                let root = self.containers.root(&container)?;
                let mut entries = Outgoing::new(exchange);
                let count = files::list(root, &directory, &mut entries)?;
                entries.flush().map_err(|_| AgentError::Cancelled)?;
                Ok(Answer::Listed { count })
            }
            Request::Control { container, request } => {
                let root = self.containers.root(&container)?;
                let wanted = |pause| exchange.pause(pause).is_ok();
                inits::ask(&root, container, &request, &wanted).map(Answer::Control)
            }
            Request::Probe {
                address,
                what,
                within_ms,
            } => {
                let within = Duration::from_millis(within_ms.into());
                probe::reach(address, &what, within, &|pause| exchange.pause(pause))
            }
            Request::Freeze {
                containers,
                at_most_ms,
            } => exchange.freeze(containers, Duration::from_millis(at_most_ms.into())),
            Request::Kill { containers } => {
                containers.iter().for_each(containers::kill);
                Ok(Answer::Killed)
            }
            Request::Remount {
                container,
                mountings,
            } => {
                let process = self.containers.process(&container)?;
                let root = self.containers.root(&container)?;
                // First: whoever goes on because this is broken off must not find half of it.
                let killed = containers::kill_all_but(&container, process);
                remount::remount(&container, process, &root, &mountings)?;
                Ok(Answer::Remounted { killed })
            }
            Request::Start { container, killed } => {
                let root = self.containers.root(&container)?;
                let wanted = |pause| exchange.pause(pause).is_ok();
                containers::until_gone(&container, &killed, &wanted)?;
                let released = init_protocol::Request::Release;
                match inits::ask(&root, container, &released, &wanted)? {
                    Ok(_) => Ok(Answer::Started),
                    refused => Ok(Answer::Control(refused)),
                }
            }
            Request::Usage { containers } => {
                let used = containers.iter().map(|container| self.usage(container));
                used.collect::<Result<_, _>>().map(Answer::Used)
            }
            Request::Logs { namespace, from } => {
                let mut records = Outgoing::new(exchange);
                let directory = Path::new(logs::DIRECTORY);
                Err(logs::follow(directory, &namespace, from, &mut records))
            }
            Request::Volume { root, request } => {
                let mut progress = Outgoing::new(exchange);
                volumes::carry_out(&root, &request, &mut progress).map(Answer::Volume)
            }
            Request::Read { container, file } => {
                let root = self.containers.root(&container)?;
                let mut contents = Outgoing::new(exchange);
                let bytes = files::read(&root, &file, &mut contents)?;
                contents.flush().map_err(|_| AgentError::Cancelled)?;
                Ok(Answer::WasRead { bytes })
            }
        }
    }
}

impl<W> Server<W> {
    /// What a container uses; `None` if it does not run.
    fn usage(&self, container: &ContainerId) -> Result<Option<Usage>, AgentError> {
        let Ok(process) = self.containers.process(container) else {
            return Ok(None);
        };
        match cgroups::usage(container, process) {
            // It ended meanwhile.
            Err(_) if self.containers.process(container).is_err() => Ok(None),
            used => used.map(Some),
        }
    }
}

/// The stream as one request has it.
struct Exchange<'a, W> {
    server: &'a Server<W>,
    id: RequestId,
    heard: Heard,
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
    fn freeze(
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
    fn pause(&self, pause: Duration) -> io::Result<()> {
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
struct Incoming<'a, W> {
    exchange: Exchange<'a, W>,
    chunk: Vec<u8>,
    read: usize,
    is_ended: bool,
}

impl<'a, W: Write> Incoming<'a, W> {
    const fn new(exchange: Exchange<'a, W>) -> Self {
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
struct Outgoing<'a, W> {
    exchange: Exchange<'a, W>,
    chunk: Vec<u8>,
    /// Bytes that were sent and not yet taken.
    under_way: u32,
    /// Whether all has come that belongs to the request.
    is_ended: bool,
}

impl<'a, W: Write> Outgoing<'a, W> {
    const fn new(exchange: Exchange<'a, W>) -> Self {
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

#[cfg(test)]
mod tests {
    use std::{
        net::{Ipv4Addr, TcpListener},
        os::unix::net::UnixStream,
    };

    use devenv_agent::{
        protocol::{ContainerId, ProbeWhat},
        volume_protocol,
    };

    use super::*;

    /// An agent that serves until its stream ends, and its greeting taken.
    fn agent() -> UnixStream {
        let (mut devenv, agent) = UnixStream::pair().unwrap();
        let mut input = agent.try_clone().unwrap();
        thread::spawn(move || serve(&mut input, agent));
        let hello = read_frame(&mut devenv).unwrap();
        assert!(matches!(hello, Some(FromAgent::Hello(_))), "{hello:?}");
        devenv
    }

    fn answer(devenv: &mut UnixStream) -> (RequestId, Result<Answer, AgentError>) {
        match read_frame(devenv).unwrap() {
            Some(FromAgent::Answer { id, answer }) => (id, answer),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_cancelled_probe_is_answered_soon_and_holds_nobody_up_until_then() {
        let mut devenv = agent();
        // It takes connections and answers none.
        let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let path = "/".to_owned();
        let request = Request::Probe {
            address: silent.local_addr().unwrap(),
            what: ProbeWhat::Http { path },
            within_ms: u32::MAX,
        };
        let ping = Request::Ping;
        write_frame(&mut devenv, &ToAgent::Request { id: 1, request }).unwrap();
        write_frame(
            &mut devenv,
            &ToAgent::Request {
                id: 2,
                request: ping,
            },
        )
        .unwrap();
        assert_eq!(answer(&mut devenv), (2, Ok(Answer::Pong)));
        write_frame(&mut devenv, &ToAgent::Cancel { id: 1 }).unwrap();
        assert_eq!(answer(&mut devenv), (1, Err(AgentError::Cancelled)));
    }

    #[test]
    fn logs_are_told_as_they_come_until_they_are_cancelled() {
        let node = tempfile::tempdir().unwrap();
        let container = node.path().join("shop_order_uid/order");
        std::fs::DirBuilder::new()
            .recursive(true)
            .create(&container)
            .unwrap();
        let (mut devenv, output) = UnixStream::pair().unwrap();
        let server = Server {
            containers: Containers::default(),
            output: Mutex::new(output),
        };
        let (asker, heard) = ends().unwrap();
        thread::scope(|scope| {
            let telling = scope.spawn(|| {
                let (server, id) = (&server, 1);
                let mut to = Outgoing::new(Exchange { server, id, heard });
                logs::follow(node.path(), "shop", Vec::new(), &mut to)
            });
            let mut log = std::fs::File::create(container.join("0.log")).unwrap();
            let mut told = Vec::new();
            for line in ["one\n", "two\n"] {
                log.write_all(line.as_bytes()).unwrap();
                while !told.ends_with(line.as_bytes()) {
                    match read_frame(&mut devenv).unwrap() {
                        Some(FromAgent::Chunk { id: 1, bytes }) => told.extend(bytes),
                        other => panic!("{other:?}"),
                    }
                }
            }
            asker.send(Piece::Cancel);
            assert_eq!(telling.join().unwrap(), AgentError::Cancelled);
        });
    }

    #[test]
    fn a_copy_is_undone_before_the_agent_ends_with_its_stream() {
        let node = tempfile::tempdir().unwrap();
        let files = node.path().join("volume");
        std::fs::create_dir(&files).unwrap();
        for number in 0..5_000 {
            std::fs::write(files.join(number.to_string()), "small").unwrap();
        }
        let (mut devenv, agent) = UnixStream::pair().unwrap();
        let mut input = agent.try_clone().unwrap();
        let serving = thread::spawn(move || serve(&mut input, agent));
        let (from, to) = (b"volume".to_vec(), b"copy".to_vec());
        let request = Request::Volume {
            root: node.path().as_os_str().as_encoded_bytes().to_vec(),
            request: volume_protocol::Request::Copy {
                from,
                to,
                source: volume_protocol::Source::AtRest,
            },
        };
        write_frame(&mut devenv, &ToAgent::Request { id: 1, request }).unwrap();
        let names = || {
            let entries = std::fs::read_dir(node.path()).unwrap();
            entries.map(|entry| entry.unwrap().file_name())
        };
        while names().count() == 1 {
            assert!(!serving.is_finished());
        }
        devenv.shutdown(std::net::Shutdown::Write).unwrap();
        serving.join().unwrap().unwrap();
        assert!(names().eq(["volume"]));
    }

    #[test]
    fn the_init_of_a_container_that_does_not_run_is_not_asked() {
        let mut devenv = agent();
        let container: ContainerId = "ab".repeat(32).parse().unwrap();
        let request = Request::Control {
            container: container.clone(),
            request: init_protocol::Request::Status,
        };
        write_frame(&mut devenv, &ToAgent::Request { id: 1, request }).unwrap();
        let absent = Err(AgentError::NoContainer(container));
        assert_eq!(answer(&mut devenv), (1, absent));
    }
}
