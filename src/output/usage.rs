//! What services and nodes use, against what they may and can.

use super::{
    style::{Style, Tone},
    table::{Cell, Table},
    text::safe_text,
    units::{cpu, memory},
};
use crate::{
    domain::words::count,
    report::{NodeUsage, NotFitting, ServiceStatus, Status},
};

/// From this share of a limit on it is worth a look: at 100 % the process is killed.
const NEAR: u64 = 85;

pub(super) fn tables(report: &Status, style: &Style) -> String {
    let mut out = services(&report.services, style);
    if let Some(found) = &report.nodes {
        out.push('\n');
        out.push_str(&nodes(found, style));
    }
    if !report.not_fitting.is_empty() {
        out.push('\n');
    }
    out.extend(report.not_fitting.iter().map(|one| not_fitting(one, style)));
    out
}

/// The services, those first that use most memory: it is what a machine runs out of.
fn services(services: &[ServiceStatus], style: &Style) -> String {
    let mut table = Table::new(&[
        "SERVICE", "CPU", "REQUEST", "LIMIT", "MEMORY", "REQUEST", "LIMIT", "USE",
    ]);
    let measured = |service: &ServiceStatus| Some((service.name.clone(), service.resources?));
    let mut measured: Vec<_> = services.iter().filter_map(measured).collect();
    measured.sort_by_key(|(_, usage)| std::cmp::Reverse((usage.memory_bytes, usage.cpu_millis)));
    for (name, usage) in measured {
        table.row(vec![
            name.into(),
            amount(usage.cpu_millis, cpu, style),
            amount(usage.cpu_request_millis, cpu, style),
            amount(usage.cpu_limit_millis, cpu, style),
            amount(usage.memory_bytes, memory, style),
            amount(usage.memory_request_bytes, memory, style),
            amount(usage.memory_limit_bytes, memory, style),
            share(usage.memory_bytes, usage.memory_limit_bytes),
        ]);
    }
    table.render(style)
}

fn nodes(nodes: &[NodeUsage], style: &Style) -> String {
    let mut table = Table::new(&[
        "NODE",
        "CPU",
        "REQUESTED",
        "OF",
        "MEMORY",
        "REQUESTED",
        "OF",
        "USE",
    ]);
    for node in nodes {
        table.row(vec![
            node.name.clone().into(),
            amount(node.cpu_millis, cpu, style),
            cpu(node.cpu_request_millis).into(),
            cpu(node.cpu_capacity_millis).into(),
            amount(node.memory_bytes, memory, style),
            memory(node.memory_request_bytes).into(),
            memory(node.memory_capacity_bytes).into(),
            share(node.memory_bytes, Some(node.memory_capacity_bytes)),
        ]);
    }
    table.render(style)
}

fn amount(value: Option<u64>, unit: fn(u64) -> String, style: &Style) -> Cell {
    value
        .map_or_else(|| style.glyph("–", "-").to_owned(), unit)
        .into()
}

/// Memory in use in percent of the most.
fn share(used: Option<u64>, of: Option<u64>) -> Cell {
    match (used, of) {
        (Some(used), Some(limit)) if limit > 0 => {
            let percent = used.saturating_mul(100) / limit;
            let tone = if percent >= NEAR {
                Tone::Warn
            } else {
                Tone::Dim
            };
            Cell::toned(tone, format!("{percent} %"))
        }
        _ => "".into(),
    }
}

fn not_fitting(one: &NotFitting, style: &Style) -> String {
    let sign = style.paint(Tone::Warn, "!");
    let name = safe_text(&one.service);
    let what = match (one.pods, one.fitting) {
        (1, _) => format!("no place for another pod of {name}"),
        (pods, fitting) => format!(
            "place for {fitting} of {} of {name}",
            count(pods as usize, "pod")
        ),
    };
    let mut amounts = Vec::new();
    let (asked, free) = (one.memory_request_bytes, one.memory_free_bytes);
    if asked > 0 {
        amounts.push(format!("{} memory ({} left)", memory(asked), memory(free)));
    }
    let (asked, free) = (one.cpu_request_millis, one.cpu_free_millis);
    if asked > 0 {
        amounts.push(format!("{} cpu ({} left)", cpu(asked), cpu(free)));
    }
    format!("{sign} {what}: it requests {}\n", amounts.join(" and "))
}
