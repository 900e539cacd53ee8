//! Volumes, bind mounts, and what watches sources.

use std::collections::{BTreeMap, BTreeSet};

use super::service::Converter;
use crate::{
    domain::Memory,
    features::init::{names, yaml::Value},
};

/// One entry of `volumes`.
struct Mount {
    source: Option<String>,
    target: String,
    kind: MountKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MountKind {
    Named,
    Bind,
    Anonymous,
    Other,
}

/// An entry, short or long form.
fn read(entry: &Value) -> Option<Mount> {
    let Some(text) = entry.text() else {
        let text = |key: &str| entry.get(key).and_then(Value::text).map(str::to_owned);
        let source = text("source").filter(|source| !source.is_empty());
        let kind = match (text("type").as_deref(), &source) {
            (Some("bind"), _) => MountKind::Bind,
            (Some("volume") | None, Some(_)) => MountKind::Named,
            (Some("volume") | None, None) => MountKind::Anonymous,
            _ => MountKind::Other,
        };
        return Some(Mount {
            source,
            target: text("target")?,
            kind,
        });
    };
    let mut parts = text.split(':');
    let first = parts.next()?.to_owned();
    let Some(target) = parts.next().map(str::to_owned) else {
        return Some(Mount {
            source: None,
            target: first,
            kind: MountKind::Anonymous,
        });
    };
    let is_path = first.starts_with(['.', '/', '~']) || first.contains('\\');
    let kind = if is_path {
        MountKind::Bind
    } else {
        MountKind::Named
    };
    Some(Mount {
        source: Some(first),
        target,
        kind,
    })
}

/// Named volumes that more than one service has.
pub(super) fn shared(services: &BTreeMap<String, Value>) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut shared = BTreeSet::new();
    for service in services.values() {
        let entries = service.get("volumes").map(Value::items).unwrap_or_default();
        let mounts = entries
            .iter()
            .filter_map(read)
            .filter(|mount| mount.kind == MountKind::Named);
        let names: BTreeSet<String> = mounts.filter_map(|mount| mount.source).collect();
        for name in names {
            if !seen.insert(name.clone()) {
                shared.insert(name);
            }
        }
    }
    shared
}

pub(super) fn convert(converter: &mut Converter<'_>) {
    let mut volumes = Vec::new();
    let mut taken = BTreeSet::new();
    let mut paths = BTreeSet::new();
    let entries = converter.get("volumes").cloned().unwrap_or(Value::Null);
    for entry in entries.items() {
        let Some(mount) = read(entry) else {
            converter.tell(
                "volumes",
                "an entry has no path in the container",
                "write it into `volumes`",
            );
            continue;
        };
        let path = mount.target.trim_end_matches('/').to_owned();
        match mount.kind {
            MountKind::Named if path.starts_with('/') && paths.insert(path.clone()) => {
                let source = mount.source.unwrap_or_default();
                let name = names::unique(
                    &names::label(&source).unwrap_or_else(|| "data".to_owned()),
                    &mut taken,
                );
                let pairs = [("name", name), ("path", path)];
                let pairs = pairs
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), Value::of(value)));
                volumes.push(Value::Map(pairs.collect()));
                if converter.shared.common_volumes.contains(&source) {
                    let what = format!("other services have the volume {source} too");
                    converter.tell("volumes", &what, "here each service gets one of its own: let one service serve the files to the others");
                }
            }
            // Docker makes one to keep a bind mount from hiding what is in the image.
            MountKind::Anonymous => {}
            MountKind::Bind => bind(converter, &mount),
            MountKind::Named | MountKind::Other => {
                converter.tell(
                    "volumes",
                    &format!("the mount at {}", mount.target),
                    "write it into `volumes`, or copy the files in the Dockerfile",
                );
            }
        }
    }
    if !volumes.is_empty() {
        converter.part.key("volumes", Value::List(volumes));
    }
    others(converter);
}

fn bind(converter: &mut Converter<'_>, mount: &Mount) {
    let source = mount.source.clone().unwrap_or_default();
    let what = format!("the bind mount {source} at {}", mount.target);
    let inner = converter.shared.inner(&source);
    let is_source = inner
        .as_ref()
        .is_some_and(|path| converter.shared.files.is_directory(path));
    let help = match inner {
        _ if source.ends_with("docker.sock") => {
            "there is no Docker in the cluster: leave the service out, or use a chart".to_owned()
        }
        None => "move it into the project, and copy it in the Dockerfile".to_owned(),
        Some(path) if is_source && converter.part.get("build").is_some() => format!(
            "the image has its own copy; to have edits in the running container, use `live: {{ sync: [{{ from: {}, to: {} }}] }}`",
            path.display(),
            mount.target
        ),
        Some(_) => "copy it in a Dockerfile: `FROM` this image, `COPY` the files".to_owned(),
    };
    converter.tell("volumes", &what, &help);
}

fn others(converter: &mut Converter<'_>) {
    if converter.get("tmpfs").is_some() {
        converter.tell(
            "tmpfs",
            "it is ignored",
            "the container's own file system is temporary too",
        );
    }
    if converter.get("develop").is_some() {
        converter.tell(
            "develop",
            "it is ignored",
            "`live` of the service is for that: `live: { sync: [{ from: src, to: /app/src }] }`",
        );
    }
}

/// An amount of memory as compose writes it: `512m`, `1gb`, `1.5g` or bytes, all by 1024.
pub(super) fn size(text: &str) -> Option<Memory> {
    let text = text.trim().to_ascii_lowercase();
    let text = text.strip_suffix('b').unwrap_or(&text);
    let text = text.strip_suffix('i').unwrap_or(text);
    let unit = match text.chars().last()? {
        'k' => "Ki",
        'm' => "Mi",
        'g' => "Gi",
        't' => "Ti",
        _ => "",
    };
    let number = text.trim_end_matches(['k', 'm', 'g', 't']).trim();
    format!("{number}{unit}")
        .parse::<Memory>()
        .ok()
        .filter(|memory| memory.bytes() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_compose_reads_them() {
        let text = |size: Option<Memory>| size.map(|size| size.to_string());
        assert_eq!(text(size("512m")).as_deref(), Some("512Mi"));
        assert_eq!(text(size("1GB")).as_deref(), Some("1Gi"));
        assert_eq!(text(size("0.5g")).as_deref(), Some("512Mi"));
        assert_eq!(text(size("1048576")).as_deref(), Some("1Mi"));
        assert_eq!(size("much"), None);
        assert_eq!(size("0"), None);
    }
}
