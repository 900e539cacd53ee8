//! `devenv logs`

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};

use super::{Context, Exit, project, session};
use crate::{
    adapters::terminal,
    domain::{ExitClass, Failure, Failures, parse_duration},
    features::logs::{Part, Wanted, Window, logs},
};

/// Show what services say, all in the order of time
///
/// Without `--follow` lines are put in order by their time; with it they come as they are said, and the
/// logs of pods that are replaced or started again go on. Ctrl-C ends it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  devenv logs
  devenv logs -f payment order
  devenv logs --since 10m --tail 100 payment
  devenv logs payment --previous    # before its last restart: why it crashed
  devenv logs payment --startup     # until it was ready
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

    /// What was said before the last restart of each container
    #[arg(long, conflicts_with = "follow")]
    pub previous: bool,

    /// From the start of each container until its pod was ready
    #[arg(long, conflicts_with_all = ["follow", "previous", "since", "tail"])]
    pub startup: bool,

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

impl Args {
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
    fn a_span_longer_than_the_calendar_means_everything() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        for text in ["99999999h", "9999999999h"] {
            let since = parse_since(text).unwrap();
            assert_eq!(since.time(now), Timestamp::UNIX_EPOCH);
        }
    }
}
