//! A buffer that the threads of a team write at once, each at places of its own.
//!
//! Which thread writes what follows from its number ([`share`]), and everything that one phase writes is read by a later phase only, after
//! [`crate::team::Team::run`] has returned. That is the whole argument; the methods that need it are unsafe.
#![allow(unsafe_code, reason = "the threads' places do not overlap, which the compiler cannot see")]

use core::marker::PhantomData;
use core::ops::Range;

/// The buffer.
pub(crate) struct Shared<'a, T> {
    start: *mut T,
    length: usize,
    buffer: PhantomData<&'a mut [T]>,
}

// SAFETY: it gives out parts of a buffer of plain numbers, by methods whose callers promise that the parts do not overlap.
unsafe impl<T: Copy + Send> Sync for Shared<'_, T> {}

impl<'a, T: Copy> Shared<'a, T> {
    pub(crate) fn new(buffer: &'a mut [T]) -> Self {
        Self { start: buffer.as_mut_ptr(), length: buffer.len(), buffer: PhantomData }
    }

    /// A part of the buffer.
    ///
    /// # Safety
    /// While the part lives, no thread has another that overlaps it.
    #[allow(clippy::mut_from_ref, reason = "the caller promises that no two parts overlap")]
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.length, "a part of the buffer");
        // SAFETY: it lies in the buffer, which is borrowed for as long as `self` lives, and by the caller's promise nobody else has it.
        unsafe { core::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }
}

/// Which of `count` pieces of work are those of thread `thread` of `threads`.
pub(crate) const fn share(count: usize, thread: usize, threads: usize) -> Range<usize> {
    count * thread / threads..count * (thread + 1) / threads
}
