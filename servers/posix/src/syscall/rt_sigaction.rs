//! `rt_sigaction`, `rt_sigprocmask`, `rt_sigpending`, `rt_sigsuspend`, `rt_sigtimedwait`, `rt_sigreturn`, `sigaltstack`, `pause`.

use libsys::field;

use crate::call::{Call, Stop, SysResult};
use crate::errno::Errno;
use crate::saved::{Action, Thread, slot};
use crate::signal::deliver::STACK_DISABLED;
use crate::signal::frame::{self, CONTEXT_BYTES, FPU_BYTES};
use crate::signal::{self, MIN_STACK_BYTES, UNSTOPPABLE, bit};
use crate::wait::{Event, Wait};

/// Flags of `sigaction`: no child stop, no child wait, siginfo, restorer, on stack, restart, no defer, reset.
const KNOWN_FLAGS: u64 = 0xdc00_0007;
const SA_UNSUPPORTED: u64 = 0x400;
const SIG_BLOCK: u64 = 0;
const SIG_UNBLOCK: u64 = 1;
const SIG_SETMASK: u64 = 2;
const SET_BYTES: u64 = 8;
const SS_ONSTACK: u64 = 1;
const SS_AUTODISARM: u64 = 1 << 31;

fn check_set(size: u64) -> Result<(), Errno> {
    if size == SET_BYTES { Ok(()) } else { Err(Errno::EINVAL) }
}

/// Asks and sets what a signal does.
pub fn sys_rt_sigaction(call: &mut Call<'_, '_>) -> SysResult {
    let [number, new, old, size, ..] = call.arguments;
    check_set(size)?;
    let signal = signal::number(number)?;
    if signal == 0 || new != 0 && UNSTOPPABLE & bit(signal) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let before = call.posix.store.action(call.process, signal);
    let action = if new == 0 {
        None
    } else {
        let [handler, flags, restorer, mask] = call.read_words(new)?;
        // Linux clears what it does not know, so that programs can find out.
        Some(Action { handler, flags: flags & KNOWN_FLAGS & !SA_UNSUPPORTED, restorer, mask: mask & !UNSTOPPABLE })
    };
    if old != 0 {
        call.write_words(old, &[before.handler, before.flags, before.restorer, before.mask])?;
    }
    if let Some(action) = action {
        call.posix.store.set_action(call.process, signal, action);
        call.posix.forget_ignored(call.process, signal);
    }
    Ok(0)
}

/// Asks and sets the mask.
pub fn sys_rt_sigprocmask(call: &mut Call<'_, '_>) -> SysResult {
    let [how, new, old, size, ..] = call.arguments;
    check_set(size)?;
    let before = call.posix.store.thread(call.lane).mask;
    let mask = if new == 0 {
        before
    } else {
        let set = call.read_u64(new)?;
        match how {
            SIG_BLOCK => before | set,
            SIG_UNBLOCK => before & !set,
            SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL.into()),
        }
    };
    if old != 0 {
        call.write_words(old, &[before])?;
    }
    if mask != before {
        call.posix.store.set_thread_field(call.lane, field!(Thread, mask), mask & !UNSTOPPABLE);
    }
    Ok(0)
}

/// Blocked signals that wait.
pub fn sys_rt_sigpending(call: &mut Call<'_, '_>) -> SysResult {
    let [to, size, ..] = call.arguments;
    if size > 8 {
        return Err(Errno::EINVAL.into());
    }
    let thread = call.posix.store.thread(call.lane);
    let pending = (thread.pending | call.me().pending) & thread.mask;
    call.write(to, pending.to_le_bytes().get(..size as usize).unwrap_or_default())?;
    Ok(0)
}

/// Waits for a signal under another mask.
pub fn sys_rt_sigsuspend(call: &mut Call<'_, '_>) -> SysResult {
    let [set, size, ..] = call.arguments;
    check_set(size)?;
    let mask = call.read_u64(set)?;
    call.suspend_mask(mask);
    call.wait(Wait::on(Event::Lane), false)
}

/// Waits for a signal.
pub fn sys_pause(call: &mut Call<'_, '_>) -> SysResult {
    call.wait(Wait::on(Event::Lane), false)
}

impl Call<'_, '_> {
    /// Another mask until this call's end.
    pub fn suspend_mask(&mut self, mask: u64) {
        self.posix.store.edit_thread(self.lane, |thread| {
            if thread.restore_mask == 0 {
                thread.saved_mask = thread.mask;
                thread.restore_mask = 1;
            }
            thread.mask = mask & !UNSTOPPABLE;
        });
    }

    /// The mask argument of `pselect6` and `ppoll`, if there is one.
    ///
    /// # Errors
    /// `EINVAL`, `EFAULT`.
    pub fn suspend_mask_argument(&mut self, set: u64, size: u64) -> Result<(), Stop> {
        if set != 0 {
            check_set(size)?;
            let mask = self.read_u64(set)?;
            self.suspend_mask(mask);
        }
        Ok(())
    }
}

/// Takes a blocked signal, waiting for it if need be.
pub fn sys_rt_sigtimedwait(call: &mut Call<'_, '_>) -> SysResult {
    let [set, info, timeout, size, ..] = call.arguments;
    check_set(size)?;
    let wanted = call.read_u64(set)? & !UNSTOPPABLE;
    let deadline = call.timeout_argument(timeout)?;
    if let Some(next) = call.posix.next_signal(call.lane, wanted) {
        let origin = call.posix.take_pending(next);
        if info != 0 {
            // What a bad address is told is lost, as on Linux.
            call.write(info, &frame::info(next.1, &origin))?;
        }
        return Ok(next.1 as u64);
    }
    if call.has_passed(deadline) {
        return Err(Errno::EAGAIN.into());
    }
    call.wait(call.until(Event::Signal, deadline), false)
}

/// Goes back to what a handler interrupted.
pub fn sys_rt_sigreturn(call: &mut Call<'_, '_>) -> SysResult {
    let frame = call.posix.kernel.get_frame(slot::thread(call.lane)).map_err(crate::space::kernel_errno)?;
    let Ok(frame) = restore(call, &frame) else {
        call.posix.exit_process(call.process, crate::signal::SIGSEGV as u32);
        return Err(Stop::Gone);
    };
    call.posix.set_frame(call.lane, &frame);
    Err(Stop::Frame)
}

fn restore(call: &mut Call<'_, '_>, now: &abi::Frame) -> Result<abi::Frame, Stop> {
    // The handler's return took the restorer's address off the frame.
    let context: [u8; CONTEXT_BYTES] = call.read_bytes(now.rsp)?;
    let (mut frame, context, fpu) = frame::decode(&context, now)?;
    if fpu != 0 {
        let state: [u8; FPU_BYTES] = call.read_bytes(fpu)?;
        frame::decode_fpu(&state, &mut frame);
    }
    call.posix.store.edit_thread(call.lane, |thread| {
        thread.mask = context.mask & !UNSTOPPABLE;
        let [base, size, flags] = context.alternate;
        thread.alternate = if flags & STACK_DISABLED != 0 { [0; 3] } else { [base, size, 0] };
    });
    Ok(frame)
}

/// Asks and sets the alternative stack.
pub fn sys_sigaltstack(call: &mut Call<'_, '_>) -> SysResult {
    let [new, old, ..] = call.arguments;
    let [base, size, _] = call.posix.store.thread(call.lane).alternate;
    let frame = call.posix.kernel.get_frame(slot::thread(call.lane)).map_err(crate::space::kernel_errno)?;
    let on_stack = size != 0 && frame.rsp.wrapping_sub(base) < size;
    let wanted = if new == 0 { None } else { Some(call.read_words::<3>(new)?) };
    if old != 0 {
        let flags = if size == 0 { STACK_DISABLED } else { u64::from(on_stack) };
        call.write_words(old, &[base, flags, size])?;
    }
    if let Some([base, flags, size]) = wanted {
        if on_stack {
            return Err(Errno::EPERM.into());
        }
        let alternate = match flags & 0xffff_ffff & !SS_AUTODISARM {
            STACK_DISABLED => [0; 3],
            0 | SS_ONSTACK if size < MIN_STACK_BYTES => return Err(Errno::ENOMEM.into()),
            0 | SS_ONSTACK => [base, size, 0],
            _ => return Err(Errno::EINVAL.into()),
        };
        call.posix.store.set_thread_field(call.lane, field!(Thread, alternate), alternate);
    }
    Ok(0)
}
