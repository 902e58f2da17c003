//! Selling memory and taking it back.
//!
//! What is sold moves: the owning capability goes from memory's vault into the slot that the buyer named in its own, by one kernel operation. So
//! there is no moment at which both or neither has it, and the slot tells whether it happened. Around it the ledger: intent, effect, record.
//! At a restart an intent is settled by looking at the slot.
//!
//! The quota is the service's, because what it bought lies in its vault, which outlives its instances: a successor finds it there and has it already.

use abi::ObjectKind;
use libsys::fail;
use libsys::saved::Area;
use protocols::memory::Error;
use protocols::supervisor::Buyer;

use crate::kernel::{Described, Kernel, Table};
use crate::pieces::{Pieces, Run};
use crate::saved::{self, Intent, Kind, Ledger};

libsys::failpoints! {
    /// Where a test lets memory die.
    pub enum Point {
        BuyIntent => "buy.intent",
        BuyEffect => "buy.effect",
        BuyRecord => "buy.record",
        BuyReply => "buy.reply",
        ReturnIntent => "return.intent",
        ReturnEffect => "return.effect",
        ReturnRecord => "return.record",
        ReturnReply => "return.reply",
        FaultIntent => "fault.intent",
        Fault => "fault.map",
        HugeIntent => "huge.intent",
        HugeEffect => "huge.effect",
        HugeRecord => "huge.record",
        HugeReply => "huge.reply",
        CompactUnmapped => "compact.unmapped",
        CompactMoved => "compact.moved",
    }
}

/// Settles what a predecessor began.
pub fn recover(kernel: &mut impl Kernel, area: &Area<Ledger>) {
    let intent = area.state().intent.get();
    let Some(kind) = intent.kind() else { return };
    let found = kernel.describe(Table::Buyer(intent.service as u8), intent.slot);
    let filled = found.is_ok_and(|found| found.kind == ObjectKind::Memory);
    saved::settle(area, filled == (kind == Kind::Buy));
}

fn buyers_slot(kernel: &mut impl Kernel, buyer: u8, slot: u32) -> Result<Described, Error> {
    kernel.describe(Table::Buyer(buyer), slot).map_err(|_| Error::InvalidSlot)
}

/// Moves `pages` pages into the buyer's slot.
///
/// # Errors
/// [`Error::InvalidRange`] for none, [`Error::InvalidSlot`], [`Error::QuotaExceeded`], [`Error::OutOfMemory`].
pub fn buy(kernel: &mut impl Kernel, pieces: &mut Pieces, area: &Area<Ledger>, buyer: Buyer, pages: u64, slot: u32) -> Result<(), Error> {
    let Buyer { service: buyer, quota } = buyer;
    if pages == 0 {
        return Err(Error::InvalidRange);
    }
    match buyers_slot(kernel, buyer, slot)? {
        found if found.kind == ObjectKind::Empty => {}
        found if found.kind == ObjectKind::Memory && found.pages == pages => return Ok(()),
        _ => return Err(Error::InvalidSlot),
    }
    let total = pieces.total() + area.state().total();
    if area.state().sold_to(buyer).saturating_add(pages) > quota.of(total) {
        return Err(Error::QuotaExceeded);
    }
    let run = pieces.find_sale(kernel, pages).ok_or(Error::OutOfMemory)?;
    let first = pieces.first(run);
    saved::intend(area, Intent::new(Kind::Buy, buyer, slot, pages));
    fail::hit(Point::BuyIntent);
    let moved = hand_over(kernel, pieces, run, buyer, slot);
    fail::hit(Point::BuyEffect);
    saved::settle(area, moved.is_ok());
    fail::hit(Point::BuyRecord);
    pieces.refresh(kernel);
    pieces.forget_pages(first, pages);
    fail::hit(Point::BuyReply);
    moved.map_err(|_| Error::OutOfMemory)
}

/// Cuts the run out of its piece and moves it.
fn hand_over(kernel: &mut impl Kernel, pieces: &Pieces, run: Run, buyer: u8, slot: u32) -> Result<(), abi::Error> {
    if run.page + run.pages < pieces.length(run.slot) {
        let spare = pieces.spare_slot().ok_or(abi::Error::KernelLimit)?;
        kernel.split(run.slot, run.page + run.pages, Table::Own, spare)?;
    }
    if run.page == 0 {
        kernel.relocate(Table::Own, run.slot, Table::Buyer(buyer), slot)
    } else {
        kernel.split(run.slot, run.page, Table::Buyer(buyer), slot)
    }
}

/// Takes what lies in the buyer's slot back.
///
/// # Errors
/// [`Error::InvalidSlot`], [`Error::TooFragmented`].
pub fn take_back(kernel: &mut impl Kernel, pieces: &mut Pieces, area: &Area<Ledger>, buyer: u8, slot: u32) -> Result<(), Error> {
    let found = buyers_slot(kernel, buyer, slot)?;
    match found.kind {
        ObjectKind::Empty => return Ok(()),
        ObjectKind::Memory => {}
        _ => return Err(Error::InvalidSlot),
    }
    let spare = pieces.spare_slot().ok_or(Error::TooFragmented)?;
    saved::intend(area, Intent::new(Kind::Return, buyer, slot, found.pages));
    fail::hit(Point::ReturnIntent);
    let moved = kernel.relocate(Table::Buyer(buyer), slot, Table::Own, spare);
    fail::hit(Point::ReturnEffect);
    saved::settle(area, moved.is_ok());
    fail::hit(Point::ReturnRecord);
    pieces.join(kernel);
    pieces.forget_pages(found.first, found.pages);
    fail::hit(Point::ReturnReply);
    moved.map_err(|_| Error::InvalidSlot)
}
