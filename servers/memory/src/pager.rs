//! Page faults of native servers: a zeroed page of their heap, or a page of a region that outlives them.
//!
//! A window's size is the service's quota for it: what lies beyond is declined, and the supervisor hears of it as of any other crash. The heap
//! belongs to the instance, its pages are free again when the instance's space is taken apart. Saved state and region belong to the service: the
//! page is put into a region first and then shared into the instance, so the next instance finds it.
//!
//! Every step here may have been done before by an instance of memory that died of the next one; a page that is there already is therefore success,
//! and the kernel's share leaves it alone. 2 MiB pages come where they were asked for ([`wish`]), nothing lies yet, and there are such pages; else small ones do. A fault of a dead instance that is still in hand when its successor starts does no harm: it gives the successor a page that it would have got anyway.

use crate::blocks::BLOCK;
use crate::kernel::{Kernel, Table, slot};
use crate::pieces::{Kind, Pieces};
use crate::saved::Ledger;
use crate::wish;
use abi::{Error, FaultAccess, MapFlags, ObjectKind, PAGE_SIZE};
use libsys::layout;
use libsys::saved::Area;
use protocols::memory;
use protocols::service::Badge;
use protocols::supervisor::Paged;

/// Pages that one fault brings at most: heaps and areas are used from low to high addresses, and a fault costs as much as zeroing a few pages.
const FAULT_AROUND: u64 = 16;
/// Pages of tables that one range of at most [`FAULT_AROUND`] pages can need: three levels, twice where it crosses a boundary.
const TABLES: usize = 6;
const HUGE_BYTES: u64 = BLOCK * PAGE_SIZE;
const _: () = assert!(layout::HEAP.is_multiple_of(HUGE_BYTES) && layout::REGION.is_multiple_of(HUGE_BYTES), "windows begin with whole 2 MiB");

/// What the kernel is to do with the faulting thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Try the instruction again.
    Resume,
    /// Not a page of memory's.
    Decline,
    /// There is no page left.
    OutOfMemory,
}

/// A window of a native server's address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Window {
    Heap,
    /// Backed by the region in this slot.
    Region(u32),
}

/// Where a fault falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    window: Window,
    /// Address of the page.
    address: u64,
    /// Page within the window.
    page: u64,
    /// Whether 2 MiB pages are wanted around it.
    wants_huge: bool,
    /// Pages from there to the window's end.
    left: u64,
}

impl Place {
    /// Whether its page can be moved later.
    fn kind(self) -> Kind {
        match self.window {
            Window::Heap => Kind::Fixed,
            Window::Region(_) => Kind::Movable,
        }
    }
}

fn place(paged: &Paged, address: u64) -> Option<Place> {
    let windows = [
        (Window::Heap, layout::HEAP, paged.heap_pages),
        (Window::Region(slot::SAVED + u32::from(paged.service)), layout::SAVED, paged.saved_pages),
        (Window::Region(slot::REGION + u32::from(paged.service)), layout::REGION, paged.region_pages),
    ];
    windows.into_iter().find_map(|(window, start, pages)| {
        let page = address.checked_sub(start)? / PAGE_SIZE;
        let left = u64::from(pages).checked_sub(page).filter(|left| *left > 0)?;
        Some(Place { window, address: start + page * PAGE_SIZE, page, left, wants_huge: false })
    })
}

/// Answers a fault at `address` by the instance that `from` names.
pub fn fault(kernel: &mut impl Kernel, pieces: &mut Pieces, area: &Area<Ledger>, paged: &[Paged], from: Badge, address: u64, access: u64) -> Verdict {
    let Some(paged) = paged.iter().find(|paged| paged.service == from.service && paged.service < slot::SERVICES) else {
        return Verdict::Decline;
    };
    let space = slot::SPACES + u32::from(paged.service);
    if !is_current(kernel, space, from.instance) || access & (FaultAccess::EXECUTE | FaultAccess::PRESENT) != 0 {
        return Verdict::Decline;
    }
    let Some(mut place) = place(paged, address) else {
        return Verdict::Decline;
    };
    place.wants_huge = match place.window {
        Window::Heap => wish::covers(area, from, memory::Window::Heap, place.page),
        Window::Region(region) => region == slot::REGION + u32::from(paged.service) && wish::covers(area, from, memory::Window::Region, place.page),
    };
    let done = match place.window {
        Window::Heap => back(kernel, pieces, space, place.address, place),
        Window::Region(region) => region_page(kernel, pieces, space, region, place),
    };
    match done {
        Ok(()) => Verdict::Resume,
        Err(Error::KernelLimit) => Verdict::OutOfMemory,
        Err(_) => Verdict::Decline,
    }
}

fn is_current(kernel: &mut impl Kernel, space: u32, instance: u32) -> bool {
    let described = kernel.describe(Table::Own, space);
    described.is_ok_and(|found| found.kind == ObjectKind::AddressSpace && found.badge as u32 == instance)
}

/// Maps zeroed pages from `address` on: at least one, more where they come in a run, or the 2 MiB page around it.
fn back(kernel: &mut impl Kernel, pieces: &mut Pieces, space: u32, address: u64, place: Place) -> Result<(), Error> {
    if place.wants_huge && back_huge(kernel, pieces, space, address - address % HUGE_BYTES)? {
        return Ok(());
    }
    let around = place.left.min(FAULT_AROUND);
    with_tables(kernel, pieces, space, |kernel, pieces| {
        let run = pieces.find(kernel, place.kind(), around).ok_or(Error::KernelLimit)?;
        match kernel.map_zeroed(space, address, run.slot, run.page, run.pages) {
            Ok(done) => pieces.used(run, done),
            Err(Error::AlreadyMapped) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    })
}

/// Maps a zeroed 2 MiB page. Whether it did: not where there are small pages already, or no such page is left.
fn back_huge(kernel: &mut impl Kernel, pieces: &mut Pieces, space: u32, address: u64) -> Result<bool, Error> {
    let mut done = false;
    with_tables(kernel, pieces, space, |kernel, pieces| {
        let Some(run) = pieces.find_whole(kernel) else { return Ok(()) };
        match kernel.map_huge(space, address, run.slot, run.page) {
            Ok(()) => {
                pieces.used(run, BLOCK);
                done = true;
                Ok(())
            }
            Err(Error::AlreadyMapped) => Ok(()),
            Err(error) => Err(error),
        }
    })?;
    Ok(done)
}

/// Puts a page into the region, unless it is there, and shares it and its neighbours into the instance.
fn region_page(kernel: &mut impl Kernel, pieces: &mut Pieces, space: u32, region: u32, place: Place) -> Result<(), Error> {
    open_region(kernel, pieces, region)?;
    back(kernel, pieces, region, place.page * PAGE_SIZE, place)?;
    let mut word = [0];
    kernel.list(region, place.page * PAGE_SIZE, &mut word)?;
    if word[0] & MapFlags::HUGE != 0 {
        let into = place.page % BLOCK;
        let whole = Place { address: place.address - into * PAGE_SIZE, page: place.page - into, ..place };
        return share(kernel, pieces, space, region, whole, BLOCK);
    }
    match share(kernel, pieces, space, region, place, place.left.min(FAULT_AROUND)) {
        // Somebody cloned the page, so the region may not write it any more: it gets a copy of its own, the clone keeps the old page.
        Err(Error::MissingRight) => {
            let run = pieces.find(kernel, Kind::Movable, 1).ok_or(Error::KernelLimit)?;
            kernel.unshare(region, place.page * PAGE_SIZE, run.slot, run.page)?;
            pieces.used(run, 1);
            share(kernel, pieces, space, region, place, 1)
        }
        result => result,
    }
}

fn share(kernel: &mut impl Kernel, pieces: &mut Pieces, space: u32, region: u32, place: Place, pages: u64) -> Result<(), Error> {
    with_tables(kernel, pieces, space, |kernel, _| kernel.share(space, place.address, region, place.page * PAGE_SIZE, pages).map(|_done| ()))
}

/// Makes sure that the region exists.
pub fn open_region(kernel: &mut impl Kernel, pieces: &mut Pieces, region: u32) -> Result<(), Error> {
    if kernel.describe(Table::Own, region)?.kind == ObjectKind::AddressSpace {
        return Ok(());
    }
    let run = pieces.find(kernel, Kind::Fixed, 1).ok_or(Error::KernelLimit)?;
    kernel.make_region(run.slot, run.page, region)?;
    pieces.used(run, 1);
    Ok(())
}

/// Does `attempt` again, with one more page for tables, as long as the space asks for one.
fn with_tables<K: Kernel>(
    kernel: &mut K,
    pieces: &mut Pieces,
    space: u32,
    mut attempt: impl FnMut(&mut K, &mut Pieces) -> Result<(), Error>,
) -> Result<(), Error> {
    for _ in 0..TABLES {
        match attempt(kernel, pieces) {
            Err(Error::NeedsTable) => {}
            result => return result,
        }
        let run = pieces.find(kernel, Kind::Fixed, 1).ok_or(Error::KernelLimit)?;
        kernel.add_table(space, run.slot, run.page)?;
        pieces.used(run, 1);
    }
    attempt(kernel, pieces)
}
