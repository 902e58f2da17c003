//! `open`, `openat`, `openat2`, `creat`.

use protocols::call::CallError;
use protocols::vfs::{self, Actor, Kind, OpenFlags, Opened, Within};

use crate::call::{Call, Stop, SysResult};
use crate::cut::Dropped;
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
/// `O_TMPFILE` less `O_DIRECTORY`.
const TMPFILE_BIT: u32 = 0o20_000_000;
/// Bytes of `struct open_how`, and most that a newer one may have.
const HOW_BYTES: u64 = 24;
const MAX_HOW_BYTES: u64 = 4096;
const RESOLVE_NO_MAGICLINKS: u64 = 2;
const RESOLVE_NO_SYMLINKS: u64 = 4;
const RESOLVE_BENEATH: u64 = 8;
const RESOLVE_IN_ROOT: u64 = 16;
const RESOLVE_CACHED: u64 = 32;
const RESOLVE_KNOWN: u64 = 63;
/// Flags that a file keeps: access mode, append, nonblock, and those without effect here (async, direct, large file, no access time, sync).
const KEPT: u32 = ACCESS_MODE | 0o2000 | 0o4000 | 0o20000 | 0o40000 | 0o100_000 | 0o1_000_000 | 0o4_010_000;
/// Linux's `open` ignores others (open(2)); so must we, or old programs break.
const KNOWN: u32 = KEPT | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_PATH | TMPFILE_BIT;

/// Flags that mean something with `O_PATH`.
const WITH_PATH: u32 = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

/// What `open` makes of its flags: with `O_PATH` most of them count as little as unknown ones.
fn understood(flags: u64) -> u32 {
    let flags = flags as u32 & KNOWN;
    if flags & O_PATH != 0 { flags & WITH_PATH } else { flags }
}

/// Opens a path.
pub fn sys_open(call: &mut Call<'_, '_>) -> SysResult {
    let [_, flags, mode, ..] = call.arguments;
    let path = call.path_argument(0)?;
    open(call, -100i64 as u64, &path, understood(flags), mode as u32, Within::default())
}

/// Opens a path seen from a directory.
pub fn sys_openat(call: &mut Call<'_, '_>) -> SysResult {
    let [directory, _, flags, mode, ..] = call.arguments;
    let path = call.path_argument(1)?;
    open(call, directory, &path, understood(flags), mode as u32, Within::default())
}

/// Opens a path seen from a directory, with all that can be wrong checked, and the walk kept where it should stay.
pub fn sys_openat2(call: &mut Call<'_, '_>) -> SysResult {
    let [directory, _, address, size, ..] = call.arguments;
    if size < HOW_BYTES {
        return Err(Errno::EINVAL.into());
    }
    if size > MAX_HOW_BYTES {
        return Err(Errno::E2BIG.into());
    }
    let [flags, mode, resolve] = call.read_words(address)?;
    let mut rest = alloc::vec![0; (size - HOW_BYTES) as usize];
    call.read(address + HOW_BYTES, &mut rest)?;
    if rest.iter().any(|byte| *byte != 0) {
        return Err(Errno::E2BIG.into());
    }
    let makes = flags as u32 & (O_CREAT | TMPFILE_BIT) != 0;
    let known = flags & !u64::from(KNOWN) == 0 && resolve & !RESOLVE_KNOWN == 0 && mode & !0o7777 == 0;
    let path_only = flags as u32 & O_PATH == 0 || flags as u32 & !WITH_PATH == 0;
    if !known || !path_only || mode != 0 && !makes || resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT) == RESOLVE_BENEATH | RESOLVE_IN_ROOT {
        return Err(Errno::EINVAL.into());
    }
    if resolve & RESOLVE_CACHED != 0 {
        // What is cached is vfs's business; the answer that Linux allows at any time sends the caller on.
        return Err(Errno::EAGAIN.into());
    }
    let path = call.path_argument(1)?;
    open(call, directory, &path, flags as u32, mode as u32, Within(resolve as u8))
}

/// Makes or cuts a file.
pub fn sys_creat(call: &mut Call<'_, '_>) -> SysResult {
    let path = call.path_argument(0)?;
    let mode = call.arguments[1] as u32;
    open(call, -100i64 as u64, &path, O_CREAT | O_TRUNC | WRITE_ONLY, mode, Within::default())
}

/// Set in the progress of an open that waits for a FIFO's other end; the rest is the descriptor.
const FIFO_WAITS: u64 = 1 << 32;

/// What became of an open.
#[derive(Clone, Copy)]
enum Place {
    /// A file, and whether vfs was not told.
    Vfs(Opened, bool),
    Proc(Entry),
}

fn open(call: &mut Call<'_, '_>, directory: u64, path: &[u8], flags: u32, mode: u32, within: Within) -> SysResult {
    if flags & TMPFILE_BIT != 0 && (flags & O_DIRECTORY == 0 || flags & ACCESS_MODE == 0 || flags & O_CREAT != 0) {
        return Err(Errno::EINVAL.into());
    }
    if call.progress() != 0 {
        return fifo_partner(call);
    }
    call.posix.free_descriptor(call.process, 0)?;
    let start = call.start_of(directory, path)?;
    let wanted = wanted(flags);
    let permissions = (mode & !call.me().umask & 0o7777) as u16;
    let follow = flags & O_NOFOLLOW == 0 && flags & (O_CREAT | O_EXCL) != O_CREAT | O_EXCL;
    if flags & O_TRUNC != 0 && flags & (O_PATH | O_EXCL) == 0 {
        call.refuse_running(start, path, follow)?;
    }
    let number = call.effect();
    let place = call.at(
        start,
        path,
        follow,
        |call, at, actor| {
            if (at.start, at.path) != (start, path) {
                jumped(within).map_err(CallError::Service)?;
            }
            if wanted.contains(OpenFlags::TRUNCATE) {
                call.posix.located.forget_all();
            }
            let changes = [OpenFlags::CREATE, OpenFlags::TRUNCATE, OpenFlags::TEMPORARY].into_iter().any(|flag| wanted.contains(flag));
            if within == Within::default() && !changes {
                let lane = Some(call.lane);
                return call.posix.open_in_vfs(lane, number, at, actor, wanted).map(|(opened, already)| Place::Vfs(opened, already));
            }
            let opened = if within == Within::default() {
                call.vfs().open(number, at, actor, wanted, permissions)
            } else if u64::from(within.0) & RESOLVE_IN_ROOT != 0 {
                let inside = Actor { root: at.start, ..actor.clone() };
                call.vfs().open_within(number, at, &inside, wanted, permissions, within)
            } else {
                call.vfs().open_within(number, at, actor, wanted, permissions, within)
            };
            opened.map(|opened| Place::Vfs(opened, false))
        },
        |_, entry| match entry {
            Entry::Descriptor(..) if u64::from(within.0) & RESOLVE_NO_MAGICLINKS != 0 => Err(Errno::ELOOP.into()),
            _ => Ok(Place::Proc(entry)),
        },
    )?;
    let close_on_exec = flags & O_CLOEXEC != 0;
    match place {
        Place::Vfs(opened, already) => match file_for(call, &opened, already, flags) {
            Ok(file) => {
                if flags & O_TRUNC != 0 && !opened.created && file.kind == kind::REGULAR {
                    call.posix.drop_pages(opened.file, Dropped::From(0));
                }
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

/// The walk has come back from /proc by one of its links, which lead anywhere.
fn jumped(within: Within) -> Result<(), vfs::Error> {
    let resolve = u64::from(within.0);
    if resolve & (RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS) != 0 {
        return Err(vfs::Error::TooManyLinksFollowed);
    }
    if resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT) != 0 { Err(vfs::Error::CrossesMount) } else { Ok(()) }
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
        (flags & O_EXCL != 0 && flags & (O_CREAT | TMPFILE_BIT) != 0, OpenFlags::EXCLUSIVE),
        (flags & O_TRUNC != 0, OpenFlags::TRUNCATE),
        (flags & O_DIRECTORY != 0, OpenFlags::DIRECTORY),
        (flags & TMPFILE_BIT != 0, OpenFlags::TEMPORARY),
    ] {
        if given {
            wanted = wanted.with(flag);
        }
    }
    wanted
}

fn file_for(call: &mut Call<'_, '_>, opened: &Opened, already: bool, flags: u32) -> Result<File, Stop> {
    let mode = opened.kind.mode_bits() | u32::from(opened.permissions);
    let known = if already { call.posix.node_open_already(opened.file) } else { None };
    let node = match known {
        Some(node) => node,
        None => call.posix.node_opened(opened.file, mode, opened.device)?,
    };
    if flags & ACCESS_MODE != 0 && flags & O_PATH == 0 && call.posix.is_running(opened.file) {
        return Err(Errno::ETXTBSY.into());
    }
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
    let uid = call.me().uid[1];
    let wanted = if flags & O_PATH != 0 {
        0
    } else {
        match flags & ACCESS_MODE {
            0 => 4,
            WRITE_ONLY => 2,
            _ => 6,
        }
    };
    if wanted & 2 != 0 && !entry.is_writable() || wanted & !call.allowed_in_proc(entry, uid) != 0 {
        return Err(if entry.is_directory() { Errno::EISDIR } else { Errno::EACCES }.into());
    }
    Ok(call.posix.open_file(call.process, entry.to_file(flags & KEPT), close_on_exec)? as u64)
}

/// `/dev/stdin` on a pipe: the same file under one more descriptor.
fn open_again(call: &mut Call<'_, '_>, pid: u32, number: u16, close_on_exec: bool) -> SysResult {
    let process = call.posix.find_pid(pid).ok_or(Errno::ENOENT)?;
    let (index, file) = call.posix.place_of(process, u64::from(number)).map_err(|_| Errno::ENOENT)?;
    if file.kind == kind::SOCKET {
        return Err(Errno::ENXIO.into());
    }
    let free = call.posix.free_descriptor(call.process, 0)?;
    call.posix.hold_file(index);
    call.posix.install(call.process, free, index, close_on_exec);
    Ok(free as u64)
}
