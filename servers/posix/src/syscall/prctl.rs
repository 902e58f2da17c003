//! `prctl`, `arch_prctl`, `personality`.

use abi::Frame;

use crate::call::{Call, Stop, SysResult};
use crate::errno::Errno;
use crate::proc::{NAME_BYTES, name_from};
use crate::saved::{Thread, flag, slot};

const PR_SET_PDEATHSIG: u64 = 1;
const PR_GET_PDEATHSIG: u64 = 2;
const PR_GET_DUMPABLE: u64 = 3;
const PR_SET_DUMPABLE: u64 = 4;
const PR_GET_KEEPCAPS: u64 = 7;
const PR_GET_TIMING: u64 = 13;
const PR_SET_TIMING: u64 = 14;
const PR_SET_NAME: u64 = 15;
const PR_GET_NAME: u64 = 16;
const PR_GET_SECCOMP: u64 = 21;
const PR_CAPBSET_READ: u64 = 23;
const PR_GET_SECUREBITS: u64 = 27;
const PR_SET_TIMERSLACK: u64 = 29;
const PR_GET_TIMERSLACK: u64 = 30;
const PR_SET_CHILD_SUBREAPER: u64 = 36;
const PR_GET_CHILD_SUBREAPER: u64 = 37;
const PR_SET_NO_NEW_PRIVS: u64 = 38;
const PR_GET_NO_NEW_PRIVS: u64 = 39;
const PR_SET_THP_DISABLE: u64 = 41;
const PR_GET_THP_DISABLE: u64 = 42;
/// How late Linux lets timers of a thread be, unless it says otherwise.
const TIMER_SLACK_NS: u64 = 50_000;
/// Capabilities that Linux 6.1 knows (capabilities(7)): user 0 has all, everybody else none.
pub const CAPABILITIES: u64 = 41;
const ARCH_SET_GS: u64 = 0x1001;
const ARCH_SET_FS: u64 = 0x1002;
const ARCH_GET_FS: u64 = 0x1003;
const ARCH_GET_GS: u64 = 0x1004;

/// Properties of a process.
pub fn sys_prctl(call: &mut Call<'_, '_>) -> SysResult {
    let [option, argument, ..] = call.arguments;
    let set = |call: &mut Call<'_, '_>, bit: u32, on: bool| {
        call.posix.store.edit_process(call.process, |process| process.flags = if on { process.flags | bit } else { process.flags & !bit });
        Ok(0)
    };
    let flags = call.me().flags;
    let has = |bit: u32| Ok(u64::from(flags & bit != 0));
    let rest_is_zero = call.arguments.iter().take(5).skip(2).all(|argument| *argument == 0);
    match option {
        // Processor time is counted, not sampled: Linux calls that statistical, too. Filters and secure bits there are none.
        PR_GET_TIMING | PR_GET_SECCOMP | PR_GET_KEEPCAPS | PR_GET_SECUREBITS => Ok(0),
        PR_SET_TIMING if argument == 0 => Ok(0),
        PR_CAPBSET_READ if argument < CAPABILITIES => Ok(1),
        PR_GET_TIMERSLACK => match call.posix.store.thread(call.lane).timer_slack[0] {
            0 => Ok(TIMER_SLACK_NS),
            slack => Ok(slack),
        },
        PR_SET_TIMERSLACK => {
            call.posix
                .store
                .edit_thread(call.lane, |Thread { timer_slack: [slack, default], .. }| *slack = if argument == 0 { *default } else { argument });
            Ok(0)
        }
        PR_SET_THP_DISABLE if rest_is_zero => set(call, flag::NO_HUGE_PAGES, argument != 0),
        PR_GET_THP_DISABLE if rest_is_zero && argument == 0 => has(flag::NO_HUGE_PAGES),
        PR_GET_DUMPABLE => Ok(u64::from(flags & flag::NOT_DUMPABLE == 0)),
        PR_SET_DUMPABLE if argument <= 1 => set(call, flag::NOT_DUMPABLE, argument == 0),
        PR_SET_NAME => {
            let name = name_from(&call.read_name(argument)?);
            call.posix.set_thread_name(call.lane, name);
            Ok(0)
        }
        PR_GET_NAME => {
            call.write(argument, &call.posix.thread_name(call.lane))?;
            Ok(0)
        }
        PR_SET_CHILD_SUBREAPER => set(call, flag::SUBREAPER, argument != 0),
        PR_GET_CHILD_SUBREAPER => {
            call.write_u32(argument, u32::from(flags & flag::SUBREAPER != 0))?;
            Ok(0)
        }
        PR_SET_NO_NEW_PRIVS if argument == 1 && rest_is_zero => set(call, flag::NO_NEW_PRIVILEGES, true),
        PR_GET_NO_NEW_PRIVS if rest_is_zero && argument == 0 => has(flag::NO_NEW_PRIVILEGES),
        PR_SET_PDEATHSIG if argument <= crate::saved::SIGNALS as u64 => {
            call.posix.store.edit_process(call.process, |process| process.death_signal = argument as u32);
            Ok(0)
        }
        PR_GET_PDEATHSIG => {
            call.write_u32(argument, call.me().death_signal)?;
            Ok(0)
        }
        _ => Err(Errno::EINVAL.into()),
    }
}

impl Call<'_, '_> {
    /// Up to fifteen bytes of a name.
    fn read_name(&mut self, address: u64) -> Result<alloc::vec::Vec<u8>, Stop> {
        let mut name = alloc::vec::Vec::new();
        for offset in 0..NAME_BYTES as u64 {
            let [byte] = self.read_bytes(address.checked_add(offset).ok_or(Errno::EFAULT)?)?;
            if byte == 0 {
                break;
            }
            name.push(byte);
        }
        Ok(name)
    }
}

/// The execution domain: Linux's, with or without randomised addresses, which are the same here.
pub fn sys_personality(call: &mut Call<'_, '_>) -> SysResult {
    const QUERY: u64 = 0xffff_ffff;
    const ADDR_NO_RANDOMIZE: u64 = 0x0004_0000;
    let wanted = call.arguments[0];
    let before = call.me().personality;
    if wanted != QUERY {
        if wanted & !ADDR_NO_RANDOMIZE != 0 {
            return Err(Errno::EINVAL.into());
        }
        call.posix.store.edit_process(call.process, |process| process.personality = wanted as u32);
    }
    Ok(u64::from(before))
}

/// Bases of FS and GS. Setting one is done twice without harm, so nothing of it is saved.
pub fn sys_arch_prctl(call: &mut Call<'_, '_>) -> SysResult {
    let [code, address, ..] = call.arguments;
    let handle = slot::thread(call.lane);
    let frame: Frame = call.posix.kernel.get_frame(handle).map_err(crate::space::kernel_errno)?;
    let changed = match code {
        ARCH_SET_FS | ARCH_SET_GS if address >= abi::USER_END => return Err(Errno::EPERM.into()),
        // The call's result with them: registers that are set are the thread's answer, even if we die before we give one.
        ARCH_SET_FS => Frame { fs_base: address, rax: 0, ..frame },
        ARCH_SET_GS => Frame { gs_base: address, rax: 0, ..frame },
        ARCH_GET_FS | ARCH_GET_GS => {
            call.write_words(address, &[if code == ARCH_GET_FS { frame.fs_base } else { frame.gs_base }])?;
            return Ok(0);
        }
        _ => return Err(Errno::EINVAL.into()),
    };
    call.posix.kernel.set_frame(handle, &changed).map_err(crate::space::kernel_errno)?;
    Ok(0)
}
