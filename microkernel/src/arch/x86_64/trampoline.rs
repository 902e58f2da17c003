//! The first instructions of another processor: from real mode to the kernel's half.
//!
//! They run as a copy in a page of the first MiB, because a start-up interrupt can name no other (SDM vol. 3, 9.4.4), with what they need in the
//! same page behind them. Nothing in them depends on where that page is: segment bases and `rip` say it.

use core::arch::global_asm;
use core::mem::offset_of;

use super::descriptors::{KERNEL_CODE, KERNEL_DATA, SEGMENTS};
use crate::page::{PAGE_BYTES, PAGE_WORDS};

/// Where in the page the parameters lie.
const PARAMETERS: usize = 0xf00;
/// CR4: physical address extension. EFER: long mode and no-execute. CR0: paging, protection, caches on.
const CR4: u32 = 1 << 5;
const EFER: u32 = 0xc000_0080;
const LONG_MODE: u32 = 1 << 8 | 1 << 11;
const CR0: u32 = 1 << 31 | 1 << 4 | 1;

/// What the instructions find behind them.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Parameters {
    /// They hold until the processor has loaded a table of its own.
    segments: [u64; SEGMENTS.len()],
    entry: u64,
    stack: u64,
    index: u64,
    /// Physical address of a top-level table that has both this page where it is and the kernel's half.
    root: u32,
    long_mode: u32,
    long_mode_segment: u16,
    segments_limit: u16,
    segments_base: u32,
}

const _: () = assert!(PARAMETERS + size_of::<Parameters>() <= PAGE_BYTES);
const _: () = assert!(offset_of!(Parameters, segments_base) == offset_of!(Parameters, segments_limit) + 2);

impl Parameters {
    /// For a page at physical address `page` (below 1 MiB): the processor of number `index` shall call `entry` with that number, on `stack`, in the
    /// space of `root`.
    pub fn new(page: u32, root: u32, entry: extern "C" fn(u64) -> !, stack: u64, index: u64) -> Self {
        let long_mode = page + (&raw const trampoline_long as u64 - &raw const trampoline_start as u64) as u32;
        Self {
            segments: SEGMENTS,
            entry: entry as usize as u64,
            stack,
            index,
            root,
            long_mode,
            long_mode_segment: KERNEL_CODE,
            segments_limit: (size_of_val(&SEGMENTS) - 1) as u16,
            segments_base: page + PARAMETERS as u32,
        }
    }

    /// Writes the instructions and these parameters for them into a page.
    pub fn write(self, page: &mut [u64; PAGE_WORDS]) {
        let from = &raw const trampoline_start;
        let length = &raw const trampoline_end as usize - from as usize;
        assert!(length <= PARAMETERS, "the first instructions overlap their parameters");
        let to = page.as_mut_ptr().cast::<u8>();
        // SAFETY: both parts fit into the page, the text has this length, and the parameters' place is aligned.
        unsafe {
            to.copy_from_nonoverlapping(from, length);
            to.add(PARAMETERS).cast::<Self>().write(self);
        }
    }
}

// SAFETY: three labels of the text below; only their addresses and the bytes between them are used.
unsafe extern "C" {
    static trampoline_start: u8;
    static trampoline_long: u8;
    static trampoline_end: u8;
}

global_asm!(
    ".pushsection .rodata.trampoline, \"a\"",
    ".balign 16",
    ".global trampoline_start",
    "trampoline_start:",
    ".code16",
    "cli",
    "cld",
    "movw %cs, %ax",
    "movw %ax, %ds",
    "lgdtl {pointer}",
    "movl {root}, %eax",
    "movl %eax, %cr3",
    "movl ${cr4}, %eax",
    "movl %eax, %cr4",
    "movl ${efer}, %ecx",
    "movl ${long_mode}, %eax",
    "xorl %edx, %edx",
    "wrmsr",
    "movl ${cr0}, %eax",
    "movl %eax, %cr0",
    "ljmpl *{target}",
    ".code64",
    ".global trampoline_long",
    "trampoline_long:",
    "movl ${data}, %eax",
    "movl %eax, %ds",
    "movl %eax, %es",
    "movl %eax, %ss",
    "leaq trampoline_start(%rip), %rbx",
    "movq {stack}(%rbx), %rsp",
    "movq {index}(%rbx), %rdi",
    "xorl %ebp, %ebp",
    "callq *{entry}(%rbx)",
    "ud2",
    ".global trampoline_end",
    "trampoline_end:",
    ".popsection",
    pointer = const PARAMETERS + offset_of!(Parameters, segments_limit),
    root = const PARAMETERS + offset_of!(Parameters, root),
    target = const PARAMETERS + offset_of!(Parameters, long_mode),
    stack = const PARAMETERS + offset_of!(Parameters, stack),
    index = const PARAMETERS + offset_of!(Parameters, index),
    entry = const PARAMETERS + offset_of!(Parameters, entry),
    cr4 = const CR4,
    efer = const EFER,
    long_mode = const LONG_MODE,
    cr0 = const CR0,
    data = const KERNEL_DATA,
    options(att_syntax)
);
