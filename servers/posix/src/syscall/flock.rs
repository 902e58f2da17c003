//! `flock`.

use crate::call::{Call, SysResult};
use crate::errno::Errno;
use crate::saved::File;
use crate::server::Posix;
use crate::wait::{Event, Wait};

const LOCK_SH: u64 = 1;
const LOCK_EX: u64 = 2;
const LOCK_NB: u64 = 4;
const LOCK_UN: u64 = 8;
const SHARED: u32 = 1;
const EXCLUSIVE: u32 = 2;

/// Locks a whole file for an open file description.
pub fn sys_flock(call: &mut Call<'_, '_>) -> SysResult {
    let [descriptor, operation, ..] = call.arguments;
    let (index, file) = call.posix.file_of(call.process, descriptor)?;
    let wanted = match operation & !LOCK_NB {
        LOCK_SH => SHARED,
        LOCK_EX => EXCLUSIVE,
        LOCK_UN => 0,
        _ => return Err(Errno::EINVAL.into()),
    };
    if file.node == 0 {
        return Ok(0);
    }
    call.posix.unlock_file(index, &file);
    let node = call.posix.store.node(file.node as usize);
    if wanted == 0 {
        return Ok(0);
    }
    if node.lock == EXCLUSIVE || node.lock == SHARED && wanted == EXCLUSIVE {
        if operation & LOCK_NB != 0 {
            return Err(Errno::EAGAIN.into());
        }
        return call.wait(Wait::on(Event::Lock), true);
    }
    call.posix.store.edit_node(file.node as usize, |node| (node.lock, node.lock_holders) = (wanted, node.lock_holders + 1));
    call.posix.store.edit_file(index, |file| file.owner = wanted);
    Ok(0)
}

impl Posix<'_> {
    /// A file gives up its lock, if it has one. Its record may be gone already.
    pub fn unlock_file(&mut self, index: usize, file: &File) {
        if file.owner == 0 || file.node == 0 {
            return;
        }
        if self.store.file(index).references != 0 {
            self.store.edit_file(index, |file| file.owner = 0);
        }
        self.store.edit_node(file.node as usize, |node| {
            node.lock_holders = node.lock_holders.saturating_sub(1);
            if node.lock_holders == 0 {
                node.lock = 0;
            }
        });
        self.wake(Event::Lock);
    }
}
