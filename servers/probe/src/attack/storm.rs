//! Many at once: storms of calls and signals, leases of what is not there, and things that another processor takes away or rewrites in the middle of an operation.

use abi::{
    Control, EndpointState, Error, Frame, Label, Lease, MAX_CAPS, MAX_MESSAGE, MapFlags, OWN_TABLE, ObjectKind, Operation, PAGE_SIZE, ReplyKind,
    Rights, ThreadSetting,
};
use libsys::syscall::{self, CopyError, MapSource};
use libsys::{clock, slot};

use super::puppet::{Attacker, CODE, DATA, MESSAGE, MESSAGE_PAGE, Puppet, REPLY, SPARE_PAGE, reclaim};
use super::{CALL, INVALID_INSTRUCTION, KERNEL_HALF, NON_CANONICAL, Outcome, call, failed, must};

/// For ever, by turns: the operation whose registers lie at `rbp`, and the one behind it. `rbp` is all that a call leaves alone.
const TURNS: [u8; 38] = [
    0x48, 0x8b, 0x7d, 0x00, // mov rdi, [rbp]
    0x48, 0x8b, 0x75, 0x08, // mov rsi, [rbp + 8]
    0x48, 0x8b, 0x55, 0x10, // mov rdx, [rbp + 16]
    0x4c, 0x8b, 0x45, 0x18, // mov r8, [rbp + 24]
    0x4c, 0x8b, 0x4d, 0x20, // mov r9, [rbp + 32]
    0x4c, 0x8b, 0x55, 0x28, // mov r10, [rbp + 40]
    0x48, 0x8b, 0x45, 0x30, // mov rax, [rbp + 48]
    0x0f, 0x05, // syscall
    0x48, 0x83, 0xf5, 0x40, // xor rbp, 64
    0xeb, 0xdc, // jmp to the start
    0x0f, 0x0b,
];
/// For ever, by turns: two values to one place.
const FLICKER: [u8; 10] = [
    0x48, 0x89, 0x45, 0x00, // mov [rbp], rax
    0x48, 0x89, 0x5d, 0x00, // mov [rbp], rbx
    0xeb, 0xf6, // jmp to the start
];
/// Slots of puppets, and where they have what they share with each other.
const FIRST: u32 = 10;
const SECOND: u32 = 11;
const SHARED: u64 = 0x45_0000;
const NOWHERE: u64 = 0x70_0000;
/// The byte that the shared page is full of.
const PATTERN: u8 = 0xa5;
/// Pauses are as long as this.
const PAUSE_NS: u64 = 10_000_000;

/// Lets those have the processor who are less important.
fn rest() -> Outcome {
    let soon = clock::ticks_at(clock::now_ns().saturating_add(PAUSE_NS));
    must("resting", syscall::deadline(slot::NOTIFICATION, soon).and_then(|()| syscall::wait(slot::NOTIFICATION))).map(drop)
}

impl Puppet {
    /// Starts it on one of the two processors, with two operations to do by turns: each has its arguments, its control and its label.
    fn take_turns(&self, processor: u64, turns: [([u64; 6], Control, Label); 2]) -> Outcome {
        for (at, (words, control, label)) in (DATA..).step_by(64).zip(turns) {
            let all = words.into_iter().chain([u64::from(label.0) << 32 | u64::from(control.0)]);
            for (address, word) in (at..).step_by(8).zip(all) {
                self.write(address, &word.to_le_bytes())?;
            }
        }
        must("its processor", syscall::thread_configure(self.thread, ThreadSetting::Processor, processor, 0))?;
        self.start(&Frame { rip: CODE, rsp: DATA + 0x800, rbp: DATA, ..Frame::new() })
    }
}

/// Puppets on both processors call and signal as fast as they can, while their endpoint answers, drops, holds, closes and goes.
pub(super) fn storms(attacker: &mut Attacker) -> Outcome<u64> {
    const ROUNDS: u64 = 1500;
    let (endpoint, notification) = (attacker.make(ObjectKind::Endpoint)?, attacker.make(ObjectKind::Notification)?);
    let mut puppets = [attacker.puppet(&TURNS)?; 4];
    for puppet in puppets.iter_mut().skip(1) {
        *puppet = attacker.puppet(&TURNS)?;
    }
    for (puppet, processor) in puppets.iter().zip([0, 1, 1, 0]) {
        puppet.give(FIRST, endpoint, Rights::CALL)?;
        puppet.give(SECOND, notification, Rights::SIGNAL)?;
        let calls = ([1, 2, 3, 4, 5, 6], Control::new(Operation::Call, FIRST), Label::new(48));
        let signals = ([1, 0, 0, 0, 0, 0], Control::new(Operation::Signal, SECOND), Label::default());
        puppet.take_turns(processor, [calls, signals])?;
    }
    let mut signalled = 0;
    for round in 0..ROUNDS {
        let message = must("receiving", syscall::receive(endpoint, [0; MAX_CAPS]))?;
        if message.words.get(..6) != Some(&[1, 2, 3, 4, 5, 6]) {
            return Err(failed(format_args!("round {round}: a message of {:x?}", message.words)));
        }
        signalled += u64::from(must("polling", syscall::poll(notification))? != 0);
        let answered = match round % 5 {
            0 => syscall::delete(OWN_TABLE, REPLY),
            1 => syscall::reply_bytes(REPLY, &[PATTERN; MAX_MESSAGE], &[]),
            _ => syscall::reply(REPLY, ReplyKind::Resume, round),
        };
        must("answering", answered)?;
    }
    for state in [EndpointState::Closed, EndpointState::Held, EndpointState::Open, EndpointState::Held, EndpointState::Closed] {
        must("a state", syscall::set_state(endpoint, state, 7))?;
        rest()?;
    }
    reclaim(Attacker::page_of(endpoint), 1)?;
    let mut before = [0; 4];
    for (to, puppet) in before.iter_mut().zip(puppets) {
        *to = must("counting", syscall::counters(puppet.thread))?.own_ticks;
    }
    // Whoever called is told that nobody is there, and goes on.
    for (puppet, before) in puppets.iter().zip(before) {
        let mut looks = 0;
        while must("counting", syscall::counters(puppet.thread))?.own_ticks == before {
            rest()?;
            looks += 1;
            if looks == 1000 {
                return Err(failed(format_args!("a puppet does not go on")));
            }
        }
    }
    if signalled == 0 {
        return Err(failed(format_args!("nobody was signalled")));
    }
    Ok(ROUNDS + signalled)
}

/// A lease as it lies in a message page.
fn lease_at(puppet: &Puppet, index: u64, address: u64, length: u64, rights: u64) -> Outcome {
    let at = MESSAGE + core::mem::offset_of!(abi::MessagePage, leases) as u64 + index * size_of::<Lease>() as u64;
    for (at, word) in (at..).step_by(8).zip([address, length, 0, rights]) {
        puppet.write(at, &word.to_le_bytes())?;
    }
    Ok(())
}

/// Registers of a puppet that calls with so many leases.
fn calling(leases: usize) -> Frame {
    let control = Control::new(Operation::Call, FIRST);
    Frame { rax: u64::from(Label::new(0).with_leases(leases).0) << 32 | u64::from(control.0), ..call(0) }
}

/// Leases of what is not mapped, may not be written, is the kernel's, is not there at all, or belongs to who is gone.
pub(super) fn leases(attacker: &mut Attacker) -> Outcome<u64> {
    let endpoint = attacker.make(ObjectKind::Endpoint)?;
    let puppet = attacker.puppet(&CALL)?;
    puppet.give(FIRST, endpoint, Rights::CALL)?;
    let both = Lease::READ | Lease::WRITE;
    let senseless = [(KERNEL_HALF, 8), (NON_CANONICAL, 8), (u64::MAX - 7, 16), (abi::USER_END - 8, 16), (DATA, u64::MAX)];
    for (address, length) in senseless {
        lease_at(&puppet, 0, address, length, both)?;
        let met = puppet.play(&calling(1))?;
        let status = Error::check(met.frame.rax as u32);
        if met.vector != INVALID_INSTRUCTION || status != Err(Error::InvalidLease) {
            return Err(failed(format_args!("a lease of {length} bytes at {address:#x}: {status:?}")));
        }
    }
    puppet.write(DATA, &[PATTERN; 16])?;
    for (index, address, rights) in [(0, DATA, both), (1, NOWHERE, both), (2, CODE, both), (3, DATA, Lease::READ)] {
        lease_at(&puppet, index, address, 16, rights)?;
    }
    must("its registers", syscall::set_frame(puppet.thread, &calling(4)))?;
    must("going on", syscall::reply(REPLY, ReplyKind::Resume, 0))?;
    must("receiving", syscall::receive(endpoint, [0; MAX_CAPS]))?;
    let mut bytes = [0; 16];
    let wanted = [
        (syscall::lease_read(REPLY, 0, 0, &mut bytes), Ok(16)),
        (syscall::lease_read(REPLY, 1, 0, &mut [0; 8]), Err(CopyError::NeedsPage { address: NOWHERE, write: false })),
        (syscall::lease_write(REPLY, 1, 8, &[0; 8]), Err(CopyError::NeedsPage { address: NOWHERE + 8, write: true })),
        (syscall::lease_read(REPLY, 2, 0, &mut [0; 8]), Ok(8)),
        (syscall::lease_write(REPLY, 2, 0, &[0; 8]), Err(CopyError::NeedsPage { address: CODE, write: true })),
        (syscall::lease_write(REPLY, 3, 0, &[0; 8]), Err(CopyError::Kernel(Error::InvalidLease))),
        (syscall::lease_read(REPLY, 0, 12, &mut [0; 8]), Err(CopyError::Kernel(Error::InvalidLease))),
        (syscall::lease_read(REPLY, 0, u64::MAX - 3, &mut [0; 8]), Err(CopyError::Kernel(Error::InvalidLease))),
        (syscall::lease_read(REPLY, 4, 0, &mut [0; 8]), Err(CopyError::Kernel(Error::InvalidLease))),
        (syscall::lease_read(REPLY, usize::MAX, 0, &mut [0; 8]), Err(CopyError::Kernel(Error::InvalidLease))),
    ];
    for (index, (found, wanted)) in wanted.into_iter().enumerate() {
        if found != wanted {
            return Err(failed(format_args!("copy {index}: {found:?} instead of {wanted:?}")));
        }
    }
    if bytes != [PATTERN; 16] {
        return Err(failed(format_args!("other bytes: {bytes:x?}")));
    }
    // Local memory that is not the attacker's, or is not to be written.
    for local in [KERNEL_HALF, NON_CANONICAL, u64::MAX - 3, abi::USER_END - 4, 8, libsys::layout::IMAGE] {
        match syscall::attempt(Control::new(Operation::LeaseRead, REPLY), [0, 0, local, 8, 0, 0, 0, 0]) {
            Err(Error::InvalidArgument | Error::LocalFault) => {}
            other => return Err(failed(format_args!("a copy to {local:#x}: {other:?}"))),
        }
    }
    must("stopping", syscall::thread_stop(puppet.thread))?;
    let gone = [syscall::lease_read(REPLY, 0, 0, &mut bytes), syscall::lease_write(REPLY, 0, 0, &bytes)];
    if gone != [Err(CopyError::Kernel(Error::ReplyGone)); 2] {
        return Err(failed(format_args!("who lent is gone: {gone:?}")));
    }
    Ok((senseless.len() + wanted.len() + 6 + gone.len()) as u64)
}

/// Another processor unmaps and maps what is being copied: each copy is whole, or says which page is missing.
pub(super) fn unmapping(attacker: &mut Attacker) -> Outcome<u64> {
    /// Of each kind, and of all.
    const ENOUGH: u64 = 30;
    const MOST: u64 = 2_000_000;
    let endpoint = attacker.make(ObjectKind::Endpoint)?;
    let (lender, other) = (attacker.puppet(&CALL)?, attacker.puppet(&TURNS)?);
    lender.give(FIRST, endpoint, Rights::CALL)?;
    lender.map(SHARED, SPARE_PAGE, MapFlags::READ | MapFlags::WRITE)?;
    lender.write(SHARED, &[PATTERN; PAGE_SIZE as usize])?;
    other.give(FIRST, lender.space, Rights::MAP)?;
    let (page, rights) = (lender.page(SPARE_PAGE), Rights::READ | Rights::WRITE);
    must("lending", syscall::derive(Attacker::memory(), page, 1, rights, other.table, SECOND))?;
    lease_at(&lender, 0, SHARED, PAGE_SIZE, Lease::READ)?;
    lender.start(&calling(1))?;
    must("receiving", syscall::receive(endpoint, [0; MAX_CAPS]))?;
    let unmap = ([SHARED, 1, 0, 0, 0, 0], Control::new(Operation::Unmap, FIRST), Label::default());
    let map = ([SHARED, u64::from(SECOND), 0, 1, MapFlags::READ | MapFlags::WRITE, 0], Control::new(Operation::Map, FIRST), Label::default());
    other.take_turns(1, [unmap, map])?;
    let (mut whole, mut missing, mut attempts) = (0, 0, 0);
    while whole < ENOUGH || missing < ENOUGH {
        let mut bytes = [0; 512];
        match syscall::lease_read(REPLY, 0, attempts % 8 * 512, &mut bytes) {
            Ok(512) if bytes == [PATTERN; 512] => whole += 1,
            Err(CopyError::NeedsPage { address, write: false }) if address & !(PAGE_SIZE - 1) == SHARED => missing += 1,
            other => return Err(failed(format_args!("attempt {attempts}: {other:?}"))),
        }
        attempts += 1;
        if attempts == MOST {
            return Err(failed(format_args!("only {whole} whole copies and {missing} of a missing page")));
        }
    }
    Ok(attempts)
}

/// The registers that a thread is given are rewritten by another processor meanwhile: what is loaded is what was checked. And no page of a kernel object can
/// be mapped, so that nobody could rewrite a thread's registers where they lie.
pub(super) fn rewriting(attacker: &mut Attacker) -> Outcome<u64> {
    const ROUNDS: u64 = 500;
    let (victim, setter, rewriter) = (attacker.puppet(&CALL)?, attacker.puppet(&TURNS)?, attacker.puppet(&FLICKER)?);
    for page in [0, 9, 10].map(|which| victim.page(which)) {
        let mapped = syscall::map(rewriter.space, SHARED, MapSource { memory: Attacker::memory(), first: page, pages: 1 }, MapFlags::READ);
        if mapped.is_ok() {
            return Err(failed(format_args!("a kernel object's page is mapped")));
        }
    }
    let page = MapSource { memory: Attacker::memory(), first: setter.page(MESSAGE_PAGE), pages: 1 };
    must("sharing", syscall::map(rewriter.space, SHARED, page, MapFlags::READ | MapFlags::WRITE))?;
    let place = |offset: usize| offset as u64;
    let frame = call(0);
    for (offset, value) in [(core::mem::offset_of!(Frame, rip), frame.rip), (core::mem::offset_of!(Frame, rflags), frame.rflags)] {
        setter.write(MESSAGE + place(offset), &value.to_le_bytes())?;
    }
    must("its registers", syscall::set_frame(victim.thread, &frame))?;
    setter.give(FIRST, victim.thread, Rights::ALL)?;
    let set = ([0; 6], Control::new(Operation::SetFrame, FIRST), Label::default());
    setter.take_turns(1, [set, set])?;
    let rip = SHARED + place(core::mem::offset_of!(Frame, rip));
    rewriter.start(&Frame { rip: CODE, rbp: rip, rax: CODE, rbx: NON_CANONICAL, ..Frame::new() })?;
    must("starting", syscall::thread_start(victim.thread))?;
    for round in 0..ROUNDS {
        let met = victim.meet()?;
        if met.vector != INVALID_INSTRUCTION || ![CODE, CODE + 2].contains(&met.frame.rip) {
            return Err(failed(format_args!("round {round}: exception {} at {:#x}", met.vector, met.frame.rip)));
        }
        must("its registers", syscall::set_frame(victim.thread, &frame))?;
        must("going on", syscall::reply(REPLY, ReplyKind::Resume, 0))?;
    }
    // The last one is on its way.
    victim.meet()?;
    Ok(ROUNDS)
}
