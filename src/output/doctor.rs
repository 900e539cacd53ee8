//! What `doctor` found: what is fine in a line each, then the rest whole, what is gravest last.

use super::{
    documents::good,
    failures,
    style::{Style, Tone},
    text::safe_text,
};
use crate::domain::words::count;
use crate::report::{Doctor, DoctorFinding, DoctorSeverity, Mending};

/// How much of what was looked at has this severity and is still there.
fn left(findings: &[DoctorFinding], severity: DoctorSeverity) -> usize {
    let findings = findings.iter();
    findings
        .filter(|finding| finding.severity == severity && finding.is_left())
        .count()
}

pub(super) fn doctor(report: &Doctor, style: &Style) -> String {
    found(&report.findings, style)
}

/// What was found, with how much of it in a last line.
pub(super) fn found(findings: &[DoctorFinding], style: &Style) -> String {
    let (fine, bad): (Vec<_>, Vec<_>) = findings
        .iter()
        .partition(|finding| finding.severity == DoctorSeverity::Ok);
    let mut out: String = fine
        .iter()
        .map(|finding| format!("{} {}\n", good(style), safe_text(&finding.what)))
        .collect();
    for finding in bad {
        out.push('\n');
        out.push_str(&failures::finding(finding, style));
        out.push_str(&mending(&finding.mending, style));
    }
    out.push('\n');
    out.push_str(&summary(findings, style));
    out
}

fn mending(mending: &Mending, style: &Style) -> String {
    match mending {
        Mending::ByUser | Mending::Possible => String::new(),
        Mending::Mended { what } => format!("  {} mended: {}\n", good(style), safe_text(what)),
        Mending::NotMended { why } => {
            let sign = style.paint(Tone::Warn, "!");
            format!("  {sign} not mended: {}\n", safe_text(why))
        }
    }
}

fn summary(findings: &[DoctorFinding], style: &Style) -> String {
    let mut counts: Vec<String> = [
        (DoctorSeverity::Problem, "problem", Tone::Bad),
        (DoctorSeverity::Warning, "warning", Tone::Warn),
        (DoctorSeverity::Note, "note", Tone::Dim),
    ]
    .into_iter()
    .filter_map(|(severity, noun, tone)| {
        let number = left(findings, severity);
        (number > 0).then(|| style.paint(tone, count(number, noun)))
    })
    .collect();
    let is_mended = |finding: &&DoctorFinding| !finding.is_left();
    let mended = findings.iter().filter(is_mended).count();
    if mended > 0 {
        counts.push(style.paint(Tone::Good, format!("{mended} mended")));
    }
    if counts.is_empty() {
        return format!("{} nothing is wrong\n", good(style));
    }
    format!("{}\n", counts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{Finding, Mend},
        output::style::samples::{ANSI, PLAIN},
    };

    fn report(findings: &[Finding]) -> Doctor {
        Doctor {
            environment: Some("shop-1a2b3c4d".to_owned()),
            findings: findings.iter().map(DoctorFinding::from).collect(),
        }
    }

    #[test]
    fn what_is_fine_is_quiet_and_the_rest_is_told_whole() {
        let mut report = report(&[
            Finding::ok("docker", "docker 27.3.1 answers"),
            Finding::note("names.offline", "names of the internet are not found")
                .fix("getent hosts x"),
            Finding::warning("session.died", "the session was killed")
                .because("nobody holds its lock")
                .fix("devenv doctor --fix")
                .mended_by(Mend::ReviveSession),
            Finding::problem("registry.stopped", "the registry does not run")
                .seen("seen", vec!["a".to_owned(), "\u{1b}[31mb".to_owned()])
                .fix("docker start registry"),
        ]);
        report.findings[2].mending = Mending::Mended {
            what: "the session runs again".to_owned(),
        };
        report.findings[3].mending = Mending::NotMended {
            why: "port 5050 is taken".to_owned(),
        };
        insta::assert_snapshot!(doctor(&report, &PLAIN), @r"
        ✓ docker 27.3.1 answers

        note[names.offline]: names of the internet are not found
          try:
            getent hosts x

        warning[session.died]: the session was killed
          why:   nobody holds its lock
          try:
            devenv doctor --fix
          ✓ mended: the session runs again

        problem[registry.stopped]: the registry does not run
          seen:
            │ a
            │ ^[[31mb
          try:
            docker start registry
          ! not mended: port 5050 is taken

        1 problem, 1 note, 1 mended
        ");
        let coloured = doctor(&report, &ANSI);
        assert!(
            coloured.contains("\u{1b}[33mwarning[session.died]:"),
            "{coloured}"
        );
    }

    #[test]
    fn a_machine_that_is_well_gets_a_line_for_each_look_and_one_for_all() {
        let report = report(&[Finding::ok("docker", "docker 27.3.1 answers")]);
        insta::assert_snapshot!(doctor(&report, &PLAIN), @r"
        ✓ docker 27.3.1 answers

        ✓ nothing is wrong
        ");
    }
}
