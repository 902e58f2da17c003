//! `memfd_create`, and files without a name for shared memory.

use alloc::format;

use protocols::vfs::{At, FileId, OpenFlags, ROOT};

use crate::call::{Call, EFFECT, Stop, SysResult, vfs_stop};
use crate::errno::Errno;
use crate::fd::{READ_WRITE, kind};
use crate::saved::{File, Vma};
use crate::stat::mode;
use crate::vma::FILE;

const MFD_CLOEXEC: u64 = 1;
const MFD_ALLOW_SEALING: u64 = 2;

/// Makes a file in memory.
pub fn sys_memfd_create(call: &mut Call<'_, '_>) -> SysResult {
    let [name, flags, ..] = call.arguments;
    if flags & !(MFD_CLOEXEC | MFD_ALLOW_SEALING) != 0 {
        return Err(Errno::EINVAL.into());
    }
    call.read_path(name)?;
    call.posix.free_descriptor(call.process, 0)?;
    let (_, node) = call.unnamed_file(0)?;
    let file = File { kind: kind::REGULAR, flags: READ_WRITE, node: node as u32, ..File::default() };
    Ok(call.posix.open_file(call.process, file, flags & MFD_CLOEXEC != 0)? as u64)
}

impl Call<'_, '_> {
    /// A file of vfs that no path leads to. Its three requests each have their step, so a re-run makes the same one.
    ///
    /// # Errors
    /// What vfs says.
    pub fn unnamed_file(&mut self, bytes: u64) -> Result<(FileId, usize), Stop> {
        let name = format!("/dev/shm/.unnamed-{:x}", self.number.0);
        let actor = protocols::vfs::Actor::superuser();
        let at = At::no_follow(ROOT, name.as_bytes());
        let flags = OpenFlags::READ.with(OpenFlags::WRITE).with(OpenFlags::CREATE);
        let (number, ask) = (self.number, self.ask());
        let opened = self.vfs().open(number.with_step(EFFECT), at, &actor, flags, 0o600).map_err(vfs_stop)?;
        self.vfs().unlink(number.with_step(EFFECT + 1), at, &actor).map_err(vfs_stop)?;
        if bytes > 0 {
            self.vfs().truncate(ask, At::file(opened.file), &actor, bytes).map_err(vfs_stop)?;
        }
        let node = self.posix.node_opened(opened.file, mode::REGULAR | 0o600, 0)?;
        Ok((opened.file, node))
    }

    /// After a shared area without descriptor was recorded: the area alone keeps its file.
    pub fn release_unnamed(&mut self, area: &Vma) {
        const ANONYMOUS: u64 = 0x20;
        if area.flags & FILE != 0
            && self.arguments[3] & ANONYMOUS != 0
            && let Some(node) = self.posix.find_node(crate::saved::Id { inode: area.inode, generation: area.generation })
        {
            self.posix.release_node(node);
        }
    }
}
