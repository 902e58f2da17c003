//! The kernel's operations, one thin function each.
//!
//! Every function here has the same shape: put the arguments into a block of registers, enter the kernel, turn the status into a `Result`,
//! return the message words that the operation's row in [`abi::Operation`] names. Nothing is decided here, with one exception: an operation
//! that copies from or to the caller's own memory and finds its page missing touches it and tries again, because the pager then brings it.
//!
//! None of these functions is `unsafe`: a server holds no right to change its own address space (the supervisor, which does, owns up to it
//! where it uses it), so no operation can pull memory from under a Rust reference.
//!
//! On the host there is no kernel: everything compiles, and every operation fails with [`abi::Error::WrongState`].
#![allow(unsafe_code, reason = "the system call instruction and the message page")]

mod device;
mod endpoint;
mod memory;
mod notification;
mod page;
mod space;
mod table;
mod thread;

pub use device::{PortRecord, irq_ack, irq_bind, port_in, port_out, port_out_bytes, port_record};
pub use endpoint::{
    CopyError, Incoming, Sent, call, lease_read, lease_write, receive, reply, reply_bytes, reply_receive, reply_word_receive, set_reply_slot,
    set_state, take_up,
};
pub use memory::{derive, free_pages, merge, physical_address, reclaim, retype, revoke, split};
pub use notification::{bind, deadline, poll, signal, wait};
pub use space::{LIST_PAGES, MapSource, add_tables, clone, copy_from, copy_to, dismantle, list, map, protect, set_pager, share, unmap, unshare};
pub use table::{Described, copy, delete, describe, kill, mint, move_from, transfer};
pub use thread::{
    Counters, InHand, Stopped, blame, counters, get_frame, log, set_frame, thread_configure, thread_kick, thread_start, thread_stop, yield_now,
};

use abi::{Control, Error, Label, Operation};

/// The registers that cross the line, in memory. The layout is the assembly's.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
struct Registers {
    /// `rax`: control or status in the low half, label in the high half.
    control: u64,
    /// `rdi rsi rdx r8 r9 r10 r12 r13`.
    words: [u64; 8],
    /// In: `r15`. Out: `r14`.
    number: u64,
    /// Out: `rbx`.
    badge: u64,
}

impl Registers {
    fn new(operation: Operation, handle: u32) -> Self {
        Self { control: u64::from(Control::new(operation, handle).0), ..Self::default() }
    }

    fn with_label(mut self, label: Label) -> Self {
        self.control |= u64::from(label.0) << 32;
        self
    }

    fn with_words<const N: usize>(mut self, words: [u64; N]) -> Self {
        for (to, from) in self.words.iter_mut().zip(words) {
            *to = from;
        }
        self
    }

    /// Enters the kernel. The registers then hold what came back, also when the operation failed.
    fn enter(&mut self) -> Result<(), Error> {
        enter(self);
        Error::check(self.control as u32)
    }

    fn label(&self) -> Label {
        Label((self.control >> 32) as u32)
    }
}

/// An operation whose results are the message words.
fn operate<const N: usize>(operation: Operation, handle: u32, arguments: [u64; N]) -> Result<[u64; 8], Error> {
    let mut registers = Registers::new(operation, handle).with_words(arguments);
    registers.enter()?;
    Ok(registers.words)
}

/// An operation without a result.
fn command<const N: usize>(operation: Operation, handle: u32, arguments: [u64; N]) -> Result<(), Error> {
    operate(operation, handle, arguments).map(|_| ())
}

/// An operation with one result.
fn query<const N: usize>(operation: Operation, handle: u32, arguments: [u64; N]) -> Result<u64, Error> {
    operate(operation, handle, arguments).map(|[word, ..]| word)
}

#[cfg(target_os = "none")]
fn enter(registers: &mut Registers) {
    // SAFETY: the block is valid for reads and writes, and laid out as the assembly expects. What the kernel does with memory is said above.
    unsafe { enter_raw(registers) }
}

#[cfg(not(target_os = "none"))]
fn enter(registers: &mut Registers) {
    registers.control = u64::from(Error::WrongState.to_status());
}

/// Loads the block, enters the kernel, stores the block. The kernel preserves rsp and rbp only, so the block's address waits in rbp.
#[cfg(target_os = "none")]
#[unsafe(naked)]
unsafe extern "sysv64" fn enter_raw(registers: *mut Registers) {
    core::arch::naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov rbp, rdi",
        "mov rax, [rbp + {control}]",
        "mov rdi, [rbp + {words}]",
        "mov rsi, [rbp + {words} + 8]",
        "mov rdx, [rbp + {words} + 16]",
        "mov r8, [rbp + {words} + 24]",
        "mov r9, [rbp + {words} + 32]",
        "mov r10, [rbp + {words} + 40]",
        "mov r12, [rbp + {words} + 48]",
        "mov r13, [rbp + {words} + 56]",
        "mov r15, [rbp + {number}]",
        "syscall",
        "mov [rbp + {control}], rax",
        "mov [rbp + {words}], rdi",
        "mov [rbp + {words} + 8], rsi",
        "mov [rbp + {words} + 16], rdx",
        "mov [rbp + {words} + 24], r8",
        "mov [rbp + {words} + 32], r9",
        "mov [rbp + {words} + 40], r10",
        "mov [rbp + {words} + 48], r12",
        "mov [rbp + {words} + 56], r13",
        "mov [rbp + {number}], r14",
        "mov [rbp + {badge}], rbx",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
        control = const core::mem::offset_of!(Registers, control),
        words = const core::mem::offset_of!(Registers, words),
        number = const core::mem::offset_of!(Registers, number),
        badge = const core::mem::offset_of!(Registers, badge),
    )
}
