//! The calling thread's message page. Its contents last from one operation to the next and no longer, so nothing here hands out a reference:
//! bytes are copied in right before, and out right after the kernel is entered.

use abi::{Lease, MAX_CAPS, MAX_LEASES, MAX_MESSAGE, MessagePage};

#[cfg(target_os = "none")]
#[inline]
fn page() -> *mut MessagePage {
    crate::thread::message_page() as *mut MessagePage
}

#[cfg(not(target_os = "none"))]
fn page() -> *mut MessagePage {
    use core::cell::UnsafeCell;
    std::thread_local! {
        // SAFETY: a message page is integers only.
        static PAGE: std::boxed::Box<UnsafeCell<MessagePage>> = std::boxed::Box::new(UnsafeCell::new(unsafe { core::mem::zeroed() }));
    }
    PAGE.with(|page| page.get())
}

/// Copies `bytes` to the start of the page; what is longer than a message is cut off.
pub(super) fn put(bytes: &[u8]) {
    let length = bytes.len().min(MAX_MESSAGE);
    // SAFETY: the page belongs to this thread, is always mapped, and no reference into it exists; `length` is within its byte array.
    unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), (&raw mut (*page()).bytes).cast::<u8>(), length) }
}

/// Copies the start of the page to `bytes`, at most a message's length. Returns how much.
pub(super) fn take(bytes: &mut [u8]) -> usize {
    let length = bytes.len().min(MAX_MESSAGE);
    // SAFETY: as in `put`.
    unsafe { core::ptr::copy_nonoverlapping((&raw const (*page()).bytes).cast::<u8>(), bytes.as_mut_ptr(), length) }
    length
}

/// Copies words from the start of the page, at most a message's length.
pub(super) fn take_words(words: &mut [u64]) {
    let count = words.len().min(MAX_MESSAGE / size_of::<u64>());
    // SAFETY: as in `put`; the page is aligned for words, and any bytes make one.
    unsafe { core::ptr::copy_nonoverlapping((&raw const (*page()).bytes).cast::<u64>(), words.as_mut_ptr(), count) }
}

/// Names the capabilities to send. Returns how many the page has room for.
pub(super) fn put_caps(handles: &[u32]) -> usize {
    let mut caps = [0; MAX_CAPS];
    for (to, from) in caps.iter_mut().zip(handles) {
        *to = *from;
    }
    // SAFETY: as in `put`.
    unsafe { (&raw mut (*page()).send_caps).write_volatile(caps) }
    handles.len().min(MAX_CAPS)
}

/// Names the slots for capabilities that come.
#[inline]
pub(super) fn put_receive_slots(slots: [u32; MAX_CAPS]) {
    // SAFETY: as in `put`.
    unsafe { (&raw mut (*page()).receive_slots).write_volatile(slots) }
}

/// Lends ranges. Returns how many the page has room for.
pub(super) fn put_leases(leases: &[Lease]) -> usize {
    let count = leases.len().min(MAX_LEASES);
    // SAFETY: only an address is taken, of a page that is always there.
    let first = unsafe { (&raw mut (*page()).leases).cast::<Lease>() };
    for (index, lease) in leases.iter().take(count).enumerate() {
        // SAFETY: as in `put`; the page has room for as many. One store for each: hardly a call lends more than one range.
        unsafe { first.add(index).write_volatile(*lease) }
    }
    count
}

/// Copies a value of integers to the start of the page.
pub(super) fn put_frame(frame: &abi::Frame) {
    const { assert!(size_of::<abi::Frame>() <= MAX_MESSAGE) };
    // SAFETY: as in `put`; a frame fits, and the page is aligned for it. Not volatile: that would move its bytes one by one.
    unsafe { core::ptr::copy_nonoverlapping(frame, page().cast(), 1) }
}

/// Copies a frame from the start of the page.
pub(super) fn take_frame() -> abi::Frame {
    // SAFETY: as in `put_frame`; a frame is integers only, so all bytes make one.
    unsafe { page().cast::<abi::Frame>().read() }
}
