//! Loop devices: files that the kernel takes for disks.
//!
//! Called by the agent, to mount the image that volumes are kept in. The three requests that the kernel has for it are
//! asked here and nowhere else; everything else of the agent is safe code. See `loop(4)` and `linux/loop.h`.

use std::{
    fs::{File, OpenOptions},
    io,
    os::fd::{AsFd, AsRawFd as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, FileType, Mode, fstat, major, makedev, minor, mknodat},
    io::Errno,
};

mod requests;

use requests::Status;

/// The number of the loop driver among block devices.
const LOOP_MAJOR: u32 = 7;
/// How often another is asked for that nobody has taken in between.
const TRIES: u32 = 64;

/// A file that is a disk for as long as this is kept, or what is on it is mounted.
#[derive(Debug)]
pub struct LoopDevice {
    /// Keeps the kernel from taking it down.
    _open: File,
    path: PathBuf,
}

impl LoopDevice {
    /// The device whose disk a file is; makes one if it is none yet.
    ///
    /// Whoever asks for the same file at the same time must wait: a disk must not be there twice, as two mounts of it
    /// would each write what the other does not know of.
    pub fn of(file: &File) -> io::Result<Self> {
        match Self::existing(file)? {
            Some(device) => Ok(device),
            None => Self::attach(file),
        }
    }

    /// Its path in `/dev`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn existing(file: &File) -> io::Result<Option<Self>> {
        for number in numbers()? {
            // One that is gone since, or is nobody's, is not it.
            if let Ok(device) = open(number)
                && is_of(&device, file)?
            {
                return Ok(Some(Self::new(device, number)));
            }
        }
        Ok(None)
    }

    fn attach(file: &File) -> io::Result<Self> {
        let control = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/loop-control")?;
        for _ in 0..TRIES {
            let number = requests::free(&control)?;
            let device = open(number)?;
            match requests::configure(&device, file) {
                // Somebody else was faster.
                Err(Errno::BUSY) => {}
                configured => {
                    configured?;
                    return Ok(Self::new(device, number));
                }
            }
        }
        Err(Errno::BUSY.into())
    }

    fn new(device: File, number: u32) -> Self {
        Self {
            _open: device,
            path: path(number),
        }
    }
}

fn path(number: u32) -> PathBuf {
    format!("/dev/loop{number}").into()
}

/// Opens a device. A container's `/dev` has only those that there were when it was started: others are added.
fn open(number: u32) -> io::Result<File> {
    let path = path(number);
    let open = || OpenOptions::new().read(true).write(true).open(&path);
    match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let kind = FileType::BlockDevice;
            let device = makedev(LOOP_MAJOR, number);
            match mknodat(CWD, &path, kind, Mode::RUSR | Mode::WUSR, device) {
                Ok(()) | Err(Errno::EXIST) => open(),
                Err(error) => Err(error.into()),
            }
        }
        opened => opened,
    }
}

/// The devices that have a file.
fn numbers() -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in Path::new("/sys/block").read_dir()? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("loop"));
        if let Some(Ok(number)) = number.map(str::parse)
            && entry.path().join("loop/backing_file").exists()
        {
            numbers.push(number);
        }
    }
    Ok(numbers)
}

/// Whether a device is the disk of this very file, whatever it is called where it was made one.
fn is_of(device: &File, file: &File) -> io::Result<bool> {
    let status: Status = match requests::status(device) {
        // It has none any more.
        Err(Errno::NXIO) => return Ok(false),
        status => status?,
    };
    let stat = fstat(file)?;
    Ok((status.device, status.inode) == (encoded(stat.st_dev), stat.st_ino))
}

/// The number of a file system as the driver tells it, which is not how a file's status has it.
fn encoded(device: u64) -> u64 {
    let (major, minor) = (u64::from(major(device)), u64::from(minor(device)));
    (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12)
}

/// The number that the kernel is given for an open file.
fn number_of(file: &impl AsFd) -> u32 {
    file.as_fd().as_raw_fd().unsigned_abs()
}
