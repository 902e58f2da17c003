//! Devices of memory, and the nodes of /dev.
//!
//! A device is a node of vfs whose number says what it is; posix plays it. None of them waits, but for [`crate::llm`].

use protocols::vfs::{Actor, At, Kind, Node, ROOT};

use crate::call::{Call, EFFECT, Stop, SysResult, vfs_stop};
use crate::errno::Errno;
use crate::fd::kind;
use crate::saved::File;
use crate::server::Posix;
use crate::tty::CONSOLE;

/// `/dev/null`.
pub const NULL: u32 = 3;
/// `/dev/zero`.
pub const ZERO: u32 = 5;
/// `/dev/full`.
pub const FULL: u32 = 7;
/// `/dev/random`.
pub const RANDOM: u32 = 8;
/// `/dev/urandom`.
pub const URANDOM: u32 = 9;

/// Major numbers.
const MEMORY: u32 = 1;
const TTY: u32 = 4;
/// Of devices that are one of a kind.
const MISC: u32 = 10;
/// `/dev/llm`: of the minor numbers for local use (Linux: devices.txt).
const LLM: u32 = 250;
/// Of the terminals that stand for others: `/dev/tty`, `/dev/console`, `/dev/ptmx`.
pub const TTY_SPECIAL: u32 = 5;
const SERIAL: u32 = 64;

/// `/dev/ptmx`.
pub const PTMX: u32 = 2;
/// `/dev/console`, by its number.
pub const CONSOLE_DEVICE: u32 = device(TTY_SPECIAL, 1);

/// Linux's device number.
#[must_use]
pub const fn device(major: u32, minor: u32) -> u32 {
    major << 8 | minor
}

/// Something in /dev.
#[derive(Clone, Copy, Debug)]
pub struct DeviceNode {
    path: &'static str,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Directory(u16),
    Device(u32, u16),
    Link(&'static str),
}

/// What /dev holds.
pub const NODES: [DeviceNode; 16] = [
    DeviceNode { path: "/dev", what: What::Directory(0o755) },
    DeviceNode { path: "/dev/null", what: What::Device(device(MEMORY, NULL), 0o666) },
    DeviceNode { path: "/dev/zero", what: What::Device(device(MEMORY, ZERO), 0o666) },
    DeviceNode { path: "/dev/full", what: What::Device(device(MEMORY, FULL), 0o666) },
    DeviceNode { path: "/dev/random", what: What::Device(device(MEMORY, RANDOM), 0o666) },
    DeviceNode { path: "/dev/urandom", what: What::Device(device(MEMORY, URANDOM), 0o666) },
    DeviceNode { path: "/dev/tty", what: What::Device(device(TTY_SPECIAL, 0), 0o666) },
    DeviceNode { path: "/dev/console", what: What::Device(device(TTY_SPECIAL, 1), 0o600) },
    DeviceNode { path: "/dev/ttyS0", what: What::Device(device(TTY, SERIAL), 0o600) },
    DeviceNode { path: "/dev/ptmx", what: What::Device(device(TTY_SPECIAL, PTMX), 0o666) },
    DeviceNode { path: "/dev/llm", what: What::Device(device(MISC, LLM), 0o666) },
    DeviceNode { path: "/dev/shm", what: What::Directory(0o1777) },
    DeviceNode { path: "/dev/fd", what: What::Link("/proc/self/fd") },
    DeviceNode { path: "/dev/stdin", what: What::Link("/proc/self/fd/0") },
    DeviceNode { path: "/dev/stdout", what: What::Link("/proc/self/fd/1") },
    DeviceNode { path: "/dev/stderr", what: What::Link("/proc/self/fd/2") },
];

impl DeviceNode {
    /// Makes it, unless it is there.
    ///
    /// # Errors
    /// A wait for vfs.
    pub fn make(self, posix: &mut Posix<'_>) -> Result<(), Stop> {
        let number = posix.kernel.own_number().with_step(EFFECT);
        let (at, actor) = (At::no_follow(ROOT, self.path.as_bytes()), Actor::superuser());
        let made = match self.what {
            What::Directory(permissions) => posix.vfs().make_directory(number, at, &actor, permissions),
            What::Device(device, permissions) => posix.vfs().make_node(number, at, &actor, Node { kind: Kind::CharacterDevice, permissions, device }),
            What::Link(target) => posix.vfs().make_symlink(number, at, &actor, target.as_bytes()),
        };
        match made.map(drop).map_err(vfs_stop) {
            // The root file system may bring its own, which is as good.
            Ok(()) | Err(Stop::Errno(Errno::EEXIST)) => Ok(()),
            Err(Stop::Errno(errno)) => {
                posix.kernel.log(&alloc::format!("posix: {} cannot be made: {errno:?}", self.path));
                Ok(())
            }
            Err(stop) => Err(stop),
        }
    }
}

impl Call<'_, '_> {
    /// The file for a device node that is opened.
    ///
    /// # Errors
    /// `ENXIO`.
    pub fn open_device(&mut self, device_number: u32, flags: u32, node: usize) -> Result<File, Errno> {
        let file = File { flags, node: node as u32, ..File::default() };
        let terminal = |object| File { kind: kind::TERMINAL, object, ..file };
        match (device_number >> 8, device_number & 0xff) {
            (MEMORY, minor @ (NULL | ZERO | FULL | RANDOM | URANDOM)) => Ok(File { kind: kind::DEVICE, object: minor, ..file }),
            (TTY_SPECIAL, 0) => match self.me().terminal {
                0 => Err(Errno::ENXIO),
                object => Ok(terminal(object)),
            },
            (TTY_SPECIAL, 1) | (TTY, SERIAL) => Ok(terminal(CONSOLE)),
            (TTY_SPECIAL, PTMX) => self.open_master(flags, node),
            (MISC, LLM) => Ok(self.posix.open_llm(file)),
            _ => Err(Errno::ENXIO),
        }
    }

    /// Reads from a device.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn read_device(&mut self, device: u32, address: u64, length: usize) -> SysResult {
        if device == NULL {
            return Ok(0);
        }
        let random = matches!(device, RANDOM | URANDOM);
        let mut done = 0;
        while done < length {
            let part = (length - done).min(crate::server::BUFFER_BYTES);
            self.with_buffer(part, |call, buffer| {
                if random {
                    call.posix.fill_random(buffer);
                } else {
                    buffer.fill(0);
                }
                call.write(address.wrapping_add(done as u64), buffer)
            })?;
            done += part;
            if self.posix.has_deliverable(self.lane) {
                break;
            }
        }
        Ok(done as u64)
    }

    /// Writes to a device.
    ///
    /// # Errors
    /// `ENOSPC` for `/dev/full`.
    pub fn write_device(&mut self, device: u32, length: usize) -> SysResult {
        if device == FULL { Err(Errno::ENOSPC.into()) } else { Ok(length as u64) }
    }
}
