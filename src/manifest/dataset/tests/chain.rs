//! Datasets that extend others.

use super::{bad, good, project};
use crate::domain::DatasetBase;

#[test]
fn what_a_dataset_extends_is_loaded_before_it() {
    let files = project("extends: middle\n")
        .file("datasets/middle/dataset.yaml", "extends: bottom\n")
        .file("datasets/bottom/dataset.yaml", "snapshot: yesterday\n");
    let chain = good(&files, "limit");
    let names: Vec<&str> = chain.iter().map(|dataset| dataset.name.as_str()).collect();
    assert_eq!(names, ["bottom", "middle", "limit"]);
    let snapshot = chain.snapshot().map(ToString::to_string);
    assert_eq!(snapshot.as_deref(), Some("yesterday"));
    assert_eq!(good(&files, "base").snapshot(), None);
    assert_eq!(good(&files, "base").top.base, DatasetBase::Empty);
}

#[test]
fn a_dataset_has_its_own_variables_and_not_those_below_it() {
    let files = project("extends: middle\nsteps: [{ service: redis, command: ['${a}'] }]\n").file(
        "datasets/middle/dataset.yaml",
        "variables: { a: 1 }\nsteps: [{ service: redis, command: ['${a}'] }]\n",
    );
    let said = bad(&files, "limit");
    assert!(
        said.starts_with("datasets/limit/dataset.yaml:2:38 dataset.unknown-variable `${a}`"),
        "{said}"
    );
}

#[test]
fn mistakes_of_all_datasets_are_told_at_once_and_do_not_hide_each_other() {
    let files = project("extends: middle\nsteps:\n  - { service: redis, rediss: a }\n").file(
        "datasets/middle/dataset.yaml",
        "extends: bse\nsteps:\n  - { service: redis, redis: nothing.redis }\n",
    );
    assert_eq!(
        bad(&files, "limit"),
        "datasets/limit/dataset.yaml:3:23 manifest.unknown-key `steps[0].rediss` is not a known key\n  \
         did you mean `redis`?\n  \
         allowed here: `client`, `columns`, `command`, `csv`, `database`, `delimiter`, `files`, `http`, `mode`, \
         `owner`, `redis`, `service`, `sql`, `stdin`, `table`, `template`, `to`, `user`, `within`\n\
         datasets/middle/dataset.yaml:1:10 dataset.not-found there is no dataset `bse`\n  \
         did you mean `base`?\n  \
         datasets: `base`, `limit`, `middle`\n\
         datasets/middle/dataset.yaml:3:30 manifest.path-missing `steps[0].redis.file` names a file that does not \
         exist: `nothing.redis`\n  \
         paths are relative to the dataset's directory\n"
    );
}

#[test]
fn a_circle_is_shown_where_it_closes() {
    let files = project("extends: middle\n")
        .file("datasets/middle/dataset.yaml", "extends: lower\n")
        .file("datasets/lower/dataset.yaml", "extends: middle\n");
    assert_eq!(
        bad(&files, "limit"),
        "datasets/lower/dataset.yaml:1:10 dataset.cycle datasets extend each other in a circle: \
         middle -> lower -> middle\n  remove one of these `extends`\n"
    );
    let alone = project("extends: limit\n");
    assert!(bad(&alone, "limit").contains("circle: limit -> limit"));
}

#[test]
fn a_dataset_that_is_not_there_is_looked_for_among_the_others() {
    assert_eq!(
        bad(&project("steps: []\n"), "limt"),
        "- dataset.not-found there is no dataset `limt`\n  did you mean `limit`?\n  datasets: `base`, `limit`\n"
    );
    let none = crate::manifest::testing::MemoryFiles::with_manifest(super::MANIFEST)
        .file("charts/search/Chart.yaml", "");
    assert_eq!(
        bad(&none, "base"),
        "- dataset.not-found there is no dataset `base`\n  write it to `datasets/base/dataset.yaml`\n"
    );
}
