//! The table of system calls: numbers, names, kinds of arguments, functions. Data, so that tests can be made from it.
//!
//! Numbers and names are Linux's for x86_64 (`arch/x86/entry/syscalls/syscall_64.tbl`). A call that is not here is `ENOSYS`, and is counted.

use Kind::{Address, Both, Descriptor, Directory, Flags, Input, Length, Long, Output, Path, Process, Signal, Size, Value};

use abi::call_sum;

use crate::call::{Call, SysResult};
use crate::errno::Errno;
use crate::saved::COUNTED_CALLS;
use crate::syscall::{
    access, affinity, attributes, close, copy_file_range, directory, dup, epoll, execve, exit, fallocate, fcntl, fork, futex, getdents64, ids, ioctl,
    itimer, kill, limits, lock, lseek, memfd_create, message, misc, mmap, names, open, pidfd, pipe, poll, prctl, read, readlink, readv, rt_sigaction,
    sched, sendfile, signalfd, socket, sockopt, stat, statfs, sync, time, timer, timerfd, uname, wait4, write, xattr,
};

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A descriptor.
    Descriptor,
    /// A descriptor of a directory, or the working directory.
    Directory,
    /// Pointer to a path or name.
    Path,
    /// Pointer that is read through.
    Input,
    /// Pointer that is written through.
    Output,
    /// Pointer that is read and written through, depending on another argument.
    Both,
    /// An address that is not followed.
    Address,
    /// A length or count.
    Length,
    /// Size of a structure, of which only some values are valid.
    Size,
    /// Bits or a small set of values.
    Flags,
    /// A signal.
    Signal,
    /// A process, thread or group.
    Process,
    /// Anything else of 32 bits.
    Value,
    /// Anything else of 64 bits.
    Long,
}

impl Kind {
    /// What of a register is the argument: Linux declares most of them as `int` or `unsigned int`, and whatever is above is not looked at.
    const fn is_half(self) -> bool {
        match self {
            Self::Descriptor | Self::Directory | Self::Flags | Self::Signal | Self::Process | Self::Value => true,
            Self::Path | Self::Input | Self::Output | Self::Both | Self::Address | Self::Length | Self::Size | Self::Long => false,
        }
    }
}

/// A system call.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Linux's number.
    pub number: u16,
    /// Linux's name.
    pub name: &'static str,
    /// Its arguments.
    pub kinds: &'static [Kind],
    run: fn(&mut Call<'_, '_>) -> SysResult,
    /// Bit `i`: only the low half of argument `i` counts.
    halves: u8,
}

const fn entry(number: u16, name: &'static str, run: fn(&mut Call<'_, '_>) -> SysResult, kinds: &'static [Kind]) -> Entry {
    let mut halves = 0;
    let mut index = 0;
    while index < kinds.len() {
        halves |= (kinds[index].is_half() as u8) << index;
        index += 1;
    }
    Entry { number, name, kinds, run, halves }
}

/// Where each number's entry is in [`CALLS`], one more than its index; 0: there is none.
static PLACES: [u16; COUNTED_CALLS] = {
    let mut places = [0; COUNTED_CALLS];
    let mut index = 0;
    while index < CALLS.len() {
        index += 1;
        places[CALLS[index - 1].number as usize] = index as u16;
    }
    places
};

/// All calls, by rising number.
pub const CALLS: &[Entry] = &[
    entry(0, "read", read::sys_read, &[Descriptor, Output, Length]),
    entry(1, "write", write::sys_write, &[Descriptor, Input, Length]),
    entry(2, "open", open::sys_open, &[Path, Flags, Value]),
    entry(3, "close", close::sys_close, &[Descriptor]),
    entry(4, "stat", stat::sys_stat, &[Path, Output]),
    entry(5, "fstat", stat::sys_fstat, &[Descriptor, Output]),
    entry(6, "lstat", stat::sys_lstat, &[Path, Output]),
    entry(7, "poll", poll::sys_poll, &[Both, Length, Value]),
    entry(8, "lseek", lseek::sys_lseek, &[Descriptor, Long, Value]),
    entry(9, "mmap", mmap::sys_mmap, &[Address, Length, Flags, Flags, Descriptor, Long]),
    entry(10, "mprotect", mmap::sys_mprotect, &[Address, Length, Long]),
    entry(11, "munmap", mmap::sys_munmap, &[Address, Length]),
    entry(12, "brk", mmap::sys_brk, &[Address]),
    entry(13, "rt_sigaction", rt_sigaction::sys_rt_sigaction, &[Signal, Input, Output, Size]),
    entry(14, "rt_sigprocmask", rt_sigaction::sys_rt_sigprocmask, &[Value, Input, Output, Size]),
    entry(15, "rt_sigreturn", rt_sigaction::sys_rt_sigreturn, &[]),
    entry(16, "ioctl", ioctl::sys_ioctl, &[Descriptor, Value, Both]),
    entry(17, "pread64", read::sys_pread64, &[Descriptor, Output, Length, Long]),
    entry(18, "pwrite64", write::sys_pwrite64, &[Descriptor, Input, Length, Long]),
    entry(19, "readv", readv::sys_readv, &[Descriptor, Input, Length]),
    entry(20, "writev", readv::sys_writev, &[Descriptor, Input, Length]),
    entry(21, "access", access::sys_access, &[Path, Flags]),
    entry(22, "pipe", pipe::sys_pipe, &[Output]),
    entry(23, "select", poll::sys_select, &[Value, Both, Both, Both, Both]),
    entry(24, "sched_yield", misc::sys_sched_yield, &[]),
    entry(25, "mremap", mmap::sys_mremap, &[Address, Length, Length, Long, Address]),
    entry(26, "msync", sync::sys_msync, &[Address, Length, Flags]),
    entry(28, "madvise", mmap::sys_madvise, &[Address, Length, Value]),
    entry(32, "dup", dup::sys_dup, &[Descriptor]),
    entry(33, "dup2", dup::sys_dup2, &[Descriptor, Descriptor]),
    entry(34, "pause", rt_sigaction::sys_pause, &[]),
    entry(35, "nanosleep", time::sys_nanosleep, &[Input, Output]),
    entry(36, "getitimer", itimer::sys_getitimer, &[Value, Output]),
    entry(37, "alarm", itimer::sys_alarm, &[Value]),
    entry(38, "setitimer", itimer::sys_setitimer, &[Value, Input, Output]),
    entry(39, "getpid", ids::sys_identity, &[]),
    entry(40, "sendfile", sendfile::sys_sendfile, &[Descriptor, Descriptor, Both, Length]),
    entry(41, "socket", socket::sys_socket, &[Value, Value, Value]),
    entry(42, "connect", socket::sys_connect, &[Descriptor, Input, Value]),
    entry(43, "accept", socket::sys_accept, &[Descriptor, Output, Both]),
    entry(44, "sendto", message::sys_sendto, &[Descriptor, Input, Length, Flags, Input, Value]),
    entry(45, "recvfrom", message::sys_recvfrom, &[Descriptor, Output, Length, Flags, Output, Both]),
    entry(46, "sendmsg", message::sys_sendmsg, &[Descriptor, Input, Flags]),
    entry(47, "recvmsg", message::sys_recvmsg, &[Descriptor, Both, Flags]),
    entry(48, "shutdown", socket::sys_shutdown, &[Descriptor, Value]),
    entry(49, "bind", socket::sys_bind, &[Descriptor, Input, Value]),
    entry(50, "listen", socket::sys_listen, &[Descriptor, Value]),
    entry(51, "getsockname", socket::sys_getsockname, &[Descriptor, Output, Both]),
    entry(52, "getpeername", socket::sys_getpeername, &[Descriptor, Output, Both]),
    entry(53, "socketpair", socket::sys_socketpair, &[Value, Value, Value, Output]),
    entry(54, "setsockopt", sockopt::sys_setsockopt, &[Descriptor, Value, Value, Input, Value]),
    entry(55, "getsockopt", sockopt::sys_getsockopt, &[Descriptor, Value, Value, Output, Both]),
    entry(56, "clone", fork::sys_clone, &[Flags, Address, Output, Output, Address]),
    entry(57, "fork", fork::sys_fork, &[]),
    entry(58, "vfork", fork::sys_vfork, &[]),
    entry(59, "execve", execve::sys_execve, &[Path, Input, Input]),
    entry(60, "exit", exit::sys_exit, &[Value]),
    entry(61, "wait4", wait4::sys_wait4, &[Process, Output, Flags, Output]),
    entry(62, "kill", kill::sys_kill, &[Process, Signal]),
    entry(63, "uname", uname::sys_uname, &[Output]),
    entry(72, "fcntl", fcntl::sys_fcntl, &[Descriptor, Value, Both]),
    entry(73, "flock", lock::sys_flock, &[Descriptor, Flags]),
    entry(74, "fsync", sync::sys_fsync, &[Descriptor]),
    entry(75, "fdatasync", sync::sys_fsync, &[Descriptor]),
    entry(76, "truncate", attributes::sys_truncate, &[Path, Length]),
    entry(77, "ftruncate", attributes::sys_ftruncate, &[Descriptor, Length]),
    entry(79, "getcwd", directory::sys_getcwd, &[Output, Length]),
    entry(80, "chdir", directory::sys_chdir, &[Path]),
    entry(81, "fchdir", directory::sys_fchdir, &[Descriptor]),
    entry(82, "rename", names::sys_rename, &[Path, Path]),
    entry(83, "mkdir", names::sys_mkdir, &[Path, Value]),
    entry(84, "rmdir", names::sys_rmdir, &[Path]),
    entry(85, "creat", open::sys_creat, &[Path, Value]),
    entry(86, "link", names::sys_link, &[Path, Path]),
    entry(87, "unlink", names::sys_unlink, &[Path]),
    entry(88, "symlink", names::sys_symlink, &[Path, Path]),
    entry(89, "readlink", readlink::sys_readlink, &[Path, Output, Length]),
    entry(90, "chmod", attributes::sys_chmod, &[Path, Value]),
    entry(91, "fchmod", attributes::sys_fchmod, &[Descriptor, Value]),
    entry(92, "chown", attributes::sys_chown, &[Path, Value, Value]),
    entry(93, "fchown", attributes::sys_fchown, &[Descriptor, Value, Value]),
    entry(94, "lchown", attributes::sys_lchown, &[Path, Value, Value]),
    entry(95, "umask", attributes::sys_umask, &[Value]),
    entry(96, "gettimeofday", time::sys_gettimeofday, &[Output, Output]),
    entry(97, "getrlimit", limits::sys_getrlimit, &[Value, Output]),
    entry(98, "getrusage", time::sys_getrusage, &[Value, Output]),
    entry(99, "sysinfo", uname::sys_sysinfo, &[Output]),
    entry(100, "times", time::sys_times, &[Output]),
    entry(102, "getuid", ids::sys_identity, &[]),
    entry(104, "getgid", ids::sys_identity, &[]),
    entry(105, "setuid", ids::sys_setuid, &[Value]),
    entry(106, "setgid", ids::sys_setgid, &[Value]),
    entry(107, "geteuid", ids::sys_identity, &[]),
    entry(108, "getegid", ids::sys_identity, &[]),
    entry(109, "setpgid", ids::sys_setpgid, &[Process, Process]),
    entry(110, "getppid", ids::sys_identity, &[]),
    entry(111, "getpgrp", ids::sys_identity, &[]),
    entry(112, "setsid", ids::sys_setsid, &[]),
    entry(113, "setreuid", ids::sys_setreuid, &[Value, Value]),
    entry(114, "setregid", ids::sys_setregid, &[Value, Value]),
    entry(115, "getgroups", ids::sys_getgroups, &[Length, Output]),
    entry(116, "setgroups", ids::sys_setgroups, &[Length, Input]),
    entry(117, "setresuid", ids::sys_setresuid, &[Value, Value, Value]),
    entry(118, "getresuid", ids::sys_getresuid, &[Output, Output, Output]),
    entry(119, "setresgid", ids::sys_setresgid, &[Value, Value, Value]),
    entry(120, "getresgid", ids::sys_getresgid, &[Output, Output, Output]),
    entry(121, "getpgid", ids::sys_getpgid, &[Process]),
    entry(122, "setfsuid", ids::sys_setfsuid, &[Value]),
    entry(123, "setfsgid", ids::sys_setfsgid, &[Value]),
    entry(124, "getsid", ids::sys_getsid, &[Process]),
    entry(127, "rt_sigpending", rt_sigaction::sys_rt_sigpending, &[Output, Size]),
    entry(128, "rt_sigtimedwait", rt_sigaction::sys_rt_sigtimedwait, &[Input, Output, Input, Size]),
    entry(129, "rt_sigqueueinfo", kill::sys_rt_sigqueueinfo, &[Process, Signal, Input]),
    entry(130, "rt_sigsuspend", rt_sigaction::sys_rt_sigsuspend, &[Input, Size]),
    entry(131, "sigaltstack", rt_sigaction::sys_sigaltstack, &[Input, Output]),
    entry(132, "utime", attributes::sys_utime, &[Path, Input]),
    entry(133, "mknod", names::sys_mknod, &[Path, Value, Value]),
    entry(135, "personality", prctl::sys_personality, &[Flags]),
    entry(137, "statfs", statfs::sys_statfs, &[Path, Output]),
    entry(138, "fstatfs", statfs::sys_fstatfs, &[Descriptor, Output]),
    entry(140, "getpriority", limits::sys_getpriority, &[Value, Process]),
    entry(141, "setpriority", limits::sys_setpriority, &[Value, Process, Value]),
    entry(142, "sched_setparam", sched::sys_sched_setparam, &[Process, Input]),
    entry(143, "sched_getparam", sched::sys_sched_getparam, &[Process, Output]),
    entry(144, "sched_setscheduler", sched::sys_sched_setscheduler, &[Process, Value, Input]),
    entry(145, "sched_getscheduler", sched::sys_sched_getscheduler, &[Process]),
    entry(146, "sched_get_priority_max", sched::sys_sched_get_priority_max, &[Value]),
    entry(147, "sched_get_priority_min", sched::sys_sched_get_priority_min, &[Value]),
    entry(148, "sched_rr_get_interval", sched::sys_sched_rr_get_interval, &[Process, Output]),
    entry(157, "prctl", prctl::sys_prctl, &[Value, Both]),
    entry(158, "arch_prctl", prctl::sys_arch_prctl, &[Value, Both]),
    entry(160, "setrlimit", limits::sys_setrlimit, &[Value, Input]),
    entry(161, "chroot", directory::sys_chroot, &[Path]),
    entry(162, "sync", sync::sys_sync, &[]),
    entry(164, "settimeofday", time::sys_settimeofday, &[Input, Input]),
    entry(170, "sethostname", uname::sys_sethostname, &[Input, Length]),
    entry(171, "setdomainname", uname::sys_setdomainname, &[Input, Length]),
    entry(186, "gettid", ids::sys_identity, &[]),
    entry(188, "setxattr", xattr::sys_setxattr, &[Path, Path, Input, Size, Flags]),
    entry(189, "lsetxattr", xattr::sys_lsetxattr, &[Path, Path, Input, Size, Flags]),
    entry(190, "fsetxattr", xattr::sys_fsetxattr, &[Descriptor, Path, Input, Size, Flags]),
    entry(191, "getxattr", xattr::sys_getxattr, &[Path, Path, Output, Length]),
    entry(192, "lgetxattr", xattr::sys_lgetxattr, &[Path, Path, Output, Length]),
    entry(193, "fgetxattr", xattr::sys_fgetxattr, &[Descriptor, Path, Output, Length]),
    entry(194, "listxattr", xattr::sys_listxattr, &[Path, Output, Length]),
    entry(195, "llistxattr", xattr::sys_llistxattr, &[Path, Output, Length]),
    entry(196, "flistxattr", xattr::sys_flistxattr, &[Descriptor, Output, Length]),
    entry(197, "removexattr", xattr::sys_removexattr, &[Path, Path]),
    entry(198, "lremovexattr", xattr::sys_lremovexattr, &[Path, Path]),
    entry(199, "fremovexattr", xattr::sys_fremovexattr, &[Descriptor, Path]),
    entry(200, "tkill", kill::sys_tkill, &[Process, Signal]),
    entry(201, "time", time::sys_time, &[Output]),
    entry(202, "futex", futex::sys_futex, &[Both, Value, Value, Input, Both, Value]),
    entry(203, "sched_setaffinity", affinity::sys_sched_setaffinity, &[Process, Length, Input]),
    entry(204, "sched_getaffinity", affinity::sys_sched_getaffinity, &[Process, Length, Output]),
    entry(213, "epoll_create", epoll::sys_epoll_create, &[Value]),
    entry(217, "getdents64", getdents64::sys_getdents64, &[Descriptor, Output, Length]),
    entry(218, "set_tid_address", ids::sys_set_tid_address, &[Address]),
    entry(221, "fadvise64", misc::sys_fadvise64, &[Descriptor, Long, Length, Value]),
    entry(222, "timer_create", timer::sys_timer_create, &[Value, Input, Output]),
    entry(223, "timer_settime", timer::sys_timer_settime, &[Value, Flags, Input, Output]),
    entry(224, "timer_gettime", timer::sys_timer_gettime, &[Value, Output]),
    entry(225, "timer_getoverrun", timer::sys_timer_getoverrun, &[Value]),
    entry(226, "timer_delete", timer::sys_timer_delete, &[Value]),
    entry(227, "clock_settime", time::sys_clock_settime, &[Value, Input]),
    entry(228, "clock_gettime", time::sys_clock_gettime, &[Value, Output]),
    entry(229, "clock_getres", time::sys_clock_getres, &[Value, Output]),
    entry(230, "clock_nanosleep", time::sys_clock_nanosleep, &[Value, Flags, Input, Output]),
    entry(231, "exit_group", exit::sys_exit_group, &[Value]),
    entry(232, "epoll_wait", epoll::sys_epoll_wait, &[Descriptor, Output, Value, Value]),
    entry(233, "epoll_ctl", epoll::sys_epoll_ctl, &[Descriptor, Value, Descriptor, Input]),
    entry(234, "tgkill", kill::sys_tgkill, &[Process, Process, Signal]),
    entry(235, "utimes", attributes::sys_utimes, &[Path, Input]),
    entry(247, "waitid", wait4::sys_waitid, &[Value, Process, Output, Flags, Output]),
    entry(257, "openat", open::sys_openat, &[Directory, Path, Flags, Value]),
    entry(258, "mkdirat", names::sys_mkdirat, &[Directory, Path, Value]),
    entry(259, "mknodat", names::sys_mknodat, &[Directory, Path, Value, Value]),
    entry(260, "fchownat", attributes::sys_fchownat, &[Directory, Path, Value, Value, Flags]),
    entry(261, "futimesat", attributes::sys_futimesat, &[Directory, Path, Input]),
    entry(262, "newfstatat", stat::sys_newfstatat, &[Directory, Path, Output, Flags]),
    entry(263, "unlinkat", names::sys_unlinkat, &[Directory, Path, Flags]),
    entry(264, "renameat", names::sys_renameat, &[Directory, Path, Directory, Path]),
    entry(265, "linkat", names::sys_linkat, &[Directory, Path, Directory, Path, Flags]),
    entry(266, "symlinkat", names::sys_symlinkat, &[Path, Directory, Path]),
    entry(267, "readlinkat", readlink::sys_readlinkat, &[Directory, Path, Output, Length]),
    entry(268, "fchmodat", attributes::sys_fchmodat, &[Directory, Path, Value]),
    entry(269, "faccessat", access::sys_faccessat, &[Directory, Path, Flags]),
    entry(270, "pselect6", poll::sys_pselect6, &[Value, Both, Both, Both, Input, Input]),
    entry(271, "ppoll", poll::sys_ppoll, &[Both, Length, Input, Input, Size]),
    entry(273, "set_robust_list", misc::sys_set_robust_list, &[Address, Size]),
    entry(274, "get_robust_list", misc::sys_get_robust_list, &[Process, Output, Output]),
    entry(280, "utimensat", attributes::sys_utimensat, &[Directory, Path, Input, Flags]),
    entry(281, "epoll_pwait", epoll::sys_epoll_pwait, &[Descriptor, Output, Value, Value, Input, Size]),
    entry(282, "signalfd", signalfd::sys_signalfd, &[Descriptor, Input, Size]),
    entry(283, "timerfd_create", timerfd::sys_timerfd_create, &[Value, Flags]),
    entry(284, "eventfd", misc::sys_eventfd, &[Value]),
    entry(285, "fallocate", fallocate::sys_fallocate, &[Descriptor, Flags, Long, Length]),
    entry(286, "timerfd_settime", timerfd::sys_timerfd_settime, &[Descriptor, Flags, Input, Output]),
    entry(287, "timerfd_gettime", timerfd::sys_timerfd_gettime, &[Descriptor, Output]),
    entry(288, "accept4", socket::sys_accept4, &[Descriptor, Output, Both, Flags]),
    entry(289, "signalfd4", signalfd::sys_signalfd4, &[Descriptor, Input, Size, Flags]),
    entry(290, "eventfd2", misc::sys_eventfd2, &[Value, Flags]),
    entry(291, "epoll_create1", epoll::sys_epoll_create1, &[Flags]),
    entry(292, "dup3", dup::sys_dup3, &[Descriptor, Descriptor, Flags]),
    entry(293, "pipe2", pipe::sys_pipe2, &[Output, Flags]),
    entry(295, "preadv", readv::sys_preadv, &[Descriptor, Input, Length, Long, Long]),
    entry(296, "pwritev", readv::sys_pwritev, &[Descriptor, Input, Length, Long, Long]),
    entry(297, "rt_tgsigqueueinfo", kill::sys_rt_tgsigqueueinfo, &[Process, Process, Signal, Input]),
    entry(302, "prlimit64", limits::sys_prlimit64, &[Process, Value, Input, Output]),
    entry(306, "syncfs", sync::sys_fsync, &[Descriptor]),
    entry(309, "getcpu", affinity::sys_getcpu, &[Output, Output, Address]),
    entry(316, "renameat2", names::sys_renameat2, &[Directory, Path, Directory, Path, Flags]),
    entry(318, "getrandom", misc::sys_getrandom, &[Output, Length, Flags]),
    entry(319, "memfd_create", memfd_create::sys_memfd_create, &[Path, Flags]),
    entry(322, "execveat", execve::sys_execveat, &[Directory, Path, Input, Input, Flags]),
    entry(324, "membarrier", misc::sys_membarrier, &[Value, Flags, Value]),
    entry(326, "copy_file_range", copy_file_range::sys_copy_file_range, &[Descriptor, Both, Descriptor, Both, Length, Flags]),
    entry(327, "preadv2", readv::sys_preadv2, &[Descriptor, Input, Length, Long, Long, Flags]),
    entry(328, "pwritev2", readv::sys_pwritev2, &[Descriptor, Input, Length, Long, Long, Flags]),
    entry(332, "statx", stat::sys_statx, &[Directory, Path, Flags, Flags, Output]),
    entry(334, "rseq", misc::sys_rseq, &[Address, Size, Flags, Value]),
    entry(424, "pidfd_send_signal", pidfd::sys_pidfd_send_signal, &[Descriptor, Signal, Input, Flags]),
    entry(434, "pidfd_open", pidfd::sys_pidfd_open, &[Process, Flags]),
    entry(435, "clone3", fork::sys_clone3, &[Input, Size]),
    entry(436, "close_range", close::sys_close_range, &[Descriptor, Descriptor, Flags]),
    entry(437, "openat2", open::sys_openat2, &[Directory, Path, Input, Size]),
    entry(439, "faccessat2", access::sys_faccessat2, &[Directory, Path, Flags, Flags]),
    entry(441, "epoll_pwait2", epoll::sys_epoll_pwait2, &[Descriptor, Output, Value, Input, Input, Size]),
];

/// A call's entry.
#[inline]
fn find(number: u64) -> Option<&'static Entry> {
    let place = usize::try_from(number).ok().and_then(|number| PLACES.get(number)).copied().unwrap_or(0);
    CALLS.get(usize::from(place).wrapping_sub(1))
}

/// Runs a call.
///
/// # Errors
/// Its own; `ENOSYS` for one that is not in the table.
pub fn dispatch(call: &mut Call<'_, '_>) -> SysResult {
    match find(call.call_number) {
        Some(entry) => {
            for (index, argument) in call.arguments.iter_mut().enumerate() {
                if entry.halves >> index & 1 != 0 {
                    *argument &= 0xffff_ffff;
                }
            }
            call.sum = call_sum(call.number, call.call_number, call.arguments);
            (entry.run)(call)
        }
        None => {
            call.posix.store.count_unknown(usize::try_from(call.call_number).unwrap_or(usize::MAX));
            Err(Errno::ENOSYS.into())
        }
    }
}

/// The name of a call, if it is in the table.
#[must_use]
pub fn name(number: u64) -> Option<&'static str> {
    find(number).map(|entry| entry.name)
}

#[cfg(test)]
mod tests {
    use super::CALLS;

    #[test]
    fn table_is_sorted_and_names_are_unique() {
        assert!(CALLS.windows(2).all(|pair| pair[0].number < pair[1].number));
        let names: std::collections::BTreeSet<_> = CALLS.iter().map(|entry| entry.name).collect();
        assert_eq!(names.len(), CALLS.len());
        assert!(CALLS.iter().all(|entry| entry.kinds.len() <= 6));
    }

    #[test]
    fn coverage_file_lists_exactly_the_table() {
        let text = include_str!("../coverage.toml");
        let listed: Vec<(u16, &str)> = text
            .lines()
            .filter_map(|line| line.strip_prefix("[call."))
            .map(|name| name.trim_end_matches(']'))
            .zip(text.lines().filter_map(|line| line.strip_prefix("number = ")).map(|number| number.parse().unwrap()))
            .map(|(name, number)| (number, name))
            .collect();
        let known: Vec<(u16, &str)> = CALLS.iter().map(|entry| (entry.number, entry.name)).collect();
        assert_eq!(listed, known);
    }
}
