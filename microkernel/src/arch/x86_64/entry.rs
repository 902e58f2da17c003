//! Entry and exit: registers go straight into the thread's frame, and come from there.
//!
//! `gs` points at this processor's [`Cpu`] while in ring 0. System calls arrive in [`fastpath`]; the entry for them here is for a machine that was
//! told to do without, and saves everything. An exit uses SYSRET where the frame allows it, else IRET. An interrupt in ring 0 can only have come from the idle
//! processor's `hlt`, which has no state worth keeping, so it starts afresh on the same stack.

use core::arch::naked_asm;
use core::mem::offset_of;

use abi::Frame;
use x86_64::registers::model_specific::{KernelGsBase, LStar, Msr, SFMask};
use x86_64::registers::rflags::RFlags;

use super::descriptors::{self, USER_CODE, USER_DATA};
use super::trap;
use crate::fastpath;
use crate::fastpath::pieces::{load, offset_asm, phase, store};
use crate::fault::PAGE_FAULT;
use crate::kernel::Cpu;

/// SYSCALL and SYSRET selector bases.
const STAR: u32 = 0xc000_0081;
const GS_BASE: u32 = 0xc000_0101;

/// Sets this processor's system-call registers.
pub fn init() {
    // SAFETY: called at boot, before user code; the values are those that the entry code below is written for.
    unsafe {
        KernelGsBase::write(x86_64::VirtAddr::new_truncate(0));
        let star = u64::from(descriptors::KERNEL_CODE) << 32 | u64::from(descriptors::KERNEL_DATA | 3) << 48;
        Msr::new(STAR).write(star);
    }
    SFMask::write(RFlags::INTERRUPT_FLAG | RFlags::TRAP_FLAG | RFlags::DIRECTION_FLAG | RFlags::ALIGNMENT_CHECK | RFlags::NESTED_TASK);
}

/// Lets page faults arrive at the fast path.
pub fn use_fast_path() {
    descriptors::set_gate(PAGE_FAULT as usize, fastpath::page_fault);
}

/// Points `gs` at this processor's record, and its system calls at the fast path, unless it is not wanted.
///
/// # Safety
/// `cpu` stays where it is, is this processor's and no other's, and whoever changes it holds the lock.
pub unsafe fn use_record(cpu: *mut Cpu, slow_path: bool) {
    let entry: extern "C" fn() = if slow_path { system_call_entry } else { fastpath::entry };
    LStar::write(x86_64::VirtAddr::new_truncate(entry as *const () as u64));
    // SAFETY: the caller's promise; the entry code finds what it needs at the offsets of `Cpu`.
    unsafe { Msr::new(GS_BASE).write(cpu as u64) }
}

/// Which processor this is, by its record.
#[inline]
pub fn processor() -> usize {
    let index: usize;
    // SAFETY: `gs` is at the record in ring 0. Its index never changes, but must not be read before `gs` is there: hence no `nomem`.
    unsafe {
        core::arch::asm!("mov {}, gs:[{}]", out(reg) index, const offset_of!(Cpu, index), options(pure, readonly, nostack, preserves_flags));
    }
    index
}

#[unsafe(naked)]
extern "C" fn system_call_entry() {
    offset_asm!(
        phase!(entry),
        "swapgs",
        "mov gs:[{user_rsp}], rsp",
        "mov rsp, gs:[{current}]",
        store!("rsp": rax rbx rcx rdx rsi rdi rbp r8 r9 r10 r11 r12 r13 r14 r15),
        "mov [rsp + {rip}], rcx",
        "mov [rsp + {rflags}], r11",
        "mov rax, gs:[{user_rsp}]",
        "mov [rsp + {rsp}], rax",
        "mov rsp, gs:[{stack}]",
        "xor ebp, ebp",
        "call {handler}",
        "ud2";
        {
            Cpu: current user_rsp stack;
            Frame: rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip rflags;
        }
        handler = sym trap::slow_system_call,
    )
}

/// The stack as the vectors leave it: vector, error code, then what the processor pushed.
#[repr(C)]
pub struct Pushed {
    /// Number of the exception or interrupt.
    pub vector: u64,
    /// The processor's error code, or 0.
    pub code: u64,
    /// Where it happened.
    pub rip: u64,
    /// In which ring.
    pub cs: u64,
    /// Flags.
    pub rflags: u64,
    /// Stack pointer.
    pub rsp: u64,
    /// Stack segment.
    pub ss: u64,
}

#[unsafe(naked)]
extern "C" fn trap_entry() {
    offset_asm!(
        phase!(entry),
        "test byte ptr [rsp + {cs}], 3",
        "jz 2f",
        "swapgs",
        "push rax",
        "mov rax, gs:[{current}]",
        store!("rax": rbx rcx rdx rsi rdi rbp r8 r9 r10 r11 r12 r13 r14 r15),
        "pop rbx",
        "mov [rax + {rax}], rbx",
        "mov rbx, [rsp + {at_rip}]",
        "mov [rax + {rip}], rbx",
        "mov rbx, [rsp + {at_rflags}]",
        "mov [rax + {rflags}], rbx",
        "mov rbx, [rsp + {at_rsp}]",
        "mov [rax + {rsp}], rbx",
        "cld",
        "mov rdi, rsp",
        "xor ebp, ebp",
        "call {user}",
        "ud2",
        "2:",
        "cld",
        "mov rdi, rsp",
        "call {kernel}",
        "ud2";
        {
            Cpu: current;
            Pushed: cs;
            Frame: rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip rflags;
        }
        at_rip = const offset_of!(Pushed, rip),
        at_rflags = const offset_of!(Pushed, rflags),
        at_rsp = const offset_of!(Pushed, rsp),
        user = sym trap::from_user,
        kernel = sym trap::from_kernel,
    )
}

/// Loads a frame and leaves ring 0. `fast` uses SYSRET, which wants the frame's rcx and r11 to equal its rip and flags.
///
/// # Safety
/// The frame's values have been checked: rip canonical and in the lower half, flags masked.
#[unsafe(naked)]
pub unsafe extern "C" fn leave(frame: *const Frame, fast: u64) -> ! {
    offset_asm!(
        phase!(exit),
        "mov rsp, rdi",
        load!("rsp": rbx rdx rbp r8 r9 r10 r12 r13 r14 r15 rdi rax),
        "test esi, esi",
        load!("rsp": rsi),
        "jz 2f",
        "mov rcx, [rsp + {rip}]",
        "mov r11, [rsp + {rflags}]",
        load!("rsp": rsp),
        "swapgs",
        "sysretq",
        "2:",
        "mov rcx, rsp",
        "mov rsp, gs:[{stack}]",
        "push {user_data}",
        "push qword ptr [rcx + {rsp}]",
        "push qword ptr [rcx + {rflags}]",
        "push {user_code}",
        "push qword ptr [rcx + {rip}]",
        load!("rcx": r11 rcx),
        "swapgs",
        "iretq";
        {
            Cpu: stack;
            Frame: rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip rflags;
        }
        user_data = const USER_DATA,
        user_code = const USER_CODE,
    )
}

/// Waits for an interrupt on an empty kernel stack; the interrupt does not come back here.
#[unsafe(naked)]
pub extern "C" fn idle() -> ! {
    naked_asm!(
        "mov rsp, gs:[{stack}]",
        "xor ebp, ebp",
        "2:",
        "sti",
        "hlt",
        "jmp 2b",
        stack = const offset_of!(Cpu, stack),
    )
}

/// A page fault in ring 0: the fast path's entry saw it first.
#[unsafe(naked)]
pub extern "C" fn kernel_page_fault() {
    naked_asm!(phase!(entry), "push {vector}", "jmp {entry}", vector = const PAGE_FAULT, entry = sym trap_entry)
}

macro_rules! vectors {
    ($(($name:ident, $number:literal, $code:literal)),* $(,)?) => {
        $(#[unsafe(naked)]
        extern "C" fn $name() {
            naked_asm!(phase!(entry), $code, concat!("push ", $number), "jmp {entry}", entry = sym trap_entry)
        })*
        /// The entry of each vector, in order.
        pub static VECTORS: [extern "C" fn(); 73] = [$($name),*];
    };
}

vectors! {
    (v0, 0, "push 0"), (v1, 1, "push 0"), (v2, 2, "push 0"), (v3, 3, "push 0"), (v4, 4, "push 0"), (v5, 5, "push 0"), (v6, 6, "push 0"),
    (v7, 7, "push 0"), (v8, 8, ""), (v9, 9, "push 0"), (v10, 10, ""), (v11, 11, ""), (v12, 12, ""), (v13, 13, ""), (v14, 14, ""),
    (v15, 15, "push 0"), (v16, 16, "push 0"), (v17, 17, ""), (v18, 18, "push 0"), (v19, 19, "push 0"), (v20, 20, "push 0"), (v21, 21, ""),
    (v22, 22, "push 0"), (v23, 23, "push 0"), (v24, 24, "push 0"), (v25, 25, "push 0"), (v26, 26, "push 0"), (v27, 27, "push 0"),
    (v28, 28, "push 0"), (v29, 29, ""), (v30, 30, ""), (v31, 31, "push 0"), (v32, 32, "push 0"), (v33, 33, "push 0"), (v34, 34, "push 0"),
    (v35, 35, "push 0"), (v36, 36, "push 0"), (v37, 37, "push 0"), (v38, 38, "push 0"), (v39, 39, "push 0"), (v40, 40, "push 0"),
    (v41, 41, "push 0"), (v42, 42, "push 0"), (v43, 43, "push 0"), (v44, 44, "push 0"), (v45, 45, "push 0"), (v46, 46, "push 0"),
    (v47, 47, "push 0"), (v48, 48, "push 0"), (v49, 49, "push 0"), (v50, 50, "push 0"), (v51, 51, "push 0"), (v52, 52, "push 0"),
    (v53, 53, "push 0"), (v54, 54, "push 0"), (v55, 55, "push 0"), (v56, 56, "push 0"), (v57, 57, "push 0"), (v58, 58, "push 0"),
    (v59, 59, "push 0"), (v60, 60, "push 0"), (v61, 61, "push 0"), (v62, 62, "push 0"), (v63, 63, "push 0"), (v64, 64, "push 0"),
    (v65, 65, "push 0"), (v66, 66, "push 0"), (v67, 67, "push 0"), (v68, 68, "push 0"), (v69, 69, "push 0"), (v70, 70, "push 0"),
    (v71, 71, "push 0"), (v72, 72, "push 0"),
}
