//! What is wrong with this machine, with the project's environment, and with what others left: `devenv doctor`.
//!
//! Called by `commands`. Everything is looked at at once, and each look has its time limit: one that hangs is a
//! finding. What was measured is judged apart from the measuring, by functions that a table can test. Nothing is
//! changed here but by [`remove_environment`] and [`start_registry`], which `--fix` asks for.
//!
//! Adding a check: a function that returns findings, a line in [`examine`], its ids in docs/doctor.md.

mod certificates;
mod cluster;
mod engine;
mod leftovers;
mod machine;
mod memory;
mod mend;
mod names;
mod neighbours;
mod session;
mod tools;

use std::{future::Future, time::Duration};

use futures::{
    FutureExt as _,
    future::{Shared, join_all},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use self::mend::{Removal, remove_environment, start_registry};
use super::{Project, check};
use crate::{
    adapters::{docker::Docker, environment::HostVariables, host::HostEnvironment},
    domain::{Finding, Severity},
    state::{Settings, UserPaths},
};

/// How long one look may take.
const WITHIN: Duration = Duration::from_secs(3);
/// How long all of them may take together.
const ALL_WITHIN: Duration = Duration::from_secs(5);

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// What the environment variables mean.
    pub host: &'a HostEnvironment,
    /// The environment variables.
    pub variables: &'a HostVariables,
    /// The settings of this machine.
    pub settings: &'a Settings,
    /// The user's directories, if there can be any.
    pub users: Option<&'a UserPaths>,
    /// The project, if there is one whose manifest can be used.
    pub project: Option<&'a Project>,
    /// Ends what is asked of tools.
    pub cancel: &'a CancellationToken,
}

/// The engine, or what bars the way to it.
type Engine = Result<Docker, Box<Finding>>;

/// Looks at everything; ends within about 5 seconds.
pub async fn examine(scope: &Scope<'_>) -> Vec<Finding> {
    let limit = Limit(Instant::now() + ALL_WITHIN);
    let engine = async { engine::connect(scope).await }.boxed().shared();
    let looks = [
        engine::look(scope, &engine, limit).boxed(),
        limit.of("k3d", tools::k3d(scope)).boxed(),
        limit.of("helm", tools::helm(scope)).boxed(),
        limit
            .of("the ports of this machine", ports(scope, &engine))
            .boxed(),
        limit
            .of("the disks", machine::disks(scope, &engine))
            .boxed(),
        limit.of("the memory", memory::look(scope, &engine)).boxed(),
        limit
            .of("the watchers of files", machine::watchers())
            .boxed(),
        limit.of("the names of hosts", names::look(scope)).boxed(),
        limit
            .of("the cluster", cluster::look(scope, &engine))
            .boxed(),
        limit
            .of("what is left over", leftovers::look(scope, &engine))
            .boxed(),
        limit
            .of("other clusters", neighbours::look(scope, &engine))
            .boxed(),
    ];
    let mut found = join_all(looks).await.concat();
    found.extend(tools::devenv(scope));
    found.extend(machine::kernel(scope));
    found.extend(session::look(scope));
    found
}

/// When all must have ended.
#[derive(Debug, Clone, Copy)]
struct Limit(Instant);

impl Limit {
    /// What a look finds; that it does not end in time is a finding too.
    async fn of(self, what: &str, look: impl Future<Output = Vec<Finding>>) -> Vec<Finding> {
        let until = self.0;
        match tokio::time::timeout_at(until, look).await {
            Ok(found) => found,
            Err(_) => vec![late(what, ALL_WITHIN)],
        }
    }
}

/// One question within a look, which has less time than the whole.
async fn within<T>(what: &str, question: impl Future<Output = T>) -> Result<T, Box<Finding>> {
    let answer = tokio::time::timeout(WITHIN, question).await;
    answer.map_err(|_| Box::new(late(what, WITHIN)))
}

fn late(what: &str, within: Duration) -> Finding {
    let seconds = within.as_secs();
    Finding::warning(
        "doctor.late",
        format!("{what} did not answer within {seconds} s"),
    )
    .because("whatever it is about was not looked at")
    .fix("try again when the machine has less to do: devenv doctor")
}

/// The ports that the environment wants and does not hold.
async fn ports(scope: &Scope<'_>, engine: &Shared<impl Future<Output = Engine>>) -> Vec<Finding> {
    let Some(project) = scope.project else {
        return Vec::new();
    };
    let docker = engine.clone().await.ok();
    let wanted = if let Some(docker) = &docker {
        cluster::wanted_ports(project, docker).await
    } else {
        let of_cluster = check::cluster_ports(project).into_iter();
        of_cluster.chain([check::registry_port(project)]).collect()
    };
    let taken = check::taken_ports(project, docker.as_ref(), &wanted).await;
    if taken.is_empty() {
        let cluster = &project.environment.cluster;
        let (http, https, registry) =
            (cluster.http_port, cluster.https_port, cluster.registry_port);
        let whose = if wanted.is_empty() {
            "are the environment's"
        } else {
            "are free, or the environment's"
        };
        return vec![Finding::ok(
            "ports",
            format!("ports {http}, {https} and {registry} {whose}"),
        )];
    }
    let taken = taken.into_iter();
    taken
        .map(|failure| Finding::of(Severity::Problem, failure))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_look_that_hangs_is_a_finding_and_holds_up_nobody() {
        let limit = Limit(Instant::now() + ALL_WITHIN);
        let hanging = limit.of("the moon", std::future::pending());
        let quick = limit.of("the sun", async { vec![Finding::ok("sun", "it shines")] });
        let (hung, quick) = futures::join!(hanging, quick);
        assert_eq!(hung[0].what, "the moon did not answer within 5 s");
        assert_eq!(quick[0].severity, Severity::Ok);
        let late = within("the moon", std::future::pending::<()>()).await;
        assert_eq!(late.unwrap_err().id.0, "doctor.late");
    }
}
