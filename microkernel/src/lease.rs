//! Leases: a callee copies from and to memory that its caller lent for the call.
//!
//! Each copy looks everything up again (the Reply's ticket, the lease's bounds and rights, both sides' page tables), so a lease is worth nothing
//! the moment its call ends. A reflected caller lends what its program could access itself: lease 0 is its whole address space.

use abi::{Error, Lease, MAX_LEASES, MessagePage, ObjectKind, Rights};

use crate::capability::SlotPlace;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::page::{self, PAGE_BYTES, Ref};
use crate::space::AddressSpace;
use crate::thread::{CallKind, Thread};

/// Words that describe a lease in a message page.
const LEASE_WORDS: usize = size_of::<Lease>() / 8;

/// What a copy came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyResult {
    /// So many bytes were copied; not zero unless zero were asked for. Of an exchange: the word that was there.
    Copied(u64),
    /// A page of the other side is missing or may not be accessed so.
    NeedsPage {
        /// The address there.
        address: u64,
        /// Whether it was to be written.
        write: bool,
    },
}

/// One direction of a copy, seen from the thread that asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the other side.
    In,
    /// To the other side.
    Out,
}

impl<M: Machine> Kernel<M> {
    /// Takes over the leases that a caller describes in its message page, so that it cannot change them any more.
    pub(crate) fn take_leases(&mut self, caller: Ref<Thread>, count: usize) -> Result<(), Error> {
        let page = self.thread(caller).message_page;
        let first = core::mem::offset_of!(MessagePage, leases) / 8;
        let mut leases = [Lease::default(); MAX_LEASES];
        let mut tickets = [0; MAX_LEASES];
        for (index, (lease, ticket)) in leases.iter_mut().zip(&mut tickets).take(count).enumerate() {
            let [address, length, source, rights] = page::snapshot::<_, LEASE_WORDS>(&mut self.machine, page, first + index * LEASE_WORDS);
            if address.checked_add(length).is_none_or(|end| end > abi::USER_END) || rights & !(Lease::READ | Lease::WRITE) != 0 {
                return Err(Error::InvalidLease);
            }
            *lease = Lease { address, length, reply: source as u32, index: (source >> 32) as u32, rights };
            if lease.reply != 0 {
                *ticket = self.lent_ticket(caller, lease.reply).map_err(|_| Error::InvalidLease)?;
            }
        }
        let thread = self.thread(caller);
        for (to, from) in thread.leases.iter_mut().zip(leases).take(count) {
            *to = from;
        }
        for (to, from) in thread.lease_tickets.iter_mut().zip(tickets).take(count) {
            *to = from;
        }
        Ok(())
    }

    /// The ticket of the Reply that a lease is lent on from.
    fn lent_ticket(&mut self, caller: Ref<Thread>, reply: u32) -> Result<u64, Error> {
        let table = self.thread(caller).table;
        let place = self.place(table, reply)?;
        self.reply_at(place)?;
        Ok(self.slot(place).epoch)
    }

    /// Copies between the server and what the holder of a Reply lent.
    pub(crate) fn copy_lease(&mut self, server: Ref<Thread>, handle: u32, direction: Direction) -> Result<CopyResult, Error> {
        let [index, offset, local, bytes] = self.copy_arguments(server, handle)?;
        let bytes = bytes.min(abi::COPY_BYTES);
        let place = self.handle_place(server, handle)?;
        let need = if direction == Direction::In { Lease::READ } else { Lease::WRITE };
        let (space, address) = self.resolve_lease(place, index, offset, bytes, need)?;
        let own = self.thread(server).space;
        self.copy_between((own, local), (space, address), bytes, direction)
    }

    /// Follows a lease to the memory that it names, through everyone who lent it on. Where a link is gone, the lease is; the Reply that the copy
    /// goes through may still be answered.
    fn resolve_lease(&mut self, place: SlotPlace, index: u64, offset: u64, bytes: u64, need: u64) -> Result<(Ref<AddressSpace>, u64), Error> {
        let (mut lender, mut index, mut offset) = (self.reply_at(place)?, index, offset);
        for _ in 0..=abi::LEASE_DEPTH {
            let thread = self.thread(lender);
            let (space, table) = (thread.space, thread.table);
            match thread.call_kind() {
                CallKind::Reflected if index == 0 => return Ok((space, offset)),
                CallKind::Call if index < u64::from(thread.lease_count) => {}
                _ => return Err(Error::InvalidLease),
            }
            let lease = *thread.leases.get(index as usize).ok_or(Error::InvalidLease)?;
            let ticket = thread.lease_tickets.get(index as usize).copied().unwrap_or(0);
            let inside = offset.checked_add(bytes).is_some_and(|end| end <= lease.length);
            if !inside || lease.rights & need == 0 {
                return Err(Error::InvalidLease);
            }
            offset = lease.address.wrapping_add(offset);
            if lease.reply == 0 {
                return Ok((space, offset));
            }
            if self.lent_ticket(lender, lease.reply) != Ok(ticket) {
                return Err(Error::InvalidLease);
            }
            let place = self.place(table, lease.reply)?;
            lender = self.reply_at(place)?;
            index = u64::from(lease.index);
        }
        Err(Error::InvalidLease)
    }

    /// Copies between a thread and an address space that it has a capability to.
    pub(crate) fn copy_space(&mut self, thread: Ref<Thread>, handle: u32, direction: Direction) -> Result<CopyResult, Error> {
        let [address, local, bytes] = self.copy_arguments(thread, handle)?;
        let space = self.lookup(thread, handle, ObjectKind::AddressSpace, Rights::COPY)?.reference();
        let own = self.thread(thread).space;
        self.copy_between((own, local), (space, address), bytes.min(abi::COPY_BYTES), direction)
    }

    /// Copies from one address space to another, both of which a thread has capabilities to.
    pub(crate) fn copy_across(&mut self, thread: Ref<Thread>, handle: u32) -> Result<CopyResult, Error> {
        let [address, source, from, bytes] = self.copy_arguments(thread, handle)?;
        let space = self.lookup(thread, handle, ObjectKind::AddressSpace, Rights::COPY)?.reference();
        let source = u32::try_from(source).map_err(|_| Error::InvalidArgument)?;
        let source = self.lookup(thread, source, ObjectKind::AddressSpace, Rights::CLONE)?.reference();
        self.copy_between((source, from), (space, address), bytes.min(abi::COPY_BYTES), Direction::Out)
    }

    /// Replaces a word of an address space if it is the expected one, whoever else uses the page at the same time.
    pub(crate) fn exchange_word(&mut self, thread: Ref<Thread>, handle: u32) -> Result<CopyResult, Error> {
        let [address, expected, new] = self.copy_arguments(thread, handle)?;
        let space = self.lookup(thread, handle, ObjectKind::AddressSpace, Rights::COPY)?.reference();
        if !address.is_multiple_of(size_of::<u32>() as u64) {
            return Err(Error::InvalidArgument);
        }
        let Some(page) = self.translate(space, address, true) else {
            return Ok(CopyResult::NeedsPage { address, write: true });
        };
        let found = page::exchange_word(&mut self.machine, page, address as usize % PAGE_BYTES, expected as u32, new as u32);
        Ok(CopyResult::Copied(u64::from(found)))
    }

    /// Copies page by page between two places, as far as both are mapped with the access that the copy needs. A page that the first has not is the caller's own fault.
    fn copy_between(
        &mut self,
        (own, local): (Ref<AddressSpace>, u64),
        (space, remote): (Ref<AddressSpace>, u64),
        bytes: u64,
        direction: Direction,
    ) -> Result<CopyResult, Error> {
        let mut done: u64 = 0;
        while done < bytes {
            let (here, there) = (local.wrapping_add(done), remote.wrapping_add(done));
            let write = direction == Direction::Out;
            let Some(far) = self.translate(space, there, write) else {
                return Ok(if done == 0 { CopyResult::NeedsPage { address: there, write } } else { CopyResult::Copied(done) });
            };
            let Some(near) = self.translate(own, here, !write) else {
                return if done == 0 { Err(Error::LocalFault) } else { Ok(CopyResult::Copied(done)) };
            };
            let (near_at, far_at) = (here as usize % PAGE_BYTES, there as usize % PAGE_BYTES);
            let step = (bytes - done).min((PAGE_BYTES - near_at.max(far_at)) as u64) as usize;
            let (from, to) = if write { ((near, near_at), (far, far_at)) } else { ((far, far_at), (near, near_at)) };
            page::copy(&mut self.machine, from, to, step);
            done += step as u64;
        }
        Ok(CopyResult::Copied(done))
    }
}
