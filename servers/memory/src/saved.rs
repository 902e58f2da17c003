//! What memory remembers: how many pages it sold to whom, the sale that is under way, and where 2 MiB pages are wanted.
//!
//! All else is told by kernel objects: which pages are free, which regions there are, whose space is whose. The ledger is saved because a buyer
//! cuts and joins what it bought, so afterwards nothing shows any more how much that was. Its layout is versioned and append only.

use libsys::saved::{Area, Array, Cell};

use crate::kernel::slot;

libsys::plain! {
    /// A purchase or a return whose effect may or may not have happened.
    pub struct Intent {
        /// [`Kind`], or 0 for none.
        pub kind: u32,
        /// The buyer's service number.
        pub service: u32,
        /// Slot of the buyer's vault.
        pub slot: u32,
        /// Fills the record.
        pub reserved: u32,
        /// How many pages.
        pub pages: u64,
    }
}

libsys::plain! {
    /// A range of a window in which 2 MiB pages are wanted.
    pub struct Wish {
        /// Pages; 0 for a free record.
        pub pages: u64,
        /// First page within the window.
        pub first: u64,
        /// The service's number.
        pub service: u32,
        /// Its instance, for a range of the heap; 0 for one of the region.
        pub instance: u32,
    }
}

/// Most ranges in which 2 MiB pages are wanted.
pub const WISHES: usize = 32;

libsys::saved_state! {
    /// The ledger.
    pub struct Ledger: 2 {
        /// Pages sold, by service.
        pub sold: Array<u64, { slot::SERVICES as usize }>,
        /// What is under way.
        pub intent: Cell<Intent>,
        /// Where 2 MiB pages are wanted.
        pub wishes: Array<Wish, WISHES>,
    }
}

/// Which way memory goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// To the buyer.
    Buy = 1,
    /// Back.
    Return = 2,
}

impl Intent {
    /// A record of `kind`.
    #[must_use]
    pub fn new(kind: Kind, service: u8, slot: u32, pages: u64) -> Self {
        Self { kind: kind as u32, service: u32::from(service), slot, reserved: 0, pages }
    }

    /// Its kind; `None` when nothing is under way.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        [Kind::Buy, Kind::Return].into_iter().find(|kind| *kind as u32 == self.kind)
    }
}

impl Ledger {
    /// Pages that were sold to `service`.
    #[must_use]
    pub fn sold_to(&self, service: u8) -> u64 {
        self.sold.get(usize::from(service)).map_or(0, Cell::get)
    }

    /// Pages that were sold.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.sold.iter().map(Cell::get).fold(0, u64::saturating_add)
    }
}

/// Says what is going to happen.
pub fn intend(area: &Area<Ledger>, intent: Intent) {
    let transaction = area.begin();
    area.state().intent.set(&transaction, intent);
    transaction.commit();
}

/// Ends what was intended, and books it if it happened.
pub fn settle(area: &Area<Ledger>, happened: bool) {
    let transaction = area.begin();
    let intent = area.state().intent.get();
    if let (true, Some(kind), Some(sold)) = (happened, intent.kind(), area.state().sold.get(intent.service as usize)) {
        sold.update(&transaction, |pages| match kind {
            Kind::Buy => pages.saturating_add(intent.pages),
            Kind::Return => pages.saturating_sub(intent.pages),
        });
    }
    area.state().intent.set(&transaction, Intent::zeroed());
    transaction.commit();
}
