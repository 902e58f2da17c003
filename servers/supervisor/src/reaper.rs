//! Taking dead instances apart, a bounded step at a time.
//!
//! Not in the crash handler: an instance may have a large space, and its successor should run meanwhile. The order is the kernel's: the threads
//! are destroyed (they use the space and pin their message pages), then the space is taken apart (only then does nothing map the instance's pages,
//! and those that memory brought are free), then the rest is reclaimed. Only a run that is reclaimed to its end goes back to the reserve.

use abi::{Error, OWN_TABLE};
use heapless::Deque;

use crate::kernel::{Kernel, Range};
use crate::reserve::{Reserve, Run};
use crate::slot::{self, Block, Blocks, MAX_BLOCKS};

/// A dead instance. All its threads are stopped and its callers told.
#[derive(Clone, Copy, Debug)]
pub struct Corpse {
    /// Its slots.
    pub block: Block,
    /// Its pages.
    pub run: Run,
    /// How many threads it had: the first pages of its run, see [`crate::shape`].
    pub threads: u32,
    dismantled: bool,
    /// Pages of the run that are reclaimed, from its start.
    reclaimed: u64,
}

impl Corpse {
    /// An instance that has just died.
    #[must_use]
    pub const fn new(block: Block, run: Run, threads: u32) -> Self {
        Self { block, run, threads, dismantled: false, reclaimed: 0 }
    }
}

/// The dead, oldest first. There is a place for each block of slots, so it is never full.
#[derive(Debug, Default)]
pub struct Reaper {
    dead: Deque<Corpse, MAX_BLOCKS>,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// Nobody is dead.
    Idle,
    /// There is more to do.
    More,
    /// A run went back to the reserve.
    Reaped,
    /// The kernel refused: the run is lost to the reserve.
    Lost(Error, Run),
}

impl Reaper {
    /// Takes a dead instance.
    pub fn bury(&mut self, corpse: Corpse) {
        // There are as many places as blocks.
        let _full = self.dead.push_back(corpse);
    }

    /// Whether there is something to do.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.dead.is_empty()
    }

    /// Does one step.
    pub fn step(&mut self, kernel: &mut impl Kernel, reserve: &mut Reserve, blocks: &mut Blocks) -> Step {
        let Some(corpse) = self.dead.front_mut() else {
            return Step::Idle;
        };
        match corpse.step(kernel) {
            Ok(false) => return Step::More,
            Ok(true) => reserve.give_back(corpse.run),
            Err(error) => {
                let run = corpse.run;
                self.dead.pop_front();
                return Step::Lost(error, run);
            }
        }
        empty_slots(kernel, corpse);
        blocks.give_back(corpse.block);
        self.dead.pop_front();
        Step::Reaped
    }
}

impl Corpse {
    /// One step; `true` when nothing is left.
    fn step(&mut self, kernel: &mut impl Kernel) -> Result<bool, Error> {
        if self.reclaimed < u64::from(self.threads) {
            self.reclaim(kernel, u64::from(self.threads))?;
        } else if !self.dismantled {
            self.dismantled = match kernel.dismantle(self.block.space()) {
                Ok(left) => left == 0,
                // A half-built instance may not have got so far as to have a space.
                Err(Error::InvalidHandle) => true,
                Err(error) => return Err(error),
            };
        } else {
            self.reclaim(kernel, self.run.pages)?;
        }
        Ok(self.dismantled && self.reclaimed >= self.run.pages)
    }

    /// Reclaims some of the pages before `end`.
    fn reclaim(&mut self, kernel: &mut impl Kernel, end: u64) -> Result<(), Error> {
        let page = self.run.page + self.reclaimed;
        self.reclaimed += kernel.reclaim(Range { memory: slot::RESERVE, page, pages: end.saturating_sub(self.reclaimed) })?;
        Ok(())
    }
}

/// The objects are gone, their capabilities are stale; the slots are emptied for the block's next user.
fn empty_slots(kernel: &mut impl Kernel, corpse: &Corpse) {
    let threads = (0..corpse.threads).map(|thread| corpse.block.thread(thread));
    for slot in [corpse.block.table(), corpse.block.space()].into_iter().chain(threads) {
        // A slot that a half-built instance never filled is empty already.
        let _empty = kernel.delete(OWN_TABLE, slot);
    }
}
