//! Where tests let posix die: at each step of every system call that cannot simply be made again, and in the middle of what takes several steps.
//!
//! The failpoints of a call are `CALL.STEP`, by its name in [`table::CALLS`]; only those calls have none that [`REPEATABLE`] lists, with the reason. So a new call is
//! tested the day it is written. What is in the middle of several calls, or of none, is a [`Point`].

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::table;

libsys::failpoints! {
    /// A place that is no step of one call.
    pub enum Point {
        /// A new thread: its embryo, and that of its process and map, are recorded.
        ChildRecorded => "child.recorded",
        /// Likewise: its objects are made.
        ChildMade => "child.made",
        /// A new program: its map is recorded.
        ProgramRecorded => "program.recorded",
        /// Likewise: its space is complete.
        ProgramLoaded => "program.loaded",
        /// Bytes are in the queue of a pipe, socket or pseudo terminal, uncommitted.
        QueueFilled => "queue.filled",
        /// Bytes of such a queue are in the program's memory, and not yet used up.
        QueueEmptied => "queue.emptied",
        /// A chunk of memory is about to be bought.
        ChunkBuy => "chunk.buy",
        /// It lies in its slot.
        ChunkBought => "chunk.bought",
        /// A handler's frame is on the stack.
        SignalEffect => "signal.effect",
        /// The handler's registers are to be set.
        SignalRecord => "signal.record",
        /// An object of who has ended is memory again, and its slot is not empty yet.
        ObjectReclaimed => "object.reclaimed",
        /// The address space of who has ended is gone.
        SpaceGone => "space.gone",
        /// A chunk that no program uses is about to go back.
        ChunkReturn => "chunk.return",
        /// Its slot is empty.
        ChunkReturned => "chunk.returned",
    }
}

/// Calls whose death needs no trying, because one that was made and one that was not leave the same: why, and which. Nothing is ever committed for them; whoever runs one
/// in a debug build finds that checked.
pub const REPEATABLE: [(&str, &[&str]); 6] = [
    (
        "only tells of processes and threads",
        &[
            "getitimer",
            "getpid",
            "getrlimit",
            "getrusage",
            "times",
            "getuid",
            "getgid",
            "geteuid",
            "getegid",
            "getppid",
            "getpgrp",
            "getgroups",
            "getresuid",
            "getresgid",
            "getpgid",
            "getsid",
            "rt_sigpending",
            "getpriority",
            "sched_getparam",
            "sched_getscheduler",
            "gettid",
            "sched_getaffinity",
            "timer_gettime",
            "timer_getoverrun",
            "get_robust_list",
            "getcpu",
        ],
    ),
    (
        "only tells of the machine, its clocks and its limits; random bytes are fresh each time",
        &[
            "uname",
            "gettimeofday",
            "sysinfo",
            "statfs",
            "fstatfs",
            "sched_get_priority_max",
            "sched_get_priority_min",
            "sched_rr_get_interval",
            "time",
            "clock_gettime",
            "clock_getres",
            "getrandom",
            "membarrier",
        ],
    ),
    (
        "only tells of a file, a name or a socket",
        &[
            "stat",
            "fstat",
            "lstat",
            "access",
            "getsockname",
            "getpeername",
            "getcwd",
            "readlink",
            "getxattr",
            "lgetxattr",
            "fgetxattr",
            "listxattr",
            "llistxattr",
            "flistxattr",
            "newfstatat",
            "readlinkat",
            "faccessat",
            "timerfd_gettime",
            "statx",
            "faccessat2",
        ],
    ),
    ("reads where the call itself says, and leaves the file's offset alone", &["pread64", "preadv"]),
    (
        "makes what was written safe, or gives way or advice: done again, it does no more",
        &["sched_yield", "msync", "fsync", "fdatasync", "sync", "fadvise64", "syncfs"],
    ),
    ("is refused whatever it asks for", &["setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr", "rseq"]),
];

/// Whether [`REPEATABLE`] lists a call.
#[must_use]
pub fn is_repeatable(name: &str) -> bool {
    REPEATABLE.iter().any(|(_, names)| names.contains(&name))
}

/// The names of all failpoints of calls, by the calls' numbers.
#[must_use]
pub fn names_of_calls() -> Vec<String> {
    let calls = table::CALLS.iter().map(|entry| entry.name).filter(|name| !is_repeatable(name));
    calls.flat_map(|name| Step::ALL.map(|step| format!("{name}.{}", step.name()))).collect()
}

/// The names of all failpoints.
#[must_use]
pub fn names() -> Vec<String> {
    Point::ALL.iter().map(|point| point.name().into()).chain(names_of_calls()).collect()
}

/// A step that every call passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing was done.
    Intent,
    /// It has its result, and nothing is committed.
    Effect,
    /// Its effect and result were committed.
    Record,
    /// It was answered, or its thread set to where it goes on, or there is no thread any more.
    Reply,
}

impl Step {
    /// All of them, in their order.
    pub const ALL: [Self; 4] = [Self::Intent, Self::Effect, Self::Record, Self::Reply];

    /// What it is called behind the call's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Effect => "effect",
            Self::Record => "record",
            Self::Reply => "reply",
        }
    }
}

/// Passes the failpoint of a call.
#[inline(always)]
pub fn passed(call_number: u64, step: Step) {
    passed_after(call_number, step, || {});
}

/// Likewise; if it is the end, `last` is done before: what would follow at once, and belongs to the step.
#[inline(always)]
pub fn passed_after(call_number: u64, step: Step, last: impl FnOnce()) {
    if libsys::fail::is_armed() {
        pass(call_number, step, last);
    }
}

#[cold]
fn pass(call_number: u64, step: Step, last: impl FnOnce()) {
    if let Some(name) = table::name(call_number) {
        libsys::fail::hit_step(name, step.name(), last);
    }
}

#[cfg(test)]
mod tests {
    use super::{Point, REPEATABLE, Step, is_repeatable, names};
    use crate::table::CALLS;
    use protocols::supervisor::MAX_POINT;
    use std::collections::BTreeSet;

    #[test]
    fn every_call_has_all_four_steps_or_a_reason_to_have_none() {
        let names = names();
        for entry in CALLS {
            let steps = Step::ALL.map(|step| names.contains(&format!("{}.{}", entry.name, step.name())));
            assert_eq!(steps, [!is_repeatable(entry.name); 4], "{}", entry.name);
        }
        assert_eq!(names.len(), Point::ALL.len() + 4 * CALLS.iter().filter(|entry| !is_repeatable(entry.name)).count());
    }

    #[test]
    fn repeatable_calls_are_calls_and_are_listed_once() {
        let listed: Vec<&str> = REPEATABLE.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        assert_eq!(listed.iter().collect::<BTreeSet<_>>().len(), listed.len());
        assert_eq!(listed.iter().find(|name| CALLS.iter().all(|entry| entry.name != **name)), None);
        assert!(REPEATABLE.iter().all(|(reason, _)| !reason.is_empty()));
    }

    #[test]
    fn names_are_different_and_can_be_armed() {
        let names = names();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        assert!(names.iter().all(|name| name.len() <= MAX_POINT));
        let family = |point: &Point| point.name().split_once('.').map_or("", |(family, _)| family);
        assert!(Point::ALL.iter().all(|point| CALLS.iter().all(|entry| entry.name != family(point))));
    }
}
