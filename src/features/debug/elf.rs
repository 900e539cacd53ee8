//! Whether a program of this machine runs in any container of it. Pure: nothing is looked at.

use object::{
    Architecture, Object as _,
    elf::{FileHeader64, PT_INTERP},
    read::elf::{ElfFile, ProgramHeader as _},
};

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
    let program = ElfFile::<FileHeader64<object::Endianness>>::parse(file);
    let program = program.map_err(|_| Unfit::NoProgram)?;
    if !is_of(program.architecture(), processor) {
        return Err(Unfit::OtherProcessor);
    }
    let order = program.endian();
    // Who loads a program that is not static is named in a segment of its own.
    let mut segments = program.elf_program_headers().iter();
    if segments.any(|segment| segment.p_type(order) == PT_INTERP) {
        return Err(Unfit::NotStatic);
    }
    Ok(())
}

/// Whether a program is for a processor; one that is not known here may be any.
fn is_of(architecture: Architecture, processor: &str) -> bool {
    match processor {
        "x86_64" => architecture == Architecture::X86_64,
        "aarch64" => architecture == Architecture::Aarch64,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 64 bits, the least significant byte first, of the one version that there is.
    const HEAD: &[u8] = b"\x7fELF\x02\x01\x01";

    /// A program for the processor of number `machine`, with segments of these kinds.
    fn program(machine: u16, kinds: &[u32]) -> Vec<u8> {
        let mut file = vec![0; 64];
        file[..HEAD.len()].copy_from_slice(HEAD);
        file[18..20].copy_from_slice(&machine.to_le_bytes());
        file[20..24].copy_from_slice(&1_u32.to_le_bytes());
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
        let dynamic = program(62, &[6, PT_INTERP, 1]);
        assert_eq!(check(&dynamic, "x86_64"), Err(Unfit::NotStatic));
        let other = program(183, &[1]);
        assert_eq!(check(&other, "x86_64"), Err(Unfit::OtherProcessor));
        assert_eq!(check(b"#!/bin/sh\n", "x86_64"), Err(Unfit::NoProgram));
        let cut = &program(62, &[1, 1])[..70];
        assert_eq!(check(cut, "x86_64"), Err(Unfit::NoProgram));
    }
}
