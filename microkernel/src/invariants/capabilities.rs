//! Slots: who owns which page, which handles work, which caller each Reply is for.

use abi::{ObjectKind, Rights, SLOTS_PER_PAGE};

use super::{Count, Objects, Place, Violation, ensure};
use crate::capability::{CapTable, Slot, SlotPlace};
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::page::{self, Ref};
use crate::thread::State;

/// How many pages have an owning capability: the same number for as long as the machine runs.
pub fn owned_pages<M: Machine>(kernel: &mut Kernel<M>) -> u32 {
    let objects = Objects::find(kernel);
    let mut pages = 0;
    for table in objects.tables {
        for_each_slot(kernel, table, |_, _, slot| {
            pages += if slot.is_owned_memory() { slot.count() } else { 0 };
            Ok(())
        })
        .unwrap_or_else(|violation| panic!("{violation:?}"));
    }
    pages
}

pub(super) fn for_each_slot<M: Machine>(
    kernel: &mut Kernel<M>,
    table: Ref<CapTable>,
    mut act: impl FnMut(&mut Kernel<M>, Place, Slot) -> Result<(), Violation>,
) -> Result<(), Violation> {
    let first = kernel.machine.page_of(table.address());
    for page in 0..kernel.table(table).slots / SLOTS_PER_PAGE {
        // Most slots are empty: look at the words first.
        let words = *page::words(&mut kernel.machine, first + page);
        let start = if page == 0 { abi::FIRST_HANDLE } else { 0 };
        for offset in (start..SLOTS_PER_PAGE).filter(|offset| words[*offset as usize * 4..][..4] != [0; 4]) {
            let index = page * SLOTS_PER_PAGE + offset;
            let slot = *kernel.slot(SlotPlace { table, index });
            act(kernel, Place { table, index }, slot)?;
        }
    }
    Ok(())
}

pub(super) fn check<M: Machine>(kernel: &mut Kernel<M>, objects: &Objects) -> Result<(), Violation> {
    let mut owners = vec![0u8; kernel.machine.page_count() as usize];
    for table in &objects.tables {
        let first = kernel.machine.page_of(table.address());
        let pages = kernel.table(*table).slots / SLOTS_PER_PAGE;
        ensure(pages != 0, || Violation::TablePage(first))?;
        for page in first..first + pages {
            let info = kernel.machine.page_info(page).copied().unwrap_or_default();
            ensure(info.kind() == ObjectKind::CapTable && (info.pins == 0) == (page == first), || Violation::TablePage(page))?;
        }
        let mut counted = 0;
        for_each_slot(kernel, *table, |kernel, place, slot| {
            counted += u64::from(slot.is_owned_memory());
            check_slot(kernel, place, &slot, &mut owners)
        })?;
        let recorded = kernel.table(*table).owned;
        ensure(recorded == counted, || Violation::Owned(Count { of: table.address(), recorded, counted }))?;
    }
    Ok(())
}

fn check_slot<M: Machine>(kernel: &mut Kernel<M>, place: Place, slot: &Slot, owners: &mut [u8]) -> Result<(), Violation> {
    ensure(slot.reserved == 0 && ObjectKind::from_byte(slot.kind) == Some(slot.kind()), || Violation::Slot(place))?;
    match slot.kind() {
        ObjectKind::Empty | ObjectKind::PageTable => Err(Violation::Slot(place)),
        ObjectKind::Reply => check_reply(kernel, place, slot),
        ObjectKind::Memory => check_memory(kernel, place, slot, owners),
        ObjectKind::Device | ObjectKind::Irq | ObjectKind::IoPorts => ensure(slot.count() != 0, || Violation::Slot(place)),
        ObjectKind::Endpoint | ObjectKind::Notification | ObjectKind::Thread | ObjectKind::AddressSpace | ObjectKind::CapTable => {
            let at_page = kernel.machine.page_address(slot.first) == slot.object;
            ensure(at_page && slot.epoch <= kernel.epoch, || Violation::Slot(place))?;
            let info = kernel.machine.page_info(slot.first).copied().unwrap_or_default();
            let valid = info.kind() == slot.kind() && slot.epoch >= info.revoked_at;
            ensure(kernel.is_valid(slot) == valid, || Violation::Validity(place))
        }
    }
}

fn check_memory<M: Machine>(kernel: &mut Kernel<M>, place: Place, slot: &Slot, owners: &mut [u8]) -> Result<(), Violation> {
    let end = u64::from(slot.first) + slot.object;
    ensure(slot.object != 0 && end <= owners.len() as u64 && slot.epoch <= kernel.epoch, || Violation::Slot(place))?;
    if slot.rights & Rights::OWNED == 0 {
        return Ok(());
    }
    for page in slot.first..end as u32 {
        let kind = kernel.machine.page_info(page).map_or(ObjectKind::Empty, |info| info.kind());
        ensure(!matches!(kind, ObjectKind::Empty | ObjectKind::Device), || Violation::OwnsNothing(place))?;
        let owned = core::mem::replace(&mut owners[page as usize], 1);
        ensure(owned == 0, || Violation::TwoOwners(page))?;
    }
    Ok(())
}

/// A Reply that names a caller is the one that this caller waits for; one whose caller is gone names nobody.
fn check_reply<M: Machine>(kernel: &mut Kernel<M>, place: Place, slot: &Slot) -> Result<(), Violation> {
    if slot.object == 0 {
        return Ok(());
    }
    let page = kernel.machine.page_of(slot.object);
    let kind = kernel.machine.page_info(page).map_or(ObjectKind::Empty, |info| info.kind());
    ensure(kind == ObjectKind::Thread, || Violation::Reply(place))?;
    let caller = kernel.thread(slot.reference());
    let awaited = caller.state() == State::AwaitingReply && caller.ticket == slot.epoch;
    ensure(awaited && caller.reply_table == place.table && caller.reply == SlotPlace { table: place.table, index: place.index }.address(), || {
        Violation::Reply(place)
    })
}
