//! The bench: what the kernel's operations cost a native server, measured from inside.
//!
//! Each row runs an operation `ROUNDS` times between two readings of the time-stamp counter, less an empty loop, and logs `bench: NAME VALUE`,
//! or `bench: NAME failed: WHY`. Under QEMU's `-icount shift=0` a tick is an instruction. Nothing here is tuned for the measurement: the
//! calls are libsys' functions, the callee is a server in another address space that sends each message back (victim's mirror), and what both spend counts.
//!
//! The option [`REPEAT`] makes it repeat one row for ever when its turn comes, for whoever traces it (`cargo xtask bench --phases`), where [`mark`]s say what a round is.

use core::hint::black_box;

use abi::{Error, Frame, Label, MAX_CAPS, MapFlags, OWN_TABLE, ObjectKind, ReplyKind, Rights, ThreadSetting, result_words, thread_flags};
use libsys::syscall::{self, MapSource};
use libsys::{Peer, clock, mark, slot};
use protocols::memory::Client;
use protocols::service::Service;

/// The line of the run's options that asks for it.
pub const OPTION: &str = "probe=bench";

/// What a line of the options starts with that names the row to be repeated.
pub const REPEAT: &str = "repeat=";
/// The row that the second thread takes part in by answering.
const PING_PONG: &str = "notification_ping_pong";

const ROUNDS: u64 = 1024;
const WARM_UP: u64 = 64;

/// Slots of the own vault: bought memory, and what is made of it.
const MEMORY: u32 = 4;
const SPACE: u32 = 5;
const PING: u32 = 6;
const PONG: u32 = 7;
const THREAD: u32 = 8;
/// Pages in [`MEMORY`]: an object each, tables for the space, and those that are mapped.
const MEMORY_PAGES: u32 = 64;
const FIRST_TABLE: u64 = 3;
const TABLE_PAGES: u64 = 4;
const LATER_OBJECT: u64 = FIRST_TABLE + TABLE_PAGES;
const FIRST_PAGE: u64 = 16;
/// Pages, and slots, that rows of one page or slot go through before they start again.
const SPREAD: u64 = 32;
/// Where pages are mapped in the space.
const ADDRESS: u64 = 0x40_0000;
/// Of the thread that faults: nobody else is as important and runs.
const PRIORITY: u64 = 9;
/// Own slots that rows fill and empty.
const SCRATCH: u32 = slot::FREE;
/// Own slot of the endpoint where faults arrive.
const FAULTS: u32 = SCRATCH + SPREAD as u32;

/// The second thread: after one signal it answers pings as often as they are measured, and then yields as often.
pub fn help(options: &str) -> ! {
    let pings = if repeated(options) == Some(PING_PONG) { u64::MAX } else { ROUNDS + WARM_UP };
    let helped = wait(slot::NOTIFICATION).and_then(|()| {
        for _ in 0..pings {
            wait(slot::vault(PING))?;
            syscall::signal(slot::vault(PONG), 1)?;
        }
        Ok(())
    });
    if let Err(error) = helped {
        libsys::log!("bench: the helper failed: {error:?}");
    }
    loop {
        syscall::yield_now();
    }
}

fn repeated(options: &str) -> Option<&str> {
    options.lines().find_map(|line| line.strip_prefix(REPEAT))
}

/// Measures all rows and ends with the line `bench: done`, unless the options name one: that is repeated when its turn comes.
pub fn run(options: &str) {
    let rows = Rows { repeated: repeated(options) };
    calls(rows);
    rows.one("native_null", || syscall::poll(slot::NOTIFICATION).map(drop));
    match make() {
        Ok(()) => {
            memory(rows);
            faults(rows);
            threads(rows);
        }
        Err(error) => libsys::log!("bench: no objects to measure: {error:?}"),
    }
    libsys::log!("bench: done");
}

/// Calls of the mirror, with messages of the lengths that kernels are compared by.
fn calls(rows: Rows<'_>) {
    let victim = slot::peer(Service::Victim);
    for (name, length) in [("call_reply_empty", 0), ("call_reply_32", 32), ("call_reply_64", 64), ("call_reply_1k", 1024)] {
        let number = libsys::next_number();
        rows.one(name, || syscall::call_words(victim, number, Label::new(length), [length as u64; 8]).map(|_| ()));
    }
}

/// Buys memory, and makes a space and two notifications of it.
fn make() -> Result<(), Error> {
    let mut memory = Client(Peer::to(Service::Memory));
    memory.buy(libsys::next_number(), MEMORY_PAGES, MEMORY).map_err(|_| Error::InvalidHandle)?;
    let objects = [(ObjectKind::AddressSpace, SPACE), (ObjectKind::Notification, PING), (ObjectKind::Notification, PONG)];
    for (page, (kind, to)) in (0..).zip(objects).chain([(LATER_OBJECT, (ObjectKind::Thread, THREAD))]) {
        syscall::retype(slot::vault(MEMORY), page, kind, 1, slot::VAULT, to)?;
    }
    syscall::retype(slot::vault(MEMORY), LATER_OBJECT + 1, ObjectKind::Endpoint, 1, OWN_TABLE, FAULTS)?;
    syscall::add_tables(slot::vault(SPACE), MapSource { memory: slot::vault(MEMORY), first: FIRST_TABLE, pages: TABLE_PAGES })
}

/// Mapping and capabilities. A row that undoes another runs right behind it.
fn memory(rows: Rows<'_>) {
    let (memory, space) = (slot::vault(MEMORY), slot::vault(SPACE));
    let map = |page: u64, pages: u64| {
        let source = MapSource { memory, first: FIRST_PAGE + page, pages };
        syscall::map(space, ADDRESS + page * abi::PAGE_SIZE, source, MapFlags::READ | MapFlags::WRITE).map(drop)
    };
    let unmap = |page: u64, pages: u64| syscall::unmap(space, ADDRESS + page * abi::PAGE_SIZE, pages).map(drop);
    rows.pair(["map_one", "unmap_one"], 1, |page| map(page, 1), |page| unmap(page, 1));
    rows.pair(["map_batched", "unmap_batched"], SPREAD, |page| map(page, SPREAD), |page| unmap(page, SPREAD));
    let scratch = |index: u64| SCRATCH + index as u32;
    rows.pair(
        ["mint", "delete"],
        1,
        |index| syscall::mint(OWN_TABLE, scratch(index), space, Rights::ALL, index + 1),
        |index| syscall::delete(OWN_TABLE, scratch(index)),
    );
    let lend = |index: u64| {
        // What was revoked last time still takes its slot.
        syscall::delete(OWN_TABLE, scratch(index))?;
        syscall::derive(memory, FIRST_PAGE + index, 1, Rights::READ, OWN_TABLE, scratch(index))
    };
    rows.pair(["lend_again", "revoke"], 1, lend, |index| syscall::revoke(memory, FIRST_PAGE + index, 1).map(drop));
}

/// A thread in the space executes where nothing is mapped, and this one handles its fault: by doing nothing, so that it faults again.
fn faults(rows: Rows<'_>) {
    match start_faulting(FAULTS) {
        Ok(()) => rows.one("fault_to_handler", || syscall::reply_word_receive(FAULTS, ReplyKind::Resume, result_words(0), [0; MAX_CAPS]).map(drop)),
        Err(error) => libsys::log!("bench: nobody faults: {error:?}"),
    }
    if let Err(error) = syscall::thread_stop(slot::vault(THREAD)) {
        libsys::log!("bench: a thread faults for ever: {error:?}");
    }
}

/// Starts the thread that faults, and receives its first fault.
fn start_faulting(endpoint: u32) -> Result<(), Error> {
    let (thread, space) = (slot::vault(THREAD), slot::vault(SPACE));
    syscall::set_pager(space, endpoint)?;
    for (setting, value) in
        [(ThreadSetting::Space, u64::from(space)), (ThreadSetting::Flags, thread_flags::REFLECT), (ThreadSetting::Priority, PRIORITY)]
    {
        syscall::thread_configure(thread, setting, value, 0)?;
    }
    syscall::set_frame(thread, &Frame { rip: ADDRESS, ..Frame::new() })?;
    syscall::thread_start(thread)?;
    syscall::set_reply_slot(slot::reply(0))?;
    syscall::receive(endpoint, [0; MAX_CAPS]).map(drop)
}

/// Two threads of one server that hand the processor to each other.
fn threads(rows: Rows<'_>) {
    if let Err(error) = syscall::signal(slot::NOTIFICATION, 1) {
        libsys::log!("bench: the helper was not told: {error:?}");
        return;
    }
    rows.one(PING_PONG, || {
        syscall::signal(slot::vault(PING), 1)?;
        wait(slot::vault(PONG))
    });
    rows.one("switch_two", || {
        syscall::yield_now();
        Ok(())
    });
}

fn wait(notification: u32) -> Result<(), Error> {
    syscall::wait(notification).map(drop)
}

/// How rows are measured: one after the other, until the turn comes of the one that is repeated.
#[derive(Clone, Copy)]
struct Rows<'a> {
    repeated: Option<&'a str>,
}

impl Rows<'_> {
    /// One operation.
    fn one(self, name: &str, mut operation: impl FnMut() -> Result<(), Error>) {
        let warm = (0..WARM_UP).try_for_each(|_| operation());
        let mut rounds = || {
            (0..ROUNDS).try_for_each(|round| {
                mark::round();
                let done = operation();
                mark::end();
                black_box((round, done)).1
            })
        };
        let measured = warm.and_then(|()| {
            if self.repeated == Some(name) {
                libsys::log!("bench: {name} repeats");
                return Err(forever(&mut rounds));
            }
            let mut result = Ok(());
            let empty = ticks(|| result = (0..ROUNDS).try_for_each(|round| black_box((round, Ok(()))).1));
            let total = ticks(|| result = result.and(rounds()));
            result.map(|()| total.saturating_sub(empty) / ROUNDS)
        });
        say(name, measured);
    }

    /// An operation and the one that undoes it, on [`SPREAD`] places `step` apart, by turns.
    fn pair(self, names: [&str; 2], step: u64, mut act: impl FnMut(u64) -> Result<(), Error>, mut undo: impl FnMut(u64) -> Result<(), Error>) {
        let mut totals = [0; 2];
        let mut result = Ok(());
        let mut turns = ROUNDS / SPREAD;
        let repeated = self.repeated.filter(|repeated| names.contains(repeated));
        if let Some(name) = repeated {
            libsys::log!("bench: {name} repeats");
            turns = u64::MAX;
        }
        for _ in 0..turns {
            let operations = [&mut act as &mut dyn FnMut(u64) -> Result<(), Error>, &mut undo];
            for ((total, operation), name) in totals.iter_mut().zip(operations).zip(names) {
                let places = (0..SPREAD).step_by(step as usize);
                if repeated == Some(name) {
                    mark::on()
                } else {
                    mark::off()
                }
                let sweep = |place| {
                    mark::round();
                    let done = operation(place);
                    mark::end();
                    done
                };
                let spent = ticks(|| result = result.and(places.into_iter().try_for_each(sweep)));
                *total += spent;
            }
        }
        for (name, total) in names.into_iter().zip(totals) {
            say(name, result.map(|()| total / (turns * SPREAD)));
        }
    }
}

/// Repeats until that fails; how it did.
fn forever(mut operation: impl FnMut() -> Result<(), Error>) -> Error {
    loop {
        if let Err(error) = operation() {
            return error;
        }
    }
}

fn ticks(work: impl FnOnce()) -> u64 {
    let start = clock::now_ticks();
    work();
    clock::now_ticks().saturating_sub(start)
}

fn say(name: &str, measured: Result<u64, Error>) {
    match measured {
        Ok(ticks) => libsys::log!("bench: {name} {ticks}"),
        Err(error) => libsys::log!("bench: {name} failed: {error:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::run;

    #[test]
    fn every_row_fails_where_there_is_no_kernel_and_the_bench_ends() {
        run("");
        run("repeat=map_one");
    }
}
