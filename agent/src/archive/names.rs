//! Which names there may be in an archive.

use super::{HASHES, MANIFEST, NameProblem, VOLUMES, VolumeId};

/// The longest path in a volume, in bytes.
const LONGEST_PATH: usize = 4096;
/// The longest name in a directory, in bytes.
const LONGEST_PART: usize = 255;
/// How many directories deep a path in a volume may be.
const DEEPEST: usize = 256;
/// The longest target of a symbolic link, in bytes; the system has none that are longer.
const LONGEST_TARGET: usize = 4095;

/// What a member is by its name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    Manifest,
    /// A volume or what is in it.
    Within(VolumeId, &'a [u8]),
    HashList(VolumeId),
    /// Nothing that an archive has.
    Elsewhere,
}

/// What a member is by its name, which for a directory has no final `/`.
pub(super) fn place(name: &[u8]) -> Result<Place<'_>, NameProblem> {
    if name == MANIFEST {
        return Ok(Place::Manifest);
    }
    if let Some(list) = name.strip_prefix(HASHES) {
        let (service, volume) = split(list).ok_or(NameProblem::Volume)?;
        return Ok(Place::HashList(volume_id(service, volume)?));
    }
    let Some(below) = name.strip_prefix(VOLUMES) else {
        return Ok(Place::Elsewhere);
    };
    let (service, rest) = split(below).ok_or(NameProblem::Volume)?;
    let Some((volume, path)) = split(rest) else {
        return Ok(Place::Within(volume_id(service, rest)?, b""));
    };
    let id = volume_id(service, volume)?;
    check(path)?;
    Ok(Place::Within(id, path))
}

fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = path.iter().position(|byte| *byte == b'/')?;
    Some((&path[..at], &path[at + 1..]))
}

fn volume_id(service: &[u8], volume: &[u8]) -> Result<VolumeId, NameProblem> {
    VolumeId::new(service, volume).ok_or(NameProblem::Volume)
}

/// Refuses what is no path below a volume.
pub(super) fn check(path: &[u8]) -> Result<(), NameProblem> {
    if path.len() > LONGEST_PATH {
        return Err(NameProblem::Long);
    }
    let mut depth = 0;
    for part in path.split(|byte| *byte == b'/') {
        depth += 1;
        match part {
            b"" => return Err(NameProblem::Empty),
            b"." | b".." => return Err(NameProblem::Dots),
            long if long.len() > LONGEST_PART => return Err(NameProblem::LongPart),
            other if other.contains(&0) => return Err(NameProblem::Nul),
            _ => {}
        }
    }
    if depth > DEEPEST {
        return Err(NameProblem::Deep);
    }
    Ok(())
}

/// Whether a symbolic link can have that target.
pub(super) fn is_target(target: &[u8]) -> bool {
    (1..=LONGEST_TARGET).contains(&target.len()) && !target.contains(&0)
}

/// The directory of a path and the name in it; `None` for the volume itself.
pub(super) fn parent(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.is_empty() {
        return None;
    }
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => Some((&path[..at], &path[at + 1..])),
        None => Some((b"", path)),
    }
}
