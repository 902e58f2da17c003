//! The area: header, undo log and state at one address.

use core::cell::{Cell as PlainCell, UnsafeCell};

use super::log::{Journal, Log, Transaction};
use super::{Array, Bytes, Cell, Plain};

/// Bytes of the undo log: about four thousand changes of a word in one transaction. Sparse: a small transaction touches its first page only.
pub const LOG_BYTES: usize = 128 * 1024;

const LOG_WORDS: usize = LOG_BYTES / size_of::<u64>();
/// Says that the area is one.
const MAGIC: u64 = u64::from_le_bytes(*b"SYNSAVE1");

/// A structure of cells. Made by [`saved_state!`](crate::saved_state).
///
/// # Safety
/// The type is `repr(C)` and consists of saved cells only, directly or nested; so bytes of zeros are a value, and all of it may change
/// behind a shared reference.
pub unsafe trait SavedState: 'static {
    /// Version of the layout; a change of the structure changes it.
    const VERSION: u32;
}

// SAFETY: a cell.
unsafe impl<T: Plain> SavedState for Cell<T> {
    const VERSION: u32 = 0;
}
// SAFETY: cells.
unsafe impl<T: Plain, const N: usize> SavedState for Array<T, N> {
    const VERSION: u32 = 0;
}
// SAFETY: cells of bytes.
unsafe impl<const N: usize> SavedState for Bytes<N> {
    const VERSION: u32 = 0;
}
// SAFETY: structures of cells, one after the other.
unsafe impl<S: SavedState, const N: usize> SavedState for [S; N] {
    const VERSION: u32 = S::VERSION;
}

/// Defines a structure of saved cells with its version: `saved_state! { pub struct State: 1 { pub count: Cell<u64> } }`. Fields are cells,
/// arrays, bytes, lanes, other such structures, or Rust arrays of them.
#[macro_export]
macro_rules! saved_state {
    ($(
        $(#[$attribute:meta])*
        $visibility:vis struct $name:ident: $version:literal {
            $($(#[$field_attribute:meta])* $field_visibility:vis $field:ident: $type:ty),+ $(,)?
        }
    )+) => {
        $(
            $(#[$attribute])*
            #[derive(Debug)]
            #[repr(C)]
            $visibility struct $name {
                $($(#[$field_attribute])* $field_visibility $field: $type),+
            }

            // SAFETY: `repr(C)`, and every field is a structure of cells.
            unsafe impl $crate::saved::SavedState for $name where $($type: $crate::saved::SavedState),+ {
                const VERSION: u32 = $version;
            }
        )+
    };
}

/// How an area was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// No instance has used it: all cells are zero.
    Fresh,
    /// A predecessor has used it. It may have died while it filled a fresh area: a server keeps a cell that says when it was done.
    Recovered {
        /// A transaction was under way when it died, and was undone.
        rolled_back: bool,
    },
}

/// A server's saved memory.
#[repr(C, align(8))]
pub struct Area<S: SavedState> {
    magic: UnsafeCell<u64>,
    /// Version in the upper half, size of the state in the lower.
    layout: UnsafeCell<u64>,
    /// Of this instance, not saved: reset when the area is opened.
    open: PlainCell<bool>,
    log: Log<LOG_WORDS>,
    state: S,
}

impl<S: SavedState> core::fmt::Debug for Area<S> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_struct("Area").field("version", &S::VERSION).field("state_bytes", &size_of::<S>()).finish_non_exhaustive()
    }
}

impl<S: SavedState> Area<S> {
    /// Bytes of the whole area, for the server's README and its `saved_pages`.
    pub const BYTES: usize = size_of::<Self>();
    const LAYOUT: u64 = (S::VERSION as u64) << 32 | size_of::<S>() as u64;

    /// Opens the area at `address`, which is [`crate::layout::SAVED`]: the supervisor keeps its pages for the service.
    ///
    /// # Panics
    /// When it is opened twice, at another address, or is damaged or of another layout: a server that cannot read its state must not serve.
    #[must_use]
    pub fn open(address: u64) -> (&'static Self, Opened) {
        use core::sync::atomic::{AtomicBool, Ordering};
        static OPENED: AtomicBool = AtomicBool::new(false);

        const { assert!(size_of::<S>() <= u32::MAX as usize, "offsets in the undo log have 32 bits") };
        assert!(address == crate::layout::SAVED, "the saved area is elsewhere");
        assert!(!OPENED.swap(true, Ordering::Relaxed), "the saved area is open already");
        let window = crate::start::info().saved_pages as usize * abi::PAGE_SIZE as usize;
        assert!(Self::BYTES <= window, "the saved area needs {} bytes, its window has {window}", Self::BYTES);
        // SAFETY: the window belongs to this program for its whole life, bytes of zeros and whatever a predecessor left are values of a
        // structure of cells, the address is page aligned, and as it is opened once, one thread has it.
        let area = unsafe { &*core::ptr::with_exposed_provenance::<Self>(address as usize) };
        (area, area.recover())
    }

    /// A fresh area for tests, which is never freed.
    #[cfg(not(target_os = "none"))]
    #[must_use]
    pub fn on_host() -> &'static Self {
        let layout = std::alloc::Layout::new::<Self>();
        // SAFETY: the layout is not empty.
        let memory = unsafe { std::alloc::alloc_zeroed(layout) };
        assert!(!memory.is_null(), "out of memory");
        // SAFETY: bytes of zeros are an area, and nobody else knows of them.
        let area = unsafe { &*memory.cast::<Self>() };
        assert_eq!(area.recover(), Opened::Fresh);
        area
    }

    /// Frees an area of [`Self::on_host`], for tests that make them by the thousand.
    ///
    /// # Safety
    /// Nobody uses the area or its state any more.
    #[cfg(not(target_os = "none"))]
    pub unsafe fn free_on_host(&'static self) {
        let layout = std::alloc::Layout::new::<Self>();
        // SAFETY: `on_host` allocated it so, and by the caller's promise it is not used again.
        unsafe { std::alloc::dealloc((&raw const *self).cast_mut().cast(), layout) };
    }

    /// What a start does with the area; tests call it after a crash.
    ///
    /// # Panics
    /// When the area is damaged or of another layout.
    pub fn recover(&self) -> Opened {
        self.open.set(false);
        // SAFETY: the cells are valid and belong to this thread.
        let (magic, layout) = unsafe { (self.magic.get().read_volatile(), self.layout.get().read_volatile()) };
        if magic == 0 {
            // The magic word last: an area without it counts as fresh, and in a fresh area nothing but these two words was ever stored.
            super::log::store_word(self.layout.get(), Self::LAYOUT);
            super::log::store_word(self.magic.get(), MAGIC);
            return Opened::Fresh;
        }
        assert!(magic == MAGIC && layout == Self::LAYOUT, "the saved area was written by another layout of this server");
        match self.journal().roll_back() {
            Ok(rolled_back) => Opened::Recovered { rolled_back },
            Err(super::log::Damaged) => panic!("the saved area's undo log is damaged"),
        }
    }

    fn journal(&self) -> Journal<'_> {
        let state = (&raw const self.state).cast_mut().cast();
        // SAFETY: a structure of cells may change behind a shared reference; the area, and so its cells, belongs to one thread.
        unsafe { self.log.journal(state, size_of::<S>()) }
    }

    /// Begins a transaction.
    ///
    /// # Panics
    /// When one is open: a server changes its state from one place at a time.
    #[must_use = "a transaction that is dropped is rolled back"]
    pub fn begin(&self) -> Transaction<'_> {
        Transaction::begin(self.journal(), &self.open)
    }

    /// The cells.
    #[must_use]
    pub const fn state(&self) -> &S {
        &self.state
    }
}
