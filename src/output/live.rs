//! What the session does, as text for people: its events, how it stands, and how fast edits are live.

use jiff::{Timestamp, tz::TimeZone};

use super::{
    failures,
    style::{Style, Tone, service_tone},
    table::{Cell, Table},
    text::safe_text,
    units::{age, millis},
};
use crate::{
    domain::words::count,
    report::{
        LiveAction, LiveChange, LiveEvent, LiveLeft, LiveStage, LiveTimes, LiveWhat, ServiceStatus,
        Session, SessionStop, Standing, StandingState,
    },
};

/// The lines of an event, with the local time in front of the first.
pub(super) fn event(event: &LiveEvent, style: &Style) -> String {
    let at = local(event.at, "%H:%M:%S");
    let subject = event.service.as_deref().map(|service| {
        let name = format!("{}:", safe_text(service));
        format!("{} ", style.paint(service_tone(service), name))
    });
    let head = format!(
        "{}  {}",
        style.paint(Tone::Dim, at),
        subject.unwrap_or_default()
    );
    let arrow = style.glyph("→", "->");
    match &event.what {
        LiveWhat::Began { change } => {
            let what = format!("{} changed {arrow} {}", files(change), begun(change.action));
            let rule = change.rule.as_deref().map(|rule| {
                let rule = format!(" ({})", safe_text(rule));
                style.paint(Tone::Dim, rule)
            });
            let rule = rule.unwrap_or_default();
            format!("{head}{what}{rule} {}\n", style.glyph("…", "..."))
        }
        LiveWhat::Done {
            change,
            total_millis,
            stages,
            over_budget_millis,
        } => {
            let live = format!("live in {}", millis(*total_millis));
            let live = style.paint(Tone::Good, live);
            let (what, place) = (files(change), containers(change.containers));
            let stages = self::stages(stages, style);
            let mut out = format!("{head}{what} {arrow} {live}{place}{stages}\n");
            if let Some(budget) = over_budget_millis {
                let text = format!("over its budget of {}", self::budget(*budget));
                out.push_str(&format!("{INDENT}{}\n", style.paint(Tone::Warn, text)));
            }
            out
        }
        LiveWhat::Failed {
            change,
            left,
            failures,
        } => {
            let (bad, rest) = match left {
                LiveLeft::AsBefore => ("not live", "; what ran before runs on"),
                LiveLeft::NotWell => ("live, and fails", ""),
            };
            format!(
                "{head}{} {arrow} {}{rest}\n{}",
                files(change),
                style.paint(Tone::Bad, bad),
                failures::entries(failures, style)
            )
        }
        LiveWhat::Adopted { pod, files } => {
            let what = count(usize::try_from(*files).unwrap_or(usize::MAX), "edited file");
            format!("{head}{} got {what} before it started\n", safe_text(pod))
        }
        LiveWhat::Notice { is_warning, text } => {
            let mark = if *is_warning {
                format!("{} ", style.paint(Tone::Warn, "warning:"))
            } else {
                String::new()
            };
            format!("{head}{mark}{}\n", safe_text(text))
        }
    }
}

/// The columns of the time in front of an event.
const INDENT: &str = "          ";

fn local(at: Timestamp, form: &str) -> String {
    at.to_zoned(TimeZone::system()).strftime(form).to_string()
}

/// `src/app.py and 3 more`
fn files(change: &LiveChange) -> String {
    let file = safe_text(&change.file);
    match change.files {
        0 | 1 => file,
        files => format!("{file} and {} more", files - 1),
    }
}

fn containers(containers: u32) -> String {
    match containers {
        0 | 1 => String::new(),
        containers => format!(" in {containers} containers"),
    }
}

/// ` (detect 12, copy 3, restart 61, ready 8)`: in milliseconds, as the sum before it tells.
fn stages(stages: &[LiveStage], style: &Style) -> String {
    if stages.is_empty() {
        return String::new();
    }
    let stages: Vec<String> = stages
        .iter()
        .map(|stage| format!("{} {:.0}", safe_text(&stage.name), stage.millis))
        .collect();
    format!(
        " {}",
        style.paint(Tone::Dim, format!("({})", stages.join(", ")))
    )
}

/// A budget as it is written in the manifest: mostly whole seconds.
fn budget(budget: f64) -> String {
    if budget >= 1000.0 && budget % 1000.0 == 0.0 {
        format!("{:.0} s", budget / 1000.0)
    } else {
        millis(budget)
    }
}

const fn begun(action: LiveAction) -> &'static str {
    match action {
        LiveAction::Sync => "sync",
        LiveAction::Restart => "restart",
        LiveAction::Reload => "reload",
        LiveAction::Rebuild => "rebuild",
        LiveAction::Redeploy => "redeploy",
    }
}

/// How the session is, and how it stands with each service.
pub(super) fn session(report: &Session, style: &Style) -> String {
    let environment = style.paint(Tone::Strong, safe_text(&report.environment));
    let mut out = match (report.running, report.pid, report.since) {
        (true, Some(pid), Some(since)) => {
            let running = style.paint(Tone::Good, "running");
            let since = local(since, "%Y-%m-%d %H:%M");
            format!("{environment}  session {running}, pid {pid}, since {since}\n")
        }
        _ => format!(
            "{environment}  session {}\n",
            style.paint(Tone::Dim, "not running")
        ),
    };
    let mut table = Table::new(&["SERVICE", "STATE", "CONTAINERS"]);
    let standings = report.services.iter();
    let standings: Vec<(&str, &Standing)> = standings
        .filter_map(|service| Some((service.name.as_str(), service.standing.as_ref()?)))
        .collect();
    for (name, standing) in &standings {
        let (tone, state, _) = state(&standing.state);
        table.row(vec![
            Cell::from(*name),
            Cell::toned(tone, state),
            standing.containers.to_string().into(),
        ]);
    }
    if !standings.is_empty() {
        out.push_str(&format!("\n{}", table.render(style)));
    }
    let reasons: String = standings
        .iter()
        .filter_map(|(name, standing)| {
            let (tone, _, reason) = state(&standing.state);
            let sign = style.paint(tone, "!");
            Some(format!(
                "{sign} {}: {}\n",
                safe_text(name),
                safe_text(reason?)
            ))
        })
        .collect();
    if !reasons.is_empty() {
        out.push_str(&format!("\n{reasons}"));
    }
    let times = report.services.iter();
    let times = times.filter_map(|service| Some((service.name.as_str(), service.times.clone()?)));
    out + &edits(times, style)
}

fn state(state: &StandingState) -> (Tone, &'static str, Option<&str>) {
    match state {
        StandingState::Following => (Tone::Good, "following", None),
        StandingState::Waiting { reason } => (Tone::Warn, "waiting", Some(reason)),
        StandingState::Failed { reason } => (Tone::Bad, "failed", Some(reason)),
    }
}

/// What became of the session.
pub(super) fn session_stop(report: &SessionStop, style: &Style) -> String {
    if report.was_running {
        let sign = style.paint(Tone::Good, style.glyph("✓", "+"));
        format!("{sign} ended the session\n")
    } else {
        "No session was running\n".to_owned()
    }
}

/// How fast the edits of services are live, where there were any.
pub(super) fn status_edits(services: &[ServiceStatus], style: &Style) -> String {
    let times = services.iter().filter_map(|service| {
        let times = LiveTimes {
            changes: service.live_changes,
            last: service.last_live.clone()?,
            p50_millis: service.live_p50_millis?,
            p95_millis: service.live_p95_millis?,
        };
        Some((service.name.as_str(), times))
    });
    edits(times, style)
}

fn edits<'a>(times: impl Iterator<Item = (&'a str, LiveTimes)>, style: &Style) -> String {
    let now = Timestamp::now();
    let mut table = Table::new(&[
        "SERVICE",
        "LAST EDIT",
        "AGE",
        "LIVE IN",
        "MEDIAN",
        "95 %",
        "EDITS",
    ]);
    let mut is_empty = true;
    for (name, times) in times {
        is_empty = false;
        let seconds = now.duration_since(times.last.at).as_secs();
        table.row(vec![
            Cell::from(name),
            Cell::from(times.last.file),
            age(u64::try_from(seconds).unwrap_or(0)).into(),
            millis(times.last.millis).into(),
            millis(times.p50_millis).into(),
            millis(times.p95_millis).into(),
            times.changes.to_string().into(),
        ]);
    }
    if is_empty {
        return String::new();
    }
    format!("\n{}", table.render(style))
}

#[cfg(test)]
mod tests {
    use super::{super::style::samples::*, *};
    use crate::{
        domain::{ExitClass, Failure},
        report::{FailureEntry, LiveEdit, SessionService},
    };

    fn change(file: &str, files: u32, action: LiveAction) -> LiveChange {
        LiveChange {
            file: file.into(),
            files,
            action,
            rule: Some("devenv.yaml:57".into()),
            containers: files.min(2),
        }
    }

    fn done(files: u32, over_budget_millis: Option<f64>) -> LiveWhat {
        let stage = |name: &str, millis| LiveStage {
            name: name.into(),
            millis,
        };
        LiveWhat::Done {
            change: change("src/app.py", files, LiveAction::Restart),
            total_millis: 84.2,
            stages: vec![
                stage("detect", 12.4),
                stage("copy", 3.0),
                stage("restart", 61.0),
                stage("ready", 7.8),
            ],
            over_budget_millis,
        }
    }

    /// The text without the local time, which depends on where the test runs.
    fn show(service: Option<&str>, what: LiveWhat, style: &Style) -> String {
        let text = event(
            &LiveEvent {
                at: "2026-01-02T03:04:05Z".parse().unwrap(),
                service: service.map(Into::into),
                what,
            },
            style,
        );
        let plain = console::strip_ansi_codes(&text).into_owned();
        plain["03:04:05  ".len()..].to_owned()
    }

    #[test]
    fn a_change_that_is_live_tells_its_time_by_stage() {
        let text = show(Some("payment"), done(1, None), &PLAIN);
        assert_eq!(
            text,
            "payment: src/app.py → live in 84 ms (detect 12, copy 3, restart 61, ready 8)\n"
        );
        let text = show(Some("payment"), done(4, Some(1000.0)), &ASCII);
        insta::assert_snapshot!(text, @r"
        payment: src/app.py and 3 more -> live in 84 ms in 2 containers (detect 12, copy 3, restart 61, ready 8)
                  over its budget of 1 s
        ");
    }

    #[test]
    fn what_takes_longer_than_a_blink_says_that_it_began_and_why() {
        let change = change("main.go", 1, LiveAction::Rebuild);
        let text = show(Some("inventory"), LiveWhat::Began { change }, &ASCII);
        assert_eq!(
            text,
            "inventory: main.go changed -> rebuild (devenv.yaml:57) ...\n"
        );
    }

    #[test]
    fn a_change_that_failed_comes_with_its_failures_and_what_holds_now() {
        let failure = Failure::new("image.build-failed", ExitClass::Cluster, "The build failed")
            .with_evidence("RUN make", vec!["no rule\x1b[2J".into()])
            .help("devenv up inventory");
        let failed = |left| LiveWhat::Failed {
            change: change("main.go", 1, LiveAction::Rebuild),
            left,
            failures: vec![FailureEntry::from(&failure)],
        };
        let shown = show(Some("inventory"), failed(LiveLeft::AsBefore), &PLAIN);
        insta::assert_snapshot!(shown, @r"
        inventory: main.go → not live; what ran before runs on
        error[image.build-failed]: The build failed
          RUN make: no rule^[[2J
          try:
            devenv up inventory
        ");
        let shown = show(Some("inventory"), failed(LiveLeft::NotWell), &PLAIN);
        assert!(
            shown.starts_with("inventory: main.go → live, and fails\n"),
            "{shown}"
        );
    }

    #[test]
    fn containers_that_were_made_the_same_and_notices_are_lines() {
        let adopted = LiveWhat::Adopted {
            pod: "payment-xyz".into(),
            files: 3,
        };
        assert_eq!(
            show(Some("payment"), adopted, &PLAIN),
            "payment: payment-xyz got 3 edited files before it started\n"
        );
        let notice = LiveWhat::Notice {
            is_warning: true,
            text: "too many\r files".into(),
        };
        assert_eq!(show(None, notice, &ANSI), "warning: too many^M files\n");
    }

    #[test]
    fn a_session_shows_how_it_stands_and_how_fast_it_is() {
        let service = |name: &str, containers, state| SessionService {
            name: name.into(),
            standing: Some(Standing { containers, state }),
            times: (containers > 0).then(|| LiveTimes {
                changes: 12,
                last: LiveEdit {
                    file: "src/app.py".into(),
                    millis: 84.0,
                    at: Timestamp::now(),
                    action: LiveAction::Restart,
                },
                p50_millis: 90.0,
                p95_millis: 1230.0,
            }),
        };
        let waiting = StandingState::Waiting {
            reason: "it has no pod yet".into(),
        };
        let mut report = Session {
            environment: "shop-1a2b3c4d".into(),
            running: true,
            pid: Some(7),
            since: Some(Timestamp::UNIX_EPOCH),
            version: Some("0.1.0".into()),
            services: vec![
                service("order", 0, waiting),
                service("payment", 2, StandingState::Following),
            ],
        };
        let text = session(&report, &PLAIN);
        let (head, rest) = text.split_once('\n').unwrap();
        assert!(head.starts_with("shop-1a2b3c4d  session running, pid 7, since "));
        insta::assert_snapshot!(rest, @r"

        SERVICE  STATE      CONTAINERS
        order    waiting    0
        payment  following  2

        ! order: it has no pod yet

        SERVICE  LAST EDIT   AGE  LIVE IN  MEDIAN  95 %   EDITS
        payment  src/app.py  0s   84 ms    90 ms   1.2 s  12
        ");
        report.running = false;
        report.services.clear();
        assert_eq!(
            session(&report, &PLAIN),
            "shop-1a2b3c4d  session not running\n"
        );
    }
}
