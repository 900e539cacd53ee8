use jiff::Timestamp;

use super::{
    super::style::samples::{ANSI, PLAIN},
    *,
};
use crate::{
    domain::Stage,
    report::{
        ContainerUsage, Kept, LiveAction, LiveEdit, LiveTimes, NodeUsage, NotFitting, PlanStep,
        Redactor, Replicas, SanitizedColumn, SanitizedData, SanitizedDatabase, SanitizedTable,
        SnapshotEntry, SnapshotExported, VolumeStatus, VolumeStoreKind,
    },
};

fn show(report: &Report, style: &Style) -> String {
    text(report, style, &mut Logs::new(*style, Redactor::default()))
}

fn sample_up() -> Up {
    Up {
        environment: "shop-1a2b3c4d".into(),
        services: vec![
            UpService {
                name: "order".into(),
                state: ServiceState::Ready,
                urls: vec!["http://shop.localhost:8080/api/orders".into()],
                ready_seconds: Some(8.8),
            },
            UpService {
                name: "postgres".into(),
                state: ServiceState::Ready,
                urls: Vec::new(),
                ready_seconds: None,
            },
        ],
        stages: vec![
            StageSeconds {
                stage: Stage::Images,
                seconds: 41.24,
            },
            StageSeconds {
                stage: Stage::Ready,
                seconds: 8.8,
            },
        ],
        steps: crate::report::StepCounts {
            done: 12,
            skipped: 1,
        },
        total_seconds: 58.3,
        next_steps: vec!["devenv status".into()],
    }
}

fn sample_status() -> Status {
    let service = |name: &str, state, ready, trouble: Option<&str>| ServiceStatus {
        name: name.into(),
        state,
        replicas: Replicas { ready, desired: 1 },
        urls: vec![format!("http://shop.localhost:8080/{name}")],
        images: vec![format!(
            "k3d-shop-registry:5050/shop/{name}:0123456789abcdef"
        )],
        since: None,
        age_seconds: Some(300),
        restarts: 3,
        trouble: trouble.map(ToOwned::to_owned),
        resources: Some(ContainerUsage {
            cpu_millis: Some(12),
            cpu_request_millis: Some(50),
            cpu_limit_millis: None,
            memory_bytes: Some(230 << 20),
            memory_request_bytes: None,
            memory_limit_bytes: Some(256 << 20),
        }),
        last_live: None,
        live_p50_millis: None,
        live_p95_millis: None,
        live_changes: 0,
    };
    Status {
        environment: "shop-1a2b3c4d".into(),
        cluster: "shop-1a2b3c4d".into(),
        cluster_state: ClusterPhase::Running,
        cluster_trouble: None,
        at_work: None,
        volumes: Some(VolumeStatus {
            store: VolumeStoreKind::CopyingDirectory,
            why: Some("no such device\x1b[2J".into()),
        }),
        services: vec![
            service("order", ServiceState::Ready, 1, None),
            service(
                "payment",
                ServiceState::Failed,
                0,
                Some("exit code 1\x1b[2J"),
            ),
        ],
        nodes: Some(vec![NodeUsage {
            name: "k3d-shop-server-0".into(),
            cpu_millis: Some(420),
            cpu_request_millis: 350,
            cpu_capacity_millis: 2_000,
            memory_bytes: Some(3 << 30),
            memory_request_bytes: 5 << 30,
            memory_capacity_bytes: 6 << 30,
        }]),
        not_fitting: vec![
            NotFitting {
                service: "report\x1b[2J".into(),
                pods: 1,
                fitting: 0,
                cpu_request_millis: 100,
                cpu_free_millis: 1_650,
                memory_request_bytes: 2 << 30,
                memory_free_bytes: 1 << 30,
            },
            NotFitting {
                service: "search".into(),
                pods: 3,
                fitting: 1,
                cpu_request_millis: 1_000,
                cpu_free_millis: 1_650,
                memory_request_bytes: 0,
                memory_free_bytes: 1 << 30,
            },
        ],
    }
}

#[test]
fn up_ends_with_urls_times_and_what_to_type_next() {
    insta::assert_snapshot!(show(&Report::Up(sample_up()), &PLAIN), @r"
    SERVICE   STATE  READY  URL
    order     ready  8.8 s  http://shop.localhost:8080/api/orders
    postgres  ready

    images 41.2 s · ready 8.8 s · total 58.3 s

    next:
      devenv status
    ");
}

#[test]
fn the_times_of_an_up_are_broken_between_two_of_them() {
    let narrow = Style { width: 34, ..PLAIN };
    let text = show(&Report::Up(sample_up()), &narrow);
    let broken = "\nimages 41.2 s · ready 8.8 s ·\ntotal 58.3 s\n";
    assert!(text.contains(broken), "{text}");
}

#[test]
fn an_up_without_changes_says_so_first() {
    let mut up = sample_up();
    up.steps.done = 0;
    let text = show(&Report::Up(up), &PLAIN);
    assert!(
        text.starts_with("✓ shop-1a2b3c4d is up, nothing to do\n"),
        "{text}"
    );
    assert!(!text.contains("total"), "{text}");
}

#[test]
fn status_shows_state_trouble_and_use() {
    let wide = Style {
        width: 120,
        ..PLAIN
    };
    insta::assert_snapshot!(show(&Report::Status(sample_status()), &wide), @r"
    shop-1a2b3c4d  cluster running
    data is copied: no such device^[[2J

    SERVICE  STATE   READY  URL                                 IMAGE               AGE  RESTARTS
    order    ready   1/1    http://shop.localhost:8080/order    order:0123456789    5m   3
    payment  failed  0/1    http://shop.localhost:8080/payment  payment:0123456789  5m   3

    ✗ payment: exit code 1^[[2J

    SERVICE  CPU  REQUEST  LIMIT  MEMORY  REQUEST  LIMIT   USE
    order    12m  50m      –      230 Mi  –        256 Mi  89 %
    payment  12m  50m      –      230 Mi  –        256 Mi  89 %

    NODE               CPU   REQUESTED  OF   MEMORY  REQUESTED  OF      USE
    k3d-shop-server-0  420m  350m       2.0  3.0 Gi  5.0 Gi     6.0 Gi  50 %

    ! no place for another pod of report^[[2J: it requests 2.0 Gi memory (1.0 Gi left) and 100m cpu (1.6 left)
    ! place for 1 of 3 pods of search: it requests 1.0 cpu (1.6 left)

    next:
      devenv logs payment
    ");
}

#[test]
fn status_shows_how_fast_edits_are_live_within_eighty_columns() {
    let mut status = sample_status();
    status.nodes = None;
    status.not_fitting.clear();
    for service in &mut status.services {
        service.resources = None;
    }
    status.services[0].set_live(LiveTimes {
        changes: 12,
        last: LiveEdit {
            file: "services/order/src/app.py".into(),
            millis: 84.0,
            at: Timestamp::now(),
            action: LiveAction::Restart,
        },
        p50_millis: 90.0,
        p95_millis: 120.0,
    });
    let text = show(&Report::Status(status), &PLAIN);
    let expected = "
SERVICE  LAST EDIT                  AGE  LIVE IN  MEDIAN  95 %    EDITS
order    services/order/src/app.py  0s   84 ms    90 ms   120 ms  12
";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn a_command_at_work_is_named_and_nothing_is_advised_beside_it() {
    let mut status = sample_status();
    status.cluster_state = ClusterPhase::Creating;
    status.at_work = Some("pid 12 (devenv up, since 12:03, 4 s ago)".into());
    status.services.clear();
    let text = show(&Report::Status(status), &PLAIN);
    let head = "cluster being created\nat work on it: pid 12 (devenv up, since 12:03, 4 s ago)\n";
    assert!(text.contains(head) && !text.contains("next:"), "{text}");
}

#[test]
fn a_stopped_cluster_comes_with_the_command_that_starts_it() {
    let mut status = sample_status();
    status.cluster_state = ClusterPhase::Stopped;
    status.services.clear();
    let text = show(&Report::Status(status), &PLAIN);
    assert!(text.ends_with("next:\n  devenv start\n"), "{text}");
}

#[test]
fn a_plan_gives_each_step_its_reason() {
    let step = |id: &str, title: &str, stage| PlanStep {
        id: id.into(),
        title: title.into(),
        reason: "src/app.py changed".into(),
        stage,
        service: None,
        needs: Vec::new(),
    };
    let plan = PlanReport {
        environment: "shop".into(),
        steps: vec![
            step("build:order", "build the image of order", Stage::Images),
            step(
                "install:order",
                "upgrade the release of order",
                Stage::Deploy,
            ),
        ],
    };
    let report = Report::Plan(plan);
    insta::assert_snapshot!(show(&report, &PLAIN), @r"
    images
      + build the image of order  · src/app.py changed
    services
      + upgrade the release of order  · src/app.py changed

    2 steps; `devenv up` runs them
    ");
    let narrow = Style { width: 50, ..PLAIN };
    insta::assert_snapshot!(show(&report, &narrow), @r"
    images
      + build the image of order  · src/app.py changed
    services
      + upgrade the release of order
        └ src/app.py changed

    2 steps; `devenv up` runs them
    ");
    let empty = Report::Plan(PlanReport::default());
    assert_eq!(show(&empty, &PLAIN), "✓ Nothing to do\n");
}

#[test]
fn down_lists_what_it_left_and_how_to_remove_that_too() {
    let down = Down {
        environment: "shop".into(),
        removed: vec!["cluster shop-1a2b3c4d".into()],
        kept: vec![Kept {
            what: "the data of postgres".into(),
            path: Some("/home/ann/.local/share/devenv/shop/volumes".into()),
            remove_with: Some("devenv down --volumes".into()),
        }],
    };
    insta::assert_snapshot!(show(&Report::Down(down), &PLAIN), @r"
    ✓ removed cluster shop-1a2b3c4d
    · kept the data of postgres  /home/ann/.local/share/devenv/shop/volumes
      remove it too: devenv down --volumes
    ");
}

#[test]
fn an_export_says_what_was_changed_left_out_and_kept() {
    let column = |name: &str, change: &str, follows: Option<&str>| SanitizedColumn {
        column: name.into(),
        change: change.into(),
        follows: follows.map(Into::into),
        values: 12,
    };
    let tables = vec![
        SanitizedTable {
            table: "customers".into(),
            rows_before: 120,
            rows: 12,
            columns: vec![
                column("card", "mask, keeps 0+4", None),
                column("email", "email", None),
            ],
            unchanged: vec!["id".into(), "since".into()],
        },
        SanitizedTable {
            table: "orders".into(),
            rows_before: 12,
            rows: 12,
            columns: vec![column("mail", "email", Some("customers.email"))],
            unchanged: Vec::new(),
        },
    ];
    let export = SnapshotExported {
        environment: "shop-1a2b3c4d".into(),
        snapshot: SnapshotEntry {
            name: "production".into(),
            created: Timestamp::UNIX_EPOCH,
            note: None,
            branch: None,
            dataset: None,
            devenv: "0.1.0".into(),
            architecture: "x86_64".into(),
            services: vec!["postgres".into()],
            sanitized: true,
            bytes: 40 << 20,
            volumes: Vec::new(),
        },
        sanitized: Some(SanitizedData {
            databases: vec![SanitizedDatabase {
                service: "postgres".into(),
                database: "shop".into(),
                tables,
                left_out: vec!["other".into()],
                large_objects_left_out: true,
            }],
            kept: vec!["redis".into()],
            left_out: vec!["inventory".into()],
        }),
        file: "/home/ann/safe.tar.zst".into(),
        bytes: 4 << 20,
        total_seconds: 11.0,
    };
    insta::assert_snapshot!(show(&Report::SnapshotExport(export), &PLAIN));
}

#[test]
fn colours_change_no_text() {
    for report in [Report::Up(sample_up()), Report::Status(sample_status())] {
        assert_eq!(
            console::strip_ansi_codes(&show(&report, &ANSI)),
            show(&report, &PLAIN)
        );
    }
}
