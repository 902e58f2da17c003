//! Notifications: a word of bits that somebody waits for, and the only timer.
//!
//! Invariants: a notification has at most one waiting thread, and none while its word is not zero; each one is in the deadline list at most
//! once; the list is sorted, so that the next deadline is its first entry.

use abi::{Error, ObjectKind, Rights};

use crate::endpoint::Endpoint;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::page::{self, Object, Ref};
use crate::thread::{State, Thread};
use crate::wrap;

/// Deadlines that can be pending at a time, on one processor.
pub const MAX_DEADLINES: usize = 64;

/// A notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Notification {
    /// Bits signalled and not yet taken.
    pub word: u64,
    /// The thread that waits.
    pub waiter: Ref<Thread>,
    /// The endpoint whose receivers get the word.
    pub(crate) bound: Ref<Endpoint>,
}

// SAFETY: `repr(C)`, smaller than a page, integers only.
#[allow(unsafe_code, reason = "a notification is plain data")]
unsafe impl Object for Notification {
    const KIND: ObjectKind = ObjectKind::Notification;
}

/// Pending deadlines, the earliest first.
#[derive(Clone, Debug, Hash)]
pub struct Deadlines {
    entries: [(u64, Ref<Notification>); MAX_DEADLINES],
    count: usize,
}

impl Deadlines {
    /// No deadlines.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: [(0, Ref::NONE); MAX_DEADLINES], count: 0 }
    }

    pub(crate) fn pending(&self) -> &[(u64, Ref<Notification>)] {
        self.entries.get(..self.count).unwrap_or(&[])
    }

    fn remove(&mut self, notification: Ref<Notification>) {
        if let Some(index) = self.pending().iter().position(|entry| entry.1 == notification) {
            self.entries.copy_within(index + 1..self.count, index);
            self.count -= 1;
        }
    }

    fn insert(&mut self, at: u64, notification: Ref<Notification>) -> Result<(), Error> {
        if self.count == MAX_DEADLINES {
            return Err(Error::KernelLimit);
        }
        let index = self.pending().iter().position(|entry| entry.0 > at).unwrap_or(self.count);
        self.entries.copy_within(index..self.count, index + 1);
        *wrap::at_mut(&mut self.entries, index) = (at, notification);
        self.count += 1;
        Ok(())
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Machine> Kernel<M> {
    pub(crate) fn notification(&mut self, notification: Ref<Notification>) -> &mut Notification {
        page::object(&mut self.machine, notification)
    }

    /// Sets bits; whoever waits for them gets them.
    pub(crate) fn signal(&mut self, notification: Ref<Notification>, bits: u64) {
        let object = self.notification(notification);
        object.word |= bits;
        if object.word == 0 {
            return;
        }
        if let Some(waiter) = object.waiter.some() {
            let word = core::mem::take(&mut object.word);
            self.leave_notification(waiter);
            let thread = self.thread(waiter);
            thread.frame.rdi = word;
            thread.set_status(0, 0);
            self.make_runnable(waiter);
        } else if let Some(endpoint) = object.bound.some() {
            self.offer_notification(endpoint, notification);
        }
    }

    /// The current thread takes the word, or waits for one. Returns the word if it need not wait.
    pub(crate) fn wait(&mut self, thread: Ref<Thread>, handle: u32) -> Result<Option<u64>, Error> {
        let notification = self.lookup(thread, handle, ObjectKind::Notification, Rights::WAIT)?.reference();
        let object = self.notification(notification);
        if object.word != 0 {
            return Ok(Some(core::mem::take(&mut object.word)));
        }
        if object.waiter.some().is_some() {
            return Err(Error::Busy);
        }
        object.waiter = thread;
        self.leave_current();
        let entry = self.thread(thread);
        entry.state = State::Waiting as u8;
        entry.notification = notification;
        Ok(None)
    }

    /// Takes the word without waiting.
    pub(crate) fn poll(&mut self, thread: Ref<Thread>, handle: u32) -> Result<u64, Error> {
        let notification = self.lookup(thread, handle, ObjectKind::Notification, Rights::WAIT)?.reference();
        Ok(core::mem::take(&mut self.notification(notification).word))
    }

    /// A waiting thread waits no more; it is on no queue afterwards.
    pub(crate) fn leave_notification(&mut self, thread: Ref<Thread>) {
        let notification = core::mem::replace(&mut self.thread(thread).notification, Ref::NONE);
        if let Some(notification) = notification.some() {
            self.notification(notification).waiter = Ref::NONE;
        }
    }

    /// Sets, moves or (with 0) cancels a notification's deadline.
    pub(crate) fn set_deadline(&mut self, thread: Ref<Thread>, handle: u32) -> Result<(), Error> {
        let [at] = self.arguments(thread);
        let notification = self.lookup(thread, handle, ObjectKind::Notification, Rights::CONTROL)?.reference();
        self.remove_deadline(notification);
        self.cpu().reschedule = true;
        if at == 0 { Ok(()) } else { self.cpu().deadlines.insert(at, notification) }
    }

    /// Cancels a deadline, whichever processor was to watch for it: the timer of another one then fires for nothing.
    fn remove_deadline(&mut self, notification: Ref<Notification>) {
        for cpu in self.cpus.used_mut() {
            cpu.deadlines.remove(notification);
        }
    }

    /// When the timer is needed next for a deadline.
    pub(crate) fn next_deadline(&mut self) -> Option<u64> {
        self.cpu().deadlines.pending().first().map(|entry| entry.0)
    }

    /// Signals every deadline that has passed.
    pub(crate) fn pass_deadlines(&mut self) {
        let now = self.machine.now();
        while let Some(&(at, notification)) = self.cpu().deadlines.pending().first() {
            if at > now {
                break;
            }
            self.cpu().deadlines.remove(notification);
            self.signal(notification, abi::DEADLINE_BIT);
        }
    }

    /// Binds a notification to an endpoint, or (handle 0) unbinds it.
    pub(crate) fn bind_notification(&mut self, thread: Ref<Thread>, handle: u32) -> Result<(), Error> {
        let [endpoint] = self.arguments(thread);
        let notification: Ref<Notification> = self.lookup(thread, handle, ObjectKind::Notification, Rights::CONTROL)?.reference();
        let endpoint = u32::try_from(endpoint).map_err(|_| Error::InvalidArgument)?;
        if endpoint == 0 {
            self.unbind(notification);
            return Ok(());
        }
        let endpoint: Ref<Endpoint> = self.lookup(thread, endpoint, ObjectKind::Endpoint, Rights::RECEIVE)?.reference();
        if self.notification(notification).bound == endpoint {
            return Ok(());
        }
        if self.endpoint(endpoint).bound.some().is_some() {
            return Err(Error::Busy);
        }
        self.unbind(notification);
        self.notification(notification).bound = endpoint;
        self.endpoint(endpoint).bound = notification;
        if self.notification(notification).word != 0 {
            self.offer_notification(endpoint, notification);
        }
        Ok(())
    }

    fn unbind(&mut self, notification: Ref<Notification>) {
        let endpoint = core::mem::replace(&mut self.notification(notification).bound, Ref::NONE);
        if let Some(endpoint) = endpoint.some() {
            self.endpoint(endpoint).bound = Ref::NONE;
        }
    }

    /// Ends a notification before its page becomes memory again.
    pub(crate) fn destroy_notification(&mut self, notification: Ref<Notification>) {
        self.remove_deadline(notification);
        self.unbind(notification);
        let waiter = self.notification(notification).waiter;
        if let Some(waiter) = waiter.some() {
            self.kick_thread(waiter);
        }
    }
}
