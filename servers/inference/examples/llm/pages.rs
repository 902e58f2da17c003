//! The program's memory: what is large comes in pages of 2 MiB where the host has them, since generation reads all weights for each token, and looking up
//! pages of 4 KiB costs it a tenth and more.
#![allow(unsafe_code, reason = "an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::{c_int, c_void};

/// Bytes of a large page.
const PAGE: usize = 2 << 20;
/// Linux's `MADV_HUGEPAGE` (madvise(2)).
const HUGE: c_int = 14;

/// The system's allocator, with large pages for what fills some.
pub(crate) struct Large;

unsafe extern "C" {
    fn madvise(address: *mut c_void, length: usize, advice: c_int) -> c_int;
}

/// On pages of their own, so that what is given back is exactly what was advised on.
fn on_pages(layout: Layout) -> Layout {
    if layout.size() < 2 * PAGE { layout } else { layout.align_to(PAGE).unwrap_or(layout) }
}

// SAFETY: the system's allocator does all of it; the same layout is made from the same one at both ends.
unsafe impl GlobalAlloc for Large {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let layout = on_pages(layout);
        // SAFETY: the caller's promise: the size is not zero.
        let start = unsafe { System.alloc(layout) };
        if layout.align() >= PAGE && !start.is_null() {
            // SAFETY: these pages are the allocation's; advice changes nothing that can be seen in them, and may be refused.
            let _refused = unsafe { madvise(start.cast(), layout.size() / PAGE * PAGE, HUGE) };
        }
        start
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise: it came from `alloc` with this layout.
        unsafe { System.dealloc(start, on_pages(layout)) };
    }
}
