//! Capability tables: flat arrays of 32-byte slots, found by index, checked by epoch.
//!
//! Invariants: `copy`, `move` and `derive` *inherit* the source's epoch, only `retype` and `revoke` make a new one, so that no child of a dead
//! parent can come to life; every page of Memory has exactly one owning capability; a Reply stays in the slot where the kernel put it.

use abi::{Error, ObjectKind, Rights, SLOTS_PER_PAGE};

use crate::kernel::Kernel;
use crate::machine::{Machine, PageNumber};
use crate::page::{self, Object, Ref};
use crate::thread::Thread;

/// One capability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Slot {
    /// [`Rights`].
    pub rights: u8,
    /// An [`ObjectKind`].
    pub kind: u8,
    /// Always 0.
    pub reserved: u16,
    /// The object's page; for a range the first page, line or port.
    pub first: u32,
    /// Who the holder is to the object; for I/O ports the last value read.
    pub badge: u64,
    /// When it was made; for a Reply, the ticket; for I/O ports the counts of reads (high half) and writes.
    pub epoch: u64,
    /// The object's address; for a range, how many.
    pub object: u64,
}

// What names an object lies together, in this order.
const _: () = assert!(ObjectKind::Endpoint as u8 == 2 && ObjectKind::CapTable as u8 == 6);

/// Bytes of an encoded slot.
const SLOT_BYTES: u64 = abi::SLOT_BYTES;
const _: () = assert!(size_of::<Slot>() as u64 == SLOT_BYTES);

// SAFETY: `repr(C)`, 32 bytes, integers only.
#[allow(unsafe_code, reason = "a slot is plain data")]
unsafe impl Object for Slot {
    const KIND: ObjectKind = ObjectKind::CapTable;
}

impl Slot {
    /// What it is a capability to.
    #[must_use]
    pub fn kind(&self) -> ObjectKind {
        ObjectKind::from_byte(self.kind).unwrap_or(ObjectKind::Empty)
    }

    /// Whether the slot is free.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kind() == ObjectKind::Empty
    }

    /// Whether it names an object that fills pages of its own.
    #[must_use]
    pub fn names_an_object(&self) -> bool {
        (ObjectKind::Endpoint as u8..=ObjectKind::CapTable as u8).contains(&self.kind)
    }

    /// Whether it is the owning capability of its pages.
    #[must_use]
    pub fn is_owned_memory(&self) -> bool {
        self.kind() == ObjectKind::Memory && self.rights & Rights::OWNED != 0
    }

    /// For a range: how many pages, lines or ports.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.object as u32
    }

    /// For a range: whether `offset..offset + count` lies in it.
    #[must_use]
    pub fn covers(&self, offset: u64, count: u64) -> bool {
        offset.checked_add(count).is_some_and(|end| end <= u64::from(self.count()))
    }

    /// Notes that a port was read.
    pub(crate) fn note_read(&mut self, value: u32) {
        self.badge = u64::from(value);
        self.epoch = self.epoch.wrapping_add(1 << 32);
    }

    /// Notes that ports were written so often.
    pub(crate) fn note_writes(&mut self, count: u32) {
        let writes = (self.epoch as u32).wrapping_add(count);
        self.epoch = self.epoch & !u64::from(u32::MAX) | u64::from(writes);
    }

    /// The same authority with nothing done through it yet.
    #[must_use]
    pub fn without_record(self) -> Self {
        if self.kind() == ObjectKind::IoPorts { Self { badge: 0, epoch: 0, ..self } } else { self }
    }

    /// A reference to the object, for a slot whose kind has been checked.
    #[must_use]
    pub fn reference<T>(&self) -> Ref<T> {
        Ref::at(self.object)
    }
}

/// The header that lies in the first four slots of a table's first page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct CapTable {
    /// Slots, the header's included.
    pub slots: u32,
    /// Threads that are configured with it.
    pub users: u32,
    /// First of the callers whose Reply lies here.
    pub callers: Ref<Thread>,
    /// Owned Memory capabilities in it: with it their pages would be lost.
    pub owned: u64,
    /// Slots that a handle can name: all but the header's.
    pub handles: u32,
    /// Fills four slots.
    pub reserved: [u32; 25],
}

const _: () = assert!(size_of::<CapTable>() as u64 == abi::FIRST_HANDLE as u64 * SLOT_BYTES);

// SAFETY: `repr(C)`, 128 bytes, integers only.
#[allow(unsafe_code, reason = "a table's header is plain data")]
unsafe impl Object for CapTable {
    const KIND: ObjectKind = ObjectKind::CapTable;
}

/// Where a slot is: its table and its index there, known to be inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlotPlace {
    pub(crate) table: Ref<CapTable>,
    pub(crate) index: u32,
}

impl SlotPlace {
    /// The slot at an address of a table.
    pub(crate) fn at(table: Ref<CapTable>, address: u64) -> Self {
        Self { table, index: (address.wrapping_sub(table.address()) / SLOT_BYTES) as u32 }
    }

    /// The address of the slot.
    pub(crate) fn address(self) -> u64 {
        self.table.address().wrapping_add(u64::from(self.index).wrapping_mul(SLOT_BYTES))
    }
}

impl<M: Machine> Kernel<M> {
    pub(crate) fn table(&mut self, table: Ref<CapTable>) -> &mut CapTable {
        page::object(&mut self.machine, table)
    }

    /// The place of `index` in `table`.
    pub(crate) fn place(&mut self, table: Ref<CapTable>, index: u32) -> Result<SlotPlace, Error> {
        let table = table.some().ok_or(Error::InvalidHandle)?;
        if index.wrapping_sub(abi::FIRST_HANDLE) >= self.table(table).handles {
            return Err(Error::InvalidHandle);
        }
        Ok(SlotPlace { table, index })
    }

    /// The slot itself.
    pub(crate) fn slot(&mut self, place: SlotPlace) -> &mut Slot {
        page::inside(&mut self.machine, place.address())
    }

    /// The place that a handle of `thread` names, in its own table or in its vault.
    pub(crate) fn handle_place(&mut self, thread: Ref<Thread>, handle: u32) -> Result<SlotPlace, Error> {
        if handle & !(abi::VAULT | abi::HANDLE_MASK) != 0 {
            return Err(Error::InvalidHandle);
        }
        let thread = self.thread(thread);
        let table = if handle & abi::VAULT != 0 { thread.vault } else { thread.table };
        self.place(table, handle & abi::HANDLE_MASK)
    }

    /// The capability that a handle of `thread` names, of the given kind and with the given rights, still valid.
    pub(crate) fn lookup(&mut self, thread: Ref<Thread>, handle: u32, kind: ObjectKind, rights: u8) -> Result<Slot, Error> {
        let place = self.handle_place(thread, handle)?;
        let slot = *self.slot(place);
        if slot.kind != kind as u8 {
            return Err(if slot.is_empty() { Error::InvalidHandle } else { Error::WrongKind });
        }
        if !self.is_valid(&slot) {
            return Err(Error::InvalidHandle);
        }
        if slot.rights & rights != rights {
            return Err(Error::MissingRight);
        }
        Ok(slot)
    }

    /// Whether nothing has revoked or destroyed what the slot names. A range of Memory is checked page by page where it is used.
    pub(crate) fn is_valid(&mut self, slot: &Slot) -> bool {
        if slot.names_an_object() {
            return self.is_live(slot.first, slot.epoch, slot.kind);
        }
        match slot.kind() {
            ObjectKind::Reply => {
                let caller = slot.reference::<Thread>();
                caller.some().is_some_and(|caller| self.thread(caller).awaits(slot.epoch))
            }
            ObjectKind::Memory | ObjectKind::Device | ObjectKind::Irq | ObjectKind::IoPorts => true,
            _ => false,
        }
    }

    /// Whether `page` still is of `kind`, an [`ObjectKind`], and was not revoked after `epoch`.
    pub(crate) fn is_live(&mut self, page: PageNumber, epoch: u64, kind: u8) -> bool {
        self.machine.page_info(page).is_some_and(|info| info.kind == kind && epoch >= info.revoked_at)
    }

    /// The table that an argument names: the thread's own, or one that it has a capability with `rights` to.
    #[inline]
    pub(crate) fn table_argument(&mut self, thread: Ref<Thread>, handle: u64, rights: u8) -> Result<Ref<CapTable>, Error> {
        if handle == u64::from(abi::OWN_TABLE) {
            return self.thread(thread).table.some().ok_or(Error::WrongState);
        }
        self.other_table(thread, handle, rights)
    }

    fn other_table(&mut self, thread: Ref<Thread>, handle: u64, rights: u8) -> Result<Ref<CapTable>, Error> {
        let handle = u32::try_from(handle).map_err(|_| Error::InvalidArgument)?;
        Ok(self.lookup(thread, handle, ObjectKind::CapTable, rights)?.reference())
    }

    /// Fills or empties a slot that may hold owned Memory, which its table counts.
    pub(crate) fn put(&mut self, place: SlotPlace, slot: Slot) {
        let before = core::mem::replace(self.slot(place), slot);
        let header = self.table(place.table);
        header.owned = header.owned.wrapping_add(u64::from(slot.is_owned_memory())).wrapping_sub(u64::from(before.is_owned_memory()));
    }

    /// A slot to put a new capability into, which may be full.
    #[inline]
    pub(crate) fn target_place(&mut self, thread: Ref<Thread>, table: u64, index: u64) -> Result<SlotPlace, Error> {
        let table = self.table_argument(thread, table, Rights::INSERT)?;
        let index = u32::try_from(index).map_err(|_| Error::InvalidArgument)?;
        self.place(table, index)
    }

    /// An empty slot to put a new capability into.
    #[inline]
    pub(crate) fn empty_place(&mut self, thread: Ref<Thread>, table: u64, index: u64) -> Result<SlotPlace, Error> {
        let place = self.target_place(thread, table, index)?;
        if self.slot(place).is_empty() { Ok(place) } else { Err(Error::SlotFull) }
    }

    /// Copies, mints or moves a capability. Memory that is owned can only be moved; a Reply stays where it is. A badge says who the holder is,
    /// so only who holds the capability without one may set it.
    pub(crate) fn copy_capability(&mut self, thread: Ref<Thread>, table: u64) -> Result<(), Error> {
        let words: [u64; 6] = self.arguments(thread);
        const MINT: u64 = 1;
        const MOVE: u64 = 2;
        let [target, source, rights, badge, how, source_table] = words;
        let source_index = u32::try_from(source).map_err(|_| Error::InvalidArgument)?;
        let from = if source_table == u64::from(abi::OWN_TABLE) {
            self.handle_place(thread, source_index)?
        } else {
            let table = self.table_argument(thread, source_table, Rights::TAKE)?;
            self.place(table, source_index)?
        };
        let slot = *self.slot(from);
        if how & !(MINT | MOVE) != 0 || rights > u64::from(u8::MAX) {
            return Err(Error::InvalidArgument);
        }
        if slot.is_empty() || !self.is_valid(&slot) {
            return Err(Error::InvalidHandle);
        }
        if slot.kind() == ObjectKind::Reply || slot.is_owned_memory() && how & MOVE == 0 {
            return Err(Error::WrongKind);
        }
        if how & MINT != 0 && slot.kind() == ObjectKind::IoPorts {
            return Err(Error::WrongKind);
        }
        if how & MINT != 0 && slot.badge != 0 && slot.badge != badge {
            return Err(Error::MissingRight);
        }
        let to = self.empty_place(thread, table, target)?;
        let moves = how & MOVE != 0;
        // Read again instead of kept: it has not changed, and fits no registers.
        let mut slot = *self.slot(from);
        if how & MINT != 0 {
            slot.badge = badge;
        }
        if moves {
            self.put(from, Slot::default());
            self.put(to, slot);
        } else {
            slot.rights &= rights as u8;
            *self.slot(to) = slot.without_record();
        }
        Ok(())
    }

    /// Empties a slot. A Reply is dropped: its caller is told so.
    pub(crate) fn delete_capability(&mut self, thread: Ref<Thread>, table: u64) -> Result<(), Error> {
        let [index] = self.arguments(thread);
        let table = self.table_argument(thread, table, Rights::INSERT)?;
        let index = u32::try_from(index).map_err(|_| Error::InvalidArgument)?;
        let place = self.place(table, index)?;
        let slot = *self.slot(place);
        match slot.kind() {
            ObjectKind::Memory if slot.is_owned_memory() => return Err(Error::Busy),
            ObjectKind::Reply => self.drop_reply(place),
            _ => *self.slot(place) = Slot::default(),
        }
        Ok(())
    }

    /// Says what a slot holds: kind, rights, badge, first, count, valid.
    pub(crate) fn describe(&mut self, thread: Ref<Thread>, table: u64) -> Result<[u64; 6], Error> {
        let [index] = self.arguments(thread);
        let table = self.table_argument(thread, table, Rights::TAKE)?;
        let index = u32::try_from(index).map_err(|_| Error::InvalidArgument)?;
        let place = self.place(table, index)?;
        let slot = *self.slot(place);
        let valid = self.is_valid(&slot);
        let (first, count) = match slot.kind() {
            ObjectKind::Memory | ObjectKind::Device | ObjectKind::Irq | ObjectKind::IoPorts => (slot.first, slot.count()),
            ObjectKind::Endpoint if valid => {
                let [callers, receivers] = self.queues(slot.reference());
                (u32::from(callers), u32::from(receivers))
            }
            _ => (0, 0),
        };
        Ok([u64::from(slot.kind), u64::from(slot.rights), slot.without_record().badge, u64::from(first), u64::from(count), u64::from(valid)])
    }

    /// Lends a part of a range, with fewer rights. What comes out owns nothing.
    pub(crate) fn derive(&mut self, thread: Ref<Thread>, handle: u32) -> Result<(), Error> {
        let [offset, count, rights, target, table] = self.arguments(thread);
        let place = self.handle_place(thread, handle)?;
        let mut slot = *self.slot(place);
        if slot.is_empty() {
            return Err(Error::InvalidHandle);
        }
        if !matches!(slot.kind(), ObjectKind::Memory | ObjectKind::Device | ObjectKind::Irq | ObjectKind::IoPorts) {
            return Err(Error::WrongKind);
        }
        if count == 0 || !slot.covers(offset, count) || rights > u64::from(u8::MAX) {
            return Err(Error::InvalidArgument);
        }
        let to = self.empty_place(thread, table, target)?;
        if slot.is_owned_memory() {
            // The owner's right rests on ownership, not on an epoch, so what it lends counts from now.
            slot.epoch = self.epoch;
            slot.rights &= !Rights::OWNED;
        }
        slot = slot.without_record();
        slot.first = slot.first.wrapping_add(offset as u32);
        slot.object = count;
        slot.rights &= rights as u8;
        *self.slot(to) = slot;
        Ok(())
    }

    /// Adds the next page, zeroed and of its kind already, to a table. All but the first are pinned by it: what lies at their start is a slot, not a header.
    pub(crate) fn grow_table(&mut self, table: Ref<CapTable>) {
        let pages = self.table_pages(table);
        self.set_table_pages(table, pages.saturating_add(1));
        let page = self.machine.page_of(table.address()).saturating_add(pages);
        if pages != 0
            && let Some(info) = self.machine.page_info(page)
        {
            info.pins = 1;
        }
    }

    /// Takes the last page, which nobody can need any more, from a table; the page is still to be zeroed.
    pub(crate) fn shrink_table(&mut self, table: Ref<CapTable>) -> PageNumber {
        let pages = self.table_pages(table).saturating_sub(1);
        self.set_table_pages(table, pages);
        self.machine.page_of(table.address()).saturating_add(pages)
    }

    /// How many pages a table has.
    fn set_table_pages(&mut self, table: Ref<CapTable>, pages: u32) {
        let slots = pages.saturating_mul(SLOTS_PER_PAGE);
        let header = self.table(table);
        (header.slots, header.handles) = (slots, slots.saturating_sub(abi::FIRST_HANDLE));
    }

    pub(crate) fn table_pages(&mut self, table: Ref<CapTable>) -> u32 {
        self.table(table).slots / SLOTS_PER_PAGE
    }
}

#[cfg(test)]
mod tests {
    use super::Slot;

    #[test]
    fn counts_of_port_accesses_wrap_without_touching_each_other() {
        let mut slot = Slot { epoch: 5 << 32 | u64::from(u32::MAX), ..Slot::default() };
        slot.note_writes(2);
        assert_eq!(slot.epoch, 5 << 32 | 1);
        let mut slot = Slot { epoch: u64::from(u32::MAX) << 32 | 7, ..Slot::default() };
        slot.note_read(3);
        assert_eq!((slot.epoch, slot.badge), (7, 3));
    }
}
