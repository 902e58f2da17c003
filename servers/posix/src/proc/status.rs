//! /proc/PID/stat and /proc/PID/status: the many fields of a process, or of one of its threads. What SynOS has not is 0, as where Linux has it not.

use alloc::format;
use alloc::string::String;
use core::fmt::Write as _;

use super::pages::Pages;
use super::process::text_of;
use crate::call::Call;
use crate::place;
use crate::saved::{Lane, Process, ProcessIndex, SIGNALS, flag, slot, state};
use crate::server::Posix;
use crate::signal::IGNORE;
use crate::signal::queue::LIMIT_PENDING;
use crate::syscall::prctl::CAPABILITIES;
use crate::syscall::sched::{RESET_ON_FORK, is_real_time};

/// Words of 32 memory nodes that Debian's kernel has room for.
const NODE_WORDS: usize = 32;
const ALL_CAPABILITIES: u64 = (1 << CAPABILITIES) - 1;
/// Where `RLIMIT_RSS` stands among the limits.
const LIMIT_RESIDENT: usize = 10;
/// Fewest descriptors that Linux has room for, and the step in which the room grows.
const LEAST_ROOM: usize = 64;
const ROOM_STEP: usize = 128;
/// Signals that /proc/PID/stat tells of.
const OLD_SIGNALS: u64 = (1 << 31) - 1;

/// A process, or one of its threads, as both files need it.
struct Subject {
    process: ProcessIndex,
    record: Process,
    /// The thread; the first one if the process is meant and it has not ended.
    lane: Option<Lane>,
    /// Only the thread counts.
    is_thread: bool,
    number: u32,
    name: String,
    state: (&'static str, &'static str),
    pages: Pages,
    /// Signals for the thread alone, for all threads, and blocked.
    signals: [u64; 3],
}

impl Posix<'_> {
    /// The letter that `ps` shows for a process, and its word: what its busiest thread does.
    #[must_use]
    pub fn state_letter(&self, process: ProcessIndex) -> (&'static str, &'static str) {
        let lanes = self.lanes_of(process);
        if self.store.process(process).state == state::ZOMBIE {
            return ("Z", "zombie");
        }
        let busiest = lanes.into_iter().map(|lane| self.thread_letter(lane)).min_by_key(|(letter, _)| "RDST".find(*letter));
        busiest.unwrap_or(("R", "running"))
    }

    /// Likewise for a thread.
    #[must_use]
    fn thread_letter(&self, lane: Lane) -> (&'static str, &'static str) {
        let process = self.store.process(self.store.thread(lane).process as usize);
        if process.flags & flag::STOPPED != 0 {
            ("T", "stopped")
        } else if self.lane_runs(lane) {
            ("R", "running")
        } else if self.is_uninterruptible(lane) {
            ("D", "disk sleep")
        } else {
            ("S", "sleeping")
        }
    }
}

impl Call<'_, '_> {
    fn subject(&mut self, process: ProcessIndex, lane: Option<Lane>) -> Subject {
        let record = self.posix.store.process(process);
        let first = self.posix.find_thread(process, record.pid);
        let thread = lane.or(first).map(|lane| self.posix.store.thread(lane)).unwrap_or_default();
        Subject {
            process,
            record,
            lane: lane.or(first),
            is_thread: lane.is_some(),
            number: lane.map_or(record.pid, |_| thread.tid),
            name: text_of(&lane.map_or(record.name, |lane| self.posix.thread_name(lane))),
            state: lane.map_or_else(|| self.posix.state_letter(process), |lane| self.posix.thread_letter(lane)),
            pages: self.posix.map_pages(process),
            signals: [thread.pending, record.pending, thread.mask],
        }
    }

    /// Ticks and calls of a thread.
    fn counters(&mut self, lane: Option<Lane>) -> crate::kernel::Ticks {
        lane.and_then(|lane| self.posix.kernel.thread_state(slot::thread(lane)).ok()).map(|(ticks, _)| ticks).unwrap_or_default()
    }

    /// The set of signals whose handler is such a one.
    fn signals_with(&self, process: ProcessIndex, is_one: impl Fn(u64) -> bool) -> u64 {
        let signals = (1..=SIGNALS).filter(|signal| is_one(self.posix.store.action(process, *signal).handler));
        signals.fold(0, |set, signal| set | 1 << (signal - 1))
    }

    pub(super) fn stat_text(&mut self, process: ProcessIndex, lane: Option<Lane>) -> String {
        let about = self.subject(process, lane);
        let (record, pages) = (about.record, about.pages);
        let hz = (self.posix.kernel.ticks_per_second() / 100).max(1);
        let own = self.counters(about.lane);
        let ticks = if about.is_thread { [own.user, own.system] } else { self.posix.process_ticks(process) };
        let [user, system] = ticks.map(|ticks| ticks / hz);
        let [child_user, child_system] = record.child_ticks.map(|ticks| ticks / hz);
        let terminal = record.terminal as usize;
        let (device, foreground) = match terminal {
            0 => (0, -1),
            _ => (crate::tty::device_of(record.terminal), i64::from(self.posix.store.terminal(terminal).foreground)),
        };
        let map = self.posix.store.map(record.map as usize);
        let [pending, shared, blocked] = about.signals.map(|set| set & OLD_SIGNALS);
        let ignored = self.signals_with(process, |handler| handler == IGNORE) & OLD_SIGNALS;
        let caught = self.signals_with(process, |handler| handler > IGNORE) & OLD_SIGNALS;
        let nice = i64::from(record.nice) - 20;
        let thread = about.lane.map(|lane| self.posix.store.thread(lane)).unwrap_or_default();
        let priority = if is_real_time(thread.policy) { -1 - i64::from(thread.static_priority) } else { nice + 20 };
        let faults = self.posix.faults.get(process).copied().unwrap_or_default();
        let mut text = format!("{} ({}) {} {}", about.number, about.name, about.state.0, self.posix.pid_of_parent(process));
        // A string grows as needed, here and below.
        let _infallible = write!(
            text,
            " {} {} {device} {foreground} 0 {faults} 0 0 0 {user} {system} {child_user} {child_system} {} {nice} {} 0 {} {} {} {}",
            record.group,
            record.session,
            priority,
            record.lanes.max(1),
            record.started_ns / 10_000_000,
            pages.total * crate::vma::PAGE,
            pages.resident(),
            record.limits[LIMIT_RESIDENT],
        );
        let [[code, code_end], [data, data_end]] = [pages.code, pages.initialised];
        let _infallible = write!(text, " {code} {code_end} {} 0 0 {} {blocked} {ignored} {caught} 0 0 0", map.stack, pending | shared);
        let _infallible = writeln!(
            text,
            " {} {} {} {} 0 0 0 {data} {data_end} {} {} {} {} {} {}",
            if about.is_thread { u32::MAX as i32 } else { record.exit_signal as i32 },
            self.posix.processor_of(about.lane.unwrap_or_default()),
            thread.static_priority,
            thread.policy & !RESET_ON_FORK,
            map.heap_start,
            map.arguments[0],
            map.arguments[1],
            map.environment[0],
            map.environment[1],
            record.status
        );
        text
    }

    pub(super) fn status_text(&mut self, process: ProcessIndex, lane: Option<Lane>) -> String {
        let about = self.subject(process, lane);
        let mut text = String::new();
        self.write_identity(&mut text, &about);
        if about.record.state == state::LIVE {
            write_memory(&mut text, &about.pages);
        }
        self.write_signals(&mut text, &about);
        self.write_rights(&mut text, &about);
        text
    }

    fn write_identity(&self, text: &mut String, about: &Subject) {
        let Subject { record, number, name, state: (letter, word), .. } = about;
        let Process { pid, umask, group, session, .. } = *record;
        let ids = |ids: [u32; 4]| format!("{}\t{}\t{}\t{}", ids[0], ids[1], ids[2], ids[3]);
        let (uids, gids) = (ids(record.uid), ids(record.gid));
        let parent = self.posix.pid_of_parent(about.process);
        let room = room_for(self.posix.descriptors(about.process).last().copied());
        let groups = record.groups.iter().take(record.group_count as usize);
        let groups = groups.fold(String::new(), |text, group| text + &format!("{group} "));
        let _infallible = write!(
            text,
            "Name:\t{name}\nUmask:\t{umask:04o}\nState:\t{letter} ({word})\nTgid:\t{pid}\nNgid:\t0\nPid:\t{number}\nPPid:\t{parent}\n\
             TracerPid:\t0\nUid:\t{uids}\nGid:\t{gids}\nFDSize:\t{room}\nGroups:\t{groups:1}\nNStgid:\t{pid}\nNSpid:\t{number}\n\
             NSpgid:\t{group}\nNSsid:\t{session}\n"
        );
    }

    fn write_signals(&self, text: &mut String, about: &Subject) {
        let [pending, shared, blocked] = about.signals;
        let queued = self.posix.waiting_signals(about.record.uid[0]);
        let ignored = self.signals_with(about.process, |handler| handler == IGNORE);
        let caught = self.signals_with(about.process, |handler| handler > IGNORE);
        let _infallible = write!(
            text,
            "CoreDumping:\t0\nTHP_enabled:\t0\nThreads:\t{}\nSigQ:\t{queued}/{}\nSigPnd:\t{pending:016x}\nShdPnd:\t{shared:016x}\n\
             SigBlk:\t{blocked:016x}\nSigIgn:\t{ignored:016x}\nSigCgt:\t{caught:016x}\n",
            about.record.lanes.max(1),
            about.record.limits[LIMIT_PENDING],
        );
    }

    fn write_rights(&mut self, text: &mut String, about: &Subject) {
        let capabilities = if about.record.uid[1] == 0 { ALL_CAPABILITIES } else { 0 };
        let no_new_privileges = u32::from(about.record.flags & flag::NO_NEW_PRIVILEGES != 0);
        // Each call is a switch to posix and back; how often a thread had to yield is not counted.
        let switches = self.counters(about.lane).calls;
        let set = self.posix.affinity(about.lane.unwrap_or_default());
        let list = place::list(set);
        let other_nodes = "00000000,".repeat(NODE_WORDS - 1);
        let _infallible = write!(
            text,
            "CapInh:\t0000000000000000\nCapPrm:\t{capabilities:016x}\nCapEff:\t{capabilities:016x}\nCapBnd:\t{ALL_CAPABILITIES:016x}\n\
             CapAmb:\t0000000000000000\nNoNewPrivs:\t{no_new_privileges}\nSeccomp:\t0\nSeccomp_filters:\t0\n\
             Speculation_Store_Bypass:\tunknown\nSpeculationIndirectBranch:\tunknown\nCpus_allowed:\t{set:x}\nCpus_allowed_list:\t{list}\n\
             Mems_allowed:\t{other_nodes}00000001\nMems_allowed_list:\t0\nvoluntary_ctxt_switches:\t{switches}\nnonvoluntary_ctxt_switches:\t0\n"
        );
    }
}

/// Lines of memory, in kB.
fn write_memory(text: &mut String, pages: &Pages) {
    let lines = [
        ("VmPeak", pages.peak.max(pages.total)),
        ("VmSize", pages.total),
        ("VmLck", 0),
        ("VmPin", 0),
        // The most that was ever there is not kept: at least what is there now.
        ("VmHWM", pages.resident()),
        ("VmRSS", pages.resident()),
        ("RssAnon", pages.anonymous),
        ("RssFile", pages.file),
        ("RssShmem", pages.shared),
        ("VmData", pages.data),
        ("VmStk", pages.stack),
        ("VmExe", pages.text()),
        ("VmLib", pages.libraries),
        ("VmPTE", pages.tables),
        ("VmSwap", 0),
        ("HugetlbPages", 0),
    ];
    for (name, pages) in lines {
        let _infallible = writeln!(text, "{name}:\t{:>8} kB", pages * 4);
    }
}

/// For how many descriptors Linux would have room if this were the highest.
fn room_for(highest: Option<usize>) -> usize {
    match highest {
        Some(highest) if highest >= LEAST_ROOM => (highest / ROOM_STEP + 1).next_power_of_two() * ROOM_STEP,
        _ => LEAST_ROOM,
    }
}

#[cfg(test)]
mod tests {
    use super::room_for;

    #[test]
    fn room_for_descriptors_grows_as_that_of_linux() {
        let rooms = [None, Some(63), Some(64), Some(127), Some(128), Some(300), Some(1023)].map(room_for);
        assert_eq!(rooms, [64, 64, 128, 128, 256, 512, 1024]);
    }
}
