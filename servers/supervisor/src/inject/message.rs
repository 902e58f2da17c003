//! Messages that get lost, come twice or come wrong, in a kernel that does none of this: the injector, who looks at each instruction of its victim, finds it in
//! front of its `syscall` with a message in its registers, and lets it go on as if the message had fared so.
//!
//! No part of the kernel or of a server knows of it, and it needs no right but that to the victim's registers, which the supervisor has and nobody else.
//! A message that is longer than the registers is left alone: its page belongs to the answer as well.

use abi::{Control, Error, Frame, Label, MAX_INLINE, Operation};

use super::plan::{Dice, Kind};
use super::strike::{Struck, Target, redirect};
use crate::kernel::Kernel;

/// The instruction `syscall` (Intel SDM vol. 2).
const SYSCALL: [u8; 2] = [0x0f, 0x05];
/// A thread that steps traps one instruction after its `syscall`, which is no longer than this.
const NEXT_BYTES: u64 = 15;

/// The registers of a thread that is held in front of its `syscall` with a message of its own that a fault of this kind can strike.
pub(super) fn sending(kernel: &mut impl Kernel, target: &Target<'_>, kind: Kind) -> Option<Frame> {
    let frame = kernel.get_frame(target.handle()).ok().filter(|_| target.held)?;
    let mut code = [0; SYSCALL.len()];
    kernel.copy_from(target.block.space(), frame.rip, &mut code).ok().filter(|()| code == SYSCALL)?;
    let is_sent = match Control(frame.rax as u32).operation()? {
        Operation::Call => true,
        Operation::Reply | Operation::ReplyReceive => kind == Kind::Corrupted,
        _ => false,
    };
    (is_sent && (1..=MAX_INLINE).contains(&label(&frame).bytes())).then_some(frame)
}

fn label(frame: &Frame) -> Label {
    Label((frame.rax >> 32) as u32)
}

/// Does what `kind` says to the message that the thread is about to send; for one that is to be doubled, that is to send it, and this sees to the second time ([`repeat`]).
///
/// # Errors
/// The kernel's; [`Error::WrongState`] for a thread that is not about to send.
pub(super) fn strike(kernel: &mut impl Kernel, target: &Target<'_>, kind: Kind, dice: &mut Dice) -> Result<Struck, Error> {
    let frame = sending(kernel, target, kind).ok_or(Error::WrongState)?;
    match kind {
        Kind::Dropped => {
            redirect(kernel, target, |frame| Frame { rip: frame.rip + SYSCALL.len() as u64, rax: u64::from(Error::PeerDied.to_status()), ..*frame })
        }
        Kind::Corrupted => {
            let bit = dice.below(label(&frame).bytes() as u64 * 8);
            redirect(kernel, target, |frame| corrupted(frame, bit))
        }
        _ => Err(Error::WrongState),
    }
}

/// A frame with a wrong bit in its message.
fn corrupted(frame: &Frame, bit: u64) -> Frame {
    let mut frame = *frame;
    let Frame { rdi, rsi, rdx, r8, r9, r10, r12, r13, .. } = &mut frame;
    let words = [rdi, rsi, rdx, r8, r9, r10, r12, r13];
    words.into_iter().nth((bit / 64) as usize).into_iter().for_each(|word| *word ^= 1 << (bit % 64));
    frame
}

/// Whether a thread that is held has just come back from what it sent with these registers.
pub(super) fn is_back(kernel: &mut impl Kernel, target: &Target<'_>, sent: &Frame) -> bool {
    let behind = sent.rip + SYSCALL.len() as u64;
    kernel.get_frame(target.handle()).is_ok_and(|frame| (behind..=behind + NEXT_BYTES).contains(&frame.rip))
}

/// Has a thread send again what it sent with these registers, under the same number.
///
/// # Errors
/// The kernel's.
pub(super) fn repeat(kernel: &mut impl Kernel, target: &Target<'_>, sent: &Frame) -> Result<Struck, Error> {
    redirect(kernel, target, |now| Frame { rflags: now.rflags, ..*sent }).map(|_| Struck::Thread { rip: sent.rip })
}
