//! Out of memory: the process with the largest footprint goes, whoever it was that asked for one page too many.
//!
//! Whoever needs a page waits, as for a file that is not there yet: what this run of its message has changed is taken back, and it runs again when a
//! process's memory came back. As on Linux the footprint is what is present of its areas, and all processes that share the memory go with it.
//! One victim at a time: while one is on its way out nobody else is chosen.

use alloc::format;

use crate::fault::Refused;
use crate::saved::{Origin, ProcessIndex, flag, state};
use crate::server::Posix;
use crate::signal::{SI_KERNEL, SIGKILL, bit};
use crate::wait::{Event, Wait};

/// Bytes of a kilobyte in a page.
const KILOBYTES_PER_PAGE: u64 = 4;

impl Posix<'_> {
    /// What a lack of memory means for who has met it: a wait, if there are no pages at all.
    pub(crate) fn lack_of_memory(&mut self) -> Refused {
        match self.frames.take(self.kernel) {
            Ok(_) => Refused::NoMemory,
            Err(_) => Refused::Wait(Wait::on(Event::Memory)),
        }
    }

    /// Kills the largest process, unless one is being killed already. Outside of any message's changes.
    pub(crate) fn relieve_memory(&mut self) {
        let live = |posix: &Self, process: &ProcessIndex| posix.store.process(*process).state == state::LIVE;
        let processes: alloc::vec::Vec<_> = self.processes.iter().copied().filter(|process| live(self, process)).collect();
        let is_dying = |process: &ProcessIndex| {
            let record = self.store.process(*process);
            record.flags & flag::EXITING != 0 || record.pending & bit(SIGKILL) != 0
        };
        if processes.iter().any(is_dying) {
            return;
        }
        // A kill cannot be taken back: what it is for must be so.
        self.frames.check(self.kernel);
        let footprints: alloc::vec::Vec<_> = processes.iter().map(|process| (self.map_pages(*process).resident(), *process)).collect();
        let Some((pages, victim)) = footprints.into_iter().max_by_key(|(pages, _)| *pages) else { return };
        let record = self.store.process(victim);
        let (pid, name) = (record.pid, crate::proc::name_of(&record));
        self.kernel.log(&format!("posix: out of memory: process {pid} ({name}) is killed for its {} kB", pages * KILOBYTES_PER_PAGE));
        for process in processes {
            if self.store.process(process).map == record.map {
                self.send(process, SIGKILL, Origin { code: SI_KERNEL, ..Origin::default() });
            }
        }
        self.store.commit();
    }

    /// A process's memory was taken apart: who waits for some tries again.
    pub(crate) fn memory_came_back(&mut self) {
        self.wake(Event::Memory);
        self.poke_due();
    }

    /// Pages that are free or could be bought, as far as a test can tell.
    #[cfg(test)]
    pub(crate) fn memory_left(&mut self) -> u64 {
        self.frames.count_free(self.kernel)
    }
}
