//! `statfs`, `fstatfs`.

use crate::call::{Call, SysResult, vfs_stop};
use crate::stat::{DEVPTS_DEVICE, PROC_DEVICE, Stat};

const TMPFS_MAGIC: u64 = 0x0102_1994;
const PROC_MAGIC: u64 = 0x9fa0;
/// By which programs of older C libraries know that a terminal's name needs no helper to change hands.
const DEVPTS_MAGIC: u64 = 0x1cd1;

fn answer(call: &mut Call<'_, '_>, stat: &Stat) -> SysResult {
    let made_up = |magic| [magic, 4096, 0, 0, 0, 0, 0, 0, 255, 4096, 0, 0, 0, 0, 0];
    let words = match stat.device {
        PROC_DEVICE => made_up(PROC_MAGIC),
        DEVPTS_DEVICE => made_up(DEVPTS_MAGIC),
        _ => {
            let number = call.ask();
            let totals = call.posix.vfs_to_ask().capacity(number).map_err(vfs_stop)?;
            [TMPFS_MAGIC, 4096, totals.pages, totals.pages_free, totals.pages_free, totals.files, totals.files_free, 0, 255, 4096, 0, 0, 0, 0, 0]
        }
    };
    call.write_words(call.arguments[1], &words)?;
    Ok(0)
}

/// Totals of the file system that a path is on.
pub fn sys_statfs(call: &mut Call<'_, '_>) -> SysResult {
    let path = call.path_argument(0)?;
    let start = call.start_of(-100i64 as u64, &path)?;
    let stat = call.stat_at(start, &path, true)?;
    answer(call, &stat)
}

/// Of the one that an open file is on.
pub fn sys_fstatfs(call: &mut Call<'_, '_>) -> SysResult {
    let (index, file) = call.posix.place_of(call.process, call.arguments[0])?;
    let stat = call.stat_file(index, &file)?;
    answer(call, &stat)
}
