//! A thread's registers as its owner sees and sets them.

/// Bytes of the XSAVE area: legacy region, header and the AVX component (SDM vol. 1, 13.4), as XCR0 is fixed to x87, SSE and AVX.
pub const XSAVE_BYTES: usize = 832;
/// RFLAGS bits that a thread's owner may set: CF PF AF ZF SF TF DF OF AC ID. Never IOPL, NT, RF or VM.
pub const FLAGS_USER: u64 = 0x0000_0000_0024_0dd5;
/// RFLAGS.TF: a debug exception after each instruction.
pub const FLAGS_STEP: u64 = 1 << 8;
/// RFLAGS bits that are always set in ring 3: IF and the one that is always 1.
pub const FLAGS_FIXED: u64 = 0x202;

/// All registers of a thread. The kernel checks each value as it is loaded: canonical lower-half addresses, flags masked by [`FLAGS_USER`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C, align(64))]
pub struct Frame {
    /// General registers.
    pub rax: u64,
    /// General register.
    pub rbx: u64,
    /// General register.
    pub rcx: u64,
    /// General register.
    pub rdx: u64,
    /// General register.
    pub rsi: u64,
    /// General register.
    pub rdi: u64,
    /// General register.
    pub rbp: u64,
    /// Stack pointer.
    pub rsp: u64,
    /// General register.
    pub r8: u64,
    /// General register.
    pub r9: u64,
    /// General register.
    pub r10: u64,
    /// General register.
    pub r11: u64,
    /// General register.
    pub r12: u64,
    /// General register.
    pub r13: u64,
    /// General register.
    pub r14: u64,
    /// General register.
    pub r15: u64,
    /// Instruction pointer.
    pub rip: u64,
    /// Flags.
    pub rflags: u64,
    /// Base of FS: the thread pointer of Linux programs.
    pub fs_base: u64,
    /// Base of GS.
    pub gs_base: u64,
    /// 1 when [`Frame::xsave`] holds the FPU state; 0 leaves or means the initial state.
    pub fpu_valid: u64,
    /// Keeps the XSAVE area at a multiple of 64.
    pub reserved: [u64; 3],
    /// The FPU state in standard XSAVE form.
    pub xsave: [u8; XSAVE_BYTES],
}

impl Frame {
    /// A frame of zeros with flags as a new program has them.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            rax: 0,
            rbx: 0,
            rcx: 0,
            rdx: 0,
            rsi: 0,
            rdi: 0,
            rbp: 0,
            rsp: 0,
            r8: 0,
            r9: 0,
            r10: 0,
            r11: 0,
            r12: 0,
            r13: 0,
            r14: 0,
            r15: 0,
            rip: 0,
            rflags: FLAGS_FIXED,
            fs_base: 0,
            gs_base: 0,
            fpu_valid: 0,
            reserved: [0; 3],
            xsave: [0; XSAVE_BYTES],
        }
    }
}

impl Default for Frame {
    fn default() -> Self {
        Self::new()
    }
}

const _: () = assert!(core::mem::offset_of!(Frame, xsave) == 192);
const _: () = assert!(core::mem::size_of::<Frame>() == 1024);
