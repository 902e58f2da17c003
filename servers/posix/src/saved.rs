//! What survives a crash of posix: plain records in fixed arrays, named by their index, 0 meaning none or free.
//!
//! Invariants, checked by [`crate::recovery`] when an instance starts:
//! - a live lane belongs to a live process; a live process has a memory map that counts it, and at least one lane;
//! - [`File::references`] is the number of descriptors (of live processes) that name it, [`Node::references`] the number of files, working directories, roots,
//!   programs and areas that name it; a pipe lives while a file or a node's user counts it;
//! - a lane, map or process in [`state::EMBRYO`] belongs to an operation that has not been committed; one in [`state::DYING`] is what the reaper takes apart.
//!
//! Kernel objects are not recorded but derived: lane `n` is the Thread in vault slot [`slot::thread`]`(n)`, map `n` the AddressSpace in [`slot::space`]`(n)`; only
//! the page that each was made of is kept, so that it can be turned back into memory.

use libsys::saved::{Array, Bytes, Cell};
use protocols::vfs::FileId;
use terminal::saved::SavedLine;

/// Most processes.
pub const PROCESSES: usize = 256;
/// Most threads of Linux programs: each is a lane.
pub const LANES: usize = 512;
/// Most address spaces, those being built included.
pub const MAPS: usize = 320;
/// Most areas of an address space.
pub const AREAS: usize = 160;
/// Most processors.
pub const PROCESSORS: usize = abi::MAX_PROCESSORS as usize;
/// Most descriptors of a process (`RLIMIT_NOFILE`).
pub const DESCRIPTORS: usize = 1024;
/// Most open file descriptions.
pub const FILES: usize = 4096;
/// Most vfs files in use at once.
pub const NODES: usize = 4096;
/// Most pipes; each queue of a socket is one.
pub const PIPES: usize = 1024;
/// Pipes of the full size: what the others may hold is little, so that no program can make all of posix's memory pipes (Linux has
/// `pipe-user-pages-soft`, beyond which pipes get two pages).
pub const LARGE_PIPES: usize = 256;
/// Bytes of a pipe (Linux: 16 pages).
pub const PIPE_BYTES: usize = 65536;
/// Bytes of a pipe beyond the first [`LARGE_PIPES`].
pub const SMALL_PIPE_BYTES: usize = 8192;
/// Most sockets, those included that wait to be accepted.
pub const SOCKETS: usize = 512;
/// Most descriptors in messages that nobody has received yet.
pub const RIGHTS: usize = 1024;
/// Most descriptors that epolls watch.
pub const WATCHES: usize = 2048;
/// Most locks of files.
pub const LOCKS: usize = 1024;
/// Most pseudo terminals.
pub const PTYS: usize = 32;
/// Signals.
pub const SIGNALS: usize = 64;
/// Most timers of `timer_create`.
pub const TIMERS: usize = 512;
/// Most signals that wait behind another one of their number.
pub const QUEUED_SIGNALS: usize = 1024;
/// System call numbers that unknown calls are counted for.
pub const COUNTED_CALLS: usize = 512;
/// vfs files that wait to be closed.
pub const CLOSING: usize = 8192;
/// Works of inference that wait to be ended: two for each file, which is when all are closed at once.
pub const ENDING: usize = 2 * FILES;

/// Index of a process.
pub type ProcessIndex = usize;
/// Index of a thread.
pub type Lane = usize;
/// Index of an address space.
pub type MapIndex = usize;

/// What a process, lane or map is.
pub mod state {
    /// Nothing: the record is free, and all of it is to be set anew.
    pub const FREE: u32 = 0;
    /// Being made.
    pub const EMBRYO: u32 = 1;
    /// In use.
    pub const LIVE: u32 = 2;
    /// A process that ended and was not yet waited for.
    pub const ZOMBIE: u32 = 3;
    /// A lane or map whose kernel objects are still to be destroyed.
    pub const DYING: u32 = 4;
}

libsys::plain! {
    /// A file of vfs by identity.
    pub struct Id {
        /// Inode; 0 is no file.
        pub inode: u32,
        /// Generation.
        pub generation: u32,
    }

    /// What belongs to no process.
    pub struct Globals {
        /// The last process identifier given out.
        pub last_pid: u32,
        /// Whether the first process was started once.
        pub started: u32,
        /// Process index of the session that runs the script or the console's shell; 0 when there is none.
        pub session: u32,
        /// Number of the next session.
        pub session_sequence: u32,
        /// The script's exit status plus one, when it ended.
        pub script_status: u32,
        /// Files of the script's two pipes, one more than their index, while they are to be drained.
        pub script_pipes: [u32; 2],
        /// Bytes of each that are being written to the host.
        pub script_writing: [u32; 2],
        /// Numbers of the writes to the host.
        pub script_sequence: [u32; 2],
        /// Number of the next close sent to vfs, and how many wait.
        pub close_sequence: u32,
        /// How many files wait to be closed.
        pub closing: u32,
        /// First of them in the ring.
        pub closing_first: u32,
        /// Signal counts of the console that were acted on.
        pub console_signals: [u32; 3],
        /// The first lock of a file that is not vfs's, plus one: see [`crate::lock`].
        pub locks: u32,
        /// Directory of /dev/pts in vfs; what else posix answers for there is /proc.
        pub devpts: Id,
        /// Processes made since the start.
        pub forks: u64,
        /// What is added to the wall clock.
        pub clock_offset_ns: u64,
        /// How often /dev/llm was opened.
        pub works: u64,
        /// How many works of inference wait to be ended.
        pub ending: u32,
        /// First of them in the ring.
        pub ending_first: u32,
    }

    /// A process.
    pub struct Process {
        /// [`state`].
        pub state: u32,
        /// Its number.
        pub pid: u32,
        /// Index of its parent; 0 for a process without one.
        pub parent: u32,
        /// Process group.
        pub group: u32,
        /// Session.
        pub session: u32,
        /// Controlling terminal: 0 none, 1 the console, 2 and up pseudo terminals.
        pub terminal: u32,
        /// Memory map.
        pub map: u32,
        /// Real, effective, saved and file system user.
        pub uid: [u32; 4],
        /// Likewise group.
        pub gid: [u32; 4],
        /// How many supplementary groups.
        pub group_count: u32,
        /// Supplementary groups.
        pub groups: [u32; 16],
        /// File mode creation mask.
        pub umask: u32,
        /// Wait status of a zombie.
        pub status: u32,
        /// Signal to the parent at the end.
        pub exit_signal: u32,
        /// How many live lanes.
        pub lanes: u32,
        /// [`flag`] bits.
        pub flags: u32,
        /// Signal that stopped it, for wait.
        pub stop_signal: u32,
        /// Index of the lane that waits until a vfork child is through, plus one.
        pub vfork_lane: u32,
        /// Nice value plus 20.
        pub nice: u32,
        /// Descriptor bound.
        pub descriptor_limit: u32,
        /// Foreground group of the terminal that was hung up under a session's leader: hung up too when the leader ends.
        pub hung_up_group: u32,
        /// Signal that it gets when its parent ends, 0 for none.
        pub death_signal: u32,
        /// `ADDR_NO_RANDOMIZE` or 0: nothing is randomised anyway, but who asks for that wants to read it back.
        pub personality: u32,
        /// Name of its first thread, which may have ended already.
        pub name: [u8; 16],
        /// Working directory (node index).
        pub directory: u32,
        /// Root directory (node index; 0 is vfs's root).
        pub root: u32,
        /// Signals sent to the process as a whole.
        pub pending: u64,
        /// First and last of those that wait behind another one of their number, plus one: see [`crate::signal::queue`].
        pub queued: [u32; 2],
        /// Number of its next timer of `timer_create`.
        pub next_timer: u64,
        /// When the interval timer fires (ns), 0 never.
        pub timer: u64,
        /// Its interval.
        pub timer_interval: u64,
        /// Processor time (ns) at which `ITIMER_VIRTUAL` and `ITIMER_PROF` fire, 0 never.
        pub cpu_timers: [u64; 2],
        /// Their intervals.
        pub cpu_timer_intervals: [u64; 2],
        /// When it was made.
        pub started_ns: u64,
        /// Ticks used by ended lanes: in user code and on their behalf.
        pub ticks: [u64; 2],
        /// Of children that were waited for.
        pub child_ticks: [u64; 2],
        /// Pairs of limits.
        pub limits: [u64; 32],
    }

    /// What a process does with a signal.
    pub struct Action {
        /// Handler, 0 default, 1 ignore.
        pub handler: u64,
        /// Flags.
        pub flags: u64,
        /// Restorer.
        pub restorer: u64,
        /// Mask.
        pub mask: u64,
    }

    /// Where a signal came from.
    pub struct Origin {
        /// `si_code`.
        pub code: u32,
        /// Sender, or the child.
        pub pid: u32,
        /// Sender's user.
        pub uid: u32,
        /// Status of a child.
        pub status: u32,
        /// Fault address or value.
        pub value: u64,
    }

    /// A signal that waits behind another one of its number.
    pub struct QueuedSignal {
        /// Its number; 0 is a free record.
        pub signal: u32,
        /// The next one of the same process or thread, plus one.
        pub next: u32,
        /// Where it came from.
        pub origin: Origin,
    }

    /// A timer of `timer_create`; see [`crate::signal::posix_timer`].
    pub struct Timer {
        /// Index of its process; 0 is a free record.
        pub process: u32,
        /// Its number in its process.
        pub number: u32,
        /// The clock that it was made with.
        pub clock: u32,
        /// `sigev_notify`.
        pub notify: u32,
        /// Its signal.
        pub signal: u32,
        /// Number of the thread that gets it, 0 for the process.
        pub thread: u32,
        /// 1: its moments are wall time.
        pub is_wall: u32,
        /// 1: its signal waits to be taken.
        pub is_told: u32,
        /// What its signal says.
        pub value: u64,
        /// When it goes off next, or went off if that waits to be told (ns); 0 never.
        pub next: u64,
        /// From one time to the next (ns), 0 for once.
        pub interval: u64,
        /// How often it went off unheard before its signal was last taken.
        pub overrun: u64,
    }

    /// A request that was done.
    pub struct Done {
        /// Its number.
        pub number: u64,
        /// Its result.
        pub result: u64,
    }

    /// A thread.
    pub struct Thread {
        /// [`state`].
        pub state: u32,
        /// Index of its process.
        pub process: u32,
        /// Its number.
        pub tid: u32,
        /// 1 while posix holds it stopped for job control.
        pub held: u32,
        /// [`redo`] step after a commit.
        pub redo: u32,
        /// Kind of the operation in progress: [`operation`].
        pub operation: u32,
        /// Process index that it makes.
        pub operation_process: u32,
        /// Lane that it makes.
        pub operation_lane: u32,
        /// Map that it makes.
        pub operation_map: u32,
        /// File that it opened (node index).
        pub operation_node: u32,
        /// Request of the operation in progress.
        pub operation_number: u64,
        /// Page of the Thread object: [`crate::frames::Place`].
        pub page: u64,
        /// Blocked signals.
        pub mask: u64,
        /// Mask to go back to after a handler of `sigsuspend`; valid with [`Thread::restore_mask`].
        pub saved_mask: u64,
        /// 1: the mask goes back to `saved_mask`.
        pub restore_mask: u64,
        /// Signals sent to this thread.
        pub pending: u64,
        /// As [`Process::queued`].
        pub queued: [u32; 2],
        /// Alternative stack: address, bytes, flags.
        pub alternate: [u64; 3],
        /// Address to clear and wake at the end.
        pub clear_tid: u64,
        /// Robust list head.
        pub robust: u64,
        /// Last request known when the registers were set; while the record is free, the request that its next user begins after.
        pub number: u64,
        /// The last request with a result.
        pub done: Done,
        /// Request that `deadline`, `progress`, `futex` and the step belong to.
        pub wait_number: u64,
        /// Absolute deadline in ns, 0 for none.
        pub deadline: u64,
        /// What a partly done request has achieved.
        pub progress: u64,
        /// Key of the futex it waits for; zeros for none.
        pub futex: [u64; 2],
        /// Bits that it waits for.
        pub futex_bits: u64,
        /// Scheduling policy: Linux's number, and [`crate::syscall::sched::RESET_ON_FORK`].
        pub policy: u32,
        /// Its priority among real-time threads.
        pub static_priority: u32,
        /// The processors that it may use, a bit for each; 0: all.
        pub affinity: u64,
        /// How late its timers may be (ns), and what that goes back to: they are never late by design, so this is for who asks. 0 is Linux's default.
        pub timer_slack: [u64; 2],
        /// Name, unless it is the first thread of its process: then it is the process's.
        pub name: [u8; 16],
    }

    /// Registers to be set, [`abi::Frame`] as words.
    pub struct SavedFrame {
        /// All of them.
        pub words: [u64; 128],
    }

    /// An address space.
    pub struct Map {
        /// [`state`].
        pub state: u32,
        /// Processes that use it.
        pub references: u32,
        /// Page of the AddressSpace object.
        pub page: u64,
        /// Start of the program break area.
        pub heap_start: u64,
        /// The program break.
        pub heap_end: u64,
        /// Arguments on the stack: first and last byte.
        pub arguments: [u64; 2],
        /// Environment likewise.
        pub environment: [u64; 2],
        /// Initial stack pointer.
        pub stack: u64,
        /// The program (node index).
        pub program: u32,
        /// How many areas.
        pub areas: u32,
        /// Most pages that its areas ever had.
        pub peak: u64,
    }

    /// An area of an address space; see [`crate::vma`].
    pub struct Vma {
        /// First address.
        pub start: u64,
        /// Address after the last.
        pub end: u64,
        /// Bits of [`crate::vma`].
        pub flags: u64,
        /// File: inode.
        pub inode: u32,
        /// File: generation.
        pub generation: u32,
        /// File: offset of the first byte.
        pub offset: u64,
    }

    /// A descriptor.
    pub struct Descriptor {
        /// Index of the file plus one.
        pub file: u32,
        /// 1: closed by exec.
        pub close_on_exec: u32,
    }

    /// An open file description.
    pub struct File {
        /// [`crate::fd::kind`].
        pub kind: u32,
        /// Descriptors that name it.
        pub references: u32,
        /// Status flags and access mode, Linux's numbers.
        pub flags: u32,
        /// Pipe, terminal, device or /proc object.
        pub object: u32,
        /// Node index of a vfs file.
        pub node: u32,
        /// `F_SETOWN`: a process, or a group as a negative number.
        pub owner: i32,
        /// Offset, or directory cookie.
        pub offset: u64,
        /// Second word of the object. FIFO: how often it had been opened for writing when this file found no writer and did not wait for one. Regular
        /// file: 1 for a memfd, which is executed all the same while it is open for writing.
        pub detail: u64,
        /// Epolls that watch it.
        pub watches: u32,
        /// Locks that belong to it and not to a process: see [`crate::lock`].
        pub locks: u32,
    }

    /// A vfs file in use.
    pub struct Node {
        /// Which.
        pub file: Id,
        /// How often.
        pub references: u32,
        /// Linux mode of its kind, 0 for not known.
        pub mode: u32,
        /// FIFO: its pipe plus one.
        pub pipe: u32,
        /// Its first lock plus one: see [`crate::lock`].
        pub locks: u32,
        /// Device number.
        pub device: u32,
        /// Nothing: whole words are stored faster.
        pub padding: u32,
    }

    /// A pipe.
    pub struct Pipe {
        /// 1 in use.
        pub used: u32,
        /// Files open for reading.
        pub readers: u32,
        /// Files open for writing.
        pub writers: u32,
        /// FIFO: opens so far, for the rendezvous of `open`.
        pub opens: u32,
        /// Bytes that it can hold.
        pub capacity: u32,
        /// How often it was opened for writing.
        pub writer_opens: u32,
        /// Bytes ever read.
        pub head: u64,
        /// Bytes ever written.
        pub tail: u64,
    }

    /// A socket's name.
    pub struct SocketName {
        /// Bytes of [`SocketName::path`]; 0 is no name.
        pub length: u32,
        /// A path with its final zero, or a zero and an abstract name.
        pub path: [u8; 108],
    }

    /// A socket; see [`crate::socket`].
    pub struct Socket {
        /// [`crate::socket::state`].
        pub state: u32,
        /// `SOCK_STREAM`, `SOCK_DGRAM` or `SOCK_SEQPACKET`.
        pub kind: u32,
        /// The other end, or where datagrams go; index plus one.
        pub peer: u32,
        /// What was sent to it: pipe plus one.
        pub queue: u32,
        /// `SHUT_RD` and `SHUT_WR` as bits 1 and 2.
        pub shut: u32,
        /// Error to be told once.
        pub error: u32,
        /// Options that are on: [`crate::socket::option`].
        pub options: u32,
        /// Listener: most connections that wait.
        pub backlog: u32,
        /// Listener: how many wait.
        pub waiting: u32,
        /// Listener: the first that waits, plus one.
        pub first: u32,
        /// Connection that waits: the next one, plus one.
        pub next: u32,
        /// How often something other than its queue changed.
        pub changes: u32,
        /// Process, user and group of the other end.
        pub peer_credentials: [u32; 3],
        /// Its own, when it began to listen.
        pub credentials: [u32; 3],
        /// The socket file that it is bound to.
        pub bound: Id,
        /// Its name.
        pub name: SocketName,
        /// The other end's name.
        pub peer_name: SocketName,
        /// `SO_RCVTIMEO` and `SO_SNDTIMEO` in ns, 0 none.
        pub timeouts: [u64; 2],
    }

    /// A descriptor in a message.
    pub struct Right {
        /// Index of the file plus one.
        pub file: u32,
        /// The next one of the message, plus one.
        pub next: u32,
    }

    /// A descriptor that an epoll watches.
    pub struct Watch {
        /// The epoll's file, index plus one.
        pub epoll: u32,
        /// The file watched (index).
        pub file: u32,
        /// The descriptor by which it was named.
        pub descriptor: u32,
        /// What is waited for.
        pub events: u32,
        /// What the program wants to be told.
        pub data: u64,
        /// The next watch of the same epoll, plus one.
        pub next: u32,
        /// 1: counts as changed, though nothing happened.
        pub armed: u32,
        /// What had happened when it was last reported, inwards and outwards.
        pub seen: [u64; 2],
    }

    /// A lock of a part of a file; see [`crate::lock`].
    pub struct Lock {
        /// [`crate::lock::class`]; 0 is a free record.
        pub class: u32,
        /// Index of the process or file that holds it.
        pub owner: u32,
        /// 1 exclusive, 0 shared.
        pub exclusive: u32,
        /// Number of the process that asked for it.
        pub pid: u32,
        /// The file, if it is not vfs's.
        pub object: [u32; 3],
        /// The next lock of the file, plus one.
        pub next: u32,
        /// Its first byte.
        pub first: u64,
        /// Its last byte.
        pub last: u64,
    }

    /// A terminal's job control.
    pub struct Terminal {
        /// 1 in use.
        pub used: u32,
        /// Session that it controls.
        pub session: u32,
        /// Foreground process group.
        pub foreground: u32,
        /// Pseudo terminal: 1 while its slave cannot be opened.
        pub locked: u32,
        /// Whether its master is open.
        pub masters: u32,
        /// Slaves open.
        pub slaves: u32,
        /// 1: slaves were open, and none is.
        pub deserted: u32,
        /// Permissions of its name.
        pub permissions: u32,
        /// Owner.
        pub uid: u32,
        /// Group.
        pub gid: u32,
        /// When it was made.
        pub opened_ns: u64,
    }
}

pub mod flag;

pub mod slot;

mod machine;

pub use machine::{Load, Name, Worked};

pub mod redo;

pub mod operation;

impl From<FileId> for Id {
    fn from(file: FileId) -> Self {
        Self { inode: file.inode, generation: file.generation }
    }
}

impl From<Id> for FileId {
    fn from(id: Id) -> Self {
        Self { inode: id.inode, generation: id.generation }
    }
}

libsys::saved_state! {
    /// All of it. Order and sizes are the format: a change needs a new version.
    pub struct State: 10 {
        /// What belongs to no process.
        pub globals: Cell<Globals>,
        /// The load of the machine.
        pub load: Cell<Load>,
        /// The machine's name and its domain's.
        pub names: Array<Name, 2>,
        /// By processor.
        pub worked: Array<Worked, PROCESSORS>,
        /// Index 0 is never used.
        pub processes: Array<Process, PROCESSES>,
        /// [`SIGNALS`] for each process.
        pub actions: Array<Action, { PROCESSES * SIGNALS }>,
        /// Origins of signals sent to the process.
        pub origins: Array<Origin, { PROCESSES * SIGNALS }>,
        /// Threads; index 0 is never used.
        pub threads: Array<Thread, LANES>,
        /// Origins of signals sent to the thread.
        pub thread_origins: Array<Origin, { LANES * SIGNALS }>,
        /// Frames to be set.
        pub frames: Array<SavedFrame, LANES>,
        /// Address spaces; index 0 is never used.
        pub maps: Array<Map, MAPS>,
        /// [`AREAS`] for each map.
        pub areas: Array<Vma, { MAPS * AREAS }>,
        /// [`DESCRIPTORS`] for each process.
        pub descriptors: Array<Descriptor, { PROCESSES * DESCRIPTORS }>,
        /// Open file descriptions.
        pub files: Array<File, FILES>,
        /// vfs files; index 0 is never used.
        pub nodes: Array<Node, NODES>,
        /// Pipes.
        pub pipes: Array<Pipe, PIPES>,
        /// Terminals: 0 is none, 1 the console, then pseudo terminals.
        pub terminals: Array<Terminal, { PTYS + 2 }>,
        /// vfs files to be closed, a ring.
        pub closing: Array<Id, CLOSING>,
        /// How often each unknown call was made.
        pub unknown_calls: Array<u32, COUNTED_CALLS>,
        /// Sockets.
        pub sockets: Array<Socket, SOCKETS>,
        /// Descriptors in messages.
        pub rights: Array<Right, RIGHTS>,
        /// What epolls watch.
        pub watches: Array<Watch, WATCHES>,
        /// Locks of files.
        pub locks: Array<Lock, LOCKS>,
        /// Timers of `timer_create`.
        pub timers: Array<Timer, TIMERS>,
        /// Signals that wait behind others.
        pub queued_signals: Array<QueuedSignal, QUEUED_SIGNALS>,
        /// The pipes' bytes. Only the part between head and tail means anything, nothing else of them is read.
        pub pipe_bytes: Bytes<{ LARGE_PIPES * PIPE_BYTES + (PIPES - LARGE_PIPES) * SMALL_PIPE_BYTES }>,
        /// The pseudo terminals' modes and queues; the first one is terminal 2.
        pub lines: [SavedLine; PTYS],
        /// Names of works of inference to be ended, a ring.
        pub ending: Array<u64, ENDING>,
    }
}
