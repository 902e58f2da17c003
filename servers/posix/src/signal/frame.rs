//! What a signal handler finds on its stack: Linux's `struct rt_sigframe` for x86_64 (`arch/x86/include/asm/sigframe.h`).
//!
//! From low to high: the restorer's address, which the handler returns to; the context; the signal's description; and, aligned to 64, the FPU state with
//! the two magic words that say that it is in XSAVE form. Pure: bytes in, bytes out.

use abi::{Frame, XSAVE_BYTES};

use super::SIGCHLD;
use crate::errno::Errno;
use crate::saved::Origin;

/// Bytes of the restorer's address, the context and the description.
pub const FRAME_BYTES: usize = 8 + CONTEXT_BYTES + INFO_BYTES;
/// Bytes of `struct ucontext`.
pub const CONTEXT_BYTES: usize = 304;
/// Bytes of `siginfo_t`.
pub const INFO_BYTES: usize = 128;
/// Bytes of the FPU state with its last magic word.
pub const FPU_BYTES: usize = XSAVE_BYTES + 4;
/// Bytes below the stack pointer that belong to the program (System V ABI, 3.2.2).
const RED_ZONE: u64 = 128;

/// The vector of a page fault (SDM vol. 3, table 6-1).
pub const PAGE_FAULT: u64 = 14;

const MAGIC1: u32 = 0x4650_5853;
const MAGIC2: u32 = 0x4650_5845;
const FEATURES: u64 = 7;
/// Offset of MXCSR in the legacy area.
const MXCSR: usize = 24;
/// Offset of the software bytes in the legacy area.
const SOFTWARE: usize = 464;
/// `UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS`.
const CONTEXT_FLAGS: u64 = 7;
/// Selectors of 64-bit user code and data, as Linux shows them.
const SELECTORS: u64 = 0x33 | 0x2b << 48;

/// Where the parts go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The new stack pointer: start of the frame.
    pub frame: u64,
    /// The FPU state.
    pub fpu: u64,
}

impl Layout {
    /// Below `top`: the program's stack pointer, or the end of its alternative stack.
    #[must_use]
    pub fn below(top: u64, red_zone: bool) -> Self {
        let top = if red_zone { top.wrapping_sub(RED_ZONE) } else { top };
        let fpu = top.wrapping_sub(FPU_BYTES as u64) & !63;
        let frame = (fpu.wrapping_sub(FRAME_BYTES as u64) & !15).wrapping_sub(8);
        Self { frame, fpu }
    }
}

/// What the context says besides the registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Mask to go back to.
    pub mask: u64,
    /// The alternative stack: address, bytes, flags.
    pub alternate: [u64; 3],
    /// Vector, error code and address of a trap.
    pub trap: [u64; 3],
}

fn put(bytes: &mut [u8], at: usize, word: u64) {
    if let Some(to) = bytes.get_mut(at..at + 8) {
        to.copy_from_slice(&word.to_le_bytes());
    }
}

fn get(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u64::from_le_bytes(*word))
}

/// The frame's bytes.
#[must_use]
pub fn encode(restorer: u64, frame: &Frame, layout: Layout, context: &Context, signal: usize, origin: &Origin) -> [u8; FRAME_BYTES] {
    let mut bytes = [0; FRAME_BYTES];
    put(&mut bytes, 0, restorer);
    let (_, rest) = bytes.split_at_mut(8);
    let (uc, info) = rest.split_at_mut(CONTEXT_BYTES);
    put(uc, 0, CONTEXT_FLAGS);
    put(uc, 16, context.alternate[0]);
    put(uc, 24, context.alternate[2]);
    put(uc, 32, context.alternate[1]);
    for (index, word) in registers(frame).into_iter().enumerate() {
        put(uc, 40 + index * 8, word);
    }
    put(uc, 40 + 18 * 8, SELECTORS);
    put(uc, 40 + 19 * 8, context.trap[1]);
    put(uc, 40 + 20 * 8, context.trap[0]);
    put(uc, 40 + 21 * 8, context.mask);
    put(uc, 40 + 22 * 8, context.trap[2]);
    put(uc, 40 + 23 * 8, layout.fpu);
    put(uc, 296, context.mask);
    encode_info(info, signal, origin);
    bytes
}

impl Origin {
    /// A trap of the program's own. Nobody sent it, so there is room for its vector and error code.
    #[must_use]
    pub fn trap(vector: u64, error: u64, code: u32, address: u64) -> Self {
        Self { code, uid: error as u32, status: vector as u32, value: address, pid: 0 }
    }

    /// Vector, error code and address, as a context tells them; zeros if it was no trap.
    #[must_use]
    pub fn as_trap(&self) -> [u64; 3] {
        if self.pid != 0 || self.code.cast_signed() < 0 {
            return [0; 3];
        }
        let vector = u64::from(self.status);
        [vector, u64::from(self.uid), if vector == PAGE_FAULT { self.value } else { 0 }]
    }
}

/// `siginfo_t`.
#[must_use]
pub fn info(signal: usize, origin: &Origin) -> [u8; INFO_BYTES] {
    let mut bytes = [0; INFO_BYTES];
    encode_info(&mut bytes, signal, origin);
    bytes
}

fn encode_info(info: &mut [u8], signal: usize, origin: &Origin) {
    put(info, 0, signal as u64);
    put(info, 8, u64::from(origin.code));
    // What a program says of itself may be that it is nobody.
    if origin.pid != 0 || signal == SIGCHLD || origin.code.cast_signed() < 0 {
        put(info, 16, u64::from(origin.pid) | u64::from(origin.uid) << 32);
        put(info, 24, if signal == SIGCHLD { u64::from(origin.status) } else { origin.value });
    } else {
        put(info, 16, origin.value);
    }
}

fn registers(frame: &Frame) -> [u64; 18] {
    [
        frame.r8,
        frame.r9,
        frame.r10,
        frame.r11,
        frame.r12,
        frame.r13,
        frame.r14,
        frame.r15,
        frame.rdi,
        frame.rsi,
        frame.rbp,
        frame.rbx,
        frame.rdx,
        frame.rax,
        frame.rcx,
        frame.rsp,
        frame.rip,
        frame.rflags,
    ]
}

/// The state of an FPU that was not used: control word and MXCSR as after reset (SDM vol. 1, 13.6), nothing else in use.
#[must_use]
pub fn initial_fpu() -> [u8; XSAVE_BYTES] {
    let mut xsave = [0; XSAVE_BYTES];
    xsave[..2].copy_from_slice(&0x37fu16.to_le_bytes());
    xsave[MXCSR..MXCSR + 4].copy_from_slice(&0x1f80u32.to_le_bytes());
    xsave
}

/// The FPU state as a handler sees it.
#[must_use]
pub fn encode_fpu(xsave: &[u8; XSAVE_BYTES]) -> [u8; FPU_BYTES] {
    let mut bytes = [0; FPU_BYTES];
    bytes[..XSAVE_BYTES].copy_from_slice(xsave);
    put(&mut bytes, SOFTWARE, u64::from(MAGIC1) | (FPU_BYTES as u64) << 32);
    put(&mut bytes, SOFTWARE + 8, FEATURES);
    put(&mut bytes, SOFTWARE + 16, XSAVE_BYTES as u64);
    bytes[XSAVE_BYTES..].copy_from_slice(&MAGIC2.to_le_bytes());
    bytes
}

/// What `sigreturn` goes back to: registers, context, and where the FPU state lies.
///
/// # Errors
/// `EFAULT` if the instruction or stack pointer is outside of user space.
pub fn decode(uc: &[u8; CONTEXT_BYTES], old: &Frame) -> Result<(Frame, Context, u64), Errno> {
    let word = |index: usize| get(uc, 40 + index * 8);
    let mut frame = *old;
    [frame.r8, frame.r9, frame.r10, frame.r11, frame.r12, frame.r13, frame.r14, frame.r15] = core::array::from_fn(word);
    [frame.rdi, frame.rsi, frame.rbp, frame.rbx, frame.rdx, frame.rax, frame.rcx, frame.rsp, frame.rip, frame.rflags] =
        core::array::from_fn(|index| word(index + 8));
    frame.fpu_valid = 0;
    if frame.rip >= abi::USER_END || frame.rsp >= 1 << 47 {
        return Err(Errno::EFAULT);
    }
    let context = Context { mask: get(uc, 296), alternate: [get(uc, 16), get(uc, 32), get(uc, 24) & 0xffff_ffff], trap: [0; 3] };
    Ok((frame, context, word(23)))
}

/// Takes an FPU state from a handler's stack. One that is not in XSAVE form counts as legacy state only.
pub fn decode_fpu(bytes: &[u8; FPU_BYTES], frame: &mut Frame) {
    frame.xsave.copy_from_slice(&bytes[..XSAVE_BYTES]);
    let whole = get(bytes, SOFTWARE) as u32 == MAGIC1 && bytes[XSAVE_BYTES..] == MAGIC2.to_le_bytes();
    let header = if whole { get(bytes, 512) & FEATURES } else { 3 };
    // Software bytes and the reserved rest of the header must be zero for XRSTOR (SDM vol. 1, 13.8.1).
    frame.xsave[SOFTWARE..512 + 64].fill(0);
    frame.xsave[512..520].copy_from_slice(&header.to_le_bytes());
    frame.fpu_valid = 1;
}

#[cfg(test)]
mod tests {
    use super::{CONTEXT_BYTES, Context, FRAME_BYTES, Layout, decode, decode_fpu, encode, encode_fpu};
    use crate::saved::Origin;
    use abi::Frame;

    #[test]
    fn handler_starts_with_an_aligned_stack_and_a_free_red_zone() {
        for top in 0x7fff_0000u64..0x7fff_0080 {
            let layout = Layout::below(top, true);
            assert_eq!((layout.frame + 8) % 16, 0);
            assert_eq!(layout.fpu % 64, 0);
            assert!(layout.frame + FRAME_BYTES as u64 <= layout.fpu);
            assert!(layout.fpu + 836 <= top - 128);
        }
    }

    #[test]
    fn registers_and_mask_round_trip() {
        let frame = Frame { rax: 1, rbx: 2, r15: 3, rip: 0x40_1000, rsp: 0x7fff_0000, rflags: 0x246, fs_base: 9, ..Frame::new() };
        let context = Context { mask: 0xabc, alternate: [1, 2, 3], trap: [0; 3] };
        let bytes = encode(7, &frame, Layout { frame: 0, fpu: 64 }, &context, 11, &Origin::default());
        let uc: [u8; CONTEXT_BYTES] = bytes[8..8 + CONTEXT_BYTES].try_into().unwrap();
        let (back, again, fpu) = decode(&uc, &Frame { fs_base: 9, ..Frame::new() }).unwrap();
        assert_eq!((back, again, fpu), (frame, context, 64));
    }

    #[test]
    fn foreign_addresses_are_refused() {
        let mut uc = [0; CONTEXT_BYTES];
        uc[40 + 16 * 8 + 7] = 0x80;
        assert!(decode(&uc, &Frame::new()).is_err());
    }

    #[test]
    fn fpu_state_round_trips_but_for_reserved_bytes() {
        let mut frame = Frame::new();
        frame.xsave.iter_mut().enumerate().for_each(|(index, byte)| *byte = index as u8);
        frame.xsave[464..576].fill(0);
        frame.xsave[512] = 7;
        let mut back = Frame::new();
        decode_fpu(&encode_fpu(&frame.xsave), &mut back);
        assert_eq!(back.xsave, frame.xsave);
        assert_eq!(back.fpu_valid, 1);
    }
}
