//! The pages' bytes: anywhere, or for one machine at a time at the very addresses that the kernel's references hold.
#![allow(unsafe_code, reason = "memory at a fixed address")]

use std::cell::RefCell;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};

use super::FAKE_BASE;
use crate::page::{PAGE_BYTES, PAGE_WORDS};

/// A page of memory.
#[derive(Clone, Hash)]
#[repr(C, align(4096))]
pub(super) struct Page(pub(super) [u64; PAGE_WORDS]);

/// All pages of a machine. Copies lie anywhere.
pub(super) enum Pages {
    Anywhere(Heap),
    Fixed(Fixed),
}

/// Pages on the heap. What is dropped is kept for the next copy of as many: tests copy worlds all the time, and the host's kernel takes as long
/// to give the memory as the copy does.
pub(super) struct Heap(Vec<Page>);

thread_local! {
    static DROPPED: RefCell<Vec<Vec<Page>>> = const { RefCell::new(Vec::new()) };
}
/// Most that are kept.
const KEPT: usize = 4;

impl Heap {
    fn copy_of(pages: &[Page]) -> Self {
        let kept = DROPPED.with_borrow_mut(|dropped| {
            let fits = dropped.iter().position(|kept| kept.len() == pages.len())?;
            Some(dropped.swap_remove(fits))
        });
        Self(match kept {
            Some(mut kept) => {
                kept.clone_from_slice(pages);
                kept
            }
            None => pages.to_vec(),
        })
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        // At the thread's end there may be nowhere to keep it.
        let _gone = DROPPED.try_with(|dropped| {
            let mut dropped = dropped.borrow_mut();
            if dropped.len() == KEPT {
                dropped.remove(0);
            }
            dropped.push(std::mem::take(&mut self.0));
        });
    }
}

impl Pages {
    pub(super) fn new(count: usize) -> Self {
        Self::Anywhere(Heap(vec![Page([0; PAGE_WORDS]); count]))
    }

    pub(super) fn make_real(&mut self) {
        if let Self::Anywhere(pages) = self {
            *self = Self::Fixed(Fixed::holding(&pages.0));
        }
    }
}

impl Clone for Pages {
    fn clone(&self) -> Self {
        Self::Anywhere(Heap::copy_of(self))
    }
}

impl Hash for Pages {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl Deref for Pages {
    type Target = [Page];

    fn deref(&self) -> &[Page] {
        match self {
            Self::Anywhere(pages) => &pages.0,
            Self::Fixed(fixed) => fixed.pages(),
        }
    }
}

impl DerefMut for Pages {
    fn deref_mut(&mut self) -> &mut [Page] {
        match self {
            Self::Anywhere(pages) => &mut pages.0,
            Self::Fixed(fixed) => fixed.pages_mut(),
        }
    }
}

/// Whether somebody has the fixed place.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The pages that lie at [`FAKE_BASE`].
pub(super) struct Fixed {
    count: usize,
}

impl Fixed {
    fn holding(pages: &[Page]) -> Self {
        assert!(!TAKEN.swap(true, Ordering::Acquire), "another machine lies at the fixed place");
        map(pages.len() * PAGE_BYTES);
        let mut fixed = Self { count: pages.len() };
        fixed.pages_mut().clone_from_slice(pages);
        fixed
    }

    fn pages(&self) -> &[Page] {
        // SAFETY: `map` put so much memory there, which is this value's alone until it is dropped.
        unsafe { std::slice::from_raw_parts(FAKE_BASE as *const Page, self.count) }
    }

    fn pages_mut(&mut self) -> &mut [Page] {
        // SAFETY: as in `pages`, borrowed for change.
        unsafe { std::slice::from_raw_parts_mut(FAKE_BASE as *mut Page, self.count) }
    }
}

impl Drop for Fixed {
    fn drop(&mut self) {
        const MUNMAP: u64 = 11;
        system(MUNMAP, [FAKE_BASE, (self.count * PAGE_BYTES) as u64, 0, 0, 0, 0]);
        TAKEN.store(false, Ordering::Release);
    }
}

/// mmap(2): private memory at [`FAKE_BASE`], where nothing lies yet.
fn map(bytes: usize) {
    const MMAP: u64 = 9;
    const READ_WRITE: u64 = 3;
    const PRIVATE_ANONYMOUS_FIXED_NOREPLACE: u64 = 0x10_0022;
    let at = system(MMAP, [FAKE_BASE, bytes as u64, READ_WRITE, PRIVATE_ANONYMOUS_FIXED_NOREPLACE, u64::MAX, 0]);
    assert_eq!(at, FAKE_BASE, "no memory at the fixed place");
}

fn system(call: u64, arguments: [u64; 6]) -> u64 {
    let mut result = call;
    // SAFETY: maps where nothing lies, or unmaps what `map` mapped and nobody refers to any more.
    unsafe {
        core::arch::asm!("syscall", inout("rax") result, in("rdi") arguments[0], in("rsi") arguments[1], in("rdx") arguments[2],
            in("r10") arguments[3], in("r8") arguments[4], in("r9") arguments[5], out("rcx") _, out("r11") _, options(nostack));
    }
    result
}
