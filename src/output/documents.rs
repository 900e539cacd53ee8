//! Every published document as text for people.

use super::{
    config, data, doctor, history, live,
    logs::Logs,
    snapshots,
    steps::stage_name,
    style::{Style, Tone},
    table::{Cell, Table},
    text::{safe_text, width},
    units::{age, millis, seconds},
    usage, validate,
};
use crate::{
    domain::{Stage, words::count},
    report::{
        ClusterPhase, Debug, Down, Forward, ForwardedPort, Init, InitFileChange, Manual,
        PlanReport, Replicas, Report, Restart, RestartedBy, Scale, ServiceState, ServiceStatus,
        StageSeconds, Start, Status, Stop, Up, UpService, VolumeStatus, VolumeStoreKind,
    },
};

/// The text of a document, with its end of line. Texts in it that come from outside are made safe.
pub(super) fn text(report: &Report, style: &Style, logs: &mut Logs) -> String {
    match report {
        // A script must reach the shell as it is.
        Report::Completions(completions) => completions.script.clone(),
        Report::Man(manual) => man(manual, style),
        Report::ConfigChange(report) => config::changed(report, style),
        Report::ConfigExplain(report) => config::explained(report, style),
        Report::ConfigGet(report) => config::value(&report.value),
        Report::ConfigSchema(report) => config::schema(&report.document),
        Report::ConfigShow(report) => config::value(&report.manifest),
        Report::ConfigValidate(report) => config::validated(report, style),
        Report::DataList(report) => data::list(report, style),
        Report::DataLoad(report) => data::loaded(report, style),
        Report::DataReset(report) => data::reset(report, style),
        Report::Debug(report) => debug(report, style),
        Report::Doctor(report) => doctor::doctor(report, style),
        Report::Diff(report) => history::diff(report, style),
        Report::DocsGenerate(report) => format!(
            "{} {} {}\n",
            good(style),
            if report.written {
                "wrote"
            } else {
                "is current:"
            },
            safe_text(&report.file)
        ),
        Report::Down(report) => down(report, style),
        Report::Exec(exec) => exec.stdout.clone(),
        Report::Failure(report) => report
            .failures
            .iter()
            .map(|failure| format!("error[{}]: {}\n", failure.code, safe_text(&failure.what)))
            .collect(),
        Report::Forward(report) => forward(report, style),
        Report::History(report) => history::list(report, style),
        Report::HistoryShow(report) => history::shown(report, style),
        Report::Init(report) => init(report, style),
        Report::Validate(report) => validate::validated(report, style),
        Report::Kubeconfig(kubeconfig) => format!("{}\n", safe_text(&kubeconfig.path)),
        Report::Live(event) => live::event(event, style),
        Report::Log(line) => logs.line(line),
        Report::Open(open) => format!("{}\n", safe_text(&open.url)),
        Report::Plan(report) => plan(report, style),
        Report::Restart(report) => restart(report, style),
        Report::Scale(report) => scale(report, style),
        Report::Session(report) => live::session(report, style),
        Report::SessionStop(report) => live::session_stop(report, style),
        Report::SnapshotExport(report) => snapshots::exported(report, style),
        Report::SnapshotImport(report) => snapshots::imported(report, style),
        Report::SnapshotList(report) => snapshots::list(report, style),
        Report::SnapshotPrune(report) => snapshots::pruned(report, style),
        Report::SnapshotRemove(report) => snapshots::removed(report, style),
        Report::SnapshotRestore(report) => snapshots::restored(report, style),
        Report::SnapshotSave(report) => snapshots::saved(report, style),
        Report::SnapshotShow(report) => snapshots::shown(report, style),
        Report::SnapshotVerify(report) => snapshots::verified(report, style),
        Report::Start(report) => start(report, style),
        Report::Status(report) => status(report, style),
        Report::Stop(report) => stop(report, style),
        Report::Up(report) => up(report, style),
        Report::Version(version) => format!("devenv {}\n", version.version),
    }
}

fn up(report: &Up, style: &Style) -> String {
    let mut out = String::new();
    if report.steps.done == 0 {
        out.push_str(&format!(
            "{} {} is up, nothing to do\n",
            good(style),
            safe_text(&report.environment)
        ));
    }
    out.push_str(&services(&report.services, style));
    if report.steps.done > 0 {
        out.push_str(&format!(
            "\n{}\n",
            stage_times(&report.stages, report.total_seconds, style)
        ));
    }
    out.push_str(&next_steps(&report.next_steps, style));
    out
}

fn start(report: &Start, style: &Style) -> String {
    format!(
        "{}\n{}\n",
        services(&report.services, style),
        stage_times(&[], report.total_seconds, style)
    )
}

fn services(services: &[UpService], style: &Style) -> String {
    let mut table = Table::new(&["SERVICE", "STATE", "READY", "URL"]);
    for service in services {
        table.row(vec![
            Cell::from(&service.name),
            state_cell(service.state),
            service
                .ready_seconds
                .map(seconds)
                .unwrap_or_default()
                .into(),
            Cell::toned(Tone::Link, service.urls.join("  ")),
        ]);
    }
    if services.is_empty() {
        String::new()
    } else {
        table.render(style)
    }
}

/// `images 41.2 s · cluster 9.1 s · total 58.3 s`
fn stage_times(stages: &[StageSeconds], total: f64, style: &Style) -> String {
    let times: Vec<String> = stages
        .iter()
        .map(|time| format!("{} {}", stage_name(time.stage), seconds(time.seconds)))
        .collect();
    let total_text = format!("total {}", seconds(total));
    let total = style.paint(Tone::Strong, &total_text);
    let dot = format!(" {} ", style.dot());
    if times.is_empty() {
        return total;
    }
    let plain = format!("{}{dot}", times.join(&dot));
    // A line too long for the terminal is broken where it means something.
    if width(&plain) + width(&total_text) > style.width {
        format!("{}\n{total}", style.paint(Tone::Dim, plain.trim_end()))
    } else {
        format!("{}{total}", style.paint(Tone::Dim, plain))
    }
}

fn next_steps(next: &[String], style: &Style) -> String {
    if next.is_empty() {
        return String::new();
    }
    let lines: Vec<String> = next
        .iter()
        .map(|line| format!("  {}\n", style.paint(Tone::Link, safe_text(line))))
        .collect();
    format!("\n{}\n{}", style.paint(Tone::Dim, "next:"), lines.concat())
}

/// The columns before the title of a step.
const PLAN_INDENT: usize = 4;

/// Under what a step stands in a plan. Services are deployed and waited for in turn: that is one part to read.
const fn plan_heading(stage: Stage) -> &'static str {
    match stage {
        Stage::Deploy | Stage::Ready => "services",
        other => stage_name(other),
    }
}

fn plan(report: &PlanReport, style: &Style) -> String {
    if report.steps.is_empty() {
        return format!("{} Nothing to do\n", good(style));
    }
    let mut out = String::new();
    let mut heading = "";
    for step in &report.steps {
        let now = plan_heading(step.stage);
        if heading != now {
            heading = now;
            out.push_str(&format!("{}\n", style.paint(Tone::Strong, heading)));
        }
        let (title, reason) = (safe_text(&step.title), safe_text(&step.reason));
        let sign = style.paint(Tone::Good, "+");
        let beside = format!("  {} {reason}", style.dot());
        if PLAN_INDENT + width(&title) + width(&beside) <= style.width {
            let beside = style.paint(Tone::Dim, beside);
            out.push_str(&format!("  {sign} {title}{beside}\n"));
        } else {
            let below = format!("{} {reason}", style.glyph("└", "`"));
            let below = style.paint(Tone::Dim, below);
            out.push_str(&format!("  {sign} {title}\n    {below}\n"));
        }
    }
    out.push_str(&format!(
        "\n{}; `devenv up` runs them\n",
        count(report.steps.len(), "step")
    ));
    out
}

fn down(report: &Down, style: &Style) -> String {
    let mut out = String::new();
    if report.removed.is_empty() {
        out.push_str("There was nothing to remove\n");
    }
    for removed in &report.removed {
        let (sign, what) = (good(style), safe_text(removed));
        out.push_str(&format!("{sign} removed {what}\n"));
    }
    for kept in &report.kept {
        let sign = style.paint(Tone::Dim, style.glyph("·", "-"));
        out.push_str(&format!("{sign} kept {}", safe_text(&kept.what)));
        if let Some(path) = &kept.path {
            out.push_str("  ");
            out.push_str(&style.paint(Tone::Dim, safe_text(path)));
        }
        out.push('\n');
        if let Some(command) = &kept.remove_with {
            let command = style.paint(Tone::Link, safe_text(command));
            out.push_str(&format!("  remove it too: {command}\n"));
        }
    }
    out
}

fn stop(report: &Stop, style: &Style) -> String {
    if report.stopped.is_empty() {
        return "Nothing was running\n".to_owned();
    }
    let lines: String = report
        .stopped
        .iter()
        .map(|what| format!("{} stopped {}\n", good(style), safe_text(what)))
        .collect();
    let data = if report.data_is_on_disk {
        format!("{} all data is on the disk of this machine\n", good(style))
    } else {
        String::new()
    };
    lines
        + &data
        + &next_steps(
            &["devenv start   # goes on where it stopped".to_owned()],
            style,
        )
}

fn restart(report: &Restart, style: &Style) -> String {
    report
        .services
        .iter()
        .map(|service| {
            let (what, took) = match service.how {
                RestartedBy::Process => ("the process of ", millis(service.seconds * 1000.0)),
                RestartedBy::Pods => ("", seconds(service.seconds)),
            };
            format!(
                "{} restarted {what}{} in {took}\n",
                good(style),
                safe_text(&service.name),
            )
        })
        .collect()
}

fn debug(report: &Debug, style: &Style) -> String {
    let mut out = format!(
        "{} {} runs under its debugger: attach to {}\n",
        good(style),
        safe_text(&report.service),
        style.paint(Tone::Link, safe_text(&report.address))
    );
    match (&report.ide_file, &report.vscode) {
        (Some(file), _) => out.push_str(&format!("written: {}\n", safe_text(file))),
        (None, Some(configuration)) => {
            let head = style.paint(Tone::Dim, "for .vscode/launch.json:");
            out.push_str(&format!("{head}\n{configuration:#}\n"));
        }
        (None, None) => {}
    }
    out
}

fn forward(report: &Forward, style: &Style) -> String {
    let line = |port: &ForwardedPort| {
        let address = style.paint(Tone::Link, safe_text(&port.address));
        let (arrow, service) = (style.glyph("→", "->"), safe_text(&report.service));
        format!("{address} {arrow} {service}:{}\n", port.port)
    };
    report.ports.iter().map(line).collect()
}

fn scale(report: &Scale, style: &Style) -> String {
    report
        .services
        .iter()
        .map(|service| {
            format!(
                "{} {} {} {} {}\n",
                good(style),
                safe_text(&service.name),
                service.from,
                style.glyph("→", "->"),
                service.to
            )
        })
        .collect()
}

fn init(report: &Init, style: &Style) -> String {
    let mut out = String::new();
    for file in &report.files {
        let word = match file.change {
            InitFileChange::Created => "created",
            InitFileChange::Updated => "updated",
            InitFileChange::Kept => "kept",
        };
        out.push_str(&format!(
            "{} {word} {}\n",
            good(style),
            safe_text(&file.path)
        ));
    }
    if !report.services.is_empty() {
        out.push_str(&format!(
            "\nservices: {}\n",
            safe_text(&report.services.join(", "))
        ));
    }
    for mend in &report.mends {
        let (before, after) = (safe_text(mend.before.trim()), safe_text(mend.after.trim()));
        let arrow = style.glyph("→", "->");
        out.push_str(&format!("{}: {before} {arrow} {after}\n", mend.line));
    }
    if !report.not_converted.is_empty() {
        out.push_str("\nnot converted; each stands as a comment in its place:\n");
        for item in &report.not_converted {
            let service = item.service.as_deref().map(|name| format!("{name}: "));
            let text = format!("{}{}: {}", service.unwrap_or_default(), item.key, item.what);
            let sign = style.paint(Tone::Warn, "!");
            out.push_str(&format!("{sign} {}\n", safe_text(&text)));
            let help = style.paint(Tone::Dim, safe_text(&item.help));
            out.push_str(&format!("    {help}\n"));
        }
    }
    out + &next_steps(&report.next_steps, style)
}

fn status(report: &Status, style: &Style) -> String {
    let (tone, phase) = match report.cluster_state {
        ClusterPhase::Absent => (Tone::Dim, "absent"),
        ClusterPhase::Stopped => (Tone::Dim, "stopped"),
        ClusterPhase::Running => (Tone::Good, "running"),
        ClusterPhase::Creating => (Tone::Warn, "being created"),
        ClusterPhase::Broken => (Tone::Bad, "broken"),
    };
    let mut out = format!(
        "{}  cluster {}",
        style.paint(Tone::Strong, safe_text(&report.environment)),
        style.paint(tone, phase)
    );
    if let Some(trouble) = &report.cluster_trouble {
        out.push_str(&format!(": {}", safe_text(trouble)));
    }
    if let Some(command) = &report.at_work {
        out.push_str(&format!("\nat work on it: {}", safe_text(command)));
    }
    if let Some(volumes) = &report.volumes {
        let text = safe_text(&volume_store(volumes));
        out.push_str(&format!("\n{}", style.paint(Tone::Dim, text)));
    }
    out.push_str("\n\n");
    out.push_str(&status_table(&report.services, style));
    out.push_str(&troubles(&report.services, style));
    out.push_str(&live::status_edits(&report.services, style));
    if report
        .services
        .iter()
        .any(|service| service.resources.is_some())
    {
        out.push('\n');
        out.push_str(&usage::tables(report, style));
    }
    let next = match report.cluster_state {
        _ if report.at_work.is_some() => Vec::new(),
        ClusterPhase::Absent | ClusterPhase::Creating | ClusterPhase::Broken => {
            vec!["devenv up".to_owned()]
        }
        ClusterPhase::Stopped => vec!["devenv start".to_owned()],
        ClusterPhase::Running => report
            .services
            .iter()
            .filter(|service| service.state == ServiceState::Failed)
            .map(|service| format!("devenv logs {}", service.name))
            .collect(),
    };
    out + &next_steps(&next, style)
}

/// How fast data is copied, and why not faster.
fn volume_store(volumes: &VolumeStatus) -> String {
    match (volumes.store, &volumes.why) {
        (VolumeStoreKind::Image, _) => {
            "data is cloned: it is in an image that shares blocks".to_owned()
        }
        (VolumeStoreKind::CloningDirectory, _) => {
            "data is cloned: its file system shares blocks".to_owned()
        }
        (VolumeStoreKind::CopyingDirectory, None) => "data is copied".to_owned(),
        (VolumeStoreKind::CopyingDirectory, Some(why)) => format!("data is copied: {why}"),
    }
}

fn status_table(services: &[ServiceStatus], style: &Style) -> String {
    let mut table = Table::new(&[
        "SERVICE", "STATE", "READY", "URL", "IMAGE", "AGE", "RESTARTS",
    ]);
    for service in services {
        let restarts = match service.restarts {
            0 => String::new(),
            restarts => restarts.to_string(),
        };
        let replicas = format!("{}/{}", service.replicas.ready, service.replicas.desired);
        table.row(vec![
            Cell::from(&service.name),
            state_cell(service.state),
            match (service.state, service.replicas) {
                (ServiceState::Absent | ServiceState::Unknown, _) => "".into(),
                // Nothing runs of it, as it should: it has no pods, or all is stopped.
                (ServiceState::Ready | ServiceState::Stopped, Replicas { desired: 0, .. }) => {
                    "".into()
                }
                _ => replicas.into(),
            },
            Cell::toned(Tone::Link, service.urls.join("  ")),
            Cell::toned(Tone::Dim, images(&service.images)),
            service.age_seconds.map(age).unwrap_or_default().into(),
            Cell::toned(Tone::Warn, restarts),
        ]);
    }
    if services.is_empty() {
        String::new()
    } else {
        table.render(style)
    }
}

/// Why services are not as they should be: a line each, since a column would cut it off.
fn troubles(services: &[ServiceStatus], style: &Style) -> String {
    let lines: String = services
        .iter()
        .filter_map(|service| {
            let trouble = safe_text(service.trouble.as_deref()?);
            let sign = match service.state {
                ServiceState::Failed => style.paint(Tone::Bad, style.glyph("✗", "x")),
                _ => style.paint(Tone::Warn, "!"),
            };
            Some(format!("{sign} {}: {trouble}\n", safe_text(&service.name)))
        })
        .collect();
    if lines.is_empty() {
        lines
    } else {
        format!("\n{lines}")
    }
}

/// The last part of each image's name and the beginning of its tag: enough to tell two apart.
fn images(images: &[String]) -> String {
    const TAG: usize = 10;
    let short = |image: &String| {
        let name = image.rsplit('/').next().unwrap_or(image);
        match name.split_once(':') {
            Some((name, tag)) => format!("{name}:{}", tag.chars().take(TAG).collect::<String>()),
            None => name.to_owned(),
        }
    };
    images.iter().map(short).collect::<Vec<_>>().join(" ")
}

fn state_cell(state: ServiceState) -> Cell {
    match state {
        ServiceState::Ready => Cell::toned(Tone::Good, "ready"),
        ServiceState::Starting => Cell::toned(Tone::Warn, "starting"),
        ServiceState::Failed => Cell::toned(Tone::Bad, "failed"),
        ServiceState::Stopped => Cell::toned(Tone::Dim, "stopped"),
        ServiceState::Absent => Cell::toned(Tone::Dim, "absent"),
        ServiceState::Unknown => Cell::toned(Tone::Warn, "unknown"),
        ServiceState::Finished => Cell::toned(Tone::Dim, "finished"),
    }
}

fn man(manual: &Manual, style: &Style) -> String {
    let Some(directory) = &manual.directory else {
        // For `man`, which no terminal reads as it is.
        return manual.pages.iter().map(|page| page.text.as_str()).collect();
    };
    let count = count(manual.pages.len(), "page");
    let directory = safe_text(directory);
    format!("{} wrote {count} to {directory}\n", good(style))
}

pub(super) fn good(style: &Style) -> String {
    style.paint(Tone::Good, style.glyph("✓", "+"))
}

#[cfg(test)]
#[path = "documents_tests.rs"]
mod tests;
