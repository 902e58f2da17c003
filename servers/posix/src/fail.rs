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
    }
}

/// When a call's commit and answer pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    /// Its effect and result were committed.
    Record,
    /// It was answered.
    Reply,
}

/// Passes the failpoint of a call, if it has one there.
pub fn passed(call_number: u64, passed: Passed) {
    const READS: [u64; 3] = [0, 45, 47];
    const WRITES: [u64; 3] = [1, 44, 46];
    const FORKS: [u64; 4] = [56, 57, 58, 435];
    const EXECS: [u64; 2] = [59, 322];
    const EXITS: [u64; 2] = [60, 231];
    const WAITS: [u64; 2] = [61, 247];
    let point = match (call_number, passed) {
        (number, Passed::Record) if READS.contains(&number) => Point::ReadRecord,
        (number, Passed::Record) if WRITES.contains(&number) => Point::WriteRecord,
        (number, Passed::Reply) if WRITES.contains(&number) => Point::WriteReply,
        (number, Passed::Record) if FORKS.contains(&number) => Point::ForkRecord,
        (number, Passed::Reply) if FORKS.contains(&number) => Point::ForkReply,
        (number, Passed::Record) if EXECS.contains(&number) => Point::ExecRecord,
        (number, Passed::Record) if EXITS.contains(&number) => Point::ExitRecord,
        (number, Passed::Record) if WAITS.contains(&number) => Point::WaitRecord,
        _ => return,
    };
    libsys::fail::hit(point);
}
