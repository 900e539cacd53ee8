//! Finds in a Dockerfile the instruction that a build step stands for.

use std::{collections::BTreeSet, path::Path};

use crate::domain::Place;

/// The registry and namespace that a short image name stands for.
const DEFAULT_NAMESPACE: &str = "docker.io/library/";
const DEFAULT_REGISTRY: &str = "docker.io/";

/// One instruction with all its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Instruction<'a> {
    /// The line it begins at, from 1.
    line: usize,
    /// That line.
    source_line: &'a str,
    /// Its words, over all lines.
    words: Vec<&'a str>,
}

impl<'a> Instruction<'a> {
    /// The image or stage that a `FROM` names.
    fn base(&self) -> Option<&'a str> {
        let (from, words) = self.words.split_first()?;
        let mut words = words.iter().filter(|word| !word.starts_with("--"));
        let named = from.eq_ignore_ascii_case("FROM").then(|| words.next());
        named.flatten().copied()
    }
}

/// The place of the instruction that the step `name` (`[build 2/3] RUN make`) runs.
pub(super) fn place_of_step(file: &Path, text: &str, name: &str) -> Option<Place> {
    let command = name.strip_prefix('[')?.split_once("] ")?.1;
    let wanted: Vec<&str> = command.split_whitespace().collect();
    instructions(text)
        .into_iter()
        .find(|instruction| same(&instruction.words, &wanted))
        .map(|instruction| place(file, &instruction))
}

/// The place of the `FROM` that names `image`.
pub(super) fn place_of_base(file: &Path, text: &str, image: &str) -> Option<Place> {
    let bases: Vec<_> = instructions(text)
        .into_iter()
        .filter(|instruction| instruction.base().is_some())
        .collect();
    let names = |instruction: &Instruction<'_>| {
        let named = instruction.base();
        named.is_some_and(|named| full_name(named) == full_name(image))
    };
    bases
        .iter()
        .find(|instruction| names(instruction))
        // The name may come from an argument.
        .or_else(|| {
            bases
                .iter()
                .find(|instruction| instruction.words.iter().any(|word| word.contains('$')))
        })
        .map(|instruction| place(file, instruction))
}

/// The images that the build of `target`, or of the last stage, begins with, as far as the text alone tells them;
/// each once.
pub(super) fn bases(text: &str, target: Option<&str>) -> Vec<String> {
    let stages = stages(text);
    let wanted = match target {
        Some(name) => position(&stages, name),
        None => stages.len().checked_sub(1),
    };
    let mut open: Vec<usize> = wanted.into_iter().collect();
    let mut needed = BTreeSet::new();
    while let Some(index) = open.pop() {
        if needed.insert(index) {
            let others = &stages[..index];
            let sources = stages[index].sources.iter();
            open.extend(sources.filter_map(|source| position(others, source)));
        }
    }
    let mut found: Vec<String> = Vec::new();
    for index in needed {
        let stage = &stages[index];
        let is_plain = stage.base != "scratch" && !stage.base.contains('$');
        let is_image = position(&stages[..index], stage.base).is_none();
        // For another platform it is another image.
        if is_plain && is_image && !stage.has_options && !found.iter().any(|f| f == stage.base) {
            found.push(stage.base.to_owned());
        }
    }
    found
}

/// A stage of a Dockerfile.
struct Stage<'a> {
    name: Option<&'a str>,
    base: &'a str,
    has_options: bool,
    /// What it is made from, by name: its base, and what it copies or mounts from; stages or images.
    sources: Vec<&'a str>,
}

fn stages(text: &str) -> Vec<Stage<'_>> {
    let mut stages: Vec<Stage<'_>> = Vec::new();
    for instruction in instructions(text) {
        if let Some(base) = instruction.base() {
            let named = instruction.words.iter().rev();
            let named: Vec<&str> = named.take(2).copied().collect();
            stages.push(Stage {
                name: match named[..] {
                    [name, word] if word.eq_ignore_ascii_case("AS") => Some(name),
                    _ => None,
                },
                base,
                has_options: instruction.words.iter().any(|word| word.starts_with("--")),
                sources: vec![base],
            });
        } else if let Some(stage) = stages.last_mut() {
            let options = instruction.words.iter().filter(|w| w.starts_with("--"));
            let settings = options.flat_map(|option| option.trim_start_matches('-').split(','));
            let settings = settings.map(|setting| setting.trim_start_matches("mount="));
            stage
                .sources
                .extend(settings.filter_map(|setting| setting.strip_prefix("from=")));
        }
    }
    stages
}

/// The stage of that name or number; names are told apart without regard to case.
fn position(stages: &[Stage<'_>], name: &str) -> Option<usize> {
    let named = |stage: &Stage<'_>| stage.name.is_some_and(|n| n.eq_ignore_ascii_case(name));
    let numbered = || name.parse().ok().filter(|index| *index < stages.len());
    stages.iter().rposition(named).or_else(numbered)
}

/// The place of the directive `# syntax=`, which is among the first lines.
pub(super) fn place_of_syntax(file: &Path, text: &str) -> Option<Place> {
    let line = text
        .lines()
        .take_while(|line| line.starts_with('#'))
        .position(|line| {
            let directive = line.trim_start_matches('#').split_once('=');
            directive.is_some_and(|(name, _)| name.trim().eq_ignore_ascii_case("syntax"))
        })?;
    place_of_line(file, text, line + 1)
}

/// The place of a line, from 1.
pub(super) fn place_of_line(file: &Path, text: &str, line: usize) -> Option<Place> {
    let source_line = text.lines().nth(line.checked_sub(1)?)?;
    let instruction = Instruction {
        line,
        source_line,
        words: Vec::new(),
    };
    Some(place(file, &instruction))
}

fn place(file: &Path, instruction: &Instruction<'_>) -> Place {
    let indent = instruction.source_line.len() - instruction.source_line.trim_start().len();
    Place {
        file: file.to_owned(),
        line: instruction.line,
        column: indent + 1,
        length: instruction.source_line.trim().chars().count().max(1),
        source_line: instruction.source_line.to_owned(),
    }
}

/// Whether a written instruction becomes the step with the words `wanted`; a word with a variable can become anything.
fn same(written: &[&str], wanted: &[&str]) -> bool {
    written.len() == wanted.len()
        && written
            .iter()
            .zip(wanted)
            .enumerate()
            .all(|(index, (written, wanted))| {
                written == wanted
                    || written.contains('$')
                    || (index == 0 && written.eq_ignore_ascii_case(wanted))
            })
}

fn full_name(image: &str) -> String {
    let (name, tag) = super::images::split_reference(image);
    let name = name.strip_prefix(DEFAULT_NAMESPACE).unwrap_or(name);
    let name = name.strip_prefix(DEFAULT_REGISTRY).unwrap_or(name);
    format!("{name}:{tag}")
}

fn instructions(text: &str) -> Vec<Instruction<'_>> {
    let escape = if text
        .lines()
        .take_while(|line| line.starts_with('#'))
        .any(is_backtick_directive)
    {
        '`'
    } else {
        '\\'
    };
    let mut found: Vec<Instruction<'_>> = Vec::new();
    let mut continued = false;
    let mut documents: Vec<String> = Vec::new();
    for (index, source_line) in text.lines().enumerate() {
        let line = source_line.trim();
        if let Some(end) = documents.first() {
            if line == end {
                documents.remove(0);
            }
            continue;
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (content, goes_on) = match line.strip_suffix(escape) {
            Some(content) => (content, true),
            None => (line, false),
        };
        if !continued {
            found.push(Instruction {
                line: index + 1,
                source_line,
                words: Vec::new(),
            });
        }
        if let Some(instruction) = found.last_mut() {
            instruction.words.extend(content.split_whitespace());
        }
        documents.extend(content.split_whitespace().filter_map(end_of_document));
        continued = goes_on;
    }
    found
}

fn is_backtick_directive(line: &str) -> bool {
    line.trim_start_matches('#')
        .split_once('=')
        .is_some_and(|(name, value)| {
            name.trim().eq_ignore_ascii_case("escape") && value.trim() == "`"
        })
}

/// The line that ends the document which `word` (`<<EOF`) begins.
fn end_of_document(word: &str) -> Option<String> {
    let name = word.strip_prefix("<<")?;
    let name = name
        .strip_prefix('-')
        .unwrap_or(name)
        .trim_matches(['"', '\'']);
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# comment
ARG BASE=debian
FROM golang:1.25 AS build
RUN apt-get update && \\
    # why
    apt-get install -y make

RUN <<EOF
RUN make
EOF
  COPY --from=x /a ${DIR}/b
FROM ${BASE}
run make
";

    #[test]
    fn bases_are_images_and_neither_stages_nor_what_an_argument_names() {
        // The last stage of that one copies from an image and begins with an argument.
        assert_eq!(bases(TEXT, None), [""; 0]);
        assert_eq!(bases(TEXT, Some("build")), ["golang:1.25"]);
        let text = "FROM debian AS a\nFROM a AS b\nfrom B\nCOPY --from=c /x /\n";
        assert_eq!(bases(text, None), ["debian"]);
        assert_eq!(bases("FROM scratch\n", None), [""; 0]);
        // A stage that is built for a platform is a stage for those that follow.
        let text = "FROM --platform=$BUILDPLATFORM golang AS build\nRUN make\nFROM build\n";
        assert_eq!(bases(text, None), [""; 0]);
    }

    #[test]
    fn only_the_stages_that_a_target_is_made_from_count() {
        let text = "FROM node:22 AS dev\nFROM golang AS build\nFROM rust AS tools\n\
                    FROM debian\nCOPY --from=build /a /\nRUN --mount=type=bind,from=2,target=/t t\n";
        assert_eq!(bases(text, None), ["golang", "rust", "debian"]);
        assert_eq!(bases(text, Some("DEV")), ["node:22"]);
        assert_eq!(bases(text, Some("none")), [""; 0]);
    }

    fn line(name: &str) -> Option<usize> {
        place_of_step(Path::new("Dockerfile"), TEXT, name).map(|place| place.line)
    }

    #[test]
    fn a_step_is_found_over_continued_lines_variables_and_documents() {
        assert_eq!(
            line("[build 2/4] RUN apt-get update &&     apt-get install -y make"),
            Some(4)
        );
        assert_eq!(line("[build 4/4] COPY --from=x /a /srv/b"), Some(11));
        assert_eq!(line("[stage-1 2/2] RUN make"), Some(13));
        assert_eq!(line("[stage-1 2/2] RUN other"), None);
        assert_eq!(line("exporting layers"), None);
    }

    #[test]
    fn a_base_is_found_by_its_full_name_or_by_its_argument() {
        let base = |text, image| place_of_base(Path::new("a"), text, image).map(|place| place.line);
        assert_eq!(base(TEXT, "docker.io/library/golang:1.25"), Some(3));
        assert_eq!(base(TEXT, "docker.io/library/debian:latest"), Some(12));
        assert_eq!(
            base("FROM busybox\n", "docker.io/library/busybox:latest"),
            Some(1)
        );
        assert_eq!(base("FROM busybox\n", "docker.io/me/app:1"), None);
    }

    #[test]
    fn a_place_shows_the_line_from_its_first_word() {
        let place = place_of_line(Path::new("Dockerfile"), TEXT, 11).unwrap();
        assert_eq!((place.column, place.length), (3, 25));
        assert_eq!(place_of_line(Path::new("Dockerfile"), TEXT, 0), None);
    }
}
