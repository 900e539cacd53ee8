//! Runs as text for people.

use jiff::{Timestamp, tz::TimeZone};
use serde_json::Value;

use super::{
    failures,
    style::{Style, Tone},
    table::{Cell, Table},
    text::{safe_text, truncate},
    units::{age, seconds},
};
use crate::domain::words::count;
use crate::report::{
    Diff, DiffSide, History, HistoryActor, HistoryChange, HistoryResult, HistoryRun, HistoryShown,
    HistoryStep, ServiceDifference,
};

/// Columns of a command in a list of many.
const COMMAND: usize = 36;
/// Digits of a git commit that are shown.
const COMMIT: usize = 12;

pub(super) fn list(report: &History, style: &Style) -> String {
    if report.runs.is_empty() {
        return match report.known {
            0 => "no run has changed this environment yet\n".to_owned(),
            known => format!("none of {} is like that\n", count(known, "known run")),
        };
    }
    let mut table = Table::new(&[
        "RUN", "WHEN", "", "WHO", "COMMAND", "RESULT", "TOOK", "CHANGED",
    ]);
    for run in &report.runs {
        let changed = if run.broken_lines == 0 {
            run.changed.clone()
        } else {
            format!("(damaged) {}", run.changed)
        };
        table.row(vec![
            Cell::from(&run.short_id),
            Cell::from(local(run.started, "%Y-%m-%d %H:%M")),
            Cell::from(age(run.age_seconds)),
            Cell::from(who(run)),
            Cell::from(truncate(&typed(run), COMMAND, style.ellipsis())),
            Cell::toned(tone(run.result), result(run)),
            Cell::from(seconds(run.seconds)),
            Cell::from(changed),
        ]);
    }
    table.render(style)
}

pub(super) fn shown(report: &HistoryShown, style: &Style) -> String {
    let run = &report.run;
    let mut out = head(report, style);
    let mut section = |title: &str, text: String| {
        if !text.is_empty() {
            let title = style.paint(Tone::Strong, title);
            out.push_str(&format!("\n{title}\n{text}"));
        }
    };
    section(
        "changed",
        run.changes
            .iter()
            .map(|change| changed(change, style))
            .collect(),
    );
    section("steps", steps(&report.steps, style));
    let notices = report.notices.iter().map(|notice| {
        let sign = if notice.is_warning { "warning: " } else { "" };
        format!("  {sign}{}\n", safe_text(&notice.text))
    });
    section("said", notices.collect());
    if !report.failures.is_empty() {
        out.push_str(&format!("\n{}", failures::entries(&report.failures, style)));
    }
    out
}

fn head(report: &HistoryShown, style: &Style) -> String {
    let run = &report.run;
    let began = local(run.started, "%Y-%m-%d %H:%M:%S");
    let code = run.exit_code.map(|code| format!(", exit code {code}"));
    let commit = report.commit.as_deref().unwrap_or_default();
    let commit: String = commit.chars().take(COMMIT).collect();
    let git = [report.branch.as_deref().unwrap_or_default(), &commit].join(" ");
    let rows = [
        ("run", run.id.clone()),
        ("command", typed(run)),
        (
            "who",
            match run.uid {
                Some(uid) => format!("{} (uid {uid})", who(run)),
                None => who(run),
            },
        ),
        ("began", format!("{began}, {} ago", age(run.age_seconds))),
        (
            "result",
            format!(
                "{}{}, after {}",
                result(run),
                code.unwrap_or_default(),
                seconds(run.seconds)
            ),
        ),
        ("devenv", report.version.clone().unwrap_or_default()),
        ("git", git.trim().to_owned()),
        ("profiles", report.profiles.join(", ")),
        ("manifest", report.manifest_hash.clone().unwrap_or_default()),
        (
            "damaged",
            if run.broken_lines == 0 {
                String::new()
            } else {
                format!(
                    "{} of its journal cannot be read",
                    count(run.broken_lines, "line")
                )
            },
        ),
    ];
    let rows = rows.iter().filter(|(_, text)| !text.is_empty());
    rows.map(|(title, text)| {
        let title = style.paint(Tone::Dim, format!("{title:<10}"));
        format!("{title}{}\n", safe_text(text))
    })
    .collect()
}

fn steps(steps: &[HistoryStep], style: &Style) -> String {
    if steps.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["STEP", "OUTCOME", "TOOK", "WHY"]);
    for step in steps {
        let tone = match step.outcome.as_str() {
            "done" => Tone::Good,
            "failed" => Tone::Bad,
            "skipped" => Tone::Dim,
            _ => Tone::Warn,
        };
        table.row(vec![
            Cell::from(&step.title),
            Cell::toned(tone, &step.outcome),
            Cell::from(step.seconds.map(seconds).unwrap_or_default()),
            Cell::from(step.remark.as_ref().unwrap_or(&step.reason)),
        ]);
    }
    table.render(style)
}

fn changed(change: &HistoryChange, style: &Style) -> String {
    let arrow = style.glyph("→", "->");
    let between = |before: String, after: String| format!("{before} {arrow} {after}");
    let line = match change {
        HistoryChange::Service {
            service,
            before,
            after,
            done,
        } => {
            let images = |made: &Option<crate::report::ServiceMade>| match made {
                None => "nothing".to_owned(),
                Some(made) => {
                    let pods = made.replicas.map(|pods| format!(" x {pods}"));
                    let what = [made.images.clone(), made.chart.iter().cloned().collect()].concat();
                    format!("{}{}", what.join(", "), pods.unwrap_or_default())
                }
            };
            let end = if *done { "" } else { "   (not to its end)" };
            let between = between(images(before), images(after));
            format!("{service}: {between}{end}")
        }
        HistoryChange::Pods {
            service,
            before,
            after,
        } => format!(
            "{service}: {} pods",
            between(before.to_string(), after.to_string())
        ),
        HistoryChange::Data { done } => done.clone(),
        HistoryChange::Key {
            key,
            file,
            before,
            after,
        } => {
            let between = between(short(before.as_ref()), short(after.as_ref()));
            format!("{key}: {between}   {file}")
        }
    };
    format!("  {}\n", safe_text(&line))
}

pub(super) fn diff(report: &Diff, style: &Style) -> String {
    let from = side(&report.from);
    let to = report.to.as_ref().map_or_else(|| "now".to_owned(), side);
    if report.keys.is_empty() && report.services.is_empty() {
        return format!("nothing differs between {from} and {to}\n");
    }
    let arrow = style.glyph("→", "->");
    let title = style.paint(Tone::Strong, format!("{from} {arrow} {to}"));
    let mut out = format!("{title}\n");
    for found in &report.keys {
        let key = style.paint(Tone::Link, safe_text(&found.key));
        let (before, after) = (short(found.before.as_ref()), short(found.after.as_ref()));
        let (before, after) = (safe_text(&before), safe_text(&after));
        out.push_str(&format!("  {key}: {before} {arrow} {after}\n"));
    }
    for found in &report.services {
        out.push_str(&service(found, style));
    }
    out
}

fn service(found: &ServiceDifference, style: &Style) -> String {
    let arrow = style.glyph("→", "->");
    let name = style.paint(Tone::Link, safe_text(&found.service));
    let mut out = String::new();
    let (before, after) = (&found.before, &found.after);
    if before.images != after.images {
        let (before, after) = (before.images.join(", "), after.images.join(", "));
        let (before, after) = (safe_text(&before), safe_text(&after));
        out.push_str(&format!("  image of {name}: {before} {arrow} {after}\n"));
    }
    if before.chart != after.chart {
        let chart =
            |chart: &Option<String>| safe_text(chart.as_deref().unwrap_or("that of devenv"));
        let (before, after) = (chart(&before.chart), chart(&after.chart));
        out.push_str(&format!("  chart of {name}: {before} {arrow} {after}\n"));
    }
    if found.is_hidden {
        out.push_str(&format!(
            "  {name}: something that is not shown, such as a secret, a file of its chart, or another devenv\n"
        ));
    }
    out
}

fn side(side: &DiffSide) -> String {
    let began = local(side.started, "%Y-%m-%d %H:%M");
    format!("{} ({began})", safe_text(&side.short_id))
}

/// In local time.
fn local(instant: Timestamp, format: &str) -> String {
    let local = instant.to_zoned(TimeZone::system());
    local.strftime(format).to_string()
}

fn who(run: &HistoryRun) -> String {
    match (run.by, &run.user, run.uid) {
        (HistoryActor::Session, ..) => "session".to_owned(),
        (_, Some(user), _) => user.clone(),
        (_, None, Some(uid)) => uid.to_string(),
        (_, None, None) => String::new(),
    }
}

/// The command line as a shell would take it.
fn typed(run: &HistoryRun) -> String {
    if run.by == HistoryActor::Session {
        return run.typed.join(" ");
    }
    if run.typed.is_empty() {
        return run.command.clone();
    }
    let words: Vec<String> = run.typed.iter().map(|word| quoted(word)).collect();
    words.join(" ")
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_=.,:/@%+[]".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

const fn tone(result: HistoryResult) -> Tone {
    match result {
        HistoryResult::Succeeded => Tone::Good,
        HistoryResult::Failed => Tone::Bad,
        HistoryResult::Interrupted | HistoryResult::Killed => Tone::Warn,
        HistoryResult::Running => Tone::Link,
        HistoryResult::Unknown => Tone::Dim,
    }
}

fn result(run: &HistoryRun) -> String {
    match run.result {
        HistoryResult::Succeeded => "ok".to_owned(),
        HistoryResult::Failed => match run.codes.first() {
            Some(code) => format!("failed: {code}"),
            None => "failed".to_owned(),
        },
        HistoryResult::Interrupted => "interrupted".to_owned(),
        HistoryResult::Killed => "killed".to_owned(),
        HistoryResult::Running => "running".to_owned(),
        HistoryResult::Unknown => "unknown".to_owned(),
    }
}

fn short(value: Option<&Value>) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::style::samples::*, *};
    use crate::report::{FailureEntry, HistoryNotice, KeyDifference, ServiceMade};

    fn made(image: &str) -> ServiceMade {
        ServiceMade {
            images: vec![image.to_owned()],
            chart: None,
            replicas: Some(1),
            inputs: None,
        }
    }

    /// What somebody typed who means harm.
    fn run() -> HistoryRun {
        HistoryRun {
            id: "20260102T030405.000000".to_owned(),
            short_id: "20260102T030405".to_owned(),
            command: "up".to_owned(),
            typed: vec![
                "up".to_owned(),
                "--set".to_owned(),
                "a=\x1b[2J it's".to_owned(),
            ],
            by: HistoryActor::Command,
            user: Some("an\u{202e}n".to_owned()),
            uid: Some(1000),
            started: Timestamp::UNIX_EPOCH,
            age_seconds: 300,
            result: HistoryResult::Failed,
            exit_code: Some(6),
            codes: vec!["service.crash".to_owned()],
            seconds: 4.2,
            changed: "+web".to_owned(),
            changes: vec![HistoryChange::Service {
                service: "web".to_owned(),
                before: None,
                after: Some(made("web:1")),
                done: false,
            }],
            broken_lines: 1,
        }
    }

    /// The text without the columns of local time.
    fn without_times(text: &str) -> String {
        let local = local(Timestamp::UNIX_EPOCH, "%Y-%m-%d %H:%M");
        text.replace(&local, "1970-01-01 HH:MM")
    }

    #[test]
    fn runs_are_a_row_each_and_nothing_typed_drives_the_terminal() {
        let report = History {
            environment: "shop".to_owned(),
            runs: vec![run()],
            known: 1,
        };
        let wide = Style {
            width: 200,
            ..PLAIN
        };
        insta::assert_snapshot!(without_times(&list(&report, &wide)), @r#"
        RUN              WHEN                  WHO          COMMAND                     RESULT                 TOOK   CHANGED
        20260102T030405  1970-01-01 HH:MM  5m  an<U+202E>n  up --set 'a=^[[2J it'\''s'  failed: service.crash  4.2 s  (damaged) +web
        "#);
        let of = |known| History {
            environment: "shop".to_owned(),
            runs: Vec::new(),
            known,
        };
        assert!(list(&of(0), &PLAIN).starts_with("no run has changed"));
        assert_eq!(list(&of(3), &PLAIN), "none of 3 known runs is like that\n");
    }

    #[test]
    fn a_run_is_shown_with_all_that_is_known() {
        let report = HistoryShown {
            environment: "shop".to_owned(),
            run: run(),
            version: Some("0.1.0".to_owned()),
            branch: Some("main".to_owned()),
            commit: Some("0123456789abcdef0123456789abcdef01234567".to_owned()),
            profiles: vec!["small".to_owned()],
            manifest_hash: None,
            steps: vec![HistoryStep {
                id: "deploy:web".to_owned(),
                title: "deploy web".to_owned(),
                reason: "it is not there".to_owned(),
                service: Some("web".to_owned()),
                outcome: "failed".to_owned(),
                remark: None,
                seconds: Some(1.5),
            }],
            notices: vec![HistoryNotice {
                is_warning: true,
                text: "look".to_owned(),
            }],
            failures: vec![FailureEntry {
                code: "service.crash".to_owned(),
                what: "web ends".to_owned(),
                why: Vec::new(),
                evidence: Vec::new(),
                help: vec!["devenv logs web".to_owned()],
                place: None,
                service: None,
            }],
            manifest: None,
        };
        insta::assert_snapshot!(without_times(&shown(&report, &PLAIN)), @r#"
        run       20260102T030405.000000
        command   up --set 'a=^[[2J it'\''s'
        who       an<U+202E>n (uid 1000)
        began     1970-01-01 HH:MM:00, 5m ago
        result    failed: service.crash, exit code 6, after 4.2 s
        devenv    0.1.0
        git       main 0123456789ab
        profiles  small
        damaged   1 line of its journal cannot be read

        changed
          web: nothing → web:1 x 1   (not to its end)

        steps
        STEP        OUTCOME  TOOK   WHY
        deploy web  failed   1.5 s  it is not there

        said
          warning: look

        error[service.crash]: web ends
          try:
            devenv logs web
        "#);
    }

    #[test]
    fn what_differs_is_told_by_keys_images_and_what_cannot_be_shown() {
        let side = |id: &str| DiffSide {
            id: id.to_owned(),
            short_id: id.to_owned(),
            started: Timestamp::UNIX_EPOCH,
        };
        let service = |name: &str, image, is_hidden| ServiceDifference {
            service: name.to_owned(),
            before: made("a:1"),
            after: made(image),
            is_hidden,
        };
        let report = Diff {
            environment: "shop".to_owned(),
            from: side("1"),
            to: None,
            keys: vec![KeyDifference {
                key: "services.web.env".to_owned(),
                before: None,
                after: Some(serde_json::json!({ "A": "\u{1b}[2J" })),
            }],
            services: vec![service("web", "a:2", false), service("api", "a:1", true)],
        };
        insta::assert_snapshot!(without_times(&diff(&report, &PLAIN)), @r#"
        1 (1970-01-01 HH:MM) → now
          services.web.env: nothing → {"A":"\u001b[2J"}
          image of web: a:1 → a:2
          api: something that is not shown, such as a secret, a file of its chart, or another devenv
        "#);
        let same = Diff {
            keys: Vec::new(),
            services: Vec::new(),
            to: Some(side("2")),
            ..report
        };
        assert!(diff(&same, &PLAIN).starts_with("nothing differs between 1 ("));
    }
}
