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
            Ok(Outcome::Settled) => {}
            Ok(Outcome::Again) => self.thread(thread).rewind(),
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
            Operation::LeaseRead => copied(self.copy_lease(thread, handle, [a, b, c, d], Direction::In), self.thread(thread)),
            Operation::LeaseWrite => copied(self.copy_lease(thread, handle, [a, b, c, d], Direction::Out), self.thread(thread)),
            Operation::Signal => {
                let notification = self.lookup(thread, handle, ObjectKind::Notification, Rights::SIGNAL)?.reference();
                self.signal(notification, a);
                Ok(Outcome::Done)
            }
            Operation::Wait => match self.wait(thread, handle)? {
                Some(bits) => word(Ok(bits), self.thread(thread)),
                None => Ok(Outcome::Settled),
            },
            Operation::Poll => word(self.poll(thread, handle), self.thread(thread)),
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
            Operation::Describe => words(self.describe(thread, u64::from(handle), a), self.thread(thread)),
            Operation::Kill => word(self.kill_instance(thread, handle), self.thread(thread)),
            Operation::Retype => finished(self.retype(thread, handle, [a, b, c, d, e])),
            Operation::Split => done(self.split(thread, handle, [a, b, c])),
            Operation::Merge => done(self.merge(thread, handle, a)),
            Operation::Reclaim => match self.reclaim(thread, handle, [a, b])? {
                Some(done) => word(Ok(done), self.thread(thread)),
                None => Ok(Outcome::Again),
            },
            Operation::Revoke => word(self.revoke(thread, handle, [a, b]), self.thread(thread)),
            Operation::Derive => done(self.derive(thread, handle, [a, b, c, d, e])),
            Operation::FreePages => word(self.free_pages(thread, handle, a), self.thread(thread)),
            Operation::PhysicalAddress => word(self.physical_address(thread, handle, a), self.thread(thread)),
            _ => Err(Error::UnknownOperation),
        }
    }

    fn dispatch_space(&mut self, thread: Ref<Thread>, operation: Operation, handle: u32) -> Result {
        let [a, b, c, d, e, ..] = self.thread(thread).words();
        match operation {
            Operation::Map => word(self.map(thread, handle, [a, b, c, d, e]), self.thread(thread)),
            Operation::Unmap => word(self.unmap(thread, handle, [a, b]), self.thread(thread)),
            Operation::Protect => word(self.protect(thread, handle, [a, b, c]), self.thread(thread)),
            Operation::Share => word(self.share(thread, handle, [a, b, c, d, e]), self.thread(thread)),
            Operation::Clone => word(self.clone_range(thread, handle, [a, b, c, d, e]), self.thread(thread)),
            Operation::Unshare => word(self.unshare(thread, handle, [a, b, c]), self.thread(thread)),
            Operation::CopyFrom => copied(self.copy_space(thread, handle, [a, b, c], Direction::In), self.thread(thread)),
            Operation::CopyTo => copied(self.copy_space(thread, handle, [a, b, c], Direction::Out), self.thread(thread)),
            Operation::List => word(self.list(thread, handle, [a, b]), self.thread(thread)),
            Operation::AddTables => word(self.add_tables(thread, handle, [a, b, c]), self.thread(thread)),
            Operation::SetPager => done(self.set_pager(thread, handle, a)),
            Operation::Dismantle => word(self.dismantle(thread, handle), self.thread(thread)),
            _ => Err(Error::UnknownOperation),
        }
    }

    fn dispatch_control(&mut self, thread: Ref<Thread>, operation: Operation, handle: u32) -> Result {
        let [a, b, c, ..] = self.thread(thread).words();
        match operation {
            Operation::ThreadConfigure => done(self.configure_thread(thread, handle, [a, b, c])),
            Operation::GetFrame => done(self.get_frame(thread, handle)),
            Operation::SetFrame => done(self.set_frame(thread, handle)),
            Operation::Blame => words(self.blame(thread, handle, a), self.thread(thread)),
            Operation::ThreadStart | Operation::ThreadStop | Operation::ThreadKick | Operation::Counters => {
                self.dispatch_thread(thread, operation, handle)
            }
            Operation::SetState => finished(self.set_endpoint_state(thread, handle, [a, b])),
            Operation::IrqBind => done(self.bind_line(thread, handle, [a, b, c])),
            Operation::IrqAck => done(self.acknowledge_line(thread, handle, a)),
            Operation::PortIn => word(self.read_port(thread, handle, [a, b]), self.thread(thread)),
            Operation::PortOut => done(self.write_port(thread, handle, [a, b, c])),
            Operation::PortOutBytes => done(self.write_port_bytes(thread, handle, [a, b])),
            Operation::PortRecord => words(self.port_record(thread, handle), self.thread(thread)),
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
            Operation::ThreadStop => word(Ok(self.stop_thread(target)), self.thread(thread)),
            Operation::ThreadKick => word(Ok(self.kick_thread(target)), self.thread(thread)),
            _ => words(Ok(self.counters(target)), self.thread(thread)),
        }
    }
}
