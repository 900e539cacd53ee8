//! Tries to reach a service until it is there.
//!
//! As the kubelet does it, but without waiting a second between two attempts: a service that was restarted is
//! noticed when it answers.

use std::{
    fmt::Write as _,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use devenv_agent::protocol::{AgentError, Answer, ProbeWhat};

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(1);
/// The pause after the first attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(25);
/// The least that an attempt is given: none at all would be no attempt.
const LEAST: Duration = Duration::from_millis(1);
/// How long the line with the status may be, in bytes.
const LONGEST_LINE: usize = 8 * 1024;

/// Waits; fails when the request is cancelled.
pub(crate) type Pause<'a> = &'a dyn Fn(Duration) -> io::Result<()>;

/// Why an attempt failed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("connection refused")]
    Refused,
    #[error("no answer")]
    NoAnswer,
    #[error("the connection was closed without an answer")]
    Closed,
    #[error("status {0}")]
    Status(u16),
    #[error("the answer is not HTTP")]
    NotHttp,
    #[error("{0}")]
    Other(String),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            // The time for reading is over with the first of them.
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::NoAnswer,
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Other(error.to_string()),
        }
    }
}

/// Tries until the service is reached or the time is over.
pub(crate) fn reach(
    address: SocketAddr,
    what: &ProbeWhat,
    within: Duration,
    pause: Pause<'_>,
) -> Result<Answer, AgentError> {
    let begun = Instant::now();
    let until = begun + within;
    let mut next_pause = FIRST_PAUSE;
    let mut last = None;
    for attempts in 1.. {
        let left = until.saturating_duration_since(Instant::now());
        let problem = match attempt(address, what, left.clamp(LEAST, ATTEMPT)) {
            Ok(()) => {
                let took_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
                return Ok(Answer::Reached { took_us, attempts });
            }
            Err(problem) => problem,
        };
        // That nothing came in what little time was left says less than what came before.
        if left >= ATTEMPT || problem != Problem::NoAnswer {
            last = Some(problem);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        pause(next_pause.min(left)).map_err(|_| AgentError::Cancelled)?;
        next_pause = (next_pause * 3 / 2).min(LONGEST_PAUSE);
    }
    let last = last.unwrap_or(Problem::NoAnswer).to_string();
    Err(AgentError::NotReached { last })
}

fn attempt(address: SocketAddr, what: &ProbeWhat, within: Duration) -> Result<(), Problem> {
    let until = Instant::now() + within;
    let stream = TcpStream::connect_timeout(&address, within)?;
    match what {
        ProbeWhat::Tcp => Ok(()),
        ProbeWhat::Http { path } => match status(stream, address, path, until)? {
            200..=399 => Ok(()),
            other => Err(Problem::Status(other)),
        },
    }
}

/// What a GET is answered with.
fn status(
    mut stream: TcpStream,
    address: SocketAddr,
    path: &str,
    until: Instant,
) -> Result<u16, Problem> {
    let path = target(path);
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: devenv\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.set_write_timeout(Some(left(until)?))?;
    stream.write_all(request.as_bytes())?;
    let line = first_line(&mut stream, until)?;
    status_of(&line).ok_or(Problem::NotHttp)
}

/// A path as a request has it: what may not stand in it is written by its number.
fn target(path: &str) -> String {
    let mut target = String::new();
    if !path.starts_with('/') {
        target.push('/');
    }
    for byte in path.bytes() {
        if byte.is_ascii_graphic() {
            target.push(byte.into());
        } else {
            let _ = write!(target, "%{byte:02X}");
        }
    }
    target
}

fn first_line(stream: &mut TcpStream, until: Instant) -> Result<Vec<u8>, Problem> {
    let mut line = Vec::new();
    let mut buffer = [0; 1024];
    while line.len() < LONGEST_LINE {
        stream.set_read_timeout(Some(left(until)?))?;
        match stream.read(&mut buffer) {
            Ok(0) if line.is_empty() => return Err(Problem::Closed),
            Ok(0) => return Err(Problem::NotHttp),
            Ok(count) => line.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            line.truncate(end);
            return Ok(line);
        }
    }
    Err(Problem::NotHttp)
}

/// What is left of the time of an attempt.
fn left(until: Instant) -> Result<Duration, Problem> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Problem::NoAnswer);
    }
    Ok(left)
}

/// The number in a line such as `HTTP/1.1 200 OK`.
fn status_of(line: &[u8]) -> Option<u16> {
    let line = str::from_utf8(line).ok()?;
    let (version, rest) = line.split_once(' ')?;
    let number = rest.split_ascii_whitespace().next()?;
    let is_status = version.starts_with("HTTP/1.") && number.len() == 3;
    is_status.then(|| number.parse().ok())?
}

#[cfg(test)]
mod tests {
    use std::{
        cell::RefCell,
        io::{BufRead, BufReader},
        net::{Ipv4Addr, TcpListener},
        os::fd::OwnedFd,
        thread,
    };

    use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};

    use super::*;

    const LONG: Duration = Duration::from_secs(30);
    const PATIENT: Pause<'_> = &|pause| {
        thread::sleep(pause);
        Ok(())
    };

    fn listen() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// An address that is taken, on which nobody listens.
    fn nobody() -> (OwnedFd, SocketAddr) {
        let taken = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&taken, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = getsockname(&taken).unwrap().try_into().unwrap();
        (taken, address)
    }

    fn http(path: &str) -> ProbeWhat {
        let path = path.to_owned();
        ProbeWhat::Http { path }
    }

    /// Takes one request and answers it; gives its lines.
    fn answer(listener: &TcpListener, with: &[u8]) -> Vec<String> {
        let (stream, _) = listener.accept().unwrap();
        let lines = BufReader::new(&stream).lines().map(Result::unwrap);
        let request = lines.take_while(|line| !line.is_empty()).collect();
        // Whoever asked may have gone.
        let _ = (&stream).write_all(with);
        request
    }

    fn attempts(answer: Result<Answer, AgentError>) -> u32 {
        match answer {
            Ok(Answer::Reached { attempts, .. }) => attempts,
            other => panic!("{other:?}"),
        }
    }

    fn last(answer: Result<Answer, AgentError>) -> String {
        match answer {
            Err(AgentError::NotReached { last }) => last,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_service_that_listens_is_reached_at_once() {
        let (_listener, address) = listen();
        let reached = reach(address, &ProbeWhat::Tcp, LONG, PATIENT);
        assert_eq!(attempts(reached), 1);
    }

    #[test]
    fn a_service_is_asked_as_the_kubelet_asks_it() {
        let (listener, address) = listen();
        thread::scope(|scope| {
            let asked = scope.spawn(|| answer(&listener, b"HTTP/1.1 204 No Content\r\n\r\n"));
            let reached = reach(address, &http("/ready?a=b"), LONG, PATIENT);
            assert_eq!(attempts(reached), 1);
            let expected = [
                "GET /ready?a=b HTTP/1.1",
                &format!("Host: {address}"),
                "User-Agent: devenv",
                "Accept: */*",
                "Connection: close",
            ];
            assert_eq!(asked.join().unwrap(), expected);
        });
    }

    #[test]
    fn a_service_is_asked_again_until_it_is_well() {
        let (listener, address) = listen();
        thread::scope(|scope| {
            scope.spawn(|| {
                answer(&listener, b"HTTP/1.1 503 Service Unavailable\r\n\r\n");
                answer(&listener, b"not HTTP\r\n");
                answer(&listener, b"");
                answer(&listener, b"HTTP/1.0 399\r\n");
            });
            assert_eq!(attempts(reach(address, &http("/"), LONG, PATIENT)), 4);
        });
    }

    #[test]
    fn a_service_that_does_not_listen_yet_is_reached_when_it_does() {
        let (taken, address) = nobody();
        let pauses = RefCell::new(Vec::new());
        let begins_later = |pause| {
            pauses.borrow_mut().push(pause);
            if pauses.borrow().len() == 12 {
                rustix::net::listen(&taken, 1).unwrap();
            }
            Ok(())
        };
        let reached = reach(address, &ProbeWhat::Tcp, LONG, &begins_later);
        assert_eq!(attempts(reached), 13);
        let pauses = pauses.into_inner();
        assert_eq!(pauses[..2], [1000, 1500].map(Duration::from_micros));
        assert!(pauses.is_sorted());
        assert_eq!(pauses[11], LONGEST_PAUSE);
    }

    #[test]
    fn what_was_wrong_the_last_time_is_told() {
        let short = Duration::from_millis(20);
        let (_taken, address) = nobody();
        let refused = reach(address, &ProbeWhat::Tcp, short, PATIENT);
        assert_eq!(last(refused), "connection refused");
        let (silent, address) = listen();
        assert_eq!(
            last(reach(address, &http("/"), short, PATIENT)),
            "no answer"
        );
        drop(silent);
        let answers = [
            (&b"HTTP/1.1 404 Not Found\r\n"[..], "status 404"),
            (b"HTTP/1.1 199\r\n", "status 199"),
            (b"SSH-2.0-server\r\n", "the answer is not HTTP"),
            (b"HTTP/1.1 2", "the answer is not HTTP"),
            (b"", "the connection was closed without an answer"),
        ];
        for (said, problem) in answers {
            let (listener, address) = listen();
            thread::scope(|scope| {
                scope.spawn(|| answer(&listener, said));
                let got = attempt(address, &http("/"), LONG).unwrap_err();
                assert_eq!(got.to_string(), problem);
            });
        }
    }

    #[test]
    fn silence_in_the_last_moment_does_not_hide_what_came_before() {
        let (listener, address) = listen();
        let within = ATTEMPT / 2;
        thread::scope(|scope| {
            scope.spawn(|| {
                // The next is taken by the system, and not answered.
                answer(&listener, b"HTTP/1.1 503 Service Unavailable\r\n\r\n");
            });
            let failed = reach(address, &http("/"), within, PATIENT);
            assert_eq!(last(failed), "status 503");
        });
    }

    #[test]
    fn without_any_time_it_is_tried_once() {
        let (_taken, address) = nobody();
        let failed = reach(address, &ProbeWhat::Tcp, Duration::ZERO, PATIENT);
        assert_eq!(last(failed), "connection refused");
    }

    #[test]
    fn a_probe_that_nobody_waits_for_ends() {
        let cancelled = |_| Err(io::ErrorKind::ConnectionAborted.into());
        let (_taken, address) = nobody();
        let ended = reach(address, &ProbeWhat::Tcp, LONG, &cancelled);
        assert_eq!(ended, Err(AgentError::Cancelled));
    }

    #[test]
    fn a_path_cannot_end_its_line() {
        assert_eq!(target("/a b\r\nX: ü"), "/a%20b%0D%0AX:%20%C3%BC");
        assert_eq!(target("ready"), "/ready");
    }
}
