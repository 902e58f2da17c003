//! The caller's side, one method for each request.

use abi::{Lease, RequestNumber};
use heapless::Vec;

use super::{Error, Flow, INLINE_BYTES, Patience, Queue, Reply, Request, Signals, Status, Stream, Termios, When, WindowSize};
use crate::call::{CallError, Carrier, call};

/// The result of a request.
pub type Result<T> = core::result::Result<T, CallError<Error>>;

/// Asks the console through a [`Carrier`].
#[derive(Debug)]
pub struct Client<C> {
    carrier: C,
}

impl<C: Carrier> Client<C> {
    /// A client that sends through `carrier`.
    pub const fn new(carrier: C) -> Self {
        Self { carrier }
    }

    /// Reads into `lease`, at most its length; the bytes read. 0 is an end of file.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn read(&mut self, number: RequestNumber, lease: Lease, patience: Patience) -> Result<u32> {
        let length = length_of(lease);
        self.count(number, &Request::Read { length, patience }, &[lease])
    }

    /// Reads at most `length` bytes, and at most [`INLINE_BYTES`], into the reply.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn read_inline(&mut self, number: RequestNumber, length: u32, patience: Patience) -> Result<Vec<u8, INLINE_BYTES>> {
        match self.ask(number, &Request::ReadInline { length, patience }, &[])? {
            Reply::Data(bytes) => Ok(bytes),
            _ => Err(CallError::Malformed),
        }
    }

    /// Writes what `lease` covers; the bytes accepted.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn write(&mut self, number: RequestNumber, lease: Lease, patience: Patience) -> Result<u32> {
        let length = length_of(lease);
        self.count(number, &Request::Write { length, patience }, &[lease])
    }

    /// Writes `bytes`, at most [`INLINE_BYTES`]; the bytes accepted.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn write_inline(&mut self, number: RequestNumber, bytes: &[u8], patience: Patience) -> Result<u32> {
        self.count(number, &Request::WriteInline { bytes, patience }, &[])
    }

    /// Writes what `lease` covers to a script stream; the bytes that the host took, at least one of a lease that is not empty.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn script_write(&mut self, number: RequestNumber, stream: Stream, lease: Lease) -> Result<u32> {
        let length = length_of(lease);
        self.count(number, &Request::ScriptWrite { stream, length }, &[lease])
    }

    /// What a read or write would find.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn status(&mut self, number: RequestNumber) -> Result<Status> {
        match self.ask(number, &Request::Status, &[])? {
            Reply::Status(status) => Ok(status),
            _ => Err(CallError::Malformed),
        }
    }

    /// How often each signal character was typed.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn signals(&mut self, number: RequestNumber) -> Result<Signals> {
        match self.ask(number, &Request::Signals, &[])? {
            Reply::Signals(signals) => Ok(signals),
            _ => Err(CallError::Malformed),
        }
    }

    /// The modes.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn termios(&mut self, number: RequestNumber) -> Result<Termios> {
        match self.ask(number, &Request::Termios, &[])? {
            Reply::Termios(modes) => Ok(modes),
            _ => Err(CallError::Malformed),
        }
    }

    /// Sets the modes.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn set_termios(&mut self, number: RequestNumber, modes: Termios, when: When) -> Result<()> {
        self.done(number, &Request::SetTermios { modes, when })
    }

    /// The window's size.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn window_size(&mut self, number: RequestNumber) -> Result<WindowSize> {
        match self.ask(number, &Request::WindowSize, &[])? {
            Reply::WindowSize(size) => Ok(size),
            _ => Err(CallError::Malformed),
        }
    }

    /// Sets the window's size.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn set_window_size(&mut self, number: RequestNumber, size: WindowSize) -> Result<()> {
        self.done(number, &Request::SetWindowSize(size))
    }

    /// Throws away what is queued.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn flush(&mut self, number: RequestNumber, queue: Queue) -> Result<()> {
        self.done(number, &Request::Flush(queue))
    }

    /// Succeeds once all output left the line.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn drain(&mut self, number: RequestNumber) -> Result<()> {
        self.done(number, &Request::Drain)
    }

    /// Flow control by hand.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn flow(&mut self, number: RequestNumber, flow: Flow) -> Result<()> {
        self.done(number, &Request::Flow(flow))
    }

    fn ask(&mut self, number: RequestNumber, request: &Request<'_>, leases: &[Lease]) -> Result<Reply> {
        call(&mut self.carrier, number, request, leases, &[])
    }

    fn count(&mut self, number: RequestNumber, request: &Request<'_>, leases: &[Lease]) -> Result<u32> {
        match self.ask(number, request, leases)? {
            Reply::Count(count) => Ok(count),
            _ => Err(CallError::Malformed),
        }
    }

    fn done(&mut self, number: RequestNumber, request: &Request<'_>) -> Result<()> {
        match self.ask(number, request, &[])? {
            Reply::Done => Ok(()),
            _ => Err(CallError::Malformed),
        }
    }
}

/// A lease beyond 4 GiB is as good as one of 4 GiB: no request moves that much at once.
fn length_of(lease: Lease) -> u32 {
    u32::try_from(lease.length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Client, Result};
    use crate::call::{CallError, Carrier};
    use crate::console::{
        self, Error, Flow, INLINE_BYTES, Patience, Pending, Queue, Reply, Request, Service, Signals, Status, Stream, Termios, When, WindowSize,
    };
    use crate::serve::{Caller, LeaseError};
    use abi::{Lease, RequestNumber};

    const NUMBER: RequestNumber = RequestNumber::new(11, 1, 2, 3);
    const LEASE: Lease = Lease { address: 0x1000, length: 300, reply: 0, index: 0, rights: Lease::READ | Lease::WRITE };

    struct Nobody;

    impl Caller for Nobody {
        fn badge(&self) -> u64 {
            0
        }

        fn number(&self) -> RequestNumber {
            NUMBER
        }

        fn read(&mut self, _: usize, _: u64, _: &mut [u8]) -> core::result::Result<(), LeaseError> {
            Err(LeaseError::Gone)
        }

        fn write(&mut self, _: usize, _: u64, _: &[u8]) -> core::result::Result<(), LeaseError> {
            Err(LeaseError::Gone)
        }

        fn caps(&self) -> usize {
            0
        }
    }

    /// Answers with what the request calls for; remembers how many leases came.
    #[derive(Default)]
    struct Echo {
        leases: usize,
    }

    impl Service for Echo {
        fn handle(&mut self, _: &mut dyn Caller, request: Request<'_>) -> core::result::Result<Reply, Error> {
            Ok(match request {
                Request::Read { length, .. } | Request::Write { length, .. } | Request::ScriptWrite { length, .. } => Reply::Count(length),
                Request::ReadInline { length, .. } => Reply::Data((0..length).map(|index| index as u8).collect()),
                Request::WriteInline { bytes, patience: Patience::Never } => Reply::Count(bytes.len() as u32),
                Request::WriteInline { .. } => return Err(Error::Pending(Pending { accepted: 7, timer_ms: 0 })),
                Request::Status => Reply::Status(Status { readable: true, input_bytes: 1, output_room: 2, output_bytes: 3 }),
                Request::Signals => Reply::Signals(Signals { interrupt: 1, quit: 2, suspend: u32::MAX }),
                Request::Termios => Reply::Termios(Termios::INITIAL),
                Request::WindowSize => Reply::WindowSize(WindowSize::INITIAL),
                Request::SetTermios { .. } | Request::SetWindowSize(_) | Request::Flush(_) | Request::Drain | Request::Flow(_) => Reply::Done,
            })
        }
    }

    impl Carrier for Echo {
        fn attempt(
            &mut self,
            _: RequestNumber,
            message: &[u8],
            leases: &[Lease],
            _: &[u32],
            reply: &mut [u8],
        ) -> core::result::Result<usize, abi::Error> {
            self.leases = leases.len();
            Ok(console::serve(self, &mut Nobody, message, reply).bytes)
        }
    }

    #[test]
    fn every_method_gets_its_kind_of_reply() -> Result<()> {
        let mut client = Client::new(Echo::default());
        assert_eq!(client.read(NUMBER, LEASE, Patience::Wait)?, 300);
        assert_eq!(client.write(NUMBER, LEASE, Patience::Wait)?, 300);
        assert_eq!(client.script_write(NUMBER, Stream::Error, LEASE)?, 300);
        assert_eq!(client.carrier.leases, 1);
        assert_eq!(client.write_inline(NUMBER, b"abc", Patience::Never)?, 3);
        assert_eq!(client.carrier.leases, 0);
        assert!(client.status(NUMBER)?.readable);
        assert_eq!(client.signals(NUMBER)?.suspend, u32::MAX);
        assert_eq!(client.termios(NUMBER)?, Termios::INITIAL);
        assert_eq!(client.window_size(NUMBER)?, WindowSize::INITIAL);
        client.set_termios(NUMBER, Termios::INITIAL, When::Flushed)?;
        client.set_window_size(NUMBER, WindowSize::INITIAL)?;
        client.flush(NUMBER, Queue::Both)?;
        client.flow(NUMBER, Flow::StartInput)?;
        client.drain(NUMBER)
    }

    #[test]
    fn largest_inline_messages_fit() -> Result<()> {
        let mut client = Client::new(Echo::default());
        assert_eq!(client.read_inline(NUMBER, INLINE_BYTES as u32, Patience::Wait)?.len(), INLINE_BYTES);
        assert_eq!(client.write_inline(NUMBER, &[9; INLINE_BYTES], Patience::Never)?, INLINE_BYTES as u32);
        Ok(())
    }

    #[test]
    fn errors_of_the_service_come_through() {
        let result = Client::new(Echo::default()).write_inline(NUMBER, b"abc", Patience::Wait);
        assert_eq!(result, Err(CallError::Service(Error::Pending(Pending { accepted: 7, timer_ms: 0 }))));
    }
}
