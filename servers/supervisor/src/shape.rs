//! How many pages an instance takes, and which is which in its run.
//!
//! The order matters to the reaper: threads first, then table, then space, then the plain pages. Destroying the threads unpins their message
//! pages, and taking the space apart unmaps the rest, so that each page is free when its turn comes.

use abi::{PAGE_SIZE, SLOTS_PER_PAGE};
use libsys::layout;

use crate::spec::Spec;

/// Pages of an instance's own capability table: 1024 slots. posix keeps a Reply for each waiting Linux thread, the others use a few dozen.
const TABLE_PAGES: u64 = 8;
/// Page tables of one range: three levels, and one more where it is not aligned to the reach of a table.
const TABLES_PER_RANGE: u64 = 4;
const PAGES_PER_TABLE: u64 = 512;

/// Offsets in an instance's run of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Thread objects, from page 0 on.
    pub threads: u64,
    /// The capability table.
    pub table: u64,
    /// Its pages.
    pub table_pages: u64,
    /// The address space.
    pub space: u64,
    /// Pages for page tables.
    pub tables: u64,
    /// Their number.
    pub tables_pages: u64,
    /// Start information.
    pub start_info: u64,
    /// The log's page.
    pub log: u64,
    /// Message pages, one for each thread.
    pub messages: u64,
    /// Stacks, one after the other.
    pub stacks: u64,
    /// The image's segments, one after the other.
    pub image: u64,
    /// The heap, where there is no pager to bring it.
    pub heap: u64,
    /// Pages of that heap.
    pub heap_pages: u64,
    /// All pages.
    pub pages: u64,
}

/// Pages that `slots` slots of a table take.
#[must_use]
pub fn pages_for_slots(slots: u32) -> u64 {
    u64::from(slots.div_ceil(SLOTS_PER_PAGE))
}

fn tables_for(pages: u64) -> u64 {
    if pages == 0 { 0 } else { TABLES_PER_RANGE + pages / PAGES_PER_TABLE }
}

/// Page tables for all that the supervisor maps into an instance; what memory maps, memory brings tables for.
fn tables_pages(spec: &Spec<'_>, image_pages: u64, rootfs_pages: u64) -> u64 {
    let stacks = u64::from(spec.all_threads()) * layout::STACK_STRIDE / PAGE_SIZE;
    let own = if spec.is_paged() { 0 } else { tables_for(u64::from(spec.heap_pages)) + tables_for(u64::from(spec.saved_pages)) };
    let rootfs = if spec.rootfs { tables_for(rootfs_pages) } else { 0 };
    // One range for start information, log and message pages: they lie within 2 MiB.
    tables_for(1) + tables_for(stacks) + tables_for(image_pages) + own + rootfs
}

impl Shape {
    /// The shape of an instance of `spec`.
    #[must_use]
    pub fn of(spec: &Spec<'_>, rootfs_pages: u64) -> Self {
        let threads = u64::from(spec.all_threads());
        let image_pages: u64 = spec.image.segments().map(|segment| u64::from(segment.pages)).sum();
        let heap_pages = if spec.is_paged() { 0 } else { u64::from(spec.heap_pages) };
        let tables_pages = tables_pages(spec, image_pages, rootfs_pages);
        let table = threads;
        let space = table + TABLE_PAGES;
        let tables = space + 1;
        let start_info = tables + tables_pages;
        let log = start_info + layout::START_INFO_PAGES;
        let messages = log + 1;
        let stacks = messages + threads;
        let image = stacks + threads * layout::STACK_PAGES;
        let heap = image + image_pages;
        let pages = heap + heap_pages;
        Self {
            threads,
            table,
            table_pages: TABLE_PAGES,
            space,
            tables,
            tables_pages,
            start_info,
            log,
            messages,
            stacks,
            image,
            heap,
            heap_pages,
            pages,
        }
    }
}
