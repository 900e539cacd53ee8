//! The driver's requests, laid out as in `linux/loop.h`.
#![expect(
    unsafe_code,
    reason = "what the kernel reads and writes for a request is known to nobody but whoever asks"
)]

use std::{ffi::c_void, fs::File};

use rustix::{
    io,
    ioctl::{Ioctl, IoctlOutput, Opcode, ioctl},
};

use super::number_of;

const CONFIGURE: Opcode = 0x4C0A;
const GET_STATUS: Opcode = 0x4C05;
const GET_FREE: Opcode = 0x4C82;
/// The device goes with its last user.
const AUTOCLEAR: u32 = 4;
/// The file is read and written past the cache, which the file system on it has anyway.
const DIRECT_IO: u32 = 16;

/// `struct loop_info64`
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct Status {
    pub(super) device: u64,
    pub(super) inode: u64,
    of_device: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encryption: u32,
    key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    encryption_name: [u8; 64],
    key: [u8; 32],
    init: [u64; 2],
}

impl Status {
    const NONE: Self = Self {
        device: 0,
        inode: 0,
        of_device: 0,
        offset: 0,
        size_limit: 0,
        number: 0,
        encryption: 0,
        key_size: 0,
        flags: 0,
        file_name: [0; 64],
        encryption_name: [0; 64],
        key: [0; 32],
        init: [0; 2],
    };
}

/// `struct loop_config`
#[repr(C)]
struct Configuration {
    file: u32,
    block_size: u32,
    status: Status,
    reserved: [u64; 8],
}

/// A request that is given the address of a value.
struct Pointing<'a, T> {
    opcode: Opcode,
    value: &'a mut T,
}

// SAFETY: the requests of this module have `T` in their third argument, by `linux/loop.h`; it is theirs alone until they
// are answered.
unsafe impl<T> Ioctl for Pointing<'_, T> {
    type Output = ();
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        self.opcode
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::from_mut(self.value).cast()
    }

    unsafe fn output_from_ptr(_: IoctlOutput, _: *mut c_void) -> io::Result<()> {
        Ok(())
    }
}

/// The request for a number.
struct Free;

// SAFETY: the request has no argument, and its answer is a number.
unsafe impl Ioctl for Free {
    type Output = u32;
    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        GET_FREE
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::null_mut()
    }

    unsafe fn output_from_ptr(answer: IoctlOutput, _: *mut c_void) -> io::Result<u32> {
        u32::try_from(answer).map_err(|_| io::Errno::OVERFLOW)
    }
}

/// The number of a device that has no file, of `/dev/loop-control`.
pub(super) fn free(control: &File) -> io::Result<u32> {
    // SAFETY: see `Free`.
    unsafe { ioctl(control, Free) }
}

/// Gives a device a file.
pub(super) fn configure(device: &File, file: &File) -> io::Result<()> {
    let mut configuration = Configuration {
        file: number_of(file),
        block_size: 0,
        status: Status {
            flags: AUTOCLEAR | DIRECT_IO,
            ..Status::NONE
        },
        reserved: [0; 8],
    };
    let request = Pointing {
        opcode: CONFIGURE,
        value: &mut configuration,
    };
    // SAFETY: the kernel reads a `struct loop_config`, and keeps the file open by itself.
    unsafe { ioctl(device, request) }
}

/// What a device is.
pub(super) fn status(device: &File) -> io::Result<Status> {
    let mut status = Status::NONE;
    let request = Pointing {
        opcode: GET_STATUS,
        value: &mut status,
    };
    // SAFETY: the kernel writes a `struct loop_info64`.
    unsafe { ioctl(device, request) }?;
    Ok(status)
}
