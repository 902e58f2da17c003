//! Pages: the record of each one, and the only accessor of objects in raw pages.
//!
//! Invariants: a page of a kernel kind is mapped nowhere and pinned nowhere; `maps` counts the page-table entries that point at a plain page
//! (a 2 MiB entry counts in the first of its 512 pages, in `huge`); a capability to a page is valid iff its epoch is not below `revoked_at`.
#![allow(unsafe_code, reason = "turns the bytes of a page into the object that its kind says it holds")]

use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use abi::ObjectKind;

use crate::machine::{Machine, PageNumber};
use crate::wrap;

/// Bytes of a page.
pub const PAGE_BYTES: usize = abi::PAGE_SIZE as usize;
/// Words of a page.
pub const PAGE_WORDS: usize = PAGE_BYTES / 8;
/// Pages of a 2 MiB mapping.
pub const HUGE_PAGES: u32 = 512;

/// What the kernel knows of a physical page. 16 bytes, so that a shift finds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct PageInfo {
    /// An [`ObjectKind`].
    pub kind: u8,
    /// How many 2 MiB mappings begin at this page.
    pub huge: u8,
    /// How often the page is pinned: as a message page, while its bytes are copied, or as a later page of its table.
    pub pins: u16,
    /// How many page-table entries map it.
    pub maps: u32,
    /// Capabilities with a lower epoch are dead.
    pub revoked_at: u64,
}

impl PageInfo {
    /// What the page holds.
    #[must_use]
    pub fn kind(&self) -> ObjectKind {
        ObjectKind::from_byte(self.kind).unwrap_or(ObjectKind::Empty)
    }
}

/// An object that fills a page (or, for a table, begins one).
///
/// # Safety
/// The type must be `repr(C)`, fit a page, be aligned to at most a page, and be valid for every bit pattern.
pub unsafe trait Object {
    /// The kind that its page has.
    const KIND: ObjectKind;
}

/// A reference to an object in a page: an address that only the [`Machine`] can resolve. Zero is "none".
#[repr(transparent)]
pub struct Ref<T> {
    address: u64,
    object: PhantomData<fn() -> T>,
}

impl<T> Clone for Ref<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Ref<T> {}
impl<T> Default for Ref<T> {
    fn default() -> Self {
        Self::NONE
    }
}
impl<T> PartialEq for Ref<T> {
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address
    }
}
impl<T> Eq for Ref<T> {}
impl<T> Hash for Ref<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address.hash(state);
    }
}
impl<T> fmt::Debug for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{:#x}", self.address)
    }
}

impl<T> Ref<T> {
    /// No object.
    pub const NONE: Self = Self::at(0);

    /// The object at an address that the machine gave.
    #[must_use]
    pub const fn at(address: u64) -> Self {
        Self { address, object: PhantomData }
    }

    /// The address.
    #[must_use]
    pub const fn address(self) -> u64 {
        self.address
    }

    /// `Some` unless this is [`Ref::NONE`].
    #[must_use]
    pub const fn some(self) -> Option<Self> {
        if self.address == 0 { None } else { Some(self) }
    }
}

/// The object that `reference` names.
pub fn object<M: Machine, T: Object>(machine: &mut M, reference: Ref<T>) -> &mut T {
    debug_assert_eq!(kind_at(machine, reference.address), T::KIND);
    // SAFETY: references are made in `Kernel` only for pages whose kind is `T::KIND` and are dropped before that changes; `T: Object` is valid for
    // every bit pattern, fits the page and is aligned; the result borrows the machine, so no second reference into memory lives beside it.
    unsafe { &mut *machine.resolve(reference.address).cast::<T>() }
}

fn kind_at<M: Machine>(machine: &mut M, address: u64) -> ObjectKind {
    let page = machine.page_of(address);
    machine.page_info(page).map_or(ObjectKind::Empty, |info| info.kind())
}

/// A page as words: a page table, or bytes to copy.
pub fn words<M: Machine>(machine: &mut M, page: PageNumber) -> &mut [u64; PAGE_WORDS] {
    let address = machine.page_address(page);
    // SAFETY: the address is that of a whole page, aligned to 4096, and any bit pattern is a valid word; the result borrows the machine.
    unsafe { &mut *machine.resolve(address).cast::<[u64; PAGE_WORDS]>() }
}

/// Words of a page that user code may be writing to, on another processor: each is read once, here.
pub fn snapshot<M: Machine, const N: usize>(machine: &mut M, page: PageNumber, first: usize) -> [u64; N] {
    let words = words(machine, page);
    // SAFETY: a word of the page; volatile, so that what is checked is what is used.
    core::array::from_fn(|index| unsafe { core::ptr::from_ref(wrap::at(words, first + index)).read_volatile() })
}

/// Changes a word into which a processor may set bits at any moment, as it does in entries of page tables: `change` gets the word as it is when it is
/// replaced.
pub fn update_word<M: Machine>(machine: &mut M, page: PageNumber, index: usize, change: impl Fn(u64) -> u64) {
    let word = core::ptr::from_mut(wrap::at_mut(words(machine, page), index));
    // SAFETY: a word of a page that lives as long as the machine; only page tables' walks access it meanwhile, atomically.
    let word = unsafe { AtomicU64::from_ptr(word) };
    let mut old = word.load(Ordering::Relaxed);
    while let Err(now) = word.compare_exchange_weak(old, change(old), Ordering::AcqRel, Ordering::Relaxed) {
        old = now;
    }
}

/// Replaces the 32-bit word at an offset that is a multiple of 4, if it is the expected one; returns what was there.
pub fn exchange_word<M: Machine>(machine: &mut M, page: PageNumber, offset: usize, expected: u32, new: u32) -> u32 {
    let address = machine.page_address(page) + ((offset % PAGE_BYTES) & !3) as u64;
    // SAFETY: four bytes inside a page, aligned to 4, that live as long as the machine; whoever else uses them is user code, outside of what Rust knows.
    let word = unsafe { AtomicU32::from_ptr(machine.resolve(address).cast()) };
    word.compare_exchange(expected, new, Ordering::AcqRel, Ordering::Acquire).unwrap_or_else(|found| found)
}

/// A page as bytes.
pub fn bytes<M: Machine>(machine: &mut M, page: PageNumber) -> &mut [u8; PAGE_BYTES] {
    let address = machine.page_address(page);
    // SAFETY: as in `words`, for bytes.
    unsafe { &mut *machine.resolve(address).cast::<[u8; PAGE_BYTES]>() }
}

/// An object at any address inside a page, for slots of a table.
///
/// `T` must not reach past the page's end; callers give offsets that are multiples of the size of `T`, which divides 4096.
pub(crate) fn inside<M: Machine, T: Object>(machine: &mut M, address: u64) -> &mut T {
    // SAFETY: as in `object`; the address is a multiple of the size of `T` inside a page that holds an array of `T`.
    unsafe { &mut *machine.resolve(address).cast::<T>() }
}

/// Fills a page with zeros, in words: under emulation a byte costs as much as a word.
pub fn zero<M: Machine>(machine: &mut M, page: PageNumber) {
    machine.touched(PAGE_BYTES);
    *words(machine, page) = [0; PAGE_WORDS];
}

/// Copies `length` bytes between two pages; both ranges lie inside their pages. Copies words where both are aligned.
pub fn copy<M: Machine>(machine: &mut M, from: (PageNumber, usize), to: (PageNumber, usize), length: usize) {
    let source = machine.page_address(from.0).wrapping_add(from.1 as u64);
    let target = machine.page_address(to.0).wrapping_add(to.1 as u64);
    debug_assert!(from.1 + length <= PAGE_BYTES && to.1 + length <= PAGE_BYTES);
    machine.touched(length);
    let source = machine.resolve(source).cast_const();
    let target = machine.resolve(target);
    if (source as usize | target as usize | length) & 7 == 0 {
        // SAFETY: both ranges lie inside their pages (callers guarantee it, checked above in debug builds) and are aligned to 8; `copy` allows overlap.
        unsafe { core::ptr::copy(source.cast::<u64>(), target.cast::<u64>(), length / 8) }
    } else {
        // SAFETY: as above, without the need for alignment.
        unsafe { core::ptr::copy(source, target, length) }
    }
}
