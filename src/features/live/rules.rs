//! What a changed file of a service means. Pure: nothing is looked at.

use std::{
    collections::BTreeSet,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::domain::Live;

/// The rules of one service, ready to be asked. Paths are relative to [`Live::base`].
#[derive(Debug)]
pub(super) struct Rules {
    sync: Vec<Target>,
    mounts: Vec<PathBuf>,
    run: Vec<Gitignore>,
    build: Option<Gitignore>,
    rebuild: Gitignore,
}

/// Where what lies below a path goes.
#[derive(Debug)]
struct Target {
    from: PathBuf,
    /// Relative to the root of the container.
    to: PathBuf,
    ignore: Gitignore,
}

/// What is to be done about changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// None of them means anything.
    Nothing,
    /// The image is built anew.
    Rebuild(Because),
    /// A command on this machine makes what is copied.
    Build(Because),
    /// They reach the containers: by a copy, or because they are mounted there.
    Reach {
        /// Which rule says so.
        because: Because,
        /// The commands to run in the containers, by their index in [`Live::run`].
        run: BTreeSet<usize>,
    },
}

/// Why something is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Because {
    /// The key below `live` that asks for it, such as `sync[0]`.
    pub(super) key: String,
    /// One of the files that it asks for.
    pub(super) file: PathBuf,
    /// How many there are.
    pub(super) files: usize,
}

impl Rules {
    /// The rules of `live`, whose patterns the manifest has checked; one that is none matches nothing.
    pub(super) fn of(live: &Live) -> Self {
        let inside = |path: &Path| path.strip_prefix(&live.base).unwrap_or(path).to_owned();
        let sync = live.sync.iter().map(|rule| Target {
            from: inside(&rule.from),
            to: Path::new(&rule.to)
                .strip_prefix("/")
                .unwrap_or(Path::new(&rule.to))
                .to_owned(),
            ignore: patterns(&rule.ignore),
        });
        Self {
            sync: sync.collect(),
            mounts: live.mount.iter().map(|rule| inside(&rule.from)).collect(),
            run: live.run.iter().map(|rule| patterns(&rule.on)).collect(),
            build: live.build.as_ref().map(|build| patterns(&build.on)),
            rebuild: patterns(&live.rebuild),
        }
    }

    /// What changes of these files mean together. What takes longest decides: it brings the others with it.
    pub(super) fn decide<'a>(&self, files: impl Iterator<Item = &'a Path> + Clone) -> Decision {
        if let Some(because) = Because::first(files.clone(), |file| {
            matches(&self.rebuild, file).then(|| "rebuild".to_owned())
        }) {
            return Decision::Rebuild(because);
        }
        if let Some(because) = self.build.as_ref().and_then(|build| {
            Because::first(files.clone(), |file| {
                matches(build, file).then(|| "build".to_owned())
            })
        }) {
            return Decision::Build(because);
        }
        match Because::first(files.clone(), |file| self.reaches(file)) {
            Some(because) => Decision::Reach {
                because,
                run: files.flat_map(|file| self.commands(file)).collect(),
            },
            None => Decision::Nothing,
        }
    }

    fn reaches(&self, file: &Path) -> Option<String> {
        let synced = self
            .sync
            .iter()
            .position(|target| target.of(file).is_some());
        let mounted = || self.mounts.iter().position(|from| file.starts_with(from));
        synced
            .map(|index| format!("sync[{index}]"))
            .or_else(|| mounted().map(|index| format!("mount[{index}]")))
            .or_else(|| {
                self.commands(file)
                    .next()
                    .map(|index| format!("run[{index}]"))
            })
    }

    fn commands(&self, file: &Path) -> impl Iterator<Item = usize> {
        let rules = self.run.iter().enumerate();
        rules.filter_map(move |(index, on)| matches(on, file).then_some(index))
    }

    /// The places of a file in the containers, relative to their roots.
    pub(super) fn targets(&self, file: &Path) -> impl Iterator<Item = Vec<u8>> {
        self.sync.iter().filter_map(|target| target.of(file))
    }

    /// The places in the containers that are kept the same as places of this machine, relative to the roots.
    pub(super) fn roots(&self) -> impl Iterator<Item = &Path> {
        self.sync.iter().map(|target| target.to.as_path())
    }
}

impl Target {
    fn of(&self, file: &Path) -> Option<Vec<u8>> {
        let below = file.strip_prefix(&self.from).ok()?;
        if matches(&self.ignore, file) {
            return None;
        }
        // Joining nothing would leave a `/` at the end.
        let place = if below.as_os_str().is_empty() {
            self.to.clone()
        } else {
            self.to.join(below)
        };
        Some(place.as_os_str().as_bytes().to_vec())
    }
}

impl Because {
    fn first<'a>(
        files: impl Iterator<Item = &'a Path>,
        key_of: impl Fn(&Path) -> Option<String>,
    ) -> Option<Self> {
        let mut found = files.filter_map(|file| Some((file, key_of(file)?)));
        let (file, key) = found.next()?;
        Some(Self {
            key,
            file: file.to_owned(),
            files: 1 + found.count(),
        })
    }
}

fn patterns(lines: &[String]) -> Gitignore {
    let mut builder = GitignoreBuilder::new("");
    for line in lines {
        // The manifest refuses what is no pattern.
        let _ = builder.add_line(None, line);
    }
    builder.build().unwrap_or_else(|_| Gitignore::empty())
}

fn matches(patterns: &Gitignore, file: &Path) -> bool {
    !file.as_os_str().is_empty()
        && patterns
            .matched_path_or_any_parents(file, false)
            .is_ignore()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{BuildRule, MountRule, OnChange, RunRule, SyncRule};

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    fn rules() -> Rules {
        Rules::of(&Live {
            base: "/shop/order".into(),
            sync: vec![
                SyncRule {
                    from: "/shop/order/src".into(),
                    to: "/app/src".to_owned(),
                    ignore: texts(&["*.pyc"]),
                },
                SyncRule {
                    from: "/shop/order/out/order".into(),
                    to: "/order".to_owned(),
                    ignore: Vec::new(),
                },
            ],
            mount: vec![MountRule {
                from: "/shop/order/public".into(),
                to: "/public".to_owned(),
            }],
            run: vec![RunRule {
                on: texts(&["requirements.txt"]),
                command: texts(&["pip", "install"]),
            }],
            build: Some(BuildRule {
                command: texts(&["make"]),
                on: texts(&["*.go"]),
                directory: "/shop/order".into(),
            }),
            rebuild: texts(&["Dockerfile", "/deploy/"]),
            ignore: Vec::new(),
            on_change: OnChange::Nothing,
            budget: None,
        })
    }

    fn decide(files: &[&str]) -> (String, usize) {
        match rules().decide(files.iter().map(|file| Path::new(*file))) {
            Decision::Nothing => (String::new(), 0),
            Decision::Rebuild(because)
            | Decision::Build(because)
            | Decision::Reach { because, .. } => (because.key, because.files),
        }
    }

    #[test]
    fn the_rule_that_decides_is_the_one_whose_work_brings_the_others_with_it() {
        assert_eq!(decide(&["src/a.py"]), ("sync[0]".to_owned(), 1));
        assert_eq!(
            decide(&["src/a.py", "src/b.py", "x"]),
            ("sync[0]".to_owned(), 2)
        );
        assert_eq!(decide(&["src/a.py", "main.go"]), ("build".to_owned(), 1));
        assert_eq!(
            decide(&["main.go", "sub/Dockerfile"]),
            ("rebuild".to_owned(), 1)
        );
        assert_eq!(decide(&["deploy/a/b.yaml"]), ("rebuild".to_owned(), 1));
        assert_eq!(decide(&["public/index.html"]), ("mount[0]".to_owned(), 1));
        assert_eq!(decide(&["requirements.txt"]), ("run[0]".to_owned(), 1));
        assert_eq!(decide(&["README.md", "src/a.pyc"]), (String::new(), 0));
    }

    #[test]
    fn commands_are_those_of_all_files_together() {
        let files = ["src/a.py", "requirements.txt"].map(Path::new);
        let Decision::Reach { because, run } = rules().decide(files.into_iter()) else {
            panic!("they reach the containers");
        };
        assert_eq!((because.key.as_str(), because.files), ("sync[0]", 2));
        assert_eq!(run, BTreeSet::from([0]));
    }

    #[test]
    fn a_file_has_its_place_below_the_target_of_its_rule() {
        let targets = |file| rules().targets(Path::new(file)).collect::<Vec<_>>();
        assert_eq!(targets("src/a/b.py"), [b"app/src/a/b.py"]);
        assert_eq!(targets("src"), [b"app/src"]);
        assert_eq!(targets("out/order"), [b"order"]);
        assert!(targets("src/a.pyc").is_empty());
        assert!(targets("srcs/a.py").is_empty());
    }
}
