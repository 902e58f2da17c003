//! What each kind of fault does to an instance: through the kernel's operations on its threads and its space, as the instance's own code could not
//! tell from a fault of the machine.
//!
//! A thread that is held in a trap can be changed as it is. Another one is stopped, changed and started again, and goes on as if nothing had been, unless it
//! waited in a call, which a stop ends: then it may be made to die, and nothing less. Memory can be changed at any time.

use abi::boot::{Image, SEGMENT_WRITE};
use abi::{Error, Frame, MapFlags, PAGE_SIZE};
use libsys::{death, layout};
use protocols::victim::How;

use super::allocation::{self, Refusal};
use super::message;
use super::plan::{Dice, Kind};
use crate::kernel::{Doing, Kernel};
use crate::slot::Block;

/// Bits of an address that a register flip may change where the kernel takes canonical addresses only.
const ADDRESS_BITS: u64 = 47;
/// RFLAGS: a trap after each instruction (Intel SDM vol. 1, 3.4.3.3).
const TRAP_FLAG: u64 = 1 << 8;
/// A flip of text hits one of so many bytes: most instructions are not longer.
const INSTRUCTION_BYTES: u64 = 4;
/// Bytes of a wild write.
pub const WILD_BYTES: usize = 8;
/// A region in which no window lies.
const NOWHERE: u64 = 0x5000_0000_0000;
/// First pages of the heap's window, where blocks are.
const HEAP_PAGES: u64 = 64;
/// How often another place is tried when nothing is mapped there.
const TRIES: u32 = 64;
/// What a call pushes, so that the stack is aligned as in a function that was called (System V ABI, 3.2.2).
const RETURN_ADDRESS: u64 = 8;

/// Whom a fault strikes.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Its program.
    pub image: Image<'a>,
    /// Where its objects are.
    pub block: Block,
    /// Its busiest thread.
    pub thread: u32,
    /// That one waits for the answer to a trap.
    pub held: bool,
}

impl Target<'_> {
    pub(crate) fn handle(&self) -> u32 {
        self.block.thread(self.thread)
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Struck {
    /// The thread goes on elsewhere.
    Thread {
        /// Where it was.
        rip: u64,
    },
    /// A bit of a register was flipped.
    Register {
        /// Which: the general ones in the order of [`Frame`], then the instruction pointer and the flags.
        register: u8,
        /// Which bit.
        bit: u8,
        /// Where it was.
        rip: u64,
    },
    /// Memory was changed.
    Memory(Change),
    /// An allocation is to fail.
    Heap(Refusal),
}

impl Struck {
    /// Undoes what nobody has met; what became of it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn undo(&self, kernel: &mut impl Kernel) -> Result<&'static str, Error> {
        match self {
            Self::Thread { .. } | Self::Register { .. } => Ok("passed"),
            Self::Memory(change) => change.undo(kernel).map(|as_it_was| if as_it_was { "undone" } else { "overwritten" }),
            Self::Heap(refusal) => refusal.undo(kernel).map(|ahead| if ahead { "undone" } else { "refused" }),
        }
    }
}

/// A change of a server's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// In which space.
    pub space: u32,
    /// Where.
    pub address: u64,
    /// What was there.
    before: [u8; WILD_BYTES],
    /// What is there now.
    after: [u8; WILD_BYTES],
    /// How many bytes of these.
    length: usize,
    text: bool,
}

impl core::fmt::Display for Change {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(out, "{:#x} was", self.address)?;
        self.before.iter().take(self.length).try_for_each(|byte| write!(out, " {byte:02x}"))?;
        out.write_str(" is")?;
        self.after().iter().try_for_each(|byte| write!(out, " {byte:02x}"))
    }
}

impl Change {
    /// The bytes that are there now.
    #[must_use]
    pub fn after(&self) -> &[u8] {
        self.after.get(..self.length).unwrap_or_default()
    }

    /// Undoes it, if the place is still as the fault left it. Returns whether it was.
    ///
    /// # Errors
    /// The kernel's.
    pub fn undo(&self, kernel: &mut impl Kernel) -> Result<bool, Error> {
        let mut now = [0; WILD_BYTES];
        let now = now.get_mut(..self.length).unwrap_or_default();
        kernel.copy_from(self.space, self.address, now)?;
        if now != self.after() {
            return Ok(false);
        }
        store(kernel, self, &self.before)?;
        Ok(true)
    }
}

/// Does what `kind` says.
///
/// # Errors
/// The kernel's; [`Error::WrongState`] for a kind that needs a thread that runs, and [`Error::NeedsPage`] where no place was found.
pub fn strike(kernel: &mut impl Kernel, target: &Target<'_>, kind: Kind, dice: &mut Dice) -> Result<Struck, Error> {
    if target.held {
        unstep(kernel, target)?;
    }
    match kind {
        Kind::Panic => die(kernel, target, How::Panic),
        Kind::Overflow => die(kernel, target, How::Overflow),
        Kind::Hang => die(kernel, target, How::Hang),
        Kind::Jump => {
            let to = nowhere(dice);
            redirect(kernel, target, |frame| Frame { rip: to, ..*frame })
        }
        Kind::Register => flip_register(kernel, target, dice),
        Kind::Text => {
            let rip = frame_of(kernel, target)?.rip;
            flip(kernel, target, rip + dice.below(INSTRUCTION_BYTES), true, dice)
        }
        Kind::Stack => {
            let rsp = frame_of(kernel, target)?.rsp;
            let used = layout::stack_top(u64::from(target.thread)).saturating_sub(rsp);
            flip(kernel, target, rsp + dice.below(used), false, dice)
        }
        Kind::Data => {
            let address = find(kernel, target, dice, |dice| if dice.below(2) == 0 { in_heap(dice) } else { in_segment(&target.image, dice) })?;
            flip(kernel, target, address, false, dice)
        }
        Kind::Write => {
            let address = find(kernel, target, dice, |dice| match dice.below(3) {
                0 => in_heap(dice),
                1 => in_segment(&target.image, dice),
                _ => in_stack(target.thread, dice),
            })?;
            let bytes = dice.word().to_le_bytes();
            change(kernel, target, address & !(WILD_BYTES as u64 - 1), WILD_BYTES, false, |before| before.copy_from_slice(&bytes))
        }
        Kind::Allocation => allocation::refuse(kernel, target.block.space(), dice).map(Struck::Heap),
        Kind::Dropped | Kind::Doubled | Kind::Corrupted => message::strike(kernel, target, kind, dice),
    }
}

/// Starts the thread anew on the way to a death of its own, on the stack that it has.
pub(crate) fn die(kernel: &mut impl Kernel, target: &Target<'_>, how: How) -> Result<Struck, Error> {
    let rip = target.image.entry;
    redirect(kernel, target, |frame| Frame { rip, rsp: (frame.rsp & !15) - RETURN_ADDRESS, rdi: death::argument(how), ..*frame })
}

/// Makes the thread trap after each instruction.
///
/// # Errors
/// The kernel's; [`Error::WrongState`] for a thread that waits in a call.
pub fn step(kernel: &mut impl Kernel, target: &Target<'_>) -> Result<(), Error> {
    if !may_stop(kernel, target)? {
        return Err(Error::WrongState);
    }
    kernel.stop(target.handle())?;
    let frame = kernel.get_frame(target.handle())?;
    kernel.set_frame(target.handle(), &Frame { rflags: frame.rflags | TRAP_FLAG, ..frame })?;
    kernel.start(target.handle())
}

/// Lets a thread that is held in a trap go on without others.
///
/// # Errors
/// The kernel's.
pub fn unstep(kernel: &mut impl Kernel, target: &Target<'_>) -> Result<(), Error> {
    redirect(kernel, target, |frame| *frame).map(drop)
}

/// Whether a stop of the thread takes nothing from it.
fn may_stop(kernel: &mut impl Kernel, target: &Target<'_>) -> Result<bool, Error> {
    Ok(target.held || kernel.counters(target.handle())?.doing != Doing::Calling)
}

/// Lets the thread go on with other registers, and without traps.
pub(super) fn redirect(kernel: &mut impl Kernel, target: &Target<'_>, to: impl Fn(&Frame) -> Frame) -> Result<Struck, Error> {
    let thread = target.handle();
    if !target.held {
        kernel.stop(thread)?;
    }
    let frame = kernel.get_frame(thread)?;
    let frame = Frame { rflags: frame.rflags & !TRAP_FLAG, ..frame };
    let set = kernel.set_frame(thread, &to(&frame)).or_else(|error| kernel.set_frame(thread, &frame).and(Err(error)));
    if !target.held {
        kernel.start(thread)?;
    }
    set.map(|()| Struck::Thread { rip: frame.rip })
}

/// An address without code: null and what is near it, heap, stack, or anywhere.
fn nowhere(dice: &mut Dice) -> u64 {
    match dice.below(4) {
        0 => dice.below(PAGE_SIZE),
        1 => layout::HEAP + dice.below(PAGE_SIZE),
        2 => layout::stack_top(0) - 1 - dice.below(PAGE_SIZE),
        _ => NOWHERE + dice.below(1 << 40),
    }
}

/// The registers of a thread that may be stopped. It goes on, without traps.
fn frame_of(kernel: &mut impl Kernel, target: &Target<'_>) -> Result<Frame, Error> {
    let found = core::cell::Cell::new(Frame::new());
    alter(kernel, target, |frame| {
        found.set(*frame);
        *frame
    })?;
    Ok(found.get())
}

/// As [`redirect`], of a thread that then does its work.
fn alter(kernel: &mut impl Kernel, target: &Target<'_>, to: impl Fn(&Frame) -> Frame) -> Result<Struck, Error> {
    if may_stop(kernel, target)? { redirect(kernel, target, to) } else { Err(Error::WrongState) }
}

fn flip_register(kernel: &mut impl Kernel, target: &Target<'_>, dice: &mut Dice) -> Result<Struck, Error> {
    let (register, bit) = (dice.below(18) as u8, dice.below(64) as u8);
    alter(kernel, target, |frame| flipped(frame, register, bit)).map(|struck| match struck {
        Struck::Thread { rip } => Struck::Register { register, bit, rip },
        other => other,
    })
}

/// A frame with a wrong bit. Of pointers to code and stack, and of flags, it is one that the kernel lets a thread have; the trap flag is the injector's.
fn flipped(frame: &Frame, register: u8, bit: u8) -> Frame {
    let mut frame = *frame;
    let Frame { rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags, .. } = &mut frame;
    let address = 1 << (u64::from(bit) % ADDRESS_BITS);
    let flags: [u64; 8] = core::array::from_fn(|nth| nth_bit(abi::FLAGS_USER & !TRAP_FLAG, nth));
    let flag = flags.get(usize::from(bit) % flags.len()).copied().unwrap_or(1);
    let general = [rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15];
    match (register, general.into_iter().nth(usize::from(register))) {
        (_, Some(register)) => *register ^= 1 << bit,
        (15, None) => *rsp ^= address,
        (16, None) => *rip ^= address,
        (_, None) => *rflags ^= flag,
    }
    frame
}

/// The lowest bit but `nth` that is set.
fn nth_bit(mut mask: u64, nth: usize) -> u64 {
    for _ in 0..nth {
        mask &= mask.wrapping_sub(1);
    }
    mask & mask.wrapping_neg()
}

fn in_heap(dice: &mut Dice) -> u64 {
    layout::HEAP + dice.below(HEAP_PAGES * PAGE_SIZE)
}

fn in_stack(thread: u32, dice: &mut Dice) -> u64 {
    layout::stack_bottom(u64::from(thread)) + dice.below(layout::STACK_PAGES * PAGE_SIZE)
}

/// A place in the image's writable segments, each as likely as it is long.
fn in_segment(image: &Image<'_>, dice: &mut Dice) -> u64 {
    let writable = || image.segments().filter(|segment| segment.flags & SEGMENT_WRITE != 0);
    let bytes = |pages: u32| u64::from(pages) * PAGE_SIZE;
    let mut offset = dice.below(writable().map(|segment| bytes(segment.pages)).sum());
    for segment in writable() {
        if offset < bytes(segment.pages) {
            return segment.address + offset;
        }
        offset -= bytes(segment.pages);
    }
    layout::HEAP
}

/// A place that `choose` names and that there is.
fn find(kernel: &mut impl Kernel, target: &Target<'_>, dice: &mut Dice, choose: impl Fn(&mut Dice) -> u64) -> Result<u64, Error> {
    for _ in 0..TRIES {
        let address = choose(dice);
        if kernel.copy_from(target.block.space(), address, &mut [0]).is_ok() {
            return Ok(address);
        }
    }
    Err(Error::NeedsPage)
}

fn flip(kernel: &mut impl Kernel, target: &Target<'_>, address: u64, text: bool, dice: &mut Dice) -> Result<Struck, Error> {
    let bit = dice.below(8);
    change(kernel, target, address, 1, text, |bytes| bytes.iter_mut().for_each(|byte| *byte ^= 1 << bit))
}

fn change(kernel: &mut impl Kernel, target: &Target<'_>, address: u64, length: usize, text: bool, edit: impl Fn(&mut [u8])) -> Result<Struck, Error> {
    let space = target.block.space();
    let mut change = Change { space, address, before: [0; WILD_BYTES], after: [0; WILD_BYTES], length, text };
    kernel.copy_from(space, address, change.before.get_mut(..length).unwrap_or_default())?;
    change.after = change.before;
    edit(change.after.get_mut(..length).unwrap_or_default());
    store(kernel, &change, &change.after)?;
    Ok(Struck::Memory(change))
}

/// Text is never writable while it is executable: nothing of the server runs while it is neither, because nothing but this runs.
fn store(kernel: &mut impl Kernel, change: &Change, bytes: &[u8; WILD_BYTES]) -> Result<(), Error> {
    let (space, page) = (change.space, change.address & !(PAGE_SIZE - 1));
    if change.text {
        kernel.protect(space, page, 1, MapFlags::READ | MapFlags::WRITE)?;
    }
    let stored = kernel.copy_to(space, change.address, bytes.get(..change.length).unwrap_or_default()).map(drop);
    if change.text {
        kernel.protect(space, page, 1, MapFlags::READ | MapFlags::EXECUTE)?;
    }
    stored
}
