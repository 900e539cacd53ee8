//! A container's log, line by line.

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, io::AsyncBufReadExt, stream};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;

use super::{Cluster, KubeError, REQUEST, call};

/// A longer line comes in pieces, in bytes.
const LONGEST_LINE: usize = 256 * 1024;
/// How much older than the line before a line can be.
const OUT_OF_ORDER: SignedDuration = SignedDuration::from_secs(1);
/// How long to wait before a log that broke off is asked for again.
const RESUME_AFTER: Duration = Duration::from_millis(500);

/// Which part of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Whether to go on as the log grows, until the container ends.
    pub follow: bool,
    /// Only this many lines at the end.
    pub tail: Option<u32>,
    /// Only what was said since.
    pub since: Option<Timestamp>,
    /// The log of the container's run before this one.
    pub previous: bool,
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When it was said.
    pub time: Option<Timestamp>,
    /// Its bytes as they are, without the line's end.
    pub bytes: Bytes,
    /// Whether the line ends here; a very long one comes in pieces.
    pub ends: bool,
}

/// Where a reader of a log stopped: what stands before is not said again.
///
/// The two outputs of a process are written down side by side, so a line can be a little older than the one
/// before it: the mark is a place in the log, not a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogMark {
    /// The time of the last line.
    last: Timestamp,
    /// How many lines of that very time were read.
    lines: usize,
    /// The latest time of all lines.
    newest: Timestamp,
}

impl LogMark {
    /// The mark after a line that was said at `time`.
    #[must_use]
    pub fn after(before: Option<Self>, time: Timestamp) -> Self {
        let of_that_time = before.filter(|mark| mark.last == time);
        Self {
            last: time,
            lines: of_that_time.map_or(0, |mark| mark.lines) + 1,
            newest: before.map_or(time, |mark| mark.newest.max(time)),
        }
    }
}

/// Where a reader of a log is.
struct Position {
    params: LogParams,
    /// Up to where lines were given out.
    mark: Option<LogMark>,
    /// After the log was asked for again: lines of the last one's time still to come before what is new.
    /// `None` once what comes is new.
    again: Option<usize>,
    /// Whether the line before was cut, so that this one goes on without a time of its own.
    in_line: bool,
}

impl Position {
    fn of(container: &str, options: &LogOptions) -> Self {
        let params = LogParams {
            container: Some(container.to_owned()),
            follow: options.follow,
            previous: options.previous,
            since_time: options.since,
            tail_lines: options.tail.map(i64::from),
            timestamps: true,
            ..LogParams::default()
        };
        Self {
            params,
            mark: None,
            again: None,
            in_line: false,
        }
    }

    /// Goes on where it is. Lines are asked for by their time, so some come again.
    fn resume(&mut self) {
        if let Some(mark) = self.mark {
            let earlier = mark.last.checked_sub(OUT_OF_ORDER).unwrap_or(mark.last);
            self.params.since_time = Some(earlier);
            self.params.tail_lines = None;
            self.again = Some(mark.lines);
        }
        self.in_line = false;
    }

    /// Takes a piece as it came; `None` if it was given out before.
    fn take(&mut self, piece: &[u8]) -> Option<LogLine> {
        let is_end = piece.ends_with(b"\n");
        let text = piece.strip_suffix(b"\n").unwrap_or(piece);
        let goes_on = std::mem::replace(&mut self.in_line, !is_end);
        if goes_on {
            return Some(LogLine {
                time: self.mark.map(|mark| mark.last),
                bytes: Bytes::copy_from_slice(text),
                ends: is_end,
            });
        }
        let (time, bytes) = split_time(text);
        if let Some(time) = time {
            if self.came_before(time) {
                return None;
            }
            self.mark = Some(LogMark::after(self.mark, time));
        }
        Some(LogLine {
            time,
            bytes: Bytes::copy_from_slice(bytes),
            ends: is_end,
        })
    }

    /// Whether a line of `time` was given out before the log was asked for again.
    fn came_before(&mut self, time: Timestamp) -> bool {
        let (Some(mark), Some(left)) = (self.mark, self.again) else {
            return false;
        };
        // The last line itself may be gone by now, with its run.
        let is_new = left == 0 || time > mark.newest;
        self.again = match (is_new, time == mark.last) {
            (true, _) => None,
            (false, true) => Some(left - 1),
            (false, false) => Some(left),
        };
        !is_new
    }
}

/// The time that the kubelet puts before a line, and the line.
fn split_time(line: &[u8]) -> (Option<Timestamp>, &[u8]) {
    let space = line.iter().position(|byte| *byte == b' ');
    let (head, rest) = match space {
        Some(at) => (&line[..at], &line[at + 1..]),
        None => (line, &line[line.len()..]),
    };
    match std::str::from_utf8(head)
        .ok()
        .and_then(|text| text.parse().ok())
    {
        Some(time) => (Some(time), rest),
        None => (None, line),
    }
}

impl Cluster {
    /// The lines of a container's log.
    ///
    /// A followed log that breaks off is asked for again from where it was, without a line lost or said
    /// twice, until the container ends. Longer lines than 256 KiB come in pieces.
    pub fn logs(
        &self,
        pod: &str,
        container: &str,
        options: &LogOptions,
    ) -> impl Stream<Item = Result<LogLine, KubeError>> + Send + use<> {
        self.logs_after(pod, container, options, None)
    }

    /// The lines of a container's log after `mark`, of the same run or of a later one.
    pub fn logs_after(
        &self,
        pod: &str,
        container: &str,
        options: &LogOptions,
        mark: Option<LogMark>,
    ) -> impl Stream<Item = Result<LogLine, KubeError>> + Send + use<> {
        let mut position = Position::of(container, options);
        if let Some(mark) = mark {
            position.mark = Some(mark);
            position.resume();
        }
        let reader = Reader {
            cluster: self.clone(),
            pod: pod.to_owned(),
            position,
            source: None,
            is_over: false,
        };
        stream::unfold(reader, |mut reader| async move {
            let line = reader.next().await?;
            Some((line, reader))
        })
    }
}

type Source = std::pin::Pin<Box<dyn futures::AsyncBufRead + Send>>;

struct Reader {
    cluster: Cluster,
    pod: String,
    position: Position,
    source: Option<Source>,
    is_over: bool,
}

impl Reader {
    async fn next(&mut self) -> Option<Result<LogLine, KubeError>> {
        while !self.is_over {
            let read = match self.read().await {
                Ok(piece) if !piece.is_empty() => match self.position.take(&piece) {
                    Some(line) => return Some(Ok(line)),
                    None => continue,
                },
                Ok(_) => Ok(()),
                Err(error) => Err(error),
            };
            // The log ended or broke off.
            self.source = None;
            let may_resume = self.position.params.follow && self.position.mark.is_some();
            match read {
                Err(error) if !(may_resume && error.is_unreachable()) => {
                    self.is_over = true;
                    return Some(Err(error));
                }
                Ok(())
                    if !may_resume
                        || has_ended(&self.cluster, &self.pod, &self.position.params).await =>
                {
                    self.is_over = true;
                }
                Ok(()) | Err(_) => {
                    tokio::time::sleep(RESUME_AFTER).await;
                    self.position.resume();
                }
            }
        }
        None
    }

    /// The next piece; empty at the end.
    async fn read(&mut self) -> Result<Vec<u8>, KubeError> {
        let doing = format!("read the log of {}", self.pod);
        if self.source.is_none() {
            let pods = self.cluster.api::<Pod>();
            let log = pods.log_stream(&self.pod, &self.position.params);
            self.source = Some(Box::pin(call(&doing, REQUEST, log).await?));
        }
        let Some(source) = &mut self.source else {
            return Ok(Vec::new());
        };
        let broken = |error: std::io::Error| KubeError::BrokenOff {
            doing: doing.clone(),
            why: error.to_string(),
        };
        let mut piece = Vec::new();
        loop {
            let available = source.fill_buf().await.map_err(broken)?;
            let end = available.iter().position(|byte| *byte == b'\n');
            let count = end.map_or(available.len(), |at| at + 1);
            piece.extend_from_slice(&available[..count]);
            source.consume_unpin(count);
            if count == 0 || end.is_some() || piece.len() >= LONGEST_LINE {
                return Ok(piece);
            }
        }
    }
}

/// Whether the container runs no more, so that its log cannot grow.
async fn has_ended(cluster: &Cluster, pod: &str, params: &LogParams) -> bool {
    let pods = cluster.api::<Pod>();
    let pod = match call("look at the pod", REQUEST, pods.get(pod)).await {
        Ok(pod) => pod,
        Err(error) => return !error.is_unreachable(),
    };
    let statuses = pod.status.and_then(|status| status.container_statuses);
    let container = params.container.as_deref();
    let status = statuses
        .into_iter()
        .flatten()
        .find(|status| Some(status.name.as_str()) == container);
    status.is_none_or(|status| status.state.and_then(|state| state.running).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(position: &mut Position, lines: &[&str]) -> Vec<String> {
        lines
            .iter()
            .filter_map(|line| position.take(line.as_bytes()))
            .map(|line| String::from_utf8(line.bytes.to_vec()).unwrap())
            .collect()
    }

    fn following() -> Position {
        let options = LogOptions {
            follow: true,
            ..LogOptions::default()
        };
        Position::of("order", &options)
    }

    const ONE: &str = "2026-01-02T03:04:05.1Z ";
    const TWO: &str = "2026-01-02T03:04:05.2Z ";

    #[test]
    fn a_resumed_log_neither_repeats_nor_loses_lines_of_one_instant() {
        let mut position = following();
        let lines = [
            format!("{ONE}a\n"),
            format!("{TWO}b\n"),
            format!("{TWO}c\n"),
        ];
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        assert_eq!(taken(&mut position, &lines), ["a", "b", "c"]);
        position.resume();
        assert!(position.params.since_time.is_some());
        let more = format!("{TWO}d\n");
        let again: Vec<&str> = lines.iter().copied().chain([more.as_str()]).collect();
        assert_eq!(taken(&mut position, &again), ["d"]);
    }

    #[test]
    fn a_mark_counts_the_lines_of_one_instant() {
        let (one, two) = (
            ONE.trim().parse().unwrap(),
            TWO.trim().parse::<Timestamp>().unwrap(),
        );
        let mark = LogMark::after(Some(LogMark::after(None, one)), two);
        assert_eq!((mark.last, mark.lines, mark.newest), (two, 1, two));
        assert_eq!(LogMark::after(Some(mark), two).lines, 2);
        let mark = LogMark::after(Some(mark), one);
        assert_eq!((mark.last, mark.lines, mark.newest), (one, 1, two));
    }

    #[test]
    fn a_line_a_little_older_than_the_one_before_is_kept() {
        let mut position = following();
        let (late, early) = (format!("{TWO}error\n"), format!("{ONE}output\n"));
        assert_eq!(taken(&mut position, &[&late, &early]), ["error", "output"]);
        position.resume();
        let next = "2026-01-02T03:04:05.3Z next\n";
        assert_eq!(
            taken(&mut position, &[&late, &early, next, &early]),
            ["next", "output"]
        );
    }

    #[test]
    fn a_line_a_little_older_than_the_last_one_read_is_new() {
        let mut position = following();
        let (late, early) = (format!("{TWO}error\n"), format!("{ONE}output\n"));
        assert_eq!(taken(&mut position, &[&late]), ["error"]);
        position.resume();
        assert_eq!(taken(&mut position, &[&late, &early]), ["output"]);
        position.resume();
        let next = "2026-01-02T03:04:05.3Z next\n";
        assert_eq!(taken(&mut position, &[&late, &early, next]), ["next"]);
    }

    #[test]
    fn a_log_whose_last_line_is_gone_goes_on_with_what_is_newer() {
        let mut position = following();
        let (one, two) = (format!("{ONE}a\n"), format!("{TWO}b\n"));
        assert_eq!(taken(&mut position, &[&one]), ["a"]);
        position.resume();
        assert_eq!(taken(&mut position, &[&two]), ["b"]);
    }

    #[test]
    fn a_line_keeps_its_bytes_and_its_time() {
        let line = following()
            .take(b"2026-01-02T03:04:05Z  two  spaces\xff\n")
            .unwrap();
        assert_eq!(line.bytes, b" two  spaces\xff"[..]);
        assert!(line.time.is_some());
    }

    #[test]
    fn a_line_without_a_time_is_given_out_as_it_is() {
        let line = following().take(b"no time here\n").unwrap();
        assert_eq!((line.time, line.bytes), (None, Bytes::from("no time here")));
    }

    #[test]
    fn a_cut_line_goes_on_without_being_taken_for_another() {
        let mut position = following();
        let pieces = [
            &format!("{ONE}begin"),
            "2026 middle",
            " end\n",
            &format!("{TWO}next\n"),
        ];
        assert_eq!(
            taken(&mut position, &pieces),
            ["begin", "2026 middle", " end", "next"]
        );
    }
}
