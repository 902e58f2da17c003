//! `wait4`, `waitid`.

use crate::call::{Call, Stop, SysResult};
use crate::errno::Errno;
use crate::saved::{Origin, Process, ProcessIndex, flag, state};
use crate::signal::{SIGCHLD, SIGCONT, frame};
use crate::wait::{Event, Wait};

const WNOHANG: u64 = 1;
const WUNTRACED: u64 = 2;
const WEXITED: u64 = 4;
const WCONTINUED: u64 = 8;
const WNOWAIT: u64 = 0x100_0000;
/// `__WNOTHREAD`, `__WALL`, `__WCLONE`: all children count here.
const IGNORED: u64 = 0xe000_0000;

/// Which children count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Any,
    Pid(u32),
    Group(u32),
}

/// What a child has to tell.
#[derive(Clone, Copy, Debug)]
struct News {
    child: ProcessIndex,
    pid: u32,
    uid: u32,
    /// Wait status.
    status: u32,
    /// `si_code` and `si_status`.
    code: u32,
    value: u32,
}

fn news(child: ProcessIndex, record: &Process, options: u64) -> Option<News> {
    let make = |status, code, value| Some(News { child, pid: record.pid, uid: record.uid[0], status, code, value });
    if record.state == state::ZOMBIE && options & WEXITED != 0 {
        return match record.status & 0x7f {
            0 => make(record.status, 1, record.status >> 8 & 0xff),
            signal => make(record.status, 2, signal),
        };
    }
    if record.state == state::LIVE && record.flags & flag::STOP_REPORT != 0 && options & WUNTRACED != 0 {
        return make(record.stop_signal << 8 | 0x7f, 5, record.stop_signal);
    }
    if record.state == state::LIVE && record.flags & flag::CONTINUE_REPORT != 0 && options & WCONTINUED != 0 {
        return make(0xffff, 6, SIGCONT as u32);
    }
    None
}

fn find(call: &mut Call<'_, '_>, which: Which, options: u64) -> Result<Option<News>, Stop> {
    let mut any = false;
    for child in call.posix.processes.clone() {
        let record = call.posix.store.process(child);
        let counts = match which {
            Which::Any => true,
            Which::Pid(pid) => record.pid == pid,
            Which::Group(group) => record.group == group,
        };
        if record.parent as usize != call.process || !counts {
            continue;
        }
        any = true;
        if let Some(news) = news(child, &record, options) {
            return Ok(Some(news));
        }
    }
    if !any {
        return Err(Errno::ECHILD.into());
    }
    if options & WNOHANG != 0 {
        return Ok(None);
    }
    call.wait(Wait::on(Event::Child(call.process as u32)), true)
}

/// The news was heard: a zombie goes, a report is taken back.
fn settle(call: &mut Call<'_, '_>, news: &News, options: u64) {
    if options & WNOWAIT != 0 {
        return;
    }
    let record = call.posix.store.process(news.child);
    if record.state == state::ZOMBIE {
        call.posix.store.edit_process(call.process, |process| {
            for kind in 0..2 {
                process.child_ticks[kind] += record.ticks[kind] + record.child_ticks[kind];
            }
        });
        call.posix.forget_process(news.child);
    } else {
        let report = if news.code == 5 { flag::STOP_REPORT } else { flag::CONTINUE_REPORT };
        call.posix.store.edit_process(news.child, |process| process.flags &= !report);
    }
}

/// Waits for a child to change.
pub fn sys_wait4(call: &mut Call<'_, '_>) -> SysResult {
    let [pid, status, options, usage, ..] = call.arguments;
    if options & !(WNOHANG | WUNTRACED | WCONTINUED | IGNORED) & 0xffff_ffff != 0 {
        return Err(Errno::EINVAL.into());
    }
    let which = match pid as i32 {
        -1 => Which::Any,
        0 => Which::Group(call.me().group),
        i32::MIN => return Err(Errno::ESRCH.into()),
        group if group < 0 => Which::Group(group.unsigned_abs()),
        pid => Which::Pid(pid as u32),
    };
    let options = options | WEXITED;
    let Some(news) = find(call, which, options)? else { return Ok(0) };
    if status != 0 {
        call.write_u32(status, news.status)?;
    }
    if usage != 0 {
        call.write_usage(usage, call.posix.store.process(news.child).ticks)?;
    }
    settle(call, &news, options);
    Ok(u64::from(news.pid))
}

/// Waits for a child to change, and hears more of it.
pub fn sys_waitid(call: &mut Call<'_, '_>) -> SysResult {
    let [kind, id, info, options, usage, _] = call.arguments;
    let wanted = options & (WEXITED | WUNTRACED | WCONTINUED);
    if wanted == 0 || options & !(WNOHANG | WUNTRACED | WEXITED | WCONTINUED | WNOWAIT | IGNORED) & 0xffff_ffff != 0 {
        return Err(Errno::EINVAL.into());
    }
    let mut is_nonblocking = false;
    let which = match kind {
        0 => Which::Any,
        1 if id as i32 > 0 => Which::Pid(id as u32),
        3 if id as i32 >= 0 => {
            let file = call.process_file(id)?;
            is_nonblocking = file.is_nonblocking() && options & WNOHANG == 0;
            // One that is gone has the number of none of the caller's children.
            call.posix.process_of_file(&file).map_or(Err(Errno::ECHILD), |_| Ok(Which::Pid(file.detail as u32)))?
        }
        2 if id == 0 => Which::Group(call.me().group),
        2 if id as i32 > 0 => Which::Group(id as u32),
        _ => return Err(Errno::EINVAL.into()),
    };
    let found = find(call, which, if is_nonblocking { options | WNOHANG } else { options })?;
    if found.is_none() && is_nonblocking {
        return Err(Errno::EAGAIN.into());
    }
    if info != 0 {
        let bytes = match &found {
            Some(news) => {
                let origin = Origin { code: news.code, pid: news.pid, uid: news.uid, status: news.value, value: 0 };
                frame::info(SIGCHLD, &origin)
            }
            None => [0; frame::INFO_BYTES],
        };
        call.write(info, &bytes)?;
    }
    if let Some(news) = found {
        if usage != 0 {
            call.write_usage(usage, call.posix.store.process(news.child).ticks)?;
        }
        settle(call, &news, options);
    }
    Ok(0)
}
