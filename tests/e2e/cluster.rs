//! The adapters of k3d, Helm and the cluster's API against one real cluster, from creation to deletion.

pub(crate) mod stage;

use std::{
    os::unix::fs::PermissionsExt,
    sync::Arc,
    time::{Duration, Instant},
};

use devenv::{
    adapters::{
        docker::Docker,
        helm::{ChartReference, HelmCause, service_chart},
        host::HostEnvironment,
        k3d::K3dCause,
        kube::{ClusterView, Connection, ExecRequest, LiveView, LogOptions},
        registry,
    },
    domain::{NodeStarts, ObservedPod, ReleaseStatus, ServiceName, TroubleKind},
    plan::diagnose,
};
use futures::{FutureExt, StreamExt};
use serde_json::{Value, json};

use self::stage::Stage;
use crate::say;

/// How long anything here may take before the test fails.
const LONG: Duration = Duration::from_mins(3);

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_made_used_stopped_started_and_removed_without_a_trace() {
    let stage = Stage::set_up().await;
    let played = std::panic::AssertUnwindSafe(play(&stage)).catch_unwind();
    let played = played.await;
    stage.clear().await;
    if let Err(panic) = played {
        std::panic::resume_unwind(panic);
    }
    assert_eq!(stage.left_behind().await, Vec::<String>::new());
}

async fn play(stage: &Stage) {
    a_taken_port_is_named_and_nothing_is_left(stage).await;
    create(stage).await;
    nothing_is_reachable_from_outside(stage);
    let cluster = &stage.connect().await;
    let live = cluster.watch();
    a_release_is_installed_observed_and_watched(stage, &live).await;
    logs_and_commands_of_a_container(stage, &live).await;
    another_secret_is_another_pod(stage, &live).await;
    releases_in_parallel_scale_and_restart(stage, &live).await;
    plain_manifests_keep_their_braces(stage).await;
    a_killed_helm_is_repaired(stage).await;
    troubles_are_found_from_the_live_view(stage, &live).await;
    the_nodes_have_room_and_use_some(stage).await;
    everything_survives_a_stop(stage, &live).await;
    stage
        .timed("uninstall", async {
            let order = &name("order");
            let removed = stage.helm.uninstall(order, "default", &stage.cancel, LONG);
            removed.await.unwrap();
        })
        .await;
    let contents = stage.connect().await.observe().await.unwrap();
    assert!(!contents.releases.contains_key(&name("order")));
}

fn name(text: &str) -> ServiceName {
    text.parse().unwrap()
}

async fn a_taken_port_is_named_and_nothing_is_left(stage: &Stage) {
    let _taken = std::net::TcpListener::bind(("127.0.0.1", stage.registry_port.get())).unwrap();
    let error = stage.create_registry().await.unwrap_err();
    let port = Some(stage.registry_port.get());
    assert_eq!(
        error.cause(),
        Some(&K3dCause::PortInUse { port }),
        "{error:?}"
    );
    assert_eq!(stage.left_behind().await, Vec::<String>::new());
}

async fn create(stage: &Stage) {
    stage
        .timed("registry create", async {
            stage.create_registry().await.unwrap();
            registry::wait_up(stage.registry_port, LONG).await.unwrap();
        })
        .await;
    stage.push_image().await;
    let request = stage.cluster_request();
    stage
        .timed("cluster create", async {
            let created = stage
                .k3d
                .create_cluster(&request, &stage.cancel, LONG, None);
            created.await.unwrap();
        })
        .await;
    let mode = stage.kubeconfig.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(
        !stage.home.join(".kube").exists(),
        "the user's kubeconfig was touched"
    );
    let again = stage
        .k3d
        .create_cluster(&request, &stage.cancel, LONG, None);
    let again = again.await.unwrap_err();
    assert_eq!(again.cause(), Some(&K3dCause::NameTaken));

    let cluster = stage.connect().await;
    stage
        .timed("wait for nodes and name service", async {
            cluster
                .wait_nodes_ready(1, &NodeStarts::default(), LONG)
                .await
                .unwrap();
            cluster.wait_system_ready(LONG).await.unwrap();
        })
        .await;
    let identity = cluster.identity().await.unwrap();
    assert_eq!(identity, stage.connect().await.identity().await.unwrap());
    assert_eq!((identity.uid.len(), identity.authority.len()), (36, 64));
}

/// Every listening socket of the cluster's ports is on the loopback.
fn nothing_is_reachable_from_outside(stage: &Stage) {
    let listening = stage::listening_sockets();
    for port in stage.ports() {
        let addresses: Vec<_> = listening
            .iter()
            .filter(|socket| socket.port() == port)
            .collect();
        assert!(!addresses.is_empty(), "nobody listens on {port}");
        assert!(
            addresses.iter().all(|socket| socket.ip().is_loopback()),
            "{addresses:?}"
        );
    }
}

/// Waits for the live view to say so.
async fn until<T>(live: &LiveView, what: &str, is_so: impl Fn(&ClusterView) -> Option<T>) -> T {
    let mut view_rx = live.subscribe();
    let wait = async {
        loop {
            let view: Arc<ClusterView> = view_rx.borrow_and_update().clone();
            if let Some(found) = is_so(&view) {
                return found;
            }
            view_rx.changed().await.unwrap();
        }
    };
    let found = tokio::time::timeout(LONG, wait).await;
    found.unwrap_or_else(|_| panic!("{what}: {:#?}", live.subscribe().borrow()))
}

async fn ready_pod(live: &LiveView, service: &str) -> ObservedPod {
    let service = &name(service);
    until(live, "ready", |view| {
        let mut workloads = view
            .workloads
            .iter()
            .filter(|w| &w.service == service)
            .peekable();
        workloads.peek()?;
        let all_ready = workloads.all(devenv::domain::ObservedWorkload::is_ready);
        let is_live = view.connection == Connection::Live;
        let mut pods = view
            .pods
            .iter()
            .filter(|pod| &pod.service == service && !pod.deleting);
        (all_ready && is_live)
            .then(|| pods.find(|pod| pod.ready).cloned())
            .flatten()
    })
    .await
}

/// What the service `order` is made from.
fn order_values(stage: &Stage, token: &str) -> Value {
    let script = "mkdir -p /data; trap 'exit 0' TERM; n=0; \
                  while true; do n=$((n+1)); echo line $n; sleep 0.2 & wait $!; done";
    json!({
        "project": "test",
        "image": stage.image(),
        "command": ["sh", "-c", script],
        "ports": [{ "name": "http", "number": 8080, "protocol": "TCP" }],
        "ingress": [{ "host": "shop.localhost", "path": "/order", "port": 8080 }],
        "env": { "BRACES": "{{ not a template }}" },
        "secrets": { "TOKEN": token },
        "volumes": [{
            "name": "data",
            "path": "/data",
            "hostPath": format!("{}/order/data", devenv::plan::VOLUMES_IN_NODE),
        }],
        "probe": { "exec": { "command": ["true"] } },
        "resources": { "limits": { "memory": "64Mi" } },
    })
}

async fn a_release_is_installed_observed_and_watched(stage: &Stage, live: &LiveView) {
    let values = order_values(stage, "secret-number-one");
    let request = stage.release("order", values);
    stage
        .timed("helm install, first", stage.install(&request))
        .await;
    stage
        .timed("from installed to ready", async {
            ready_pod(live, "order").await;
        })
        .await;
    stage
        .timed("helm upgrade, nothing changed", stage.install(&request))
        .await;
    let contents = stage
        .timed("observe", async {
            stage.connect().await.observe().await.unwrap()
        })
        .await;
    let release = &contents.releases[&name("order")];
    assert_eq!(
        (release.revision, release.status),
        (2, ReleaseStatus::Deployed)
    );
    assert_eq!(release.inputs.as_ref(), Some(&request.inputs));
    assert!(
        contents
            .workloads
            .iter()
            .all(devenv::domain::ObservedWorkload::is_ready)
    );
    assert_eq!(contents.workloads[0].images, [stage.image()]);
    assert_eq!(contents.pods.len(), 1);
    let rendered = stage
        .helm
        .template(&request, "1.35", &stage.cancel, LONG)
        .await
        .unwrap();
    assert!(rendered.contains("kind: Ingress"));
}

async fn run(stage: &Stage, pod: &ObservedPod, command: &[&str], stdin: &[u8]) -> (i32, Vec<u8>) {
    let request = ExecRequest {
        pod: pod.name.clone(),
        container: pod.containers[0].name.clone(),
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        tty: false,
    };
    let cluster = stage.connect().await;
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let ended = cluster.exec(&request, Some(stdin), &mut stdout, &mut stderr, None);
    let ended = tokio::time::timeout(LONG, ended).await.unwrap().unwrap();
    (ended.code, stdout)
}

async fn logs_and_commands_of_a_container(stage: &Stage, live: &LiveView) {
    let pod = ready_pod(live, "order").await;
    let cluster = stage.connect().await;
    let following = LogOptions {
        follow: true,
        ..LogOptions::default()
    };
    let lines: Vec<String> = cluster
        .logs(&pod.name, "order", &following)
        .take(5)
        .map(|line| String::from_utf8(line.unwrap().bytes.to_vec()).unwrap())
        .collect()
        .await;
    assert_eq!(lines, ["line 1", "line 2", "line 3", "line 4", "line 5"]);
    let last = LogOptions {
        tail: Some(2),
        ..LogOptions::default()
    };
    assert_eq!(cluster.logs(&pod.name, "order", &last).count().await, 2);

    assert_eq!(run(stage, &pod, &["sh", "-c", "exit 42"], b"").await.0, 42);
    let many = vec![b'x'; 3_000_000];
    let (code, counted) = stage
        .timed(
            "3 MB into a command",
            run(stage, &pod, &["wc", "-c"], &many),
        )
        .await;
    assert_eq!((code, counted.trim_ascii()), (0, b"3000000".as_slice()));
    let (_, braces) = run(stage, &pod, &["printenv", "BRACES"], b"").await;
    assert_eq!(braces.trim_ascii(), b"{{ not a template }}");
    let missing = ExecRequest {
        pod: pod.name.clone(),
        container: "order".to_owned(),
        command: vec!["no-such-program".to_owned()],
        tty: false,
    };
    let refused = cluster
        .exec(&missing, None::<&[u8]>, Vec::new(), Vec::new(), None)
        .await
        .unwrap_err();
    assert_eq!(
        refused.failure().code.0,
        "kube.exec-not-started",
        "{refused:?}"
    );

    run(stage, &pod, &["sh", "-c", "echo kept > /data/file"], b"").await;
    let on_host = std::fs::File::open(stage.volumes.join("order/data/file")).unwrap();
    assert_eq!(std::io::read_to_string(on_host).unwrap(), "kept\n");
}

async fn another_secret_is_another_pod(stage: &Stage, live: &LiveView) {
    let before = ready_pod(live, "order").await;
    let request = stage.release("order", order_values(stage, "secret-number-two"));
    stage.install(&request).await;
    until(live, "the old pod leaves", |view| {
        let is_there = |pod: &ObservedPod| pod.name == before.name && !pod.deleting;
        (!view.pods.iter().any(is_there)).then_some(())
    })
    .await;
    let after = ready_pod(live, "order").await;
    let (_, token) = run(stage, &after, &["printenv", "TOKEN"], b"").await;
    assert_eq!(token.trim_ascii(), b"secret-number-two");
    let (_, kept) = run(stage, &after, &["cat", "/data/file"], b"").await;
    assert_eq!(kept, b"kept\n");
}

fn idle_values(stage: &Stage) -> Value {
    json!({ "project": "test", "image": stage.image(), "command": ["sleep", "infinity"] })
}

async fn releases_in_parallel_scale_and_restart(stage: &Stage, live: &LiveView) {
    // Names that YAML would take for a boolean or a number.
    let names = ["on", "y", "1e3", "idle"];
    let requests = names.map(|name| stage.release(name, idle_values(stage)));
    stage
        .timed("helm install, four at once", async {
            futures::future::join_all(requests.iter().map(|request| stage.install(request))).await;
        })
        .await;
    for name in names {
        ready_pod(live, name).await;
    }
    let cluster = stage.connect().await;
    cluster.scale(&name("idle"), 2).await.unwrap();
    until(live, "two pods", |view| {
        let idle = view.workloads.iter().find(|w| w.name == "idle")?;
        (idle.desired == 2 && idle.is_ready()).then_some(())
    })
    .await;
    let before = ready_pod(live, "on").await;
    cluster.restart(&name("on")).await.unwrap();
    until(live, "the restarted pod is another", |view| {
        let on = view.workloads.iter().find(|w| w.name == "on")?;
        let is_gone = !view
            .pods
            .iter()
            .any(|pod| pod.name == before.name && !pod.deleting);
        (on.is_ready() && is_gone).then_some(())
    })
    .await;
}

async fn plain_manifests_keep_their_braces(stage: &Stage) {
    let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: plain }\ndata: { text: '{{ .Values.nothing }}' }\n";
    let chart = devenv::adapters::helm::wrap_manifests(&stage.charts, &[manifest]).unwrap();
    let mut request = stage.release("plain", json!({}));
    request.chart = ChartReference::Directory(chart);
    let rendered = stage
        .helm
        .template(&request, "1.35", &stage.cancel, LONG)
        .await
        .unwrap();
    assert!(rendered.contains(manifest), "{rendered}");
    stage.install(&request).await;
    assert_eq!(
        stage.connect().await.observe().await.unwrap().releases[&name("plain")].status,
        ReleaseStatus::Deployed
    );
}

async fn a_killed_helm_is_repaired(stage: &Stage) {
    let stuck = name("stuck");
    let mut request = stage.release("stuck", idle_values(stage));
    request.chart = ChartReference::Directory(stage.chart_that_hangs());
    let (helm, cancel, hanging) = (stage.helm.clone(), stage.cancel.clone(), request.clone());
    let installing =
        tokio::spawn(async move { helm.upgrade_install(&hanging, &cancel, LONG).await });
    let cluster = stage.connect().await;
    let started = Instant::now();
    let pending = loop {
        assert!(started.elapsed() < LONG, "the installation never began");
        let mut contents = cluster.observe().await.unwrap();
        if let Some(release) = contents.releases.remove(&stuck) {
            break release;
        }
    };
    assert_eq!(pending.status, ReleaseStatus::PendingInstall);
    // Dropping the run kills Helm without a word, as an interrupted machine would.
    installing.abort();
    let _ = installing.await;

    request.chart = ChartReference::Embedded(service_chart(&stage.charts).unwrap());
    let refused = stage
        .helm
        .upgrade_install(&request, &stage.cancel, LONG)
        .await
        .unwrap_err();
    assert_eq!(refused.cause(), Some(&HelmCause::Pending), "{refused:?}");
    cluster
        .delete_release_secret(&stuck, pending.revision)
        .await
        .unwrap();
    stage.install(&request).await;
    let contents = cluster.observe().await.unwrap();
    assert_eq!(contents.releases[&stuck].status, ReleaseStatus::Deployed);
}

async fn troubles_are_found_from_the_live_view(stage: &Stage, live: &LiveView) {
    let mut missing = idle_values(stage);
    missing["image"] = json!(format!("{}-missing", stage.image()));
    let mut crashing = idle_values(stage);
    crashing["command"] = json!(["sh", "-c", "echo about to fail; exit 3"]);
    let mut unknown = idle_values(stage);
    unknown["command"] = json!(["no-such-program"]);
    let mut greedy = idle_values(stage);
    greedy["resources"] = json!({ "requests": { "cpu": "1000" } });
    let mut hungry = idle_values(stage);
    hungry["command"] = json!(["sh", "-c", "sleep 0.5; tail /dev/zero"]);
    hungry["resources"] = json!({ "limits": { "memory": "16Mi" } });
    let cases = [
        ("missing", missing),
        ("crashing", crashing),
        ("unknown", unknown),
        ("greedy", greedy),
        ("hungry", hungry),
    ];
    let requests = cases.map(|(name, values)| stage.release(name, values));
    futures::future::join_all(requests.iter().map(|request| stage.install(request))).await;
    for request in &requests {
        let service = &request.service;
        let trouble = stage
            .timed(
                &format!("trouble of {service}"),
                until(live, "a final trouble", |view| {
                    diagnose(service, &view.workloads, &view.pods, &view.warnings)
                        .filter(|trouble| trouble.is_final)
                }),
            )
            .await;
        let is_right = match service.as_str() {
            "missing" => matches!(trouble.kind, TroubleKind::ImageUnavailable { .. }),
            "crashing" => matches!(trouble.kind, TroubleKind::CrashLoop { exit_code: 3, .. }),
            "unknown" => matches!(trouble.kind, TroubleKind::CannotStart { .. }),
            "greedy" => matches!(trouble.kind, TroubleKind::Unschedulable),
            _ => matches!(trouble.kind, TroubleKind::OutOfMemory { .. }),
        };
        assert!(is_right, "{trouble:?}");
    }
    for request in &requests {
        let removed = stage
            .helm
            .uninstall(&request.service, "default", &stage.cancel, LONG);
        removed.await.unwrap();
    }
}

async fn the_nodes_have_room_and_use_some(stage: &Stage) {
    let room = stage.connect().await.room().await.unwrap();
    let node = room.nodes.first().unwrap();
    assert!(node.allocatable.memory > node.requested.memory, "{node:?}");
    // Those of Kubernetes itself request something.
    assert!(node.requested.memory.bytes() > 1 << 20, "{node:?}");
    let host = HostEnvironment::from_variables(std::env::vars());
    let docker = Docker::connect(&host).await.unwrap();
    let used = docker.usage_of(&node.node).await.unwrap().unwrap();
    assert!(used.memory.bytes() > 1 << 20 && used.cpu_us > 0, "{used:?}");
    assert_eq!(docker.usage_of("nobody-has-this-name").await.unwrap(), None);
}

async fn everything_survives_a_stop(stage: &Stage, live: &LiveView) {
    let identity = stage.connect().await.identity().await.unwrap();
    stage
        .timed("cluster stop", async {
            let stopped = stage.k3d.stop_cluster(&stage.name, &stage.cancel, LONG);
            stopped.await.unwrap();
        })
        .await;
    until(live, "the view says that it is not of now", |view| {
        matches!(view.connection, Connection::Reconnecting { .. }).then_some(())
    })
    .await;
    let asked = Instant::now();
    let error = stage.connect().await.identity().await.unwrap_err();
    assert!(error.is_unreachable(), "{error:?}");
    assert!(asked.elapsed() < Duration::from_secs(3));
    let began = jiff::Timestamp::now();
    stage
        .timed("cluster start", async {
            let started = stage.k3d.start_cluster(&stage.name, &stage.cancel, LONG);
            started.await.unwrap();
            let written = stage
                .k3d
                .write_kubeconfig(&stage.name, &stage.kubeconfig, &stage.cancel);
            written.await.unwrap();
        })
        .await;
    let cluster = stage.connect().await;
    let starts = NodeStarts::from_iter([(stage.name.server_container(), began)]);
    cluster.wait_nodes_ready(1, &starts, LONG).await.unwrap();
    assert_eq!(cluster.identity().await.unwrap(), identity);
    let pod = stage
        .timed("from started to ready", ready_pod(live, "order"))
        .await;
    let (_, kept) = run(stage, &pod, &["cat", "/data/file"], b"").await;
    assert_eq!(kept, b"kept\n");
}
