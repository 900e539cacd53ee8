//! Where the page is written.

use std::path::{Component, Path, PathBuf};

use crate::{
    adapters::files,
    domain::{ExitClass, Failure},
};

/// A file of the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its path, absolute.
    pub path: PathBuf,
    /// Its path, relative to the project.
    pub shown: PathBuf,
}

/// The place of a file, relative to a project's directory. A file outside of it, or behind a link that leads out, is refused.
pub fn place(project: &Path, file: &Path) -> Result<Place, Failure> {
    let inside = file.strip_prefix(project).unwrap_or(file);
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if !inside.components().all(is_plain) || inside.file_name().is_none() {
        return Err(outside(file, "it is no path below the project's directory"));
    }
    let shown: PathBuf = inside
        .components()
        .filter(|part| *part != Component::CurDir)
        .collect();
    let path = project.join(&shown);
    let mut existing = path.ancestors().skip(1);
    let existing = existing.find(|directory| files::exists(directory));
    let real = files::canonical(existing.unwrap_or(project)).map_err(|error| error.failure())?;
    let project = files::canonical(project).map_err(|error| error.failure())?;
    if !real.starts_with(&project) {
        let why = format!("a link leads to {}", real.display());
        return Err(outside(file, &why));
    }
    Ok(Place { path, shown })
}

impl Place {
    /// Writes the file; a link in its place is replaced, and what it leads to is left alone.
    pub fn write(&self, text: &str) -> Result<(), Failure> {
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        let made = files::create_dir(directory);
        made.and_then(|()| files::write_shared(&self.path, text.as_bytes()))
            .map_err(|error| error.failure())
    }
}

fn outside(file: &Path, why: &str) -> Failure {
    let what = format!("{} is not a file of the project", file.display());
    Failure::new("docs.outside", ExitClass::Usage, what)
        .because(why)
        .help("devenv docs generate --out docs/ENVIRONMENT.md")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_in_the_project_whatever_links_say() {
        let (project, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let project = files::canonical(project.path()).unwrap();
        let shown = |file: &str| place(&project, Path::new(file)).map(|place| place.shown);
        assert_eq!(shown("docs/E.md").unwrap(), Path::new("docs/E.md"));
        assert_eq!(shown("./E.md").unwrap(), Path::new("E.md"));
        let absolute = project.join("E.md");
        assert_eq!(
            shown(absolute.to_str().unwrap()).unwrap(),
            Path::new("E.md")
        );
        std::os::unix::fs::symlink(other.path(), project.join("out")).unwrap();
        for file in [
            "../E.md",
            "/etc/passwd",
            "a/../../E.md",
            "out/E.md",
            "out/a/E.md",
            ".",
        ] {
            assert_eq!(shown(file).unwrap_err().code.0, "docs.outside", "{file}");
        }
    }

    #[test]
    fn a_link_in_its_place_is_replaced() {
        let project = tempfile::tempdir().unwrap();
        let project = files::canonical(project.path()).unwrap();
        let kept = project.join("kept");
        files::write_shared(&kept, b"kept").unwrap();
        std::os::unix::fs::symlink(&kept, project.join("E.md")).unwrap();
        let place = place(&project, Path::new("E.md")).unwrap();
        place.write("new").unwrap();
        assert_eq!(files::read_text(&kept).unwrap(), "kept");
        assert_eq!(files::read_text(&place.path).unwrap(), "new");
    }
}
