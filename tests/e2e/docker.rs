//! The docker adapter against a real engine: builds, pushes, containers, volumes.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail the test they help"
)]

mod bench;
mod way;

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use devenv::{
    adapters::{
        docker::{BuildError, BuildProgress, EngineState, EngineVolume, NodeRole},
        files,
        host::{PortState, port_owner},
        registry,
    },
    domain::ClusterName,
};
use futures::{StreamExt as _, TryStreamExt as _};
use tokio_util::sync::CancellationToken;

use self::{
    bench::{BASE, Bench, PATIENCE, raw},
    way::{Fault, Way},
};

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "waited too long until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn steps(told: &[BuildProgress]) -> Vec<String> {
    told.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn an_image_is_built_with_its_labels_and_arguments_and_built_again_from_the_cache() {
    let dockerfile = format!(
        "FROM {BASE}\nARG WORD\nCOPY . /app/\nRUN test \"$WORD\" = 'a & b = ü' && test -x /app/run && test -L /app/link && echo built\n"
    );
    let bench = Bench::new(
        "build",
        &[
            ("Dockerfile", &dockerfile),
            ("run", "x"),
            (".dockerignore", "out"),
        ],
    )
    .await;
    bench.write("out", "ignored");
    std::os::unix::fs::symlink("run", bench.path("link")).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(bench.path("run"), executable).unwrap();
    let request = bench.request();

    let (built, told) = bench.build(&request).await;
    let first = built.unwrap();
    assert!(
        steps(&told).iter().any(|line| line.contains("RUN test")),
        "{told:?}"
    );
    let image = raw().inspect_image(&request.reference).await.unwrap();
    assert_eq!(
        image.config.unwrap().labels.unwrap()["devenv.environment"],
        bench.name
    );
    assert!(
        bench
            .docker
            .image_id(&request.reference)
            .await
            .unwrap()
            .is_some()
    );

    let (built, told) = bench.build(&request).await;
    assert_eq!(built.unwrap(), first);
    assert!(
        told.iter().any(
            |step| matches!(step, BuildProgress::Cached { name } if name.contains("RUN test"))
        ),
        "{told:?}"
    );

    let copy = format!("{}:copy", bench.name);
    bench.images.lock().unwrap().push(copy.clone());
    bench.docker.tag(&request.reference, &copy).await.unwrap();
    let found = bench
        .docker
        .images_labelled("devenv.environment", &bench.name)
        .await
        .unwrap();
    let names: Vec<_> = found.iter().map(|image| image.reference.as_str()).collect();
    assert_eq!(names, [copy.as_str(), request.reference.as_str()]);
    bench.docker.remove_image(&copy).await.unwrap();
    bench.docker.remove_image(&copy).await.unwrap();
    assert_eq!(bench.docker.image_id(&copy).await.unwrap(), None);
}

/// Three kinds begin at once on a base that the build cache has not seen; the first is built once more while
/// the others are at work.
#[tokio::test]
async fn what_builds_have_in_common_is_built_once_though_others_begin_beside_them_on_a_new_base() {
    let bench = Bench::new("common", &[]).await;
    let base = bench.new_base();
    let kinds = [("one", 2), ("two", 1), ("three", 4), ("again", 2)];
    for (directory, seconds) in kinds {
        let dockerfile = format!("FROM {base}\nRUN sleep {seconds} && echo built\nCOPY own /\n");
        bench.write(&format!("{directory}/Dockerfile"), &dockerfile);
        bench.write(&format!("{directory}/own"), directory);
    }
    let build = async |directory| {
        let request = bench.request_in(directory, directory);
        let (built, told) = bench.build(&request).await;
        built.unwrap();
        steps(&told)
    };
    let first_and_again = async {
        let first = build("one").await;
        (first, build("again").await)
    };
    let ((first, again), _, _) = futures::join!(first_and_again, build("two"), build("three"));
    let ran = |told: &[String]| told.iter().any(|line| line == "built");
    assert!(ran(&first), "{first:?}");
    assert!(!ran(&again), "{again:?}");
}

#[tokio::test]
async fn a_failing_instruction_is_explained_with_its_line_and_its_last_words() {
    let dockerfile = format!(
        "FROM {BASE}\n\nRUN echo compiling >&2 && \\\n    echo 'undefined: x' >&2 && exit 3\n"
    );
    let bench = Bench::new("failing", &[("Dockerfile", &dockerfile)]).await;
    let failure = bench.failure(&bench.request()).await;
    assert_eq!(failure.code.0, "image.build-failed");
    let place = failure.place.expect("the line is known");
    assert_eq!((place.file, place.line), (bench.path("Dockerfile"), 3));
    assert_eq!(failure.why, ["it ended with exit code 3"]);
    assert_eq!(failure.evidence[0].lines, ["compiling", "undefined: x"]);

    bench.write("Dockerfile", &format!("FROM {BASE}\nCOPY nothing /\n"));
    let failure = bench.failure(&bench.request()).await;
    assert_eq!(failure.place.expect("the line is known").line, 2);
}

#[tokio::test]
async fn a_base_image_that_cannot_be_had_and_a_bad_line_are_told_with_their_lines() {
    let missing = "FROM scratch AS empty\nFROM 127.0.0.1:1/nowhere/base:1\n";
    let bench = Bench::new("base", &[("Dockerfile", missing)]).await;
    let failure = bench.failure(&bench.request()).await;
    assert_eq!(failure.code.0, "image.base-missing");
    assert!(
        failure.what.contains("127.0.0.1:1/nowhere/base:1"),
        "{}",
        failure.what
    );
    assert_eq!(failure.place.expect("the line is known").line, 2);

    bench.write(
        "Dockerfile",
        &format!("# syntax=127.0.0.1:1/nowhere/syntax:1\nFROM {BASE}\n"),
    );
    let failure = bench.failure(&bench.request()).await;
    assert!(
        failure.what.contains("127.0.0.1:1/nowhere/syntax:1"),
        "{failure:?}"
    );
    assert_eq!(failure.place.expect("the line is known").line, 1);

    bench.write("Dockerfile", &format!("FROM {BASE}\nFOO bar\n"));
    let failure = bench.failure(&bench.request()).await;
    assert_eq!(failure.code.0, "image.bad-dockerfile");
    assert_eq!(failure.place.expect("the line is known").line, 2);
}

#[tokio::test]
async fn a_build_secret_is_there_for_its_instruction_and_nowhere_else() {
    const CANARY: &str = "canary-7f3a9c51-do-not-keep";
    let size = CANARY.len();
    let dockerfile = format!(
        "FROM {BASE}\nRUN --mount=type=secret,id=token test $(wc -c < /run/secrets/token) = {size} && touch /seen\n"
    );
    let bench = Bench::new(
        "secret",
        &[("Dockerfile", &dockerfile), (".dockerignore", "token")],
    )
    .await;
    bench.write("token", CANARY);
    let mut request = bench.request();
    request
        .secrets
        .insert("token".to_owned(), bench.path("token"));
    let (built, told) = bench.build(&request).await;
    built.unwrap();
    assert!(!format!("{told:?}").contains(CANARY));
    let image: Vec<bytes::Bytes> = raw()
        .export_image(&request.reference)
        .try_collect()
        .await
        .unwrap();
    let image = image.concat();
    let holds = |text: &str| {
        image
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    assert!(holds("seen"), "the export can be searched");
    assert!(!holds(CANARY), "the secret is in the image");

    bench.write(
        "Dockerfile",
        &format!("FROM {BASE}\nRUN --mount=type=secret,id=other,required=true true\n"),
    );
    let mut request = bench.request();
    request
        .secrets
        .insert("token".to_owned(), bench.path("token"));
    let failure = bench.failure(&request).await;
    assert!(failure.why[0].contains("other"), "{:?}", failure.why);
    request
        .secrets
        .insert("lost".to_owned(), bench.path("lost"));
    assert_eq!(bench.failure(&request).await.code.0, "image.secret-missing");
}

#[tokio::test]
async fn a_context_that_changes_while_it_is_built_makes_no_image() {
    let bench = Bench::new(
        "changed",
        &[("Dockerfile", "FROM scratch\nCOPY a /\n"), ("a", "hashed")],
    )
    .await;
    let request = bench.request();
    bench.write("a", "edited");
    assert_eq!(
        bench.failure(&request).await.code.0,
        "image.context-changed"
    );
    assert_eq!(
        bench.docker.image_id(&request.reference).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn cancelling_a_build_ends_it_in_the_engine_too() {
    let marker = format!("86{}", std::process::id());
    let dockerfile = format!("FROM {BASE}\nRUN echo started && sleep {marker}\n");
    let bench = Bench::new("cancel", &[("Dockerfile", &dockerfile)]).await;
    let cancel = CancellationToken::new();
    let tell = |progress: BuildProgress| {
        if matches!(progress, BuildProgress::Log { .. }) {
            cancel.cancel();
        }
    };
    let request = bench.request();
    let building = bench.docker.build(&request, &tell, &cancel);
    let error = tokio::time::timeout(PATIENCE, building)
        .await
        .unwrap()
        .unwrap_err();
    assert!(matches!(error, BuildError::Cancelled { .. }), "{error}");
    until("the engine ends the build", async || !sleeps(&marker)).await;
}

/// Whether a process `sleep <argument>` runs on this machine.
fn sleeps(argument: &str) -> bool {
    let wanted = format!("sleep\0{argument}\0");
    files::list(Path::new("/proc"))
        .unwrap()
        .iter()
        .filter_map(|process| files::read(&process.join("cmdline")).ok())
        .any(|command| command == wanted.as_bytes())
}

#[tokio::test]
async fn a_push_that_is_broken_off_comes_to_its_end_all_the_same() {
    let bench = Bench::new("broken", &[("Dockerfile", &format!("FROM {BASE}\n"))]).await;
    let (_, port) = bench.registry().await;
    let way = Way::to(port.get(), Fault::BreaksAfter(1 << 20));
    let mut request = bench.request();
    request.reference = format!("127.0.0.1:{}/shop/order:abc", way.port);
    bench.images.lock().unwrap().push(request.reference.clone());
    bench.build(&request).await.0.unwrap();
    let never = CancellationToken::new();
    let pushing = bench.docker.push(&request.reference, &|_| {}, &never);
    let pushed = tokio::time::timeout(PATIENCE, pushing).await;
    pushed.expect("in time").unwrap();
    assert!(way.was_broken(), "nothing was broken off");
    let there = registry::has_manifest(port, "shop/order", "abc").await;
    assert!(there.unwrap());
}

#[tokio::test]
async fn a_push_on_a_slow_way_goes_on_and_can_be_ended() {
    let dockerfile = "FROM scratch\nCOPY noise /\n";
    let bench = Bench::new("slow", &[("Dockerfile", dockerfile)]).await;
    // What cannot be made smaller: some 4 MiB, in some 2 s.
    let mut noise = vec![0; 4 << 20];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    files::write_shared(&bench.path("noise"), &noise).unwrap();
    let (_, port) = bench.registry().await;
    let way = Way::to(port.get(), Fault::Slow(Duration::from_millis(30)));
    let mut request = bench.request();
    request.reference = format!("127.0.0.1:{}/shop/order:abc", way.port);
    bench.images.lock().unwrap().push(request.reference.clone());
    bench.build(&request).await.0.unwrap();
    let ended = CancellationToken::new();
    let end = |_| ended.cancel();
    let pushing = bench.docker.push(&request.reference, &end, &ended);
    let broken_off = tokio::time::timeout(Duration::from_secs(5), pushing).await;
    broken_off.expect("it ends at once").unwrap_err();
    let begun = Instant::now();
    let never = CancellationToken::new();
    let pushing = bench.docker.push(&request.reference, &|_| {}, &never);
    let pushed = tokio::time::timeout(PATIENCE, pushing).await;
    pushed.expect("in time").unwrap();
    assert!(begun.elapsed() > Duration::from_secs(1), "it was not slow");
    let there = registry::has_manifest(port, "shop/order", "abc").await;
    assert!(there.unwrap());
}

#[tokio::test]
async fn a_pushed_image_is_in_the_registry_and_pushing_it_again_sends_nothing() {
    let dockerfile = format!("FROM {BASE}\nCOPY a /\n");
    let bench = Bench::new("push", &[("Dockerfile", &dockerfile), ("a", "1")]).await;
    let (registry_name, port) = bench.registry().await;
    let mut request = bench.request();
    request.reference = format!("127.0.0.1:{port}/shop/order:abc");
    bench.images.lock().unwrap().push(request.reference.clone());
    bench.build(&request).await.0.unwrap();
    assert!(
        !registry::has_manifest(port, "shop/order", "abc")
            .await
            .unwrap()
    );

    let bytes = || {
        let last = Arc::new(Mutex::new(0));
        let write = Arc::clone(&last);
        (
            last,
            move |progress: devenv::adapters::docker::PushProgress| {
                *write.lock().unwrap() = progress.bytes;
            },
        )
    };
    let never = CancellationToken::new();
    let (sent, tell) = bytes();
    bench
        .docker
        .push(&request.reference, &tell, &never)
        .await
        .unwrap();
    assert!(*sent.lock().unwrap() > 10_000_000);
    assert!(
        registry::has_manifest(port, "shop/order", "abc")
            .await
            .unwrap()
    );
    let (sent, tell) = bytes();
    bench
        .docker
        .push(&request.reference, &tell, &never)
        .await
        .unwrap();
    assert_eq!(*sent.lock().unwrap(), 0);

    match port_owner(port, &bench.docker).await {
        PortState::TakenByContainer { container } => assert_eq!(container, registry_name),
        other => panic!("{other:?}"),
    }
    bench
        .docker
        .stop_container(&registry_name, Duration::from_secs(1))
        .await
        .unwrap();
    let error = bench
        .docker
        .push(&request.reference, &|_| {}, &never)
        .await
        .unwrap_err();
    assert_eq!(error.failure().code.0, "registry.unreachable");
}

#[tokio::test]
async fn a_program_in_a_container_gets_its_input_and_gives_its_code_and_both_outputs() {
    let bench = Bench::new("exec", &[]).await;
    let (name, _) = bench.registry().await;
    let run = |command: &'static [&'static str], stdin: Option<Vec<u8>>, deadline| {
        bench.docker.exec(&name, command, stdin, deadline)
    };
    let big = vec![b'x'; 3 << 20];
    let output = run(&["cat"], Some(big.clone()), PATIENCE).await.unwrap();
    assert!(
        output.stdout == big,
        "{} bytes came back",
        output.stdout.len()
    );
    let output = run(
        &["sh", "-c", "echo out; echo err >&2; exit 7"],
        None,
        PATIENCE,
    )
    .await
    .unwrap();
    assert_eq!(
        (output.code, &*output.stdout, &*output.stderr),
        (7, &b"out\n"[..], &b"err\n"[..])
    );

    let late = run(&["sleep", "30"], None, Duration::from_millis(200))
        .await
        .unwrap_err();
    assert_eq!(late.failure().code.0, "docker.no-answer");
    let absent = bench
        .docker
        .exec("no-such-container", &["true"], None, PATIENCE)
        .await
        .unwrap_err();
    assert!(absent.is_not_found());
}

#[tokio::test]
async fn the_containers_of_a_cluster_are_listed_with_roles_and_states() {
    let bench = Bench::new("list", &[]).await;
    let cluster: ClusterName = format!("e2e-{}", std::process::id()).parse().unwrap();
    let k3d = |role| {
        [
            ("app", "k3d"),
            ("k3d.cluster", cluster.as_str()),
            ("k3d.role", role),
        ]
    };
    let server = bench.container("server", &k3d("server")).await;
    let balancer = bench.container("lb", &k3d("loadbalancer")).await;
    let _other = bench
        .container("other", &[("app", "k3d"), ("k3d.cluster", "another")])
        .await;
    bench.docker.start_container(&server).await.unwrap();

    let listed = bench.docker.containers_of(&cluster).await.unwrap();
    let seen: Vec<_> = listed
        .iter()
        .map(|c| (c.name.as_str(), c.role, c.state))
        .collect();
    assert_eq!(
        seen,
        [
            (
                balancer.as_str(),
                NodeRole::LoadBalancer,
                EngineState::Created
            ),
            (server.as_str(), NodeRole::Server, EngineState::Running),
        ]
    );
    assert_eq!(listed[1].ports[0].container, 5000);
    assert!(!bench.docker.has_network(&cluster.network()).await.unwrap());
    bench
        .docker
        .remove_network(&cluster.network())
        .await
        .unwrap();
    assert!(
        bench
            .docker
            .volumes_labelled("k3d.cluster", cluster.as_str())
            .await
            .unwrap()
            .is_empty()
    );
    let engine = bench.docker.version().await.unwrap();
    assert!(engine.root_directory.is_absolute() && engine.os == "linux");
}

#[tokio::test]
async fn a_volume_keeps_what_it_was_made_with() {
    let bench = Bench::new("volume", &[]).await;
    let (key, mine) = ("devenv.test", format!("e2e-{}", std::process::id()));
    let volume = |made_by: &str| {
        let labels = [(key, mine.as_str()), ("made-by", made_by)];
        EngineVolume {
            name: format!("{mine}-volume"),
            labels: labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        }
    };
    let found = async || bench.docker.volumes_labelled(key, &mine).await.unwrap();
    for maker in ["first", "second"] {
        bench.docker.create_volume(&volume(maker)).await.unwrap();
        assert_eq!(found().await, [volume("first")], "made by the {maker}");
    }
    let name = &volume("first").name;
    let holder = bench.holder(name).await;
    // Whoever holds it is on the way out.
    let (removed, ended) = tokio::join!(
        bench.docker.remove_volume(name),
        bench.docker.remove_container(&holder)
    );
    removed.unwrap();
    ended.unwrap();
    assert_eq!(found().await, []);
    bench.docker.remove_volume(name).await.unwrap();
}

#[tokio::test]
async fn a_big_context_is_sent_in_pieces() {
    let bench = Bench::new("big", &[("Dockerfile", "FROM scratch\nCOPY big /\n")]).await;
    let file = std::fs::File::create(bench.path("big")).unwrap();
    file.set_len(64 << 20).unwrap();
    let request = bench.request();
    let pieces = request.context.archive().map(|piece| piece.unwrap().len());
    let largest = pieces
        .fold(0, |largest, size| async move { largest.max(size) })
        .await;
    assert!(largest < 1 << 20, "{largest}");
    bench.build(&request).await.0.unwrap();
}

#[tokio::test]
async fn a_container_removes_what_it_is_told_and_nothing_beside_it() {
    let files = [
        ("data/volumes/a/b", "x"),
        ("data/registry/c", "x"),
        ("data/kept", "x"),
    ];
    let bench = Bench::new("remove-tree", &files).await;
    let data = bench.path("data");
    let names = ["volumes".to_owned(), "registry".to_owned()];
    let code = bench
        .docker
        .remove_tree(&data, &names, BASE, PATIENCE)
        .await
        .unwrap();
    assert_eq!(code, 0);
    assert_eq!(files::list(&data).unwrap(), [data.join("kept")]);
}
