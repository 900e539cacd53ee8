//! Passes lines on that are wanted: the last ones only where that was asked for.

use std::collections::{BTreeMap, VecDeque};

use super::{Source, Wanted, filter::Sieve, names::Labels};
use crate::{
    adapters::kube,
    domain::Said,
    report::{self, LogDetail, Outbox},
    state::log_store::{Line, Origin},
};

/// Sends lines to an outbox.
#[derive(Debug)]
pub(super) struct Printer<'a> {
    pub(super) outbox: &'a Outbox,
    pub(super) labels: Labels,
    sieve: Sieve,
    detail: LogDetail,
    /// How many lines of each source are kept back, and those lines with their numbers.
    last: Option<(usize, Kept)>,
    /// How many lines there were.
    pub(super) lines: usize,
    /// How many of them were wanted.
    pub(super) shown: usize,
}

type Kept = BTreeMap<Source, VecDeque<(usize, report::LogLine)>>;

impl<'a> Printer<'a> {
    pub(super) fn of(outbox: &'a Outbox, labels: Labels, wanted: &Wanted) -> Self {
        let tail = wanted.part.window().tail;
        let count = tail.map(|count| usize::try_from(count).unwrap_or(usize::MAX));
        Self {
            outbox,
            labels,
            sieve: Sieve::of(wanted.filter.clone()),
            detail: wanted.detail,
            last: count.map(|count| (count, Kept::new())),
            lines: 0,
            shown: 0,
        }
    }

    /// A line as the cluster tells it.
    pub(super) async fn told(&mut self, source: &Source, line: &kube::LogLine) {
        let mut published = self.published(source, &line.bytes);
        published.time = line.time;
        self.pass(source, published).await;
    }

    /// A line as it was stored.
    pub(super) async fn stored(&mut self, source: &Source, origin: &Origin, line: &Line) {
        self.labels.learn_source(source);
        let mut published = self.published(source, &line.bytes);
        published.time = line.time;
        published.run = Some(origin.run.run);
        published.stream = line.time.map(|_| line.output.as_str());
        self.pass(source, published).await;
    }

    fn published(&self, source: &Source, bytes: &[u8]) -> report::LogLine {
        let message = String::from_utf8_lossy(bytes).into_owned();
        let said = Said::read(&message);
        report::LogLine {
            time: None,
            service: source.service.clone(),
            pod: source.pod.clone(),
            container: source.container.clone(),
            run: None,
            stream: None,
            label: self.labels.label(source),
            detail: self.detail,
            level: said.level,
            fields: said.message.is_some().then_some(said.fields),
            text: said.message,
            message,
        }
    }

    async fn pass(&mut self, source: &Source, line: report::LogLine) {
        self.lines += 1;
        let said = Said {
            level: line.level,
            message: line.text.clone(),
            ..Said::default()
        };
        if !self.sieve.passes(source, &line.message, &said) {
            return;
        }
        self.shown += 1;
        let Some((count, kept)) = &mut self.last else {
            self.outbox.log(line).await;
            return;
        };
        let kept = kept.entry(source.clone()).or_default();
        kept.push_back((self.shown, line));
        if kept.len() > *count {
            kept.pop_front();
        }
    }

    /// Sends what was kept back; what comes from now on is sent at once.
    pub(super) async fn end_of_past(&mut self) {
        let Some((_, kept)) = self.last.take() else {
            return;
        };
        let mut lines: Vec<_> = kept.into_values().flatten().collect();
        lines.sort_by_key(|(number, _)| *number);
        for (_, line) in lines {
            self.outbox.log(line).await;
        }
    }
}
