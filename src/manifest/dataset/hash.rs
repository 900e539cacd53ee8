//! The hash of a dataset: the same on every machine as long as it loads the same data.

use std::path::{Path, PathBuf};

use super::files::{Cause, Found, Trouble, found};
use crate::domain::{DataFiles, Dataset, DatasetChain, ExitClass, Failure, InputsHash};

/// Stands for the form in which a dataset is written down to be hashed, and for how its steps are carried out.
const FORM: &str = "devenv dataset 1";

/// The hash of what decides the data: of every dataset of the chain its steps, checks and variables, and names and
/// bytes of the files that these read.
///
/// Descriptions, places and time limits are not part of it, nor is what is in a snapshot that it begins with.
pub fn hash(chain: &DatasetChain, files: &dyn DataFiles) -> Result<InputsHash, Failure> {
    let mut lines = vec![FORM.to_owned()];
    for dataset in chain.iter() {
        lines.push(line(dataset, dataset)?);
        for (index, file) in dataset.files().enumerate() {
            for file in files_of(dataset, &file.path, files)? {
                let digest = files.digest(&dataset.directory().join(&file));
                let digest = digest.map_err(|error| {
                    let cause = Cause::Unreadable(error.to_string());
                    failure(dataset, &file, &cause)
                })?;
                lines.push(line(dataset, &(index, &file, digest))?);
            }
        }
    }
    Ok(InputsHash::of(lines.join("\n").as_bytes()))
}

/// A value on one line, the same everywhere: keys of structs as they are declared, those of maps sorted.
fn line(dataset: &Dataset, value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| {
        let cause = Cause::Unreadable(error.to_string());
        failure(dataset, Path::new(""), &cause)
    })
}

fn files_of(
    dataset: &Dataset,
    path: &Path,
    files: &dyn DataFiles,
) -> Result<Vec<PathBuf>, Failure> {
    match found(files, &dataset.directory(), path) {
        Ok(Found::File) => Ok(vec![path.to_path_buf()]),
        Ok(Found::Directory(files)) => Ok(files),
        Err(troubles) => {
            let first = troubles.into_iter().next().unwrap_or_else(|| Trouble {
                file: path.to_path_buf(),
                cause: Cause::Missing,
            });
            Err(failure(dataset, &first.file, &first.cause))
        }
    }
}

fn failure(dataset: &Dataset, file: &Path, cause: &Cause) -> Failure {
    let file = dataset.directory().join(file);
    let what = format!("`{}` cannot be read", file.display());
    Failure::new("dataset.unreadable", ExitClass::Manifest, what)
        .because(cause.to_string())
        .help("it was there when the dataset was checked: run the command again")
}
