//! Why a request fails, in the wording of Linux's manual pages.

use serde::{Deserialize, Serialize};

use super::FileId;
use crate::serve::LeaseError;

/// Why not. The text of each is the wording of Linux's manual pages ([`Error::text`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Error {
    /// The bytes are no request.
    Malformed,
    /// ENOENT.
    NotFound,
    /// EEXIST.
    Exists,
    /// ENOTDIR.
    NotDirectory,
    /// EISDIR.
    IsDirectory,
    /// ENOTEMPTY.
    NotEmpty,
    /// EACCES.
    Denied,
    /// EPERM.
    NotPermitted,
    /// ENAMETOOLONG.
    NameTooLong,
    /// ELOOP.
    TooManyLinksFollowed,
    /// EMLINK.
    TooManyLinks,
    /// ENOSPC.
    NoSpace,
    /// EFBIG.
    TooLarge,
    /// ENFILE.
    TooManyOpen,
    /// EINVAL.
    Invalid,
    /// ERANGE.
    Range,
    /// EBUSY.
    Busy,
    /// EXDEV.
    CrossesMount,
    /// EOPNOTSUPP.
    Unsupported,
    /// ESTALE: the file of this [`FileId`] is gone.
    Stale,
    /// EFAULT: the lease is missing, too short, or lacks the right.
    BadLease,
    /// The caller is gone; nobody reads this.
    CallerGone,
    /// Not a result: the lender's page must be made present, then the request runs again under its number.
    NeedsPage {
        /// Address in the lender's space.
        address: u64,
        /// The access was a write.
        write: bool,
    },
    /// Not a result: something has to be fetched first; the request runs again under its number when vfs signals.
    Pending(u64),
    /// The number is older than one that its lane has used since.
    Outdated,
    /// The walk entered a directory marked by [`super::Request::SetMount`]; [`super::Request::Resolve`] tells the rest of the path.
    Elsewhere(FileId),
    /// The calling service may not open files.
    NotServed,
    /// EIO: the saved state contradicts itself.
    Damaged,
}

impl Error {
    /// The manual pages' wording.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Malformed => "Bad message",
            Self::NotFound => "No such file or directory",
            Self::Exists => "File exists",
            Self::NotDirectory => "Not a directory",
            Self::IsDirectory => "Is a directory",
            Self::NotEmpty => "Directory not empty",
            Self::Denied => "Permission denied",
            Self::NotPermitted => "Operation not permitted",
            Self::NameTooLong => "File name too long",
            Self::TooManyLinksFollowed => "Too many levels of symbolic links",
            Self::TooManyLinks => "Too many links",
            Self::NoSpace => "No space left on device",
            Self::TooLarge => "File too large",
            Self::TooManyOpen => "Too many open files in system",
            Self::Invalid => "Invalid argument",
            Self::Range => "Numerical result out of range",
            Self::Busy => "Device or resource busy",
            Self::CrossesMount => "Invalid cross-device link",
            Self::Unsupported => "Operation not supported",
            Self::Stale => "Stale file handle",
            Self::BadLease => "Bad address",
            Self::CallerGone => "No such process",
            Self::NeedsPage { .. } => "Page of the caller is missing",
            Self::Pending(_) => "Operation in progress",
            Self::Outdated => "Request number is outdated",
            Self::Elsewhere(_) => "Object is on another file system",
            Self::NotServed => "Service may not open files",
            Self::Damaged => "Input/output error",
        }
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(self.text())
    }
}

impl From<LeaseError> for Error {
    fn from(error: LeaseError) -> Self {
        match error {
            LeaseError::NeedsPage { address, write } => Self::NeedsPage { address, write },
            LeaseError::Gone => Self::CallerGone,
            LeaseError::Invalid => Self::BadLease,
        }
    }
}
