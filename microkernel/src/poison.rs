//! Poison: which request a server's thread died of, and how often.
//!
//! Only the request in hand is to blame: the one that the thread received or took up last and works for, as its link to the caller says. Callers
//! whose Reply the instance keeps for later are innocent. The count lies with the caller, beside the request that it counts for, so no table of suspects can
//! overflow; an answer, or another request, starts it anew. How many attempts a request has is the supervisor's to say.

use abi::{Error, ObjectKind, Rights};

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::page::Ref;
use crate::thread::Thread;

impl<M: Machine> Kernel<M> {
    /// The thread works for the caller of a Reply that was kept.
    pub(crate) fn take_up(&mut self, thread: Ref<Thread>, handle: u32) -> Result<(), Error> {
        let place = self.handle_place(thread, handle)?;
        let caller = self.reply_at(place)?;
        self.end_service(thread);
        let before = self.thread(caller).served_by;
        if let Some(before) = before.some() {
            self.thread(before).serving = Ref::NONE;
            self.chain_broken(before);
        }
        self.link_service(caller, thread);
        Ok(())
    }

    /// Says what request a thread has in hand, and with `limit` counts an attempt of it; at the limit its caller is refused.
    pub(crate) fn blame(&mut self, thread: Ref<Thread>, handle: u32) -> Result<[u64; 6], Error> {
        let [limit] = self.arguments(thread);
        let target: Ref<Thread> = self.lookup(thread, handle, ObjectKind::Thread, Rights::CONTROL)?.reference();
        let Some(caller) = self.thread(target).serving.some() else { return Ok([0; 6]) };
        let (number, badge) = self.delivered(caller);
        let entry = self.thread(caller);
        if limit != 0 {
            entry.set_attempts(entry.attempts.saturating_add(1));
        }
        let attempts = u64::from(entry.attempts);
        let kind = entry.call_kind() as u64;
        let refused = limit != 0 && attempts >= limit;
        if refused {
            self.forget_reply(caller);
            self.turn_away(caller, Error::Poisoned);
        }
        Ok([1, number, kind, badge, attempts, u64::from(refused)])
    }
}
