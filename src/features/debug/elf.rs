//! Whether a program of this machine runs in any container of it. Pure: nothing is looked at.

/// A program's own file format begins with this; 64 bits, the least significant byte first.
const HEAD: &[u8] = b"\x7fELF\x02\x01";
/// Where the header says for which processor it is.
const MACHINE: usize = 18;
/// Where it says where the table of its segments begins, how long a row is, and how many there are.
const SEGMENTS: (usize, usize, usize) = (32, 54, 56);
/// The kind of the segment that names who loads a program that is not static.
const INTERPRETER: u32 = 3;

/// Why a program does not run in a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    /// Its file is something else.
    #[error("is no program for Linux")]
    NoProgram,
    /// It is for another processor.
    #[error("is for another processor")]
    OtherProcessor,
    /// It needs libraries, which the container may not have.
    #[error("is not static: the container may lack its libraries")]
    NotStatic,
}

/// Fails unless a file is a static program for `processor`, as `std::env::consts::ARCH` names it.
pub(super) fn check(file: &[u8], processor: &str) -> Result<(), Unfit> {
    if !file.starts_with(HEAD) {
        return Err(Unfit::NoProgram);
    }
    let machine = u16_at(file, MACHINE).ok_or(Unfit::NoProgram)?;
    if !is_of(machine, processor) {
        return Err(Unfit::OtherProcessor);
    }
    let kinds = segments(file).ok_or(Unfit::NoProgram)?;
    if kinds.contains(&INTERPRETER) {
        return Err(Unfit::NotStatic);
    }
    Ok(())
}

/// What the header calls a processor; one that is not known here may be any.
fn is_of(machine: u16, processor: &str) -> bool {
    match processor {
        "x86_64" => machine == 62,
        "aarch64" => machine == 183,
        _ => true,
    }
}

/// The kinds of a program's segments.
fn segments(file: &[u8]) -> Option<Vec<u32>> {
    let first = usize::try_from(u64::from_le_bytes(bytes(file, SEGMENTS.0)?)).ok()?;
    let (length, count) = (u16_at(file, SEGMENTS.1)?, u16_at(file, SEGMENTS.2)?);
    let places = (0..usize::from(count)).map(|row| first.checked_add(row * usize::from(length)));
    places
        .map(|at| Some(u32::from_le_bytes(bytes(file, at?)?)))
        .collect()
}

fn u16_at(file: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes(file, at)?))
}

fn bytes<const N: usize>(file: &[u8], at: usize) -> Option<[u8; N]> {
    file.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program for the processor of number `machine`, with segments of these kinds.
    fn program(machine: u16, kinds: &[u32]) -> Vec<u8> {
        let mut file = vec![0; 64];
        file[..HEAD.len()].copy_from_slice(HEAD);
        file[18..20].copy_from_slice(&machine.to_le_bytes());
        file[32..40].copy_from_slice(&64_u64.to_le_bytes());
        file[54..56].copy_from_slice(&56_u16.to_le_bytes());
        file[56..58].copy_from_slice(&u16::try_from(kinds.len()).unwrap().to_le_bytes());
        for kind in kinds {
            file.extend(kind.to_le_bytes());
            file.extend([0; 52]);
        }
        file
    }

    #[test]
    fn a_static_program_of_the_same_processor_fits() {
        assert_eq!(check(&program(62, &[1, 1, 4]), "x86_64"), Ok(()));
        assert_eq!(check(&program(183, &[1]), "aarch64"), Ok(()));
    }

    #[test]
    fn one_with_an_interpreter_one_of_another_processor_and_what_is_no_program_do_not() {
        let dynamic = program(62, &[6, INTERPRETER, 1]);
        assert_eq!(check(&dynamic, "x86_64"), Err(Unfit::NotStatic));
        let other = program(183, &[1]);
        assert_eq!(check(&other, "x86_64"), Err(Unfit::OtherProcessor));
        assert_eq!(check(b"#!/bin/sh\n", "x86_64"), Err(Unfit::NoProgram));
        let cut = &program(62, &[1, 1])[..70];
        assert_eq!(check(cut, "x86_64"), Err(Unfit::NoProgram));
    }
}
