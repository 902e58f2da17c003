//! Runs the fast path on the host: user registers go in, and come back as the fast path or the slow one would find them.
//!
//! `gs` is free in a Linux process, so it may point at the record of a processor as in ring 0. What the kernel's references name must be
//! real memory: a [`crate::fake::FakeMachine`] at its fixed place.

use core::arch::naked_asm;
use core::mem::offset_of;
use core::sync::atomic::Ordering;

use super::{LOCK, STACK, entry, page_fault};
use crate::fake::FakeMachine;
use crate::kernel::{Cpu, Kernel};

/// Where in a processor's record the way back is.
const REGISTERS: usize = offset_of!(Cpu, host) + offset_of!(Seam, registers);

/// What stands for the processor: its clock, and where to go back to.
#[derive(Clone, Copy, Debug, Default, Hash)]
#[repr(C)]
pub struct Seam {
    /// The time-stamp counter.
    pub now: u64,
    /// CR2.
    pub(super) address: u64,
    pub(super) stack: u64,
    registers: u64,
    /// CR3.
    pub(super) loaded: u64,
}

/// User registers at `syscall`, and after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Registers {
    /// In the order of the processor's own numbering: rax rcx rdx rbx rsp rbp rsi rdi r8 to r15.
    pub general: [u64; 16],
    /// The instruction pointer, where it is in no register.
    pub rip: u64,
    /// And the flags.
    pub rflags: u64,
    /// Which way the fast path ended.
    pub end: u64,
}

/// It went to the slow path: nothing but the thread's frame has changed, and the frame is as the slow path wants it.
pub const SLOW: u64 = 0;
/// It left ring 0 by SYSRET.
pub const LEFT: u64 = 1;
/// It did all but what ends a trap: the registers of who runs then are in its frame.
pub const RESUME: u64 = 2;
/// It left ring 0 by IRET.
pub const RETURNED: u64 = 3;

/// What stands for the kernel's own top-level table.
const KERNEL_ROOT: u64 = 0x6b65_726e_0000;

/// What CR3 is while a processor's record says that this table is loaded.
fn loaded_by(root: u32) -> u64 {
    if root == 0 { KERNEL_ROOT } else { u64::from(root) << 12 }
}

/// What C may leave in its registers.
const STALE: u64 = 0x7761_6974_6564_0000;

/// What stands for the selectors of user code.
pub(super) const USER_CODE: u16 = 3;
pub(super) const USER_DATA: u16 = 3;

/// A page fault, as the processor tells of it.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// The error code.
    pub code: u64,
    /// CR2.
    pub address: u64,
}

/// Enters the fast path as the current thread, by `syscall` or by a page fault. How it ended is in the registers' `end`. `waits` says whether
/// another processor has the lock at first.
///
/// # Safety
/// All references in `kernel` name real memory.
pub unsafe fn enter(kernel: &mut Kernel<FakeMachine>, registers: &mut Registers, fault: Option<Fault>, waits: bool) {
    let (infos, now) = (kernel.machine.info_address(), kernel.machine.time);
    let address = fault.map_or(0, |fault| fault.address);
    let cpu = kernel.cpu();
    (cpu.infos, cpu.direct_map, cpu.kernel_root) = (infos, crate::fake::FAKE_BASE, KERNEL_ROOT);
    cpu.host = Seam { now, address, stack: 0, registers: &raw mut *registers as u64, loaded: loaded_by(cpu.root) };
    LOCK.store(u32::from(waits), Ordering::Relaxed);
    // SAFETY: nothing else in this process uses `gs`; the call below does as the fast path says, and comes back here.
    unsafe {
        set_gs(&raw mut *kernel.cpu());
        match fault {
            None => run(registers),
            Some(fault) => run_into(registers, fault.code),
        }
    }
    let cpu = kernel.cpu();
    assert_eq!(cpu.host.loaded, loaded_by(cpu.root), "what is loaded is not what the record says");
    (cpu.infos, cpu.direct_map, cpu.kernel_root, cpu.user_rsp, cpu.host) = (0, 0, 0, 0, Seam::default());
    LOCK.store(0, Ordering::Relaxed);
}

/// arch_prctl(2), ARCH_SET_GS.
unsafe fn set_gs(cpu: *mut Cpu) {
    const ARCH_PRCTL: u64 = 158;
    const SET_GS: u64 = 0x1001;
    // SAFETY: the caller's promise; the call changes nothing else.
    unsafe {
        core::arch::asm!("syscall", inout("rax") ARCH_PRCTL => _, in("rdi") SET_GS, in("rsi") cpu, out("rcx") _, out("r11") _, options(nostack));
    }
}

/// The host's registers are kept, and user code's loaded from `rdi`, all but `rsp` and `rdi` itself.
macro_rules! begin {
    () => {
        "push rbx
        push rbp
        push r12
        push r13
        push r14
        push r15
        mov gs:[{stack}], rsp
        mov rax, [rdi]
        mov rcx, [rdi + 8]
        mov rdx, [rdi + 16]
        mov rbx, [rdi + 24]
        mov rbp, [rdi + 40]
        mov r8, [rdi + 64]
        mov r9, [rdi + 72]
        mov r10, [rdi + 80]
        mov r11, [rdi + 88]
        mov r12, [rdi + 96]
        mov r13, [rdi + 104]
        mov r14, [rdi + 112]
        mov r15, [rdi + 120]"
    };
}

/// User code's registers are stored at `rdi`, all but `rsp` and `rdi` itself.
macro_rules! end {
    () => {
        "mov [rdi], rax
        mov [rdi + 8], rcx
        mov [rdi + 16], rdx
        mov [rdi + 24], rbx
        mov [rdi + 40], rbp
        mov [rdi + 48], rsi
        mov [rdi + 64], r8
        mov [rdi + 72], r9
        mov [rdi + 80], r10
        mov [rdi + 88], r11
        mov [rdi + 96], r12
        mov [rdi + 104], r13
        mov [rdi + 112], r14
        mov [rdi + 120], r15"
    };
}

#[unsafe(naked)]
unsafe extern "sysv64" fn run(registers: *mut Registers) {
    naked_asm!(
        begin!(),
        "mov rsp, [rdi + 32]",
        "mov rsi, [rdi + 48]",
        "mov rdi, [rdi + 56]",
        "jmp {entry}",
        stack = const STACK,
        entry = sym entry,
    )
}

/// As the processor enters a page fault: on another stack, on which the interrupted state lies.
///
/// # Safety
/// As of [`enter`], with `gs` at the kernel's record of the processor.
#[unsafe(naked)]
unsafe extern "sysv64" fn run_into(registers: *mut Registers, code: u64) {
    naked_asm!(
        begin!(),
        "push {selector}",
        "push [rdi + 32]",
        "push [rdi + {rflags}]",
        "push {selector}",
        "push [rdi + {rip}]",
        "push rsi",
        "mov rsi, [rdi + 48]",
        "mov rdi, [rdi + 56]",
        "jmp {entry}",
        stack = const STACK,
        selector = const USER_CODE,
        rip = const offset_of!(Registers, rip),
        rflags = const offset_of!(Registers, rflags),
        entry = sym page_fault,
    )
}

/// Where SYSRET would be.
#[unsafe(naked)]
pub(super) extern "C" fn left() {
    naked_asm!(
        "mov gs:[{user_rsp}], rsp",
        "mov rsp, gs:[{stack}]",
        "push rdi",
        "mov rdi, gs:[{registers}]",
        end!(),
        "pop rax",
        "mov [rdi + 56], rax",
        "mov rax, gs:[{user_rsp}]",
        "mov [rdi + 32], rax",
        "mov [rdi + {rip}], rcx",
        "mov [rdi + {rflags}], r11",
        "mov qword ptr [rdi + {end}], {left}",
        "jmp {back}",
        user_rsp = const offset_of!(Cpu, user_rsp),
        stack = const STACK,
        registers = const REGISTERS,
        rip = const offset_of!(Registers, rip),
        rflags = const offset_of!(Registers, rflags),
        end = const offset_of!(Registers, end),
        left = const LEFT,
        back = sym back,
    )
}

/// Where IRET would be: the state to return to lies on the stack.
#[unsafe(naked)]
pub(super) extern "C" fn returned() {
    naked_asm!(
        "push rdi",
        "mov rdi, gs:[{registers}]",
        end!(),
        "pop qword ptr [rdi + 56]",
        "pop qword ptr [rdi + {rip}]",
        "pop rax",
        "pop qword ptr [rdi + {rflags}]",
        "pop qword ptr [rdi + 32]",
        "pop rax",
        "mov qword ptr [rdi + {end}], {returned}",
        "jmp {back}",
        registers = const REGISTERS,
        rip = const offset_of!(Registers, rip),
        rflags = const offset_of!(Registers, rflags),
        end = const offset_of!(Registers, end),
        returned = const RETURNED,
        back = sym back,
    )
}

/// Where a page fault in ring 0 would go: there is none.
#[unsafe(naked)]
pub(super) extern "C" fn kernel_page_fault() {
    naked_asm!("ud2")
}

macro_rules! way_out {
    ($(#[$doc:meta])* $name:ident, $end:ident) => {
        $(#[$doc])*
        #[unsafe(naked)]
        pub(super) extern "C" fn $name() {
            naked_asm!(
                "mov rsp, gs:[{stack}]",
                "mov rdi, gs:[{registers}]",
                "mov qword ptr [rdi + {end}], {how}",
                "jmp {back}",
                stack = const STACK,
                registers = const REGISTERS,
                end = const offset_of!(Registers, end),
                how = const $end,
                back = sym back,
            )
        }
    };
}

way_out! {
    /// Where the slow path would begin.
    slow, SLOW
}
way_out! {
    /// Where a trap would end.
    resume, RESUME
}

/// Where who meets the lock held waits until it has it: at once, but nothing that C may change is as it was.
#[unsafe(naked)]
pub(super) extern "C" fn wait() {
    naked_asm!(
        "mov rax, {stale}",
        "mov rcx, rax",
        "mov rdx, rax",
        "mov rsi, rax",
        "mov rdi, rax",
        "mov r8, rax",
        "mov r9, rax",
        "mov r10, rax",
        "mov r11, rax",
        "ret",
        stale = const STALE,
    )
}

#[unsafe(naked)]
extern "C" fn back() {
    naked_asm!("pop r15", "pop r14", "pop r13", "pop r12", "pop rbp", "pop rbx", "ret")
}
