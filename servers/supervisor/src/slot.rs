//! Which capability lies in which slot of the supervisor's own table. Fixed, so that a slot can be computed and never leaks.
//!
//! A service's objects (endpoint, notification, vault) are made once and never destroyed: callers hold capabilities to them across restarts. An
//! instance's objects lie in a block of slots; a dead instance keeps its block until it is reaped, while its successor already uses another.

use abi::boot_slot;
use protocols::service::Service;

/// The reserve: the supervisor's own memory.
pub const RESERVE: u32 = boot_slot::FIRST_MEMORY;
/// What is left of the memory that the reserve was cut from.
pub const REST: u32 = 48;
/// Where the Reply of a received message lies.
pub const REPLY: u32 = 49;

const SERVICES: u32 = 64;
const PER_SERVICE: u32 = 8;
const BLOCKS: u32 = 512;
const PER_BLOCK: u32 = 20;
/// Most instances, living and dead, at a time.
pub const MAX_BLOCKS: usize = 64;

const _: () = assert!(BLOCKS + MAX_BLOCKS as u32 * PER_BLOCK <= boot_slot::SLOTS);
const _: () = assert!(4 + libsys::slot::PORTS_COUNT <= PER_SERVICE);
const _: () = assert!(2 + libsys::layout::MAX_THREADS as u32 <= PER_BLOCK);

/// The service's endpoint, with all rights.
#[must_use]
pub const fn endpoint(service: Service) -> u32 {
    SERVICES + service.id() as u32 * PER_SERVICE
}

/// The service's notification, with all rights.
#[must_use]
pub const fn notification(service: Service) -> u32 {
    endpoint(service) + 1
}

/// The service's vault, with all rights.
#[must_use]
pub const fn vault(service: Service) -> u32 {
    endpoint(service) + 2
}

/// Where a service's ranges of I/O ports wait between two instances, with the record of what was done through them.
#[must_use]
pub const fn ports(service: Service, range: u32) -> u32 {
    endpoint(service) + 4 + range
}

/// A block of slots for one instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block(u8);

impl Block {
    /// The instance's table.
    #[must_use]
    pub const fn table(self) -> u32 {
        BLOCKS + self.0 as u32 * PER_BLOCK
    }

    /// The instance's address space.
    #[must_use]
    pub const fn space(self) -> u32 {
        self.table() + 1
    }

    /// One of the instance's threads.
    #[must_use]
    pub const fn thread(self, thread: u32) -> u32 {
        self.table() + 2 + thread
    }
}

/// Which blocks are in use.
#[derive(Debug, Default)]
pub struct Blocks(u64);

impl Blocks {
    /// Takes a free block.
    pub fn take(&mut self) -> Option<Block> {
        let free = self.0.trailing_ones();
        if free as usize >= MAX_BLOCKS {
            return None;
        }
        self.0 |= 1 << free;
        Some(Block(free as u8))
    }

    /// Gives a block back; its slots must be empty.
    pub fn give_back(&mut self, block: Block) {
        self.0 &= !(1 << block.0);
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCKS, Blocks, MAX_BLOCKS, REPLY, SERVICES, endpoint, ports};
    use protocols::service::Service;

    #[test]
    fn slots_of_services_and_blocks_do_not_overlap() {
        const { assert!(REPLY < SERVICES) };
        assert!(Service::ALL.into_iter().all(|service| endpoint(service) >= SERVICES && ports(service, libsys::slot::PORTS_COUNT) <= BLOCKS));
    }

    #[test]
    fn blocks_are_distinct_and_come_back() {
        let mut blocks = Blocks::default();
        let all: Vec<_> = core::iter::from_fn(|| blocks.take()).collect();
        assert_eq!(all.len(), MAX_BLOCKS);
        blocks.give_back(all[7]);
        assert_eq!(blocks.take(), Some(all[7]));
    }
}
