//! The fast path: a call that meets a waiting receiver, and an answer that finds nobody else waiting, in assembly.
//!
//! It does what [`crate::endpoint`], [`crate::message`] and [`crate::schedule`] do for the common case and nothing more: everything is
//! checked first, and whatever is not the common case goes to them untouched. Behind the point of no return nothing can fail. The first lines
//! are the entry of *all* system calls. Two kinds of caller meet in one middle: native threads, whose eight message words pass
//! straight through the registers, and reflected ones, whose registers are all stored first and all loaded again at the end.
//!
//! Invariants: interrupts are off and the lock is held from the first look at an object to the exit; `rsp` is the current thread, so nothing
//! is pushed; before the point of no return only the thread's saved registers change, which the slow path stores itself; no register
//! of the kernel's or of another thread's reaches user code. [`crate::thread::odd`] says in one byte that a thread needs more than
//! this path can do.
//!
//! It stands beside `arch` and not in it because the host runs it too: the very same text, but for the instructions of ring 0, which `ring0!`
//! replaces. So tests compare what it does with the slow path, state by state (`tests/fastpath`).
#![allow(unsafe_code, reason = "assembly")]

use core::arch::naked_asm;
use core::mem::offset_of;
use core::sync::atomic::AtomicU32;

use abi::{Frame, Label, MAX_INLINE, MessageKind, ObjectKind, Operation, Rights};

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
#[cfg(target_os = "none")]
use crate::arch::x86_64::trap::system_call as slow;
#[cfg(not(target_os = "none"))]
use host::slow;

/// The lock around the kernel's state: 1 while it is held.
pub static LOCK: AtomicU32 = AtomicU32::new(0);

/// First word of a slot that holds a Reply.
const REPLY: u32 = (ObjectKind::Reply as u32) << 8 | Rights::ALL as u32;
/// What an endpoint's slot must show, under the mask, for a call and for receiving.
const CALLABLE: u32 = (ObjectKind::Endpoint as u32) << 8 | Rights::CALL as u32;
const RECEIVABLE: u32 = (ObjectKind::Endpoint as u32) << 8 | Rights::RECEIVE as u32;
/// Label of a reflected call.
const REFLECTED: u32 = Label::new(MAX_INLINE).with_kind(MessageKind::Reflected as u8).0;
/// A thread's state with what describes its call: its kind, that its frame was not set meanwhile, and that nothing about it is odd.
const fn status(state: State, kind: CallKind) -> u32 {
    state as u32 | (kind as u32) << 8
}
/// The same without what is odd.
const STATUS: u32 = 0x00ff_ffff;
/// Handles begin behind the table's header.
const HEADER: usize = size_of::<CapTable>();

const _: () = assert!(offset_of!(Thread, frame) == 0 && size_of::<PageInfo>() == 16 && size_of::<Slot>() == 32);
const _: () = assert!(offset_of!(Thread, call_kind) == offset_of!(Thread, state) + 1);
const _: () = assert!(offset_of!(Thread, frame_set) == offset_of!(Thread, state) + 2);
const _: () = assert!(offset_of!(Thread, odd) == offset_of!(Thread, state) + 3);
const _: () = assert!(offset_of!(Thread, served_ticks) == offset_of!(Thread, own_ticks) + 8);
const _: () = assert!(Operation::Call as u32 == 0 && Operation::ReplyReceive as u32 == 0x40);

/// The instructions that only ring 0 has. The host's stand-ins do nothing, or what the test's harness can see.
#[cfg(target_os = "none")]
macro_rules! ring0 {
    (swapgs) => {
        "swapgs\n"
    };
    (load_root) => {
        "mov cr3, rcx\n"
    };
    (set_trap) => {
        "mov rcx, cr0\nor rcx, 8\nmov cr0, rcx\n"
    };
    (clear_trap) => {
        "clts\n"
    };
    (now) => {
        "rdtsc\n"
    };
    (leave) => {
        "swapgs\nsysretq\n"
    };
    (slow) => {
        "mov rsp, gs:[{stack}]\nxor ebp, ebp\ncall {slow}\nud2\n"
    };
}
#[cfg(not(target_os = "none"))]
macro_rules! ring0 {
    (swapgs) => {
        ""
    };
    (load_root) => {
        ""
    };
    (set_trap) => {
        ""
    };
    (clear_trap) => {
        ""
    };
    (now) => {
        "mov rax, gs:[{now}]\nmov rdx, rax\nshr rdx, 32\nmov eax, eax\n"
    };
    (leave) => {
        "jmp {left}\n"
    };
    (slow) => {
        "jmp {slow}\n"
    };
}

/// Finds the endpoint that index `ecx` of table `r14` names, with the rights in `wanted`: `r14` is it, `rcx` its slot.
macro_rules! look_up {
    ($wanted:literal) => {
        concat!(
            "shl rcx, 5\n",
            "add rcx, r14\n",
            "mov ebx, [rcx + {header} + {rights}]\n",
            "and ebx, ",
            $wanted,
            " | 0xff00\n",
            "cmp ebx, ",
            $wanted,
            "\n",
            "jne 91f\n",
            "mov ebx, [rcx + {header} + {first}]\n",
            "shl rbx, 4\n",
            "add rbx, gs:[{infos}]\n",
            "mov rbp, [rcx + {header} + {epoch}]\n",
            "cmp rbp, [rbx + {revoked_at}]\n",
            "jb 91f\n",
            "mov r14, [rcx + {header} + {object}]\n",
        )
    };
}

/// The receiver that takes a call at endpoint `r14`: `rbp`; its empty reply slot: `rbx`. By the scheduler's invariant nobody outranks the
/// caller, so nobody outranks a receiver that is as important.
macro_rules! find_receiver {
    ($slow:literal) => {
        concat!(
            "cmp dword ptr [r14 + {endpoint_state}], 0\n",
            "jne ",
            $slow,
            "\nmov rbp, [r14 + {receivers}]
            test rbp, rbp
            jz ",
            $slow,
            "\ncmp byte ptr [rbp + {odd}], 0
            jne ",
            $slow,
            "\nmov bl, [rbp + {priority}]
            cmp bl, [rsp + {priority}]
            jb ",
            $slow,
            "\nmov rbx, [rbp + {reply_at}]
            cmp byte ptr [rbx + {kind}], 0
            jne ",
            $slow,
            "\n",
        )
    };
}

/// The point of no return: the receiver leaves its list, the caller gets a ticket, and Reply, table and both threads are linked. Keeps `rcx`.
macro_rules! deliver {
    ($awaits:literal) => {
        concat!(
            "mov rax, [rbp + {next}]
            mov [r14 + {receivers}], rax
            test rax, rax
            jz 2f
            mov qword ptr [rax + {previous}], 0
            2:
            mov byte ptr [rbp + {state}], {runnable}
            mov rax, gs:[{last_ticket}]
            inc rax
            mov gs:[{last_ticket}], rax
            mov [rsp + {ticket}], rax
            mov [rbx + {epoch}], rax
            mov [rbx + {object}], rsp
            mov qword ptr [rbx + {rights}], {reply_header}
            mov [rsp + {reply}], rbx
            mov rax, [rbp + {table}]
            mov [rsp + {reply_table}], rax
            mov r14, [rax + {callers}]
            mov [rsp + {instance_next}], r14
            mov [rax + {callers}], rsp
            test r14, r14
            jz 2f
            mov [r14 + {instance_previous}], rsp
            2:
            ",
            $awaits,
            "
            mov byte ptr [rsp + {lease_count}], 0
            mov [rsp + {served_by}], rbp
            mov [rbp + {serving}], rsp
            mov [rbp + {received}], r15
            inc qword ptr [rsp + {calls}]
            "
        )
    };
}

/// `rax` is the time and `rcx` what has passed since the last charge. Uses `r14` to keep `rdx`.
macro_rules! charge {
    () => {
        concat!(
            "mov r14, rdx\n",
            ring0!(now),
            "shl rdx, 32
            or rax, rdx
            mov rdx, r14
            mov rcx, rax
            sub rcx, gs:[{charged_at}]
            mov gs:[{charged_at}], rax
            mov r14, gs:[{payer}]
            "
        )
    };
}

/// The time so far is the caller's own if it pays itself, else it was served; the receiver's begins.
macro_rules! charge_call {
    () => {
        concat!(
            charge!(),
            "mov [rbp + {received_at}], rax
            xor eax, eax
            cmp r14, rsp
            setne al
            add [r14 + rax * 8 + {own_ticks}], rcx
            "
        )
    };
}

/// Thread `rbp` becomes the current one, in its space.
macro_rules! switch {
    () => {
        concat!(
            "mov gs:[{current}], rbp
            mov rcx, [rbp + {space}]
            mov ecx, [rcx + {space_root}]
            cmp ecx, gs:[{root}]
            je 2f
            mov gs:[{root}], ecx
            inc qword ptr gs:[{roots_loaded}]
            shl rcx, 12
            ",
            ring0!(load_root),
            "2:\n",
        )
    };
}

/// To thread `rbp` in ring 3, with a message whose label is `r11`. What the ABI does not preserve was set before.
macro_rules! leave {
    () => {
        concat!(
            "mov dword ptr [rip + {lock}], 0
            mov rax, r11
            shl rax, 32
            mov rcx, [rbp + {rip_field}]
            mov r11, [rbp + {rflags}]
            mov rsp, [rbp + {rsp_field}]
            mov rbp, [rbp + {rbp_field}]
            ",
            ring0!(leave),
        )
    };
}

/// Behind the point of no return: the caller, thread `rbp`, leaves its server's list, the Reply at `rbx` goes, and the server waits at endpoint
/// `r14`, first in line. Its time was served to the payer.
macro_rules! answer {
    ($answered:literal) => {
        concat!(
            "mov qword ptr [rbx + {rights}], 0
            mov rcx, [rbp + {instance_next}]
            mov rax, [rsp + {table}]
            mov [rax + {callers}], rcx
            test rcx, rcx
            jz 2f
            mov qword ptr [rcx + {instance_previous}], 0
            2:
            mov qword ptr [rbp + {ticket}], 0
            mov qword ptr [rbp + {served_by}], 0
            mov qword ptr [rsp + {serving}], 0
            mov word ptr [rbp + {state}], ",
            $answered,
            "
            mov rax, [r14 + {receivers}]
            mov [rsp + {next}], rax
            test rax, rax
            jz 2f
            mov [rax + {previous}], rsp
            2:
            mov [r14 + {receivers}], rsp
            mov [rsp + {endpoint}], r14
            mov byte ptr [rsp + {state}], {receiving}
            ",
            charge!(),
            "add [r14 + {served_ticks}], rcx
            "
        )
    };
}

/// Where `syscall` arrives: in ring 0, on the user's stack, `rcx` and `r11` being its instruction pointer and flags.
#[unsafe(naked)]
pub extern "C" fn entry() {
    naked_asm!(
        ring0!(swapgs),
        "mov gs:[{user_rsp}], rsp",
        "mov rsp, gs:[{current}]",
        "cmp byte ptr [rsp + {odd}], 0",
        "jne 40f",
        "mov [rsp + {rip_field}], rcx",
        "mov [rsp + {rflags}], r11",
        "mov [rsp + {rbp_field}], rbp",
        "mov rbp, gs:[{user_rsp}]",
        "mov [rsp + {rsp_field}], rbp",
        "mov r11, rax",
        "shr r11, 32",
        "cmp r11d, {inline}",
        "ja 90f",
        "mov ecx, 1",
        "xchg [rip + {lock}], ecx",
        "test ecx, ecx",
        "jnz 90f",
        "mov r14, [rsp + {table}]",
        "lea ecx, [rax - {first_handle}]",
        "cmp ecx, [r14 + {handles}]",
        "jae 30f",
        // A call: words in rdi rsi rdx r8 r9 r10 r12 r13, number in r15, label in r11.
        look_up!("{callable}"),
        find_receiver!("91f"),
        deliver!("mov dword ptr [rsp + {state}], {awaits_call}"),
        "mov rbx, [rcx + {header} + {badge}]",
        "mov [rsp + {request}], r15",
        "mov [rsp + {call_badge}], rbx",
        charge_call!(),
        switch!(),
        "mov r14, r15",
        leave!(),
        // An answer, and the wait for the next message.
        "30:",
        "lea ecx, [rax - {reply_receive_handle}]",
        "cmp ecx, [r14 + {handles}]",
        "jae 91f",
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
        "mov cl, [rbp + {odd}]",
        "and cl, {reflected_mask}",
        "cmp cl, {reflects}",
        "jne 91f",
        "mov ecx, [rbp + {state}]",
        "and ecx, {status}",
        "cmp ecx, {awaits_reflected}",
        "jne 91f",
        "mov rcx, [rbp + {fs_base}]",
        "cmp rcx, gs:[{loaded_fs}]",
        "jne 91f",
        "mov rcx, [rbp + {gs_base}]",
        "cmp rcx, gs:[{loaded_gs}]",
        "jne 91f",
        answer!("{answered_reflected}"),
        switch!(),
        "cmp gs:[{fpu_owner}], rbp",
        "jne 2f",
        ring0!(clear_trap),
        "mov byte ptr gs:[{fpu_trap}], 0",
        "2:",
        "mov dword ptr [rip + {lock}], 0",
        "mov rax, rdi",
        "mov [rbp + {rax}], rax",
        "mov rbx, [rbp + {rbx}]",
        "mov rdx, [rbp + {rdx}]",
        "mov rsi, [rbp + {rsi}]",
        "mov rdi, [rbp + {rdi}]",
        "mov r8, [rbp + {r8}]",
        "mov r9, [rbp + {r9}]",
        "mov r10, [rbp + {r10}]",
        "mov r12, [rbp + {r12}]",
        "mov r13, [rbp + {r13}]",
        "mov r14, [rbp + {r14}]",
        "mov r15, [rbp + {r15}]",
        "mov rcx, [rbp + {rip_field}]",
        "mov r11, [rbp + {rflags}]",
        "mov rsp, [rbp + {rsp_field}]",
        "mov rbp, [rbp + {rbp_field}]",
        ring0!(leave),
        // A thread of which not everything is ordinary: all its registers are stored.
        "40:",
        "mov [rsp + {rax}], rax",
        "mov [rsp + {rbx}], rbx",
        "mov [rsp + {rcx}], rcx",
        "mov [rsp + {rdx}], rdx",
        "mov [rsp + {rsi}], rsi",
        "mov [rsp + {rdi}], rdi",
        "mov [rsp + {rbp_field}], rbp",
        "mov [rsp + {r8}], r8",
        "mov [rsp + {r9}], r9",
        "mov [rsp + {r10}], r10",
        "mov [rsp + {r11}], r11",
        "mov [rsp + {r12}], r12",
        "mov [rsp + {r13}], r13",
        "mov [rsp + {r14}], r14",
        "mov [rsp + {r15}], r15",
        "mov [rsp + {rip_field}], rcx",
        "mov [rsp + {rflags}], r11",
        "mov rbp, gs:[{user_rsp}]",
        "mov [rsp + {rsp_field}], rbp",
        "mov r12, rax",
        "mov r13, rcx",
        "mov cl, [rsp + {odd}]",
        "and cl, {reflected_mask}",
        "cmp cl, {reflects}",
        "jne 92f",
        "cmp byte ptr [rsp + {redeliver}], 0",
        "jne 92f",
        // A Linux system call. All that the message does not need is free.
        "mov ecx, 1",
        "xchg [rip + {lock}], ecx",
        "test ecx, ecx",
        "jnz 92f",
        "mov r14, [rsp + {personality}]",
        "test r14, r14",
        "jz 93f",
        "mov rcx, r14",
        "sub rcx, gs:[{direct_map}]",
        "shr rcx, 8",
        "add rcx, gs:[{infos}]",
        "mov rbp, [rsp + {personality_epoch}]",
        "cmp rbp, [rcx + {revoked_at}]",
        "jb 93f",
        find_receiver!("93f"),
        "inc dword ptr [rsp + {request} + 1]",
        "mov byte ptr [rsp + {request}], 0",
        "mov r15, [rsp + {request}]",
        deliver!("mov word ptr [rsp + {state}], {awaits_reflected}\nmov byte ptr [rsp + {frame_set}], 0"),
        "mov rbx, [rsp + {thread_badge}]",
        charge_call!(),
        switch!(),
        "cmp byte ptr gs:[{fpu_trap}], 0",
        "jne 2f",
        ring0!(set_trap),
        "mov byte ptr gs:[{fpu_trap}], 1",
        "2:",
        "mov r11d, {reflected}",
        "mov r14, r15",
        leave!(),
        // The slow path, from a native thread: with the lock, then without. What the ABI does not preserve is left out.
        "91:",
        "mov dword ptr [rip + {lock}], 0",
        "90:",
        "mov rcx, [rsp + {rip_field}]",
        "mov r11, [rsp + {rflags}]",
        "mov [rsp + {rax}], rax",
        "mov [rsp + {rcx}], rcx",
        "mov [rsp + {rdx}], rdx",
        "mov [rsp + {rsi}], rsi",
        "mov [rsp + {rdi}], rdi",
        "mov [rsp + {r8}], r8",
        "mov [rsp + {r9}], r9",
        "mov [rsp + {r10}], r10",
        "mov [rsp + {r11}], r11",
        "mov [rsp + {r12}], r12",
        "mov [rsp + {r13}], r13",
        "mov [rsp + {r15}], r15",
        "jmp 92f",
        "93:",
        "mov dword ptr [rip + {lock}], 0",
        "92:",
        ring0!(slow),
        current = const offset_of!(Cpu, current),
        user_rsp = const offset_of!(Cpu, user_rsp),
        payer = const offset_of!(Cpu, payer),
        charged_at = const offset_of!(Cpu, charged_at),
        slice_end = const offset_of!(Cpu, slice_end),
        timer = const offset_of!(Cpu, timer),
        last_ticket = const offset_of!(Cpu, ticket),
        infos = const offset_of!(Cpu, infos),
        direct_map = const offset_of!(Cpu, direct_map),
        root = const offset_of!(Cpu, root),
        roots_loaded = const offset_of!(Cpu, roots_loaded),
        loaded_fs = const offset_of!(Cpu, loaded_bases),
        loaded_gs = const offset_of!(Cpu, loaded_bases) + 8,
        fpu_owner = const offset_of!(Cpu, fpu_owner),
        fpu_trap = const offset_of!(Cpu, fpu_trap),
        expired = const offset_of!(Cpu, expired),
        occupied = const offset_of!(Cpu, queue) + offset_of!(RunQueue, occupied),
        revoked_at = const offset_of!(PageInfo, revoked_at),
        header = const HEADER,
        first_handle = const abi::FIRST_HANDLE,
        reply_receive_handle = const (Operation::ReplyReceive as u32) << 24 | abi::FIRST_HANDLE,
        inline = const MAX_INLINE,
        handles = const offset_of!(CapTable, handles),
        callers = const offset_of!(CapTable, callers),
        callable = const CALLABLE,
        receivable = const RECEIVABLE,
        rights = const offset_of!(Slot, rights),
        kind = const offset_of!(Slot, kind),
        first = const offset_of!(Slot, first),
        badge = const offset_of!(Slot, badge),
        epoch = const offset_of!(Slot, epoch),
        object = const offset_of!(Slot, object),
        reply_header = const REPLY,
        receivers = const offset_of!(Endpoint, receivers),
        callers_head = const offset_of!(Endpoint, callers_head),
        bound = const offset_of!(Endpoint, bound),
        endpoint_state = const offset_of!(Endpoint, state),
        word = const offset_of!(Notification, word),
        space_root = const offset_of!(AddressSpace, root),
        odd = const offset_of!(Thread, odd),
        reflected_mask = const !odd::ORDINARY_IN_LINUX,
        reflects = const odd::REFLECT,
        reflected = const REFLECTED,
        state = const offset_of!(Thread, state),
        runnable = const State::Runnable as u8,
        receiving = const State::Receiving as u8,
        status = const STATUS,
        frame_set = const offset_of!(Thread, frame_set),
        lease_count = const offset_of!(Thread, lease_count),
        awaits_call = const status(State::AwaitingReply, CallKind::Call),
        awaits_reflected = const status(State::AwaitingReply, CallKind::Reflected),
        answered_call = const status(State::Runnable, CallKind::Call),
        answered_reflected = const status(State::Runnable, CallKind::Reflected),
        redeliver = const offset_of!(Thread, redeliver),
        priority = const offset_of!(Thread, priority),
        rivals = const offset_of!(Thread, rivals),
        table = const offset_of!(Thread, table),
        space = const offset_of!(Thread, space),
        reply_at = const offset_of!(Thread, reply_at),
        reply = const offset_of!(Thread, reply),
        reply_table = const offset_of!(Thread, reply_table),
        ticket = const offset_of!(Thread, ticket),
        next = const offset_of!(Thread, next),
        previous = const offset_of!(Thread, previous),
        endpoint = const offset_of!(Thread, endpoint),
        instance_next = const offset_of!(Thread, instance_next),
        instance_previous = const offset_of!(Thread, instance_previous),
        served_by = const offset_of!(Thread, served_by),
        serving = const offset_of!(Thread, serving),
        received = const offset_of!(Thread, received),
        received_at = const offset_of!(Thread, received_at),
        request = const offset_of!(Thread, request),
        call_badge = const offset_of!(Thread, call_badge),
        calls = const offset_of!(Thread, calls),
        own_ticks = const offset_of!(Thread, own_ticks),
        served_ticks = const offset_of!(Thread, served_ticks),
        personality = const offset_of!(Thread, personality),
        personality_epoch = const offset_of!(Thread, personality) + 8,
        thread_badge = const offset_of!(Thread, badge),
        rax = const offset_of!(Frame, rax),
        rbx = const offset_of!(Frame, rbx),
        rcx = const offset_of!(Frame, rcx),
        rdx = const offset_of!(Frame, rdx),
        rsi = const offset_of!(Frame, rsi),
        rdi = const offset_of!(Frame, rdi),
        rbp_field = const offset_of!(Frame, rbp),
        rsp_field = const offset_of!(Frame, rsp),
        r8 = const offset_of!(Frame, r8),
        r9 = const offset_of!(Frame, r9),
        r10 = const offset_of!(Frame, r10),
        r11 = const offset_of!(Frame, r11),
        r12 = const offset_of!(Frame, r12),
        r13 = const offset_of!(Frame, r13),
        r14 = const offset_of!(Frame, r14),
        r15 = const offset_of!(Frame, r15),
        rip_field = const offset_of!(Frame, rip),
        rflags = const offset_of!(Frame, rflags),
        fs_base = const offset_of!(Frame, fs_base),
        gs_base = const offset_of!(Frame, gs_base),
        lock = sym LOCK,
        slow = sym slow,
        #[cfg(target_os = "none")]
        stack = const offset_of!(Cpu, stack),
        #[cfg(not(target_os = "none"))]
        now = const offset_of!(Cpu, host) + offset_of!(host::Seam, now),
        #[cfg(not(target_os = "none"))]
        left = sym host::left,
    )
}
