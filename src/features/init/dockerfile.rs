//! What a Dockerfile says about the process in it: ports, language.

use crate::domain::PortNumber;

/// What is known of an image that is built.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Image {
    /// The TCP ports of `EXPOSE` in the stage that is built.
    pub(super) ports: Vec<PortNumber>,
    /// The language, guessed from the base images.
    pub(super) language: Option<&'static str>,
}

/// Parts of base images' names, and the language they stand for.
const LANGUAGES: [(&str, &str); 22] = [
    ("node", "Node.js"),
    ("bun", "Node.js"),
    ("deno", "Node.js"),
    ("python", "Python"),
    ("golang", "Go"),
    ("go-toolset", "Go"),
    ("rust", "Rust"),
    ("ruby", "Ruby"),
    ("rails", "Ruby"),
    ("php", "PHP"),
    ("composer", "PHP"),
    ("openjdk", "Java"),
    ("temurin", "Java"),
    ("corretto", "Java"),
    ("maven", "Java"),
    ("gradle", "Java"),
    ("java", "Java"),
    ("dotnet", ".NET"),
    ("aspnet", ".NET"),
    ("elixir", "Elixir"),
    ("erlang", "Erlang"),
    ("swift", "Swift"),
];

/// A stage: its name, the image or stage it begins from, and its ports.
#[derive(Debug, Default)]
struct BuildStage {
    name: String,
    base: String,
    ports: Vec<PortNumber>,
}

/// Reads a Dockerfile; `target` is the stage that is built, the last if `None`.
pub(super) fn read(text: &str, target: Option<&str>) -> Image {
    let stages = stages(text);
    let named = |name: &str| {
        stages
            .iter()
            .rposition(|stage| stage.name.eq_ignore_ascii_case(name))
    };
    let mut at = target
        .and_then(named)
        .or_else(|| stages.len().checked_sub(1));
    let mut image = Image::default();
    // A stage that begins from another one has its ports too; only earlier ones can be meant.
    while let Some(stage) = at.and_then(|at| stages.get(at)) {
        image.ports.extend(&stage.ports);
        image.language = image.language.or_else(|| language(&stage.base));
        at = named(&stage.base).filter(|base| at.is_some_and(|at| *base < at));
    }
    // Go and Rust programs run from images that say nothing.
    let others = || stages.iter().rev().find_map(|stage| language(&stage.base));
    image.language = image.language.or_else(others);
    let mut seen = std::collections::BTreeSet::new();
    image.ports.retain(|port| seen.insert(*port));
    image
}

fn stages(text: &str) -> Vec<BuildStage> {
    let mut stages: Vec<BuildStage> = Vec::new();
    for line in logical_lines(text) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some((instruction, rest)) = words.split_first() else {
            continue;
        };
        if instruction.eq_ignore_ascii_case("FROM") {
            let mut rest = rest.iter().filter(|word| !word.starts_with("--"));
            let base = rest
                .next()
                .map(|base| (*base).to_owned())
                .unwrap_or_default();
            let name = rest
                .nth(1)
                .map(|name| (*name).to_owned())
                .unwrap_or_default();
            stages.push(BuildStage {
                name,
                base,
                ports: Vec::new(),
            });
        } else if instruction.eq_ignore_ascii_case("EXPOSE")
            && let Some(stage) = stages.last_mut()
        {
            stage
                .ports
                .extend(rest.iter().filter_map(|word| port(word)));
        }
    }
    stages
}

/// Lines with their continuations, without comments.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = String::new();
    for line in text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
    {
        match line.strip_suffix('\\') {
            Some(part) => open.extend([part, " "]),
            None => lines.push(std::mem::take(&mut open) + line),
        }
    }
    lines.push(open);
    lines
}

/// `8080` or `8080/tcp`; what is a variable or UDP is passed over.
fn port(word: &str) -> Option<PortNumber> {
    word.strip_suffix("/tcp").unwrap_or(word).parse().ok()
}

fn language(base: &str) -> Option<&'static str> {
    let base = base.to_ascii_lowercase();
    let name = base.split(['@', ':']).next().unwrap_or_default();
    let parts: Vec<&str> = name.split(['/', '-']).collect();
    let found = LANGUAGES.iter().find(|(part, _)| parts.contains(part));
    found.map(|(_, language)| *language)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
FROM --platform=linux/amd64 golang:1.25 AS build
EXPOSE 1
FROM gcr.io/distroless/static AS base
EXPOSE 9090/tcp
FROM base AS dev
EXPOSE 8080 \\
    # why
    53/udp $PORT
FROM base
EXPOSE 80 80
";

    fn ports(target: Option<&str>) -> Vec<u16> {
        read(TEXT, target)
            .ports
            .iter()
            .map(|port| port.get())
            .collect()
    }

    #[test]
    fn the_ports_are_those_of_the_stage_that_is_built() {
        assert_eq!(ports(None), [80, 9090]);
        assert_eq!(ports(Some("dev")), [8080, 9090]);
        assert_eq!(ports(Some("BUILD")), [1]);
        assert_eq!(read("", None), Image::default());
    }

    #[test]
    fn the_language_comes_from_any_stage() {
        assert_eq!(read(TEXT, None).language, Some("Go"));
        assert_eq!(
            read("FROM node:22-alpine\n", None).language,
            Some("Node.js")
        );
        assert_eq!(
            read("FROM eclipse-temurin:21\n", None).language,
            Some("Java")
        );
        assert_eq!(read("FROM debian\n", None).language, None);
    }
}
