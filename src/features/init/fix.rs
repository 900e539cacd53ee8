//! A manifest with mistakes is mended where there is only one way, and stays as it is everywhere else.
//!
//! Each mend replaces the characters that a mistake points at, so that comments and layout stay. It is
//! kept if its mistake is gone afterwards and no more are there than before.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{create::MANIFEST_FILE, names};
use crate::{
    adapters::files,
    domain::{Failures, ProjectFiles},
    manifest::{self, Mending, Mistake, Request},
    report::{Init, InitFile, InitFileChange, InitMend},
};

/// Whether the mended manifest is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writing {
    /// It is, if it has fewer mistakes.
    Really,
    /// The mends are only shown.
    DryRun,
}

/// What mending came to.
#[derive(Debug)]
pub struct Fixed {
    /// What was done.
    pub report: Init,
    /// What is left to be mended by hand.
    pub left: Option<Failures>,
}

/// Mends the manifest that `request` names, and writes it if it is better then. Blocks.
pub fn fix(request: &Request, writing: Writing) -> Result<Fixed, Failures> {
    let project = files::Project::new(request.directory.clone());
    let file = request
        .file
        .clone()
        .unwrap_or_else(|| PathBuf::from(MANIFEST_FILE));
    let mended = mend(request, &file, &project)?;
    let is_better = mended.after < mended.before;
    let is_written = is_better && writing == Writing::Really;
    if is_written {
        files::write_shared(&request.directory.join(&file), mended.text.as_bytes())
            .map_err(|error| Failures::from(error.failure()))?;
    }
    let change = if is_written {
        InitFileChange::Updated
    } else {
        InitFileChange::Kept
    };
    let next_steps = match (&mended.left, writing) {
        (None, _) if mended.before == 0 => vec!["devenv up".to_owned()],
        (_, Writing::DryRun) if is_better => vec!["devenv init --fix   # writes it".to_owned()],
        (None, _) => vec!["devenv up".to_owned()],
        _ => Vec::new(),
    };
    Ok(Fixed {
        report: Init {
            directory: request.directory.display().to_string(),
            files: vec![InitFile {
                path: file.display().to_string(),
                change,
            }],
            services: mended.services,
            mends: if is_better { mended.mends } else { Vec::new() },
            next_steps,
            ..Init::default()
        },
        left: mended.left,
    })
}

/// A mended text, and how many mistakes there were and are.
struct Mended {
    text: String,
    mends: Vec<InitMend>,
    services: Vec<String>,
    before: usize,
    after: usize,
    left: Option<Failures>,
}

/// What the manifest room says about a text.
struct Verdict {
    services: Vec<String>,
    failures: Option<Failures>,
    mistakes: Vec<Mistake>,
}

impl Verdict {
    fn count(&self) -> usize {
        self.failures
            .as_ref()
            .map_or(0, |failures| failures.iter().count())
    }
}

fn mend(request: &Request, file: &Path, project: &dyn ProjectFiles) -> Result<Mended, Failures> {
    let judge = |text: Option<&str>| verdict(request, file, text, project);
    let first = judge(None);
    let Ok(original) = project.read(file) else {
        // The manifest room says best why it cannot be read.
        return match first.failures {
            Some(failures) => Err(failures),
            None => Ok(Mended {
                text: String::new(),
                mends: Vec::new(),
                services: first.services,
                before: 0,
                after: 0,
                left: None,
            }),
        };
    };
    let before = first.count();
    let (mut text, mut now) = (original, first);
    let (mut mends, mut refused) = (Vec::new(), Vec::new());
    while let Some(mistake) = now
        .mistakes
        .iter()
        .find(|mistake| mistake.place.file == file && !refused.contains(*mistake))
        .cloned()
    {
        let attempt =
            applied(&text, &mistake, request).map(|(text, mend)| (judge(Some(&text)), text, mend));
        match attempt {
            Some((then, better, mend))
                if then.count() <= now.count() && !then.mistakes.contains(&mistake) =>
            {
                mends.push(mend);
                // Mistakes on later lines are others now if a line came before them.
                refused.clear();
                (text, now) = (better, then);
            }
            _ => refused.push(mistake),
        }
        if mends.len() > MOST_MENDS {
            break;
        }
    }
    Ok(Mended {
        text,
        mends,
        services: now.services.clone(),
        before,
        after: now.count(),
        left: now.failures,
    })
}

/// More mends than this are a file of another kind.
const MOST_MENDS: usize = 500;

fn verdict(
    request: &Request,
    file: &Path,
    text: Option<&str>,
    project: &dyn ProjectFiles,
) -> Verdict {
    let draft = Draft {
        file,
        text,
        project,
    };
    match manifest::load_with_mistakes(request, &draft) {
        Ok(loaded) => Verdict {
            services: loaded
                .environment
                .services
                .keys()
                .map(ToString::to_string)
                .collect(),
            failures: None,
            mistakes: Vec::new(),
        },
        Err((failures, mistakes)) => Verdict {
            services: Vec::new(),
            failures: Some(failures),
            mistakes,
        },
    }
}

/// The text with one mistake mended; `None` if its place is not in it.
fn applied(text: &str, mistake: &Mistake, request: &Request) -> Option<(String, InitMend)> {
    let place = &mistake.place;
    let new_line = |line: String| inserted(text, &line);
    match &mistake.mending {
        Mending::Replace(word) => {
            let start = line_start(text, place.line)?;
            let line = text[start..].split(['\n', '\r']).next()?;
            let column = place.column.checked_sub(1)?;
            let from = line.char_indices().nth(column)?.0;
            let to = line
                .char_indices()
                .nth(column + place.length)
                .map_or(line.len(), |(at, _)| at);
            let after = format!("{}{word}{}", &line[..from], &line[to..]);
            let whole = format!("{}{after}{}", &text[..start], &text[start + line.len()..]);
            Some((
                whole,
                InitMend {
                    line: place.line,
                    before: line.to_owned(),
                    after,
                },
            ))
        }
        Mending::Insert(line) => new_line(line.clone()),
        Mending::InsertName => {
            new_line(format!("name: {}", names::of_directory(&request.directory)))
        }
    }
}

/// A new line before the first key; below `apiVersion` if that is the first.
fn inserted(text: &str, line: &str) -> Option<(String, InitMend)> {
    let is_key = |line: &str| {
        !(line.trim().is_empty()
            || line.starts_with(['#', '%'])
            || line.starts_with("---")
            || line.starts_with('\u{feff}'))
    };
    let first = text.lines().position(is_key)?;
    let is_version = text.lines().nth(first)?.starts_with("apiVersion:");
    let number = first + usize::from(is_version) + 1;
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let whole = match line_start(text, number) {
        Some(at) => format!("{}{line}{end}{}", &text[..at], &text[at..]),
        None => format!("{}{end}{line}{end}", text.trim_end()),
    };
    Some((
        whole,
        InitMend {
            line: number,
            before: String::new(),
            after: line.to_owned(),
        },
    ))
}

/// The byte at which a line begins, from 1.
fn line_start(text: &str, line: usize) -> Option<usize> {
    let mut starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
    starts
        .nth(line.checked_sub(1)?)
        .filter(|at| *at < text.len())
}

/// The project with another text in the manifest's place.
struct Draft<'a> {
    file: &'a Path,
    text: Option<&'a str>,
    project: &'a dyn ProjectFiles,
}

impl ProjectFiles for Draft<'_> {
    fn read(&self, path: &Path) -> io::Result<String> {
        match self.text {
            Some(text) if path == self.file => Ok(text.to_owned()),
            _ => self.project.read(path),
        }
    }
    fn length(&self, path: &Path) -> io::Result<u64> {
        match self.text {
            Some(text) if path == self.file => Ok(text.len() as u64),
            _ => self.project.length(path),
        }
    }
    fn is_directory(&self, path: &Path) -> bool {
        self.project.is_directory(path)
    }
    fn is_file(&self, path: &Path) -> bool {
        self.project.is_file(path)
    }
    fn names(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.project.names(directory)
    }
    fn glob(&self, pattern: &str) -> io::Result<Vec<PathBuf>> {
        self.project.glob(pattern)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::testing::{DIRECTORY, MemoryFiles, render};

    fn mended(text: &str) -> Mended {
        let files = MemoryFiles::with_manifest(text);
        let request = Request {
            directory: DIRECTORY.into(),
            ..Request::default()
        };
        mend(&request, Path::new(MANIFEST_FILE), &files)
            .map_err(|failures| render(&failures))
            .unwrap()
    }

    #[test]
    fn what_has_one_way_is_mended_and_comments_stay() {
        let text = "# head\napiVersion: devenv/v1\nservices:\n  db: { image: postgres:17, port: [5432] }  # a\n  api:\n    image: x\n    replica: \"2\" # b\n    dependson: bd\n    ports: [{ port: \"80\", protocol: tcp }]\n";
        let done = mended(text);
        assert_eq!(
            done.text,
            "# head\napiVersion: devenv/v1\nname: project\nservices:\n  db: { image: postgres:17, ports: [5432] }  # a\n  api:\n    image: x\n    replicas: 2 # b\n    dependsOn: [db]\n    ports: [{ port: 80, protocol: TCP }]\n"
        );
        assert!(done.left.is_none() && done.before > 0 && done.after == 0);
        assert_eq!(done.services, ["api", "db"]);
    }

    #[test]
    fn what_is_in_doubt_is_left_and_shown() {
        let text = "apiVersion: devenv/v1\nname: a\nservices:\n  api: { image: x, banana: 1, dependsOn: [db] }\n  db1: { image: x }\n  db2: { image: x }\n";
        let done = mended(text);
        assert_eq!(done.text, text);
        assert_eq!((done.before, done.after), (2, 2));
    }

    #[test]
    fn a_file_that_is_no_yaml_is_left_as_it_is() {
        for text in [
            "apiVersion: devenv/v1\nservices: [\n",
            "services:\n\ta: 1\n",
            "",
            "# x\n",
        ] {
            let done = mended(text);
            assert_eq!((done.text.as_str(), done.mends.len()), (text, 0), "{text}");
            assert!(done.left.is_some());
        }
    }

    #[test]
    fn line_ends_stay_as_they_are() {
        let done = mended("apiVersion: devenv/v1\r\nservices:\r\n  a: { imag: x }\r\n");
        assert_eq!(
            done.text,
            "apiVersion: devenv/v1\r\nname: project\r\nservices:\r\n  a: { image: x }\r\n"
        );
    }
}
