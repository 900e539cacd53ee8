//! The wait for a service's addresses: a URL that is printed must open.
//!
//! Pods are ready before the ingress controller of a new cluster runs, and before it has read a new rule.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Finished, Progress, World, world::Live};
use crate::{
    adapters::{
        ingress::{self, Answer},
        kube::{ClusterView, Connection},
    },
    domain::{ExitClass, Expose, Failure, NoticeLevel, ObservedPod, PodPhase, ServiceName},
};

/// How long the controller of a new cluster may take until it answers at all.
const CONTROLLER_WITHIN: Duration = Duration::from_mins(2);
/// How long it may take to read a rule. After that its answer may be the service's own.
const ROUTE_WITHIN: Duration = Duration::from_secs(15);
/// How long pods that were replaced may take to end; the chart gives them 5 s.
const ALONE_WITHIN: Duration = Duration::from_secs(10);
/// Of how many pods each may have replaced one that the controller still knows.
const MOST_PODS: u32 = 4;
/// From this long on for a few answers it is the service that takes its time.
const SLOW: Duration = Duration::from_secs(1);
/// There is nothing to watch: only asking tells.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// Waits until every address of `service` leads to it.
pub(super) async fn wait_until_reachable(
    world: &World,
    service: &ServiceName,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Finished, Failure> {
    let live = world.live().await?;
    let listing = tokio::time::timeout(CONTROLLER_WITHIN, until_listed(live));
    let listed = cancel.run_until_cancelled(listing).await;
    // Of a cluster that does not say what it has, the addresses are asked all the same.
    let pods = wanted(&live.view.subscribe().borrow(), service);
    if matches!(listed, Some(Ok(()))) && pods == 0 {
        return Ok(Finished::Skipped("no pod of it is wanted".to_owned()));
    }
    let alone = tokio::time::timeout(ALONE_WITHIN, until_alone(live, service));
    // One that does not end in time is ended by the kubelet; the addresses are asked all the same.
    let _ = cancel.run_until_cancelled(alone).await;
    let workload = world
        .environment
        .services
        .get(service)
        .and_then(|service| service.workload());
    for rule in workload.iter().flat_map(|workload| &workload.expose) {
        let waiting = reach(world, service, (rule, pods), progress);
        match cancel.run_until_cancelled(waiting).await {
            Some(reached) => reached?,
            None => {
                return Err(Failure::interrupted());
            }
        }
    }
    Ok(Finished::Done)
}

/// Waits until the view has all that is there: one that was just begun has nothing.
async fn until_listed(live: &Live) {
    let mut view_rx = live.view.subscribe();
    // It ends only with the run.
    let _ = view_rx
        .wait_for(|view| view.connection == Connection::Live)
        .await;
}

/// Waits until the pods that were replaced have ended: the ingress controller learns of the new ones up to two
/// seconds later, and until then the old version would answer.
async fn until_alone(live: &Live, service: &ServiceName) {
    let mut view_rx = live.view.subscribe();
    while has_more_than_wanted(&view_rx.borrow_and_update(), service) {
        if view_rx.changed().await.is_err() {
            return;
        }
    }
}

fn has_more_than_wanted(view: &ClusterView, service: &ServiceName) -> bool {
    let wanted = wanted(view, service);
    let may_serve = |pod: &&ObservedPod| {
        &pod.service == service && matches!(pod.phase, PodPhase::Pending | PodPhase::Running)
    };
    view.pods.iter().filter(may_serve).count() > wanted as usize
}

/// How many pods of a service are wanted: one that is scaled to nothing cannot be reached.
fn wanted(view: &ClusterView, service: &ServiceName) -> u32 {
    let ours = view.workloads.iter().filter(|w| &w.service == service);
    ours.map(|workload| workload.desired).sum()
}

/// The answers of an address, as long as pods that have ended may be among those that the ingress controller leads to in
/// turn: one good answer says nothing of the next.
#[derive(Debug)]
struct Answers {
    /// How many of a kind in a row are enough.
    enough: u32,
    good: u32,
    first_good: Option<Instant>,
    late: u32,
}

impl Answers {
    /// Of a service with as many pods.
    fn of(pods: u32) -> Self {
        Self {
            // Each may have replaced one.
            enough: 2 * pods.min(MOST_PODS) + 1,
            good: 0,
            first_good: None,
            late: 0,
        }
    }

    /// Takes one; whether the address leads to the service now.
    fn take(&mut self, answer: &Answer) -> bool {
        if *answer != Answer::Service {
            (self.good, self.first_good) = (0, None);
        }
        if *answer != Answer::Late {
            self.late = 0;
        }
        match answer {
            Answer::Service => {
                self.good += 1;
                let first = *self.first_good.get_or_insert_with(Instant::now);
                // Whoever takes a while for each is not asked again and again.
                self.good >= self.enough || first.elapsed() > SLOW
            }
            // Somebody is busy with the answer: pods that have ended would not be asked each time.
            Answer::Late => {
                self.late += 1;
                self.late >= self.enough
            }
            Answer::NoRoute(_) | Answer::Nothing { .. } => false,
        }
    }
}

async fn reach(
    world: &World,
    service: &ServiceName,
    (rule, pods): (&Expose, u32),
    progress: &Progress,
) -> Result<(), Failure> {
    let port = world.environment.cluster.http_port;
    let url = format!("http://{}:{port}{}", rule.host, rule.path);
    let begin = Instant::now();
    let mut answered: Option<Instant> = None;
    let mut answers = Answers::of(pods);
    loop {
        let answer = ingress::ask(port, &rule.host, &rule.path).await;
        if answers.take(&answer) {
            return Ok(());
        }
        let how = match answer {
            Answer::Nothing { why } => {
                if begin.elapsed() >= CONTROLLER_WITHIN {
                    return Err(not_answering(world, service, &url, &why));
                }
                progress.note(format!("{url} does not answer yet"));
                tokio::time::sleep(ASK_AGAIN).await;
                continue;
            }
            Answer::NoRoute(status) => {
                progress.note(format!("{url} has no route yet"));
                tokio::time::sleep(ASK_AGAIN).await;
                format!("answers {status}")
            }
            // One after the other, with no pause: that is how those are found that go astray.
            Answer::Service | Answer::Late => "answers only now and then".to_owned(),
        };
        if answered.get_or_insert_with(Instant::now).elapsed() >= ROUTE_WITHIN {
            let text = format!("{url} {how}: see `devenv logs {service}`");
            progress.outbox().notice(NoticeLevel::Warning, text).await;
            return Ok(());
        }
    }
}

fn not_answering(world: &World, service: &ServiceName, url: &str, why: &str) -> Failure {
    let kubeconfig = world.places.kubeconfig.display();
    let place = format!("services.{service}.expose");
    Failure::new(
        "ingress.not-answering",
        ExitClass::NotReady,
        format!("{service} is ready, but {url} does not answer"),
    )
    .because(format!("the cluster's ingress controller does not: {why}"))
    .of(service)
    .at(world.environment.provenance.place(&place).cloned())
    .help(format!(
        "kubectl --kubeconfig {kubeconfig} --namespace kube-system get pods"
    ))
    .help("devenv up")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::{name, ready_pod, ready_workload};

    #[tokio::test(start_paused = true)]
    async fn an_address_leads_to_a_service_if_no_answer_goes_astray() {
        let mut answers = Answers::of(1);
        let gone = Answer::NoRoute(http::StatusCode::BAD_GATEWAY);
        let taken = [&Answer::Service, &Answer::Late, &Answer::Service, &gone];
        assert_eq!(taken.map(|answer| answers.take(answer)), [false; 4]);
        let taken = [(); 3].map(|()| answers.take(&Answer::Service));
        assert_eq!(taken, [false, false, true]);
        // One that thinks for long is reached all the same, and one that takes a while is asked twice.
        let mut thinking = Answers::of(1);
        let taken = [(); 3].map(|()| thinking.take(&Answer::Late));
        assert_eq!(taken, [false, false, true]);
        let mut slow = Answers::of(1);
        assert!(!slow.take(&Answer::Service));
        tokio::time::advance(SLOW * 2).await;
        assert!(slow.take(&Answer::Service));
    }

    #[test]
    fn a_pod_that_was_replaced_counts_until_it_has_ended() {
        let order = name("order");
        let mut view = ClusterView {
            workloads: vec![ready_workload(&order)],
            pods: vec![ready_pod(&order), ready_pod(&name("web"))],
            connection: Connection::Live,
            warnings: Vec::new(),
        };
        assert!(!has_more_than_wanted(&view, &order));
        let leaving = ObservedPod {
            deleting: true,
            ..ready_pod(&order)
        };
        view.pods.push(leaving);
        assert!(has_more_than_wanted(&view, &order));
        view.pods[2].phase = PodPhase::Succeeded;
        assert!(!has_more_than_wanted(&view, &order));
    }
}
