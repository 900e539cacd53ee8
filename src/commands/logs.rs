//! `devenv logs`

use std::path::PathBuf;

use clap::ArgAction;
use jiff::{SignedDuration, Timestamp};
use regex::Regex;

use super::{Context, Exit, project, session};
use crate::{
    adapters::terminal,
    domain::{ExitClass, Failure, Failures, LogLevel, parse_duration},
    features::logs::{Filter, Part, Wanted, Window, logs},
    report::LogDetail,
};

/// Show what services say, all in the order of time
///
/// Without `--follow` lines are put in order by their time; with it they come as they are said, and the
/// logs of pods that are replaced or started again go on. Ctrl-C ends it. What the session has kept is shown with it: also
/// what crashed and replaced containers said. Where the cluster is stopped, gone or silent, that is all there is.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  devenv logs
  devenv logs -f payment order
  devenv logs --since 10m --tail 100 payment
  devenv logs payment --previous    # before its last restart: why it crashed
  devenv logs payment --startup     # until it was ready
  devenv logs --level warn          # warnings and errors, with their stack traces
  devenv logs --grep 'order [0-9]+' payment
  devenv logs -f -o json | jq .message")]
pub struct Args {
    /// Only these services
    #[arg(value_name = "SERVICE")]
    pub names: Vec<String>,

    /// Go on as more is said
    #[arg(short, long)]
    pub follow: bool,

    /// Only the last lines of each container
    #[arg(long, value_name = "N")]
    pub tail: Option<u32>,

    /// Only what was said since: `10m` ago, or a time such as 2026-01-02T15:04:05Z
    #[arg(long, value_name = "DURATION|TIME", value_parser = parse_since)]
    pub since: Option<Since>,

    /// Only lines of this level and above, and the indented lines that continue them: trace, debug, info, warn, error,
    /// fatal
    #[arg(long, value_name = "LEVEL", value_parser = parse_level)]
    pub level: Option<LogLevel>,

    /// Only lines whose message matches this regular expression
    #[arg(long, value_name = "REGEX", value_parser = parse_grep)]
    pub grep: Option<Regex>,

    /// What was said before the last restart of each container, also in pods that are gone
    #[arg(long, conflicts_with = "follow")]
    pub previous: bool,

    /// From the start of each container until its pod was ready
    #[arg(long, conflicts_with_all = ["follow", "previous", "since", "tail"])]
    pub startup: bool,

    // Shadows the flag of all commands: here it is the lines that say more.
    /// Tell of each line also when, where and on which output it was said, and all its fields
    #[arg(short, long, action = ArgAction::Count, env = "DEVENV_VERBOSE", hide_env = true)]
    pub verbose: u8,

    // Shadows the flag of all commands, whose short form means something else here.
    /// The manifest [default: devenv.yaml in this directory or above]; `-f` is `--follow` here
    #[arg(
        long,
        env = "DEVENV_FILE",
        value_name = "FILE",
        hide_env = true,
        help_heading = "Common options"
    )]
    pub file: Option<PathBuf>,
}

/// From when on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// This long ago.
    Ago(SignedDuration),
    /// At this time.
    At(Timestamp),
}

impl Since {
    fn time(self, now: Timestamp) -> Timestamp {
        let time = match self {
            Self::Ago(ago) => now.checked_sub(ago).unwrap_or(Timestamp::UNIX_EPOCH),
            Self::At(time) => time,
        };
        // The cluster does not understand the years before our era.
        time.max(Timestamp::UNIX_EPOCH)
    }
}

fn parse_since(text: &str) -> Result<Since, String> {
    if let Ok(time) = text.parse() {
        return Ok(Since::At(time));
    }
    let too_long = |_| format!("`{text}` is too long");
    let ago = parse_duration(text).map_err(|_| {
        format!("`{text}` is neither a duration like `10m` nor a time like `2026-01-02T15:04:05Z`")
    })?;
    SignedDuration::try_from(ago)
        .map(Since::Ago)
        .map_err(too_long)
}

fn parse_level(text: &str) -> Result<LogLevel, String> {
    LogLevel::named(text).ok_or_else(|| {
        let names = LogLevel::ALL.map(LogLevel::as_str).join(", ");
        format!("there is no level `{text}`; the levels are {names}")
    })
}

fn parse_grep(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| match error {
        regex::Error::Syntax(shown) => place_of(text, &shown),
        other => other.to_string(),
    })
}

/// What is wrong with an expression, and where, in one line: the library draws it in several.
fn place_of(text: &str, shown: &str) -> String {
    let lines: Vec<&str> = shown.lines().collect();
    let what = lines.last().and_then(|line| line.strip_prefix("error: "));
    let drawn = |line: &&&str| !line.trim().is_empty() && line.trim().bytes().all(|b| b == b'^');
    let above = |line: &&str| {
        line.find('^')
            .zip(lines.iter().find_map(|line| line.find(text)))
    };
    let place = lines.iter().find(drawn).and_then(above);
    let place = place.map_or_else(String::new, |(mark, start)| {
        format!(" at character {}", mark.saturating_sub(start) + 1)
    });
    format!("{}{place}", what.unwrap_or("it is no regular expression"))
}

impl Args {
    fn filter(&self) -> Filter {
        Filter {
            level: self.level,
            grep: self.grep.clone(),
        }
    }

    const fn detail(&self) -> LogDetail {
        match self.verbose {
            0 => LogDetail::Brief,
            1.. => LogDetail::Full,
        }
    }

    fn part(&self, now: Timestamp) -> Part {
        let window = Window {
            tail: self.tail,
            since: self.since.map(|since| since.time(now)),
        };
        if self.startup {
            Part::Startup
        } else if self.previous {
            Part::Previous(window)
        } else if self.follow {
            Part::Follow(window)
        } else {
            Part::Now(window)
        }
    }
}

/// Runs the command.
pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failures> {
    let project = project::open_deployed(context).await?;
    session::revive(context, &project).await;
    let wanted = Wanted {
        services: project::services(&project, &args.names)?,
        part: args.part(Timestamp::now()),
        filter: args.filter(),
        detail: args.detail(),
    };
    let out_of_time = async {
        match context.timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        done = logs(&project, &wanted, &context.outbox) => done.map(|()| Exit::Success),
        () = context.cancel.cancelled() => Ok(Exit::Class(ExitClass::Interrupted)),
        // `| head` has all it wanted.
        () = terminal::output_closed() => Ok(Exit::Success),
        () = out_of_time => match wanted.part {
            Part::Follow(_) => Ok(Exit::Success),
            Part::Now(_) | Part::Previous(_) | Part::Startup => Err(too_slow().into()),
        },
    }
}

fn too_slow() -> Failure {
    Failure::new(
        "run.timeout",
        ExitClass::NotReady,
        "the logs were not read to their end within --timeout",
    )
    .help("ask for less: --tail 100, --since 10m")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_span_before_now_or_a_time() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let time = |text| parse_since(text).unwrap().time(now).to_string();
        assert_eq!(time("10m"), "2026-01-02T02:54:05Z");
        assert_eq!(time("1h30m"), "2026-01-02T01:34:05Z");
        assert_eq!(time("2026-01-01T00:00:00+01:00"), "2025-12-31T23:00:00Z");
        assert!(parse_since("yesterday").unwrap_err().contains("`10m`"));
        assert!(parse_since("").is_err());
    }

    #[test]
    fn a_level_is_called_as_loggers_call_it() {
        assert_eq!(parse_level("WARNING"), Ok(LogLevel::Warn));
        assert!(parse_level("loud").unwrap_err().contains("debug, info"));
    }

    #[test]
    fn a_bad_expression_is_refused_with_its_place() {
        assert!(parse_grep("order [0-9]+").is_ok());
        let refused = parse_grep("ab(c").unwrap_err();
        assert_eq!(refused, "unclosed group at character 3");
        let refused = parse_grep("a{2,1}").unwrap_err();
        assert!(refused.ends_with("at character 2"), "{refused}");
    }

    #[test]
    fn a_span_longer_than_the_calendar_means_everything() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        for text in ["99999999h", "9999999999h"] {
            let since = parse_since(text).unwrap();
            assert_eq!(since.time(now), Timestamp::UNIX_EPOCH);
        }
    }
}
