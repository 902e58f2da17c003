//! System calls: the table from operations to what does them.
//!
//! Each arm takes its arguments from the message words and leaves its results there. An arm that parks the thread, or hands it a message,
//! says so with `Outcome::Settled`: its status is then somebody else's to write.

use abi::{Control, Error, Label, ObjectKind, Operation, Rights};

use crate::kernel::Kernel;
use crate::lease::{CopyResult, Direction};
use crate::machine::Machine;
use crate::page::Ref;
use crate::thread::Thread;

/// What a system call came to.
#[must_use]
enum Outcome {
    /// Done, without results.
    Done,
    /// Done, with results in the first message words.
    Values([u64; 6]),
    /// The thread waits, or has a message: its registers are set.
    Settled,
    /// An error that has words of its own.
    Failed(Error, [u64; 2]),
    /// Preempted, its progress kept in the object: the thread comes again at the same instruction with the same registers.
    Again,
}

type Result = core::result::Result<Outcome, Error>;

fn done(result: core::result::Result<(), Error>) -> Result {
    result.map(|()| Outcome::Done)
}

fn value(result: core::result::Result<u64, Error>) -> Result {
    result.map(|value| Outcome::Values([value, 0, 0, 0, 0, 0]))
}

/// Of an operation that is done as a whole, and says whether it is.
fn finished(result: core::result::Result<bool, Error>) -> Result {
    result.map(|finished| if finished { Outcome::Done } else { Outcome::Again })
}

fn values(result: core::result::Result<[u64; 6], Error>) -> Result {
    result.map(Outcome::Values)
}

fn settled(result: core::result::Result<(), Error>) -> Result {
    result.map(|()| Outcome::Settled)
}

fn copied(result: core::result::Result<CopyResult, Error>) -> Result {
    Ok(match result? {
        CopyResult::Copied(bytes) => Outcome::Values([bytes, 0, 0, 0, 0, 0]),
        CopyResult::NeedsPage { address, write } => Outcome::Failed(Error::NeedsPage, [address, u64::from(write)]),
    })
}

impl<M: Machine> Kernel<M> {
    /// The current thread executed `syscall`; its registers are in its frame.
    pub fn system_call(&mut self) {
        let Some(thread) = self.cpu.current.some() else { return };
        if self.thread(thread).is_reflected() {
            return self.reflect(thread);
        }
        let rax = self.thread(thread).frame.rax;
        let (control, label) = (Control(rax as u32), Label((rax >> 32) as u32));
        let outcome = match control.operation() {
            Some(operation) => self.dispatch(thread, operation, control.handle(), label),
            None => Err(Error::UnknownOperation),
        };
        match outcome {
            Ok(Outcome::Done) => self.thread(thread).set_status(0, 0),
            Ok(Outcome::Values(values)) => {
                let entry = self.thread(thread);
                entry.set_status(0, 0);
                let frame = &mut entry.frame;
                [frame.rdi, frame.rsi, frame.rdx, frame.r8, frame.r9, frame.r10] = values;
            }
            Ok(Outcome::Settled) => {}
            Ok(Outcome::Again) => self.thread(thread).rewind(),
            Ok(Outcome::Failed(error, words)) => {
                let entry = self.thread(thread);
                entry.fail(error);
                [entry.frame.rdi, entry.frame.rsi] = words;
            }
            Err(error) => self.thread(thread).fail(error),
        }
    }

    fn dispatch(&mut self, thread: Ref<Thread>, operation: Operation, handle: u32, label: Label) -> Result {
        match operation as u32 {
            ..0x90 => self.dispatch_ipc(thread, operation, handle, label),
            0x90..0xb0 => self.dispatch_memory(thread, operation, handle),
            0xb0..0xc0 => self.dispatch_space(thread, operation, handle),
            _ => self.dispatch_control(thread, operation, handle),
        }
    }

    fn dispatch_ipc(&mut self, thread: Ref<Thread>, operation: Operation, handle: u32, label: Label) -> Result {
        let [a, b, c, d, ..] = self.thread(thread).words();
        match operation {
            Operation::Call => settled(self.call(thread, handle, label)),
            Operation::ReplyReceive => settled(self.reply_receive(thread, handle, label)),
            Operation::Receive => settled(self.receive_from(thread, handle)),
            Operation::Reply => done(self.reply_only(thread, handle, label)),
            Operation::SetReplySlot => done(self.set_reply_slot(thread, a)),
            Operation::LeaseRead => copied(self.copy_lease(thread, handle, [a, b, c, d], Direction::In)),
            Operation::LeaseWrite => copied(self.copy_lease(thread, handle, [a, b, c, d], Direction::Out)),
            Operation::Signal => {
                let notification = self.lookup(thread, handle, ObjectKind::Notification, Rights::SIGNAL)?.reference();
                self.signal(notification, a);
                Ok(Outcome::Done)
            }
            Operation::Wait => Ok(match self.wait(thread, handle)? {
                Some(word) => Outcome::Values([word, 0, 0, 0, 0, 0]),
                None => Outcome::Settled,
            }),
            Operation::Poll => value(self.poll(thread, handle)),
            Operation::Deadline => done(self.set_deadline(thread, handle, a)),
            Operation::Bind => done(self.bind_notification(thread, handle, a)),
            Operation::Yield => {
                self.thread(thread).set_status(0, 0);
                self.rotate(thread);
                Ok(Outcome::Settled)
            }
            Operation::TakeUp => done(self.take_up(thread, handle)),
            Operation::Log => done(self.write_log(thread, a)),
            _ => Err(Error::UnknownOperation),
        }
    }

    fn dispatch_memory(&mut self, thread: Ref<Thread>, operation: Operation, handle: u32) -> Result {
        let [a, b, c, d, e, f, ..] = self.thread(thread).words();
        match operation {
            Operation::Copy => done(self.copy_capability(thread, u64::from(handle), [a, b, c, d, e, f])),
            Operation::Delete => done(self.delete_capability(thread, u64::from(handle), a)),
            Operation::Describe => values(self.describe(thread, u64::from(handle), a)),
            Operation::Kill => value(self.kill_instance(thread, handle)),
            Operation::Retype => finished(self.retype(thread, handle, [a, b, c, d, e])),
            Operation::Split => done(self.split(thread, handle, [a, b, c])),
            Operation::Merge => done(self.merge(thread, handle, a)),
            Operation::Reclaim => Ok(self.reclaim(thread, handle, [a, b])?.map_or(Outcome::Again, |done| Outcome::Values([done, 0, 0, 0, 0, 0]))),
            Operation::Revoke => value(self.revoke(thread, handle, [a, b])),
            Operation::Derive => done(self.derive(thread, handle, [a, b, c, d, e])),
            Operation::FreePages => value(self.free_pages(thread, handle, a)),
            Operation::PhysicalAddress => value(self.physical_address(thread, handle, a)),
            _ => Err(Error::UnknownOperation),
        }
    }

    fn dispatch_space(&mut self, thread: Ref<Thread>, operation: Operation, handle: u32) -> Result {
        let [a, b, c, d, e, ..] = self.thread(thread).words();
        match operation {
            Operation::Map => value(self.map(thread, handle, [a, b, c, d, e])),
            Operation::Unmap => value(self.unmap(thread, handle, [a, b])),
            Operation::Protect => value(self.protect(thread, handle, [a, b, c])),
            Operation::Share => value(self.share(thread, handle, [a, b, c, d, e])),
            Operation::Clone => value(self.clone_range(thread, handle, [a, b, c, d, e])),
            Operation::Unshare => value(self.unshare(thread, handle, [a, b, c])),
            Operation::CopyFrom => copied(self.copy_space(thread, handle, [a, b, c], Direction::In)),
            Operation::CopyTo => copied(self.copy_space(thread, handle, [a, b, c], Direction::Out)),
            Operation::List => value(self.list(thread, handle, [a, b])),
            Operation::AddTables => value(self.add_tables(thread, handle, [a, b, c])),
            Operation::SetPager => done(self.set_pager(thread, handle, a)),
            Operation::Dismantle => value(self.dismantle(thread, handle)),
            _ => Err(Error::UnknownOperation),
        }
    }

    fn dispatch_control(&mut self, thread: Ref<Thread>, operation: Operation, handle: u32) -> Result {
        let [a, b, c, ..] = self.thread(thread).words();
        match operation {
            Operation::ThreadConfigure => done(self.configure_thread(thread, handle, [a, b, c])),
            Operation::GetFrame => done(self.get_frame(thread, handle)),
            Operation::SetFrame => done(self.set_frame(thread, handle)),
            Operation::Blame => values(self.blame(thread, handle, a)),
            Operation::ThreadStart | Operation::ThreadStop | Operation::ThreadKick | Operation::Counters => {
                self.dispatch_thread(thread, operation, handle)
            }
            Operation::SetState => finished(self.set_endpoint_state(thread, handle, [a, b])),
            Operation::IrqBind => done(self.bind_line(thread, handle, [a, b, c])),
            Operation::IrqAck => done(self.acknowledge_line(thread, handle, a)),
            Operation::PortIn => value(self.read_port(thread, handle, [a, b])),
            Operation::PortOut => done(self.write_port(thread, handle, [a, b, c])),
            Operation::PortOutBytes => done(self.write_port_bytes(thread, handle, [a, b])),
            Operation::PortRecord => values(self.port_record(thread, handle)),
            _ => Err(Error::UnknownOperation),
        }
    }

    fn dispatch_thread(&mut self, thread: Ref<Thread>, operation: Operation, handle: u32) -> Result {
        let target: Ref<Thread> = self.lookup(thread, handle, ObjectKind::Thread, Rights::CONTROL)?.reference();
        match operation {
            Operation::ThreadStart => done(self.start_thread(target)),
            Operation::ThreadStop if target == thread => {
                self.thread(thread).set_status(0, 0);
                self.stop_thread(target);
                Ok(Outcome::Settled)
            }
            Operation::ThreadStop => Ok(Outcome::Values([self.stop_thread(target), 0, 0, 0, 0, 0])),
            Operation::ThreadKick => Ok(Outcome::Values([self.kick_thread(target), 0, 0, 0, 0, 0])),
            _ => Ok(Outcome::Values(self.counters(target))),
        }
    }
}
