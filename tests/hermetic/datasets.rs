//! Datasets on a disk: with links, and the same wherever they lie.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use devenv::{
    adapters::files::{self, Project},
    domain::{DatasetChain, Failures},
    manifest::{self, Request, dataset},
};
use tempfile::TempDir;

const MANIFEST: &str = "\
apiVersion: devenv/v1
name: shop
services:
  web: { image: web:1, volumes: [{ name: data, path: /data }] }
";
const DATASET: &str = "\
steps:
  - { service: web, command: [cat], stdin: seed.bin }
  - { service: web, files: images, to: /data/images }
";

/// A project of its own directory with a dataset `base`.
fn project() -> TempDir {
    let home = tempfile::tempdir().expect("a directory");
    let write = |path: &str, bytes: &[u8]| {
        let path = home.path().join(path);
        files::create_dir(path.parent().expect("a parent")).expect("directories");
        files::write_shared(&path, bytes).expect("a file");
    };
    write("devenv.yaml", MANIFEST.as_bytes());
    write("datasets/base/dataset.yaml", DATASET.as_bytes());
    write("datasets/base/seed.bin", &[0, 255, 10]);
    write("datasets/base/images/a.png", &vec![1; 100_000]);
    write("datasets/base/images/more/b.png", b"b");
    home
}

fn below(home: &TempDir, path: &str) -> PathBuf {
    home.path().join("datasets/base").join(path)
}

fn load(directory: &Path) -> Result<DatasetChain, Failures> {
    let files = Project::new(directory.to_owned());
    let request = Request {
        directory: directory.to_owned(),
        ..Request::default()
    };
    let environment = manifest::load(&request, &files)?.environment;
    dataset::load(&"base".parse().expect("a name"), &environment, &files)
}

fn hash(home: &TempDir) -> String {
    let chain = load(home.path()).expect("a good dataset");
    let files = Project::new(home.path().to_owned());
    let hash = dataset::hash(&chain, &files).expect("files that can be read");
    hash.as_str().to_owned()
}

#[test]
fn a_dataset_has_the_same_hash_wherever_it_lies_and_whoever_may_write_it() {
    let (here, there) = (project(), project());
    let mode = fs::Permissions::from_mode(0o700);
    fs::set_permissions(below(&there, "images/a.png"), mode).expect("a mode");
    files::create_dir(&below(&there, "images/empty")).expect("a directory");
    assert_eq!(hash(&here), hash(&there));
    let mut bytes = vec![1; 100_000];
    bytes[70_000] = 2;
    files::write_shared(&below(&there, "images/a.png"), &bytes).expect("a file");
    assert_ne!(hash(&here), hash(&there));
}

#[test]
fn links_out_of_a_dataset_are_refused_wherever_they_are() {
    let home = project();
    let outside = home.path().join("secret");
    files::write_shared(&outside, b"secret").expect("a file");
    files::remove_file(&below(&home, "seed.bin")).expect("removed");
    symlink(&outside, below(&home, "seed.bin")).expect("a link");
    symlink(home.path(), below(&home, "images/more/all")).expect("a link");
    let failures = load(home.path()).expect_err("links");
    let said: Vec<String> = failures.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "`steps[0].stdin.file` cannot take `seed.bin`: it is a symbolic link",
            "`steps[1].files` cannot take `images/more/all`: it is a symbolic link",
        ]
    );
}

#[test]
fn a_link_that_came_after_the_check_is_not_followed_by_the_hash() {
    let home = project();
    let chain = load(home.path()).expect("a good dataset");
    files::remove_tree(&below(&home, "images")).expect("removed");
    symlink("/etc", below(&home, "images")).expect("a link");
    let files = Project::new(home.path().to_owned());
    let failure = dataset::hash(&chain, &files).expect_err("a link");
    assert_eq!(failure.code.0, "dataset.unreadable");
    assert_eq!(failure.why, ["it is a symbolic link"]);
}
