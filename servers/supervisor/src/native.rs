//! The supervisor's operations in the machine, and the loop around its logic.

use abi::{
    EndpointState, Error, Frame, MAX_CAPS, MAX_MESSAGE, MessageKind, OWN_TABLE, ObjectKind, ReplyKind, Rights, ThreadSetting, TraceRecord, boot_slot,
};
use libsys::syscall::{self, CopyError, Incoming, MapSource};
use protocols::crash::Cause;
use protocols::serve::{Caller, LeaseError};
use protocols::service::{Badge, Service};

use crate::clock;
use crate::kernel::{Counters, Doing, InHand, Kernel, Mint, Range};
use crate::life::Supervisor;
use crate::slot;

/// Reaping and comparing go on this often: a slice takes a small part of it, so the rest of the system hardly notices.
const SLICE_EVERY_US: u64 = 1000;

/// Pages that the kernel takes for tables at a time.
const TABLES_AT_A_TIME: u64 = abi::BUDGET_PAGES / 8;

/// What the kernel's number of a thread's state means.
const fn doing(state: u64) -> Doing {
    match state {
        1 => Doing::Running,
        2 | 3 => Doing::Calling,
        5 => Doing::Waiting,
        _ => Doing::Idle,
    }
}

/// The kernel under this process.
#[derive(Debug, Default)]
pub struct Native;

const fn source(range: Range) -> MapSource {
    MapSource { memory: range.memory, first: range.page, pages: range.pages }
}

impl Kernel for Native {
    fn split(&mut self, memory: u32, page: u64, to: u32) -> Result<(), Error> {
        syscall::split(memory, page, OWN_TABLE, to)
    }

    fn retype(&mut self, range: Range, kind: ObjectKind, to: u32) -> Result<(), Error> {
        syscall::retype(range.memory, range.page, kind, range.pages, OWN_TABLE, to)
    }

    fn reclaim(&mut self, range: Range) -> Result<u64, Error> {
        syscall::reclaim(range.memory, range.page, range.pages)
    }

    fn copy(&mut self, table: u32, to: u32, from: u32, mint: Mint) -> Result<(), Error> {
        syscall::transfer(table, to, OWN_TABLE, from, mint.rights, mint.badge, false)
    }

    fn give(&mut self, table: u32, to: u32, from: u32) -> Result<(), Error> {
        syscall::move_from(table, to, OWN_TABLE, from)
    }

    fn take_back(&mut self, to: u32, table: u32, from: u32) -> Result<(), Error> {
        syscall::move_from(OWN_TABLE, to, table, from)
    }

    fn derive(&mut self, table: u32, to: u32, from: u32, first: u64, count: u64) -> Result<(), Error> {
        syscall::derive(from, first, count, Rights::ALL, table, to)
    }

    fn delete(&mut self, table: u32, slot: u32) -> Result<(), Error> {
        syscall::delete(table, slot)
    }

    fn kill(&mut self, table: u32) -> Result<u64, Error> {
        syscall::kill(table)
    }

    fn map(&mut self, space: u32, address: u64, range: Range, flags: u64) -> Result<u64, Error> {
        syscall::map(space, address, source(range), flags)
    }

    fn protect(&mut self, space: u32, address: u64, pages: u64, flags: u64) -> Result<u64, Error> {
        syscall::protect(space, address, pages, flags)
    }

    fn copy_to(&mut self, space: u32, address: u64, bytes: &[u8]) -> Result<u64, Error> {
        match syscall::copy_to(space, address, bytes) {
            Ok(done) => Ok(done as u64),
            Err(CopyError::NeedsPage { .. }) => Err(Error::NeedsPage),
            Err(CopyError::Kernel(error)) => Err(error),
        }
    }

    fn add_tables(&mut self, space: u32, range: Range) -> Result<u64, Error> {
        let part = Range { pages: range.pages.min(TABLES_AT_A_TIME), ..range };
        syscall::add_tables(space, source(part)).map(|()| part.pages)
    }

    fn set_pager(&mut self, space: u32, endpoint: u32) -> Result<(), Error> {
        syscall::set_pager(space, endpoint)
    }

    fn dismantle(&mut self, space: u32) -> Result<u64, Error> {
        syscall::dismantle(space)
    }

    fn configure(&mut self, thread: u32, setting: ThreadSetting, value: u64, second: u64) -> Result<(), Error> {
        syscall::thread_configure(thread, setting, value, second)
    }

    fn set_frame(&mut self, thread: u32, frame: &Frame) -> Result<(), Error> {
        syscall::set_frame(thread, frame)
    }

    fn get_frame(&mut self, thread: u32) -> Result<Frame, Error> {
        syscall::get_frame(thread)
    }

    fn copy_from(&mut self, space: u32, address: u64, to: &mut [u8]) -> Result<(), Error> {
        let mut done = 0;
        while let Some(rest) = to.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match syscall::copy_from(space, address + done as u64, rest) {
                Ok(0) | Err(CopyError::NeedsPage { .. }) => return Err(Error::NeedsPage),
                Ok(copied) => done += copied,
                Err(CopyError::Kernel(error)) => return Err(error),
            }
        }
        Ok(())
    }

    fn start(&mut self, thread: u32) -> Result<(), Error> {
        syscall::thread_start(thread)
    }

    fn stop(&mut self, thread: u32) -> Result<(), Error> {
        syscall::thread_stop(thread).map(|_| ())
    }

    fn counters(&mut self, thread: u32) -> Result<Counters, Error> {
        let found = syscall::counters(thread)?;
        let in_hand = syscall::blame(thread, 0)?.is_some();
        Ok(Counters { doing: doing(found.state), in_hand, received_at: found.received_at, calls: found.calls, own_ticks: found.own_ticks, beats: 0 })
    }

    fn blame(&mut self, thread: u32, limit: u32) -> Result<Option<InHand>, Error> {
        syscall::blame(thread, limit)
    }

    fn is_unattended(&mut self, endpoint: u32) -> Result<bool, Error> {
        syscall::describe(OWN_TABLE, endpoint).map(|found| found.first != 0 && found.count == 0)
    }

    fn set_state(&mut self, endpoint: u32, state: EndpointState) -> Result<(), Error> {
        syscall::set_state(endpoint, state, 0)
    }

    fn signal(&mut self, notification: u32, bits: u64) -> Result<(), Error> {
        syscall::signal(notification, bits)
    }

    fn port_out(&mut self, port: u16, width: u8, value: u32) -> Result<(), Error> {
        syscall::port_out(boot_slot::PORTS, u64::from(port), u64::from(width), u64::from(value))
    }

    fn trace(&mut self, on: bool, from: u64, records: &mut [TraceRecord]) -> Result<(u64, usize), Error> {
        syscall::trace(boot_slot::PORTS, on, from, records)
    }

    fn log(&mut self, line: &str) {
        libsys::log!("{line}");
    }

    fn now(&mut self) -> u64 {
        libsys::clock::now_ticks()
    }
}

/// The real-time clock's ports.
#[derive(Debug, Default)]
pub struct Cmos;

impl clock::Ports for Cmos {
    fn read(&mut self, port: u16) -> Option<u8> {
        syscall::port_in(boot_slot::PORTS, u64::from(port), 1).ok().map(|value| value as u8)
    }

    fn write(&mut self, port: u16, value: u8) -> Option<()> {
        syscall::port_out(boot_slot::PORTS, u64::from(port), 1, u64::from(value)).ok()
    }
}

/// A caller of the supervisor. It lends nothing: no request of this protocol has a lease.
struct From<'i>(&'i Incoming);

impl Caller for From<'_> {
    fn badge(&self) -> u64 {
        self.0.badge
    }

    fn number(&self) -> abi::RequestNumber {
        self.0.number
    }

    fn read(&mut self, _lease: usize, _offset: u64, _to: &mut [u8]) -> Result<(), LeaseError> {
        Err(LeaseError::Invalid)
    }

    fn write(&mut self, _lease: usize, _offset: u64, _from: &[u8]) -> Result<(), LeaseError> {
        Err(LeaseError::Invalid)
    }

    fn caps(&self) -> usize {
        0
    }
}

/// Starts the first service and answers events for ever.
///
/// # Errors
/// The kernel's, when it refuses to receive or to keep time.
pub fn run(mut supervisor: Supervisor<'_, Native>) -> Result<core::convert::Infallible, Error> {
    let (endpoint, notification) = (slot::endpoint(Service::Supervisor), slot::notification(Service::Supervisor));
    syscall::set_reply_slot(slot::REPLY)?;
    syscall::bind(notification, endpoint)?;
    supervisor.start_due();
    loop {
        let next_sample = supervisor.watch();
        supervisor.start_due();
        let next_fault = supervisor.inject().into_iter().chain(supervisor.fulfil_dooms()).min().unwrap_or(u64::MAX);
        let more = supervisor.reap() | supervisor.scrub();
        let soon = supervisor.after_us(SLICE_EVERY_US);
        let next = supervisor.next_start().map_or(next_sample, |start| start.min(next_sample)).min(next_fault);
        syscall::deadline(notification, if more { soon.min(next) } else { next })?;
        match syscall::receive(endpoint, [0; MAX_CAPS]) {
            Ok(incoming) => handle(&mut supervisor, &incoming),
            Err(Error::Kicked) => {}
            Err(error) => return Err(error),
        }
    }
}

fn handle(supervisor: &mut Supervisor<'_, Native>, incoming: &Incoming) {
    let from = Badge::from_word(incoming.badge);
    let thread = Some(Badge::thread_of_word(incoming.badge));
    if incoming.kind == Some(MessageKind::Exception)
        && supervisor.stepped(from, Badge::thread_of_word(incoming.badge), Cause::exception(incoming.words))
    {
        // A thread that was ended at this very moment needs no answer.
        let _gone = syscall::reply(slot::REPLY, ReplyKind::Resume, 0);
        return;
    }
    match incoming.kind {
        Some(MessageKind::Call) => answer(supervisor, incoming),
        Some(MessageKind::Exception) => supervisor.died(from, thread, Cause::exception(incoming.words)),
        Some(MessageKind::PageFault) => supervisor.died(from, thread, Cause::page_fault(incoming.words)),
        Some(MessageKind::Notification | MessageKind::Reflected) | None => {}
    }
    if incoming.kind != Some(MessageKind::Call) && incoming.kind != Some(MessageKind::Notification) {
        // The thread is gone; this only empties the slot for the next Reply.
        let _gone = syscall::reply(slot::REPLY, ReplyKind::Decline, 0);
    }
}

fn answer(supervisor: &mut Supervisor<'_, Native>, incoming: &Incoming) {
    let mut request = [0; MAX_MESSAGE];
    let mut reply = [0; MAX_MESSAGE];
    let request = incoming.copy_to(&mut request);
    let answer = protocols::supervisor::serve(supervisor, &mut From(incoming), request, &mut reply);
    let bytes = reply.get(..answer.bytes).unwrap_or_default();
    // A caller that died meanwhile needs no answer.
    let _gone = syscall::reply_bytes(slot::REPLY, bytes, &[]);
}
