//! The fast path: a call or a page fault that meets a waiting receiver, an answer that finds nobody else waiting, signals, waits and yields, in assembly.
//!
//! It does what [`crate::endpoint`], [`crate::message`], [`crate::notification`] and [`crate::schedule`] do for the common case and nothing more ([`page_fault()`] is the entry of page faults):
//! everything is checked first, and whatever is not the common case goes to them untouched. Behind the point of no return nothing can fail. The first lines
//! are the entry of *all* system calls. Two kinds of caller meet in one middle: native threads, whose eight message words pass
//! straight through the registers, and reflected ones, whose registers are all stored first and all loaded again at the end.
//!
//! Invariants: interrupts are off and the lock is held from the first look at an object to the exit, by the slow path too, but for what is odd in the
//! current thread: its kind changes only while it does not run, and the rest is looked at again; `rsp` is the current thread, so nothing
//! is pushed; before the point of no return only the thread's saved registers change, which the slow path stores itself; no register
//! of the kernel's or of another thread's reaches user code. [`crate::thread::odd`] says in one byte that a thread needs more than
//! this path can do.
//!
//! It stands beside `arch` and not in it because the host runs it too: the very same text, but for the instructions of ring 0, which `ring0!`
//! replaces. So tests compare what it does with the slow path, state by state (`tests/fastpath`).
#![allow(unsafe_code, reason = "assembly")]

use core::mem::offset_of;
use core::sync::atomic::AtomicU32;

use abi::{FLAGS_STEP, Frame, Label, MAX_INLINE, MessageKind, ObjectKind, Operation, Rights};

use crate::capability::{CapTable, Slot};
use crate::endpoint::Endpoint;
use crate::kernel::Cpu;
use crate::notification::Notification;
use crate::page::PageInfo;
use crate::schedule::RunQueue;
use crate::space::AddressSpace;
use crate::thread::{CallKind, State, Thread, odd};

#[cfg(not(target_os = "none"))]
pub mod host;
#[macro_use]
pub(crate) mod pieces;
mod page_fault;
#[cfg(target_os = "none")]
use crate::arch::x86_64::descriptors::{USER_CODE, USER_DATA};
#[cfg(target_os = "none")]
use crate::arch::x86_64::trap::{lock as wait, resume, system_call as slow};
#[cfg(not(target_os = "none"))]
use host::{USER_CODE, USER_DATA, resume, slow, wait};

pub use page_fault::page_fault;

/// The lock around the kernel's state: 1 while it is held. Who meets it held waits in Rust, on the kernel's stack.
pub static LOCK: AtomicU32 = AtomicU32::new(0);

/// First word of a slot that holds a Reply.
const REPLY: u32 = (ObjectKind::Reply as u32) << 8 | Rights::ALL as u32;
/// What an endpoint's slot must show, under the mask, for a call and for receiving.
const CALLABLE: u32 = (ObjectKind::Endpoint as u32) << 8 | Rights::CALL as u32;
const RECEIVABLE: u32 = (ObjectKind::Endpoint as u32) << 8 | Rights::RECEIVE as u32;
/// The same of a notification, for signalling and for waiting.
const SIGNALLABLE: u32 = (ObjectKind::Notification as u32) << 8 | Rights::SIGNAL as u32;
const WAITABLE: u32 = (ObjectKind::Notification as u32) << 8 | Rights::WAIT as u32;
/// Label of a reflected call.
const REFLECTED: u32 = Label::new(MAX_INLINE).with_kind(MessageKind::Reflected as u8).0;
/// A thread's state with what describes its call: its kind, that its frame was not set meanwhile, and that nothing about it is odd.
const fn status(state: State, kind: CallKind) -> u32 {
    state as u32 | (kind as u32) << 8
}
/// The same without what is odd.
const STATUS: u32 = 0x00ff_ffff;
/// Where a processor's record says that its kernel stack is.
#[cfg(target_os = "none")]
const STACK: usize = offset_of!(Cpu, stack);
#[cfg(not(target_os = "none"))]
const STACK: usize = offset_of!(Cpu, host) + offset_of!(host::Seam, stack);
/// Handles begin behind the table's header.
const HEADER: usize = size_of::<CapTable>();

const _: () = assert!(offset_of!(Thread, frame) == 0 && size_of::<PageInfo>() == 16 && size_of::<Slot>() == 32);
const _: () = assert!(offset_of!(Thread, call_kind) == offset_of!(Thread, state) + 1);
const _: () = assert!(offset_of!(Thread, frame_set) == offset_of!(Thread, state) + 2);
const _: () = assert!(offset_of!(Thread, odd) == offset_of!(Thread, state) + 3);
const _: () = assert!(offset_of!(Thread, served_ticks) == offset_of!(Thread, own_ticks) + 8);
const _: () = assert!(offset_of!(Thread, vault) == offset_of!(Thread, table) + 8 && abi::VAULT == 8 << 20);
const _: () = assert!(Operation::Call as u32 == 0 && Operation::ReplyReceive as u32 == 0x40);
const _: () = assert!(Operation::Wait as u32 == Operation::Signal as u32 + 1);
const _: () = assert!(Operation::Poll as u32 > 0x80 && Operation::Signal as u32 > 0x80 && Operation::Yield as u32 > 0x80);

/// Where `syscall` arrives: in ring 0, on the user's stack, `rcx` and `r11` being its instruction pointer and flags.
#[unsafe(naked)]
pub extern "C" fn entry() {
    offset_asm!(
        phase!(entry),
        ring0!(swapgs),
        "mov gs:[{user_rsp}], rsp",
        "mov rsp, gs:[{current}]",
        "cmp byte ptr [rsp + {odd}], 0",
        "jne 40f",
        "mov [rsp + {rip}], rcx",
        "mov [rsp + {rflags}], r11",
        "mov [rsp + {rbp}], rbp",
        "mov rcx, gs:[{user_rsp}]",
        "mov [rsp + {rsp}], rcx",
        lock!("71f"),
        "70:",
        "mov r14, [rsp + {table}]",
        "lea ecx, [rax - {first_handle}]",
        "cmp ecx, [r14 + {handles}]",
        "jae 30f",
        take_label!(),
        // A call: words in rdi rsi rdx r8 r9 r10 r12 r13, number in r15, label in r11.
        look_up!("{callable}"),
        find_receiver!("91f"),
        deliver!("mov dword ptr [rsp + {state}], {awaits_call}"),
        "inc qword ptr [rsp + {calls}]",
        "mov rbx, [rcx + {header} + {badge}]",
        "mov [rsp + {request}], r15",
        "mov [rsp + {call_badge}], rbx",
        charge_call!(),
        switch!(),
        "mov r14, r15",
        leave!(),
        phase!(entry),
        // Most operations have the highest bit, which the comparison left as the sign; an answer has not.
        "30:",
        "jns 31f",
        // A poll.
        "lea ecx, [rax + {minus_poll_handle}]",
        "cmp ecx, [r14 + {handles}]",
        "jae 52f",
        look_up!("{waitable}", "r11d", "r11"),
        phase!(transfer),
        "mov rdi, [r14 + {word}]",
        "mov qword ptr [r14 + {word}], 0",
        "mov dword ptr [rip + {lock}], 0",
        "xor eax, eax",
        exit_same!(),
        phase!(entry),
        // An answer, and the wait for the next message.
        "31:",
        "lea ecx, [rax - {reply_receive_handle}]",
        "cmp ecx, [r14 + {handles}]",
        "jae 91f",
        take_label!(),
        look_up!("{receivable}"),
        "cmp qword ptr [r14 + {callers_head}], 0",
        "jne 91f",
        "mov rcx, [r14 + {bound}]",
        "test rcx, rcx",
        "jz 2f",
        "cmp qword ptr [rcx + {word}], 0",
        "jne 91f",
        "2:",
        "mov rbx, [rsp + {reply_at}]",
        "cmp dword ptr [rbx + {rights}], {reply_header}",
        "jne 91f",
        "mov rbp, [rbx + {object}]",
        "mov rcx, [rbx + {epoch}]",
        "cmp rcx, [rbp + {ticket}]",
        "jne 91f",
        "cmp [rbp + {served_by}], rsp",
        "jne 91f",
        "cmp qword ptr [rbp + {instance_previous}], 0",
        "jne 91f",
        "cmp byte ptr gs:[{expired}], 0",
        "jne 91f",
        "mov ecx, gs:[{occupied}]",
        "and ecx, [rbp + {rivals}]",
        "jnz 35f",
        "32:",
        "cmp dword ptr [rbp + {state}], {awaits_call}",
        "jne 37f",
        answer!("{answered_call}"),
        switch!(),
        "xor ebx, ebx",
        "xor r14d, r14d",
        leave!(),
        phase!(lookup),
        // Somebody waits who is as important as the caller: the timer must be set for the end of the slice already. Or more: no fast path.
        "35:",
        "shr ecx, 1",
        "test ecx, [rbp + {rivals}]",
        "jnz 91f",
        "mov rcx, gs:[{timer}]",
        "cmp rcx, gs:[{slice_end}]",
        "ja 91f",
        "jmp 32b",
        // The caller runs Linux code.
        "37:",
        "mov ecx, [rbp + {state}]",
        "and ecx, {status}",
        "cmp ecx, {awaits_fault}",
        "je 39f",
        "cmp ecx, {awaits_reflected}",
        "jne 91f",
        // The second word is the complement of the first, or one of them is wrong.
        "mov rcx, rdi",
        "xor rcx, rsi",
        "inc rcx",
        "jnz 91f",
        "mov cl, [rbp + {odd}]",
        "and cl, {reflected_mask}",
        "cmp cl, {reflects}",
        "jne 91f",
        check_bases!(),
        answer!("{answered_reflected}"),
        switch!(),
        settle_fpu_trap!(),
        "mov [rbp + {rax}], rdi",
        "test dword ptr [rbp + {rflags}], {steps}",
        "jnz 38f",
        leave_all!(),
        phase!(exit),
        // It executes one instruction at a time: after SYSRET it would trap before the first.
        "38:",
        "mov rcx, [rbp + {rip}]",
        "mov [rbp + {rcx}], rcx",
        "mov rcx, [rbp + {rflags}]",
        "mov [rbp + {r11}], rcx",
        "jmp 36f",
        phase!(lookup),
        // The caller faulted: its registers are all as they were.
        "39:",
        "mov cl, [rbp + {odd}]",
        "test cl, {attempted} | {remote}",
        "jnz 91f",
        "test cl, {based}",
        "jz 2f",
        check_bases!(),
        "2:",
        answer!("{answered_fault}"),
        switch!(),
        settle_fpu_trap!(),
        "36:",
        return_all!(),
        phase!(entry),
        // A thread of which not everything is ordinary: all its registers are stored.
        "40:",
        store!("rsp": rax rbx rcx rdx rsi rdi rbp r8 r9 r10 r11 r12 r13 r14 r15),
        "mov [rsp + {rip}], rcx",
        "mov [rsp + {rflags}], r11",
        "mov rbp, gs:[{user_rsp}]",
        "mov [rsp + {rsp}], rbp",
        "mov r12, rax",
        "mov r13, rcx",
        lock!("73f"),
        "72:",
        "mov cl, [rsp + {odd}]",
        "and cl, {reflected_mask}",
        "cmp cl, {reflects}",
        "jne 92f",
        "cmp byte ptr [rsp + {redeliver}], 0",
        "jne 92f",
        // A Linux system call. All that the message does not need is free.
        "mov r14, [rsp + {personality}]",
        "mov rbp, [rsp + {personality_epoch}]",
        check_port!("92f"),
        find_receiver!("92f"),
        "inc dword ptr [rsp + {request} + 1]",
        "mov byte ptr [rsp + {request}], 0",
        "mov r15, [rsp + {request}]",
        deliver!("mov word ptr [rsp + {state}], {awaits_reflected}\nmov byte ptr [rsp + {frame_set}], 0"),
        "inc qword ptr [rsp + {calls}]",
        "mov rbx, [rsp + {thread_badge}]",
        charge_call!(),
        switch!(),
        set_fpu_trap!(),
        "mov r11d, {reflected}",
        "mov r14, r15",
        // The sum of a Linux call's numbers and arguments.
        "xor r15, r12",
        "xor r15, rdi",
        "xor r15, rsi",
        "xor r15, rdx",
        "xor r15, r8",
        "xor r15, r9",
        "xor r15, r10",
        leave!(),
        phase!(exit),
        // Back to the thread itself.
        "51:",
        "mov dword ptr [rip + {lock}], 0",
        "xor eax, eax",
        "xor ebx, ebx",
        load!("rsp": rbp),
        exit_same!(),
        phase!(entry),
        // Signal, wait and yield. The handle may be one of the vault.
        "52:",
        "cmp eax, {no_message}",
        "jae 91f",
        "mov r11d, eax",
        "shr r11d, 24",
        "cmp r11d, {yield_operation}",
        "je 58f",
        "sub r11d, {signal_operation}",
        "cmp r11d, 1",
        "ja 91f",
        "mov ebx, eax",
        "shr ebx, 20",
        "and ebx, 8",
        "mov r14, [rsp + rbx + {table}]",
        "test r14, r14",
        "jz 91f",
        "mov ecx, eax",
        "and ecx, {handle_mask}",
        "sub ecx, {first_handle}",
        "cmp ecx, [r14 + {handles}]",
        "jae 91f",
        "test r11d, r11d",
        "jz 55f",
        look_up!("{waitable}"),
        phase!(transfer),
        "mov rbp, [r14 + {word}]",
        "test rbp, rbp",
        "jz 54f",
        "mov rdi, rbp",
        "mov qword ptr [r14 + {word}], 0",
        "jmp 51b",
        phase!(switch),
        // It waits, and the first thread in the queue runs. If that can come back by SYSRET it has called, so nothing of a program is lost here.
        "54:",
        "cmp qword ptr [r14 + {waiter}], 0",
        "jne 91f",
        "bsr ecx, dword ptr gs:[{occupied}]",
        "jz 91f",
        find_next!(),
        "mov [r14 + {waiter}], rsp",
        "mov [rsp + {notification}], r14",
        "mov byte ptr [rsp + {state}], {waiting}",
        "jmp 59f",
        // A signal. Whoever waits must be of this processor and not more important, and the timer must be set for the end of the slice where they share it then.
        "55:",
        look_up!("{signallable}"),
        phase!(transfer),
        "mov rbp, [r14 + {waiter}]",
        "test rbp, rbp",
        "jnz 56f",
        "cmp qword ptr [r14 + {bound_to}], 0",
        "jne 91f",
        "or [r14 + {word}], rdi",
        "jmp 51b",
        "56:",
        "test rdi, rdi",
        "jz 91f",
        "mov cl, [rbp + {cpu}]",
        "cmp cl, gs:[{index}]",
        "jne 91f",
        "movzx ecx, byte ptr [rbp + {priority}]",
        "cmp cl, [rsp + {priority}]",
        "ja 91f",
        "je 57f",
        "mov rbx, gs:[{payer}]",
        "cmp cl, [rbx + {priority}]",
        "jne 2f",
        "57:",
        "mov rbx, gs:[{timer}]",
        "cmp rbx, gs:[{slice_end}]",
        "ja 91f",
        "2:",
        "mov [rbp + {rdi}], rdi",
        "mov qword ptr [rbp + {rax}], 0",
        "mov qword ptr [r14 + {waiter}], 0",
        "mov qword ptr [rbp + {notification}], 0",
        "mov byte ptr [rbp + {state}], {runnable}",
        queue_behind!("rbp", "test rbx, rbx\njz 2f\n"),
        "jmp 51b",
        "2:",
        "mov gs:[rcx * 8 + {heads}], rbp",
        "mov ebx, gs:[{occupied}]",
        "bts ebx, ecx",
        "mov gs:[{occupied}], ebx",
        "jmp 51b",
        phase!(switch),
        // A yield to a thread that is as important. One that is more would run already, or takes over at the exit.
        "58:",
        "movzx ecx, byte ptr [rsp + {priority}]",
        "mov ebx, gs:[{occupied}]",
        "bt ebx, ecx",
        "jnc 91f",
        find_next!(),
        queue_behind!("rsp", ""),
        "mov qword ptr [rsp + {rax}], 0",
        // The thread has left the processor; the next pays for itself.
        "59:",
        "mov rcx, [rsp + {rip}]",
        "mov [rsp + {rcx}], rcx",
        "mov rcx, [rsp + {rflags}]",
        "mov [rsp + {r11}], rcx",
        store!("rsp": r12 r13 r15),
        charge_current!(),
        unqueue!(),
        start_slice!(),
        "mov ebx, gs:[{occupied}]",
        "bt ebx, ecx",
        "jnc 2f",
        "cmp gs:[{timer}], rax",
        "ja 60f",
        "2:",
        switch!(),
        leave_all!(),
        phase!(exit),
        // All is done, but the timer is still to be set.
        "60:",
        "mov gs:[{current}], rbp",
        "mov byte ptr gs:[{reschedule}], 1",
        ring0!(resume),
        phase!(entry),
        // Another processor has the lock. What C does not preserve is stored meanwhile, in either way of entry.
        "71:",
        store!("rsp": rax rdx rsi rdi r8 r9 r10),
        wait!(),
        load!("rsp": rax rdx rsi rdi r8 r9 r10),
        "jmp 70b",
        "73:",
        wait!(),
        load!("rsp": rdx rsi rdi r8 r9 r10),
        "jmp 72b",
        phase!(entry),
        // A thread whose registers are all stored, to the slow path.
        "92:",
        ring0!(slow),
        // A native thread to the slow path. What it may not rely on is not stored, and not loaded again if it goes on at once.
        "91:",
        "mov rcx, [rsp + {rip}]",
        "mov r11, [rsp + {rflags}]",
        store!("rsp": rax rcx rdx rsi rdi r8 r9 r10 r11 r12 r13 r15),
        ring0!(native);
        {
            Cpu: current user_rsp index list payer charged_at slice_end timer infos direct_map kernel_root roots_loaded fpu_owner fpu_trap expired reschedule;
            PageInfo: revoked_at;
            CapTable: handles callers;
            Slot: rights kind first epoch object;
            Endpoint: receivers callers_head bound;
            Notification: word waiter;
            Thread: odd cpu state frame_set lease_count redeliver priority rivals table space reply_at reply reply_table ticket next previous endpoint
                notification instance_next instance_previous served_by serving received received_at request call_badge calls own_ticks served_ticks
                slice slice_left personality;
            Frame: rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip rflags fs_base gs_base;
        }
        last_ticket = const offset_of!(Cpu, ticket),
        root = const offset_of!(Cpu, root),
        loaded_fs = const offset_of!(Cpu, loaded_bases),
        loaded_gs = const offset_of!(Cpu, loaded_bases) + 8,
        occupied = const offset_of!(Cpu, queue) + offset_of!(RunQueue, occupied),
        heads = const offset_of!(Cpu, queue) + offset_of!(RunQueue, heads),
        tails = const offset_of!(Cpu, queue) + offset_of!(RunQueue, tails),
        header = const HEADER,
        first_handle = const abi::FIRST_HANDLE,
        reply_receive_handle = const (Operation::ReplyReceive as u32) << 24 | abi::FIRST_HANDLE,
        minus_poll_handle = const ((Operation::Poll as u32) << 24 | abi::FIRST_HANDLE).wrapping_neg(),
        no_message = const (Operation::Copy as u32) << 24,
        yield_operation = const Operation::Yield as u32,
        signal_operation = const Operation::Signal as u32,
        handle_mask = const abi::HANDLE_MASK,
        inline = const MAX_INLINE,
        callable = const CALLABLE,
        receivable = const RECEIVABLE,
        signallable = const SIGNALLABLE,
        waitable = const WAITABLE,
        badge = const offset_of!(Slot, badge),
        reply_header = const REPLY,
        bound_to = const offset_of!(Notification, bound),
        endpoint_state = const offset_of!(Endpoint, state),
        space_root = const offset_of!(AddressSpace, root),
        reflected_mask = const !odd::ORDINARY_IN_LINUX,
        reflects = const odd::REFLECT,
        reflected = const REFLECTED,
        runnable = const State::Runnable as u8,
        waiting = const State::Waiting as u8,
        receiving = const State::Receiving as u8,
        status = const STATUS,
        awaits_call = const status(State::AwaitingReply, CallKind::Call),
        awaits_reflected = const status(State::AwaitingReply, CallKind::Reflected),
        awaits_fault = const status(State::AwaitingReply, CallKind::PageFault),
        answered_fault = const status(State::Runnable, CallKind::PageFault),
        attempted = const odd::ATTEMPTED,
        steps = const FLAGS_STEP,
        remote = const odd::REMOTE,
        based = const odd::REFLECT | odd::BASES,
        answered_call = const status(State::Runnable, CallKind::Call),
        answered_reflected = const status(State::Runnable, CallKind::Reflected),
        personality_epoch = const offset_of!(Thread, personality) + 8,
        thread_badge = const offset_of!(Thread, badge),
        lock = sym LOCK,
        wait = sym wait,
        slow = sym slow,
        resume = sym resume,
        #[cfg(target_os = "none")]
        native = sym crate::arch::x86_64::trap::native_call,
        user_data = const USER_DATA,
        user_code = const USER_CODE,
        stack = const STACK,
        #[cfg(not(target_os = "none"))]
        returned = sym host::returned,
        #[cfg(not(target_os = "none"))]
        now = const offset_of!(Cpu, host) + offset_of!(host::Seam, now),
        #[cfg(not(target_os = "none"))]
        loaded = const offset_of!(Cpu, host) + offset_of!(host::Seam, loaded),
        #[cfg(not(target_os = "none"))]
        left = sym host::left,
    )
}
