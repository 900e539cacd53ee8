//! The file system, with errors that name the operation and the path.
//!
//! The only place that may call `std::fs` functions that clippy.toml forbids elsewhere.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the wrapper that the others are told to use"
)]

use std::{
    fs,
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    },
    path::{Path, PathBuf},
};

mod error;
mod landing;
mod new_file;
mod project;
mod unfinished;

use self::error::At as _;
pub use self::{
    error::{DISK_FULL, FileError, Operation},
    landing::{Landing, LandingFile},
    new_file::NewFile,
    project::Project,
};
use crate::domain::{DataFiles as _, FileKind, InputsHash};

/// Only the user may read and write.
const PRIVATE_FILE: u32 = 0o600;
/// Only the user may enter.
const PRIVATE_DIRECTORY: u32 = 0o700;

/// The bytes of a file.
pub fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    fs::read(path).at(Operation::Read, path)
}

/// The text of a file, which must be UTF-8.
pub fn read_text(path: &Path) -> Result<String, FileError> {
    fs::read_to_string(path).at(Operation::Read, path)
}

/// The text of a file, or `None` if there is no such file.
pub fn read_text_if_there(path: &Path) -> Result<Option<String>, FileError> {
    match fs::read_to_string(path) {
        Err(error) if is_absent(&error) => Ok(None),
        other => other.map(Some).at(Operation::Read, path),
    }
}

/// The bytes of a file, or `None` if there is no such file.
pub fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match fs::read(path) {
        Err(error) if is_absent(&error) => Ok(None),
        other => other.map(Some).at(Operation::Read, path),
    }
}

/// Opens a file for reading.
pub fn open(path: &Path) -> Result<fs::File, FileError> {
    fs::File::open(path).at(Operation::Read, path)
}

/// Replaces a file's contents at once: readers see the old or the new, also after a crash. Mode 0600.
pub fn write_private(path: &Path, contents: &[u8]) -> Result<(), FileError> {
    write_atomically(path, contents, PRIVATE_FILE)
}

/// The directory in which something is.
fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Like [`write_private`], readable by everyone: for files that belong to the project.
pub fn write_shared(path: &Path, contents: &[u8]) -> Result<(), FileError> {
    write_atomically(path, contents, 0o644)
}

/// Writes over a file of the user's, whole or not at all: what it links to stays where it is, and its mode what it is.
pub fn write_over(path: &Path, contents: &[u8]) -> Result<(), FileError> {
    let path = match fs::canonicalize(path) {
        Err(error) if is_absent(&error) => return write_shared(path, contents),
        target => target.at(Operation::Write, path)?,
    };
    let about = fs::metadata(&path).at(Operation::Inspect, &path)?;
    write_atomically(&path, contents, about.permissions().mode() & 0o7777)
}

fn write_atomically(path: &Path, contents: &[u8], mode: u32) -> Result<(), FileError> {
    let directory = directory_of(path);
    let write = || -> io::Result<()> {
        let mut file = unfinished::begin(directory, mode)?;
        file.write_all(contents)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        // The new name is durable only with its directory.
        fs::File::open(directory)?.sync_all()
    };
    write().at(Operation::Write, path)
}

/// Opens a file for appending, made with mode 0600 if it is not there.
pub fn append_private(path: &Path) -> Result<fs::File, FileError> {
    fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(PRIVATE_FILE)
        .open(path)
        .at(Operation::Write, path)
}

/// Leaves the end of a file, at most `keep` bytes from the start of a line on: all or nothing. Mode 0600.
///
/// A file that is not longer, or not there, is left as it is.
pub fn cut_to_newest(path: &Path, keep: u64) -> Result<(), FileError> {
    let newest = || -> io::Result<Option<Vec<u8>>> {
        let mut file = fs::File::open(path)?;
        let length = file.metadata()?.len();
        if length <= keep {
            return Ok(None);
        }
        // The byte before tells whether the rest begins with a line.
        file.seek(io::SeekFrom::Start(length - keep - 1))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let line_end = bytes.iter().position(|byte| *byte == b'\n');
        Ok(Some(
            bytes.split_off(line_end.map_or(bytes.len(), |at| at + 1)),
        ))
    };
    match newest() {
        Err(error) if is_absent(&error) => Ok(()),
        Err(error) => Err(error).at(Operation::Read, path),
        Ok(None) => Ok(()),
        Ok(Some(bytes)) => write_private(path, &bytes),
    }
}

/// Makes a directory and its parents, each new one 0700; the last is 0700 afterwards, whatever the umask.
pub fn create_private_dir(path: &Path) -> Result<(), FileError> {
    let create = || -> io::Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(PRIVATE_DIRECTORY)
            .create(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(PRIVATE_DIRECTORY))
    };
    create().at(Operation::CreateDirectory, path)
}

/// Makes a directory and its parents with the user's usual permissions.
pub fn create_dir(path: &Path) -> Result<(), FileError> {
    fs::create_dir_all(path).at(Operation::CreateDirectory, path)
}

/// Removes a file; none there is fine.
pub fn remove_file(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if is_absent(&error) => Ok(()),
        other => other.at(Operation::Remove, path),
    }
}

/// Removes a file so that it does not come back, whatever happens to the machine; none there is fine.
pub fn remove_file_for_good(path: &Path) -> Result<(), FileError> {
    remove_file(path)?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::File::open(directory)
        .and_then(|directory| directory.sync_all())
        .at(Operation::Remove, path)
}

/// Removes a directory and all in it, without following links; none there is fine.
pub fn remove_tree(path: &Path) -> Result<(), FileError> {
    match fs::remove_dir_all(path) {
        Err(error) if is_absent(&error) => Ok(()),
        other => other.at(Operation::Remove, path),
    }
}

/// Moves a file or a directory within its file system.
pub fn rename(from: &Path, to: &Path) -> Result<(), FileError> {
    fs::rename(from, to).at(Operation::Rename, from)
}

/// The absolute path without links.
pub fn canonical(path: &Path) -> Result<PathBuf, FileError> {
    fs::canonicalize(path).at(Operation::Inspect, path)
}

/// Whether something is there, be it a dangling link.
pub fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// The number that tells a file or directory from others of its file system; `None` if nothing is there.
pub fn inode(path: &Path) -> Result<Option<u64>, FileError> {
    match fs::symlink_metadata(path) {
        Err(error) if is_absent(&error) => Ok(None),
        looked => looked
            .map(|about| Some(about.ino()))
            .at(Operation::Inspect, path),
    }
}

/// What a path leads to; a link is not followed.
pub fn kind_of(path: &Path) -> Result<FileKind, FileError> {
    let directory = Project::new(PathBuf::from("/"));
    directory.kind(path).at(Operation::Inspect, path)
}

/// When a file was changed; `None` if there is none, or it does not say.
pub fn modified(path: &Path) -> Option<std::time::SystemTime> {
    fs::symlink_metadata(path).ok()?.modified().ok()
}

/// The paths in a directory, sorted.
pub fn list(path: &Path) -> Result<Vec<PathBuf>, FileError> {
    let list = || -> io::Result<Vec<PathBuf>> {
        let mut paths = fs::read_dir(path)?
            .map(|entry| Ok(entry?.path()))
            .collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        Ok(paths)
    };
    list().at(Operation::List, path)
}

/// The files below a directory, sorted. Links are left out. Blocks.
pub fn files_below(directory: &Path) -> Result<Vec<PathBuf>, FileError> {
    let mut found = Vec::new();
    for path in list(directory)? {
        let kind = fs::symlink_metadata(&path)
            .at(Operation::Inspect, &path)?
            .file_type();
        if kind.is_dir() {
            found.extend(files_below(&path)?);
        } else if kind.is_file() {
            found.push(path);
        }
    }
    Ok(found)
}

/// The hash of a directory: names and contents of all files in it. Links are not followed. Blocks.
pub fn hash_tree(directory: &Path) -> Result<InputsHash, FileError> {
    fn walk(root: &Path, directory: &Path, names: &mut String) -> Result<(), FileError> {
        for path in list(directory)? {
            let kind = fs::symlink_metadata(&path)
                .at(Operation::Inspect, &path)?
                .file_type();
            if kind.is_dir() {
                walk(root, &path, names)?;
            } else if kind.is_file() {
                let content = InputsHash::of(&read(&path)?);
                // Relative, so that a project that moves is still the same.
                let name = path.strip_prefix(root).unwrap_or(&path);
                names.push_str(&format!("{} {}\n", name.display(), content.as_str()));
            }
        }
        Ok(())
    }
    let mut names = String::new();
    walk(directory, directory, &mut names)?;
    Ok(InputsHash::of(names.as_bytes()))
}

fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// Has the kernel write all that was written to any file of this machine to its disks, and waits until it is there.
pub async fn write_everything_out() {
    // One that broke off wrote nothing less.
    let _ = tokio::task::spawn_blocking(rustix::fs::sync).await;
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn an_error_names_the_operation_and_the_path() {
        let error = read(Path::new("/nowhere/at/all")).unwrap_err();
        assert_eq!(error.to_string(), "cannot read /nowhere/at/all");
        assert_eq!(error.failure().code.0, "files.not-found");
    }

    #[test]
    fn a_private_file_replaces_the_old_one_and_leaves_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("state");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        write_private(&path, b"new").unwrap();
        assert_eq!(read_text(&path).unwrap(), "new");
        assert_eq!(mode(&path), PRIVATE_FILE);
        assert_eq!(list(home.path()).unwrap(), [path]);
    }

    #[test]
    fn a_file_is_cut_to_its_newest_whole_lines() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log");
        cut_to_newest(&path, 4).unwrap();
        assert!(!exists(&path));
        for (keep, left) in [
            (9, "one\ntwo\n3"),
            (8, "two\n3"),
            (5, "two\n3"),
            (4, "3"),
            (0, ""),
        ] {
            write_private(&path, b"one\ntwo\n3").unwrap();
            cut_to_newest(&path, keep).unwrap();
            assert_eq!(read_text(&path).unwrap(), left, "{keep}");
        }
    }

    #[test]
    fn a_private_directory_is_closed_even_where_an_open_one_was() {
        let home = tempfile::tempdir().unwrap();
        let open = home.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
        create_private_dir(&open).unwrap();
        create_private_dir(&home.path().join("a/b")).unwrap();
        for path in ["open", "a", "a/b"] {
            assert_eq!(mode(&home.path().join(path)), PRIVATE_DIRECTORY, "{path}");
        }
    }

    #[test]
    fn removing_a_tree_leaves_what_its_links_point_to() {
        let home = tempfile::tempdir().unwrap();
        let kept = home.path().join("kept");
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("file"), "").unwrap();
        let tree = home.path().join("tree");
        fs::create_dir(&tree).unwrap();
        symlink(&kept, tree.join("link")).unwrap();
        remove_tree(&tree).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!exists(&tree));
        assert!(exists(&kept.join("file")));
    }
}
