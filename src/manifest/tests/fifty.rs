//! Fifty manifests with one mistake each: every one is told once, at its place, with what mends it.

use std::fmt::Write as _;

use crate::{
    domain::Failures,
    manifest::testing::{MemoryFiles, render},
};

/// A manifest that is good, to which one thing is done.
const GOOD: &str = "\
apiVersion: devenv/v1
name: shop
cluster:
  kubernetes: '1.35'
  ports: { http: 8080, https: 8443 }
services:
  web:
    build: web
    ports: [80]
    env: { LEVEL: info }
    dependsOn: [store]
    ready: { http: /healthz, within: 30s }
    expose: shop.localhost
  store:
    image: redis:7
    volumes: [{ name: data, path: /data, size: 1Gi }]
    resources: { limits: { memory: 64Mi } }
tasks:
  test: { build: web, command: [npm, test], dependsOn: [web] }
hooks:
  afterUp: [{ service: web, command: [migrate] }]
";

/// What is written instead of what.
const MISTAKES: [(&str, &str); 50] = [
    // The form of the file.
    ("  web:\n    build", "  web\n    build"),
    ("    build: web\n", "\tbuild: web\n"),
    ("[80]", "[80"),
    ("info }", "'info }"),
    ("name: shop\n", "name: shop\nname: shop2\n"),
    ("    ports: [80]\n", "    ports: [80]\n    ports: [81]\n"),
    ("name: shop\n", "name: *shop\n"),
    // Keys and their values.
    ("apiVersion: devenv/v1\n", ""),
    ("devenv/v1", "devenv/v2"),
    ("name: shop\n", ""),
    ("name: shop\n", "name: My Shop\n"),
    ("services:", "service:"),
    ("    build: web\n", "    biuld: web\n"),
    ("dependsOn", "depends_on"),
    ("    ports: [80]\n", "    port: 80\n"),
    ("[80]", "[eighty]"),
    ("[80]", "[70000]"),
    ("[80]", "[80, 80]"),
    ("kubernetes: '1.35'", "kubernetes: latest"),
    ("http: 8080", "http: 8443"),
    ("http: 8080", "http: 0"),
    ("LEVEL: info", "LEVEL: [info]"),
    ("LEVEL: info", "'A B': info"),
    ("env: { LEVEL: info }", "env: LEVEL=info"),
    ("env: { LEVEL: info }", "env: [LEVEL=info]"),
    ("within: 30s", "within: 30"),
    ("within: 30s", "within: soon"),
    ("http: /healthz", "http: healthz"),
    ("http: /healthz", "http: /healthz, tcp: 80"),
    ("http: /healthz", "http: /healthz, port: 81x"),
    ("expose: shop.localhost", "expose: shop_localhost"),
    (
        "expose: shop.localhost",
        "expose: { host: shop.localhost, path: api }",
    ),
    ("image: redis:7", "image: 'redis: 7'"),
    ("image: redis:7", "image: redis:7\n    build: web"),
    ("    image: redis:7\n", ""),
    ("size: 1Gi", "size: 1GB"),
    ("path: /data", "path: data"),
    ("name: data", "name: Data"),
    ("memory: 64Mi", "memory: 64mb"),
    ("memory: 64Mi", "mem: 64Mi"),
    ("limits: { memory", "limits: { cpu: two, memory"),
    // What they name.
    ("build: web\n    ports", "build: wbe\n    ports"),
    ("build: web\n    ports", "build: ../web\n    ports"),
    ("build: web\n    ports", "build: /srv/web\n    ports"),
    ("dependsOn: [store]", "dependsOn: [stor]"),
    ("dependsOn: [store]", "dependsOn: [web]"),
    (
        "    image: redis:7\n",
        "    image: redis:7\n    dependsOn: [web]\n",
    ),
    ("service: web", "service: wbe"),
    ("    env: { LEVEL: info }\n", "    secrets: [.env.web]\n"),
    ("command: [migrate]", "command: []"),
];

fn files(manifest: &str) -> MemoryFiles {
    MemoryFiles::with_manifest(manifest).file("web/Dockerfile", "FROM scratch\n")
}

#[test]
fn each_of_fifty_mistakes_is_told_once_with_its_place_and_its_mend() {
    files(GOOD).load().map_err(|f| render(&f)).unwrap();
    let (mut all, mut wrong) = (String::new(), Vec::new());
    for (good, bad) in MISTAKES {
        assert!(GOOD.contains(good), "{good}");
        let manifest = GOOD.replacen(good, bad, 1);
        let told = match files(&manifest).load() {
            Ok(_) => "nothing".to_owned(),
            Err(failures) => {
                if !is_plain(&failures) {
                    wrong.push(bad);
                }
                render(&failures)
            }
        };
        if told == "nothing" {
            wrong.push(bad);
        }
        writeln!(all, "===== {bad:?}\n{}", told.trim_end()).unwrap();
    }
    insta::assert_snapshot!("fifty", all);
    assert_eq!(wrong, [""; 0]);
}

/// Whether there is one failure, with its place and what mends it: by itself, or as it says what must be written.
fn is_plain(failures: &Failures) -> bool {
    let list: Vec<_> = failures.iter().collect();
    let [failure] = list.as_slice() else {
        return false;
    };
    let says_what = failure.what.contains(" must ") || failure.what.contains("only ");
    failure.place.is_some() && (says_what || !failure.help.is_empty())
}
