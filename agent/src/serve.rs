//! Answers devenv over one stream: reads frames, gives each request a thread of its own, writes frames.

mod exchange;

use std::{
    collections::HashMap,
    convert::Infallible,
    io::{self, Read, Write},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Sender, channel},
    },
    thread,
    time::Duration,
};

use devenv_agent::{
    init_protocol,
    protocol::{
        AgentError, Answer, ContainerId, FromAgent, Hello, Request, RequestId, ToAgent, Usage,
        VERSION, read_frame, write_frame,
    },
};

use self::exchange::{Asker, Exchange, Heard, Incoming, Outgoing, Piece, ends};
use crate::{
    cgroups,
    containers::{self, Containers},
    files, inits, logs, probe, remount, volumes,
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
