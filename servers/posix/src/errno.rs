//! Linux's error numbers, and the one place where the other servers' errors become them.
//!
//! The numbers are those of `asm-generic/errno.h`. A reflected call returns them negated.

/// A Linux error number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Errno {
    /// Operation not permitted.
    EPERM = 1,
    /// No such file or directory.
    ENOENT = 2,
    /// No such process.
    ESRCH = 3,
    /// Interrupted by a signal.
    EINTR = 4,
    /// Input/output error.
    EIO = 5,
    /// No such device or address.
    ENXIO = 6,
    /// Argument list too long.
    E2BIG = 7,
    /// Not an executable.
    ENOEXEC = 8,
    /// Bad file descriptor.
    EBADF = 9,
    /// No child processes.
    ECHILD = 10,
    /// Resource temporarily unavailable.
    EAGAIN = 11,
    /// Out of memory.
    ENOMEM = 12,
    /// Permission denied.
    EACCES = 13,
    /// Bad address.
    EFAULT = 14,
    /// Device or resource busy.
    EBUSY = 16,
    /// File exists.
    EEXIST = 17,
    /// Cross-device link.
    EXDEV = 18,
    /// No such device.
    ENODEV = 19,
    /// Not a directory.
    ENOTDIR = 20,
    /// Is a directory.
    EISDIR = 21,
    /// Invalid argument.
    EINVAL = 22,
    /// Too many open files in the system.
    ENFILE = 23,
    /// Too many open files.
    EMFILE = 24,
    /// Not a terminal.
    ENOTTY = 25,
    /// Text file busy.
    ETXTBSY = 26,
    /// File too large.
    EFBIG = 27,
    /// No space left.
    ENOSPC = 28,
    /// Illegal seek.
    ESPIPE = 29,
    /// Read-only file system.
    EROFS = 30,
    /// Too many links.
    EMLINK = 31,
    /// Broken pipe.
    EPIPE = 32,
    /// Out of the function's domain.
    EDOM = 33,
    /// Result too large.
    ERANGE = 34,
    /// Deadlock avoided.
    EDEADLK = 35,
    /// File name too long.
    ENAMETOOLONG = 36,
    /// No more locks.
    ENOLCK = 37,
    /// No such system call.
    ENOSYS = 38,
    /// Directory not empty.
    ENOTEMPTY = 39,
    /// Too many symbolic links.
    ELOOP = 40,
    /// No data.
    ENODATA = 61,
    /// Value too large.
    EOVERFLOW = 75,
    /// Not a socket.
    ENOTSOCK = 88,
    /// Message too long.
    EMSGSIZE = 90,
    /// Not the type of the other socket.
    EPROTOTYPE = 91,
    /// No such option.
    ENOPROTOOPT = 92,
    /// No such protocol.
    EPROTONOSUPPORT = 93,
    /// No such type of socket.
    ESOCKTNOSUPPORT = 94,
    /// Not supported.
    EOPNOTSUPP = 95,
    /// No such address family.
    EAFNOSUPPORT = 97,
    /// Name in use.
    EADDRINUSE = 98,
    /// Connection reset by the other end.
    ECONNRESET = 104,
    /// No room.
    ENOBUFS = 105,
    /// Connected already.
    EISCONN = 106,
    /// Not connected.
    ENOTCONN = 107,
    /// Too many descriptors in messages.
    ETOOMANYREFS = 109,
    /// Timed out.
    ETIMEDOUT = 110,
    /// Nobody listens there.
    ECONNREFUSED = 111,
}

impl Errno {
    /// What a system call returns in `rax` for it.
    #[must_use]
    pub const fn to_rax(self) -> u64 {
        (self as i32 as i64).wrapping_neg() as u64
    }
}
