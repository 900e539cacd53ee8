//! Containers that are frozen go on by themselves, whoever is killed; and what containers use.

use std::time::{Duration, Instant};

use devenv::adapters::{
    agent::{Agent, AgentError, AgentFailure, ContainerId, Entry, Frozen},
    docker::Docker,
};

use super::Stage;
use crate::say;

const PATIENCE: Duration = Duration::from_secs(30);
/// How long containers are watched that should stand.
const WATCHED: Duration = Duration::from_millis(300);
/// Writes another number every hundredth of a second, as long as its container runs.
const TICKS: &str = "mkdir -p /ticks; (i=0; while :; do i=$((i+1)); echo $i > /ticks/now; sleep 0.01; done) > /dev/null 2>&1 < /dev/null &";
const AGENTS: &str = "for file in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $file | grep -q 'devenv-agent-[0-9a-f]* serve' && kill -9 $(echo $file | cut -d/ -f3); done; true";

/// Two containers, of which one ticks.
struct Ticking<'a> {
    agent: &'a Agent,
    containers: Vec<ContainerId>,
}

impl<'a> Ticking<'a> {
    fn of(stage: &Stage, agent: &'a Agent) -> Self {
        let containers = ["plain", "locked"].map(|app| stage.container(app));
        Self {
            agent,
            containers: containers.to_vec(),
        }
    }

    async fn freeze(&self, at_most: Duration) -> Frozen {
        self.agent.freeze(&self.containers, at_most).await.unwrap()
    }

    async fn ticks(&self) -> Vec<Entry> {
        self.agent
            .list(&self.containers[0], b"/ticks")
            .await
            .unwrap()
    }

    /// Whether nothing happens for a while.
    async fn stands(&self) -> bool {
        let (begun, first) = (Instant::now(), self.ticks().await);
        while begun.elapsed() < WATCHED {
            if self.ticks().await != first {
                return false;
            }
        }
        true
    }

    async fn goes_on(&self) {
        let (begun, first) = (Instant::now(), self.ticks().await);
        while self.ticks().await == first {
            assert!(begun.elapsed() < PATIENCE, "it does not go on");
        }
    }
}

pub(super) async fn containers_stand_at_once_and_go_on(stage: &Stage, agent: &Agent) {
    stage.inside(TICKS);
    let ticking = Ticking::of(stage, agent);
    ticking.goes_on().await;
    they_go_on_when_it_is_asked(&ticking).await;
    they_go_on_when_nobody_wants_it_any_more(&ticking).await;
    they_go_on_when_the_time_is_over(&ticking).await;
}

async fn they_go_on_when_it_is_asked(ticking: &Ticking<'_>) {
    let frozen = ticking.freeze(PATIENCE).await;
    assert!(ticking.stands().await);
    let took = frozen.took;
    let stood = frozen.thaw().await.unwrap();
    say(&format!(
        "           2 containers stand after {took:.1?}, and went on after {stood:.1?}"
    ));
    assert!(stood >= WATCHED, "{stood:?}");
    ticking.goes_on().await;
}

async fn they_go_on_when_nobody_wants_it_any_more(ticking: &Ticking<'_>) {
    drop(ticking.freeze(PATIENCE).await);
    ticking.goes_on().await;
}

async fn they_go_on_when_the_time_is_over(ticking: &Ticking<'_>) {
    let frozen = ticking.freeze(Duration::from_millis(50)).await;
    ticking.goes_on().await;
    let late = frozen.thaw().await.unwrap_err();
    let is_told = matches!(late, AgentFailure::Refused(AgentError::StoodTooLong));
    assert!(is_told, "{late}");
}

/// All agents of the node are killed. The container ticks since it was looked at last.
pub(super) async fn containers_go_on_when_their_agent_is_killed(
    stage: &Stage,
    docker: &Docker,
    node: &str,
) {
    let killed = Agent::start(docker, node).await.unwrap();
    let ticking = Ticking::of(stage, &killed);
    let frozen = ticking.freeze(PATIENCE).await;
    let kill = stage
        .project
        .run("docker", &["exec", node, "sh", "-c", AGENTS]);
    kill.assert_code(0);
    let gone = frozen.thaw().await.unwrap_err();
    assert!(matches!(gone, AgentFailure::Gone { .. }), "{gone}");
    let another = Agent::start(docker, node).await.unwrap();
    Ticking::of(stage, &another).goes_on().await;
}

pub(super) async fn what_containers_use_is_told(stage: &Stage, agent: &Agent) {
    let absent: ContainerId = "ab".repeat(32).parse().unwrap();
    let containers = [stage.container("plain"), absent];
    let used = agent.usage(&containers).await.unwrap();
    let [Some(before), None] = used[..] else {
        panic!("{used:?}");
    };
    assert!((1..1 << 30).contains(&before.memory), "{before:?}");
    stage.inside("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done");
    let used = agent.usage(&containers[..1]).await.unwrap();
    let after = used[0].unwrap();
    let spent = Duration::from_micros(after.cpu_us - before.cpu_us);
    assert!(spent > Duration::from_millis(10), "{spent:?}");
}
