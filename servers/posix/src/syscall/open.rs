//! `open`, `openat`, `creat`.

use protocols::vfs::{Kind, OpenFlags, Opened};

use crate::call::{Call, Stop, SysResult};
use crate::errno::Errno;
use crate::fd::{ACCESS_MODE, NONBLOCK, READ_WRITE, WRITE_ONLY, kind};
use crate::proc::Entry;
use crate::saved::File;
use crate::wait::{Event, Wait};

const O_CREAT: u32 = 0o100;
const O_EXCL: u32 = 0o200;
const O_NOCTTY: u32 = 0o400;
const O_TRUNC: u32 = 0o1000;
const O_DIRECTORY: u32 = 0o200_000;
const O_NOFOLLOW: u32 = 0o400_000;
const O_CLOEXEC: u32 = 0o2_000_000;
const O_PATH: u32 = 0o10_000_000;
const O_TMPFILE: u32 = 0o20_000_000;
/// Flags that a file keeps: access mode, append, nonblock, and those without effect here (async, direct, large file, no access time, sync).
const KEPT: u32 = ACCESS_MODE | 0o2000 | 0o4000 | 0o20000 | 0o40000 | 0o100_000 | 0o1_000_000 | 0o4_010_000;
const KNOWN: u32 = KEPT | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_PATH | O_TMPFILE;

/// Opens a path.
pub fn sys_open(call: &mut Call<'_, '_>) -> SysResult {
    let [_, flags, mode, ..] = call.arguments;
    let path = call.path_argument(0)?;
    open(call, -100i64 as u64, &path, flags as u32, mode as u32)
}

/// Opens a path seen from a directory.
pub fn sys_openat(call: &mut Call<'_, '_>) -> SysResult {
    let [directory, _, flags, mode, ..] = call.arguments;
    let path = call.path_argument(1)?;
    open(call, directory, &path, flags as u32, mode as u32)
}

/// Makes or cuts a file.
pub fn sys_creat(call: &mut Call<'_, '_>) -> SysResult {
    let path = call.path_argument(0)?;
    let mode = call.arguments[1] as u32;
    open(call, -100i64 as u64, &path, O_CREAT | O_TRUNC | WRITE_ONLY, mode)
}

/// Set in the progress of an open that waits for a FIFO's other end; the rest is the descriptor.
const FIFO_WAITS: u64 = 1 << 32;

/// What became of an open.
#[derive(Clone, Copy)]
enum Place {
    Vfs(Opened),
    Proc(Entry),
}

fn open(call: &mut Call<'_, '_>, directory: u64, path: &[u8], flags: u32, mode: u32) -> SysResult {
    // Linux ignores flags that it does not know (open(2)); so must we, or old programs break.
    let flags = flags & KNOWN;
    if call.progress() != 0 {
        return fifo_partner(call);
    }
    call.posix.free_descriptor(call.process, 0)?;
    let start = call.start_of(directory, path)?;
    let wanted = wanted(flags);
    let permissions = (mode & !call.me().umask & 0o7777) as u16;
    let follow = flags & O_NOFOLLOW == 0 && flags & (O_CREAT | O_EXCL) != O_CREAT | O_EXCL;
    let number = call.effect();
    let place = call.at(
        start,
        path,
        follow,
        |call, at, actor| call.vfs().open(number, at, actor, wanted, permissions).map(Place::Vfs),
        |_, entry| Ok(Place::Proc(entry)),
    )?;
    let close_on_exec = flags & O_CLOEXEC != 0;
    match place {
        Place::Vfs(opened) => match file_for(call, &opened, flags) {
            Ok(file) => {
                let number = call.posix.open_file(call.process, file, close_on_exec)?;
                take_controlling_terminal(call, &file, flags);
                wait_for_partner(call, number, &file)
            }
            Err(stop) => {
                if let Stop::Errno(_) = stop
                    && let Some(node) = call.posix.find_node(opened.file.into())
                {
                    call.posix.release_node(node);
                }
                Err(stop)
            }
        },
        Place::Proc(entry) => open_proc(call, entry, flags, close_on_exec),
    }
}

fn wanted(flags: u32) -> OpenFlags {
    if flags & O_PATH != 0 {
        let directory = if flags & O_DIRECTORY != 0 { OpenFlags::DIRECTORY } else { OpenFlags(0) };
        return OpenFlags::PLACE.with(directory);
    }
    let mut wanted = OpenFlags(0);
    let access = flags & ACCESS_MODE;
    for (given, flag) in [
        (access != WRITE_ONLY, OpenFlags::READ),
        (access != 0, OpenFlags::WRITE),
        (flags & O_CREAT != 0, OpenFlags::CREATE),
        (flags & O_EXCL != 0 && flags & O_CREAT != 0, OpenFlags::EXCLUSIVE),
        (flags & O_TRUNC != 0, OpenFlags::TRUNCATE),
        (flags & O_DIRECTORY != 0, OpenFlags::DIRECTORY),
        (flags & O_TMPFILE != 0, OpenFlags::TEMPORARY),
    ] {
        if given {
            wanted = wanted.with(flag);
        }
    }
    wanted
}

fn file_for(call: &mut Call<'_, '_>, opened: &Opened, flags: u32) -> Result<File, Stop> {
    let mode = opened.kind.mode_bits() | u32::from(opened.permissions);
    let node = call.posix.node_opened(opened.file, mode, opened.device)?;
    let file = File { flags: flags & KEPT, node: node as u32, ..File::default() };
    if flags & O_PATH != 0 {
        return Ok(File { kind: kind::PLACE, flags: flags & O_PATH, ..file });
    }
    match opened.kind {
        Kind::File => Ok(File { kind: kind::REGULAR, ..file }),
        Kind::Directory => Ok(File { kind: kind::DIRECTORY, ..file }),
        Kind::CharacterDevice => Ok(call.open_device(opened.device, flags & KEPT, node)?),
        Kind::Fifo => call.open_fifo(node, flags & KEPT),
        // With O_NOFOLLOW, on a link.
        Kind::Symlink => Err(Errno::ELOOP.into()),
        Kind::BlockDevice | Kind::Socket => Err(Errno::ENXIO.into()),
    }
}

/// A session's leader without a terminal gets the one that it opens, unless it cannot read from it or opens it as the system's console.
fn take_controlling_terminal(call: &mut Call<'_, '_>, file: &File, flags: u32) {
    let is_console = file.node != 0 && call.posix.store.node(file.node as usize).device == crate::device::CONSOLE_DEVICE;
    if file.kind == kind::TERMINAL && flags & O_NOCTTY == 0 && file.reads() && !is_console {
        // Whoever cannot have it opens it all the same.
        let _refused = call.take_terminal(file.object, false);
    }
}

/// Opens a terminal that has no node in vfs.
pub(super) fn install_terminal(call: &mut Call<'_, '_>, file: File, flags: u32) -> SysResult {
    let number = call.posix.open_file(call.process, file, flags & O_CLOEXEC != 0)?;
    take_controlling_terminal(call, &file, flags);
    Ok(number as u64)
}

/// Opening a FIFO for one direction waits for the other.
fn wait_for_partner(call: &mut Call<'_, '_>, number: usize, file: &File) -> SysResult {
    let waits = file.kind == kind::PIPE && file.flags & NONBLOCK == 0 && file.flags & ACCESS_MODE != READ_WRITE;
    if !waits {
        return Ok(number as u64);
    }
    call.set_progress(FIFO_WAITS | number as u64);
    fifo_partner(call)
}

fn fifo_partner(call: &mut Call<'_, '_>) -> SysResult {
    let number = call.progress() & !FIFO_WAITS;
    let (_, file) = call.posix.file_of(call.process, number)?;
    let pipe = call.posix.store.pipe(file.object as usize);
    let others = if file.flags & ACCESS_MODE == WRITE_ONLY { pipe.readers } else { pipe.writers };
    // One that came and went has been there: then there are bytes.
    if others > 0 || pipe.bytes() > 0 {
        return Ok(number);
    }
    if call.posix.has_deliverable(call.lane) {
        call.posix.close(call.process, number)?;
        call.set_progress(0);
        return Err(Stop::Interrupted { restart: true });
    }
    Err(Stop::Wait(Wait::on(Event::Pipe(file.object))))
}

fn open_proc(call: &mut Call<'_, '_>, entry: Entry, flags: u32, close_on_exec: bool) -> SysResult {
    if flags & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL {
        return Err(Errno::EEXIST.into());
    }
    if let Entry::Descriptor(pid, number) = entry {
        return open_again(call, pid, number, close_on_exec);
    }
    if entry.is_link() && flags & O_PATH == 0 {
        return Err(Errno::ELOOP.into());
    }
    if flags & O_DIRECTORY != 0 && !entry.is_directory() {
        return Err(Errno::ENOTDIR.into());
    }
    if flags & O_PATH == 0
        && let Some(file) = call.open_in_devpts(entry, flags & KEPT)?
    {
        return install_terminal(call, file, flags);
    }
    if flags & ACCESS_MODE != 0 {
        return Err(if entry.is_directory() { Errno::EISDIR } else { Errno::EACCES }.into());
    }
    Ok(call.posix.open_file(call.process, entry.to_file(flags & KEPT), close_on_exec)? as u64)
}

/// `/dev/stdin` on a pipe: the same file under one more descriptor.
fn open_again(call: &mut Call<'_, '_>, pid: u32, number: u16, close_on_exec: bool) -> SysResult {
    let process = call.posix.find_pid(pid).ok_or(Errno::ENOENT)?;
    let (index, _) = call.posix.file_of(process, u64::from(number)).map_err(|_| Errno::ENOENT)?;
    let free = call.posix.free_descriptor(call.process, 0)?;
    call.posix.hold_file(index);
    call.posix.install(call.process, free, index, close_on_exec);
    Ok(free as u64)
}
