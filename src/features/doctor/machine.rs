//! The machine itself: its disks, its watchers of files, its kernel.

use std::{
    future::Future,
    path::{Path, PathBuf},
};

use futures::future::Shared;

use super::{Engine, Scope};
use crate::{
    adapters::{
        docker::{Docker, Endpoint},
        host::{
            HostError, InotifyUse, Space, file_system_of, inotify_use, knows_file_system,
            most_queued_events, space,
        },
        watch::WatchLimit,
    },
    domain::{Finding, Severity, VolumeStore, words::amount},
    state::load_volume_store,
};

/// Where less than so many percent of docker's disk are free, Kubernetes ends pods to make room.
const EVICTED_BELOW: u64 = 5;
/// From so many on that is not far.
const NEAR_BELOW: u64 = 8;
/// With less there is no room for much data.
const LITTLE: u64 = 1 << 30;
/// From so many percent of a limit on the next program may not get what it needs.
const NEARLY_ALL: u64 = 80;
/// What a project of some size needs.
const NEEDED_WATCHES: u64 = 65_536;
const NEEDED_INSTANCES: u64 = 256;
const NEEDED_EVENTS: u64 = 16_384;

/// What lies on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contents {
    /// Images and containers, by which Kubernetes measures.
    Docker,
    /// Volumes and snapshots.
    Data,
    /// Locks, journals, logs.
    State,
}

impl Contents {
    const fn words(self) -> &'static str {
        match self {
            Self::Docker => "docker's images and containers",
            Self::Data => "the data",
            Self::State => "devenv's own state",
        }
    }
}

/// Whether there is room where something is written; a disk that holds several things is told once.
pub(super) async fn disks(
    scope: &Scope<'_>,
    engine: &Shared<impl Future<Output = Engine>>,
) -> Vec<Finding> {
    let mut places: Vec<(Contents, PathBuf)> = Vec::new();
    if let Ok(docker) = engine.clone().await {
        places.extend(root_of(&docker).await.map(|root| (Contents::Docker, root)));
    }
    if let Some(project) = scope.project {
        places.push((Contents::Data, project.paths.data().to_owned()));
        places.push((Contents::State, project.paths.state().to_owned()));
    } else if let Some(users) = scope.users {
        places.push((Contents::State, users.state().to_owned()));
    }
    let measured = tokio::task::spawn_blocking(move || {
        let mut seen = Vec::new();
        places.retain(|(_, path)| match file_system_of(path) {
            Some(disk) if seen.contains(&disk) => false,
            disk => {
                seen.extend(disk);
                true
            }
        });
        let measured = places.into_iter();
        measured
            .map(|(contents, path)| (space(&path), contents, path))
            .collect::<Vec<_>>()
    });
    let measured = measured.await.unwrap_or_default().into_iter();
    measured
        .map(|(space, contents, path)| judge_disk(contents, &path, space))
        .collect()
}

/// Where an engine of this machine keeps its images.
async fn root_of(docker: &Docker) -> Option<PathBuf> {
    let Endpoint::Unix(_) = docker.endpoint() else {
        return None;
    };
    let root = docker.version().await.ok()?.root_directory;
    // In a virtual machine, it is not a path of this one.
    crate::adapters::files::exists(&root).then_some(root)
}

fn judge_disk(contents: Contents, path: &Path, space: Result<Space, HostError>) -> Finding {
    let what = contents.words();
    let space = match space {
        Ok(space) => space,
        Err(error) => return Finding::of(Severity::Warning, error.failure()),
    };
    let free = format!(
        "{} of {} are free for {what}",
        amount(space.free),
        amount(space.total)
    );
    let is_below = |percent: u64| space.free.bytes() < space.total.bytes() / 100 * percent;
    let is_dockers = contents == Contents::Docker;
    let clean = if is_dockers {
        "docker system df   # then: docker system prune".to_owned()
    } else {
        space.shown_by(path)
    };
    if space.is_full() || is_dockers && is_below(EVICTED_BELOW) {
        let finding = Finding::problem("disk.full", format!("the disk is full: {free}"));
        let why = if space.is_full() {
            "nothing more can be written".to_owned()
        } else {
            format!("below {EVICTED_BELOW} % Kubernetes ends pods, and starts none")
        };
        finding
            .because(why)
            .seen("where", vec![path.display().to_string()])
            .fix(clean)
    } else if is_dockers && is_below(NEAR_BELOW) {
        Finding::warning("disk.low", format!("the disk is nearly full: {free}"))
            .because(format!(
                "below {EVICTED_BELOW} % Kubernetes ends pods, and starts none"
            ))
            .seen("where", vec![path.display().to_string()])
            .fix(clean)
    } else if space.free.bytes() < LITTLE {
        Finding::warning("disk.low", format!("the disk is nearly full: {free}"))
            .seen("where", vec![path.display().to_string()])
            .fix(clean)
    } else {
        Finding::ok("disk", free)
    }
}

/// Whether there are watchers enough for the files of a project.
pub(super) async fn watchers() -> Vec<Finding> {
    let counting = tokio::task::spawn_blocking(inotify_use);
    let used = counting.await.unwrap_or_default();
    judge_watchers(
        WatchLimit::Watches.value(),
        WatchLimit::Instances.value(),
        most_queued_events(),
        used,
    )
}

fn judge_watchers(
    watches: Option<u64>,
    instances: Option<u64>,
    events: Option<u64>,
    used: InotifyUse,
) -> Vec<Finding> {
    let mut found: Vec<Finding> = [
        (WatchLimit::Watches, watches, used.watches, NEEDED_WATCHES),
        (
            WatchLimit::Instances,
            instances,
            used.instances,
            NEEDED_INSTANCES,
        ),
    ]
    .into_iter()
    .filter_map(|(limit, value, used, needed)| judge_limit(limit, value?, used, needed))
    .collect();
    if events.is_some_and(|events| events < NEEDED_EVENTS) {
        found.push(
            Finding::note(
                "inotify.few-events",
                "the kernel keeps few events for watchers that are busy",
            )
            .because("when many files change at once, devenv has to look at all of them anew")
            .fix(format!(
                "sudo sysctl fs.inotify.max_queued_events={NEEDED_EVENTS}"
            )),
        );
    }
    if found.is_empty() {
        let what = format!(
            "{} watchers and {} watched files are in use, far from the kernel's limits",
            used.instances, used.watches
        );
        found.push(Finding::ok("inotify", what));
    }
    found
}

fn judge_limit(limit: WatchLimit, value: u64, used: u64, needed: u64) -> Option<Finding> {
    let what = match limit {
        WatchLimit::Watches => "watched files",
        WatchLimit::Instances => "watchers of files",
    };
    let keep = "to keep it: a file of that line in /etc/sysctl.d";
    if used >= value / 100 * NEARLY_ALL {
        let text = format!("{used} {what} of at most {value} are in use");
        let finding = Finding::warning("inotify.nearly-used", text);
        Some(
            finding
                .because("beyond the limit edits are noticed late, and some programs do not start")
                .fix(limit.raise())
                .fix(keep),
        )
    } else if value < needed {
        let text = format!("the kernel allows a user {value} {what}, which is few");
        let finding = Finding::note("inotify.low", text);
        Some(
            finding
                .because(format!(
                    "{used} are in use now; editors and the nodes of clusters take many"
                ))
                .fix(limit.raise())
                .fix(keep),
        )
    } else {
        None
    }
}

/// Whether the kernel has the file systems that are needed.
pub(super) fn kernel(scope: &Scope<'_>) -> Vec<Finding> {
    let store = match scope
        .project
        .map(|project| load_volume_store(&project.paths))
    {
        Some(Ok(store)) => store,
        Some(Err(failure)) => return vec![Finding::of(Severity::Problem, failure)],
        None => None,
    };
    judge_kernel(
        store.as_ref(),
        knows_file_system("overlay"),
        knows_file_system("xfs"),
    )
}

fn judge_kernel(
    store: Option<&VolumeStore>,
    overlay: Option<bool>,
    xfs: Option<bool>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    if overlay == Some(false) {
        found.push(
            Finding::problem("kernel.no-overlay", "the kernel has no overlay file system")
                .because("docker and the nodes of clusters put images together with it")
                .fix("sudo modprobe overlay   # or another kernel"),
        );
    }
    match store {
        Some(VolumeStore::Image) if xfs == Some(false) => found.push(
            Finding::problem(
                "kernel.no-xfs",
                "the data of this environment cannot be mounted: the kernel has no XFS",
            )
            .because("its volumes are kept in an image of that file system")
            .fix("sudo modprobe xfs   # or another kernel"),
        ),
        Some(VolumeStore::Image) => found.push(Finding::ok(
            "kernel",
            "the volumes are in an image that the nodes mount",
        )),
        Some(VolumeStore::CopyingDirectory { why }) => found.push(Finding::ok(
            "kernel",
            format!("the volumes are a directory whose files are copied: {why}"),
        )),
        Some(VolumeStore::CloningDirectory) | None => {}
    }
    if found.is_empty() {
        found.push(Finding::ok("kernel", "the kernel has what clusters need"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Memory;

    fn ids(found: &[Finding]) -> Vec<&str> {
        found.iter().map(|finding| finding.id.0).collect()
    }

    #[test]
    fn a_disk_is_full_where_kubernetes_says_so_or_where_nothing_fits() {
        let gib = |number: u64| Memory::from_bytes(number << 30);
        for (contents, free, total, files, id) in [
            (Contents::Docker, gib(20), gib(100), None, "disk"),
            (Contents::Docker, gib(7), gib(100), None, "disk.low"),
            (Contents::Docker, gib(4), gib(100), None, "disk.full"),
            (Contents::Docker, gib(50), gib(100), Some(0), "disk.full"),
            (Contents::Data, gib(4), gib(100), None, "disk"),
            (
                Contents::Data,
                Memory::from_bytes(1 << 25),
                gib(100),
                None,
                "disk.low",
            ),
            (
                Contents::State,
                Memory::from_bytes(0),
                gib(100),
                None,
                "disk.full",
            ),
        ] {
            let space = Space { free, total, files };
            let finding = judge_disk(contents, Path::new("/data"), Ok(space));
            assert_eq!(finding.id.0, id, "{contents:?} {space}");
            assert_eq!(finding.fix.is_empty(), id == "disk", "{finding:?}");
        }
        let error = HostError::NoSuchFigure("x");
        let unknown = judge_disk(Contents::Data, Path::new("/data"), Err(error));
        assert_eq!(unknown.id.0, "host.unknown-capacity");
    }

    #[test]
    fn watchers_are_enough_or_few_or_nearly_used_up() {
        let judged = |watches, instances, events, used: (u64, u64)| {
            let (instances_used, watches_used) = used;
            let used = InotifyUse {
                instances: instances_used,
                watches: watches_used,
            };
            let found = judge_watchers(Some(watches), Some(instances), Some(events), used);
            ids(&found).join(" ")
        };
        assert_eq!(judged(524_288, 512, 16_384, (10, 1000)), "inotify");
        assert_eq!(
            judged(8192, 128, 16_384, (10, 1000)),
            "inotify.low inotify.low"
        );
        assert_eq!(
            judged(524_288, 512, 16_384, (500, 1000)),
            "inotify.nearly-used"
        );
        assert_eq!(judged(8192, 512, 16_384, (1, 8000)), "inotify.nearly-used");
        assert_eq!(judged(524_288, 512, 1024, (1, 1)), "inotify.few-events");
        let found = judge_watchers(Some(8192), None, None, InotifyUse::default());
        assert!(found[0].fix[0].starts_with("sudo sysctl fs.inotify.max_user_watches="));
        assert_eq!(
            ids(&judge_watchers(None, None, None, InotifyUse::default())),
            ["inotify"]
        );
    }

    #[test]
    fn a_kernel_lacks_only_what_is_needed() {
        let image = VolumeStore::Image;
        let copying = VolumeStore::CopyingDirectory {
            why: "no loop devices".to_owned(),
        };
        for (store, overlay, xfs, expected) in [
            (None, Some(true), Some(false), "kernel"),
            (None, None, None, "kernel"),
            (None, Some(false), None, "kernel.no-overlay"),
            (Some(&image), Some(true), Some(true), "kernel"),
            (Some(&image), Some(true), None, "kernel"),
            (Some(&image), Some(true), Some(false), "kernel.no-xfs"),
            (Some(&copying), Some(true), Some(false), "kernel"),
        ] {
            let found = judge_kernel(store, overlay, xfs);
            assert_eq!(ids(&found), [expected], "{store:?} {overlay:?} {xfs:?}");
        }
    }
}
