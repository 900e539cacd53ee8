//! What `validate` looked at and found.

use super::{config, doctor, documents::good, style::Style};
use crate::{domain::words::count, report::Validated};

pub(super) fn validated(report: &Validated, style: &Style) -> String {
    let mut out = config::validated(&report.manifest, style);
    if report.services.is_empty() {
        return out + "\nnext:\n  devenv validate --all-services\n";
    }
    let objects = report.services.iter().map(|service| service.objects).sum();
    out.push_str(&format!(
        "{} {} looked at, of {}\n",
        good(style),
        count(report.services.len(), "service"),
        count(objects, "object")
    ));
    out + &doctor::found(&report.findings, style)
}
