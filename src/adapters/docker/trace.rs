//! What BuildKit tells while it builds.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
};

use bollard::moby::buildkit::v1::StatusResponse;

/// How many of a step's last log lines are kept for its failure.
const KEPT_LINES: usize = 30;
/// A step ended by another's failure has this as its error.
const COLLATERAL: &str = "context canceled";

/// One thing a build says about where it is. Shown as one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildProgress {
    /// A step began.
    Step {
        /// Such as `[2/3] RUN make`.
        name: String,
    },
    /// A step was taken from the cache.
    Cached {
        /// Its name.
        name: String,
    },
    /// A step wrote a line.
    Log {
        /// The line.
        line: String,
    },
}

impl fmt::Display for BuildProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step { name } => f.write_str(name),
            Self::Cached { name } => write!(f, "{name} (cached)"),
            Self::Log { line } => f.write_str(line),
        }
    }
}

/// All that is known of a build's steps.
#[derive(Debug, Default)]
pub(super) struct Trace {
    steps: HashMap<String, Step>,
    /// The digests in the order in which the steps were first told of.
    order: Vec<String>,
}

#[derive(Debug, Default)]
struct Step {
    name: String,
    error: String,
    told: bool,
    /// The last complete lines.
    lines: VecDeque<String>,
    /// The beginning of the next line of each stream.
    unfinished: BTreeMap<i64, Vec<u8>>,
}

/// The step that made a build fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FailedStep {
    /// Such as `[2/3] RUN make`.
    pub(super) name: String,
    /// BuildKit's words.
    pub(super) error: String,
    /// The last lines it wrote.
    pub(super) log: Vec<String>,
}

impl Trace {
    /// Takes in a message; `tell` is called for what is new in it.
    pub(super) fn take(&mut self, message: StatusResponse, tell: &(dyn Fn(BuildProgress) + Sync)) {
        for vertex in message.vertexes {
            let step = self.step(&vertex.digest);
            step.name = vertex.name;
            if !vertex.error.is_empty() {
                step.error = vertex.error;
            }
            let begun = vertex.started.is_some() || vertex.cached;
            if begun && !step.told {
                step.told = true;
                let name = step.name.clone();
                tell(if vertex.cached {
                    BuildProgress::Cached { name }
                } else {
                    BuildProgress::Step { name }
                });
            }
        }
        for log in message.logs {
            for line in self.step(&log.vertex).write(log.stream, &log.msg) {
                tell(BuildProgress::Log { line });
            }
        }
    }

    /// The first step that failed by itself.
    pub(super) fn failed(&self) -> Option<FailedStep> {
        let failed = || {
            let steps = self
                .order
                .iter()
                .filter_map(|digest| self.steps.get(digest));
            steps.filter(|step| !step.error.is_empty())
        };
        failed()
            .find(|step| !step.error.contains(COLLATERAL))
            .or_else(|| failed().next())
            .map(|step| FailedStep {
                name: step.name.clone(),
                error: step.error.clone(),
                log: step.log(),
            })
    }

    fn step(&mut self, digest: &str) -> &mut Step {
        if !self.steps.contains_key(digest) {
            self.order.push(digest.to_owned());
        }
        self.steps.entry(digest.to_owned()).or_default()
    }
}

impl Step {
    /// Takes in a piece of what was written to a stream; the lines that it completes.
    fn write(&mut self, stream: i64, bytes: &[u8]) -> Vec<String> {
        let unfinished = self.unfinished.entry(stream).or_default();
        unfinished.extend_from_slice(bytes);
        let mut complete = Vec::new();
        while let Some(end) = unfinished.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = unfinished.drain(..=end).collect();
            complete.push(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
        for line in &complete {
            if self.lines.len() == KEPT_LINES {
                self.lines.pop_front();
            }
            self.lines.push_back(line.clone());
        }
        complete
    }

    fn log(&self) -> Vec<String> {
        let rest = self
            .unfinished
            .values()
            .map(|rest| String::from_utf8_lossy(rest));
        let rest = rest
            .map(|rest| rest.trim_end().to_owned())
            .filter(|rest| !rest.is_empty());
        self.lines.iter().cloned().chain(rest).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use bollard::moby::buildkit::v1::{Vertex, VertexLog};

    use super::*;

    fn vertex(digest: &str, name: &str, error: &str, cached: bool) -> StatusResponse {
        StatusResponse {
            vertexes: vec![Vertex {
                digest: digest.to_owned(),
                name: name.to_owned(),
                error: error.to_owned(),
                started: Some(bollard_timestamp()),
                cached,
                ..Vertex::default()
            }],
            ..StatusResponse::default()
        }
    }

    /// Any time will do.
    fn bollard_timestamp<T: Default>() -> T {
        T::default()
    }

    fn log(digest: &str, stream: i64, text: &str) -> StatusResponse {
        StatusResponse {
            logs: vec![VertexLog {
                vertex: digest.to_owned(),
                stream,
                msg: text.as_bytes().to_vec(),
                ..VertexLog::default()
            }],
            ..StatusResponse::default()
        }
    }

    #[test]
    fn a_step_is_told_once_and_lines_when_they_are_whole() {
        let told = Mutex::new(Vec::new());
        let tell = |progress: BuildProgress| told.lock().unwrap().push(progress.to_string());
        let mut trace = Trace::default();
        for message in [
            vertex("a", "[1/2] FROM x", "", true),
            vertex("b", "[2/2] RUN make", "", false),
            vertex("b", "[2/2] RUN make", "", false),
            log("b", 1, "one\ntw"),
            log("b", 2, "thr"),
            log("b", 1, "o\n"),
            log("b", 2, "ee\n"),
        ] {
            trace.take(message, &tell);
        }
        assert_eq!(
            *told.lock().unwrap(),
            [
                "[1/2] FROM x (cached)",
                "[2/2] RUN make",
                "one",
                "two",
                "three"
            ]
        );
        assert_eq!(trace.failed(), None);
    }

    #[test]
    fn the_step_that_failed_by_itself_is_named_with_its_last_lines() {
        let mut trace = Trace::default();
        let quiet = |_: BuildProgress| {};
        trace.take(
            vertex("a", "[a 1/1] RUN long", "context canceled", false),
            &quiet,
        );
        trace.take(vertex("b", "[b 1/1] RUN false", "", false), &quiet);
        for number in 0..40 {
            trace.take(log("b", 1, &format!("line {number}\n")), &quiet);
        }
        trace.take(log("b", 1, "no line break"), &quiet);
        trace.take(
            vertex("b", "[b 1/1] RUN false", "exit code: 1", false),
            &quiet,
        );
        let failed = trace.failed().unwrap();
        assert_eq!(failed.name, "[b 1/1] RUN false");
        assert_eq!(failed.log.first().map(String::as_str), Some("line 10"));
        assert_eq!(failed.log.last().map(String::as_str), Some("no line break"));
    }
}
