//! The tests' side of crashes: on the host a crash is an unwinding that no server code catches, and that leaves saved state exactly as it was.
//!
//! Both kinds of crash are armed for the current thread only, so tests run in parallel.

use core::cell::{Cell, RefCell};
use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::string::String;

/// What a crash unwinds with; a test's own panic is passed on.
struct Crash;

std::thread_local! {
    /// Stores to saved memory that may still happen, or `None` for all of them.
    static STORES_LEFT: Cell<Option<u64>> = const { Cell::new(None) };
    /// The armed failpoint and the hits until it fires.
    static FAILPOINT: RefCell<Option<(String, u32)>> = const { RefCell::new(None) };
}

/// Unwinds, without a message.
pub(crate) fn crash() -> ! {
    resume_unwind(Box::new(Crash))
}

/// Runs `body`; `None` if it crashed.
pub fn survive<T>(body: impl FnOnce() -> T) -> Option<T> {
    let result = catch_unwind(AssertUnwindSafe(body));
    STORES_LEFT.set(None);
    FAILPOINT.set(None);
    match result {
        Ok(value) => Some(value),
        Err(payload) if payload.is::<Crash>() => None,
        Err(payload) => resume_unwind(payload),
    }
}

/// Runs `body` and crashes at its store number `nth` (from 0) to saved memory, before the store happens. `None` if it came to that.
pub fn crash_at_store<T>(nth: u64, body: impl FnOnce() -> T) -> Option<T> {
    crash_or_count(nth, body).map(|(value, _)| value)
}

/// The same; with what `body` returned comes the number of its stores.
pub fn crash_or_count<T>(nth: u64, body: impl FnOnce() -> T) -> Option<(T, u64)> {
    STORES_LEFT.set(Some(nth));
    survive(|| {
        let value = body();
        (value, nth - STORES_LEFT.get().unwrap_or(nth))
    })
}

/// Runs `body` and crashes when the failpoint `name` is hit for the `nth` time (from 1). `None` if it came to that.
pub fn crash_at_failpoint<T>(name: &str, nth: u32, body: impl FnOnce() -> T) -> Option<T> {
    FAILPOINT.set(Some((String::from(name), nth)));
    survive(body)
}

/// A store to saved memory is about to happen.
pub(crate) fn before_store() {
    match STORES_LEFT.get() {
        None => {}
        Some(0) => crash(),
        Some(left) => STORES_LEFT.set(Some(left - 1)),
    }
}

/// A failpoint is hit: does it fire?
pub(crate) fn fires(name: &str) -> bool {
    FAILPOINT.with_borrow_mut(|armed| match armed {
        Some((point, left)) if point == name => {
            *left = left.saturating_sub(1);
            *left == 0
        }
        _ => false,
    })
}
