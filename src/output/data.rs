//! Datasets as text for people.

use super::{
    documents::good,
    style::{Style, Tone},
    table::{Cell, Table},
    text::safe_text,
    units::{age, seconds},
};
use crate::{
    domain::words::count,
    report::{DataList, DataLoaded, DataReset},
};

pub(super) fn loaded(report: &DataLoaded, style: &Style) -> String {
    let what = safe_text(report.dataset.as_deref().unwrap_or("nothing"));
    if report.steps == 0 {
        return format!("{} {what} is loaded, nothing to do\n", good(style));
    }
    format!(
        "{} loaded {what}: {} in {}\n",
        good(style),
        count(report.steps, "step"),
        seconds(report.total_seconds)
    )
}

pub(super) fn reset(report: &DataReset, style: &Style) -> String {
    let to = match &report.dataset {
        Some(dataset) => format!("the dataset {}", safe_text(dataset)),
        None => "what the first `up` made".to_owned(),
    };
    let took = seconds(report.total_seconds);
    let mut out = format!("{} the data is set back to {to}, in {took}\n", good(style));
    if let Some(backup) = &report.backup {
        let backup = safe_text(backup);
        out.push_str(&format!(
            "\nnext:\n  devenv snapshot restore {backup}   # the data from before\n"
        ));
    }
    out
}

pub(super) fn list(report: &DataList, style: &Style) -> String {
    if report.datasets.is_empty() && report.broken.is_empty() {
        return "no datasets: a dataset is a directory datasets/<name>/ with a dataset.yaml\n"
            .to_owned();
    }
    let mut table = Table::new(&["NAME", "LOADED", "ON", "DESCRIPTION"]);
    for dataset in &report.datasets {
        let since = dataset.loaded.map(|at| {
            let since = jiff::Timestamp::now().duration_since(at);
            age(u64::try_from(since.as_secs()).unwrap_or_default())
        });
        let on = dataset.extends.clone().or_else(|| {
            let snapshot = dataset.snapshot.as_ref()?;
            Some(format!("snapshot {snapshot}"))
        });
        table.row(vec![
            Cell::from(&dataset.name),
            Cell::from(since.unwrap_or_default()),
            Cell::from(on.unwrap_or_default()),
            Cell::from(dataset.description.as_deref().unwrap_or_default()),
        ]);
    }
    for dataset in &report.broken {
        let why = Cell::toned(Tone::Bad, dataset.why.join("; "));
        table.row(vec![
            Cell::from(&dataset.name),
            Cell::from(""),
            Cell::from(""),
            why,
        ]);
    }
    table.render(style)
}
