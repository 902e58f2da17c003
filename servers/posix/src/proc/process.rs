//! Files about a process: /proc/PID/stat and its neighbours, in Linux's formats (proc(5)).

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Write as _;

use crate::call::{Call, Stop};
use crate::errno::Errno;
use crate::saved::{Process, ProcessIndex, SIGNALS, Vma, flag, slot, state};
use crate::server::Posix;
use crate::signal::IGNORE;
use crate::vma::{EXEC, FILE, HEAP, PAGE, READ, SHARED, STACK, VDSO, VVAR, WRITE};

/// Bytes of arguments or environment that are shown.
const SHOWN_BYTES: u64 = crate::stack::MAX_BYTES as u64;

/// The capabilities that Linux 6.1 knows (capabilities(7)): user 0 has all, everybody else none.
const ALL_CAPABILITIES: u64 = (1 << 41) - 1;

/// A name up to its first zero.
pub(crate) fn name_of(process: &Process) -> String {
    let end = process.name.iter().position(|byte| *byte == 0).unwrap_or(process.name.len());
    String::from_utf8_lossy(process.name.get(..end).unwrap_or_default()).into_owned()
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

    /// The letter that `ps` shows, and its word.
    #[must_use]
    pub fn state_letter(&self, process: ProcessIndex) -> (&'static str, &'static str) {
        let record = self.store.process(process);
        let waits = |lane: &usize| self.in_hand[*lane].is_some_and(|hand| hand.wait.is_some());
        if record.state == state::ZOMBIE {
            ("Z", "zombie")
        } else if record.flags & flag::STOPPED != 0 {
            ("T", "stopped")
        } else if self.lanes_of(process).iter().all(waits) {
            ("S", "sleeping")
        } else {
            ("R", "running")
        }
    }

    /// Pages mapped by a process: all areas, and those present.
    pub fn map_pages(&mut self, process: ProcessIndex) -> [u64; 2] {
        let record = self.store.process(process);
        if record.state != state::LIVE {
            return [0; 2];
        }
        let map = record.map as usize;
        let areas = self.store.areas(map);
        let total = areas.0.iter().map(|area| area.length() / PAGE).sum();
        let mut present = 0;
        let mut words = [0; 448];
        for area in &areas.0 {
            let mut at = area.start;
            while at < area.end {
                let wanted = ((area.end - at) / PAGE).min(words.len() as u64) as usize;
                let window = words.get_mut(..wanted).unwrap_or_default();
                let Ok(done) = self.kernel.list(slot::space(map), at, window) else { break };
                present += window.iter().take(done).filter(|word| **word != 0).count() as u64;
                if done == 0 {
                    break;
                }
                at += done as u64 * PAGE;
            }
        }
        [total, present]
    }
}

impl Call<'_, '_> {
    pub(super) fn process_text(&mut self, pid: u32, file: u16) -> Result<Vec<u8>, Stop> {
        let process = self.posix.find_pid(pid).ok_or(Errno::ESRCH)?;
        let record = self.posix.store.process(process);
        let text = match file {
            0 => self.process_stat(process, &record),
            1 => self.process_status(process, &record),
            2 => return self.strings_of(&record, |map| map.arguments),
            3 => self.process_maps(&record)?,
            4 => format!("{}\n", name_of(&record)),
            5 => return self.strings_of(&record, |map| map.environment),
            6 => {
                let [total, present] = self.posix.map_pages(process);
                format!("{total} {present} 0 0 0 0 0\n")
            }
            7 => super::system::MOUNTS.into(),
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

    fn process_stat(&mut self, process: ProcessIndex, record: &Process) -> String {
        let (letter, _) = self.posix.state_letter(process);
        let hz = (self.posix.kernel.ticks_per_second() / 100).max(1);
        let [user, system] = self.posix.process_ticks(process).map(|ticks| ticks / hz);
        let [child_user, child_system] = record.child_ticks.map(|ticks| ticks / hz);
        let parent = self.posix.pid_of_parent(process);
        let terminal = record.terminal as usize;
        let (device, foreground) = match terminal {
            0 => (0, -1),
            _ => (crate::tty::device_of(record.terminal), i64::from(self.posix.store.terminal(terminal).foreground)),
        };
        let [pages, present] = self.posix.map_pages(process);
        let started = record.started_ns / 10_000_000;
        let nice = i64::from(record.nice) - 20;
        let map = self.posix.store.map(record.map as usize);
        let signals = |handled: bool| {
            let chosen = (1..=31usize).filter(|signal| {
                let handler = self.posix.store.action(process, *signal).handler;
                if handled { handler > 1 } else { handler == 1 }
            });
            chosen.map(crate::signal::bit).sum::<u64>()
        };
        format!(
            "{} ({}) {letter} {parent} {} {} {device} {foreground} 0 0 0 0 0 {user} {system} {child_user} {child_system} {} {nice} {} 0 \
             {started} {} {present} 18446744073709551615 0 0 {} 0 0 {} 0 {} {} 0 0 0 {} 0 0 0 0 0 0 0 0 0 {} {} {} {} {}\n",
            record.pid,
            name_of(record),
            record.group,
            record.session,
            nice + 20,
            record.lanes.max(1),
            pages * PAGE,
            map.stack,
            record.pending,
            signals(false),
            signals(true),
            record.exit_signal,
            map.arguments[0],
            map.arguments[1],
            map.environment[0],
            map.environment[1],
            record.status
        )
    }

    fn process_status(&mut self, process: ProcessIndex, record: &Process) -> String {
        let (letter, word) = self.posix.state_letter(process);
        let parent = self.posix.pid_of_parent(process);
        let [pages, present] = self.posix.map_pages(process);
        let ids = |ids: [u32; 4]| format!("{}\t{}\t{}\t{}", ids[0], ids[1], ids[2], ids[3]);
        let (name, pid, threads) = (name_of(record), record.pid, record.lanes.max(1));
        let (uids, gids) = (ids(record.uid), ids(record.gid));
        let (size, resident) = (pages * 4, present * 4);
        let Process { umask, descriptor_limit, pending: shared, .. } = *record;
        let (pending, blocked) = self.signals_of_leader(process, pid);
        let ignored = self.signals_with(process, |handler| handler == IGNORE);
        let caught = self.signals_with(process, |handler| handler > IGNORE);
        let capabilities = if record.uid[1] == 0 { ALL_CAPABILITIES } else { 0 };
        let no_new_privileges = u32::from(record.flags & flag::NO_NEW_PRIVILEGES != 0);
        format!(
            "Name:\t{name}\nUmask:\t{umask:04o}\nState:\t{letter} ({word})\nTgid:\t{pid}\nNgid:\t0\nPid:\t{pid}\nPPid:\t{parent}\n\
             TracerPid:\t0\nUid:\t{uids}\nGid:\t{gids}\nFDSize:\t{descriptor_limit}\nGroups:\t\nVmSize:\t{size:>8} kB\n\
             VmRSS:\t{resident:>8} kB\nThreads:\t{threads}\nSigPnd:\t{pending:016x}\nShdPnd:\t{shared:016x}\n\
             SigBlk:\t{blocked:016x}\nSigIgn:\t{ignored:016x}\nSigCgt:\t{caught:016x}\nCapInh:\t0000000000000000\nCapPrm:\t{capabilities:016x}\n\
             CapEff:\t{capabilities:016x}\nCapBnd:\t{ALL_CAPABILITIES:016x}\nCapAmb:\t0000000000000000\nNoNewPrivs:\t{no_new_privileges}\nSeccomp:\t0\n"
        )
    }

    /// Signals that wait for a process's first thread alone, and those that it blocks.
    fn signals_of_leader(&self, process: ProcessIndex, pid: u32) -> (u64, u64) {
        let threads = self.posix.lanes.iter().map(|lane| self.posix.store.thread(*lane));
        let mut leader = threads.filter(|thread| thread.process as usize == process && thread.tid == pid);
        leader.next().map_or((0, 0), |thread| (thread.pending, thread.mask))
    }

    /// The set of signals whose handler is such a one.
    fn signals_with(&self, process: ProcessIndex, is_one: impl Fn(u64) -> bool) -> u64 {
        let signals = (1..=SIGNALS).filter(|signal| is_one(self.posix.store.action(process, *signal).handler));
        signals.fold(0, |set, signal| set | 1 << (signal - 1))
    }

    fn process_maps(&mut self, record: &Process) -> Result<String, Stop> {
        let mut text = String::new();
        if record.state != state::LIVE {
            return Ok(text);
        }
        for area in self.posix.store.areas(record.map as usize).0 {
            let name = self.area_name(&area)?;
            let letter = |bit: u64, letter: char| if area.flags & bit != 0 { letter } else { '-' };
            let shared = if area.flags & SHARED != 0 { 's' } else { 'p' };
            let (device, inode) = if area.flags & FILE != 0 { ("00:02", area.inode) } else { ("00:00", 0) };
            let line = format!(
                "{:08x}-{:08x} {}{}{}{shared} {:08x} {device} {inode} ",
                area.start,
                area.end,
                letter(READ, 'r'),
                letter(WRITE, 'w'),
                letter(EXEC, 'x'),
                area.offset
            );
            // A string grows as needed.
            let _infallible = if name.is_empty() { writeln!(text, "{line}") } else { writeln!(text, "{line:<73}{name}") };
        }
        Ok(text)
    }

    fn area_name(&mut self, area: &Vma) -> Result<String, Stop> {
        if area.flags & STACK != 0 {
            Ok("[stack]".into())
        } else if area.flags & HEAP != 0 {
            Ok("[heap]".into())
        } else if area.flags & VVAR != 0 {
            Ok("[vvar]".into())
        } else if area.flags & VDSO != 0 {
            Ok("[vdso]".into())
        } else if area.flags & FILE != 0 {
            let id = protocols::vfs::FileId { inode: area.inode, generation: area.generation };
            self.path_of(id).map(|path| String::from_utf8_lossy(&path).into_owned())
        } else {
            Ok(String::new())
        }
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
