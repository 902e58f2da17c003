//! Frames as words of the saved state, and back.

use abi::Frame;

use crate::saved::SavedFrame;

const GENERAL: usize = 20;
const XSAVE_AT: usize = 24;

/// As it is saved.
#[must_use]
pub fn from_frame(frame: &Frame) -> SavedFrame {
    let mut words = [0; 128];
    words[..GENERAL].copy_from_slice(&general(frame));
    words[GENERAL] = frame.fpu_valid;
    for (word, bytes) in words[XSAVE_AT..].iter_mut().zip(frame.xsave.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    SavedFrame { words }
}

/// As the kernel takes it.
#[must_use]
pub fn to_frame(saved: &SavedFrame) -> Frame {
    let mut frame = Frame::new();
    let [rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags, fs_base, gs_base, fpu_valid, ..] = saved.words;
    (frame.rax, frame.rbx, frame.rcx, frame.rdx, frame.rsi, frame.rdi, frame.rbp, frame.rsp) = (rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp);
    (frame.r8, frame.r9, frame.r10, frame.r11, frame.r12, frame.r13, frame.r14, frame.r15) = (r8, r9, r10, r11, r12, r13, r14, r15);
    (frame.rip, frame.rflags, frame.fs_base, frame.gs_base, frame.fpu_valid) = (rip, rflags, fs_base, gs_base, fpu_valid);
    for (bytes, word) in frame.xsave.as_chunks_mut::<8>().0.iter_mut().zip(&saved.words[XSAVE_AT..]) {
        *bytes = word.to_le_bytes();
    }
    frame
}

fn general(frame: &Frame) -> [u64; GENERAL] {
    [
        frame.rax,
        frame.rbx,
        frame.rcx,
        frame.rdx,
        frame.rsi,
        frame.rdi,
        frame.rbp,
        frame.rsp,
        frame.r8,
        frame.r9,
        frame.r10,
        frame.r11,
        frame.r12,
        frame.r13,
        frame.r14,
        frame.r15,
        frame.rip,
        frame.rflags,
        frame.fs_base,
        frame.gs_base,
    ]
}

#[cfg(test)]
mod tests {
    use super::{from_frame, to_frame};
    use abi::Frame;

    #[test]
    fn frame_round_trips() {
        let mut frame = Frame { rax: 1, rbx: 2, r15: 3, rip: 4, gs_base: 5, fpu_valid: 1, ..Frame::new() };
        frame.xsave.iter_mut().enumerate().for_each(|(index, byte)| *byte = index as u8);
        assert_eq!(to_frame(&from_frame(&frame)), frame);
    }
}
