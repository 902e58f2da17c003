//! System calls: the table from operations to what does them.
//!
//! Each arm takes its arguments from the message words and leaves its results there. An arm that parks the thread, or hands it a message,
//! says so with `Outcome::Settled`: its status is then somebody else's to write.

use abi::{Control, Error, Label, ObjectKind, Operation, Rights, copy_sum};

use crate::kernel::Kernel;
use crate::lease::{CopyResult, Direction};
use crate::machine::Machine;
use crate::page::Ref;
use crate::thread::{Thread, odd};
use crate::wrap;

/// What a system call came to.
#[must_use]
enum Outcome {
    /// Done; its results are in the first message words.
    Done,
    /// The thread waits, or has a message: its registers are set.
    Settled,
    /// Preempted, its progress kept in the object: the thread comes again at the same instruction with the same registers.
    Again,
}

type Result = core::result::Result<Outcome, Error>;

fn done(result: core::result::Result<(), Error>) -> Result {
    result.map(|()| Outcome::Done)
}

/// Of an operation that is done as a whole, and says whether it is.
fn finished(result: core::result::Result<bool, Error>) -> Result {
    result.map(|finished| if finished { Outcome::Done } else { Outcome::Again })
}

fn settled(result: core::result::Result<(), Error>) -> Result {
    result.map(|()| Outcome::Settled)
}

fn word(result: core::result::Result<u64, Error>, thread: &mut Thread) -> Result {
    thread.frame.rdi = result?;
    Ok(Outcome::Done)
}

fn words(result: core::result::Result<[u64; 6], Error>, thread: &mut Thread) -> Result {
    let frame = &mut thread.frame;
    [frame.rdi, frame.rsi, frame.rdx, frame.r8, frame.r9, frame.r10] = result?;
    Ok(Outcome::Done)
}

/// An error that has words of its own says which page is missing.
fn copied(result: core::result::Result<CopyResult, Error>, thread: &mut Thread) -> Result {
    match result? {
        CopyResult::Copied(bytes) => word(Ok(bytes), thread),
        CopyResult::NeedsPage { address, write } => {
            [thread.frame.rdi, thread.frame.rsi] = [address, u64::from(write)];
            Err(Error::NeedsPage)
        }
    }
}

/// What does an operation: for a thread, on a handle, with a label.
type Handler<M> = fn(&mut Kernel<M>, Ref<Thread>, u32, Label) -> Result;

impl<M: Machine> Kernel<M> {
    /// Each operation's handler at its number: a function of its own, so that none pays for another's registers and stack.
    #[allow(clippy::indexing_slicing, reason = "by the compiler, which refuses an index out of bounds")]
    const HANDLERS: [Handler<M>; 256] = {
        let mut table: [Handler<M>; 256] = [|_, _, _, _| Err(Error::UnknownOperation); 256];
        table[Operation::Call as usize] = |k, t, h, label| settled(k.call(t, h, label));
        table[Operation::ReplyReceive as usize] = |k, t, h, label| settled(k.reply_receive(t, h, label));
        let mut index = 0;
        while index < Operation::SLOW.len() {
            let operation = Operation::SLOW[index];
            table[operation as usize] = match operation as u32 {
                ..0x90 => Self::messages(operation),
                0x90..0xb0 => Self::capabilities(operation),
                0xb0..0xc0 => Self::spaces(operation),
                _ => Self::others(operation),
            };
            index += 1;
        }
        table
    };

    /// The current thread executed `syscall`; its registers are in its frame.
    pub fn system_call(&mut self) {
        let Some(thread) = self.cpu().current.some() else { return };
        if self.thread(thread).is_reflected() {
            return self.reflect(thread);
        }
        self.operate(thread);
    }

    /// The current thread, which is a native one, executed `syscall`. Returns whether it goes on and the trap has no other end to come to.
    pub fn operate(&mut self, thread: Ref<Thread>) -> bool {
        if self.thread(thread).odd & odd::TRACED != 0 {
            self.trace_call(thread);
        }
        let rax = self.thread(thread).frame.rax;
        let (control, label) = (Control(rax as u32), Label((rax >> 32) as u32));
        #[allow(clippy::indexing_slicing, reason = "a byte, and as many handlers as bytes; in place, so that the table is not copied")]
        let handler = Self::HANDLERS[(control.0 >> 24) as usize];
        match handler(self, thread, control.handle(), label) {
            Ok(Outcome::Done) => self.thread(thread).set_status(0, 0),
            Ok(Outcome::Settled) => {}
            Ok(Outcome::Again) => {
                self.thread(thread).rewind();
                // By the long way out, where who waits for the kernel gets in.
                self.cpu().reschedule = true;
            }
            Err(error) => self.thread(thread).fail(error),
        }
        self.goes_on(thread)
    }

    /// The first of a thread's message words: what its operation works on.
    pub(crate) fn arguments<const N: usize>(&mut self, thread: Ref<Thread>) -> [u64; N] {
        let words = self.thread(thread).words();
        core::array::from_fn(|index| *wrap::at(&words, index))
    }

    /// The same of an operation that copies, if they are what was to be asked for.
    pub(crate) fn copy_arguments<const N: usize>(&mut self, thread: Ref<Thread>, handle: u32) -> core::result::Result<[u64; N], Error> {
        let arguments: [u64; N] = self.arguments(thread);
        let [.., sum] = self.thread(thread).words();
        if sum == copy_sum(handle, &arguments) { Ok(arguments) } else { Err(Error::InvalidArgument) }
    }

    /// Messages, notifications and the thread itself.
    const fn messages(operation: Operation) -> Handler<M> {
        match operation {
            Operation::Receive => |k, t, h, _| settled(k.receive_from(t, h)),
            Operation::Reply => |k, t, h, label| done(k.reply_only(t, h, label)),
            Operation::SetReplySlot => |k, t, _, _| done(k.set_reply_slot(t)),
            Operation::LeaseRead => |k, t, h, _| copied(k.copy_lease(t, h, Direction::In), k.thread(t)),
            Operation::LeaseWrite => |k, t, h, _| copied(k.copy_lease(t, h, Direction::Out), k.thread(t)),
            Operation::Signal => |k, t, h, _| {
                let notification = k.lookup(t, h, ObjectKind::Notification, Rights::SIGNAL)?.reference();
                let [bits] = k.arguments(t);
                k.signal(notification, bits);
                Ok(Outcome::Done)
            },
            Operation::Wait => |k, t, h, _| match k.wait(t, h)? {
                Some(bits) => word(Ok(bits), k.thread(t)),
                None => Ok(Outcome::Settled),
            },
            Operation::Poll => |k, t, h, _| word(k.poll(t, h), k.thread(t)),
            Operation::Deadline => |k, t, h, _| done(k.set_deadline(t, h)),
            Operation::Bind => |k, t, h, _| done(k.bind_notification(t, h)),
            Operation::Yield => |k, t, _, _| {
                k.thread(t).set_status(0, 0);
                k.rotate(t);
                Ok(Outcome::Settled)
            },
            Operation::TakeUp => |k, t, h, _| done(k.take_up(t, h)),
            Operation::Log => |k, t, _, _| done(k.write_log(t)),
            _ => |_, _, _, _| Err(Error::UnknownOperation),
        }
    }

    /// Capabilities and memory.
    const fn capabilities(operation: Operation) -> Handler<M> {
        match operation {
            Operation::Copy => |k, t, h, _| done(k.copy_capability(t, u64::from(h))),
            Operation::Delete => |k, t, h, _| done(k.delete_capability(t, u64::from(h))),
            Operation::Describe => |k, t, h, _| words(k.describe(t, u64::from(h)), k.thread(t)),
            Operation::Kill => |k, t, h, _| word(k.kill_instance(t, h), k.thread(t)),
            Operation::Retype => |k, t, h, _| finished(k.retype(t, h)),
            Operation::Split => |k, t, h, _| done(k.split(t, h)),
            Operation::Merge => |k, t, h, _| done(k.merge(t, h)),
            Operation::Reclaim => |k, t, h, _| {
                let words = k.arguments(t);
                match k.reclaim(t, h, words)? {
                    Some(done) => word(Ok(done), k.thread(t)),
                    None => Ok(Outcome::Again),
                }
            },
            Operation::Revoke => |k, t, h, _| word(k.revoke(t, h), k.thread(t)),
            Operation::Derive => |k, t, h, _| done(k.derive(t, h)),
            Operation::FreePages => |k, t, h, _| word(k.free_pages(t, h), k.thread(t)),
            Operation::PhysicalAddress => |k, t, h, _| word(k.physical_address(t, h), k.thread(t)),
            _ => |_, _, _, _| Err(Error::UnknownOperation),
        }
    }

    /// Address spaces.
    const fn spaces(operation: Operation) -> Handler<M> {
        match operation {
            Operation::Map => |k, t, h, _| word(k.map(t, h), k.thread(t)),
            Operation::Unmap => |k, t, h, _| word(k.unmap(t, h), k.thread(t)),
            Operation::Protect => |k, t, h, _| word(k.protect(t, h), k.thread(t)),
            Operation::Share => |k, t, h, _| word(k.share(t, h), k.thread(t)),
            Operation::Clone => |k, t, h, _| word(k.clone_range(t, h), k.thread(t)),
            Operation::Unshare => |k, t, h, _| word(k.unshare(t, h), k.thread(t)),
            Operation::CopyFrom => |k, t, h, _| copied(k.copy_space(t, h, Direction::In), k.thread(t)),
            Operation::CopyTo => |k, t, h, _| copied(k.copy_space(t, h, Direction::Out), k.thread(t)),
            Operation::List => |k, t, h, _| word(k.list(t, h), k.thread(t)),
            Operation::AddTables => |k, t, h, _| word(k.add_tables(t, h), k.thread(t)),
            Operation::SetPager => |k, t, h, _| done(k.set_pager(t, h)),
            Operation::Dismantle => |k, t, h, _| word(k.dismantle(t, h), k.thread(t)),
            Operation::Exchange => |k, t, h, _| copied(k.exchange_word(t, h), k.thread(t)),
            Operation::CopyAcross => |k, t, h, _| copied(k.copy_across(t, h), k.thread(t)),
            _ => |_, _, _, _| Err(Error::UnknownOperation),
        }
    }

    /// Threads, endpoints and devices.
    const fn others(operation: Operation) -> Handler<M> {
        match operation {
            Operation::ThreadConfigure => |k, t, h, _| done(k.configure_thread(t, h)),
            Operation::GetFrame => |k, t, h, _| done(k.get_frame(t, h)),
            Operation::SetFrame => |k, t, h, _| done(k.set_frame(t, h)),
            Operation::Blame => |k, t, h, _| words(k.blame(t, h), k.thread(t)),
            Operation::ThreadStart => |k, t, h, _| {
                let target = k.controlled(t, h)?;
                done(k.start_thread(target))
            },
            Operation::ThreadStop => |k, t, h, _| {
                let target = k.controlled(t, h)?;
                if target == t {
                    k.thread(t).set_status(0, 0);
                    k.stop_thread(t);
                    return Ok(Outcome::Settled);
                }
                match k.stop_thread(target) {
                    Some(was) => word(Ok(was), k.thread(t)),
                    None => Ok(Outcome::Again),
                }
            },
            Operation::ThreadKick => |k, t, h, _| {
                let target = k.controlled(t, h)?;
                word(Ok(k.kick_thread(target)), k.thread(t))
            },
            Operation::Counters => |k, t, h, _| {
                let target = k.controlled(t, h)?;
                words(Ok(k.counters(target)), k.thread(t))
            },
            Operation::SetState => |k, t, h, _| finished(k.set_endpoint_state(t, h)),
            Operation::IrqBind => |k, t, h, _| done(k.bind_line(t, h)),
            Operation::IrqAck => |k, t, h, _| done(k.acknowledge_line(t, h)),
            Operation::PortIn => |k, t, h, _| word(k.read_port(t, h), k.thread(t)),
            Operation::PortOut => |k, t, h, _| done(k.write_port(t, h)),
            Operation::PortOutBytes => |k, t, h, _| done(k.write_port_bytes(t, h)),
            Operation::PortRecord => |k, t, h, _| words(k.port_record(t, h), k.thread(t)),
            Operation::Trace => |k, t, h, _| words(k.trace(t, h), k.thread(t)),
            _ => |_, _, _, _| Err(Error::UnknownOperation),
        }
    }

    fn controlled(&mut self, thread: Ref<Thread>, handle: u32) -> core::result::Result<Ref<Thread>, Error> {
        Ok(self.lookup(thread, handle, ObjectKind::Thread, Rights::CONTROL)?.reference())
    }
}
