//! One system call in progress: who calls, with what arguments, and how it can end.

use abi::{RequestNumber, call_sum};
use protocols::call::CallError;
use protocols::service::Service;
use protocols::{inference, vfs};

use crate::errno::Errno;
use crate::kernel::Port;
use crate::saved::{Lane, MapIndex, Process, ProcessIndex};
use crate::server::Posix;
use crate::wait::{Event, Wait};

/// Step of the one numbered request that a call may make of another server; the first of them where a call makes several and records its progress in between.
pub const EFFECT: u8 = 1;
/// Step of idempotent requests.
pub const ASK: u8 = 0x40;

/// How a call ends other than with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// With an error.
    Errno(Errno),
    /// Not yet: it runs again when something happens.
    Wait(Wait),
    /// A signal ends its wait.
    Interrupted {
        /// Whether `SA_RESTART` makes it again.
        restart: bool,
    },
    /// Signals come first, and then it is made again whatever their handlers are (Linux: `ERESTARTNOINTR`).
    Anew,
    /// With registers of its own, set aside by [`Posix::set_frame`].
    Frame,
    /// The thread is no more.
    Gone,
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

/// What a system call returns.
pub type SysResult = Result<u64, Stop>;

/// A call in progress.
pub struct Call<'a, 'k> {
    /// The server.
    pub posix: &'a mut Posix<'k>,
    /// The calling thread.
    pub lane: Lane,
    /// Its process.
    pub process: ProcessIndex,
    /// Its address space.
    pub map: MapIndex,
    /// The request.
    pub number: RequestNumber,
    /// Linux's number of the call.
    pub call_number: u64,
    /// Its arguments.
    pub arguments: [u64; 6],
    /// What the kernel says that these three come to: [`call_sum`]; of what is left of the arguments, where only halves count.
    pub sum: u64,
}

impl Call<'_, '_> {
    /// The calling process.
    #[must_use]
    pub fn me(&self) -> Process {
        self.posix.store.process(self.process)
    }

    /// Waits, unless a signal is there to be taken.
    pub fn wait<T>(&mut self, wait: Wait, restart: bool) -> Result<T, Stop> {
        if self.posix.has_deliverable(self.lane) { Err(Stop::Interrupted { restart }) } else { Err(Stop::Wait(wait)) }
    }

    /// The client of vfs.
    pub fn vfs(&mut self) -> vfs::Client<Port<'_>> {
        self.posix.vfs()
    }

    /// Number of the call's numbered request to another server.
    #[must_use]
    pub fn effect(&self) -> RequestNumber {
        self.numbered(EFFECT)
    }

    /// Number of one of several such requests.
    ///
    /// # Panics
    /// If this is not the call any more that the program made: nobody undoes what another server was asked for in its name.
    #[must_use]
    pub fn numbered(&self, step: u8) -> RequestNumber {
        assert!(self.is_as_made(), "lane {} is about to do what its program did not ask for", self.lane);
        self.number.with_step(step)
    }

    /// Whether number and arguments still are what the program called with.
    #[must_use]
    pub fn is_as_made(&self) -> bool {
        call_sum(self.number, self.call_number, self.arguments) == self.sum
    }

    /// Number of idempotent requests.
    #[must_use]
    pub fn ask(&self) -> RequestNumber {
        self.number.with_step(ASK)
    }
}

impl Posix<'_> {
    /// The client of vfs, for any request.
    pub fn vfs(&mut self) -> vfs::Client<Port<'_>> {
        self.answers.grow_old();
        vfs::Client(self.port_of_vfs())
    }

    /// The way to vfs.
    pub(crate) const fn port_of_vfs(&mut self) -> Port<'_> {
        Port { kernel: self.kernel, service: Service::Vfs }
    }

    /// The client of the console.
    pub fn console(&mut self) -> protocols::console::Client<Port<'_>> {
        protocols::console::Client::new(Port { kernel: self.kernel, service: Service::Console })
    }

    /// The client of inference.
    pub fn inference(&mut self) -> inference::Client<Port<'_>> {
        inference::Client(Port { kernel: self.kernel, service: Service::Inference })
    }
}

/// What an answer of vfs means for a program.
///
/// # Panics
/// For one that no program can cause: posix asked wrongly, or was understood so. The successor asks again.
#[must_use]
pub fn vfs_stop(error: CallError<vfs::Error>) -> Stop {
    assert!(!is_corrupt(&error), "vfs answers with what only posix can have got wrong: {error:?}");
    let CallError::Service(error) = error else { return Stop::Errno(Errno::EIO) };
    match error {
        vfs::Error::Pending(_) => Stop::Wait(Wait::on(Event::Vfs)),
        other => Stop::Errno(vfs_errno(other)),
    }
}

/// Whether a refusal says that posix, or vfs on its behalf, is not what its source says. All that posix lends is its own and present.
fn is_corrupt(error: &CallError<vfs::Error>) -> bool {
    use vfs::Error::{BadLease, Malformed, NeedsPage, NotServed, Outdated};
    error.is_corruption() || matches!(error, CallError::Service(Malformed | Outdated | NotServed | BadLease | NeedsPage { .. }))
}

fn vfs_errno(error: vfs::Error) -> Errno {
    use vfs::Error;
    match error {
        Error::NotFound => Errno::ENOENT,
        Error::Exists => Errno::EEXIST,
        Error::NotDirectory => Errno::ENOTDIR,
        Error::IsDirectory => Errno::EISDIR,
        Error::NotEmpty => Errno::ENOTEMPTY,
        Error::Denied => Errno::EACCES,
        Error::NotPermitted => Errno::EPERM,
        Error::NameTooLong => Errno::ENAMETOOLONG,
        Error::TooManyLinksFollowed => Errno::ELOOP,
        Error::TooManyLinks => Errno::EMLINK,
        Error::NoSpace => Errno::ENOSPC,
        Error::TooLarge => Errno::EFBIG,
        Error::TooManyOpen => Errno::ENFILE,
        Error::Invalid => Errno::EINVAL,
        Error::Range => Errno::ERANGE,
        Error::Busy => Errno::EBUSY,
        Error::CrossesMount => Errno::EXDEV,
        Error::Unsupported => Errno::EOPNOTSUPP,
        Error::Stale => Errno::ENOENT,
        Error::BadLease | Error::NeedsPage { .. } => Errno::EFAULT,
        Error::Elsewhere(_) => Errno::EROFS,
        Error::Malformed | Error::CallerGone | Error::Pending(_) | Error::Outdated | Error::NotServed | Error::Damaged => Errno::EIO,
    }
}
