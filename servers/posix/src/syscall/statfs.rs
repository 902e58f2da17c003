//! `statfs`, `fstatfs`.

use crate::call::{Call, SysResult, vfs_stop};

const TMPFS_MAGIC: u64 = 0x0102_1994;

fn answer(call: &mut Call<'_, '_>) -> SysResult {
    let number = call.ask();
    let totals = call.vfs().capacity(number).map_err(vfs_stop)?;
    let words = [TMPFS_MAGIC, 4096, totals.pages, totals.pages_free, totals.pages_free, totals.files, totals.files_free, 0, 255, 4096, 0, 0, 0, 0, 0];
    call.write_words(call.arguments[1], &words)?;
    Ok(0)
}

/// Totals of the file system that a path is on.
pub fn sys_statfs(call: &mut Call<'_, '_>) -> SysResult {
    let path = call.path_argument(0)?;
    let start = call.start_of(-100i64 as u64, &path)?;
    call.stat_at(start, &path, true)?;
    answer(call)
}

/// Of the one that an open file is on.
pub fn sys_fstatfs(call: &mut Call<'_, '_>) -> SysResult {
    call.posix.file_of(call.process, call.arguments[0])?;
    answer(call)
}
