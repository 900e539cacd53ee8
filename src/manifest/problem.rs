//! How the room's error enums become failures, in the order of the files.

use std::{
    collections::{BTreeSet, HashSet},
    fmt::Display,
};

use super::{source::Sources, tree::Origin};
use crate::domain::{Code, ExitClass, Failure, Place};

/// A kind of mistake in a manifest: its stable code and what to do about it.
pub(super) trait Problem: Display {
    /// The stable code.
    fn code(&self) -> &'static str;
    /// What to do next.
    fn help(&self) -> Vec<String>;

    /// The text that would mend it, in the place of the one it is about; `None` if only people know.
    fn mend(&self) -> Option<Mending> {
        None
    }

    /// Whose mistake it is: the manifest's, unless it is the command line's.
    fn class(&self) -> ExitClass {
        ExitClass::Manifest
    }

    /// The failure without its place.
    fn failure(&self) -> Failure {
        let failure = Failure::new(self.code(), self.class(), self.to_string());
        self.help().into_iter().fold(failure, Failure::help)
    }
}

/// How a mistake is mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mending {
    /// Another text in its place.
    Replace(String),
    /// A new first line of the manifest's keys.
    Insert(String),
    /// `name:` with the name of the project's directory, as a new line.
    InsertName,
}

/// A mistake, the key it is about, and where to point.
struct Finding {
    /// Empty where it is about a whole file.
    path: String,
    /// `None` where it is not about a place in a file, such as a flag's.
    origin: Option<Origin>,
    failure: Failure,
    mend: Option<Mending>,
}

/// More mistakes than this are counted, not kept: a large file of another kind has one on each line.
const MOST_KEPT: usize = 200;
/// Longer lists of what is allowed help nobody.
const MOST_LISTED: usize = 24;

/// Every mistake found so far.
#[derive(Default)]
pub(super) struct Findings {
    list: Vec<Finding>,
    /// Mistakes that were not kept.
    more: usize,
    /// The keys that were meant where others are written: that they are missing is not worth a word.
    meant: BTreeSet<String>,
}

impl Findings {
    /// Adds a mistake about the key at `path`.
    pub(super) fn add(
        &mut self,
        problem: &dyn Problem,
        path: impl Into<String>,
        origin: impl Into<Option<Origin>>,
    ) {
        if self.is_full() {
            self.more += 1;
            return;
        }
        let path = path.into();
        if self.is_meant(&path) {
            return;
        }
        let mut failure = problem.failure();
        failure.service = path
            .strip_prefix("services.")
            .and_then(|rest| rest.split(['.', '[']).next()?.parse().ok());
        self.list.push(Finding {
            path,
            origin: origin.into(),
            failure,
            mend: problem.mend(),
        });
    }

    /// Whether a key, or one above it, is written in another way: what is below is looked at when that is mended.
    fn is_meant(&self, path: &str) -> bool {
        let is_below = |meant: &String| {
            let rest = path.strip_prefix(meant.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.meant.iter().any(is_below)
    }

    /// Whether further mistakes are only counted, so that it is not worth explaining them.
    pub(super) fn is_full(&self) -> bool {
        self.list.len() >= MOST_KEPT
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.list.len() + self.more
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Notes that a mistake is a slip of the key at `path`.
    pub(super) fn note_meant(&mut self, path: &str) {
        self.meant.insert(path.to_owned());
    }

    /// The paths of all mistakes so far, and of what was meant by them.
    pub(super) fn damaged(&self) -> Damaged {
        let paths = self.list.iter().map(|finding| finding.path.clone());
        Damaged(paths.chain(self.meant.iter().cloned()).collect())
    }

    /// Adds those of `others` that are not about a key that is damaged already.
    pub(super) fn add_unless_damaged(&mut self, others: Self) {
        let damaged = self.damaged();
        self.more += others.more;
        self.meant.extend(others.meant);
        let others = others.list.into_iter();
        self.list
            .extend(others.filter(|finding| !damaged.holds(&finding.path)));
    }

    /// The mistakes that can be mended, each with the way.
    pub(super) fn mendable(&self, sources: &Sources) -> Vec<Mistake> {
        let list = self.list.iter().filter_map(|finding| {
            Some(Mistake {
                code: finding.failure.code,
                place: sources.place(finding.origin?),
                mending: finding.mend.clone()?,
            })
        });
        list.collect()
    }

    /// All mistakes in the order of the files, each once: an anchor or `defaults` brings one line
    /// to many keys.
    pub(super) fn into_failures(mut self, sources: &Sources) -> Vec<Failure> {
        self.list
            .sort_by_key(|finding| (finding.origin, finding.path.len()));
        let mut seen = HashSet::new();
        let mut failures = Vec::with_capacity(self.list.len());
        for finding in self.list {
            let leaf = finding.path.rsplit('.').next().unwrap_or_default();
            if seen.insert((finding.origin, finding.failure.code, leaf.to_owned())) {
                let place = finding.origin.map(|origin| sources.place(origin));
                failures.push(finding.failure.at(place));
            }
        }
        if let (true, Some(last)) = (self.more > 0, failures.last_mut()) {
            last.help
                .push(format!("{} more mistakes are not shown", self.more));
        }
        failures
    }
}

/// The paths of keys with mistakes.
#[derive(Default)]
pub(super) struct Damaged(BTreeSet<String>);

impl Damaged {
    /// Whether there is a mistake at `path` itself.
    pub(super) fn holds(&self, path: &str) -> bool {
        self.0.contains(path)
    }

    /// Whether nothing is wrong at `path` or below it.
    pub(super) fn spares(&self, path: &str) -> bool {
        !self
            .0
            .range(path.to_owned()..)
            .take_while(|found| found.starts_with(path))
            .any(|found| {
                let rest = &found[path.len()..];
                rest.is_empty() || rest.starts_with(['.', '['])
            })
    }
}

/// A mistake that can be mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Its code.
    pub code: Code,
    /// Where it is.
    pub place: Place,
    /// How it is mended.
    pub mending: Mending,
}

/// The candidate that `word` is most likely a slip of, unless another one is as near.
pub(super) fn nearest_alone<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    let distance = |other: &str| strsim::osa_distance(&word.to_lowercase(), &other.to_lowercase());
    let found = nearest(word, candidates.clone())?;
    let mut others = candidates.into_iter().filter(|other| *other != found);
    (!others.any(|other| distance(other) <= distance(found))).then_some(found)
}

/// The candidate that `word` is most likely a slip of, if any is near.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = word.to_lowercase();
    let room = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| {
            let distance = strsim::osa_distance(&word, &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|(distance, _)| *distance <= room)
        .min()
        .map(|(_, candidate)| candidate)
}

/// "did you mean" and the list of what is allowed.
pub(super) fn suggestions<'a>(
    word: &str,
    allowed: impl IntoIterator<Item = &'a str> + Clone,
    title: &str,
) -> Vec<String> {
    let mut help = Vec::new();
    if let Some(candidate) = nearest(word, allowed.clone()) {
        help.push(format!("did you mean `{candidate}`?"));
    }
    let list: Vec<String> = allowed
        .into_iter()
        .take(MOST_LISTED + 1)
        .map(|key| format!("`{key}`"))
        .collect();
    if (1..=MOST_LISTED).contains(&list.len()) {
        help.push(format!("{title}: {}", list.join(", ")));
    }
    help
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_near_and_another_word_is_not() {
        let keys = ["dependsOn", "replicas", "env"];
        assert_eq!(nearest("dependson", keys), Some("dependsOn"));
        assert_eq!(nearest("replica", keys), Some("replicas"));
        assert_eq!(nearest("evn", keys), Some("env"));
        assert_eq!(nearest("banana", keys), None);
        assert_eq!(nearest_alone("evn", keys), Some("env"));
        assert_eq!(nearest_alone("por", ["port", "pord"]), None);
    }
}
