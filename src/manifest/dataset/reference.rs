//! The JSON Schema and the reference page of datasets, from the key types.

use serde_json::Value;

use super::types::DatasetKeys;
use crate::manifest;

const FILE: &str = "dataset.yaml";
const INTRODUCTION: &str = r#"# Datasets

A dataset is named data for an environment: a directory `datasets/<name>/` of the project with a `dataset.yaml` and the
files that it names. This page lists its keys; it is generated from the types that read them. The same as a JSON Schema,
for editors: [dataset.schema.json](schema/dataset.schema.json).

```yaml
description: Checkout with stock at its limit.
extends: base                      # loaded first; or `snapshot: NAME` to begin with one
variables: { customer: ann, count: 12 }
steps:
  - { service: postgres, sql: orders.sql, user: shop, database: shop }
  - { service: postgres, csv: orders.csv, table: orders, user: shop, database: shop }
  - { service: redis, redis: { text: "SET greeting 'hello ${customer}'" } }
  - { service: redis, command: [redis-cli, --pipe], stdin: keys.txt, within: 30s }
  - { service: inventory, files: images, to: /data/images, owner: "1000:1000" }
  - { service: gateway, http: { path: /api/users, bodyFile: user.json, expect: 201 }, template: true }
check:
  - { service: postgres, sql: select count(*) from orders, user: shop, database: shop, equals: "${count}" }
  - { service: gateway, http: { path: /api/orders }, contains: "${customer}" }
```

Unknown keys are errors. All mistakes of a dataset and of those it extends are reported at once; [errors.md](errors.md)
explains each kind. YAML anchors, aliases and merge keys (`<<`) work.

- **Files** are relative to the dataset's directory and stay inside it; symbolic links are refused. A dataset is complete
  in itself.
- **Variables** are those of the dataset itself, not of those it extends. `${name}` stands for a value in every text of
  `steps` and `check`, and in the files of steps that say `template: true`; `$${` is a `${` that is meant as it is. A text
  that is one variable and nothing else is what the variable was written as, so that it can be a number. Values are put in
  as they are: nothing is quoted for SQL, JSON or a shell.
- **Services** are those of the environment. One that a profile's `only` leaves out cannot be loaded into.
- **The same data**: a dataset has a hash of its steps, checks and variables, of the bytes of its files, and of the
  datasets that it extends. It is the same on every machine; descriptions, time limits, comments and the order of keys
  are not part of it.
- **Again**: what a dataset came to is kept, and the next load or reset copies it and asks its checks instead of
  carrying out its steps again. It counts as long as the dataset, the snapshot that it begins with and all services are
  made of the same, images and settings included. The last three that were loaded are kept, until `devenv down
  --volumes`. A dataset is not kept that has steps other than `http` for services without volumes.

A profile names the dataset that belongs to it with `dataset:`, see [the manifest](manifest.md#profile).
"#;

/// The JSON Schema of `dataset.yaml` (draft 2020-12), short forms included.
pub fn schema() -> Value {
    manifest::schema::of_file::<DatasetKeys>(FILE)
}

/// The reference page of datasets, in Markdown.
pub fn reference() -> String {
    manifest::reference::of_file::<DatasetKeys>(FILE, INTRODUCTION)
}
