//! The docker engine: whether it answers, and whether it is one that clusters run well on.

use std::future::Future;

use futures::future::Shared;
use jiff::{SignedDuration, Timestamp};

use super::{
    Engine, Limit, Scope, check,
    tools::{self, Tool},
    within,
};
use crate::{
    adapters::docker::{Docker, EngineInfo},
    domain::{Finding, Severity, words::span},
};

/// How far the clocks of two machines may be apart before certificates and the ages of files go wrong.
const SKEW: SignedDuration = SignedDuration::from_secs(2);
/// The storage driver that copies every layer as a whole.
const COPYING_DRIVER: &str = "vfs";

/// Connects to the engine; tells apart what may bar the way.
pub(super) async fn connect(scope: &Scope<'_>) -> Engine {
    let connected = Docker::connect(scope.host).await;
    connected.map_err(|error| Box::new(Finding::of(Severity::Problem, error.failure())))
}

/// What is to be said of the engine.
pub(super) async fn look(
    scope: &Scope<'_>,
    engine: &Shared<impl Future<Output = Engine>>,
    limit: Limit,
) -> Vec<Finding> {
    let docker = match engine.clone().await {
        Ok(docker) => docker,
        Err(barred) => return vec![*barred, not_looked_at()],
    };
    let asking = async {
        let asked = Timestamp::now();
        match within("the docker engine", docker.version()).await {
            Ok(Ok(info)) => {
                let version = check::lenient_version(&info.version);
                let unwanted = version
                    .and_then(|version| tools::unwanted(scope.project, Tool::Docker, &version));
                let judged = judge(&info, asked, Timestamp::now());
                judged.into_iter().chain(unwanted).collect()
            }
            Ok(Err(error)) => vec![Finding::of(Severity::Problem, error.failure())],
            Err(late) => vec![*late],
        }
    };
    limit.of("the docker engine", asking).await
}

fn not_looked_at() -> Finding {
    Finding::note(
        "doctor.not-looked-at",
        "clusters, registries and what is left of environments were not looked at",
    )
    .because("only docker knows of them")
    .fix("devenv doctor   # again, when docker answers")
}

/// What an engine says of itself between `asked` and `answered`, by this machine's clock.
fn judge(info: &EngineInfo, asked: Timestamp, answered: Timestamp) -> Vec<Finding> {
    let (cgroups, manager) = &info.cgroups;
    let mut found = vec![Finding::ok(
        "docker",
        format!(
            "docker {} answers ({}, cgroup v{cgroups} by {manager})",
            info.version, info.storage_driver
        ),
    )];
    if cgroups == "1" {
        found.push(
            Finding::note(
                "docker.cgroup-v1",
                "docker uses the kernel's old control groups (version 1)",
            )
            .because("newer versions of Kubernetes refuse them unless told otherwise")
            .fix("start the machine with the kernel's argument systemd.unified_cgroup_hierarchy=1"),
        );
    }
    if info.storage_driver == COPYING_DRIVER {
        found.push(
            Finding::warning(
                "docker.slow-storage",
                "docker copies all files of an image for every container",
            )
            .because("its storage driver is vfs, which shares nothing between layers")
            .fix(
                "choose overlay2: https://docs.docker.com/engine/storage/drivers/overlayfs-driver/",
            ),
        );
    }
    found.extend(
        info.clock
            .map(|clock| judge_clock(apart(clock, asked, answered))),
    );
    found
}

/// How far a clock is ahead of this machine's: it was read at some time between `asked` and `answered`.
fn apart(clock: Timestamp, asked: Timestamp, answered: Timestamp) -> SignedDuration {
    if clock < asked {
        clock.duration_since(asked)
    } else if clock > answered {
        clock.duration_since(answered)
    } else {
        SignedDuration::ZERO
    }
}

fn judge_clock(ahead: SignedDuration) -> Finding {
    if ahead.abs() <= SKEW {
        return Finding::ok("clock", "the clocks of this machine and of docker agree");
    }
    let apart = span(ahead.unsigned_abs());
    let direction = if ahead.is_positive() {
        "ahead of"
    } else {
        "behind"
    };
    Finding::warning(
        "clock.skew",
        format!("docker's clock is {apart} {direction} this machine's"),
    )
    .because("docker is in a virtual machine that was asleep, or one of the clocks is wrong")
    .fix("sudo systemctl restart systemd-timesyncd   # or restart docker's virtual machine")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(version: &str, cgroups: &str, driver: &str) -> EngineInfo {
        EngineInfo {
            version: version.to_owned(),
            os: "linux".to_owned(),
            architecture: "amd64".to_owned(),
            root_directory: "/var/lib/docker".into(),
            storage_driver: driver.to_owned(),
            cgroups: (cgroups.to_owned(), "systemd".to_owned()),
            clock: None,
        }
    }

    #[test]
    fn an_engine_is_fine_or_old_fashioned_or_slow() {
        let now = Timestamp::UNIX_EPOCH;
        let ids = |info: EngineInfo| -> Vec<&str> {
            let found = judge(&info, now, now);
            found.iter().map(|finding| finding.id.0).collect()
        };
        assert_eq!(ids(info("27.3.1", "2", "overlay2")), ["docker"]);
        let old = info("27.3.1", "1", "vfs");
        assert_eq!(
            ids(old),
            ["docker", "docker.cgroup-v1", "docker.slow-storage"]
        );
        let with_clock = EngineInfo {
            clock: Some(now),
            ..info("27.3.1", "2", "overlay2")
        };
        assert_eq!(ids(with_clock), ["docker", "clock"]);
    }

    #[test]
    fn clocks_are_apart_by_no_more_than_the_answer_took() {
        let at = |second| Timestamp::from_second(second).unwrap();
        for (clock, seconds, expected) in [
            (100, 0, "clock"),
            (103, 0, "clock"),
            (105, 1, "clock"),
            (96, -4, "clock.skew"),
            (110, 6, "clock.skew"),
        ] {
            let ahead = apart(at(clock), at(100), at(104));
            assert_eq!(ahead.as_secs(), seconds, "{clock}");
            assert_eq!(judge_clock(ahead).id.0, expected, "{clock}");
        }
        assert!(
            judge_clock(SignedDuration::from_secs(-4))
                .what
                .contains("4 s behind")
        );
    }
}
