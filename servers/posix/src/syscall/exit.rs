//! `exit`, `exit_group`.

use crate::call::{Call, Stop, SysResult};

/// Ends the thread; the last one ends the process.
pub fn sys_exit(call: &mut Call<'_, '_>) -> SysResult {
    let address = call.posix.store.thread(call.lane).clear_tid;
    if address != 0 && call.me().lanes > 1 {
        // A thread that gave a bad address is not joined.
        if let Err(stop @ Stop::Wait(_)) = call.write_u32(address, 0) {
            return Err(stop);
        }
        call.wake_futex(address, 1, u64::from(u32::MAX));
    }
    if call.me().lanes <= 1 {
        return sys_exit_group(call);
    }
    call.posix.end_lane(call.lane);
    Err(Stop::Gone)
}

/// Ends the process.
pub fn sys_exit_group(call: &mut Call<'_, '_>) -> SysResult {
    let status = (call.arguments[0] as u32 & 0xff) << 8;
    call.posix.exit_process(call.process, status);
    Err(Stop::Gone)
}
