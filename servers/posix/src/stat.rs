//! What `stat` and its relatives tell: one description, encoded as each of them wants it (`asm/stat.h`, `linux/stat.h`).

use protocols::vfs::{Attributes, Time};

use crate::call::{Call, Stop};
use crate::errno::Errno;
use crate::fd::kind;
use crate::proc::Entry;
use crate::saved::File;

/// Bytes of `struct stat`.
pub const STAT_BYTES: usize = 144;
/// Bytes of `struct statx`.
pub const STATX_BYTES: usize = 256;
/// `STATX_BASIC_STATS`.
const BASIC_STATS: u32 = 0x7ff;
/// Device numbers of the file systems.
const VFS_DEVICE: u64 = 2;
/// Of /proc.
pub const PROC_DEVICE: u64 = 5;
/// Of /dev/pts.
pub const DEVPTS_DEVICE: u64 = 6;
/// Of pipes and other files without a name.
const ANONYMOUS_DEVICE: u64 = 12;

/// Type bits of a mode.
pub mod mode {
    /// All bits of the kind.
    pub const KINDS: u32 = 0o170_000;
    /// FIFO.
    pub const FIFO: u32 = 0o010_000;
    /// Character device.
    pub const CHARACTER: u32 = 0o020_000;
    /// Directory.
    pub const DIRECTORY: u32 = 0o040_000;
    /// Regular file.
    pub const REGULAR: u32 = 0o100_000;
    /// Socket.
    pub const SOCKET: u32 = 0o140_000;
    /// Symbolic link.
    pub const LINK: u32 = 0o120_000;
}

/// A file's description.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// Device that it is on.
    pub device: u64,
    /// Inode.
    pub inode: u64,
    /// Links.
    pub links: u32,
    /// Type and permissions.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device that it is.
    pub special: u64,
    /// Bytes.
    pub size: u64,
    /// Blocks of 512 bytes.
    pub blocks: u64,
    /// Accessed, modified, changed.
    pub times: [Time; 3],
}

impl From<Attributes> for Stat {
    fn from(attributes: Attributes) -> Self {
        Self {
            device: VFS_DEVICE,
            inode: u64::from(attributes.file.inode),
            links: attributes.links,
            mode: attributes.kind.mode_bits() | u32::from(attributes.permissions),
            uid: attributes.uid,
            gid: attributes.gid,
            special: u64::from(attributes.device),
            size: attributes.size,
            blocks: attributes.pages * 8,
            times: [attributes.accessed, attributes.modified, attributes.changed],
        }
    }
}

impl Stat {
    /// As `struct stat`, without its last three words, which are zeros.
    #[must_use]
    pub const fn words(&self) -> [u64; 15] {
        let owner = (self.uid as u64) << 32 | self.mode as u64;
        let [accessed, modified, changed] = &self.times;
        [
            self.device,
            self.inode,
            self.links as u64,
            owner,
            self.gid as u64,
            self.special,
            self.size,
            4096,
            self.blocks,
            accessed.seconds as u64,
            accessed.nanoseconds as u64,
            modified.seconds as u64,
            modified.nanoseconds as u64,
            changed.seconds as u64,
            changed.nanoseconds as u64,
        ]
    }

    /// As `struct stat`.
    #[must_use]
    pub fn encode(&self) -> [u8; STAT_BYTES] {
        let mut bytes = [0; STAT_BYTES];
        for (to, word) in bytes.as_chunks_mut().0.iter_mut().zip(self.words()) {
            *to = word.to_le_bytes();
        }
        bytes
    }

    /// As `struct statx`.
    #[must_use]
    pub fn encode_extended(&self) -> [u8; STATX_BYTES] {
        let mut bytes = [0; STATX_BYTES];
        let mut put = |at: usize, word: &[u8]| {
            if let Some(to) = bytes.get_mut(at..at + word.len()) {
                to.copy_from_slice(word);
            }
        };
        put(0, &BASIC_STATS.to_le_bytes());
        put(4, &4096u32.to_le_bytes());
        put(16, &self.links.to_le_bytes());
        put(20, &self.uid.to_le_bytes());
        put(24, &self.gid.to_le_bytes());
        put(28, &(self.mode as u16).to_le_bytes());
        put(32, &self.inode.to_le_bytes());
        put(40, &self.size.to_le_bytes());
        put(48, &self.blocks.to_le_bytes());
        // Accessed, then born (not known), changed, modified.
        for (at, time) in [(64, self.times[0]), (96, self.times[2]), (112, self.times[1])] {
            put(at, &time.seconds.to_le_bytes());
            put(at + 8, &time.nanoseconds.to_le_bytes());
        }
        let split = |device: u64| [(device >> 8) as u32, (device & 0xff) as u32];
        for (at, word) in [128, 132].into_iter().zip(split(self.special)).chain([136, 140].into_iter().zip(split(self.device))) {
            put(at, &word.to_le_bytes());
        }
        bytes
    }
}

impl Call<'_, '_> {
    /// Describes an open file.
    ///
    /// # Errors
    /// What vfs says.
    pub fn stat_file(&mut self, index: usize, file: &File) -> Result<Stat, Stop> {
        if file.kind == kind::PROC {
            return Ok(self.stat_proc(Entry::from_file(file)));
        }
        if file.node == 0
            && let Some(place) = crate::devpts::Place::of(file)
        {
            return Ok(self.stat_devpts(place));
        }
        if file.node != 0 {
            let id = self.posix.node_id(file.node);
            return self.stat_at(id, b"", false);
        }
        let mode = match file.kind {
            kind::PIPE => mode::FIFO | 0o600,
            kind::SOCKET => mode::SOCKET | 0o777,
            kind::TERMINAL => mode::CHARACTER | 0o600,
            kind::DEVICE => mode::CHARACTER | 0o666,
            _ => 0o600,
        };
        let special = match file.kind {
            kind::TERMINAL => u64::from(crate::tty::device_of(file.object)),
            kind::DEVICE => 1 << 8 | u64::from(file.object),
            _ => 0,
        };
        let inode = if file.kind == kind::PIPE { 0x1000 + u64::from(file.object) } else { 0x2000 + index as u64 };
        Ok(Stat { device: ANONYMOUS_DEVICE, inode, links: 1, mode, special, ..Stat::default() })
    }

    /// Describes what a path leads to.
    ///
    /// # Errors
    /// What vfs says.
    pub fn stat_at(&mut self, start: protocols::vfs::FileId, path: &[u8], follow: bool) -> Result<Stat, Stop> {
        let number = self.ask();
        self.at(
            start,
            path,
            follow,
            |call, at, actor| call.stat_in_vfs(number, at, actor),
            |call, entry| match entry {
                Entry::Descriptor(pid, number) if follow => call.stat_descriptor(pid, number),
                _ => Ok(call.stat_proc(entry)),
            },
        )
    }

    /// Describes the open file that a link in `/proc/PID/fd` stands for.
    fn stat_descriptor(&mut self, pid: u32, number: u16) -> Result<Stat, Stop> {
        let process = self.posix.find_pid(pid).ok_or(Errno::ENOENT)?;
        let (index, file) = self.posix.place_of(process, u64::from(number)).map_err(|_| Errno::ENOENT)?;
        self.stat_file(index, &file)
    }
}

#[cfg(test)]
mod tests {
    use super::{Stat, mode};
    use protocols::vfs::Time;

    #[test]
    fn stat_has_linux_layout() {
        let time = |seconds| Time { seconds, nanoseconds: 9 };
        let stat = Stat {
            device: 1,
            inode: 2,
            links: 3,
            mode: mode::REGULAR | 0o644,
            uid: 4,
            gid: 5,
            special: 6,
            size: 7,
            blocks: 8,
            times: [time(10), time(11), time(12)],
        };
        let bytes = stat.encode();
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        assert_eq!([word(0), word(8), word(16), word(40), word(48), word(56), word(64)], [1, 2, 3, 6, 7, 4096, 8]);
        assert_eq!((word(24) as u32, (word(24) >> 32) as u32, word(32)), (0o100_644, 4, 5));
        assert_eq!([word(72), word(88), word(104)], [10, 11, 12]);
    }
}
