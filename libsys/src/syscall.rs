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

pub use device::{PortRecord, irq_ack, irq_bind, port_in, port_out, port_out_bytes, port_record, trace};
pub use endpoint::{
    CopyError, Incoming, Sent, call, call_words, lease_read, lease_write, receive, reply, reply_bytes, reply_receive, reply_word_receive,
    reply_words_receive, set_reply_slot, set_state, take_up,
};
pub use memory::{derive, free_pages, merge, physical_address, reclaim, retype, revoke, split};
pub use notification::{bind, deadline, poll, signal, wait};
pub use space::{
    LIST_PAGES, MapSource, add_tables, clone, copy_across, copy_from, copy_to, dismantle, exchange, list, map, protect, set_pager, share, unmap,
    unshare,
};
pub use table::{Described, copy, delete, describe, kill, mint, move_from, transfer};
pub use thread::{
    Counters, InHand, Stopped, blame, counters, get_frame, log, set_frame, thread_configure, thread_kick, thread_start, thread_stop, yield_now,
};

#[cfg(test)]
pub(crate) use endpoint::seal;

use abi::{Control, Error, Label, Operation};

/// The registers that cross the line.
#[derive(Clone, Copy, Debug, Default)]
struct Registers {
    /// `rax`: control or status in the low half, label in the high half.
    control: u64,
    /// `rdi rsi rdx r8 r9 r10 r12 r13`.
    words: [u64; 8],
    /// In: `r15`. Out: `r14`.
    number: u64,
    /// Out: `rbx`.
    badge: u64,
    /// Out: `r15`.
    sum: u64,
}

impl Registers {
    #[inline]
    fn new(operation: Operation, handle: u32) -> Self {
        Self { control: u64::from(Control::new(operation, handle).0), ..Self::default() }
    }

    #[inline]
    fn with_label(mut self, label: Label) -> Self {
        self.control |= u64::from(label.0) << 32;
        self
    }

    #[inline]
    fn with_words<const N: usize>(mut self, words: [u64; N]) -> Self {
        for (to, from) in self.words.iter_mut().zip(words) {
            *to = from;
        }
        self
    }

    /// Enters the kernel. The registers then hold what came back, also when the operation failed.
    #[inline]
    fn enter(&mut self) -> Result<(), Error> {
        enter(self);
        Error::check(self.control as u32)
    }

    /// As [`Registers::enter`], for what wants no badge and all speed.
    #[inline]
    fn enter_for_words(&mut self) -> Result<(), Error> {
        enter_for_words(self);
        Error::check(self.control as u32)
    }

    fn label(&self) -> Label {
        Label((self.control >> 32) as u32)
    }
}

/// Asks for any operation on any handle, there or not: for whoever tries what the kernel must refuse. The sum is right where the operation wants one.
///
/// # Errors
/// What the kernel says.
pub fn attempt(control: Control, words: [u64; 8]) -> Result<[u64; 8], Error> {
    let mut registers = Registers { control: u64::from(control.0), words: control.with_sum(words), ..Registers::default() };
    registers.enter()?;
    Ok(registers.words)
}

/// Words that an operation without a message takes and gives at most.
const WORDS: usize = 6;

/// An operation whose results are the message words.
#[inline]
fn operate<const N: usize>(operation: Operation, handle: u32, arguments: [u64; N]) -> Result<[u64; WORDS], Error> {
    let mut words = [0; WORDS];
    for (to, from) in words.iter_mut().zip(arguments) {
        *to = from;
    }
    let status = enter_without_message(Control::new(operation, handle), &mut words);
    Error::check(status)?;
    Ok(words)
}

/// An operation without a result.
#[inline]
fn command<const N: usize>(operation: Operation, handle: u32, arguments: [u64; N]) -> Result<(), Error> {
    operate(operation, handle, arguments).map(|_| ())
}

/// An operation with one result.
#[inline]
fn query<const N: usize>(operation: Operation, handle: u32, arguments: [u64; N]) -> Result<u64, Error> {
    operate(operation, handle, arguments).map(|[word, ..]| word)
}

/// A function that enters the kernel, which preserves rsp and rbp only. Inlined, so that registers nobody sets or reads cost nothing. `rbx` is the compiler's: it is
/// pushed, and compared after it was popped. Threads rest behind their `syscall`, so of all text a wrong bit in these bytes is the likeliest to be met, and a server
/// that trusts a wrong `rbx` goes on with somebody else's pointer.
#[cfg(target_os = "none")]
macro_rules! entry {
    ($(#[$attribute:meta])* $name:ident: $($line:literal),+) => {
        $(#[$attribute])*
        #[cfg(target_os = "none")]
        #[inline(always)]
        fn $name(registers: &mut Registers) {
            let [a, b, c, d, e, f, g, h] = &mut registers.words;
            // SAFETY: what the kernel does with memory is said above; all registers that it may change are named.
            unsafe {
                core::arch::asm!(
                    $($line,)+
                    inout("rax") registers.control,
                    inout("rdi") *a,
                    inout("rsi") *b,
                    inout("rdx") *c,
                    inout("r8") *d,
                    inout("r9") *e,
                    inout("r10") *f,
                    inout("r12") *g,
                    inout("r13") *h,
                    inout("r15") registers.number => registers.sum,
                    out("r14") registers.number,
                    out("rcx") registers.badge,
                    out("r11") _,
                );
            }
        }
    };
}

#[cfg(target_os = "none")]
entry!(
    /// Enters the kernel. The stack pointer is compared too, with a word that says where it lies itself. Nobody but the thread writes below its stack pointer.
    enter: "push rbx", "mov [rsp - 8], rsp", "syscall", "cmp [rsp - 8], rsp", "jne 3f", "mov rcx, rbx", "pop rbx", "cmp rbx, [rsp - 8]", "je 2f", "3: ud2", "2:"
);

#[cfg(target_os = "none")]
entry!(
    /// The same for what wants no badge and all speed.
    enter_for_words: "push rbx", "syscall", "pop rbx", "cmp rbx, [rsp - 8]", "je 2f", "ud2", "2:"
);

/// As [`enter`], for an operation that neither sends nor waits for a message: the kernel preserves more. Returns the status.
#[cfg(target_os = "none")]
#[inline(always)]
fn enter_without_message(control: Control, words: &mut [u64; WORDS]) -> u32 {
    let [a, b, c, d, e, f] = words;
    let mut status = u64::from(control.0);
    // SAFETY: as in `enter`.
    unsafe {
        core::arch::asm!(
            "push rbx",
            "syscall",
            "pop rbx",
            inout("rax") status,
            inout("rdi") *a,
            inout("rsi") *b,
            inout("rdx") *c,
            inout("r8") *d,
            inout("r9") *e,
            inout("r10") *f,
            out("r14") _,
            out("rcx") _,
            out("r11") _,
        );
    }
    status as u32
}

#[cfg(not(target_os = "none"))]
fn enter_without_message(_: Control, _: &mut [u64; WORDS]) -> u32 {
    Error::WrongState.to_status()
}

#[cfg(not(target_os = "none"))]
fn enter_for_words(registers: &mut Registers) {
    enter(registers);
}

#[cfg(not(target_os = "none"))]
fn enter(registers: &mut Registers) {
    registers.control = u64::from(Error::WrongState.to_status());
}
