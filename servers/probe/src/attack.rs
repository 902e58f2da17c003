//! An attacker: a server that tries on the kernel what its capabilities do not allow, and everything foolish that they do.
//!
//! Each attack begins with plain memory, says what it saw that should not be, and must leave plain memory behind. That nothing else was hurt is seen from
//! outside, by whoever lives on. What is tried on handles is made from a table of the kernel's operations (`attack/kinds.rs`).

mod kinds;
mod machine;
mod puppet;
mod storm;

use core::fmt::{Arguments, Debug};

use abi::{Control, Error, Frame, HANDLE_MASK, OWN_TABLE, ObjectKind, Operation, ThreadSetting, VAULT};
use libsys::{slot, syscall};

use crate::Outside;
use puppet::{Attacker, CODE, DATA, Met, SCRATCH};

/// Among this run's options: do this instead of anything else.
pub const OPTION: &str = "probe=attack";

/// `syscall`, and an exception behind it.
const CALL: [u8; 4] = [0x0f, 0x05, 0x0f, 0x0b];
const INVALID_INSTRUCTION: u64 = 6;
/// Addresses that are nobody's: in the gap of four levels of page tables, and in the kernel's half.
const NON_CANONICAL: u64 = 1 << 47;
const KERNEL_HALF: u64 = 0xffff_9000_0000_1000;
/// Arguments that are fine as far as they go, so that the handle alone is wrong.
const ARGUMENTS: [u64; 8] = [5, 5, 5, 5, 0, 0, 0, 0];

/// Why an attack failed, which is to say that it succeeded.
type Failure = alloc::string::String;
type Outcome<T = ()> = Result<T, Failure>;

/// An attack; how many attempts it made.
type Attack = fn(&mut Attacker) -> Outcome<u64>;

/// All attacks, by name.
const ATTACKS: [(&str, Attack); 12] = [
    ("without capabilities", without_capabilities),
    ("wrong kinds", wrong_kinds),
    ("without rights", without_rights),
    ("wrong arguments", wrong_arguments),
    ("stale handles", stale_handles),
    ("instructions", machine::instructions),
    ("addresses", machine::addresses),
    ("flags", machine::flags),
    ("storms", storm::storms),
    ("leases", storm::leases),
    ("unmapping", storm::unmapping),
    ("rewriting", storm::rewriting),
];

/// Runs all attacks; of each there is a line in the log.
pub fn run(outside: &mut impl Outside) {
    if let Err(why) = Attacker::buy() {
        outside.log(&why);
    }
    for (name, attack) in ATTACKS {
        outside.log(&match attempt(attack) {
            Ok(attempts) => alloc::format!("probe: attack {name}: repelled, {attempts} attempts"),
            Err(why) => alloc::format!("probe: attack {name}: {why}"),
        });
    }
    outside.log("probe: done");
}

fn attempt(attack: Attack) -> Outcome<u64> {
    let mut attacker = Attacker::new()?;
    let attempts = attack(&mut attacker);
    let cleaned = attacker.clean();
    attempts.and_then(|attempts| cleaned.map(|()| attempts))
}

fn failed(why: Arguments<'_>) -> Failure {
    alloc::format!("{why}")
}

/// What the attacker may do must work.
fn must<T, E: Debug>(what: &str, result: Result<T, E>) -> Outcome<T> {
    result.map_err(|error| failed(format_args!("{what} failed: {error:?}")))
}

/// An operation must be refused in this way.
fn refused(operation: Operation, handle: u32, words: [u64; 8], why: Error) -> Outcome {
    match syscall::attempt(Control::new(operation, handle), words) {
        Err(error) if error == why => Ok(()),
        other => Err(failed(format_args!("{operation:?} on {handle:#x} {words:x?}: {other:?} instead of {why:?}"))),
    }
}

/// Registers of a puppet at the start of its code, which is `CALL`.
fn call(control: u32) -> Frame {
    let [rdi, rsi, rdx, r8, r9, r10, r12, r13] = Control(control).with_sum(ARGUMENTS);
    Frame { rip: CODE, rsp: DATA + 0x800, rax: u64::from(control), rdi, rsi, rdx, r8, r9, r10, r12, r13, ..Frame::new() }
}

/// A process that holds nothing tries every number of an operation, known or not, on handles of every form.
fn without_capabilities(attacker: &mut Attacker) -> Outcome<u64> {
    let puppet = attacker.puppet(&CALL)?;
    let mut attempts = 0;
    for number in 0..=u32::from(u8::MAX) {
        for handle in [OWN_TABLE, 1, 4, 100, HANDLE_MASK, VAULT | 4, VAULT | HANDLE_MASK] {
            let control = Control(number << 24 | handle);
            let Met { vector, frame, .. } = puppet.play(&call(control.0))?;
            let status = Error::check(frame.rax as u32);
            let allowed = match control.operation().map(kinds::wanted) {
                Some([]) => true,
                Some([ObjectKind::CapTable]) => handle == OWN_TABLE || status == Err(Error::InvalidHandle),
                Some(_) => status == Err(Error::InvalidHandle),
                None => status == Err(Error::UnknownOperation),
            };
            if !allowed || vector != INVALID_INSTRUCTION || frame.rip != CODE + 2 {
                return Err(failed(format_args!("{:x} on {handle:#x}: {status:?}, exception {vector} at {:#x}", number, frame.rip)));
            }
            attempts += 1;
        }
    }
    Ok(attempts)
}

/// A capability of each kind that a process can hold. The Reply is that of a puppet which has met an exception.
fn one_of_each(attacker: &mut Attacker) -> Outcome<[(ObjectKind, u32); 9]> {
    let puppet = attacker.puppet(&CALL)?;
    let made = [ObjectKind::Endpoint, ObjectKind::Notification, ObjectKind::Thread, ObjectKind::AddressSpace, ObjectKind::CapTable];
    let mut all = [(ObjectKind::Memory, Attacker::memory()); 9];
    for (to, kind) in all.iter_mut().skip(4).zip(made) {
        *to = (kind, attacker.make(kind)?);
    }
    puppet.play(&call(0))?;
    all[1] = (ObjectKind::Reply, puppet::REPLY);
    all[2] = (ObjectKind::Irq, slot::IRQ);
    all[3] = (ObjectKind::IoPorts, slot::PORTS);
    Ok(all)
}

/// Every operation on a capability of every kind that it is not for.
fn wrong_kinds(attacker: &mut Attacker) -> Outcome<u64> {
    let held = one_of_each(attacker)?;
    let mut attempts = 0;
    for operation in kinds::all() {
        let wanted = kinds::wanted(operation);
        for (_, handle) in held.iter().filter(|(kind, _)| !wanted.is_empty() && !wanted.contains(kind)) {
            refused(operation, *handle, ARGUMENTS, Error::WrongKind)?;
            attempts += 1;
        }
    }
    Ok(attempts)
}

/// Every operation on a capability of the right kind that has no rights at all. A Reply has none that it could lack.
fn without_rights(attacker: &mut Attacker) -> Outcome<u64> {
    let held = one_of_each(attacker)?;
    let mut attempts = 0;
    for (kind, handle) in held.into_iter().filter(|(kind, _)| *kind != ObjectKind::Reply) {
        must("room", syscall::delete(OWN_TABLE, SCRATCH))?;
        let weakened = match kind {
            ObjectKind::Memory | ObjectKind::Irq | ObjectKind::IoPorts => syscall::derive(handle, 0, 1, 0, OWN_TABLE, SCRATCH),
            _ => syscall::copy(OWN_TABLE, SCRATCH, handle, 0),
        };
        must("a weak capability", weakened)?;
        for operation in kinds::all().filter(|operation| kinds::wanted(*operation).contains(&kind)) {
            // What is derived has fewer rights than what it comes from: from none it has none.
            if operation == Operation::Derive {
                continue;
            }
            refused(operation, SCRATCH, ARGUMENTS, Error::MissingRight)?;
            attempts += 1;
        }
    }
    Ok(attempts)
}

/// Every operation that names a second capability, with one of every other kind there, and with none.
fn wrong_arguments(attacker: &mut Attacker) -> Outcome<u64> {
    let held = one_of_each(attacker)?;
    let of = |kind: ObjectKind| held.iter().find(|(other, _)| *other == kind).map_or(0, |(_, handle)| *handle);
    let mut attempts = 0;
    let mut try_all = |operation: Operation, handle: u32, at: usize, wanted: ObjectKind, words: [u64; 6]| {
        let mut all = [0; 8];
        all.iter_mut().zip(words).for_each(|(to, from)| *to = from);
        let wrong = held.iter().filter(|(kind, _)| *kind != wanted).map(|(_, handle)| (*handle, Error::WrongKind));
        for (other, why) in wrong.chain([(SCRATCH, Error::InvalidHandle), (1, Error::InvalidHandle), (HANDLE_MASK, Error::InvalidHandle)]) {
            all.iter_mut().skip(at).take(1).for_each(|word| *word = u64::from(other));
            refused(operation, handle, all, why)?;
            attempts += 1;
        }
        Outcome::Ok(())
    };
    for operation in kinds::all() {
        let [first, ..] = kinds::wanted(operation) else { continue };
        if let Some((at, wanted, words)) = kinds::second(operation) {
            try_all(operation, of(*first), at, wanted, words)?;
        }
    }
    for (setting, wanted) in [
        (ThreadSetting::Space, ObjectKind::AddressSpace),
        (ThreadSetting::Table, ObjectKind::CapTable),
        (ThreadSetting::Vault, ObjectKind::CapTable),
        (ThreadSetting::FaultEndpoint, ObjectKind::Endpoint),
        (ThreadSetting::Personality, ObjectKind::Endpoint),
        (ThreadSetting::MessagePage, ObjectKind::Memory),
    ] {
        try_all(Operation::ThreadConfigure, of(ObjectKind::Thread), 1, wanted, [setting as u64, 0, 0, 0, 0, 0])?;
    }
    Ok(attempts)
}

/// Every operation on handles of objects that are no more, also after another object of the same kind is in their place; on lent memory that was revoked; and
/// on a Reply that was answered.
fn stale_handles(attacker: &mut Attacker) -> Outcome<u64> {
    let held = one_of_each(attacker)?;
    let [.., (_, space), (_, table)] = held;
    let last = Attacker::page_of(table) + 1;
    must("lending", syscall::derive(Attacker::memory(), last, 1, abi::Rights::ALL, OWN_TABLE, SCRATCH))?;
    must("revoking", syscall::revoke(Attacker::memory(), last, 1))?;
    // Of lent memory each page counts, and most operations want it owned.
    // What is derived from what is dead is dead.
    must("deriving", syscall::derive(SCRATCH, 0, 1, abi::Rights::ALL, OWN_TABLE, SCRATCH + 1))?;
    for dead in [SCRATCH, SCRATCH + 1] {
        refused(Operation::Map, space, [0x40_0000, u64::from(dead), 0, 1, abi::MapFlags::READ, 0, 0, 0], Error::InvalidHandle)?;
        must("room", syscall::delete(OWN_TABLE, dead))?;
    }
    let mut attempts = 0;
    let mut try_all = |kind: ObjectKind, handle: u32| {
        for operation in kinds::all().filter(|operation| kinds::wanted(*operation).contains(&kind)) {
            refused(operation, handle, ARGUMENTS, Error::InvalidHandle)?;
            attempts += 1;
        }
        Outcome::Ok(())
    };
    for (kind, handle) in held.into_iter().skip(4) {
        let page = Attacker::page_of(handle);
        must("a copy", syscall::copy(OWN_TABLE, SCRATCH, handle, abi::Rights::ALL))?;
        puppet::reclaim(page, 1)?;
        try_all(kind, handle)?;
        try_all(kind, SCRATCH)?;
        must("the same again", syscall::retype(Attacker::memory(), page, kind, 1, OWN_TABLE, SCRATCH + 1))?;
        try_all(kind, handle)?;
        try_all(kind, SCRATCH)?;
        for used in [SCRATCH, SCRATCH + 1] {
            must("room", syscall::delete(OWN_TABLE, used))?;
        }
    }
    must("answering", syscall::reply(puppet::REPLY, abi::ReplyKind::Decline, 0))?;
    try_all(ObjectKind::Reply, puppet::REPLY)?;
    Ok(attempts)
}

#[cfg(test)]
mod tests {
    use super::{ATTACKS, Outside, run};
    use abi::RequestNumber;

    #[derive(Default)]
    struct Listener(Vec<String>);

    impl Outside for Listener {
        fn next_number(&mut self) -> RequestNumber {
            RequestNumber::default()
        }

        fn log(&mut self, line: &str) {
            self.0.push(line.into());
        }

        fn pause(&mut self) {}
    }

    #[test]
    fn every_attack_says_why_it_failed_where_there_is_no_kernel() {
        let mut listener = Listener::default();
        run(&mut listener);
        for (name, _) in ATTACKS {
            assert!(listener.0.iter().any(|line| line.starts_with(&format!("probe: attack {name}: ")) && line.ends_with("WrongState")), "{name}");
        }
        assert_eq!(listener.0.last().map(String::as_str), Some("probe: done"));
    }
}
