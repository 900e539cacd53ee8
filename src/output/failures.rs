//! Failures as people read them: what, where, why, what was seen, what to type next.

use std::collections::BTreeSet;

use super::{
    style::{Style, Tone},
    text::{Underline, safe_text, truncate, wrap},
};
use crate::{
    domain::{Failure, Failures, words::count},
    report::{DoctorFinding, DoctorSeverity, FailureEntry, PlaceEntry, Redactor},
};

/// What a failure is called, and in which colour.
const ERROR: (&str, Tone) = ("error", Tone::Bad);
/// The widest text that is still easy to read.
const WIDEST: usize = 100;
/// Lines of one piece of evidence; the last are shown.
const EVIDENCE_LINES: usize = 20;

/// All of `failures` and, for several, a last line that counts them.
pub(super) fn render(failures: &Failures, redactor: &Redactor, style: &Style) -> String {
    let painter = Painter { redactor, style };
    let mut text: Vec<String> = failures
        .iter()
        .map(|failure| painter.failure(&Shown::from(failure)))
        .collect();
    let number = text.len();
    if number > 1 {
        let files: BTreeSet<String> = failures
            .iter()
            .filter_map(|failure| failure.place.as_ref())
            .map(|place| place.file.display().to_string())
            .collect();
        let files: Vec<String> = files.into_iter().collect();
        let whereabouts = match files.as_slice() {
            [] => String::new(),
            [file] => format!(" in {}", painter.safe(file)),
            files => format!(" in {}", count(files.len(), "file")),
        };
        text.push(format!(
            "{}{whereabouts}\n",
            style.paint(Tone::Bad, count(number, "error"))
        ));
    }
    text.join("\n")
}

/// Failures that come from elsewhere, where secrets were replaced already.
pub(super) fn entries(entries: &[FailureEntry], style: &Style) -> String {
    let redactor = &Redactor::default();
    let painter = Painter { redactor, style };
    let texts = entries
        .iter()
        .map(|entry| painter.failure(&Shown::from(entry)));
    texts.collect::<Vec<_>>().join("\n")
}

/// What a look found, as a failure of its severity.
pub(super) fn finding(finding: &DoctorFinding, style: &Style) -> String {
    let redactor = &Redactor::default();
    Painter { redactor, style }.failure(&Shown::from(finding))
}

/// A failure, wherever it comes from.
struct Shown<'a> {
    /// What it is called, and in which colour.
    kind: (&'static str, Tone),
    code: &'a str,
    what: &'a str,
    why: &'a [String],
    /// Titles and lines.
    evidence: Vec<(&'a str, &'a [String])>,
    help: &'a [String],
    place: Option<Whereabouts<'a>>,
}

/// A place in a file; its line is not always known.
struct Whereabouts<'a> {
    file: String,
    line: usize,
    column: usize,
    length: usize,
    source_line: &'a str,
}

impl<'a> From<&'a Failure> for Shown<'a> {
    fn from(failure: &'a Failure) -> Self {
        let evidence = failure.evidence.iter();
        Self {
            kind: ERROR,
            code: failure.code.0,
            what: &failure.what,
            why: &failure.why,
            evidence: evidence.map(|e| (e.title.as_str(), &*e.lines)).collect(),
            help: &failure.help,
            place: failure.place.as_deref().map(|place| Whereabouts {
                file: place.file.display().to_string(),
                line: place.line,
                column: place.column,
                length: place.length,
                source_line: &place.source_line,
            }),
        }
    }
}

impl<'a> From<&'a FailureEntry> for Shown<'a> {
    fn from(entry: &'a FailureEntry) -> Self {
        let evidence = entry.evidence.iter();
        Self {
            kind: ERROR,
            code: &entry.code,
            what: &entry.what,
            why: &entry.why,
            evidence: evidence.map(|e| (e.title.as_str(), &*e.lines)).collect(),
            help: &entry.help,
            place: entry.place.as_ref().map(Whereabouts::from),
        }
    }
}

impl<'a> From<&'a DoctorFinding> for Shown<'a> {
    fn from(finding: &'a DoctorFinding) -> Self {
        let evidence = finding.evidence.iter();
        Self {
            kind: match finding.severity {
                DoctorSeverity::Ok => ("ok", Tone::Good),
                DoctorSeverity::Note => ("note", Tone::Link),
                DoctorSeverity::Warning => ("warning", Tone::Warn),
                DoctorSeverity::Problem => ("problem", Tone::Bad),
            },
            code: &finding.id,
            what: &finding.what,
            why: &finding.why,
            evidence: evidence.map(|e| (e.title.as_str(), &*e.lines)).collect(),
            help: &finding.fix,
            place: finding.place.as_ref().map(Whereabouts::from),
        }
    }
}

impl From<&PlaceEntry> for Whereabouts<'_> {
    fn from(place: &PlaceEntry) -> Self {
        Self {
            file: place.file.clone(),
            line: place.line,
            column: place.column,
            length: place.length,
            source_line: "",
        }
    }
}

struct Painter<'a> {
    redactor: &'a Redactor,
    style: &'a Style,
}

impl Painter<'_> {
    fn safe(&self, text: &str) -> String {
        safe_text(&self.redactor.text(text))
    }

    fn room(&self) -> usize {
        self.style.width.min(WIDEST)
    }

    fn failure(&self, failure: &Shown<'_>) -> String {
        let mut out = self.headline(failure);
        if let Some(place) = &failure.place {
            self.source(place, &mut out);
        }
        self.causes(failure.why, &mut out);
        for (title, lines) in &failure.evidence {
            self.evidence(title, lines, &mut out);
        }
        self.help(failure.help, &mut out);
        out
    }

    fn headline(&self, failure: &Shown<'_>) -> String {
        const INDENT: &str = "    ";
        let (word, tone) = failure.kind;
        let label = format!("{word}[{}]:", safe_text(failure.code));
        let what = format!("{label} {}", self.safe(failure.what));
        let room = self.room().saturating_sub(INDENT.len()).max(30);
        let mut out = self.style.paint(tone, &label);
        for (index, line) in wrap(&what, room).iter().enumerate() {
            // The label has no spaces, so it stands whole in the first line.
            let (indent, line) = match index {
                0 => (" ", line[label.len()..].trim_start()),
                _ => (INDENT, line.as_str()),
            };
            out.push_str(indent);
            out.push_str(&self.style.paint(Tone::Strong, line));
            out.push('\n');
        }
        out
    }

    /// The source line with the place underlined; the place alone where the line is not known.
    fn source(&self, place: &Whereabouts<'_>, out: &mut String) {
        let dim = |text: &str| self.style.paint(Tone::Dim, text);
        let number = place.line.to_string();
        let gutter = " ".repeat(number.len());
        let arrow = self.style.glyph("╭─▸", "-->");
        let whereabouts = format!("{}:{}:{}", self.safe(&place.file), place.line, place.column);
        out.push_str(&format!("{gutter} {} {whereabouts}\n", dim(arrow)));
        if place.source_line.trim().is_empty() {
            return;
        }
        let bar = dim(self.style.glyph("│", "|"));
        let mark = Underline::new(
            &self.redactor.text(place.source_line),
            place.column,
            place.length,
        );
        let room = self.style.width.saturating_sub(number.len() + 3).max(20);
        let line = truncate(&mark.line, room, self.style.ellipsis());
        let before = mark.before.min(room.saturating_sub(1));
        let length = mark.length.min(room - before);
        let sign = self.style.glyph("━", "^").repeat(length);
        out.push_str(&format!("{gutter} {bar}\n"));
        out.push_str(&format!("{} {bar} {line}\n", dim(&number)));
        out.push_str(&format!(
            "{gutter} {bar} {}{}\n",
            " ".repeat(before),
            self.style.paint(Tone::Bad, sign)
        ));
        out.push_str(&format!("{gutter} {}\n", dim(self.style.glyph("╵", "|"))));
    }

    fn causes(&self, causes: &[String], out: &mut String) {
        for (index, why) in causes.iter().enumerate() {
            // Each cause goes back to the one before it.
            let label = if index == 0 { "why" } else { "since" };
            // A cause may be of several lines, such as a tool's own message.
            let lines: Vec<String> = why
                .lines()
                .flat_map(|line| wrap(&self.safe(line), self.room().saturating_sub(9).max(30)))
                .collect();
            self.labelled(label, &lines, out);
        }
    }

    fn labelled(&self, label: &str, lines: &[String], out: &mut String) {
        const INDENT: usize = 9;
        for (index, line) in lines.iter().enumerate() {
            let head = if index == 0 {
                let spaces = INDENT - 3 - label.len();
                format!(
                    "  {}{}",
                    self.style.paint(Tone::Dim, format!("{label}:")),
                    " ".repeat(spaces)
                )
            } else {
                " ".repeat(INDENT)
            };
            out.push_str(&format!("{head}{line}\n"));
        }
    }

    /// One line beside its title; several below it, uncut, so that they can be copied.
    fn evidence(&self, name: &str, lines: &[String], out: &mut String) {
        let title = self.style.paint(Tone::Dim, format!("{}:", self.safe(name)));
        if let [line] = lines
            && !line.contains('\n')
            && line.len() + name.len() + 4 <= self.room()
        {
            out.push_str(&format!("  {title} {}\n", self.safe(line)));
            return;
        }
        out.push_str(&format!("  {title}\n"));
        let bar = self.style.paint(Tone::Dim, self.style.glyph("│", "|"));
        let lines: Vec<&str> = lines.iter().flat_map(|line| line.lines()).collect();
        let left_out = lines.len().saturating_sub(EVIDENCE_LINES);
        if left_out > 0 {
            let note = format!(
                "{} {} before",
                self.style.ellipsis(),
                count(left_out, "line")
            );
            out.push_str(&format!(
                "    {bar} {}\n",
                self.style.paint(Tone::Dim, note)
            ));
        }
        for line in &lines[left_out..] {
            let line = format!("    {bar} {}", self.safe(line));
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }

    fn help(&self, help: &[String], out: &mut String) {
        if help.is_empty() {
            return;
        }
        out.push_str(&format!("  {}\n", self.style.paint(Tone::Dim, "try:")));
        for line in help.iter().flat_map(|help| help.lines()) {
            // Never wrapped: it is there to be pasted.
            let line = self.safe(line);
            match line.split_once("   # ") {
                Some((command, remark)) => out.push_str(&format!(
                    "    {}   {}\n",
                    self.style.paint(Tone::Link, command),
                    self.style.paint(Tone::Dim, format!("# {remark}"))
                )),
                None => out.push_str(&format!("    {}\n", self.style.paint(Tone::Link, line))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::style::samples::*, *};
    use crate::domain::{ExitClass, Place};

    fn crash() -> Failure {
        Failure::new(
            "service.crash-loop",
            ExitClass::NotReady,
            "payment stopped with exit code 1, 3 times",
        )
        .at(Some(Place {
            file: "devenv.yaml".into(),
            line: 42,
            column: 5,
            length: 7,
            source_line: "    command: [python3, -m, paymnt]".into(),
        }))
        .because("The process ends before it listens on port 8080")
        .with_evidence(
            "event",
            vec!["Back-off restarting failed container payment".into()],
        )
        .with_evidence(
            "last log lines of payment",
            vec![
                "Traceback (most recent call last):".into(),
                String::new(),
                "\x1b[31mModuleNotFoundError\x1b[0m: No module named 'paymnt'".into(),
            ],
        )
        .help("devenv logs payment --previous")
        .help("devenv up payment   # after the change")
    }

    fn render_one(failure: Failure, style: &Style) -> String {
        render(&failure.into(), &Redactor::default(), style)
    }

    #[test]
    fn a_failure_tells_what_where_why_what_was_seen_and_what_to_type() {
        insta::assert_snapshot!(render_one(crash(), &PLAIN), @r"
        error[service.crash-loop]: payment stopped with exit code 1, 3 times
           ╭─▸ devenv.yaml:42:5
           │
        42 │     command: [python3, -m, paymnt]
           │     ━━━━━━━
           ╵
          why:   The process ends before it listens on port 8080
          event: Back-off restarting failed container payment
          last log lines of payment:
            │ Traceback (most recent call last):
            │ ^[[31mModuleNotFoundError^[[0m: No module named 'paymnt'
          try:
            devenv logs payment --previous
            devenv up payment   # after the change
        ");
    }

    #[test]
    fn ascii_terminals_get_the_same() {
        insta::assert_snapshot!(render_one(crash(), &ASCII), @r"
        error[service.crash-loop]: payment stopped with exit code 1, 3 times
           --> devenv.yaml:42:5
           |
        42 |     command: [python3, -m, paymnt]
           |     ^^^^^^^
           |
          why:   The process ends before it listens on port 8080
          event: Back-off restarting failed container payment
          last log lines of payment:
            | Traceback (most recent call last):
            | ^[[31mModuleNotFoundError^[[0m: No module named 'paymnt'
          try:
            devenv logs payment --previous
            devenv up payment   # after the change
        ");
    }

    #[test]
    fn colours_change_no_text() {
        let coloured = render_one(crash(), &ANSI);
        assert_eq!(
            console::strip_ansi_codes(&coloured),
            render_one(crash(), &PLAIN)
        );
    }

    #[test]
    fn several_failures_are_counted_with_their_file() {
        let failures = Failures::from_list(vec![crash(), crash()]).unwrap();
        let text = render(&failures, &Redactor::default(), &PLAIN);
        assert!(text.ends_with("\n2 errors in devenv.yaml\n"), "{text}");
    }

    #[test]
    fn a_long_sentence_is_wrapped_and_a_command_is_not() {
        let failure = Failure::new(
            "cluster.port-in-use",
            ExitClass::Cluster,
            "The port 8080 that the ingress of this environment is to listen on is taken already",
        )
        .because("Another program listens on 127.0.0.1:8080, which is where the browser is sent to")
        .help("devenv up --set cluster.ports.http=8081 --set cluster.ports.https=8444");
        let narrow = Style { width: 60, ..PLAIN };
        insta::assert_snapshot!(render_one(failure, &narrow), @r"
        error[cluster.port-in-use]: The port 8080 that the
            ingress of this environment is to listen on is taken
            already
          why:   Another program listens on 127.0.0.1:8080, which is
                 where the browser is sent to
          try:
            devenv up --set cluster.ports.http=8081 --set cluster.ports.https=8444
        ");
    }

    #[test]
    fn a_secret_in_the_evidence_is_not_shown() {
        let redactor = Redactor::default();
        redactor.register("hunter2hunter2");
        let failure = crash().with_evidence("output of helm", vec!["token=hunter2hunter2".into()]);
        let text = render(&failure.into(), &redactor, &PLAIN);
        assert!(text.contains("output of helm: token=[redacted]"), "{text}");
    }
}
