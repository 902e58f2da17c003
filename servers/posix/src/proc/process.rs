//! Files about a process or a thread, in Linux's formats (proc(5)). Those of many fields are in `status` and `pages`.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Write as _;

use super::{COMM, ENVIRON, MOUNTS};
use crate::call::{Call, Stop};
use crate::errno::Errno;
use crate::saved::{Process, ProcessIndex, slot, state};
use crate::server::Posix;

/// Bytes of arguments or environment that are shown.
const SHOWN_BYTES: u64 = crate::stack::MAX_BYTES as u64;

/// A name up to its first zero.
pub(crate) fn name_of(process: &Process) -> String {
    text_of(&process.name)
}

/// Likewise of a thread.
pub(super) fn text_of(name: &[u8; 16]) -> String {
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    String::from_utf8_lossy(name.get(..end).unwrap_or_default()).into_owned()
}

impl Posix<'_> {
    /// Ticks of all threads of a process, ended ones included: own, and on its behalf.
    pub fn process_ticks(&mut self, process: ProcessIndex) -> [u64; 2] {
        let mut ticks = self.store.process(process).ticks;
        for lane in self.lanes_of(process) {
            if let Ok((now, _)) = self.kernel.thread_state(slot::thread(lane)) {
                ticks = [ticks[0] + now.user, ticks[1] + now.system];
            }
        }
        ticks
    }
}

impl Call<'_, '_> {
    /// What a file says of a process, or of one of its threads.
    pub(super) fn process_text(&mut self, pid: u32, tid: Option<u32>, file: u16) -> Result<Vec<u8>, Stop> {
        let process = self.posix.find_pid(pid).ok_or(Errno::ESRCH)?;
        let record = self.posix.store.process(process);
        let lane = match tid {
            Some(tid) => Some(self.posix.find_thread(process, tid).ok_or(Errno::ESRCH)?),
            None => None,
        };
        let text = match file {
            0 => self.stat_text(process, lane),
            1 => self.status_text(process, lane),
            2 => return self.strings_of(&record, |map| map.arguments),
            3 => self.maps_text(&record)?,
            COMM => format!("{}\n", lane.map_or_else(|| name_of(&record), |lane| text_of(&self.posix.thread_name(lane)))),
            ENVIRON => return self.strings_of(&record, |map| map.environment),
            6 => self.posix.map_pages(process).statm(),
            MOUNTS => super::system::MOUNTED.into(),
            8 => limits_text(&record),
            _ => return Err(Errno::ENOENT.into()),
        };
        Ok(text.into_bytes())
    }

    fn strings_of(&mut self, record: &Process, range: impl Fn(&crate::saved::Map) -> [u64; 2]) -> Result<Vec<u8>, Stop> {
        if record.state != state::LIVE {
            return Ok(Vec::new());
        }
        let [start, end] = range(&self.posix.store.map(record.map as usize));
        let length = end.saturating_sub(start).min(SHOWN_BYTES);
        let mut bytes = vec![0; length as usize];
        self.posix.read_guest(record.map as usize, start, &mut bytes, self.number)?;
        Ok(bytes)
    }
}

fn limits_text(record: &Process) -> String {
    const NAMES: [(&str, &str); 16] = [
        ("Max cpu time", "seconds"),
        ("Max file size", "bytes"),
        ("Max data size", "bytes"),
        ("Max stack size", "bytes"),
        ("Max core file size", "bytes"),
        ("Max resident set", "bytes"),
        ("Max processes", "processes"),
        ("Max open files", "files"),
        ("Max locked memory", "bytes"),
        ("Max address space", "bytes"),
        ("Max file locks", "locks"),
        ("Max pending signals", "signals"),
        ("Max msgqueue size", "bytes"),
        ("Max nice priority", ""),
        ("Max realtime priority", ""),
        ("Max realtime timeout", "us"),
    ];
    let mut text = format!("{:<25} {:<20} {:<20} {:<10}\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    let show = |value: u64| if value == u64::MAX { String::from("unlimited") } else { format!("{value}") };
    for ((name, unit), pair) in NAMES.iter().zip(record.limits.chunks_exact(2)) {
        // A string grows as needed.
        let _infallible = writeln!(text, "{name:<25} {:<20} {:<20} {unit:<10}", show(pair[0]), show(pair[1]));
    }
    text
}
