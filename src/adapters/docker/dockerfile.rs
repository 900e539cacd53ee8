//! Finds in a Dockerfile the instruction that a build step stands for.

use std::path::Path;

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
    let from = |instruction: &Instruction<'_>| {
        instruction
            .words
            .first()
            .is_some_and(|word| word.eq_ignore_ascii_case("FROM"))
    };
    let names = |instruction: &Instruction<'_>| {
        let named = instruction
            .words
            .iter()
            .skip(1)
            .find(|word| !word.starts_with("--"));
        named.is_some_and(|named| full_name(named) == full_name(image))
    };
    let bases: Vec<_> = instructions(text).into_iter().filter(from).collect();
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

/// The images that the stages of a Dockerfile begin with, as far as they are told by the text alone, each once.
pub(super) fn bases(text: &str) -> Vec<String> {
    let (mut stages, mut found) = (vec!["scratch"], Vec::new());
    for instruction in instructions(text) {
        let [from, words @ ..] = instruction.words.as_slice() else {
            continue;
        };
        // Another platform is another image.
        let named = words.first().filter(|word| !word.starts_with("--"));
        if let Some(base) = named
            && from.eq_ignore_ascii_case("FROM")
            && !base.contains('$')
            && !stages.contains(base)
            && !found.contains(&(*base).to_owned())
        {
            found.push((*base).to_owned());
        }
        if let [_, word, stage] = words
            && word.eq_ignore_ascii_case("AS")
        {
            stages.push(stage);
        }
    }
    found
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
        assert_eq!(bases(TEXT), ["golang:1.25"]);
        let text = "FROM debian AS a\nFROM a AS b\nfrom b\nFROM debian\nFROM scratch\n\
                    FROM --platform=linux/arm64 alpine\nFROM node:22\n";
        assert_eq!(bases(text), ["debian", "node:22"]);
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
