//! Asks the inits of live services, each on the socket in its container.
//!
//! What is in a container is not trusted: the socket is found below the container's root without following a link, so
//! that the agent, which is root in the node, talks to nobody outside of it, and nobody there can make it wait for long.

use std::{
    io::{self, Read, Write},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    time::{Duration, Instant},
};

use devenv_agent::{
    init_protocol::{self, Answer, Refusal, Request, SOCKET},
    protocol::{AgentError, ContainerId},
};
use rustix::{
    fs::{FileType, OFlags, ResolveFlags, fstat},
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with},
};

use crate::files::{at, open_below};

/// How long an init may take beside what it was asked for.
const MOMENT: Duration = Duration::from_secs(10);
/// How long is waited at a time before it is looked whether the answer is still wanted.
const LOOK_AFTER: Duration = Duration::from_millis(50);

/// Whether the answer is still wanted after a pause.
pub(crate) type Wanted<'a> = &'a dyn Fn(Duration) -> bool;

/// Passes a request on to the init of the container with this root, and its answer back.
pub(crate) fn ask(
    root: &OwnedFd,
    container: ContainerId,
    request: &Request,
    wanted: Wanted<'_>,
) -> Result<Result<Answer, Refusal>, AgentError> {
    ask_within(
        root,
        container,
        request,
        request.may_take() + MOMENT,
        wanted,
    )
}

fn ask_within(
    root: &OwnedFd,
    container: ContainerId,
    request: &Request,
    within: Duration,
    wanted: Wanted<'_>,
) -> Result<Result<Answer, Refusal>, AgentError> {
    let Some(socket) = find(root)? else {
        return Err(AgentError::NoInit(container));
    };
    let until = Instant::now() + within;
    let mut line = match Line::connect(&socket, until, wanted) {
        // One that ended leaves its socket behind.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            return Err(AgentError::NoInit(container));
        }
        connected => connected.map_err(|error| failed(container.clone(), &error))?,
    };
    init_protocol::ask(&mut line, request).map_err(|error| failed(container, &error))
}

/// The init's socket; nothing if none is there, or something else is.
fn find(root: &OwnedFd) -> Result<Option<OwnedFd>, AgentError> {
    let path = Path::new(SOCKET);
    let found = open_below(root, path, OFlags::PATH, ResolveFlags::NO_SYMLINKS);
    let looked =
        found.and_then(|found| Ok((FileType::from_raw_mode(fstat(&found)?.st_mode), found)));
    match looked {
        Ok((FileType::Socket, found)) => Ok(Some(found)),
        Ok(_) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(error) => Err(at("find", path, error)),
    }
}

fn failed(container: ContainerId, error: &io::Error) -> AgentError {
    match error.kind() {
        io::ErrorKind::ConnectionAborted => AgentError::Cancelled,
        io::ErrorKind::TimedOut => AgentError::InitSilent(container),
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionReset => AgentError::InitEnded(container),
        _ => AgentError::Protocol(format!("the init of the container {container}: {error}")),
    }
}

/// A connection that is given up when its time is over or nobody wants its answer any more.
struct Line<'a> {
    stream: UnixStream,
    until: Instant,
    wanted: Wanted<'a>,
}

impl<'a> Line<'a> {
    fn connect(socket: &OwnedFd, until: Instant, wanted: Wanted<'a>) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let client = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        let stream = UnixStream::from(client);
        stream.set_read_timeout(Some(LOOK_AFTER))?;
        // It holds for a connection that has to wait for others, too.
        stream.set_write_timeout(Some(LOOK_AFTER))?;
        let mut line = Self {
            stream,
            until,
            wanted,
        };
        // By what was opened, whatever is at its path now.
        let address = SocketAddrUnix::new(format!("/proc/self/fd/{}", socket.as_fd().as_raw_fd()))?;
        line.patiently(|stream| Ok(connect(stream, &address)?))?;
        Ok(line)
    }

    fn patiently<T>(
        &mut self,
        mut work: impl FnMut(&mut UnixStream) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            match work(&mut self.stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            if !(self.wanted)(Duration::ZERO) {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            if self.until <= Instant::now() {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }
}

impl Read for Line<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.patiently(|stream| stream.read(buffer))
    }
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.patiently(|stream| stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{File, create_dir_all},
        os::unix::{fs::symlink, net::UnixListener},
        thread,
    };

    use devenv_agent::protocol::{frame, read_frame, write_frame};
    use tempfile::TempDir;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);
    const STILL_WANTED: Wanted<'_> = &|_| true;

    /// The root of a container.
    struct Container(TempDir);

    impl Container {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            create_dir_all(directory.path().join(".devenv/run")).unwrap();
            Self(directory)
        }

        fn socket(&self) -> std::path::PathBuf {
            self.0.path().join(SOCKET.trim_start_matches('/'))
        }

        fn listen(&self) -> UnixListener {
            UnixListener::bind(self.socket()).unwrap()
        }

        fn ask(
            &self,
            within: Duration,
            wanted: Wanted<'_>,
        ) -> Result<Result<Answer, Refusal>, AgentError> {
            let root = OwnedFd::from(File::open(self.0.path()).unwrap());
            ask_within(&root, id(), &Request::Release, within, wanted)
        }
    }

    fn id() -> ContainerId {
        "ab".repeat(32).parse().unwrap()
    }

    #[test]
    fn a_request_gets_what_the_init_answers() {
        let container = Container::new();
        let listener = container.listen();
        for answer in [Ok(Answer::Released), Err(Refusal::Ending)] {
            thread::scope(|scope| {
                scope.spawn(|| {
                    let (mut stream, _) = listener.accept().unwrap();
                    assert_eq!(read_frame(&mut stream).unwrap(), Some(Request::Release));
                    write_frame(&mut stream, &answer).unwrap();
                });
                assert_eq!(container.ask(LONG, STILL_WANTED), Ok(answer.clone()));
            });
        }
    }

    #[test]
    fn where_nobody_listens_is_no_init() {
        let nothing = Container::new();
        let file = Container::new();
        File::create(file.socket()).unwrap();
        let left_behind = Container::new();
        drop(left_behind.listen());
        let no_directory = Container(tempfile::tempdir().unwrap());
        for container in [nothing, file, left_behind, no_directory] {
            let refused = container.ask(LONG, STILL_WANTED);
            assert_eq!(refused, Err(AgentError::NoInit(id())));
        }
    }

    #[test]
    fn a_link_to_a_socket_is_not_followed_wherever_it_leads() {
        let outside = Container::new();
        let listener = outside.listen();
        listener.set_nonblocking(true).unwrap();
        let by_file = Container::new();
        symlink(outside.socket(), by_file.socket()).unwrap();
        let by_directory = Container(tempfile::tempdir().unwrap());
        let devenv = by_directory.0.path().join(".devenv");
        symlink(outside.0.path().join(".devenv"), devenv).unwrap();
        let inside = Container::new();
        let _own = UnixListener::bind(inside.0.path().join("own")).unwrap();
        symlink("../../own", inside.socket()).unwrap();
        for container in [by_file, by_directory, inside] {
            let refused = container.ask(LONG, STILL_WANTED);
            assert_eq!(refused, Err(AgentError::NoInit(id())));
        }
        let nobody = listener.accept().unwrap_err();
        assert_eq!(nobody.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn an_init_that_ends_before_or_in_its_answer_is_named() {
        let container = Container::new();
        let listener = container.listen();
        let whole = frame(&Ok::<_, Refusal>(Answer::Released)).unwrap();
        for sent in [&[], &whole[..5]] {
            thread::scope(|scope| {
                scope.spawn(|| {
                    let (mut stream, _) = listener.accept().unwrap();
                    let _: Option<Request> = read_frame(&mut stream).unwrap();
                    stream.write_all(sent).unwrap();
                });
                let ended = container.ask(LONG, STILL_WANTED);
                assert_eq!(ended, Err(AgentError::InitEnded(id())));
            });
        }
    }

    #[test]
    fn one_who_does_not_speak_the_protocol_is_not_understood() {
        let container = Container::new();
        let listener = container.listen();
        thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                stream.write_all(b"HTTP/1.1 400 Bad Request\r\n").unwrap();
                let _: Option<Request> = read_frame(&mut stream).unwrap();
            });
            let error = container.ask(LONG, STILL_WANTED).unwrap_err();
            assert!(matches!(error, AgentError::Protocol(_)), "{error:?}");
        });
    }

    #[test]
    fn one_who_does_not_answer_is_given_up_after_its_time() {
        let container = Container::new();
        let _listener = container.listen();
        let silent = container.ask(Duration::from_millis(1), STILL_WANTED);
        assert_eq!(silent, Err(AgentError::InitSilent(id())));
    }

    #[test]
    fn one_who_takes_no_connection_is_given_up_after_its_time() {
        let container = Container::new();
        let listener = container.listen();
        rustix::net::listen(&listener, 0).unwrap();
        let _waits = UnixStream::connect(container.socket()).unwrap();
        let silent = container.ask(Duration::from_millis(1), STILL_WANTED);
        assert_eq!(silent, Err(AgentError::InitSilent(id())));
    }

    #[test]
    fn an_answer_that_nobody_wants_any_more_is_not_waited_for() {
        let container = Container::new();
        let _listener = container.listen();
        let cancelled = container.ask(LONG, &|_| false);
        assert_eq!(cancelled, Err(AgentError::Cancelled));
    }
}
