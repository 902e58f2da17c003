//! The real machine: the region's window, memory's discards, the clock, the callers' notifications.
#![allow(unsafe_code, reason = "the region and the archive are windows of the address space")]

use libsys::{Peer, clock, layout, next_number, slot, syscall};
use protocols::memory::{Client, Usage};
use protocols::service::Service;
use protocols::vfs::{Time, event};

use crate::host::{Host, PAGE, Page};
use crate::pages::MAX_PAGES;

const NANOSECONDS: u64 = 1_000_000_000;

/// Of all memory, one part in so many may hold files (Linux: half, for a tmpfs).
const SHARE_OF_MEMORY: u64 = 2;
/// Of all memory, one part in so many is left to others, whatever is free.
const RESERVE_OF_MEMORY: u64 = 16;
/// Pages that are granted at once, so that not every write asks memory.
const GRANT: u64 = 2048;

/// The window that the supervisor gave this instance, and what memory says.
#[derive(Debug)]
pub struct Machine {
    window: u32,
    pages: u32,
    granted: u32,
}

impl Machine {
    /// With a region of `region_pages` pages, as the start information says. There is one of it.
    #[must_use]
    pub fn new(region_pages: u32) -> Self {
        let window = region_pages.min(MAX_PAGES);
        let most = usage().map_or(u64::MAX, |usage| usage.total / SHARE_OF_MEMORY);
        Self { window, pages: u32::try_from(most).unwrap_or(u32::MAX).min(window), granted: 0 }
    }

    fn address(&self, page: u32) -> *mut Page {
        assert!(page < self.window, "a page beyond the region was asked for");
        core::ptr::with_exposed_provenance_mut(layout::REGION as usize + page as usize * PAGE)
    }
}

fn usage() -> Option<Usage> {
    Client(Peer::to(Service::Memory)).usage(next_number()).ok()
}

/// Writes a byte of a page without changing it, in one instruction, because a program may write there at the same time. The kernel copies only to pages
/// that may be written; the fault that this makes is the one that a plain store would make.
fn make_writable(byte: *mut u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: callers pass an address of the region's window; the bits stay as they are.
    unsafe {
        core::arch::asm!("lock or byte ptr [{}], 0", in(reg) byte, options(nostack));
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _not_the_machine = byte;
}

/// The root file system's archive, of the length that the start information says.
#[must_use]
pub fn archive(bytes: u64) -> &'static [u8] {
    if bytes == 0 {
        return &[];
    }
    // SAFETY: the supervisor maps so many bytes there, read only, before it starts the instance, and never unmaps them.
    unsafe { core::slice::from_raw_parts(core::ptr::with_exposed_provenance(layout::ROOTFS as usize), bytes as usize) }
}

impl Host for Machine {
    fn page_count(&self) -> u32 {
        self.pages
    }

    fn room(&mut self, wanted: u32) -> u32 {
        if self.granted < wanted
            && let Some(usage) = usage()
        {
            let spare = usage.free.saturating_sub(usage.total / RESERVE_OF_MEMORY);
            self.granted = spare.min(GRANT) as u32;
        }
        let room = wanted.min(self.granted);
        self.granted -= room;
        room
    }

    fn page(&mut self, page: u32) -> &Page {
        let page = self.address(page);
        // The kernel copies only from pages that are there; this fetches one that a predecessor used.
        // SAFETY: the address is a page of the region's window.
        let _present = unsafe { page.cast::<u8>().read_volatile() };
        // SAFETY: as above. Programs may share the page, as they may share any page whose bytes they pass: nothing here relies on a byte staying what it
        // was. The borrow of `self` keeps references to a page from overlapping.
        unsafe { &*page }
    }

    fn page_mut(&mut self, page: u32) -> &mut Page {
        let page = self.address(page);
        make_writable(page.cast());
        // SAFETY: as in `page`.
        unsafe { &mut *page }
    }

    fn discard(&mut self, first: u32, count: u32) -> bool {
        Client(Peer::to(Service::Memory)).discard(next_number(), first, count).is_ok()
    }

    fn now(&self) -> Time {
        let now = clock::wall_ns();
        Time { seconds: (now / NANOSECONDS) as i64, nanoseconds: (now % NANOSECONDS) as u32 }
    }

    fn signal_ready(&mut self, service: u8) {
        if let Some(service) = Service::from_id(service) {
            // A service that has not declared calls to this one has no notification here, and waits for nothing.
            let _nobody = syscall::signal(slot::notification_of(service), event::READY);
        }
    }
}
