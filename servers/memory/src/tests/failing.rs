//! Every operation of the kernel fails in turn, and with it all that follow: the answer says so, nothing is half done, and the same request succeeds later.

use abi::{FaultAccess, PAGE_SIZE};
use libsys::layout;
use libsys::saved::Area;
use protocols::memory::{Error, Service as _, Usage, Window};
use protocols::supervisor::Paged;

use super::{BUYERS, POSIX, VFS, posix, vfs};
use crate::fake::Fake;
use crate::pager::Verdict;
use crate::saved::Ledger;
use crate::server::Memory;

const ALL: u64 = 2048 + 300;
const PAGED: [Paged; 2] = [
    Paged { service: VFS, heap_pages: 1024, saved_pages: 10, region_pages: 1024, buys_memory: false },
    Paged { service: POSIX, heap_pages: 8, saved_pages: 0, region_pages: 0, buys_memory: true },
];

type Server<'a> = Memory<'a, &'a mut Fake>;

fn machine() -> Fake {
    let mut fake = Fake::new(&[(1000, 300), (2048, 2048)]);
    fake.instance(VFS, 1);
    fake.instance(POSIX, 1);
    fake
}

fn start<'s>(fake: &'s mut Fake, area: &'s Area<Ledger>) -> Server<'s> {
    Memory::restart(fake, area, &PAGED, BUYERS)
}

fn touch(memory: &mut Server<'_>, address: u64) -> Result<(), Error> {
    match memory.fault(vfs(), address, FaultAccess::WRITE) {
        Verdict::Resume => Ok(()),
        Verdict::Decline | Verdict::OutOfMemory => Err(Error::OutOfMemory),
    }
}

/// Name, what is done before, what is done while everything begins to fail, and the pages that it uses or frees when it succeeds.
type Case = (&'static str, fn(&mut Server<'_>), fn(&mut Server<'_>) -> Result<(), Error>);

const CASES: [Case; 8] = [
    ("heap", |_| {}, |memory| touch(memory, layout::HEAP + PAGE_SIZE)),
    ("huge heap", |memory| _ = memory.huge(vfs(), Window::Heap, 0, 1024), |memory| touch(memory, layout::HEAP + PAGE_SIZE)),
    ("region", |_| {}, |memory| touch(memory, layout::REGION + PAGE_SIZE)),
    ("huge region", |memory| _ = memory.huge(vfs(), Window::Region, 0, 1024), |memory| touch(memory, layout::REGION + PAGE_SIZE)),
    ("saved", |_| {}, |memory| touch(memory, layout::SAVED + PAGE_SIZE)),
    ("buy", |_| {}, |memory| memory.buy(posix(), 100, 8)),
    ("return", |memory| memory.buy(posix(), 100, 8).expect("enough"), |memory| memory.give_back(posix(), 8)),
    ("lend", |_| {}, |memory| memory.region(posix(), VFS).map(drop)),
];

/// What must be the same after a failure, but for tables and the region object: they are donated for good, and found at the next try.
fn books(fake: &mut Fake, area: &Area<Ledger>) -> Usage {
    let objects = fake.objects.len() as u64;
    let mut usage = start(fake, area).usage();
    usage.free += objects;
    usage
}

#[test]
fn failure_is_told_and_changes_nothing() {
    for (name, prepare, work) in CASES {
        let mut failures = 0;
        for nth in 0.. {
            let (mut fake, area) = (machine(), Area::on_host());
            prepare(&mut start(&mut fake, area));
            let before = books(&mut fake, area);
            let mut memory = start(&mut fake, area);
            memory.kernel_mut().fails_in = Some(nth);
            let outcome = work(&mut memory);
            drop(memory);
            fake.fails_in = None;
            fake.check_ownership(ALL);
            match outcome {
                Err(error) => {
                    let told = [Error::OutOfMemory, Error::InvalidSlot, Error::TooFragmented];
                    assert!(told.contains(&error), "{name}: {error:?}");
                    // What a region got stays there, where the next fault finds it; nothing else may have changed.
                    let after = books(&mut fake, area);
                    assert_eq!((after.total, after.sold), (before.total, before.sold), "{name} at {nth}");
                    if !name.contains("region") && name != "saved" {
                        assert_eq!(after.free, before.free, "{name} at {nth}");
                    }
                    failures += 1;
                    assert_eq!(work(&mut start(&mut fake, area)), Ok(()), "{name} later");
                    fake.check_ownership(ALL);
                }
                Ok(()) => break,
            }
        }
        assert!(failures > 0, "{name} asks nothing of the kernel");
    }
}

#[test]
fn compaction_that_fails_anywhere_keeps_every_page() {
    for nth in 0..60 {
        let (mut fake, area) = (machine(), Area::on_host());
        for page in [3, 40, 90] {
            assert_eq!(touch(&mut start(&mut fake, area), layout::REGION + page * PAGE_SIZE), Ok(()));
        }
        let before = start(&mut fake, area).service_usage(VFS).expect("a service").region;
        let mut memory = start(&mut fake, area);
        memory.kernel_mut().fails_in = Some(nth);
        let _whole = memory.compact();
        drop(memory);
        fake.fails_in = None;
        assert_eq!(start(&mut fake, area).service_usage(VFS).expect("a service").region, before);
        fake.check_ownership(ALL);
    }
}
