//! The fast path of a page fault: the message to a pager that waits.
//!
//! It does what [`crate::fault`] does for the common case. The registers are all stored first; the pager answers by [`super::entry`].

use core::mem::offset_of;

use abi::{FaultAccess, Label, MessageKind, RequestNumber};

use super::{CallKind, CapTable, Cpu, Endpoint, Frame, LOCK, PageInfo, REPLY, Slot, State, Thread, status};
#[cfg(target_os = "none")]
use crate::arch::x86_64::{entry::kernel_page_fault, trap::lock as wait, trap::page_fault as slow};
#[cfg(not(target_os = "none"))]
use crate::fastpath::host::{self, kernel_page_fault, slow, wait};
use crate::space::AddressSpace;
use crate::thread::{Port, odd};

/// Label of a page fault's message.
const LABEL: u32 = Label::new(24).with_kind(MessageKind::PageFault as u8).0;

const _: () = assert!(FaultAccess::WRITE == 1 && FaultAccess::EXECUTE == 2 && FaultAccess::PRESENT == 4);

/// Where a page fault arrives: in ring 0, on the kernel's stack, with the error code and what else the processor pushed.
#[unsafe(naked)]
pub extern "C" fn page_fault() {
    offset_asm!(
        phase!(entry),
        "test byte ptr [rsp + 16], 3",
        "jz 94f",
        ring0!(swapgs),
        "push rax",
        "mov rax, gs:[{current}]",
        store!("rax": rbx rcx rdx rsi rdi rbp r8 r9 r10 r11 r12 r13 r14 r15),
        "pop qword ptr [rax + {rax}]",
        "pop rdx",
        "pop qword ptr [rax + {rip}]",
        "pop rcx",
        "pop qword ptr [rax + {rflags}]",
        "pop qword ptr [rax + {rsp}]",
        "mov rsp, rax",
        ring0!(fault_address),
        lock!("77f"),
        "76:",
        "test byte ptr [rsp + {odd}], {attempted}",
        "jnz 93f",
        "mov rax, [rsp + {space}]",
        "mov r14, [rax + {pager}]",
        "mov rbp, [rax + {pager_epoch}]",
        check_port!("93f"),
        find_receiver!("93f"),
        // Address, access, instruction and the processor's code, bit 1 of which is a write, bit 4 a fetch and bit 0 that the page is present.
        phase!(transfer),
        "mov r8d, edx",
        "shr edx, 1",
        "mov esi, edx",
        "and esi, 1",
        "shr edx, 2",
        "and edx, 2",
        "or esi, edx",
        "mov edx, r8d",
        "and edx, 1",
        "lea esi, [rsi + rdx * 4]",
        "mov rdx, [rsp + {rip}]",
        "mov [rsp + {fault}], rdi",
        "mov [rsp + {fault} + 8], rsi",
        "mov [rsp + {fault} + 16], rdx",
        "mov [rsp + {fault} + 24], r8",
        "xor r9d, r9d",
        "xor r10d, r10d",
        "xor r12d, r12d",
        "xor r13d, r13d",
        "mov r15, [rsp + {request}]",
        "or r15, {fault_step}",
        deliver!("mov word ptr [rsp + {state}], {awaits_fault}\nmov byte ptr [rsp + {frame_set}], 0"),
        "mov rbx, [rsp + {badge}]",
        charge_call!(),
        switch!(),
        set_fpu_trap!(),
        "mov r11d, {label}",
        "mov r14, r15",
        leave!(),
        // To the slow path, with the code and the address.
        phase!(entry),
        "93:",
        "mov rsi, rdi",
        "mov rdi, rdx",
        ring0!(slow_fault),
        // Another processor has the lock. The code and the address are kept in registers that C preserves.
        "77:",
        "mov rbx, rdi",
        "mov r12, rdx",
        wait!(),
        "mov rdi, rbx",
        "mov rdx, r12",
        "jmp 76b",
        // In ring 0.
        "94:",
        "jmp {kernel}";
        {
            Cpu: current list charged_at payer infos direct_map kernel_root roots_loaded fpu_trap;
            PageInfo: revoked_at;
            CapTable: callers;
            Slot: rights kind epoch object;
            Endpoint: receivers;
            Thread: odd state frame_set lease_count priority table space reply_at reply reply_table ticket next previous instance_next
                instance_previous served_by serving received received_at request own_ticks fault badge;
            Frame: rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip rflags;
        }
        last_ticket = const offset_of!(Cpu, ticket),
        root = const offset_of!(Cpu, root),
        pager = const offset_of!(AddressSpace, pager) + offset_of!(Port<Endpoint>, object),
        pager_epoch = const offset_of!(AddressSpace, pager) + offset_of!(Port<Endpoint>, epoch),
        space_root = const offset_of!(AddressSpace, root),
        reply_header = const REPLY,
        endpoint_state = const offset_of!(Endpoint, state),
        runnable = const State::Runnable as u8,
        awaits_fault = const status(State::AwaitingReply, CallKind::PageFault),
        attempted = const odd::ATTEMPTED | odd::TRACED,
        fault_step = const RequestNumber::FAULT_STEP,
        label = const LABEL,
        lock = sym LOCK,
        wait = sym wait,
        slow = sym slow,
        kernel = sym kernel_page_fault,
        stack = const super::STACK,
        #[cfg(not(target_os = "none"))]
        now = const offset_of!(Cpu, host) + offset_of!(host::Seam, now),
        #[cfg(not(target_os = "none"))]
        loaded = const offset_of!(Cpu, host) + offset_of!(host::Seam, loaded),
        #[cfg(not(target_os = "none"))]
        address = const offset_of!(Cpu, host) + offset_of!(host::Seam, address),
        #[cfg(not(target_os = "none"))]
        left = sym host::left,
    )
}
