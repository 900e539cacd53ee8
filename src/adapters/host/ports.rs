//! Whether a TCP port is free, and who has it if not.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    path::Path,
};

use crate::{
    adapters::{docker::Docker, files},
    domain::{ExitClass, Failure, PortNumber},
};

/// What a listening socket's line in `/proc/net/tcp` says.
const LISTENING: &str = "0A";
/// Programs that hold a port for a container.
const DOCKER_PROGRAMS: [&str; 2] = ["docker-proxy", "dockerd"];

/// The state of a TCP port on 127.0.0.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortState {
    /// Nobody listens.
    Free,
    /// A process listens.
    TakenBy {
        /// Its id.
        pid: u32,
        /// Its program, without arguments: they may hold secrets.
        command: String,
    },
    /// A container listens.
    TakenByContainer {
        /// Its name.
        container: String,
    },
    /// Somebody listens whom this user may not see.
    Taken,
}

impl PortState {
    /// The explanation for the user, unless the port is free. `purpose` is what it is wanted for, such as
    /// `the HTTP port of the ingress`.
    pub fn failure(&self, port: PortNumber, purpose: &str) -> Option<Failure> {
        let (owner, mend) = match self {
            Self::Free => return None,
            Self::TakenBy { pid, command } => (
                format!("process {pid} ({command}) listens on it"),
                format!("end that process: `kill {pid}`"),
            ),
            Self::TakenByContainer { container } => (
                format!("the docker container {container} publishes it"),
                format!("stop that container: `docker stop {container}`"),
            ),
            Self::Taken => (
                "a process that this user may not see listens on it".to_owned(),
                format!("find out who: `sudo ss -ltnp 'sport = :{port}'`"),
            ),
        };
        Some(
            Failure::new(
                "host.port-in-use",
                ExitClass::Prerequisite,
                format!("port {port}, {purpose}, is taken"),
            )
            .because(owner)
            .help(mend)
            .help("or choose another port in devenv.yaml"),
        )
    }
}

/// Who has the TCP port `port` of 127.0.0.1.
///
/// A listener on all addresses counts as well, since it keeps others from this one. A container's port shows
/// as held by docker's own process: [`port_owner`] names the container.
pub fn port_state(port: PortNumber) -> PortState {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port.get())) {
        Ok(_) => return PortState::Free,
        // A low port that only root may bind: the engine may, so what counts is whether someone listens.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            if listening_inodes(port).is_empty() {
                return PortState::Free;
            }
        }
        Err(_) => {}
    }
    let inodes = listening_inodes(port);
    owner_of(&inodes).map_or(PortState::Taken, |(pid, command)| PortState::TakenBy {
        pid,
        command,
    })
}

/// Like [`port_state`], naming the container where docker holds the port.
pub async fn port_owner(port: PortNumber, docker: &Docker) -> PortState {
    let state = port_state(port);
    let maybe_docker = match &state {
        PortState::TakenBy { command, .. } => DOCKER_PROGRAMS.contains(&command.as_str()),
        PortState::Taken => true,
        PortState::Free | PortState::TakenByContainer { .. } => false,
    };
    if !maybe_docker {
        return state;
    }
    match docker.container_publishing(port).await {
        Ok(Some(container)) => PortState::TakenByContainer { container },
        // Without docker's word the process is the best answer there is.
        Ok(None) | Err(_) => state,
    }
}

fn listening_inodes(port: PortNumber) -> Vec<String> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| files::read_text(Path::new(path)).ok())
        .flat_map(|table| inodes_in(&table, port))
        .collect()
}

/// The inodes of the sockets of a `/proc/net/tcp` table that listen on `port` of 127.0.0.1 or of all addresses.
fn inodes_in(table: &str, port: PortNumber) -> Vec<String> {
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let (address, hex_port) = columns.get(1)?.rsplit_once(':')?;
            let covers =
                address.bytes().all(|digit| digit == b'0') || address.ends_with("0100007F");
            let listens = columns.get(3) == Some(&LISTENING);
            let same = u16::from_str_radix(hex_port, 16) == Ok(port.get());
            (covers && listens && same).then(|| columns.get(9).map(|inode| (*inode).to_owned()))?
        })
        .collect()
}

/// The first process that has one of the sockets open.
fn owner_of(inodes: &[String]) -> Option<(u32, String)> {
    let wanted: Vec<String> = inodes
        .iter()
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    files::list(Path::new("/proc"))
        .ok()?
        .iter()
        .find_map(|process| {
            let pid: u32 = process.file_name()?.to_str()?.parse().ok()?;
            let open = files::list(&process.join("fd")).ok()?;
            open.iter()
                .filter_map(|link| link.read_link().ok())
                .any(|target| {
                    wanted
                        .iter()
                        .any(|socket| target.as_os_str() == socket.as_str())
                })
                .then(|| (pid, program_of(process)))
        })
}

fn program_of(process: &Path) -> String {
    let arguments = files::read(&process.join("cmdline")).unwrap_or_default();
    let program = arguments
        .split(|byte| *byte == 0)
        .next()
        .unwrap_or_default();
    let program = String::from_utf8_lossy(program);
    match Path::new(&*program).file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => files::read_text(&process.join("comm"))
            .map_or_else(|_| "unknown".to_owned(), |name| name.trim().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn port(listener: &TcpListener) -> PortNumber {
        PortNumber::new(listener.local_addr().unwrap().port()).unwrap()
    }

    #[test]
    fn the_owner_of_a_port_is_named_and_is_free_again_when_it_ends() {
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let number = port(&listener);
            match port_state(number) {
                PortState::TakenBy { pid, command } => {
                    assert_eq!(pid, std::process::id());
                    assert!(command.starts_with("devenv"), "{command}");
                }
                other => panic!("{address}: {other:?}"),
            }
            drop(listener);
            // A child that another test starts holds a copy of everything for the moment until it runs its program.
            let deadline = Instant::now() + Duration::from_secs(5);
            while port_state(number) != PortState::Free {
                assert!(Instant::now() < deadline, "{address} is never free");
                std::thread::yield_now();
            }
        }
    }

    #[test]
    fn a_table_gives_the_listeners_that_keep_us_from_the_port() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1\n\
             1: 0A00000A:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12 1\n\
             2: 0100007F:1F90 00000000:0000 01 00000000:00000000 00:00000000 00000000     0        0 13 1\n\
             3: 00000000:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 14 1\n";
        let of = |number: u16| inodes_in(table, PortNumber::new(number).unwrap());
        assert_eq!(of(8080), ["11"]);
        assert_eq!(of(8081), ["14"]);
        assert!(of(8082).is_empty());
    }

    #[test]
    fn a_taken_port_is_explained_with_its_owner() {
        let number = PortNumber::new(8080).unwrap();
        assert_eq!(PortState::Free.failure(number, "the registry's port"), None);
        let taken = PortState::TakenBy {
            pid: 7,
            command: "nginx".to_owned(),
        };
        let failure = taken.failure(number, "the registry's port").unwrap();
        assert_eq!(failure.what, "port 8080, the registry's port, is taken");
        assert_eq!(failure.why, ["process 7 (nginx) listens on it"]);
    }
}
