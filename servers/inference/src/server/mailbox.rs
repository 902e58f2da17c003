//! What one thread leaves for another to take: a list without a lock, because a helper of low priority that held one would stop the receiver that waits for it for ever.
//!
//! A Treiber stack (IBM RJ 5118, 1986) of which all is taken at once: nobody ever looks at a node that is still in the list, so there is no ABA.
#![allow(unsafe_code, reason = "nodes go from one thread to another by their addresses")]

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::marker::PhantomData;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};

struct Node<T> {
    item: T,
    before: *mut Node<T>,
}

/// See the module.
#[derive(Debug)]
pub struct Mailbox<T> {
    last: AtomicPtr<Node<T>>,
    items: PhantomData<T>,
}

// SAFETY: an item is with one thread at a time: who put it, the mailbox, who took it.
unsafe impl<T: Send> Sync for Mailbox<T> {}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Mailbox<T> {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self { last: AtomicPtr::new(null_mut()), items: PhantomData }
    }

    /// Leaves an item.
    pub fn put(&self, item: T) {
        let node = Box::into_raw(Box::new(Node { item, before: null_mut() }));
        let mut before = self.last.load(Ordering::Relaxed);
        loop {
            // SAFETY: nobody else knows the node yet.
            unsafe { (*node).before = before };
            match self.last.compare_exchange_weak(before, node, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => before = now,
            }
        }
    }

    /// Takes all items, in the order in which they were left.
    pub fn take(&self) -> Vec<T> {
        let (mut items, mut next) = (Vec::new(), self.last.swap(null_mut(), Ordering::Acquire));
        while !next.is_null() {
            // SAFETY: the node was made by `put`, and the list that was swapped out is this thread's alone.
            let node = unsafe { Box::from_raw(next) };
            next = node.before;
            items.push(node.item);
        }
        items.reverse();
        items
    }
}

impl<T> Drop for Mailbox<T> {
    fn drop(&mut self) {
        self.take();
    }
}

#[cfg(test)]
mod tests {
    use super::Mailbox;
    use std::string::{String, ToString};
    use std::vec::Vec;

    #[test]
    fn items_are_taken_in_their_order() {
        let mailbox: Mailbox<String> = Mailbox::default();
        assert!(mailbox.take().is_empty());
        mailbox.put("one".to_string());
        mailbox.put("two".to_string());
        assert_eq!(mailbox.take(), ["one", "two"]);
        mailbox.put("never taken".to_string());
    }

    #[test]
    fn nothing_is_lost_or_doubled_between_threads() {
        let (mailbox, mut taken) = (Mailbox::new(), Vec::new());
        std::thread::scope(|scope| {
            let (mailbox, putters) = (&mailbox, 3);
            for putter in 0..putters {
                scope.spawn(move || (0..10_000).for_each(|item| mailbox.put((putter, item))));
            }
            while taken.len() < putters * 10_000 {
                taken.extend(mailbox.take());
            }
        });
        for putter in 0..3 {
            let own = taken.iter().filter(|(from, _)| *from == putter).map(|(_, item)| *item);
            assert!(own.eq(0..10_000), "in order");
        }
    }
}
