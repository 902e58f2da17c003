//! Why a kernel operation failed, and whose fault that is.

/// A kernel operation's error. The status half of `rax` holds it negated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
#[non_exhaustive]
pub enum Error {
    /// Caller: no such operation.
    UnknownOperation = 1,
    /// Caller: the handle names no slot, an empty one, or a capability that was revoked.
    InvalidHandle = 2,
    /// Caller: the capability is of another kind.
    WrongKind = 3,
    /// Caller: the capability lacks a right.
    MissingRight = 4,
    /// Caller: an argument is out of its range.
    InvalidArgument = 5,
    /// Caller: the destination slot is not empty.
    SlotFull = 6,
    /// Caller: something still maps, pins or uses what should change.
    Busy = 7,
    /// Caller: the address space has no page left for a table; donate some with `AddTables`.
    NeedsTable = 8,
    /// Caller: something is mapped there already.
    AlreadyMapped = 9,
    /// The lender: its page is missing or may not be accessed that way. Words 0 and 1 say which.
    NeedsPage = 10,
    /// Caller: its own page is missing. Touch it and try again.
    LocalFault = 11,
    /// Caller: the object is not in a state for this (a thread that runs, a space that is dismantled, one without message page).
    WrongState = 12,
    /// Callee: the instance died with the message received. Send it again with the same request number.
    PeerDied = 13,
    /// Callee: it dropped the Reply.
    Dropped = 14,
    /// Callee: its endpoint is closed. Word 0: the code given when it was closed.
    Closed = 15,
    /// The caller of this Reply is gone, or was told otherwise.
    ReplyGone = 16,
    /// Somebody kicked the thread out of its wait.
    Kicked = 17,
    /// The lease is missing, too short, or lacks the right.
    InvalidLease = 18,
    /// Kernel: one of its fixed tables is full.
    KernelLimit = 19,
    /// Callee: its instances died of this request, as often as the supervisor allows. It is not tried again.
    Poisoned = 21,
}

impl Error {
    const ALL: [Self; 20] = [
        Self::UnknownOperation,
        Self::InvalidHandle,
        Self::WrongKind,
        Self::MissingRight,
        Self::InvalidArgument,
        Self::SlotFull,
        Self::Busy,
        Self::NeedsTable,
        Self::AlreadyMapped,
        Self::NeedsPage,
        Self::LocalFault,
        Self::WrongState,
        Self::PeerDied,
        Self::Dropped,
        Self::Closed,
        Self::ReplyGone,
        Self::Kicked,
        Self::InvalidLease,
        Self::KernelLimit,
        Self::Poisoned,
    ];

    /// Whether only the caller can have got this wrong, by naming an operation, a handle, a right, an argument or a state that never was right. A server that hears
    /// it of an operation into which no client's choice went is not what its source says, and should end rather than pass a wrong answer on.
    #[must_use]
    pub const fn is_callers_own(self) -> bool {
        matches!(
            self,
            Self::UnknownOperation
                | Self::InvalidHandle
                | Self::WrongKind
                | Self::MissingRight
                | Self::InvalidArgument
                | Self::SlotFull
                | Self::WrongState
        )
    }

    /// The low half of `rax` for this error.
    #[must_use]
    pub const fn to_status(self) -> u32 {
        (self as i32).wrapping_neg() as u32
    }

    /// What the low half of `rax` says.
    ///
    /// # Errors
    /// The error that a non-zero status stands for; [`Error::UnknownOperation`] for one that no kernel of this version gives.
    #[inline]
    pub fn check(status: u32) -> Result<(), Self> {
        if status == 0 { Ok(()) } else { Err(Self::from_status(status)) }
    }

    #[cold]
    fn from_status(status: u32) -> Self {
        let code = (status as i32).wrapping_neg();
        Self::ALL.into_iter().find(|error| *error as i32 == code).unwrap_or(Self::UnknownOperation)
    }
}
