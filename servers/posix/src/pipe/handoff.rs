//! A write that meets a reader who waits: the bytes go from the one program to the other, and never lie in the pipe.
//!
//! The results of both are one transaction, so whoever dies before it leaves two calls that begin anew, with the same bytes, and after it two that are answered. What is not the
//! common case, above all a page of either that is not there, takes the way through the pipe, to which nothing has happened yet.

use abi::call_sum;

use crate::call::Call;
use crate::fail::Point;
use crate::fd::kind;
use crate::hands::InHand;
use crate::io::{Data, Vector};
use crate::saved::{Done, Lane, flag, redo, slot, state};
use crate::server::{Incoming, Posix};
use crate::wait::Event;

/// Linux's number of `read`.
const READ: u64 = 0;

impl Posix<'_> {
    /// Who waits in `read` for the bytes of a pipe, the longest of all, and where it wants them.
    fn pipe_reader(&self, pipe: usize) -> Option<(Lane, Vector)> {
        let lane = self.hands.first_on(Event::Pipe(pipe as u32))?;
        let InHand { number, incoming: Incoming::Call { number: READ, arguments, sum }, .. } = *self.hands.get(lane)? else { return None };
        let [descriptor, address, length, ..] = arguments;
        let thread = self.store.thread(lane);
        let process = thread.process as usize;
        let (_, file) = self.file_of(process, descriptor).ok()?;
        let reads_here = file.kind == kind::PIPE && file.object as usize == pipe && file.reads() && sum == call_sum(number, READ, arguments);
        let is_idle = thread.state == state::LIVE && thread.redo == redo::NONE && self.store.process(process).flags & flag::EXITING == 0;
        let to = Vector { address, length: usize::try_from(length).unwrap_or(usize::MAX) };
        (reads_here && is_idle && self.is_undisturbed(lane)).then_some((lane, to))
    }
}

impl Call<'_, '_> {
    /// Gives all of a write to an empty pipe to who waits for it, if there is one who takes it all. Returns whether that was done; if not, nothing was.
    pub(super) fn hand_over(&mut self, pipe: usize, from: Data<'_>) -> bool {
        let Data::Program(from) = from else { return false };
        let Some((reader, to)) = self.posix.pipe_reader(pipe).filter(|(_, to)| from.length <= to.length) else { return false };
        let map = self.posix.store.process(self.posix.store.thread(reader).process as usize).map as usize;
        self.check_named(from.address, from.length);
        let (source, target) = (slot::space(self.map), slot::space(map));
        let mut done = 0;
        while done < from.length {
            let places = (to.address.wrapping_add(done as u64), from.address.wrapping_add(done as u64));
            match self.posix.kernel.copy_across(target, places.0, source, places.1, from.length - done) {
                Ok(count) if count > 0 => done += count,
                _ => return false,
            }
        }
        libsys::fail::hit(Point::QueueEmptied);
        let number = self.posix.hands.get(reader).map_or(0, |hand| hand.number.0);
        self.posix.store.set_done(reader, Done { number, result: from.length as u64 });
        self.posix.wake_lane(reader);
        true
    }
}
