//! The program as a user has it: a project in a directory, a home of its own, and a kubeconfig whose current
//! context belongs to somebody else.

#![expect(
    clippy::disallowed_methods,
    reason = "a test's own files, and the programs that it runs"
)]

mod decoy;
mod disk;
mod run;
mod running;

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fmt::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::ports::hold_port;

pub(crate) use self::{
    decoy::Decoy,
    disk::{Disk, Room},
    run::Run,
    running::Running,
};

/// The image that services run: every machine that builds images of Debian has it or can pull it.
pub(crate) const BASE: &str = "debian:bookworm-slim";

/// A project with its environment, which goes when the project is dropped.
pub(crate) struct Project {
    root: TempDir,
    name: String,
    decoy: Decoy,
    variables: Vec<(String, String)>,
    pub(crate) ports: Ports,
}

/// The ports of this machine that a project's cluster takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) http: u16,
    pub(crate) https: u16,
    pub(crate) registry: u16,
}

impl Ports {
    /// Ports that nobody has at this moment.
    pub(crate) fn free() -> Self {
        let next = || hold_port().local_addr().unwrap().port();
        Self {
            http: next(),
            https: next(),
            registry: next(),
        }
    }
}

impl Project {
    /// A project of the name `e2e-NAME`, with `rest` behind the head of its manifest.
    pub(crate) fn new(name: &str, rest: &str) -> Self {
        let project = Self::empty(name);
        project.manifest(rest);
        project
    }

    /// A directory for a project, without a manifest.
    pub(crate) fn empty(name: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let decoy = Decoy::start(root.path());
        let project = Self {
            root,
            name: format!("e2e-{name}"),
            decoy,
            variables: Vec::new(),
            ports: Ports::free(),
        };
        for directory in ["home", "project", "tmp"] {
            std::fs::create_dir_all(project.root.path().join(directory)).unwrap();
        }
        project
    }

    /// Writes the manifest: its head, then `rest`.
    pub(crate) fn manifest(&self, rest: &str) {
        let head = format!("{}{}", self.head(), self.cluster());
        self.write("devenv.yaml", &format!("{head}{rest}"));
    }

    fn head(&self) -> String {
        format!("apiVersion: devenv/v1\nname: {}\n", self.name)
    }

    fn cluster(&self) -> String {
        let Ports {
            http,
            https,
            registry,
        } = self.ports;
        format!(
            "cluster: {{ ports: {{ http: {http}, https: {https} }}, registry: {{ port: {registry} }} }}\n"
        )
    }

    /// The directory of the project.
    pub(crate) fn directory(&self) -> PathBuf {
        self.root.path().join("project")
    }

    /// The home directory.
    pub(crate) fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// Writes a file of the project.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.directory().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Copies a directory of this repository to the same place in the project.
    pub(crate) fn copy(&self, path: &str) {
        let (from, to) = (repository().join(path), self.directory().join(path));
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        let words = ["-r", from.to_str().unwrap(), to.to_str().unwrap()];
        self.run("cp", &words).assert_code(0);
    }

    /// Reads a file of the project.
    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.directory().join(path)).unwrap()
    }

    /// Sets a variable for the commands that follow.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.variables.push((name.to_owned(), value.into()));
    }

    /// Adds to the settings of the machine, for the commands that follow.
    pub(crate) fn settings(&mut self, more: &str) {
        let path = self.home().join("settings.yaml");
        let machine = std::env::var_os("DEVENV_CONFIG").map(PathBuf::from);
        let before = if path.exists() {
            Some(&path)
        } else {
            machine.as_ref()
        };
        let before = before.map(|path| std::fs::read_to_string(path).unwrap());
        let settings = format!("{}\n{more}\n", before.unwrap_or_default());
        std::fs::write(&path, settings).unwrap();
        self.set("DEVENV_CONFIG", path.to_str().unwrap());
    }

    /// Trusts the project: what its manifest runs on this machine is confirmed beforehand, as on a build server.
    pub(crate) fn trust(&mut self) {
        self.settings(&format!("trust: [\"{}\"]", self.directory().display()));
    }

    /// Takes back what [`set`](Self::set) set.
    pub(crate) fn unset(&mut self, name: &str) {
        self.variables.retain(|(set, _)| set != name);
    }

    /// The directory that holds the project and the home.
    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    /// Runs devenv to its end.
    #[must_use = "assert how it ended"]
    pub(crate) fn devenv(&self, arguments: &[&str]) -> Run {
        self.devenv_fed(arguments, b"")
    }

    /// Runs devenv to its end with `stdin`.
    #[must_use = "assert how it ended"]
    pub(crate) fn devenv_fed(&self, arguments: &[&str], stdin: &[u8]) -> Run {
        let mut command = self.command(env!("CARGO_BIN_EXE_devenv"));
        command.args(arguments);
        Run::of(command, stdin)
    }

    /// Starts devenv; its output goes to `log`, both streams in one file.
    pub(crate) fn start(&self, arguments: &[&str], log: &Path) -> Child {
        let log = std::fs::File::create(log).unwrap();
        let mut command = self.command(env!("CARGO_BIN_EXE_devenv"));
        command.args(arguments).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        command.spawn().unwrap()
    }

    /// Starts devenv, to be watched.
    pub(crate) fn running(&self, arguments: &[&str]) -> Running {
        super::say(&format!("           devenv {} ...", arguments.join(" ")));
        let mut command = self.command(env!("CARGO_BIN_EXE_devenv"));
        command.args(arguments);
        Running::start(command, Stdio::null())
    }

    /// Starts any program as the user would, to be talked to.
    pub(crate) fn talking_to(&self, program: &str, arguments: &[&str]) -> Running {
        let mut command = self.command(program);
        command.args(arguments);
        Running::start(command, Stdio::piped())
    }

    /// Runs any program as the user would, in the project.
    #[must_use = "assert how it ended"]
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Run {
        let mut command = self.command(program);
        command.args(arguments);
        Run::of(command, b"")
    }

    /// Runs kubectl against the environment's cluster.
    #[must_use = "assert how it ended"]
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Run {
        let kubeconfig = self.kubeconfig();
        let mut words = vec!["--kubeconfig", kubeconfig.to_str().unwrap()];
        words.extend(arguments);
        self.run("kubectl", &words)
    }

    /// The names of all pods that are not on their way out.
    pub(crate) fn pods(&self) -> Vec<String> {
        let listed = self.kubectl(&["get", "pods", "-o", "json"]).assert_code(0);
        let pods = listed.json()["items"].as_array().unwrap().clone();
        let staying = pods
            .iter()
            .map(|pod| &pod["metadata"])
            .filter(|metadata| metadata["deletionTimestamp"].is_null());
        staying
            .map(|metadata| metadata["name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The private kubeconfig of the environment, which has been up.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.state().join("kubeconfig")
    }

    /// The environment's directory of state.
    pub(crate) fn state(&self) -> PathBuf {
        self.only_one_in("XDG_STATE_HOME", ".local/state")
    }

    /// The environment's directory of data.
    pub(crate) fn data(&self) -> PathBuf {
        self.only_one_in("XDG_DATA_HOME", ".local/share")
    }

    /// The environment's directory in the place that a variable was set to, or else in a directory of the home.
    fn only_one_in(&self, variable: &str, usual: &str) -> PathBuf {
        let set = self.variables.iter().find(|(name, _)| name == variable);
        let parent = set.map_or_else(|| self.home().join(usual), |(_, set)| set.into());
        let parent = parent.join("devenv");
        let prefix = format!("{}-", self.name);
        let mut found = children(&parent);
        found.retain(|path| file_name(path).starts_with(&prefix));
        assert_eq!(found.len(), 1, "{}: {found:?}", parent.display());
        found.remove(0)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear();
        for name in ["PATH", "DEVENV_CONFIG", "DOCKER_HOST"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("HOME", self.home())
            .env("TMPDIR", self.root.path().join("tmp"))
            .env("LANG", "C.UTF-8")
            .env("COLUMNS", "120")
            .envs(self.decoy.variables())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.directory());
        command
    }

    /// The user's current context.
    pub(crate) const fn decoy(&self) -> &Decoy {
        &self.decoy
    }

    /// The name of the environment's cluster, of which something is there.
    pub(crate) fn cluster_name(&self) -> String {
        file_name(&self.state())
    }

    /// The containers of the environment, by the last word of their name, such as `server-0`; with what they do.
    pub(crate) fn containers(&self) -> BTreeMap<String, String> {
        let filter = format!("name=^k3d-{}-[0-9a-f]+-", self.name);
        let words = [
            "container",
            "ls",
            "--all",
            "--filter",
            &filter,
            "--format",
            "{{.Names}} {{.State}}",
        ];
        let listed = self.quietly("docker", &words);
        let rows = listed.lines().filter_map(|line| line.split_once(' '));
        rows.map(|(name, state)| {
            let role = name.trim_start_matches(&format!("k3d-{}-", self.name));
            let (_, role) = role.split_once('-').unwrap();
            (role.to_owned(), state.to_owned())
        })
        .collect()
    }

    /// Runs a program, again and again while something is waited for: its output, whatever becomes of it.
    pub(crate) fn quietly(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.command(program).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The processes that were started for this project and run still, one a line; not its session, which is to.
    pub(crate) fn processes(&self) -> String {
        let is_session = |line: &&str| line.contains(" session run ");
        let all = self.processes_with_session();
        let others = all.lines().filter(|line| !is_session(line));
        others.map(|line| format!("{line}\n")).collect()
    }

    fn processes_with_session(&self) -> String {
        let home = format!("HOME={}", self.home().display()).into_bytes();
        let mut found = String::new();
        for directory in children(Path::new("/proc")) {
            let environment = std::fs::read(directory.join("environ")).unwrap_or_default();
            if environment
                .split(|byte| *byte == 0)
                .any(|variable| variable == home)
            {
                let line = std::fs::read(directory.join("cmdline")).unwrap_or_default();
                let line = String::from_utf8_lossy(&line).replace('\0', " ");
                let _ = writeln!(found, "{} {line}", file_name(&directory));
            }
        }
        found
    }

    /// Ends the environment with all it has, and proves that nothing of it is left and that nobody else was asked.
    pub(crate) fn end(self) {
        self.devenv(&["down", "--volumes", "--yes"]).assert_code(0);
        assert_eq!(self.left_behind(), "");
        assert_eq!(self.processes_with_session(), "");
        assert_eq!(children(&self.root.path().join("tmp")), [] as [PathBuf; 0]);
        self.decoy.assert_untouched();
    }

    /// What carries the name of the environment, one a line.
    pub(crate) fn left_behind(&self) -> String {
        let mut left = self.left_in_docker();
        for parent in [".local/state/devenv", ".local/share/devenv"] {
            for path in children(&self.home().join(parent)) {
                if file_name(&path).starts_with(&self.name) {
                    let _ = writeln!(left, "{}", path.display());
                }
            }
        }
        left
    }

    /// What the docker engine has of the environment, one a line.
    pub(crate) fn left_in_docker(&self) -> String {
        let mut left = String::new();
        for (kind, format) in [
            (["container", "ls", "--all"].as_slice(), "{{.Names}}"),
            (&["network", "ls"], "{{.Name}}"),
            (&["volume", "ls"], "{{.Name}}"),
            (&["image", "ls"], "{{.Repository}}:{{.Tag}}"),
        ] {
            let listed = self.run("docker", &[kind, &["--format", format]].concat());
            let ours = |line: &&str| self.is_named(line) || self.is_image(line);
            for line in listed.stdout.lines().filter(ours) {
                let _ = writeln!(left, "{} {line}", kind[0]);
            }
        }
        left
    }

    /// Whether something is called after the environment: the project's name and eight hexadecimal digits.
    fn is_named(&self, line: &str) -> bool {
        let rest = line.split_once(&format!("{}-", self.name));
        let hash = rest.and_then(|(_, rest)| rest.get(..8));
        hash.is_some_and(|hash| hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
    }

    fn is_image(&self, reference: &str) -> bool {
        let prefix = format!("127.0.0.1:{}/{}:", self.ports.registry, self.name);
        reference.starts_with(&prefix)
    }
}

impl Drop for Project {
    /// A test that fails leaves nothing either.
    fn drop(&mut self) {
        let _ = self.devenv(&["down", "--volumes", "--yes"]);
    }
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file of this repository.
pub(crate) fn text_of(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap()
}

fn children(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(OsStr::to_string_lossy)
        .unwrap_or_default()
        .into_owned()
}
