//! The heap of a server, which is a Rust global allocator over the heap window.
//!
//! Lock-free, because a helper of low priority that held a lock would stop the receiver that spins on it for ever. Blocks have power-of-two
//! sizes. Pages are taken from the window in order; a block smaller than a page comes from a page cut into blocks of its size. Freed blocks
//! go to a list by size, a Treiber stack whose head carries a count against ABA, and stay there: the heap dies with the instance, and pages
//! come at first touch.
//!
//! The supervisor can let one allocation fail ([`layout::REFUSAL`]), as a heap that is used up would: that costs every other one two loads.
#![allow(unsafe_code, reason = "an allocator")]

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{null_mut, with_exposed_provenance, with_exposed_provenance_mut};
use core::sync::atomic::{AtomicU64, Ordering};

use abi::PAGE_SIZE;

use crate::layout;

/// Smallest block: 16 bytes.
const MIN_SHIFT: u32 = 4;
/// Largest block: 1 GiB.
const MAX_SHIFT: u32 = 30;
/// Largest alignment.
const MAX_ALIGN: usize = PAGE_SIZE as usize;
const PAGE_SHIFT: u32 = PAGE_SIZE.trailing_zeros();
const LISTS: usize = (MAX_SHIFT - MIN_SHIFT + 1) as usize;
/// The low half of a head is a block's position plus one, in smallest blocks; 0 is the empty list. The upper half counts changes.
const POSITION_MASK: u64 = u32::MAX as u64;

/// An allocator over one window of addresses.
#[derive(Debug)]
pub struct Heap {
    base: u64,
    /// Bytes of the window that may be used.
    limit: AtomicU64,
    /// Bytes of the window that were taken.
    taken: AtomicU64,
    lists: [AtomicU64; LISTS],
}

impl Heap {
    /// An allocator over the window at `base` (page aligned), of which nothing may be used yet.
    ///
    /// # Safety
    /// For ever, the window belongs to this allocator alone and is valid for reads and writes up to its limit.
    #[must_use]
    pub const unsafe fn new(base: u64) -> Self {
        Self { base, limit: AtomicU64::new(0), taken: AtomicU64::new(0), lists: [const { AtomicU64::new(0) }; LISTS] }
    }

    fn limit(&self, bytes: u64) {
        self.limit.store(bytes, Ordering::Relaxed);
    }

    /// Shift of the block size for a layout, or `None` if there is no such block.
    fn shift(layout: Layout) -> Option<u32> {
        let size = layout.size().max(layout.align()).checked_next_power_of_two()?;
        let shift = size.trailing_zeros().max(MIN_SHIFT);
        (shift <= MAX_SHIFT && layout.align() <= MAX_ALIGN).then_some(shift)
    }

    fn list(&self, shift: u32) -> Option<&AtomicU64> {
        self.lists.get(shift.checked_sub(MIN_SHIFT)? as usize)
    }

    /// The word at the start of a free block: the position of the next one.
    fn link(&self, position: u64) -> &AtomicU64 {
        let address = self.base + ((position - 1) << MIN_SHIFT);
        // SAFETY: `position` names a block of this window that was taken, so the word is valid and aligned. Two threads may meet there, one
        // of which lost the race for the block: all accesses to a free block's first word are atomic, and the loser does not use what it
        // read.
        unsafe { &*with_exposed_provenance::<AtomicU64>(address as usize) }
    }

    fn pop(&self, shift: u32) -> Option<u64> {
        let list = self.list(shift)?;
        let mut head = list.load(Ordering::Acquire);
        loop {
            let position = head & POSITION_MASK;
            if position == 0 {
                return None;
            }
            let next = self.link(position).load(Ordering::Relaxed) & POSITION_MASK;
            match list.compare_exchange_weak(head, changed(head, next), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(self.base + ((position - 1) << MIN_SHIFT)),
                Err(now) => head = now,
            }
        }
    }

    /// Puts the chain of free blocks from `first` to `last`, linked already, on a list.
    fn push(&self, shift: u32, first: u64, last: u64) {
        let Some(list) = self.list(shift) else { return };
        let mut head = list.load(Ordering::Relaxed);
        loop {
            self.link(last).store(head & POSITION_MASK, Ordering::Relaxed);
            match list.compare_exchange_weak(head, changed(head, first), Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    fn position(&self, address: u64) -> u64 {
        ((address - self.base) >> MIN_SHIFT) + 1
    }

    /// Takes whole pages from the window.
    fn take(&self, bytes: u64) -> Option<u64> {
        let limit = self.limit.load(Ordering::Relaxed);
        let taken = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| taken.checked_add(bytes).filter(|end| *end <= limit));
        taken.ok().map(|offset| self.base + offset)
    }

    /// Takes a page, cuts it into blocks, keeps the first and frees the others.
    fn refill(&self, shift: u32) -> Option<u64> {
        let page = self.take(PAGE_SIZE)?;
        let step = 1u64 << (shift - MIN_SHIFT);
        let first = self.position(page) + step;
        let last = self.position(page + PAGE_SIZE) - step;
        for position in (first..last).step_by(step as usize) {
            self.link(position).store(position + step, Ordering::Relaxed);
        }
        self.push(shift, first, last);
        Some(page)
    }

    fn block(&self, shift: u32) -> Option<u64> {
        self.pop(shift).or_else(|| if shift < PAGE_SHIFT { self.refill(shift) } else { self.take(1 << shift) })
    }
}

/// The head of a list after one more change.
fn changed(head: u64, position: u64) -> u64 {
    (head & !POSITION_MASK).wrapping_add(POSITION_MASK + 1) | position
}

// SAFETY: a block is handed out to one owner at a time (`pop` and `take` are each one atomic step), lies in the window, and is aligned to
// its size or a page.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match Self::shift(layout).filter(|_| !is_refused()).and_then(|shift| self.block(shift)) {
            Some(address) => with_exposed_provenance_mut(address as usize),
            None => null_mut(),
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(shift) = Self::shift(layout) {
            let position = self.position(block.expose_provenance() as u64);
            self.push(shift, position, position);
        }
    }
}

/// Whether this is the allocation that the supervisor lets fail. The first process has no such word.
#[cfg(target_os = "none")]
fn is_refused() -> bool {
    if crate::start::try_info().is_none() {
        return false;
    }
    // SAFETY: the supervisor maps this page, zeroed and writable, for the life of every instance that it starts; the word is aligned, and every access
    // to it is atomic.
    runs_out(unsafe { &*with_exposed_provenance::<AtomicU64>(layout::REFUSAL as usize) })
}

#[cfg(not(target_os = "none"))]
fn is_refused() -> bool {
    let _there_is_no_page = (layout::REFUSAL, runs_out as fn(&AtomicU64) -> bool);
    false
}

/// Counts an allocation; whether it is the one.
fn runs_out(left: &AtomicU64) -> bool {
    left.load(Ordering::Relaxed) != 0 && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) == Ok(1)
}

// SAFETY: the supervisor maps nothing else into the heap's window, and memory brings its pages at first touch.
#[cfg_attr(target_os = "none", global_allocator)]
static HEAP: Heap = unsafe { Heap::new(layout::HEAP) };

/// Lets the program use `pages` pages of the heap window. [`entry!`](crate::entry!) does this from the start information; the first process
/// has to do it itself, after it has mapped the window.
pub fn limit(pages: u64) {
    HEAP.limit(pages.saturating_mul(PAGE_SIZE));
}

#[cfg(test)]
mod tests {
    use super::{Heap, runs_out};
    use abi::PAGE_SIZE;
    use core::alloc::{GlobalAlloc, Layout};
    use core::sync::atomic::AtomicU64;
    use std::alloc::{alloc, dealloc};
    use std::vec::Vec;

    const PAGES: usize = 64;

    struct Window {
        heap: Heap,
        memory: *mut u8,
    }

    impl Window {
        fn layout() -> Layout {
            Layout::from_size_align(PAGES * PAGE_SIZE as usize, PAGE_SIZE as usize).expect("valid")
        }

        fn new() -> Self {
            // SAFETY: the layout is not empty.
            let memory = unsafe { alloc(Self::layout()) };
            // SAFETY: the memory was just allocated for this heap, and lives as long.
            let heap = unsafe { Heap::new(memory.expose_provenance() as u64) };
            heap.limit(PAGES as u64 * PAGE_SIZE);
            Self { heap, memory }
        }

        fn get(&self, size: usize, align: usize) -> *mut u8 {
            // SAFETY: sizes in these tests are not 0.
            unsafe { self.heap.alloc(Layout::from_size_align(size, align).expect("valid")) }
        }

        fn put(&self, block: *mut u8, size: usize, align: usize) {
            // SAFETY: the block came from `get` with the same size and alignment.
            unsafe { self.heap.dealloc(block, Layout::from_size_align(size, align).expect("valid")) }
        }
    }

    impl Drop for Window {
        fn drop(&mut self) {
            // SAFETY: allocated in `new` with this layout.
            unsafe { dealloc(self.memory, Self::layout()) }
        }
    }

    #[test]
    fn blocks_are_aligned_and_do_not_overlap() {
        let window = Window::new();
        let mut ranges = Vec::new();
        for (size, align) in [(1, 1), (16, 16), (24, 8), (100, 64), (2048, 8), (4096, 4096), (5000, 8), (16, 1024), (1, 1)] {
            let block = window.get(size, align);
            assert!(!block.is_null() && (block as usize).is_multiple_of(align));
            ranges.push((block as usize, block as usize + size));
        }
        ranges.sort_unstable();
        assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0));
    }

    #[test]
    fn freed_block_is_used_again() {
        let window = Window::new();
        let block = window.get(3 * PAGE_SIZE as usize, 8);
        window.put(block, 3 * PAGE_SIZE as usize, 8);
        assert_eq!(window.get(4 * PAGE_SIZE as usize, 8), block);
    }

    #[test]
    fn exhausted_window_and_oversized_layouts_give_null() {
        let window = Window::new();
        assert!(window.get((PAGES + 1) * PAGE_SIZE as usize, 8).is_null());
        assert!(window.get(1 << 40, 8).is_null());
        assert!(window.get(8, 8192).is_null());
        let blocks = core::iter::repeat_with(|| window.get(64, 8)).take_while(|block| !block.is_null()).count();
        assert_eq!(blocks, PAGES * PAGE_SIZE as usize / 64);
    }

    #[test]
    fn nth_allocation_is_refused_and_no_other_one_is() {
        let refused = |left: u64| {
            let left = AtomicU64::new(left);
            (1..=9).filter(|_| runs_out(&left)).count()
        };
        assert_eq!([0, 1, 9, 10].map(refused), [0, 1, 1, 0]);
        let left = AtomicU64::new(3);
        assert_eq!(core::array::from_fn(|_| runs_out(&left)), [false, false, true, false]);
    }

    #[test]
    fn threads_never_share_a_block() {
        struct Shared(Window);
        // SAFETY: the window's pointer is used only to free it at the end.
        unsafe impl Sync for Shared {}
        let window = Shared(Window::new());
        let shared = &window;
        std::thread::scope(|scope| {
            for mark in 0..4u8 {
                scope.spawn(move || {
                    for round in 0..20_000usize {
                        let size = 16 << (round % 3);
                        let block = shared.0.get(size, 8);
                        assert!(!block.is_null());
                        // SAFETY: the block has `size` bytes and belongs to this thread, which is what the test checks.
                        unsafe {
                            block.add(8).write_volatile(mark);
                            std::hint::spin_loop();
                            assert_eq!(block.add(8).read_volatile(), mark);
                        }
                        shared.0.put(block, size, 8);
                    }
                });
            }
        });
    }
}
