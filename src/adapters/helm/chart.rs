//! Charts that devenv brings along, written to disk where Helm can read them.

use std::path::{Path, PathBuf};

use super::{super::files, HelmError};
use crate::domain::{InputsHash, ServiceName};

macro_rules! embedded {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../charts/service/", $path)))),*]
    };
}

/// The files of `charts/service`.
const SERVICE: &[(&str, &str)] = embedded![
    "Chart.yaml",
    "templates/_helpers.tpl",
    "templates/autoscaler.yaml",
    "templates/deployment.yaml",
    "templates/ingress.yaml",
    "templates/secret.yaml",
    "templates/service.yaml",
    "values.schema.json",
    "values.yaml",
];

/// The chart around plain manifests: it passes their bytes on, so that braces in them stay braces.
const MANIFESTS: &[(&str, &str)] = &[
    (
        "Chart.yaml",
        "apiVersion: v2\nname: manifests\ndescription: Plain manifests of a devenv project\nversion: 1.0.0\n",
    ),
    (
        "templates/all.yaml",
        "{{- range $path, $bytes := .Files.Glob \"manifests/*\" }}\n---\n{{ $bytes | toString }}\n{{- end }}\n",
    ),
];

/// The hash of the embedded chart: part of the inputs of every release made from it.
pub fn service_chart_hash() -> InputsHash {
    hash(SERVICE.iter().map(|(path, text)| (*path, text.as_bytes())))
}

/// Writes the embedded chart below `cache`, unless it is there, and returns its directory.
pub fn service_chart(cache: &Path) -> Result<PathBuf, HelmError> {
    let files: Vec<(&str, &[u8])> = SERVICE
        .iter()
        .map(|(path, text)| (*path, text.as_bytes()))
        .collect();
    materialise(cache, "service", &files)
}

/// Writes a chart below `cache` that installs the `manifests` of a service as they are, in their order, and returns its
/// directory, which no other service has.
pub fn wrap_manifests<B: AsRef<[u8]>>(
    cache: &Path,
    service: &ServiceName,
    manifests: &[B],
) -> Result<PathBuf, HelmError> {
    let names: Vec<String> = (0..manifests.len())
        .map(|index| format!("manifests/{index:04}.yaml"))
        .collect();
    let fixed = MANIFESTS
        .iter()
        .map(|(path, text)| (*path, text.as_bytes()));
    let given = names
        .iter()
        .map(String::as_str)
        .zip(manifests.iter().map(AsRef::as_ref));
    let name = format!("manifests-{service}");
    materialise(cache, &name, &fixed.chain(given).collect::<Vec<_>>())
}

fn hash<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>) -> InputsHash {
    let mut all = Vec::new();
    for (path, bytes) in files {
        for part in [path.as_bytes(), bytes] {
            all.extend_from_slice(&(part.len() as u64).to_le_bytes());
            all.extend_from_slice(part);
        }
    }
    InputsHash::of(&all)
}

/// The directory is named by its contents and appears complete, so what is there is right.
fn materialise(cache: &Path, name: &str, contents: &[(&str, &[u8])]) -> Result<PathBuf, HelmError> {
    let directory = cache.join(format!(
        "{name}-{}",
        hash(contents.iter().copied()).as_str()
    ));
    if directory.is_dir() {
        return Ok(directory);
    }
    files::create_private_dir(cache)?;
    // Beside its place, so that a rename is enough; the number keeps two devenvs apart.
    let fresh = cache.join(format!(".{name}-{}", std::process::id()));
    files::remove_tree(&fresh)?;
    for (path, bytes) in contents {
        let path = fresh.join(path);
        files::create_private_dir(path.parent().unwrap_or(&fresh))?;
        files::write_private(&path, bytes)?;
    }
    match files::rename(&fresh, &directory) {
        // Another devenv was faster, and the contents are the same.
        Err(_) if directory.is_dir() => files::remove_tree(&fresh)?,
        renamed => renamed?,
    }
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn files_below(directory: &Path) -> BTreeSet<String> {
        ignore::WalkBuilder::new(directory)
            .standard_filters(false)
            .build()
            .map(Result::unwrap)
            .filter(|entry| entry.path().is_file())
            .map(|entry| {
                let path = entry.path().strip_prefix(directory).unwrap();
                path.to_str().unwrap().to_owned()
            })
            .collect()
    }

    #[test]
    fn every_file_of_the_chart_is_embedded() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/service");
        let embedded: BTreeSet<String> =
            SERVICE.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(embedded, files_below(&source));
    }

    #[test]
    fn a_chart_is_written_once_under_the_hash_of_its_contents() {
        let cache = tempfile::tempdir().unwrap();
        let first = service_chart(cache.path()).unwrap();
        assert_eq!(service_chart(cache.path()).unwrap(), first);
        assert!(first.ends_with(format!("service-{}", service_chart_hash().as_str())));
        assert_eq!(files_below(cache.path()).len(), SERVICE.len());
    }

    #[test]
    fn other_manifests_are_another_chart() {
        let cache = tempfile::tempdir().unwrap();
        let service = "web".parse().unwrap();
        let one = wrap_manifests(cache.path(), &service, &["a: {{ 1 }}", "b: 2"]).unwrap();
        let two = wrap_manifests(cache.path(), &service, &["b: 2", "a: {{ 1 }}"]).unwrap();
        assert_ne!(one, two);
        let kept = std::fs::File::open(one.join("manifests/0000.yaml")).unwrap();
        assert_eq!(std::io::read_to_string(kept).unwrap(), "a: {{ 1 }}");
    }
}
