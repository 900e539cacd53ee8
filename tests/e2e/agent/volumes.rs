//! Volumes of a real cluster through the agent of its node: written from inside a pod, copied, compared and moved.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use devenv::adapters::agent::{Agent, AgentFailure, Means, Progress, Volumes};
use tokio::sync::Notify;

use super::docker;
use crate::{
    program::{BASE, Project},
    say,
};

/// Where the volumes of an environment are in its nodes.
const ROOT: &str = "/var/lib/devenv/volumes";
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// What is measured: so many small files beside so many megabytes in large ones.
const FILES: u64 = 5_000;
const MEGABYTES: u64 = 200;
/// How often, to be compared at the median.
const TIMES: usize = 3;
/// How much longer a copy, which is on disk when it is answered, may take than `cp -a` and a `sync` behind it.
const AS_LONG: f64 = 2.0;

/// All kinds of files, as a service may leave them; prints how many there are that are copied.
const KINDS: &str = r#"use strict; use Socket;
umask 0; chdir "/data" or die;
for my $number (1..300) {
    my $directory = "kinds/" . $number % 10;
    mkdir $_ for "kinds", $directory;
    open my $file, ">", "$directory/$number" or die;
    print $file "$number\n" x $number;
    close $file;
    chmod 0400 + $number % 0400, "$directory/$number";
    chown 1000 + $number, 2000 + $number, "$directory/$number";
    utime 1000000000, 1000000000 + $number / 7, "$directory/$number";
}
link "kinds/1/1", "kinds/2/linked" or die;
symlink "../1/1", "kinds/3/relative" or die;
symlink "/etc/passwd", "kinds/3/absolute" or die;
open my $latin, ">", "kinds/4/caf\xe9\n" or die;
open my $sparse, ">", "kinds/5/sparse" or die;
truncate $sparse, 1 << 30 or die;
seek $sparse, 1 << 29, 0; print $sparse "middle"; close $sparse;
system("mkfifo", "-m", "602", "kinds/6/pipe") and die;
system("mknod", "kinds/6/null", "c", "1", "3") and die;
chmod 04755, "kinds/7/7"; chmod 03777, "kinds/8"; chmod 0500, "kinds/9";
socket(my $socket, PF_UNIX, SOCK_STREAM, 0) or die;
bind($socket, sockaddr_un("kinds/socket")) or die;
utime 1000000000, 1000000000, "kinds/9", "kinds";
"#;

/// What is measured.
const BULK: &str = r#"use strict; chdir "/data" or die; mkdir "bulk";
my ($files, $megabytes) = @ARGV;
open my $random, "<", "/dev/urandom" or die;
for my $number (1..$files) {
    my $directory = "bulk/" . $number % 50;
    mkdir $directory;
    open my $file, ">", "$directory/$number" or die;
    print $file "$number\n" x 200;
}
for my $number (1..4) {
    open my $file, ">", "bulk/large$number" or die;
    for (1..$megabytes / 4) { read $random, my $block, 1 << 20; print $file $block }
}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn volumes_are_copied_as_they_are_no_slower_than_by_cp_and_leave_nothing_when_broken_off() {
    let stage = Stage::up();
    let docker = docker().await;
    let agent = Agent::start(&docker, &stage.node).await.unwrap();
    let volumes = agent.volumes(Path::new(ROOT));
    a_copy_is_equal_until_a_byte_changes(&stage, &volumes).await;
    the_copy_takes_the_place_of_the_volume(&stage, &volumes).await;
    what_is_refused_is_named(&volumes).await;
    stage.inside("bulk.pl", &[&FILES.to_string(), &MEGABYTES.to_string()]);
    a_copy_takes_no_longer_than_by_cp(&stage, &volumes).await;
    a_copy_that_nobody_waits_for_is_undone(&stage, &volumes).await;
    a_killed_agents_copy_goes_with_the_next(&stage, &volumes).await;
    let agent = Agent::start(&docker, &stage.node).await.unwrap();
    let volumes = agent.volumes(Path::new(ROOT));
    volumes
        .copy(&at("bulk"), &at("again"), |_| {})
        .await
        .unwrap();
    assert_eq!(stage.unfinished(), 0);
    drop(agent);
    stage.project.end();
}

struct Stage {
    project: Project,
    node: String,
}

impl Stage {
    fn up() -> Self {
        let project = Project::new(
            "agent-volumes",
            "services:\n\
             \x20 store:\n\
             \x20   build: image\n\
             \x20   command: [sleep, infinity]\n\
             \x20   volumes: [{ name: data, path: /data, size: 1Gi }]\n",
        );
        let dockerfile = format!("FROM {BASE}\nCOPY *.pl /\n");
        project.write("image/Dockerfile", &dockerfile);
        project.write("image/kinds.pl", KINDS);
        project.write("image/bulk.pl", BULK);
        project.devenv(&["up"]).assert_code(0);
        let node = format!("k3d-{}-server-0", project.cluster_name());
        Self { project, node }
    }

    /// Runs a program of the image in the pod.
    fn inside(&self, program: &str, arguments: &[&str]) {
        let program = format!("/{program}");
        let words = ["exec", "store", "--", "perl", &program];
        let run = self.project.devenv(&[&words[..], arguments].concat());
        run.assert_code(0);
    }

    /// What a script in the node says.
    fn in_node(&self, script: &str) -> String {
        let words = ["exec", &self.node, "sh", "-c", script];
        let said = self.project.run("docker", &words).assert_code(0).stdout;
        said.trim().to_owned()
    }

    /// How long a script takes in the node, as its clock sees it.
    fn seconds_in_node(&self, script: &str) -> f64 {
        let clock = "read -r up _ < /proc/uptime; echo $up";
        let said = self.in_node(&format!("{clock}; {script} >&2; {clock}"));
        let (began, ended) = said.split_once('\n').unwrap();
        ended.trim().parse::<f64>().unwrap() - began.parse::<f64>().unwrap()
    }

    /// How many directories there are beside the volume that are not finished.
    fn unfinished(&self) -> usize {
        let names = self.in_node(&format!("ls -A {ROOT}/store"));
        names.lines().filter(|name| name.starts_with('.')).count()
    }
}

/// A directory beside the volume, or one in it.
fn at(path: &str) -> PathBuf {
    match path {
        "kinds" | "bulk" => Path::new("store/data").join(path),
        beside => Path::new("store").join(beside),
    }
}

fn code<T: std::fmt::Debug>(result: Result<T, AgentFailure>) -> &'static str {
    result.unwrap_err().failure().code.0
}

async fn a_copy_is_equal_until_a_byte_changes(stage: &Stage, volumes: &Volumes<'_>) {
    stage.inside("kinds.pl", &[]);
    let measured = volumes.measure(&at("kinds")).await.unwrap();
    // 300, a link to one of them, two symbolic ones, those of a strange name and with a hole, pipe, device and socket.
    assert_eq!((measured.files, measured.directories), (308, 11));
    assert!(measured.bytes > 1 << 30, "{measured:?}");
    assert!(measured.allocated < 16 << 20, "{measured:?}");
    let (from, to) = (at("kinds"), at("copy"));
    let copied = volumes.copy(&from, &to, |_| {}).await.unwrap();
    assert_eq!((copied.files, copied.sockets), (307, 1));
    let copy = volumes.measure(&at("copy")).await.unwrap();
    assert!(copy.allocated < 16 << 20, "{copy:?}");
    assert_eq!((copy.bytes, copy.files), (measured.bytes, 307));
    let hash = volumes.hash(&at("kinds"), |_| {}).await.unwrap();
    assert_eq!(volumes.hash(&at("copy"), |_| {}).await.unwrap(), hash);
    let told = |path: &str| {
        let each = r"-exec stat -c '%n %F %a %u:%g %h %t:%T %y' {} \;";
        // How long a directory is, is the file system's business.
        let lengths = r"-exec stat -c '%n %s' {} \;";
        stage.in_node(&format!(
            "cd {ROOT}/store/{path} && {{ find . ! -type s {each}; find . ! -type s ! -type d {lengths}; }} | sort"
        ))
    };
    assert_eq!(told("copy"), told("data/kinds"));
    stage.in_node(&format!("printf X >> {ROOT}/store/copy/1/1"));
    assert_ne!(volumes.hash(&at("copy"), |_| {}).await.unwrap(), hash);
}

async fn the_copy_takes_the_place_of_the_volume(stage: &Stage, volumes: &Volumes<'_>) {
    let changed = volumes.hash(&at("copy"), |_| {}).await.unwrap();
    volumes.exchange(&at("kinds"), &at("copy")).await.unwrap();
    assert_eq!(volumes.hash(&at("kinds"), |_| {}).await.unwrap(), changed);
    // The pod, which runs all the while, sees what is there now.
    let words = ["exec", "store", "--", "tail", "-c", "1", "/data/kinds/1/1"];
    let seen = stage.project.devenv(&words).assert_code(0).stdout;
    assert_eq!(seen, "X");
    volumes.rename(&at("copy"), &at("kept")).await.unwrap();
    for _ in 0..2 {
        volumes.remove(&at("kept")).await.unwrap();
    }
    assert_eq!(stage.in_node(&format!("ls -A {ROOT}/store")), "data");
}

async fn what_is_refused_is_named(volumes: &Volumes<'_>) {
    let refused = volumes.copy(&at("nowhere"), &at("copy"), |_| {}).await;
    let failure = refused.unwrap_err().failure();
    assert_eq!(failure.code.0, "agent.volume");
    assert!(
        failure
            .what
            .contains("/var/lib/devenv/volumes/store/nowhere"),
        "{}",
        failure.what
    );
    let existing = volumes.rename(&at("kinds"), &at("data")).await;
    assert_eq!(code(existing), "agent.volume");
    let out = volumes.remove(Path::new("../agent")).await;
    assert_eq!(code(out), "agent.volume");
}

async fn a_copy_takes_no_longer_than_by_cp(stage: &Stage, volumes: &Volumes<'_>) {
    let measured = volumes.measure(&at("bulk")).await.unwrap();
    assert_eq!(measured.files, FILES + 4);
    let from = format!("{ROOT}/store/data/bulk");
    let (mut by_cp, mut on_disk, mut by_agent) = (Vec::new(), Vec::new(), Vec::new());
    // Nothing is removed meanwhile: ext4 takes ten times as long to make files right after others were removed.
    for time in 0..TIMES {
        stage.in_node("sync");
        let copied = stage.seconds_in_node(&format!("cp -a {from} {ROOT}/store/by-cp-{time}"));
        by_cp.push(copied);
        on_disk.push(copied + stage.seconds_in_node("sync"));
        let to = at(&format!("copy-{time}"));
        let mut told = Vec::new();
        let copied = volumes
            .copy(&at("bulk"), &to, |progress| {
                told.push(progress);
            })
            .await
            .unwrap();
        assert_eq!(copied.files, FILES + 4);
        assert_eq!(copied.bytes, measured.bytes);
        assert_told(&told, copied.took_ms);
        if copied.means == Means::Cloned {
            say("contents are cloned here");
        }
        by_agent.push(Duration::from_millis(copied.took_ms).as_secs_f64());
    }
    for times in [&mut by_cp, &mut on_disk, &mut by_agent] {
        times.sort_by(f64::total_cmp);
    }
    let median = TIMES / 2;
    let (by_cp, on_disk, by_agent) = (by_cp[median], on_disk[median], by_agent[median]);
    say(&format!(
        "{MEGABYTES} MB in {FILES} files copied in {by_agent:.2} s, on disk; by `cp -a` in {by_cp:.2} s, on disk in {on_disk:.2} s"
    ));
    assert!(by_agent <= on_disk * AS_LONG, "{by_agent} {on_disk}");
    let hashed = Instant::now();
    volumes.hash(&at("bulk"), |_| {}).await.unwrap();
    say(&format!("hashed in {:?}", hashed.elapsed()));
}

/// How far a copy is only grows, and is told ten times a second at most.
fn assert_told(told: &[Progress], took_ms: u64) {
    assert!(told.len() as u64 <= took_ms / 100 + 1, "{}", told.len());
    assert!(told.is_sorted_by_key(|progress| (progress.files, progress.bytes)));
}

async fn a_copy_that_nobody_waits_for_is_undone(stage: &Stage, volumes: &Volumes<'_>) {
    let (from, to, told) = (at("bulk"), at("copy"), Notify::new());
    tokio::select! {
        copied = volumes.copy(&from, &to, |_| told.notify_one()) => panic!("{copied:?}"),
        () = told.notified() => {}
    }
    until(|| stage.unfinished() == 0).await;
    let refused = volumes.measure(&at("copy")).await;
    assert_eq!(code(refused), "agent.volume");
}

async fn a_killed_agents_copy_goes_with_the_next(stage: &Stage, volumes: &Volumes<'_>) {
    let (from, to) = (at("bulk"), at("copy"));
    // It waits until it is told that nobody writes any more: whoever kills it has all the time.
    let draft = volumes.draft(&from, &to, |_| {}).await.unwrap();
    assert_eq!(stage.unfinished(), 1);
    stage.in_node(
        "for process in /proc/[0-9]*; do
            case $(readlink $process/exe) in /var/lib/devenv/agent/*) kill -9 ${process#/proc/} ;; esac
        done",
    );
    assert_eq!(code(draft.complete().await), "agent.gone");
    assert_eq!(stage.unfinished(), 1);
}

async fn until(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it does not come");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
