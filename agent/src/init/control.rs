//! The socket on which requests come.

use std::{
    io,
    os::unix::{
        fs::FileTypeExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::mpsc::{self, Sender},
    thread,
};

use devenv_agent::{
    init_protocol::{Answer, Refusal, Request},
    protocol::{read_frame, write_frame},
};
use rustix::{
    fs::{Mode, fchmod, unlink},
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with},
};

use super::{
    beside::Watch,
    outbox::{Outbox, Unwritten},
    supervisor::Event,
};
use crate::say;

/// Only the user whom the service runs as, and root, may ask for anything.
const ONLY_ITS_USER: Mode = Mode::from_raw_mode(0o600);
/// How many clients may wait to be taken.
const WAITING: i32 = 128;

/// The socket could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot take requests at {}: {source}", path.display())]
pub(super) struct ControlError {
    path: PathBuf,
    source: io::Error,
}

/// Where the answer to one request goes, once.
#[derive(Debug)]
pub(super) struct Reply {
    to: Sender<Given>,
    outbox: Outbox,
}

/// An answer on its way to the client.
#[derive(Debug)]
struct Given {
    answer: Promised,
    unwritten: Unwritten,
}

/// What a client is told.
#[derive(Debug)]
enum Promised {
    /// This.
    Now(Result<Answer, Refusal>),
    /// What becomes of a command that runs.
    AtEnd(Watch),
}

impl Reply {
    /// Answers. Whoever asked may be gone.
    pub(super) fn send(self, answer: Result<Answer, Refusal>) {
        self.give(Promised::Now(answer));
    }

    /// Lets the client's own thread answer when a command has ended.
    pub(super) fn at_end(self, watch: Watch) {
        self.give(Promised::AtEnd(watch));
    }

    fn give(self, answer: Promised) {
        let unwritten = self.outbox.given();
        let _ = self.to.send(Given { answer, unwritten });
    }
}

/// Where requests go, and what their answers leave by.
#[derive(Debug, Clone)]
pub(super) struct Desk {
    /// Takes the requests.
    pub(super) events: Sender<Event>,
    /// Counts the answers.
    pub(super) outbox: Outbox,
}

impl Desk {
    /// Passes a request on and waits for what becomes of it; nothing if the init ends first.
    fn ask(&self, request: Request) -> Option<Given> {
        let (to, given) = mpsc::channel();
        let outbox = self.outbox.clone();
        let reply = Reply { to, outbox };
        self.events.send(Event::Request { request, reply }).ok()?;
        given.recv().ok()
    }
}

/// Makes the socket and passes on what is asked there, each client in a thread of its own.
pub(super) fn listen(path: &Path, desk: Desk) -> Result<(), ControlError> {
    let listening = bind(path).and_then(|listener| {
        let thread = thread::Builder::new().name("control".to_owned());
        thread.spawn(move || accept(&listener, &desk)).map(drop)
    });
    listening.map_err(|source| ControlError {
        path: path.to_owned(),
        source,
    })
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    // One that the container's last run left behind. Anything else there is not ours to remove.
    if path
        .symlink_metadata()
        .is_ok_and(|found| found.file_type().is_socket())
    {
        unlink(path)?;
    }
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // The file takes its permissions from the socket: nobody finds it with others.
    fchmod(&socket, ONLY_ITS_USER)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    rustix::net::listen(&socket, WAITING)?;
    Ok(socket.into())
}

fn accept(listener: &UnixListener, desk: &Desk) {
    for stream in listener.incoming() {
        let desk = desk.clone();
        let served = stream.and_then(|stream| {
            let thread = thread::Builder::new().name("client".to_owned());
            thread.spawn(move || serve(stream, &desk)).map(drop)
        });
        match served {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            // To try again at once would keep a processor busy for as long as nothing changes.
            Err(error) => return say(&format!("takes no more requests: {error}")),
        }
    }
}

/// Answers one client until its stream ends.
fn serve(mut stream: UnixStream, desk: &Desk) {
    loop {
        let given = match read_frame(&mut stream) {
            Ok(Some(request)) => desk.ask(request),
            Ok(None) => None,
            Err(error) => return refuse(&mut stream, &error),
        };
        let Some(Given { answer, unwritten }) = given else {
            return;
        };
        let answer = match answer {
            Promised::Now(answer) => answer,
            Promised::AtEnd(watch) => watch.answer(&stream, &desk.events),
        };
        let written = write_frame(&mut stream, &answer);
        drop(unwritten);
        if written.is_err() {
            return;
        }
    }
}

/// Says that a request was not understood, if there was one.
fn refuse(stream: &mut UnixStream, error: &io::Error) {
    if error.kind() == io::ErrorKind::InvalidData {
        let refusal: Result<Answer, _> = Err(Refusal::NotUnderstood(error.to_string()));
        let _ = write_frame(stream, &refusal);
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, os::unix::fs::PermissionsExt};

    use super::*;

    fn desk() -> Desk {
        Desk {
            events: mpsc::channel().0,
            outbox: Outbox::default(),
        }
    }

    #[test]
    fn a_socket_that_was_left_behind_is_replaced_by_one_that_only_its_user_may_use() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("init");
        drop(bind(&path).unwrap());
        let _listener = bind(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn what_is_no_socket_is_not_removed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = listen(file.path(), desk()).unwrap_err();
        assert!(
            error
                .to_string()
                .contains(&file.path().display().to_string())
        );
        assert!(file.path().exists());
    }

    #[test]
    fn a_request_that_is_not_understood_is_answered_and_ends_the_stream() {
        let (mut client, server) = UnixStream::pair().unwrap();
        client.write_all(&[1, 0, 0, 0, 99]).unwrap();
        serve(server, &desk());
        let answer: Option<Result<Answer, Refusal>> = read_frame(&mut client).unwrap();
        assert!(matches!(answer, Some(Err(Refusal::NotUnderstood(_)))));
        assert_eq!(
            read_frame::<Result<Answer, Refusal>>(&mut client).unwrap(),
            None
        );
    }
}
