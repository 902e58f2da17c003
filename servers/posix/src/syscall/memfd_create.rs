//! `memfd_create`, and files without a name for shared memory.

use alloc::format;
use alloc::vec::Vec;

use protocols::vfs::{At, FileId, OpenFlags, ROOT};

use crate::call::{Call, EFFECT, Stop, SysResult, vfs_stop};
use crate::errno::Errno;
use crate::fd::{READ_WRITE, kind};
use crate::saved::{File, Vma};
use crate::stat::mode;
use crate::vma::FILE;

/// Where files begin that no path leads to: for an instant they have one.
const MAPPING: &[u8] = b"/dev/shm/.mapping-";
/// Likewise those with a descriptor; the request's number, a colon and the program's own name follow.
const MEMFD: &[u8] = b"/dev/shm/.memfd-";
const MFD_CLOEXEC: u64 = 1;
const MFD_ALLOW_SEALING: u64 = 2;
const NAME_BYTES: usize = 255;
const PREFIX_BYTES: usize = "memfd:".len();
const DIRECTORY_BYTES: usize = "/dev/shm/".len();

/// Makes a file in memory.
pub fn sys_memfd_create(call: &mut Call<'_, '_>) -> SysResult {
    let [name, flags, ..] = call.arguments;
    if flags & !(MFD_CLOEXEC | MFD_ALLOW_SEALING) != 0 {
        return Err(Errno::EINVAL.into());
    }
    // Linux allows what is left of a name beside its own `memfd:`.
    let name = call.read_path(name)?;
    if name.len() > NAME_BYTES - PREFIX_BYTES {
        return Err(Errno::EINVAL.into());
    }
    call.posix.free_descriptor(call.process, 0)?;
    let (_, node) = call.unnamed_file(0, Some(&name))?;
    let file = File { kind: kind::REGULAR, flags: READ_WRITE, node: node as u32, detail: 1, ..File::default() };
    Ok(call.posix.open_file(call.process, file, flags & MFD_CLOEXEC != 0)? as u64)
}

impl Call<'_, '_> {
    /// A file of vfs that no path leads to: what a memfd of this name is, or a shared mapping. Its three requests each have their step, so a re-run makes the same one.
    ///
    /// # Errors
    /// What vfs says.
    pub fn unnamed_file(&mut self, bytes: u64, memfd: Option<&[u8]>) -> Result<(FileId, usize), Stop> {
        let mut name = [if memfd.is_some() { MEMFD } else { MAPPING }, format!("{:x}:", self.number.0).as_bytes()].concat();
        let room = NAME_BYTES + DIRECTORY_BYTES - name.len();
        name.extend(memfd.unwrap_or_default().iter().take(room).map(|byte| if *byte == b'/' { b'!' } else { *byte }));
        let permissions = if memfd.is_some() { 0o777 } else { 0o600 };
        let actor = protocols::vfs::Actor::superuser();
        let at = At::no_follow(ROOT, &name);
        let flags = OpenFlags::READ.with(OpenFlags::WRITE).with(OpenFlags::CREATE);
        let (opening, unlinking, ask) = (self.effect(), self.numbered(EFFECT + 1), self.ask());
        let opened = self.vfs().open(opening, at, &actor, flags, permissions).map_err(vfs_stop)?;
        self.vfs().unlink(unlinking, at, &actor).map_err(vfs_stop)?;
        if bytes > 0 {
            self.vfs().truncate(ask, At::file(opened.file), &actor, bytes).map_err(vfs_stop)?;
        }
        let node = self.posix.node_opened(opened.file, mode::REGULAR | u32::from(permissions), 0)?;
        Ok((opened.file, node))
    }

    /// After a shared area without descriptor was recorded: the area alone keeps its file.
    pub fn release_unnamed(&mut self, area: &Vma) {
        const ANONYMOUS: u64 = 0x20;
        if area.flags & FILE != 0
            && self.arguments[3] & ANONYMOUS != 0
            && let Some(node) = self.posix.find_node(area.file())
        {
            self.posix.release_node(node);
        }
    }
}

/// What Linux shows for a file that has lost its name: its path, or what it is if it never had one to keep.
#[must_use]
pub fn shown_name(path: &[u8]) -> Vec<u8> {
    if path.starts_with(MAPPING) {
        return b"/dev/zero".to_vec();
    }
    let memfd = path.strip_prefix(MEMFD).and_then(|rest| rest.iter().position(|byte| *byte == b':').and_then(|colon| rest.get(colon..)));
    memfd.map_or_else(|| path.to_vec(), |name| [b"/memfd".as_slice(), name].concat())
}
