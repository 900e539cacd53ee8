//! `live` and `debug`: what they come to, and where their paths lead.

use std::path::PathBuf;

use crate::{
    domain::{DebugRuntime, Live, OnChange, ReloadBy, ServiceName, Signal, Workload},
    manifest::testing::{MemoryFiles, render},
};

/// A project with a built service whose keys after `build` are `keys`.
fn project(keys: &str) -> MemoryFiles {
    let text = format!(
        "apiVersion: devenv/v1\nname: shop\nservices:\n  order:\n    build: services/order\n{keys}"
    );
    MemoryFiles::with_manifest(&text)
        .file("services/order/Dockerfile", "")
        .file("services/order/src/lib/order.py", "")
        .file("services/order/templates/mail.txt", "")
}

fn order(files: &MemoryFiles, profiles: &[&str], sets: &[&str]) -> Workload {
    let loaded = files.load_with(profiles, sets);
    let environment = loaded.map_err(|f| render(&f)).unwrap().environment;
    let name: ServiceName = "order".parse().unwrap();
    environment.services[&name].workload().unwrap().clone()
}

fn live(keys: &str) -> Live {
    let keys = format!("    live: {keys}\n");
    order(&project(&keys), &[], &[]).live.unwrap()
}

fn refused(keys: &str) -> String {
    render(&project(keys).load().unwrap_err())
}

#[test]
fn a_service_without_the_keys_follows_nothing_and_has_no_debugger() {
    let order = order(&project(""), &[], &[]);
    assert_eq!((order.live, order.debug), (None, None));
}

#[test]
fn a_change_restarts_the_process_unless_the_manifest_says_otherwise() {
    let restart = |signal, millis| OnChange::Restart {
        signal,
        grace: std::time::Duration::from_millis(millis),
    };
    let on_change = |keys: &str| live(&format!("{{ sync: [src:/src]{keys} }}")).on_change;
    assert_eq!(on_change(""), restart(Signal::Terminate, 2_000));
    assert_eq!(
        on_change(", signal: SIGQUIT, grace: 100ms"),
        restart(Signal::Quit, 100)
    );
    assert_eq!(on_change(", onChange: none"), OnChange::Nothing);
    assert_eq!(
        on_change(", onChange: reload, reload: { signal: SIGHUP }"),
        OnChange::Reload(ReloadBy::Signal(Signal::Hangup))
    );
    assert_eq!(
        on_change(", onChange: reload, reload: { command: [nginx, -s, reload] }"),
        OnChange::Reload(ReloadBy::Command(
            ["nginx", "-s", "reload"].map(str::to_owned).into()
        ))
    );
}

#[test]
fn paths_are_relative_to_the_build_context_and_to_the_project_where_there_is_none() {
    let built = live("{ sync: [src:/app/src], build: { command: make, on: Makefile } }");
    assert_eq!(built.base, PathBuf::from("/project/services/order"));
    assert_eq!(built.sync[0].from, built.base.join("src"));
    assert_eq!(built.build.unwrap().directory, built.base);
    let text = "apiVersion: devenv/v1\nname: shop\nservices: { order: { image: redis, command: [redis-server], live: { mount: [./conf:/etc/x] } } }\n";
    let files = MemoryFiles::with_manifest(text).file("conf/redis.conf", "");
    let taken = order(&files, &[], &[]).live.unwrap();
    assert_eq!(taken.base, PathBuf::from("/project"));
    assert_eq!(taken.mount[0].from, PathBuf::from("/project/conf"));
}

#[test]
fn a_short_form_means_the_same_as_what_it_is_short_for() {
    let short = live(
        "{ sync: [src:/app/src], mount: [templates:/t], run: [{ on: a, command: make x }], build: { command: make, on: b } }",
    );
    let long = live(
        "{ sync: [{ from: src, to: /app/src }], mount: [{ from: templates, to: /t }], \
         run: [{ on: [a], command: [sh, -c, make x] }], build: { command: [sh, -c, make], on: [b], directory: . } }",
    );
    assert_eq!(short, long);
}

#[test]
fn what_a_build_on_this_machine_writes_need_not_be_there_yet() {
    let keys = "{ build: { command: [go, build], on: '*.go' }, sync: [out/order:/order] }";
    let from = &live(keys).sync[0].from;
    assert_eq!(from, &PathBuf::from("/project/services/order/out/order"));
    let said = refused("    live: { sync: [out/order:/order] }\n");
    assert!(said.contains("manifest.path-missing"), "{said}");
}

#[test]
fn a_path_that_is_not_there_is_told_the_one_that_is() {
    let said = refused("    live: { sync: [src/libs:/lib, scr/lib:/l], mount: [template:/t] }\n");
    for similar in ["src/lib", "src", "templates"] {
        assert!(
            said.contains(&format!("did you mean `{similar}`?")),
            "{said}"
        );
    }
    assert!(said.contains("`services/order/src/libs`"), "{said}");
}

#[test]
fn an_unknown_signal_is_answered_with_all_that_there_are() {
    let said = refused("    live: { sync: [src:/src], signal: SIGTREM }\n");
    for signal in Signal::ALL {
        assert!(said.contains(&format!("`{signal}`")), "{said}");
    }
    assert!(said.contains("did you mean `SIGTERM`?"), "{said}");
}

#[test]
fn every_rule_knows_its_line() {
    let keys = "    live:\n      sync:\n        - src:/src\n        - { from: templates, to: /t }\n      run:\n        - { on: a, command: b }\n      rebuild:\n        - Dockerfile\n      onChange: none\n";
    let environment = project(keys).load().unwrap().environment;
    let line = |path: &str| {
        let path = format!("services.order.live.{path}");
        environment.provenance.place(&path).unwrap().line
    };
    assert_eq!(line("sync[0]"), 8);
    assert_eq!(line("sync[1]"), 9);
    assert_eq!(line("run[0]"), 11);
    assert_eq!(line("rebuild[0]"), 13);
    assert_eq!(line("onChange"), 14);
    assert_eq!(line("grace"), 6);
}

#[test]
fn layers_merge_the_keys_and_replace_the_lists() {
    let files = project("    live: { sync: [src:/src], ignore: [tests/], budget: 1s }\n    debug: { runtime: node }\n")
        .file(
            "profiles/p.yaml",
            "services: { order: { live: { sync: [templates:/t], budget: null }, debug: { port: 1000 } } }",
        )
        .file(
            "devenv.local.yaml",
            "services: { order: { live: { onChange: none } } }",
        );
    let order = order(
        &files,
        &["p"],
        &[
            "services.order.live.ignore=[docs/]",
            "services.order.live.sync[0].to=/u",
        ],
    );
    let live = order.live.unwrap();
    assert_eq!(live.sync.len(), 1);
    assert!(live.sync[0].from.ends_with("templates") && live.sync[0].to == "/u");
    assert_eq!((live.budget, live.on_change), (None, OnChange::Nothing));
    assert_eq!(live.ignore, ["docs/"]);
    let debug = order.debug.unwrap();
    assert_eq!(
        (debug.runtime, debug.port.get()),
        (DebugRuntime::Node, 1000)
    );
}

#[test]
fn a_layer_can_take_the_keys_away() {
    let files = project("    live: { sync: [src:/src] }\n    debug: { runtime: go }\n").file(
        "devenv.local.yaml",
        "services: { order: { live: null, debug: null } }",
    );
    let order = order(&files, &[], &[]);
    assert_eq!((order.live, order.debug), (None, None));
}

#[test]
fn a_debugger_listens_on_the_usual_port_of_its_runtime() {
    for (runtime, usual) in [
        ("node", 9229),
        ("python", 5678),
        ("go", 2345),
        ("jvm", 5005),
    ] {
        let keys = format!("    debug: {{ runtime: {runtime} }}\n");
        let debug = order(&project(&keys), &[], &[]).debug.unwrap();
        assert_eq!(debug.port.get(), usual, "{runtime}");
        assert_eq!(debug.command, [""; 0]);
    }
}
