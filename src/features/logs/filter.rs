//! Which lines are wanted, by what they say.

use std::collections::BTreeMap;

use regex::Regex;

use super::Source;
use crate::domain::{LogLevel, Said};

/// What a line must be to be shown.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this level or above.
    pub level: Option<LogLevel>,
    /// Its message matches.
    pub grep: Option<Regex>,
}

impl Filter {
    /// Whether it lets everything through.
    pub(super) const fn is_open(&self) -> bool {
        self.level.is_none() && self.grep.is_none()
    }
}

/// A filter, and what it has seen.
#[derive(Debug)]
pub(super) struct Sieve {
    filter: Filter,
    /// Whether the last line of each source was of a wanted level, for those that continue it.
    wanted: BTreeMap<Source, bool>,
}

impl Sieve {
    pub(super) const fn of(filter: Filter) -> Self {
        Self {
            filter,
            wanted: BTreeMap::new(),
        }
    }

    /// Whether a line is shown.
    pub(super) fn passes(&mut self, source: &Source, text: &str, said: &Said) -> bool {
        let message = said.message.as_deref().unwrap_or(text);
        let matches = |grep: &Regex| grep.is_match(message);
        self.is_of_level(source, text, said) && self.filter.grep.as_ref().is_none_or(matches)
    }

    fn is_of_level(&mut self, source: &Source, text: &str, said: &Said) -> bool {
        let Some(least) = self.filter.level else {
            return true;
        };
        let before = self.wanted.get(source).copied().unwrap_or(false);
        let is_wanted = match said.level {
            Some(level) => level >= least,
            None => before && continues(text),
        };
        if is_wanted != before {
            self.wanted.insert(source.clone(), is_wanted);
        }
        is_wanted
    }
}

/// Whether a line belongs to the one before it, as those of a stack trace do.
fn continues(text: &str) -> bool {
    text.is_empty() || text.starts_with([' ', '\t']) || text.starts_with("Caused by")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::name;

    fn source(service: &str) -> Source {
        Source {
            service: name(service),
            pod: "p".to_owned(),
            container: "c".to_owned(),
        }
    }

    fn passing<'a>(filter: Filter, lines: &[&'a str]) -> Vec<&'a str> {
        let mut sieve = Sieve::of(filter);
        let passes = |line: &&&str| sieve.passes(&source("order"), line, &Said::read(line));
        lines.iter().filter(passes).copied().collect()
    }

    fn level(level: LogLevel) -> Filter {
        Filter {
            level: Some(level),
            grep: None,
        }
    }

    #[test]
    fn a_level_lets_itself_and_those_above_through_with_their_traces() {
        let lines = [
            "starting",
            "INFO ready",
            "  detail of info",
            "WARN slow",
            "ERROR broke",
            "\tat main.rs:5",
            "Caused by: disk",
            "plain again",
            "  not of an error",
            r#"{"level":50,"msg":"x"}"#,
        ];
        let shown = passing(level(LogLevel::Warn), &lines);
        assert_eq!(shown, [lines[3], lines[4], lines[5], lines[6], lines[9]]);
        assert_eq!(passing(Filter::default(), &lines), lines);
    }

    #[test]
    fn a_trace_continues_only_its_own_source() {
        let mut sieve = Sieve::of(level(LogLevel::Error));
        let mut passes =
            |service, line: &str| sieve.passes(&source(service), line, &Said::read(line));
        assert!(passes("order", "ERROR broke"));
        assert!(!passes("cart", "  indented"));
        assert!(passes("order", "  at main.rs"));
    }

    #[test]
    fn an_expression_is_looked_for_in_the_message() {
        let filter = Filter {
            level: None,
            grep: Some(Regex::new("^stock .*low$").unwrap()),
        };
        let lines = [
            "stock is low",
            r#"{"msg":"stock low","sku":7}"#,
            r#"{"msg":"other","note":"stock low"}"#,
        ];
        assert_eq!(passing(filter, &lines), lines[..2]);
    }
}
