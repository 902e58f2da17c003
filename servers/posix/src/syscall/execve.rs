//! `execve`, `execveat`.

use alloc::format;
use alloc::vec::Vec;

use crate::call::{Call, Stop, SysResult};
use crate::errno::Errno;
use crate::exec::{Found, Request, Start};
use crate::fail::Point;
use crate::saved::{Map, MapIndex, Process, flag, operation, slot, state};

const CURRENT: u64 = -100i64 as u64;
const AT_SYMLINK_NOFOLLOW: u64 = 0x100;
const AT_EMPTY_PATH: u64 = 0x1000;
const SET_UID: u16 = 0o4000;
const SET_GID: u16 = 0o2000;

/// Executes a program.
pub fn sys_execve(call: &mut Call<'_, '_>) -> SysResult {
    let [_, arguments, environment, ..] = call.arguments;
    let path = call.path_argument(0)?;
    execute(call, CURRENT, path, arguments, environment, true)
}

/// Executes a program seen from a directory, or an open file.
pub fn sys_execveat(call: &mut Call<'_, '_>) -> SysResult {
    let [directory, path, arguments, environment, flags, _] = call.arguments;
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let path = call.read_path(path)?;
    if path.is_empty() && flags & AT_EMPTY_PATH == 0 {
        return Err(Errno::ENOENT.into());
    }
    execute(call, directory, path, arguments, environment, flags & AT_SYMLINK_NOFOLLOW == 0)
}

fn execute(call: &mut Call<'_, '_>, directory: u64, path: Vec<u8>, arguments: u64, environment: u64, follow: bool) -> SysResult {
    let mut arguments = call.read_strings(arguments)?;
    if arguments.is_empty() {
        // As Linux since 5.18: a program always has a name.
        arguments.push(Vec::new());
    }
    let environment = call.read_strings(environment)?;
    let me = call.me();
    let (name, is_hidden) = name_of(call, directory, &path);
    let mut request = Request {
        start: call.start_of(directory, &path)?,
        path,
        name,
        is_hidden,
        follow,
        arguments,
        environment,
        actor: call.actor(),
        process: call.process,
        ids: [me.uid[0], me.uid[1], me.gid[0], me.gid[1]],
        number: call.number,
        lane: Some(call.lane),
    };
    let mut found = call.posix.find_program(&request)?;
    if request.path.is_empty() {
        name_by_file(call, &mut found)?;
    }
    request.ids = ids_with(&me, &found);
    let map = intend(call)?;
    libsys::fail::hit(Point::ProgramRecorded);
    let built = build(call, map, &request, &found);
    call.posix.frames.release_reserved();
    match built {
        Ok(start) => {
            libsys::fail::hit(Point::ProgramLoaded);
            commit(call, map, &found, &request, start);
            Err(Stop::Frame)
        }
        Err(stop) => {
            // Undo all of the map's records: the embryo alone was committed.
            call.posix.store.roll_back();
            call.posix.abandon_operation(call.lane);
            call.posix.store.commit();
            if let Stop::Errno(_) = stop {
                call.posix.close_program(&found);
            }
            Err(stop)
        }
    }
}

/// What a program hears that it was executed by, and whether the descriptor in that name will be closed by then (Linux: `alloc_bprm`).
fn name_of(call: &Call<'_, '_>, directory: u64, path: &[u8]) -> (Vec<u8>, bool) {
    if directory as u32 == CURRENT as u32 || path.starts_with(b"/") {
        return (path.to_vec(), false);
    }
    let slash = if path.is_empty() { "" } else { "/" };
    let mut name = format!("/dev/fd/{}{slash}", directory as u32).into_bytes();
    name.extend_from_slice(path);
    (name, call.posix.store.descriptor(call.process, directory as u32 as usize).close_on_exec != 0)
}

/// A program that was executed by its descriptor alone is called what its file is (Linux: `begin_new_exec`).
fn name_by_file(call: &mut Call<'_, '_>, found: &mut Found) -> Result<(), Stop> {
    match call.path_or_lost(found.file()) {
        Ok(path) => found.rename(&path),
        Err(Stop::Errno(_)) => {}
        Err(stop) => return Err(stop),
    }
    Ok(())
}

fn intend(call: &mut Call<'_, '_>) -> Result<MapIndex, Errno> {
    let map = call.posix.free_map()?;
    let page = call.posix.frames.reserve(call.posix.kernel)?.0;
    call.posix.store.set_map(map, Map { state: state::EMBRYO, page, ..Map::default() });
    call.posix.frames.space_began(slot::space(map));
    call.posix.store.edit_thread(call.lane, |thread| {
        thread.operation = operation::EXEC;
        thread.operation_map = map as u32;
    });
    call.posix.store.commit();
    Ok(map)
}

fn build(call: &mut Call<'_, '_>, map: MapIndex, request: &Request, found: &Found) -> Result<Start, Stop> {
    call.posix.make_space(map)?;
    call.posix.hot.begin(map, None);
    call.posix.load_program(map, request, found)
}

/// Real and effective user and group of a process when it has become a program.
fn ids_with(me: &Process, found: &Found) -> [u32; 4] {
    let (mode, uid, gid) = found.owner();
    let may_change = me.flags & flag::NO_NEW_PRIVILEGES == 0;
    let euid = if may_change && mode & SET_UID != 0 { uid } else { me.uid[1] };
    let egid = if may_change && mode & (SET_GID | 0o10) == SET_GID | 0o10 { gid } else { me.gid[1] };
    [me.uid[0], euid, me.gid[0], egid]
}

/// The process becomes its new program.
fn commit(call: &mut Call<'_, '_>, map: MapIndex, found: &Found, request: &Request, start: Start) {
    let (lane, process) = (call.lane, call.process);
    let tid = call.me().pid;
    for other in call.posix.lanes_of(process) {
        if other != lane {
            call.posix.end_lane(other);
        }
    }
    call.posix.store.edit_map(map, |map| (map.state, map.references) = (state::LIVE, 1));
    call.posix.release_map(call.map);
    for number in call.posix.descriptors(process) {
        if call.posix.store.descriptor(process, number).close_on_exec != 0 {
            // It is open: the list was just made.
            let _closed = call.posix.close(process, number as u64);
        }
    }
    call.posix.clear_handlers(process);
    call.posix.delete_posix_timers(process);
    let [uid, euid, gid, egid] = request.ids;
    call.posix.store.edit_process(process, |process| {
        process.map = map as u32;
        process.name = found.short_name;
        process.flags |= flag::EXECUTED;
        // Who becomes somebody else by its program is nobody's to look into (Linux: `begin_new_exec`).
        let is_other = (euid, egid) != (uid, gid);
        process.flags = if is_other { process.flags | flag::NOT_DUMPABLE } else { process.flags & !flag::NOT_DUMPABLE };
        (process.uid, process.gid) = ([uid, euid, euid, euid], [gid, egid, egid, egid]);
    });
    call.posix.store.edit_thread(lane, |thread| {
        thread.tid = tid;
        thread.alternate = [0; 3];
        (thread.clear_tid, thread.robust) = (0, 0);
        thread.operation = operation::NONE;
    });
    call.posix.release_vfork(process);
    call.posix.set_frame(lane, &start.frame());
}
