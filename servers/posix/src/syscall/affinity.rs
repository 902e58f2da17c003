//! `sched_setaffinity`, `sched_getaffinity`, `getcpu`: which processors may run a thread, and which one does.
//!
//! A thread runs on one of its set, which its lane chooses ([`place`]); it moves when the set changes, and its children have the same set.

use abi::{Error, ThreadSetting};

use crate::call::{Call, SysResult};
use crate::errno::Errno;
use crate::place;
use crate::saved::{Lane, redo, slot};
use crate::server::Posix;
use crate::space::kernel_errno;

impl Posix<'_> {
    /// The processors that may run a thread, a bit for each.
    #[must_use]
    pub fn affinity(&self, lane: Lane) -> u64 {
        place::allowed(self.store.thread(lane).affinity, self.kernel.processors())
    }

    /// The processor that runs it.
    #[must_use]
    pub fn processor_of(&self, lane: Lane) -> usize {
        place::processor_of(lane, self.affinity(lane))
    }

    /// Has a thread run on one of a set, 0 being all. One that runs is stopped for it and started again.
    ///
    /// # Errors
    /// What the kernel refuses.
    fn set_affinity(&mut self, lane: Lane, set: u64) -> Result<(), Errno> {
        let handle = slot::thread(lane);
        let before = self.processor_of(lane);
        self.store.edit_thread(lane, |thread| thread.affinity = set);
        let now = self.processor_of(lane);
        let ticks = self.kernel.thread_state(handle).map_or([0; 2], |(ticks, _)| [ticks.user, ticks.system]);
        self.count_worked(before, ticks, u64::wrapping_add);
        self.count_worked(now, ticks, u64::wrapping_sub);
        let processor = now as u64;
        match self.kernel.thread_configure(handle, ThreadSetting::Processor, processor) {
            Err(Error::WrongState) => {}
            settled => return settled.map_err(kernel_errno),
        }
        self.store.edit_thread(lane, |thread| thread.redo = redo::START);
        self.store.commit();
        self.kernel.thread_stop(handle).map_err(kernel_errno)?;
        let settled = self.kernel.thread_configure(handle, ThreadSetting::Processor, processor);
        self.redo(lane);
        settled.map_err(kernel_errno)
    }
}

/// The processors that may run a thread.
pub fn sys_sched_getaffinity(call: &mut Call<'_, '_>) -> SysResult {
    let [pid, length, to, ..] = call.arguments;
    // Linux takes 32 bits of the length.
    let length = length as u32;
    if length < 8 || !length.is_multiple_of(8) {
        return Err(Errno::EINVAL.into());
    }
    let lane = call.thread_argument(pid as u32)?;
    call.write_words(to, &[call.posix.affinity(lane)])?;
    Ok(8)
}

/// Which processor runs the caller, and on which node: the one there is.
pub fn sys_getcpu(call: &mut Call<'_, '_>) -> SysResult {
    let [processor, node, ..] = call.arguments;
    let own = call.posix.processor_of(call.lane) as u32;
    for (address, number) in [(processor, own), (node, 0)].into_iter().filter(|(address, _)| *address != 0) {
        call.write_u32(address, number)?;
    }
    Ok(0)
}

/// Sets them; those that there are not do not count, and one must be left.
pub fn sys_sched_setaffinity(call: &mut Call<'_, '_>) -> SysResult {
    let [pid, length, from, ..] = call.arguments;
    let mut set = [0; 8];
    let length = (length as u32 as usize).min(set.len());
    call.read(from, set.get_mut(..length).unwrap_or_default())?;
    let lane = call.thread_argument(pid as u32)?;
    let owner = call.posix.store.process(call.posix.store.thread(lane).process as usize);
    if call.me().uid[1] != 0 && !call.owns(&owner) {
        return Err(Errno::EPERM.into());
    }
    let all = place::all(call.posix.kernel.processors());
    let set = u64::from_le_bytes(set) & all;
    if set == 0 {
        return Err(Errno::EINVAL.into());
    }
    call.posix.set_affinity(lane, if set == all { 0 } else { set })?;
    Ok(0)
}
