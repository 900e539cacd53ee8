//! What services say is kept by their session: every line once and in order, through rotations, a crash, a killed agent
//! and a killed session; at a bounded cost.

#![expect(clippy::disallowed_methods, reason = "a test's own look")]

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use devenv::state::log_store::{Item, LogReader};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    program::{BASE, Project},
    say,
};

/// The services, and how many pods each has: twenty together.
const SERVICES: [(&str, usize); 7] = [
    ("alfa", 2),
    ("bravo", 3),
    ("charlie", 3),
    ("delta", 3),
    ("echo", 3),
    ("foxtrot", 3),
    ("golf", 3),
];
/// The one of which a container crashes.
const CRASHES: &str = "alfa";
const PODS: usize = 20;
/// Of each pod, while the cost is measured.
const LINES_A_SECOND: u64 = 1_000;
const MEASURED: Duration = Duration::from_mins(1);
/// Of the session and the agents together, for a second of the services.
const CORES: f64 = 1.0;
const MEGABYTES: u64 = 100;
/// Where nobody says anything.
const IDLE: Duration = Duration::from_secs(5);
const IDLE_CORES: f64 = 0.05;
const PATIENCE: Duration = Duration::from_mins(2);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Says a thousand lines a second from a signal to another, and how many they were; crashes once where it may. A line
/// is long enough for a file of a minute to be rotated at the kubelet's 10 MB.
const WRITER: &str = r#"$SIG{TERM} = sub { exit 0 };
sub pause { select undef, undef, undef, 0.1 }
pause until -e "/signals/start";
my ($said, $begun, $more) = (0, time, "of a service that has a lot to say for itself; " x 4);
until (-e "/signals/end") {
    my $due = (time - $begun) * 1000;
    printf "line %08d %s\n", $said++, $more while $said < $due;
    STDOUT->flush;
    last if $said >= 20000 && mkdir "/signals/crashed";
    pause;
}
print "end $said\n";
STDOUT->flush;
exit 1 unless -e "/signals/end";
sleep;
"#;

#[test]
fn every_line_of_twenty_busy_pods_is_kept_once_and_in_order_at_a_bounded_cost() {
    let project = Project::empty("kept");
    let services = SERVICES.map(|(name, replicas)| {
        format!(
            "  {name}: {{ build: image, command: [perl, /writer.pl], replicas: {replicas}, \
             volumes: [{{ name: signals, path: /signals }}] }}\n"
        )
    });
    project.manifest(&format!("services:\n{}", services.concat()));
    project.write("image/writer.pl", WRITER);
    let dockerfile = format!("FROM {BASE}\nCOPY writer.pl /writer.pl\n");
    project.write("image/Dockerfile", &dockerfile);
    project.devenv(&["up"]).assert_code(0);
    let mut kept = Kept::of(&project);
    for (name, _) in SERVICES.iter().filter(|(name, _)| *name != CRASHES) {
        signal(&project, name, "crashed");
    }

    let idle = Cost::of(&project);
    std::thread::sleep(IDLE);
    let before = Cost::of(&project);
    before.assert_nothing_since(&idle);
    signal_all(&project, "start");
    std::thread::sleep(MEASURED);
    Cost::of(&project).assert_bounded_since(&before);
    assert!(rotated(&project), "no file was rotated");
    let said = PODS as u64 * LINES_A_SECOND * MEASURED.as_secs();
    kept.until("the lines of the minute", |kept| kept.lines >= said);

    with_agents(&project, "kill -9 ${process#/proc/}");
    kept.until_it_goes_on("after the agents were killed");
    kill_session(&project);
    let status = project.devenv(&["status"]).assert_code(0);
    status.assert_says(&["the session had ended unexpectedly; it is started again"]);
    kept.until_it_goes_on("after the session was killed");
    project.devenv(&["session", "stop"]).assert_code(0);
    kept.until_it_stands_still();
    the_rest_comes_from_the_cluster(&project);
    project.devenv(&["up"]).assert_code(0);
    kept.until_it_goes_on("with the next session");

    signal_all(&project, "end");
    // One more than pods: that of the crash.
    kept.until("the end of every run", |kept| kept.ended == PODS + 1);
    the_crashed_run_is_told(&project);
    say(&format!(
        "kept {} lines of {} runs, each once",
        kept.lines, kept.ended
    ));
    project.end();
}

/// What is in the stores, read along.
struct Kept {
    stores: Vec<PathBuf>,
    readers: BTreeMap<PathBuf, LogReader>,
    /// The next number of each run of each pod; nothing once it has ended.
    next: BTreeMap<(String, u32), Option<u64>>,
    lines: u64,
    ended: usize,
}

impl Kept {
    fn of(project: &Project) -> Self {
        let store = |(name, _): (&str, usize)| project.state().join("logs").join(name);
        Self {
            stores: SERVICES.map(store).into(),
            readers: BTreeMap::new(),
            next: BTreeMap::new(),
            lines: 0,
            ended: 0,
        }
    }

    /// Takes in what is new: each line has to be the next of its run.
    fn look(&mut self) {
        for path in self.stores.clone() {
            if !self.readers.contains_key(&path) {
                let Some(reader) = LogReader::open(&path).unwrap() else {
                    continue;
                };
                self.readers.insert(path.clone(), reader);
            }
            loop {
                let items = self.readers.get_mut(&path).unwrap().read().unwrap();
                if items.is_empty() {
                    break;
                }
                for item in items {
                    self.take(item);
                }
            }
        }
    }

    fn take(&mut self, item: Item) {
        let Item::Line { origin, line } = item else {
            panic!("something is missing: {item:?}");
        };
        let run = (origin.run.pod.clone(), origin.run.run);
        let next = self.next.entry(run.clone()).or_insert(Some(0));
        let text = std::str::from_utf8(&line.bytes).unwrap();
        let said = number(text);
        assert_eq!(*next, Some(said), "the next line of {run:?}, not {text}");
        if text.starts_with("end ") {
            *next = None;
            self.ended += 1;
        } else {
            *next = Some(said + 1);
            self.lines += 1;
        }
    }

    #[track_caller]
    fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        loop {
            self.look();
            if is_so(self) {
                return;
            }
            let has_time = begun.elapsed() < PATIENCE;
            assert!(has_time, "{what}: {} lines, {:?}", self.lines, self.next);
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// Waits for a second's lines more than there are.
    fn until_it_goes_on(&mut self, what: &str) {
        self.look();
        let wanted = self.lines + PODS as u64 * LINES_A_SECOND;
        self.until(what, |kept| kept.lines >= wanted);
    }

    /// Nobody keeps anything any more; the services speak on.
    fn until_it_stands_still(&mut self) {
        self.look();
        let before = self.lines;
        std::thread::sleep(Duration::from_secs(1));
        self.look();
        assert_eq!(self.lines, before, "somebody goes on");
    }
}

/// The number in a line.
fn number(line: &str) -> u64 {
    line.split(' ').nth(1).unwrap().parse().unwrap()
}

/// What was stored and what the cluster has behind it: no line twice, and none left out.
fn the_rest_comes_from_the_cluster(project: &Project) {
    let asked = ["logs", CRASHES, "--tail", "3000", "-o", "json"];
    let told = project.devenv(&asked).assert_code(0).stdout;
    let mut next = BTreeMap::new();
    let mut of_cluster = 0;
    for line in told.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let said = number(line["message"].as_str().unwrap());
        // Only what was stored tells its run.
        of_cluster += u32::from(line["run"].is_null());
        let expected = next.insert(line["pod"].to_string(), said + 1);
        assert!(expected.is_none_or(|expected| said == expected), "{line}");
    }
    assert!(next.len() == 2 && of_cluster > 0, "{next:?}, {of_cluster}");
}

/// Both runs of the container that crashed are told, and the one before the restart alone.
fn the_crashed_run_is_told(project: &Project) {
    let grep = [
        "logs",
        CRASHES,
        "--grep",
        "line 000010[0-9]{2} ",
        "-o",
        "json",
    ];
    let told = project.devenv(&grep).assert_code(0).stdout;
    let run = |line: &str| serde_json::from_str::<Value>(line).unwrap()["run"].clone();
    // Two pods, one of them twice.
    let of_second = told.lines().filter(|line| run(line) == 1).count();
    assert_eq!((told.lines().count(), of_second), (300, 100));
    let previous = ["logs", CRASHES, "--previous", "--tail", "1"];
    let previous = project.devenv(&previous).assert_code(0);
    assert!(previous.stdout.contains("end 20"), "{previous}");
    assert_eq!(previous.stdout.lines().count(), 1, "{previous}");
}

/// What the session and the agents have used.
struct Cost {
    at: Instant,
    session_seconds: f64,
    agent_seconds: f64,
    /// At most, in megabytes.
    resident: u64,
}

impl Cost {
    fn of(project: &Project) -> Self {
        let process = PathBuf::from(format!("/proc/{}", session(project).as_raw_nonzero()));
        let stat = std::fs::read_to_string(process.join("stat")).unwrap();
        let agents = with_agents(project, "cut -d ' ' -f 14,15 $process/stat");
        let agent_peaks = with_agents(project, "grep VmHWM $process/status");
        let session_peak = std::fs::read_to_string(process.join("status")).unwrap();
        let session_peak = session_peak.lines().find(|line| line.starts_with("VmHWM"));
        let peaks = agent_peaks.lines().chain(session_peak);
        let kilobytes: u64 = peaks
            .map(|line| {
                line.split_whitespace()
                    .nth(1)
                    .unwrap()
                    .parse::<u64>()
                    .unwrap()
            })
            .sum();
        // Behind the name, which may hold anything, the times are the 12th and 13th field.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let times = fields.split_whitespace().skip(11).take(2);
        Self {
            at: Instant::now(),
            session_seconds: seconds(times),
            agent_seconds: seconds(agents.split_whitespace()),
            resident: kilobytes / 1024,
        }
    }

    /// The seconds since, and how many cores session and agents took.
    fn since(&self, before: &Self) -> (f64, f64, f64) {
        let over = self.at.duration_since(before.at).as_secs_f64();
        let session = (self.session_seconds - before.session_seconds) / over;
        let agents = (self.agent_seconds - before.agent_seconds) / over;
        (over, session, agents)
    }

    fn assert_nothing_since(&self, before: &Self) {
        let (over, session, agents) = self.since(before);
        say(&format!(
            "{PODS} silent pods for {over:.1} s: the session took {session:.3} cores, the agents {agents:.3}"
        ));
        assert!(
            session + agents <= IDLE_CORES,
            "more than {IDLE_CORES} cores"
        );
    }

    fn assert_bounded_since(&self, before: &Self) {
        let (over, session, agents) = self.since(before);
        say(&format!(
            "{PODS} pods of {LINES_A_SECOND} lines a second for {over:.1} s: the session took {session:.2} cores, \
             the agents {agents:.2}; together at most {} MB",
            self.resident
        ));
        assert!(session + agents <= CORES, "more than {CORES} cores");
        assert!(self.resident <= MEGABYTES, "more than {MEGABYTES} MB");
    }
}

/// Clock ticks, of which the kernel counts a hundred a second.
fn seconds<'a>(ticks: impl Iterator<Item = &'a str>) -> f64 {
    ticks.map(|text| text.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

/// Kills the session, and waits until it is gone: one that is just dying has its lock still.
fn kill_session(project: &Project) {
    kill_process(session(project), Signal::KILL).unwrap();
    let begun = Instant::now();
    let is_gone = || {
        let words = ["session", "status", "-o", "json"];
        let status = project.quietly(env!("CARGO_BIN_EXE_devenv"), &words);
        serde_json::from_str(&status).is_ok_and(|status: Value| status["running"] == false)
    };
    while !is_gone() {
        assert!(begun.elapsed() < PATIENCE, "the session does not go");
        std::thread::sleep(LOOK_AGAIN);
    }
}

fn session(project: &Project) -> Pid {
    let status = project.devenv(&["session", "status", "-o", "json"]);
    let pid = status.assert_code(0).json()["pid"].as_i64().unwrap();
    Pid::from_raw(pid.try_into().unwrap()).unwrap()
}

/// Gives the pods of a service a sign, in the volume that they share.
fn signal(project: &Project, service: &str, sign: &str) {
    let volume = format!("/var/lib/devenv/volumes/{service}/signals");
    in_node(project, &format!("mkdir {volume}/{sign}"));
}

fn signal_all(project: &Project, sign: &str) {
    for (service, _) in SERVICES {
        signal(project, service, sign);
    }
}

/// Runs a command in the node for the process of each agent.
fn with_agents(project: &Project, command: &str) -> String {
    let every_agent = format!(
        "for process in /proc/[0-9]*; do
            case $(readlink $process/exe) in /var/lib/devenv/agent/*) {command} ;; esac
        done"
    );
    in_node(project, &every_agent)
}

fn rotated(project: &Project) -> bool {
    in_node(project, "ls /var/log/pods/default_*/*").contains(".log.")
}

fn in_node(project: &Project, command: &str) -> String {
    let node = format!("k3d-{}-server-0", project.cluster_name());
    let run = ["exec", &node, "sh", "-c", command];
    project.run("docker", &run).assert_code(0).stdout
}
