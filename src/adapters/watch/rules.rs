//! Which paths are not watched.
//!
//! From the strongest to the weakest: `.git` and the temporary files of editors, never; the patterns of the manifest,
//! whose `!` brings back what a weaker rule leaves out; the `.dockerignore` of a build context; the `.gitignore`
//! files from the path's directory up to the repository's root, of which those above the watched tree are read when
//! everything is looked at. Below a directory that is left out nothing is brought back, as git has it.

use std::{
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use ignore::{
    Match,
    gitignore::{Gitignore, GitignoreBuilder},
};

use super::{WatchError, disk};
use crate::adapters::context::{Covered, IgnoreRules};

/// What a tree leaves out beside what git ignores.
#[derive(Debug, Clone, Default)]
pub struct Ignore {
    patterns: Vec<String>,
    docker: Option<DockerRules>,
}

#[derive(Debug, Clone)]
struct DockerRules {
    /// The context directory, at which the patterns are anchored.
    context: PathBuf,
    rules: IgnoreRules,
}

impl Ignore {
    /// Patterns as in a `.gitignore` at the tree's root.
    pub fn patterns(patterns: Vec<String>) -> Result<Self, WatchError> {
        compile(Path::new("/"), &patterns)?;
        Ok(Self {
            patterns,
            docker: None,
        })
    }

    /// Leaves out as well what is not sent to a build in `context`, an absolute path without links.
    #[must_use]
    pub fn and_of_context(mut self, context: PathBuf, rules: IgnoreRules) -> Self {
        self.docker = Some(DockerRules { context, rules });
        self
    }
}

/// Whether a path is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Watched,
    Ignored,
}

/// What a rule may ask of a path's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Directory,
    Other,
}

/// The rules of a tree that hold in all its directories.
#[derive(Debug)]
pub(super) struct Rules {
    root: PathBuf,
    patterns: Gitignore,
    docker: Option<DockerRules>,
}

/// The rules that hold in one directory.
#[derive(Debug)]
pub(super) struct Scope {
    outer: Option<Arc<Scope>>,
    text: Option<Vec<u8>>,
    git: Gitignore,
    covered: Option<Covered>,
}

impl Scope {
    /// Whether its `.gitignore` has this text.
    pub(super) fn is_of(&self, text: Option<&[u8]>) -> bool {
        self.text.as_deref() == text
    }
}

impl Rules {
    pub(super) fn new(root: PathBuf, ignore: Ignore) -> Result<Self, WatchError> {
        Ok(Self {
            patterns: compile(&root, &ignore.patterns)?,
            docker: ignore.docker,
            root,
        })
    }

    /// The rules in the tree's root, whose `.gitignore` has the given text.
    pub(super) fn top(&self, text: Option<Vec<u8>>) -> Scope {
        let mut outer = None;
        for directory in above(&self.root) {
            let text = disk::rules_at(&directory.join(disk::GITIGNORE));
            outer = Some(Arc::new(Scope {
                git: parse(directory, text.as_deref()),
                text,
                covered: None,
                outer,
            }));
        }
        Scope {
            git: parse(&self.root, text.as_deref()),
            text,
            covered: self.covered_top(),
            outer,
        }
    }

    /// The rules in a directory, relative to the root.
    pub(super) fn below(
        &self,
        outer: &Arc<Scope>,
        directory: &Path,
        text: Option<Vec<u8>>,
    ) -> Scope {
        let directory = self.root.join(directory);
        Scope {
            git: parse(&directory, text.as_deref()),
            text,
            covered: self.covered(&directory, outer.covered.as_ref()),
            outer: Some(Arc::clone(outer)),
        }
    }

    /// Whether a path, relative to the root, in a directory with the given rules is watched.
    pub(super) fn verdict(&self, scope: &Scope, path: &Path, form: Form) -> Verdict {
        if is_never_watched(path, form) {
            return Verdict::Ignored;
        }
        let absolute = self.root.join(path);
        let is_directory = form == Form::Directory;
        match self.patterns.matched(&absolute, is_directory) {
            Match::Ignore(_) => return Verdict::Ignored,
            Match::Whitelist(_) => return Verdict::Watched,
            Match::None => {}
        }
        if self.is_not_sent(scope, &absolute, form) {
            return Verdict::Ignored;
        }
        let mut inner = Some(scope);
        while let Some(scope) = inner {
            match scope.git.matched(&absolute, is_directory) {
                Match::Ignore(_) => return Verdict::Ignored,
                Match::Whitelist(_) => return Verdict::Watched,
                Match::None => inner = scope.outer.as_deref(),
            }
        }
        Verdict::Watched
    }

    fn is_not_sent(&self, scope: &Scope, absolute: &Path, form: Form) -> bool {
        let (Some(docker), Some(covered)) = (&self.docker, &scope.covered) else {
            return false;
        };
        let Ok(path) = absolute.strip_prefix(&docker.context) else {
            return false;
        };
        let (excluded, covered) = docker.rules.check(path, covered);
        let may_hold_more =
            form == Form::Directory && docker.rules.may_bring_back_below(path, &covered);
        excluded && !may_hold_more
    }

    /// Which docker rules cover the tree's root.
    fn covered_top(&self) -> Option<Covered> {
        let docker = self.docker.as_ref()?;
        let below = self.root.strip_prefix(&docker.context).ok()?;
        let mut covered = docker.rules.root();
        let mut path = PathBuf::new();
        for name in below {
            path.push(name);
            (_, covered) = docker.rules.check(&path, &covered);
        }
        Some(covered)
    }

    /// Which docker rules cover a directory.
    fn covered(&self, directory: &Path, outer: Option<&Covered>) -> Option<Covered> {
        let docker = self.docker.as_ref()?;
        let path = directory.strip_prefix(&docker.context).ok()?;
        Some(match outer {
            Some(outer) => docker.rules.check(path, outer).1,
            None => docker.rules.root(),
        })
    }
}

fn compile(root: &Path, patterns: &[String]) -> Result<Gitignore, WatchError> {
    let bad = |pattern: &str, error: &ignore::Error| WatchError::BadPattern {
        pattern: pattern.to_owned(),
        reason: error.to_string(),
    };
    let mut builder = GitignoreBuilder::new(root);
    builder.allow_unclosed_class(false);
    for pattern in patterns {
        builder
            .add_line(None, pattern)
            .map_err(|error| bad(pattern, &error))?;
    }
    builder
        .build()
        .map_err(|error| bad(&patterns.join(" "), &error))
}

/// The rules of a `.gitignore`; lines that are no patterns are left out, as git does.
fn parse(directory: &Path, text: Option<&[u8]>) -> Gitignore {
    let Some(text) = text else {
        return Gitignore::empty();
    };
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    let mut builder = GitignoreBuilder::new(directory);
    for line in text.split(|byte| *byte == b'\n') {
        if let Ok(line) = std::str::from_utf8(line) {
            let _ = builder.add_line(None, line);
        }
    }
    builder.build().unwrap_or_else(|_| Gitignore::empty())
}

/// The directories above `root` whose rules hold in it, the outermost first: those of its repository.
fn above(root: &Path) -> Vec<&Path> {
    let is_top = |directory: &Path| {
        !matches!(
            disk::look(&directory.join(".git")),
            Ok(disk::Found::Absent) | Err(_)
        )
    };
    let Some(depth) = root.ancestors().position(is_top) else {
        return Vec::new();
    };
    let mut above: Vec<&Path> = root.ancestors().skip(1).take(depth).collect();
    above.reverse();
    above
}

/// Git's own directory, and what editors write beside a file while they save it.
fn is_never_watched(path: &Path, form: Form) -> bool {
    let Some(name) = path.file_name().map(std::ffi::OsStr::as_bytes) else {
        return false;
    };
    name == b".git" || (form == Form::Other && is_of_an_editor(name))
}

fn is_of_an_editor(name: &[u8]) -> bool {
    // vim tries with this name whether it may write.
    let is_probe = name == b"4913";
    let is_swap = name.starts_with(b".") && name.len() > 4 && is_swap_end(&name[name.len() - 4..]);
    let is_emacs = name.starts_with(b".#")
        || (name.len() > 1 && name.starts_with(b"#") && name.ends_with(b"#"));
    let is_jetbrains = name.ends_with(b"___jb_tmp___") || name.ends_with(b"___jb_old___");
    is_probe || is_swap || is_emacs || is_jetbrains || name.ends_with(b"~")
}

fn is_swap_end(end: &[u8]) -> bool {
    end.starts_with(b".sw")
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::disallowed_methods,
        reason = "the tests change files as other programs do"
    )]

    use std::fs;

    use super::*;

    fn rules(root: &str, patterns: &[&str]) -> Rules {
        let patterns = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        Rules::new(root.into(), Ignore::patterns(patterns).unwrap()).unwrap()
    }

    fn is_ignored(rules: &Rules, scope: &Scope, path: &str) -> bool {
        let form = if path.ends_with('/') {
            Form::Directory
        } else {
            Form::Other
        };
        let path = Path::new(path.trim_end_matches('/'));
        rules.verdict(scope, path, form) == Verdict::Ignored
    }

    #[test]
    fn git_and_what_editors_leave_are_never_watched() {
        let rules = rules("/r", &["!.git", "!*~"]);
        let top = rules.top(None);
        for path in [
            ".git/",
            ".git",
            "a/.git/",
            "4913",
            "a.py~",
            ".a.py.swp",
            ".a.py.swx",
            "a/.#b",
            "#b#",
            "b.py___jb_tmp___",
            "b.py___jb_old___",
        ] {
            assert!(is_ignored(&rules, &top, path), "{path}");
        }
        for path in [
            "4913/",
            ".github/",
            ".gitignore",
            "a.swp",
            "#b",
            ".env",
            "49130",
            "~a",
            ".swp",
        ] {
            assert!(!is_ignored(&rules, &top, path), "{path}");
        }
    }

    #[test]
    fn the_innermost_gitignore_has_the_last_word() {
        let rules = rules("/r", &[]);
        let top = Arc::new(rules.top(Some(b"*.log\n/build/\n\xff\n[".to_vec())));
        let below = rules.below(&top, Path::new("a"), Some(b"!keep.log\n/local\n".to_vec()));
        assert!(is_ignored(&rules, &top, "keep.log"));
        assert!(is_ignored(&rules, &top, "build/"));
        assert!(!is_ignored(&rules, &top, "build"));
        assert!(!is_ignored(&rules, &below, "a/keep.log"));
        assert!(is_ignored(&rules, &below, "a/other.log"));
        assert!(is_ignored(&rules, &below, "a/local"));
        assert!(!is_ignored(&rules, &top, "local"));
    }

    #[test]
    fn the_manifest_has_precedence_over_git_and_docker() {
        let docker = IgnoreRules::parse("dist\nsecret").unwrap();
        let ignore = Ignore::patterns(vec!["!dist/".into(), "docs/".into()]).unwrap();
        let rules = Rules::new("/r".into(), ignore.and_of_context("/r".into(), docker)).unwrap();
        let top = rules.top(Some(b"dist/\n!docs/".to_vec()));
        assert!(!is_ignored(&rules, &top, "dist/"));
        assert!(is_ignored(&rules, &top, "docs/"));
        assert!(is_ignored(&rules, &top, "secret"));
    }

    #[test]
    fn a_dockerignore_is_anchored_at_its_context_wherever_the_tree_begins() {
        let docker = || IgnoreRules::parse("*\n!src\nsrc/gen").unwrap();
        let of = |root: &str| {
            let ignore = Ignore::default().and_of_context("/r/app".into(), docker());
            Rules::new(root.into(), ignore).unwrap()
        };
        let same = of("/r/app");
        let top = Arc::new(same.top(None));
        assert!(is_ignored(&same, &top, "other/"));
        assert!(!is_ignored(&same, &top, "src/"));
        let src = same.below(&top, Path::new("src"), None);
        assert!(is_ignored(&same, &src, "src/gen/"));
        assert!(!is_ignored(&same, &src, "src/main.py"));

        let inner = of("/r/app/src");
        let top = inner.top(None);
        assert!(is_ignored(&inner, &top, "gen/"));
        assert!(!is_ignored(&inner, &top, "main.py"));

        let outer = of("/r");
        let top = Arc::new(outer.top(None));
        assert!(!is_ignored(&outer, &top, "other/"));
        let app = outer.below(&top, Path::new("app"), None);
        assert!(is_ignored(&outer, &app, "app/other/"));
        assert!(!is_ignored(&outer, &app, "app/src/"));
    }

    #[test]
    fn rules_above_the_tree_hold_up_to_the_root_of_its_repository() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("repo/services/order");
        fs::create_dir_all(&root).unwrap();
        fs::create_dir(home.path().join("repo/.git")).unwrap();
        fs::write(home.path().join(".gitignore"), "outside").unwrap();
        fs::write(
            home.path().join("repo/.gitignore"),
            "*.pyc\n/services/order/out",
        )
        .unwrap();
        let rules = rules(root.to_str().unwrap(), &[]);
        let top = rules.top(None);
        assert!(is_ignored(&rules, &top, "a.pyc"));
        assert!(is_ignored(&rules, &top, "out/"));
        assert!(!is_ignored(&rules, &top, "outside"));
    }

    #[test]
    fn a_pattern_that_is_none_is_named() {
        let error = Ignore::patterns(vec!["ok".into(), "a[".into()]).unwrap_err();
        assert!(error.to_string().contains("a["), "{error}");
    }

    #[test]
    fn names_are_bytes() {
        use std::os::unix::ffi::OsStrExt as _;
        let rules = rules("/r", &["*.log"]);
        let top = rules.top(None);
        let name = |bytes: &'static [u8]| Path::new(std::ffi::OsStr::from_bytes(bytes));
        assert_eq!(
            rules.verdict(&top, name(b"\xff.log"), Form::Other),
            Verdict::Ignored
        );
        assert_eq!(
            rules.verdict(&top, name(b"\xff.py"), Form::Other),
            Verdict::Watched
        );
    }
}
