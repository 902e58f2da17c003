//! Making a 2 MiB page out of scattered ones: the pages of regions that lie in its way move elsewhere.
//!
//! A page of a region can move because nobody has its physical address: the region's entry names it, and so do those of whoever shares it. Memory moves
//! only what its service alone uses: it takes the page out of the instance's space, looks whether anybody else still maps it, and has the kernel copy it and
//! change the region's entry, which is one operation. The instance finds it again by a fault. Before and after each of these the region has the
//! page, in the one place or the other, so a crash anywhere leaves nothing to be settled, and nothing is saved.
//!
//! One step empties one block, bounded by the pages of a few blocks; who wants more asks again. That others map a page shows only when its own instance does
//! not any more: a block that such a page keeps is not tried again for a while ([`Stuck`]). Absent on purpose: moving pages of heaps, page tables, objects,
//! or what Linux programs map. A block with one of them is not taken.

use alloc::vec;
use alloc::vec::Vec;

use abi::{MapFlags, ObjectKind, PAGE_SIZE};
use libsys::{fail, layout};
use protocols::supervisor::Paged;

use crate::blocks::{BLOCK, Number};
use crate::kernel::{Kernel, Table, slot};
use crate::pieces::{Kind, Pieces};
use crate::trade::Point;

/// Pages that one question lists.
const LISTED: usize = 256;
/// A page with one of these stays where it is.
const UNMOVABLE: u64 = MapFlags::HUGE | MapFlags::COW;

/// A region, and where its instance maps it.
#[derive(Clone, Copy, Debug)]
struct Home {
    region: u32,
    space: u32,
    window: u64,
    pages: u64,
}

fn homes(paged: &[Paged]) -> impl Iterator<Item = Home> {
    paged.iter().filter(|paged| paged.service < slot::SERVICES).flat_map(|paged| {
        let service = u32::from(paged.service);
        let home = |region, window, pages: u32| Home { region: region + service, space: slot::SPACES + service, window, pages: u64::from(pages) };
        [home(slot::REGION, layout::REGION, paged.region_pages), home(slot::SAVED, layout::SAVED, paged.saved_pages)]
    })
}

/// Calls `act` with each page of a region that could move: its offset in the region and its number.
fn over_pages<K: Kernel>(kernel: &mut K, home: Home, mut act: impl FnMut(&mut K, u64, u64) -> Option<()>) -> Option<()> {
    if !kernel.describe(Table::Own, home.region).is_ok_and(|found| found.kind == ObjectKind::AddressSpace) {
        return Some(());
    }
    let mut words = [0; LISTED];
    let mut offset = 0;
    while offset < home.pages {
        let count = (home.pages - offset).min(LISTED as u64) as usize;
        let listed = kernel.list(home.region, offset * PAGE_SIZE, words.get_mut(..count)?).ok().filter(|listed| *listed > 0)?;
        for (index, word) in words.iter().take(listed).enumerate() {
            if *word != 0 && word & UNMOVABLE == 0 {
                act(kernel, offset + index as u64, word >> 12)?;
            }
        }
        offset += listed as u64;
    }
    Some(())
}

/// Blocks that one step tries to empty.
const TRIES: usize = 4;
/// Blocks that are remembered as kept by somebody.
const REMEMBERED: usize = 32;

/// Blocks that could not be emptied, the oldest first; each is forgotten when others have taken its place.
#[derive(Clone, Debug, Default)]
pub struct Stuck(heapless::Deque<Number, REMEMBERED>);

impl Stuck {
    fn remember(&mut self, block: Number) {
        if self.0.is_full() {
            self.0.pop_front();
        }
        // There is room now.
        let _full = self.0.push_back(block);
    }
}

/// Empties the block that costs the fewest moves. Whether one was emptied.
pub fn step(kernel: &mut impl Kernel, pieces: &mut Pieces, stuck: &mut Stuck, paged: &[Paged]) -> bool {
    pieces.forget();
    // Counts the blocks, which the choice below looks at.
    let _free = pieces.count_free(kernel);
    let mut movable: Vec<u16> = vec![0; pieces.block_count()];
    for home in homes(paged) {
        let counted = over_pages(kernel, home, |_, _, page| {
            if let Some(count) = movable.get_mut((page / BLOCK) as usize) {
                *count = count.saturating_add(1);
            }
            Some(())
        });
        if counted.is_none() {
            return false;
        }
    }
    for block in &stuck.0 {
        if let Some(count) = movable.get_mut(*block) {
            *count = 0;
        }
    }
    for _ in 0..TRIES {
        let Some(block) = pieces.cheapest(kernel, &movable) else {
            // Next time, those that were kept may be tried again.
            stuck.0.pop_front();
            return false;
        };
        pieces.keep_out_of(Some(block));
        let emptied = homes(paged).all(|home| empty(kernel, pieces, home, block).is_some());
        pieces.keep_out_of(None);
        pieces.forget_pages(block as u64 * BLOCK, BLOCK);
        if emptied {
            return true;
        }
        stuck.remember(block);
        movable[block] = 0;
    }
    false
}

/// Moves the pages of a region that lie in a block. `None` if one must stay.
fn empty(kernel: &mut impl Kernel, pieces: &mut Pieces, home: Home, block: Number) -> Option<()> {
    over_pages(kernel, home, |kernel, offset, page| if page / BLOCK == block as u64 { relocate(kernel, pieces, home, offset) } else { Some(()) })
}

fn relocate(kernel: &mut impl Kernel, pieces: &mut Pieces, home: Home, offset: u64) -> Option<()> {
    // That there is no instance means that it maps nothing.
    let _gone = kernel.unmap(home.space, home.window + offset * PAGE_SIZE, 1);
    fail::hit(Point::CompactUnmapped);
    let mut word = [0];
    kernel.list(home.region, offset * PAGE_SIZE, &mut word).ok()?;
    if word[0] == 0 || word[0] & (UNMOVABLE | MapFlags::SHARED) != 0 {
        return None;
    }
    let run = pieces.find(kernel, Kind::Movable, 1)?;
    kernel.unshare(home.region, offset * PAGE_SIZE, run.slot, run.page).ok()?;
    pieces.used(run, 1);
    fail::hit(Point::CompactMoved);
    Some(())
}
