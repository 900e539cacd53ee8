//! `key=value` files: comments, quotes, `export`.

use std::{collections::BTreeMap, path::Path};

use super::problem::Problem;
use crate::domain::{Failure, Place};

/// What can be wrong with a line. The line itself is never shown: it may hold a secret.
#[derive(Debug, thiserror::Error)]
enum EnvFileProblem {
    #[error("line {line} of `{file}` is not `KEY=value`")]
    NotAPair { file: String, line: usize },
    #[error("the name on line {line} of `{file}` is not one for an environment variable")]
    BadName { file: String, line: usize },
    #[error("the quote on line {line} of `{file}` is not closed")]
    OpenQuote { file: String, line: usize },
}

impl Problem for EnvFileProblem {
    fn code(&self) -> &'static str {
        "manifest.env-file"
    }

    fn help(&self) -> Vec<String> {
        vec![
            match self {
                Self::NotAPair { .. } => "write `KEY=value`, or begin a comment with `#`",
                Self::BadName { .. } => {
                    "use letters, digits and `_`, and do not begin with a digit"
                }
                Self::OpenQuote { .. } => {
                    "close it on the same line; write a line break as `\\n` inside double quotes"
                }
            }
            .to_owned(),
        ]
    }
}

/// Reads the `key=value` lines of `text`; later lines win.
///
/// Empty lines and lines that begin with `#` are skipped; a leading `export ` is allowed. A value in
/// single quotes is taken as it is, one in double quotes knows `\n`, `\t`, `\"`, `\\` and `\$`; without
/// quotes a ` #` begins a comment. Nothing is expanded. `file` names the text in failures.
pub fn parse_env_file(text: &str, file: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let mut pairs = BTreeMap::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if let Some((key, value)) =
            parse_line(line, number, file).map_err(|problem| at(&problem, file, number))?
        {
            pairs.insert(key, value);
        }
    }
    Ok(pairs)
}

fn parse_line(
    line: &str,
    number: usize,
    file: &Path,
) -> Result<Option<(String, String)>, EnvFileProblem> {
    let file = || file.display().to_string();
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let line = line.strip_prefix("export ").unwrap_or(line);
    let Some((key, value)) = line.split_once('=') else {
        return Err(EnvFileProblem::NotAPair {
            file: file(),
            line: number,
        });
    };
    let key = key.trim();
    if !is_name(key) {
        return Err(EnvFileProblem::BadName {
            file: file(),
            line: number,
        });
    }
    match parse_value(value.trim()) {
        Some(value) => Ok(Some((key.to_owned(), value))),
        None => Err(EnvFileProblem::OpenQuote {
            file: file(),
            line: number,
        }),
    }
}

/// Whether `text` can name an environment variable of a container.
pub(super) fn is_name(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// The value without its quotes; `None` if a quote is not closed.
fn parse_value(value: &str) -> Option<String> {
    let after = |rest: &str| {
        let rest = rest.trim_start();
        rest.is_empty() || rest.starts_with('#')
    };
    if let Some(inner) = value.strip_prefix('\'') {
        let (text, rest) = inner.split_once('\'')?;
        return after(rest).then(|| text.to_owned());
    }
    let Some(inner) = value.strip_prefix('"') else {
        let end = value.find(" #").unwrap_or(value.len());
        return Some(value[..end].trim_end().to_owned());
    };
    let mut text = String::new();
    let mut chars = inner.chars();
    loop {
        match chars.next()? {
            '"' => return after(chars.as_str()).then_some(text),
            '\\' => match chars.next()? {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                c @ ('"' | '\\' | '$') => text.push(c),
                c => text.extend(['\\', c]),
            },
            c => text.push(c),
        }
    }
}

fn at(problem: &EnvFileProblem, file: &Path, line: usize) -> Failure {
    problem.failure().at(Some(Place {
        file: file.to_path_buf(),
        line,
        column: 1,
        length: 1,
        source_line: String::new(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse_env_file(text, Path::new(".env"))
            .unwrap()
            .into_iter()
            .collect()
    }

    #[test]
    fn comments_quotes_and_export_are_understood() {
        let read = pairs(
            "# c\n\nexport A=1\nB = two words # why\nC='as $is # it'\nD=\"a\\n\\\"b\\\"\" # c\nE=\nF=a#b\nA=2\r\n",
        );
        let expected = [
            ("A", "2"),
            ("B", "two words"),
            ("C", "as $is # it"),
            ("D", "a\n\"b\""),
            ("E", ""),
            ("F", "a#b"),
        ];
        let expected: Vec<_> = expected
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        assert_eq!(read, expected);
    }

    #[test]
    fn a_failure_names_the_line_and_never_shows_its_text() {
        for bad in ["A=1\nhunter2", "A=1\n1X=hunter2", "A=1\nB=\"hunter2"] {
            let failure = parse_env_file(bad, Path::new(".env.order")).unwrap_err();
            assert_eq!(failure.code.0, "manifest.env-file");
            assert_eq!(
                failure.place.as_ref().unwrap().to_string(),
                ".env.order:2:1"
            );
            assert!(!format!("{failure:?}").contains("hunter2"), "{failure:?}");
        }
    }
}
