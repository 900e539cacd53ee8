//! Datasets as a whole: good ones resolve, bad ones are explained, and the same data has the same hash.

mod bad;
mod chain;
mod documents;
mod good;
mod hash;
mod properties;

use std::io;

use crate::{
    domain::{DatasetChain, Environment, Failures},
    manifest::{
        dataset::load,
        testing::{MemoryFiles, render},
    },
};

const MANIFEST: &str = "\
apiVersion: devenv/v1
name: shop
services:
  postgres: { image: postgres:16, ports: [5432] }
  redis: { image: redis:7, ports: [6379] }
  inventory: { image: inventory:1, volumes: [{ name: data, path: /data/ }] }
  gateway: { image: gateway:1, ports: [{ name: dns, port: 53, protocol: UDP }, { name: http, port: 8080 }, { name: admin, port: 9090 }] }
  idle: { image: idle:1, replicas: 0 }
  worker: { image: worker:1 }
  search: { chart: { path: charts/search } }
";

/// A project whose dataset `limit` is `text`, with the files that the fixtures name.
fn project(text: &str) -> MemoryFiles {
    let below = |path: &str| format!("datasets/limit/{path}");
    MemoryFiles::with_manifest(MANIFEST)
        .file("charts/search/Chart.yaml", "")
        .file("datasets/base/dataset.yaml", "description: Below all.\n")
        .file(&below("dataset.yaml"), text)
        .file(&below("orders.sql"), "insert into orders values (1);\n")
        .file(&below("orders.csv"), "id,amount\n1,2\n")
        .file(&below("rows/orders.csv"), "id,amount\n1,2\n")
        .file(&below("keys.redis"), "SET customer ${customer}\n")
        .file(
            &below("keys.template"),
            "SET a ${customer}\nSET b ${custmer}\nSET c ${\n",
        )
        .file(&below("user.json"), "{\"name\": \"${customer}\"}\n")
        .file(&below("images/a.png"), "a")
        .file(&below("images/more/b.png"), "b")
        .file(&below("with-links/a.png"), "a")
        .link(&below("with-links/b.png"))
        .link(&below("with-links/more/c.png"))
        .directory(&below("hollow"))
        .link(&below("link.sql"))
        .link(&below("linked"))
        .broken(&below("binary.redis"), io::ErrorKind::InvalidData)
        .broken(&below("locked.redis"), io::ErrorKind::PermissionDenied)
}

fn environment(files: &MemoryFiles, profiles: &[&str]) -> Environment {
    let loaded = files.load_with(profiles, &[]);
    loaded.map_err(|f| render(&f)).unwrap().environment
}

fn loaded(files: &MemoryFiles, name: &str) -> Result<DatasetChain, Failures> {
    load(&name.parse().unwrap(), &environment(files, &[]), files)
}

fn good(files: &MemoryFiles, name: &str) -> DatasetChain {
    loaded(files, name).map_err(|f| render(&f)).unwrap()
}

fn bad(files: &MemoryFiles, name: &str) -> String {
    render(&loaded(files, name).unwrap_err())
}
