//! Where tests let posix die: around the effect of every operation that cannot simply be done again.

libsys::failpoints! {
    /// See the module; `intent` is before the first change, `effect` after the change of kernel objects or of another server, `record` after the commit, `reply`
    /// after the answer.
    pub enum Point {
        /// fork: embryos are recorded.
        ForkIntent => "fork.intent",
        /// fork: objects are made.
        ForkEffect => "fork.effect",
        /// fork: the child lives.
        ForkRecord => "fork.record",
        /// fork: the parent was answered.
        ForkReply => "fork.reply",
        /// execve: the new map is recorded.
        ExecIntent => "exec.intent",
        /// execve: the new space is complete.
        ExecEffect => "exec.effect",
        /// execve: the process has its new program.
        ExecRecord => "exec.record",
        /// exit: before anything.
        ExitIntent => "exit.intent",
        /// exit: the process is a zombie.
        ExitRecord => "exit.record",
        /// exit: an object is memory again, and its slot is not empty yet.
        ExitEffect => "exit.effect",
        /// exit: its objects are gone.
        ExitReply => "exit.reply",
        /// Write to a pipe, socket or pseudo terminal: before anything.
        WriteIntent => "write.intent",
        /// Likewise: the bytes are in their queue, uncommitted.
        WriteEffect => "write.effect",
        /// Likewise: committed.
        WriteRecord => "write.record",
        /// Likewise: answered.
        WriteReply => "write.reply",
        /// Read from a pipe, socket or pseudo terminal: the bytes are in the program's memory.
        ReadEffect => "read.effect",
        /// Likewise: committed.
        ReadRecord => "read.record",
        /// wait4: the child's status is in the program's memory.
        WaitEffect => "wait.effect",
        /// wait4: the child is forgotten.
        WaitRecord => "wait.record",
        /// A chunk of memory is about to be bought.
        ChunkBuy => "chunk.buy",
        /// It lies in its slot.
        ChunkBought => "chunk.bought",
        /// A chunk that no program uses is about to go back.
        ChunkReturn => "chunk.return",
        /// Its slot is empty.
        ChunkReturned => "chunk.returned",
        /// A handler's frame is on the stack.
        SignalEffect => "signal.effect",
        /// The handler's registers are to be set.
        SignalRecord => "signal.record",
        /// A call that makes, doubles or ends descriptors: before anything.
        DescriptorIntent => "descriptor.intent",
        /// Likewise: all is done, and uncommitted here.
        DescriptorEffect => "descriptor.effect",
        /// Likewise: committed.
        DescriptorRecord => "descriptor.record",
        /// Likewise: answered.
        DescriptorReply => "descriptor.reply",
        /// A call that changes the map of memory: before anything.
        MapIntent => "map.intent",
        /// Likewise: all is done, and uncommitted here.
        MapEffect => "map.effect",
        /// Likewise: committed.
        MapRecord => "map.record",
        /// Likewise: answered.
        MapReply => "map.reply",
        /// A call on the own signals: before anything.
        MaskIntent => "mask.intent",
        /// Likewise: all is done, and uncommitted here.
        MaskEffect => "mask.effect",
        /// Likewise: committed.
        MaskRecord => "mask.record",
        /// Likewise: answered.
        MaskReply => "mask.reply",
        /// A call that sends a signal: before anything.
        KillIntent => "kill.intent",
        /// Likewise: all is done, and uncommitted here.
        KillEffect => "kill.effect",
        /// Likewise: committed.
        KillRecord => "kill.record",
        /// Likewise: answered.
        KillReply => "kill.reply",
        /// A call on a socket's connection: before anything.
        ConnectionIntent => "connection.intent",
        /// Likewise: all is done, and uncommitted here.
        ConnectionEffect => "connection.effect",
        /// Likewise: committed.
        ConnectionRecord => "connection.record",
        /// Likewise: answered.
        ConnectionReply => "connection.reply",
        /// A call of epoll: before anything.
        EpollIntent => "epoll.intent",
        /// Likewise: all is done, and uncommitted here.
        EpollEffect => "epoll.effect",
        /// Likewise: committed.
        EpollRecord => "epoll.record",
        /// Likewise: answered.
        EpollReply => "epoll.reply",
        /// A call that arms a timer or sleeps: before anything.
        TimerIntent => "timer.intent",
        /// Likewise: all is done, and uncommitted here.
        TimerEffect => "timer.effect",
        /// Likewise: committed.
        TimerRecord => "timer.record",
        /// Likewise: answered.
        TimerReply => "timer.reply",
        /// A call that changes what a process is: before anything.
        ProcessIntent => "process.intent",
        /// Likewise: all is done, and uncommitted here.
        ProcessEffect => "process.effect",
        /// Likewise: committed.
        ProcessRecord => "process.record",
        /// Likewise: answered.
        ProcessReply => "process.reply",
        /// Ioctl: before anything.
        TerminalIntent => "terminal.intent",
        /// Likewise: all is done, and uncommitted here.
        TerminalEffect => "terminal.effect",
        /// Likewise: committed.
        TerminalRecord => "terminal.record",
        /// Likewise: answered.
        TerminalReply => "terminal.reply",
        /// Futex: before anything.
        FutexIntent => "futex.intent",
        /// Likewise: all is done, and uncommitted here.
        FutexEffect => "futex.effect",
        /// Likewise: committed.
        FutexRecord => "futex.record",
        /// Likewise: answered.
        FutexReply => "futex.reply",
        /// A call that changes names or attributes of files: before anything.
        NameIntent => "name.intent",
        /// Likewise: all is done, and uncommitted here.
        NameEffect => "name.effect",
        /// Likewise: committed.
        NameRecord => "name.record",
        /// Likewise: answered.
        NameReply => "name.reply",
        /// A call that changes a file's data or where it stands: before anything.
        OffsetIntent => "offset.intent",
        /// Likewise: all is done, and uncommitted here.
        OffsetEffect => "offset.effect",
        /// Likewise: committed.
        OffsetRecord => "offset.record",
        /// Likewise: answered.
        OffsetReply => "offset.reply",
    }
}

/// A step that every call passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    /// Nothing was done.
    Intent,
    /// It has its result, and nothing is committed.
    Effect,
    /// Its effect and result were committed.
    Record,
    /// It was answered.
    Reply,
}

/// Passes the failpoint of a call, if it has one there.
#[inline(always)]
pub fn passed(call_number: u64, passed: Passed) {
    if libsys::fail::is_armed() {
        pass(call_number, passed);
    }
}

#[cold]
fn pass(call_number: u64, passed: Passed) {
    let point = match passed {
        Passed::Intent => points(call_number)[0],
        Passed::Effect => points(call_number)[1],
        Passed::Record => points(call_number)[2],
        Passed::Reply => points(call_number)[3],
    };
    if let Some(point) = point {
        libsys::fail::hit(point);
    }
}

macro_rules! all_of {
    ($($point:ident)+) => { [$(Some(Point::$point)),+] };
}

/// The failpoints of a call by Linux's number, in the order of [`Passed`]. Those that bytes, processes and programs pass elsewhere are left out; a call that changes
/// nothing has none.
const fn points(call_number: u64) -> [Option<Point>; 4] {
    match call_number {
        // read, readv, recvfrom, recvmsg
        0 | 19 | 45 | 47 => [None, None, Some(Point::ReadRecord), None],
        // write, writev, sendto, sendmsg
        1 | 20 | 44 | 46 => [None, None, Some(Point::WriteRecord), Some(Point::WriteReply)],
        // clone, fork, vfork, clone3
        56..=58 | 435 => [None, None, Some(Point::ForkRecord), Some(Point::ForkReply)],
        // execve, execveat
        59 | 322 => [None, None, Some(Point::ExecRecord), None],
        // exit, exit_group
        60 | 231 => [None, None, Some(Point::ExitRecord), None],
        // wait4, waitid
        61 | 247 => [None, None, Some(Point::WaitRecord), None],
        // open, close, pipe, dup, dup2, socket, socketpair, fcntl, creat; epoll_create; openat; signalfd, timerfd_create, eventfd; signalfd4, eventfd2,
        // epoll_create1, dup3, pipe2; memfd_create; pidfd_open, close_range, openat2
        2 | 3 | 22 | 32 | 33 | 41 | 53 | 72 | 85 | 213 | 257 | 282..=284 | 289..=293 | 319 | 434 | 436 | 437 => {
            all_of!(DescriptorIntent DescriptorEffect DescriptorRecord DescriptorReply)
        }
        // mmap to brk, mremap, madvise
        9..=12 | 25 | 28 => all_of!(MapIntent MapEffect MapRecord MapReply),
        // rt_sigaction to rt_sigreturn, rt_sigtimedwait, rt_sigsuspend, sigaltstack
        13..=15 | 128 | 130 | 131 => all_of!(MaskIntent MaskEffect MaskRecord MaskReply),
        // kill, rt_sigqueueinfo, tkill, tgkill, rt_tgsigqueueinfo, pidfd_send_signal
        62 | 129 | 200 | 234 | 297 | 424 => all_of!(KillIntent KillEffect KillRecord KillReply),
        // connect, accept, shutdown to listen, setsockopt, accept4
        42 | 43 | 48..=50 | 54 | 288 => all_of!(ConnectionIntent ConnectionEffect ConnectionRecord ConnectionReply),
        // epoll_wait, epoll_ctl, epoll_pwait, epoll_pwait2
        232 | 233 | 281 | 441 => all_of!(EpollIntent EpollEffect EpollRecord EpollReply),
        // nanosleep, alarm, setitimer, timer_create, timer_settime, timer_delete, clock_nanosleep, timerfd_settime
        35 | 37 | 38 | 222 | 223 | 226 | 230 | 286 => all_of!(TimerIntent TimerEffect TimerRecord TimerReply),
        // chdir, fchdir, umask; setuid to setsid and setfsgid; personality; setpriority; sched_setparam, sched_setscheduler; prctl, arch_prctl, setrlimit,
        // chroot; sethostname, setdomainname; sched_setaffinity; set_tid_address; set_robust_list; prlimit64
        80
        | 81
        | 95
        | 105
        | 106
        | 109
        | 112..=114
        | 116
        | 117
        | 119
        | 122
        | 123
        | 135
        | 141
        | 142
        | 144
        | 157
        | 158
        | 160
        | 161
        | 170..=171
        | 203
        | 218
        | 273
        | 302 => {
            all_of!(ProcessIntent ProcessEffect ProcessRecord ProcessReply)
        }
        // ioctl
        16 => all_of!(TerminalIntent TerminalEffect TerminalRecord TerminalReply),
        // futex
        202 => all_of!(FutexIntent FutexEffect FutexRecord FutexReply),
        // rename to rmdir, link to symlink, chmod to lchown; utime, mknod; the calls of attributes; utimes; mkdirat to futimesat, unlinkat to symlinkat,
        // fchmodat; utimensat; renameat2
        82..=84 | 86..=88 | 90..=94 | 132 | 133 | 188..=190 | 197..=199 | 235 | 258..=261 | 263..=266 | 268 | 280 | 316 => {
            all_of!(NameIntent NameEffect NameRecord NameReply)
        }
        // lseek, pwrite64, sendfile, flock, truncate, ftruncate; getdents64; fallocate; pwritev, copy_file_range, pwritev2
        8 | 18 | 40 | 73 | 76 | 77 | 217 | 285 | 296 | 326 | 328 => all_of!(OffsetIntent OffsetEffect OffsetRecord OffsetReply),
        _ => [None; 4],
    }
}
