//! What a native thread tries on the processor: instructions that are the kernel's, traps, flags, stacks and addresses with which no compiler would enter it.
//!
//! Linux programs try the same in `tests/linux/traps.c` and `instructions.c`; a native thread has another entry, and its exceptions are told as they are.

use abi::{Error, FLAGS_FIXED, FLAGS_STEP, FLAGS_USER, Frame, MapFlags, USER_END};
use libsys::syscall;

use super::puppet::{Attacker, CODE, DATA, REPLY, SPARE_PAGE};
use super::{INVALID_INSTRUCTION, KERNEL_HALF, NON_CANONICAL, Outcome, call, failed, must};

const DEBUG: u64 = 1;
const BREAKPOINT: u64 = 3;
const NO_DEVICE: u64 = 7;
const STACK_FAULT: u64 = 12;
const PROTECTION: u64 = 13;
const PAGE_FAULT: u64 = 14;
/// Bytes from one piece of code to the next.
const STRIDE: usize = 16;

/// Instructions, and the exception that each must be. SDM vol. 2.
const INSTRUCTIONS: [(&str, &[u8], u64); 40] = [
    ("hlt", &[0xf4], PROTECTION),
    ("cli", &[0xfa], PROTECTION),
    ("in al, dx", &[0xec], PROTECTION),
    ("out dx, al", &[0xee], PROTECTION),
    ("sgdt", &[0x0f, 0x01, 0x04, 0x24], PROTECTION),
    ("sidt", &[0x0f, 0x01, 0x0c, 0x24], PROTECTION),
    ("sldt", &[0x0f, 0x00, 0xc0], PROTECTION),
    ("str", &[0x0f, 0x00, 0xc8], PROTECTION),
    ("smsw", &[0x0f, 0x01, 0xe0], PROTECTION),
    ("lgdt", &[0x0f, 0x01, 0x14, 0x24], PROTECTION),
    ("lidt", &[0x0f, 0x01, 0x1c, 0x24], PROTECTION),
    ("lmsw", &[0x0f, 0x01, 0xf0], PROTECTION),
    ("mov rax, cr0", &[0x0f, 0x20, 0xc0], PROTECTION),
    ("mov cr0, rax", &[0x0f, 0x22, 0xc0], PROTECTION),
    ("mov cr3, rax", &[0x0f, 0x22, 0xd8], PROTECTION),
    ("mov cr4, rax", &[0x0f, 0x22, 0xe0], PROTECTION),
    ("mov rax, dr7", &[0x0f, 0x21, 0xf8], PROTECTION),
    ("mov dr7, rax", &[0x0f, 0x23, 0xf8], PROTECTION),
    ("clts", &[0x0f, 0x06], PROTECTION),
    ("rdmsr", &[0x0f, 0x32], PROTECTION),
    ("wrmsr", &[0x0f, 0x30], PROTECTION),
    ("rdpmc", &[0x0f, 0x33], PROTECTION),
    ("swapgs", &[0x0f, 0x01, 0xf8], PROTECTION),
    ("invlpg", &[0x0f, 0x01, 0x3c, 0x24], PROTECTION),
    ("invd", &[0x0f, 0x08], PROTECTION),
    ("wbinvd", &[0x0f, 0x09], PROTECTION),
    ("xsetbv", &[0x0f, 0x01, 0xd1], PROTECTION),
    ("sysretq", &[0x48, 0x0f, 0x07], PROTECTION),
    ("int 2", &[0xcd, 0x02], PROTECTION),
    ("int 14", &[0xcd, 0x0e], PROTECTION),
    ("int 0x40", &[0xcd, 0x40], PROTECTION),
    ("mov ds, 0x10", &[0xb8, 0x10, 0x00, 0x00, 0x00, 0x8e, 0xd8], PROTECTION),
    ("mov ss, 0x10", &[0xb8, 0x10, 0x00, 0x00, 0x00, 0x8e, 0xd0], PROTECTION),
    ("int3", &[0xcc], BREAKPOINT),
    ("int 3", &[0xcd, 0x03], BREAKPOINT),
    ("ud2", &[0x0f, 0x0b], INVALID_INSTRUCTION),
    ("stac", &[0x0f, 0x01, 0xcb], INVALID_INSTRUCTION),
    ("wrfsbase rax", &[0xf3, 0x48, 0x0f, 0xae, 0xd0], INVALID_INSTRUCTION),
    ("fninit", &[0xdb, 0xe3], NO_DEVICE),
    ("vzeroall", &[0xc5, 0xfc, 0x77], NO_DEVICE),
];

/// A native thread has no FPU, no port, no register of the kernel's, and is not told where the kernel's tables lie.
pub(super) fn instructions(attacker: &mut Attacker) -> Outcome<u64> {
    let mut code = [0x90; INSTRUCTIONS.len() * STRIDE];
    for (to, (_, bytes, _)) in code.chunks_mut(STRIDE).zip(INSTRUCTIONS) {
        to.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    }
    let puppet = attacker.puppet(&code)?;
    for ((name, _, wanted), rip) in INSTRUCTIONS.into_iter().zip((CODE..).step_by(STRIDE)) {
        let met = puppet.play(&Frame { rip, rsp: DATA + 0x800, ..Frame::new() })?;
        if met.vector != wanted || !(rip..rip + STRIDE as u64).contains(&met.frame.rip) {
            return Err(failed(format_args!("{name}: exception {} at {:#x} instead of {wanted}", met.vector, met.frame.rip)));
        }
    }
    Ok(INSTRUCTIONS.len() as u64)
}

/// Code: an address in a register (`opcode` says which), and what is done with it.
fn with_address(opcode: u8, address: u64, then: [u8; 5]) -> [u8; STRIDE] {
    let mut code = [0x90; STRIDE];
    let bytes = [0x48, opcode].into_iter().chain(address.to_le_bytes()).chain(then);
    code.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    code
}

/// Stacks and places in the code that are nowhere, made in ring 3: a call works whatever its stack, and what is done on the stack or jumped to is an exception.
pub(super) fn addresses(attacker: &mut Attacker) -> Outcome<u64> {
    const WILD: [u64; 6] = [0, 8, NON_CANONICAL, KERNEL_HALF, u64::MAX - 7, USER_END];
    let (call, push, jump) = ([0x0f, 0x05, 0x0f, 0x0b, 0x90], [0x50, 0x90, 0x90, 0x90, 0x90], [0xff, 0xe0, 0x90, 0x90, 0x90]);
    let (stack, register) = (0xbc, 0xb8);
    let mut code = [0; WILD.len() * 3 * STRIDE];
    let pieces = WILD
        .into_iter()
        .flat_map(|address| [with_address(stack, address, call), with_address(stack, address, push), with_address(register, address, jump)]);
    code.chunks_mut(STRIDE).zip(pieces).for_each(|(to, piece)| to.copy_from_slice(&piece));
    let puppet = attacker.puppet(&code)?;
    let mut places = (CODE..).step_by(STRIDE);
    for (address, wanted) in WILD.into_iter().flat_map(|address| [(address, 0), (address, 1), (address, 2)]) {
        let rip = places.next().unwrap_or_default();
        let met = puppet.play(&Frame { rip, ..super::call(0) })?;
        let right = match wanted {
            0 => met.vector == INVALID_INSTRUCTION && met.frame.rsp == address && Error::check(met.frame.rax as u32) == Err(Error::InvalidHandle),
            1 => [STACK_FAULT, PAGE_FAULT].contains(&met.vector),
            _ => [PROTECTION, PAGE_FAULT].contains(&met.vector),
        };
        if !right {
            return Err(failed(format_args!("{address:#x}, {wanted}: exception {} at {:#x}, rsp {:#x}", met.vector, met.frame.rip, met.frame.rsp)));
        }
    }
    Ok(3 * WILD.len() as u64 + frames(attacker)?)
}

/// The same from outside: registers that ring 0 could not load are refused, and those that it can load but that lead nowhere are a fault there.
fn frames(attacker: &mut Attacker) -> Outcome<u64> {
    // What another puppet met last is not answered.
    must("a slot for Replies", syscall::delete(abi::OWN_TABLE, REPLY))?;
    let puppet = attacker.puppet(&super::CALL)?;
    let plain = call(0);
    for wild in [NON_CANONICAL, KERNEL_HALF, u64::MAX] {
        for frame in [Frame { rip: wild, ..plain }, Frame { rsp: wild, ..plain }, Frame { fs_base: wild, ..plain }, Frame { gs_base: wild, ..plain }]
        {
            match syscall::set_frame(puppet.thread, &frame) {
                Err(Error::InvalidArgument) => {}
                other => return Err(failed(format_args!("registers with {wild:#x}: {other:?}"))),
            }
        }
    }
    for rip in [0, DATA, USER_END - 1] {
        let met = puppet.play(&Frame { rip, ..plain })?;
        if (met.vector, met.address, met.frame.rip) != (PAGE_FAULT, rip, rip) {
            return Err(failed(format_args!("at {rip:#x}: exception {} for {:#x}", met.vector, met.address)));
        }
    }
    // The last instruction that there can be is a call: it leaves for the one page that cannot be mapped.
    puppet.map(USER_END - abi::PAGE_SIZE, SPARE_PAGE, MapFlags::READ | MapFlags::WRITE)?;
    puppet.write(USER_END - 2, &[0x0f, 0x05])?;
    must("protecting", syscall::protect(puppet.space, USER_END - abi::PAGE_SIZE, 1, MapFlags::READ | MapFlags::EXECUTE))?;
    let met = puppet.play(&Frame { rip: USER_END - 2, ..plain })?;
    if (met.vector, met.address, met.frame.rip) != (PAGE_FAULT, USER_END, USER_END) {
        return Err(failed(format_args!("call at the end: exception {} for {:#x}", met.vector, met.address)));
    }
    Ok(16)
}

/// Flags with which no compiler would enter the kernel, one at a time and together. Those that are not a program's are gone, and a step is told once.
pub(super) fn flags(attacker: &mut Attacker) -> Outcome<u64> {
    let puppet = attacker.puppet(&super::CALL)?;
    let mut attempts = 0;
    for flags in (0..u64::BITS).map(|bit| 1 << bit).chain([FLAGS_USER & !FLAGS_STEP, !FLAGS_STEP, 3 << 12 | 1 << 14 | 1 << 18]) {
        let met = puppet.play(&Frame { rflags: flags, ..call(0) })?;
        let stepped = flags & FLAGS_STEP != 0;
        let (vector, kept) = if stepped { (DEBUG, FLAGS_USER) } else { (INVALID_INSTRUCTION, FLAGS_USER & flags | RESUME) };
        // A fault's frame may have RF set (SDM vol. 3, 18.3.1.1).
        if met.vector != vector || met.frame.rip != CODE + 2 || met.frame.rflags & !(kept | FLAGS_FIXED) != 0 {
            return Err(failed(format_args!("flags {flags:#x}: exception {} at {:#x}, flags {:#x}", met.vector, met.frame.rip, met.frame.rflags)));
        }
        attempts += 1;
    }
    Ok(attempts)
}

const RESUME: u64 = 1 << 16;
