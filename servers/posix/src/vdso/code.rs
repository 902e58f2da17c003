//! The vDSO's code: position independent, without data, relative only to the clock's page that lies before the image.
//!
//! In assembly, because it must refer to nothing: a compiler is free to call a routine, keep a constant in a table or use vector registers, and what
//! looked like it works would depend on flags. Nothing runs it in this server. Each function that cannot answer makes Linux's call with the
//! arguments as they came.
#![allow(unsafe_code, reason = "assembly, and the bytes between its symbols")]

use core::arch::global_asm;

use super::clock;
use super::image::{Entry, TEXT_OFFSET};
use crate::vma::PAGE;

/// Clocks that the counter shows, a bit each: `CLOCK_REALTIME`, `_MONOTONIC`, `_MONOTONIC_RAW`, both `_COARSE`, `_BOOTTIME`, `_TAI`.
const CLOCKS: u32 = 1 | 1 << 1 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 11;
/// Those of them that show the time of day.
const WALL_CLOCKS: u32 = 1 | 1 << 5 | 1 << 11;
/// From the start of the clock's page to the first instruction.
const BACK: u64 = PAGE + TEXT_OFFSET as u64;

global_asm!(
    r#"
    .pushsection .rodata.posix_vdso, "a", @progbits
    .balign 16
    .globl posix_vdso_code
    .hidden posix_vdso_code
    posix_vdso_code:

    // The clock in nanoseconds, in rax; the time of day if r10 is 1, the time since the start if it is 0. Carry: the kernel must be asked.
    // Changes rcx, rdx and r8.
    posix_vdso_now:
        mov r8d, dword ptr [rip + posix_vdso_code - {back} + {sequence}]
        test r8d, 1
        jnz 3f
        cmp dword ptr [rip + posix_vdso_code - {back} + {counter}], 1
        jne 4f
        // No load after the fence may be done before those above it, and the counter is read last (SDM vol. 2, RDTSC).
        lfence
        rdtsc
        shl rdx, 32
        or rax, rdx
        sub rax, qword ptr [rip + posix_vdso_code - {back} + {base_ticks}]
        mul qword ptr [rip + posix_vdso_code - {back} + {multiplier}]
        mov ecx, dword ptr [rip + posix_vdso_code - {back} + {shift}]
        shrd rax, rdx, cl
        add rax, qword ptr [rip + posix_vdso_code - {back} + {base_ns}]
        mov rcx, qword ptr [rip + posix_vdso_code - {back} + {wall_offset}]
        imul rcx, r10
        add rax, rcx
        cmp r8d, dword ptr [rip + posix_vdso_code - {back} + {sequence}]
        jne posix_vdso_now
        clc
        ret
    3:  pause
        jmp posix_vdso_now
    4:  stc
        ret

    .balign 16
    posix_vdso_clock_gettime:
        cmp edi, 31
        ja 5f
        mov eax, {clocks}
        bt eax, edi
        jnc 5f
        mov eax, {wall_clocks}
        xor r10d, r10d
        bt eax, edi
        adc r10d, 0
        call posix_vdso_now
        jc 5f
        mov ecx, 1000000000
        xor edx, edx
        div rcx
        mov qword ptr [rsi], rax
        mov qword ptr [rsi + 8], rdx
        xor eax, eax
        ret
    5:  mov eax, 228
        syscall
        ret
    posix_vdso_clock_gettime_end:

    .balign 16
    posix_vdso_gettimeofday:
        test rdi, rdi
        jz 6f
        mov r10d, 1
        call posix_vdso_now
        jc 8f
        mov ecx, 1000000000
        xor edx, edx
        div rcx
        mov qword ptr [rdi], rax
        mov rax, rdx
        mov ecx, 1000
        xor edx, edx
        div rcx
        mov qword ptr [rdi + 8], rax
    6:  xor eax, eax
        test rsi, rsi
        jz 7f
        mov qword ptr [rsi], rax
    7:  ret
    8:  mov eax, 96
        syscall
        ret
    posix_vdso_gettimeofday_end:

    .balign 16
    posix_vdso_time:
        mov r10d, 1
        call posix_vdso_now
        jc 3f
        mov ecx, 1000000000
        xor edx, edx
        div rcx
        test rdi, rdi
        jz 2f
        mov qword ptr [rdi], rax
    2:  ret
    3:  mov eax, 201
        syscall
        ret
    posix_vdso_time_end:

    .balign 16
    posix_vdso_clock_getres:
        cmp edi, 31
        ja 3f
        mov eax, {clocks}
        bt eax, edi
        jnc 3f
        xor eax, eax
        test rsi, rsi
        jz 2f
        mov qword ptr [rsi], rax
        mov qword ptr [rsi + 8], 1
    2:  ret
    3:  mov eax, 229
        syscall
        ret
    posix_vdso_clock_getres_end:

    .balign 16
    posix_vdso_getcpu:
        cmp dword ptr [rip + posix_vdso_code - {back} + {processor}], 1
        jne 4f
        rdtscp
        mov eax, ecx
        and eax, 0xfff
        shr ecx, 12
        test rdi, rdi
        jz 2f
        mov dword ptr [rdi], eax
    2:  test rsi, rsi
        jz 3f
        mov dword ptr [rsi], ecx
    3:  xor eax, eax
        ret
    4:  mov eax, 309
        syscall
        ret
    posix_vdso_getcpu_end:

    .globl posix_vdso_code_end
    .hidden posix_vdso_code_end
    posix_vdso_code_end:

    // Offset and length of each function, as `NAMES` of `image` orders them.
    .balign 4
    .globl posix_vdso_entries
    .hidden posix_vdso_entries
    posix_vdso_entries:
        .long posix_vdso_clock_gettime - posix_vdso_code, posix_vdso_clock_gettime_end - posix_vdso_clock_gettime
        .long posix_vdso_gettimeofday - posix_vdso_code, posix_vdso_gettimeofday_end - posix_vdso_gettimeofday
        .long posix_vdso_time - posix_vdso_code, posix_vdso_time_end - posix_vdso_time
        .long posix_vdso_clock_getres - posix_vdso_code, posix_vdso_clock_getres_end - posix_vdso_clock_getres
        .long posix_vdso_getcpu - posix_vdso_code, posix_vdso_getcpu_end - posix_vdso_getcpu
    .popsection
    "#,
    back = const BACK,
    sequence = const clock::SEQUENCE,
    counter = const clock::COUNTER,
    base_ticks = const clock::BASE_TICKS,
    multiplier = const clock::MULTIPLIER,
    shift = const clock::SHIFT,
    processor = const clock::PROCESSOR,
    base_ns = const clock::BASE_NS,
    wall_offset = const clock::WALL_OFFSET,
    clocks = const CLOCKS,
    wall_clocks = const WALL_CLOCKS,
);

// SAFETY: the assembly above defines all three, with these types: two labels that stand around the code, and an entry for each function.
unsafe extern "C" {
    static posix_vdso_code: u8;
    static posix_vdso_code_end: u8;
    static posix_vdso_entries: [Entry; super::image::FUNCTIONS];
}

/// The code.
#[must_use]
pub fn code() -> &'static [u8] {
    let (start, end) = (&raw const posix_vdso_code, &raw const posix_vdso_code_end);
    // SAFETY: both symbols are of the section above, the first before the second, and nothing writes there.
    unsafe { core::slice::from_raw_parts(start, end.addr() - start.addr()) }
}

/// Where its functions are, in the order of [`super::image::NAMES`].
#[must_use]
pub fn entries() -> &'static [Entry; super::image::FUNCTIONS] {
    // SAFETY: the symbol above, ten words that nothing writes.
    unsafe { &posix_vdso_entries }
}
