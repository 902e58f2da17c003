//! What differs between two worlds that went the same way, one of them by the fast path.
//!
//! Everything must be equal but what no code looks at: registers that the native ABI gives up, links of a thread that is on no list, the
//! rest of an empty slot. The timer may be set for the end of a slice that nobody waits for any more: it then fires for nothing.

use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

use abi::{Frame, ObjectKind};

use super::World;
use crate::capability::{CapTable, Slot, SlotPlace};
use crate::machine::{Machine, PageNumber};
use crate::page::Ref;
use crate::space::table::{ACCESSED, DIRTY};
use crate::thread::{CallKind, State, Thread};

impl World {
    /// The first difference to a world that went the slow way. `all` compares the bytes of plain memory too. What may differ is equal afterwards.
    ///
    /// # Errors
    /// The difference, in words.
    pub fn compare(&mut self, slow: &mut World, all: bool) -> Result<(), String> {
        self.compare_processor(slow)?;
        for page in 0..self.kernel.machine.page_count() {
            let (info, other) = (self.page_info(page), slow.page_info(page));
            if info != other {
                return Err(format!("the record of page {page} is {info:x?} instead of {other:x?}"));
            }
            let plain = matches!(info.kind(), ObjectKind::Memory | ObjectKind::Empty);
            // A thread is settled all the same: what it gave up it may find changed, or not.
            if plain && !all || info.kind() != ObjectKind::Thread && self.page(page) == slow.page(page) {
                continue;
            }
            self.settle(page);
            slow.settle(page);
            if self.page(page) != slow.page(page) {
                return Err(self.describe(slow, page));
            }
        }
        Ok(())
    }

    /// What an operation of a thread that failed has changed, which should be nothing. `before` is the world when the thread stood at its `syscall`. Status and
    /// message words are the answer, and which pages were looked at (accessed, dirty) is no state.
    ///
    /// # Errors
    /// The difference, in words.
    pub fn compare_failure(&self, before: &World, thread: Ref<Thread>) -> Result<(), String> {
        const NO_OPERATION: u64 = 0x7f << 24;
        let (mut after, mut before) = (self.clone(), before.clone());
        before.frame(thread).rax = NO_OPERATION;
        before.execute_syscall(thread);
        let Frame { rax, rdi, rsi, rdx, r8, r9, r10, r12, r13, .. } = *after.frame(thread);
        let frame = before.frame(thread);
        *frame = Frame { rax, rdi, rsi, rdx, r8, r9, r10, r12, r13, ..*frame };
        after.forget_accesses();
        before.forget_accesses();
        after.compare(&mut before, true)
    }

    fn forget_accesses(&mut self) {
        for page in 0..self.kernel.machine.page_count() {
            if matches!(self.page_info(page).kind(), ObjectKind::PageTable) {
                for entry in self.page(page).as_chunks_mut::<8>().0 {
                    *entry = (u64::from_le_bytes(*entry) & !(ACCESSED | DIRTY)).to_le_bytes();
                }
            }
        }
    }

    fn compare_processor(&mut self, slow: &mut World) -> Result<(), String> {
        let (fast, slow) = (&mut self.kernel, &mut slow.kernel);
        let records = fast.cpus.used_mut().iter_mut().zip(slow.cpus.used());
        for ((fast, slow), (core, other)) in records.zip(fast.machine.cores.iter_mut().zip(&slow.machine.cores)) {
            if fast.timer <= slow.timer {
                (fast.timer, core.timer) = (slow.timer, other.timer);
            }
            equal(fast, slow)?;
            equal(&(core.root, core.fpu_trap, core.timer), &(other.root, other.fpu_trap, other.timer))?;
        }
        equal(&(fast.epoch, fast.lines), &(slow.epoch, slow.lines))?;
        equal(&fast.machine.log, &slow.machine.log)
    }

    fn describe(&mut self, slow: &mut World, page: PageNumber) -> String {
        let kind = self.page_info(page).kind();
        let address = self.kernel.machine.page_address(page);
        let (fast, slow) = match kind {
            ObjectKind::Thread => (format!("{:x?}", self.thread(Ref::at(address))), format!("{:x?}", slow.thread(Ref::at(address)))),
            _ => (words(self.page(page)), words(slow.page(page))),
        };
        format!("page {page} ({kind:?}) is\n{fast}\ninstead of\n{slow}")
    }

    /// Clears what nobody looks at.
    fn settle(&mut self, page: PageNumber) {
        let address = self.kernel.machine.page_address(page);
        match self.page_info(page).kind() {
            ObjectKind::Thread => self.settle_thread(Ref::at(address)),
            // A later page of a table is pinned, and was settled with the first.
            ObjectKind::CapTable if self.page_info(page).pins == 0 => self.settle_table(Ref::at(address)),
            _ => {}
        }
    }

    fn settle_table(&mut self, table: Ref<CapTable>) {
        for index in abi::FIRST_HANDLE..self.kernel.table(table).slots {
            let slot = self.kernel.slot(SlotPlace { table, index });
            if slot.is_empty() {
                *slot = Slot::default();
            }
        }
    }

    fn settle_thread(&mut self, thread: Ref<Thread>) {
        let current = self.kernel.current() == Some(thread);
        let entry = self.kernel.thread(thread);
        let state = entry.state();
        if state == State::Receiving || state == State::AwaitingReply && entry.call_kind() == CallKind::Call {
            let Frame { rsp, rbp, rip, rflags, fs_base, gs_base, fpu_valid, xsave, .. } = entry.frame;
            entry.frame = Frame { rsp, rbp, rip, rflags, fs_base, gs_base, fpu_valid, xsave, rcx: rip, r11: rflags, ..Frame::new() };
        }
        if current || matches!(state, State::AwaitingReply | State::Stopped | State::Waiting) {
            (entry.next, entry.previous) = (Ref::NONE, Ref::NONE);
        }
        if !matches!(state, State::Calling | State::Receiving) {
            entry.endpoint = Ref::NONE;
        }
        if state != State::AwaitingReply {
            (entry.reply_table, entry.reply, entry.instance_next) = (Ref::NONE, 0, Ref::NONE);
        }
        if state != State::Calling {
            entry.label = 0;
        }
        if !matches!(state, State::Calling | State::AwaitingReply) {
            entry.lease_count = 0;
        }
    }
}

/// Whether two values are equal, as their hashes tell.
pub(super) fn same<T: Hash>(left: &T, right: &T) -> bool {
    hash(left) == hash(right)
}

fn equal<T: Hash + Debug>(fast: &T, slow: &T) -> Result<(), String> {
    if same(fast, slow) { Ok(()) } else { Err(format!("{fast:x?}\ninstead of\n{slow:x?}")) }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn words(bytes: &[u8]) -> String {
    let words = bytes.as_chunks::<8>().0.iter().enumerate().map(|(index, word)| (index, u64::from_le_bytes(*word)));
    words.filter(|(_, word)| *word != 0).map(|(index, word)| format!("{index}:{word:x} ")).collect()
}
