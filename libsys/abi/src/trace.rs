//! Records of the kernel's trace ring.

/// Records that [`crate::Operation::Trace`] gives at most at a time: what a message has room for.
pub const TRACE_RECORDS: usize = crate::MAX_MESSAGE / size_of::<TraceRecord>();
/// The ports whose capability is worth the right to see what everybody does: all of them.
pub const ALL_PORTS: u64 = 0x1_0000;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TraceKind {
    /// A native thread entered the kernel. Detail: `rax`'s low half ([`crate::Control`]). Word: message word 0.
    Operation = 1,
    /// A Linux thread made a system call. Detail: its number. Word: the first argument.
    LinuxCall = 2,
    /// A thread cannot go on. Detail: vector, the processor's error code from bit 8 on. Word: the address of a page fault.
    Exception = 3,
    /// A device interrupts. Detail: the line.
    Line = 4,
    /// The timer interrupts.
    Timer = 5,
    /// A thread runs from here on. Word: the badge of the thread that pays.
    Runs = 6,
}

impl TraceKind {
    /// Decodes a stored byte.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Operation,
            2 => Self::LinuxCall,
            3 => Self::Exception,
            4 => Self::Line,
            5 => Self::Timer,
            6 => Self::Runs,
            _ => return None,
        })
    }
}

/// A record: what four words say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct TraceRecord {
    /// The time-stamp counter.
    pub at: u64,
    /// The badge of the thread that ran: what its faults are sent under. 0 for an idle processor and for the first process.
    pub badge: u64,
    /// [`TraceKind`] in the lowest byte, detail above it.
    pub what: u64,
    /// By kind.
    pub word: u64,
}

impl TraceRecord {
    /// What happened; `None` for a record that was never written.
    #[must_use]
    pub const fn kind(&self) -> Option<TraceKind> {
        TraceKind::from_byte(self.what as u8)
    }

    /// Its detail.
    #[must_use]
    pub const fn detail(&self) -> u64 {
        self.what >> 8
    }

    /// Its words, as they travel.
    #[must_use]
    pub const fn words(&self) -> [u64; 4] {
        [self.at, self.badge, self.what, self.word]
    }
}

impl From<[u64; 4]> for TraceRecord {
    fn from([at, badge, what, word]: [u64; 4]) -> Self {
        Self { at, badge, what, word }
    }
}
