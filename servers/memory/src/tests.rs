//! Faults, sales and regions on the fake kernel, with a crash at every saved store and every failpoint.

use abi::{FaultAccess, PAGE_SIZE};
use libsys::host::{crash_at_failpoint, crash_at_store};
use libsys::layout;
use libsys::saved::Area;
use protocols::manifest::Quota;
use protocols::memory::{Error, Service as _};
use protocols::service::{Badge, Service};
use protocols::supervisor::{Buyer, Paged};

use crate::fake::{Cap, Fake};
use crate::kernel::slot;
use crate::pager::Verdict;
use crate::pieces::Pieces;
use crate::saved::Ledger;
use crate::server::Memory;
use crate::trade::Point;

mod failing;
mod huge;
mod properties;

const VFS: u8 = Service::Vfs.id();
const POSIX: u8 = Service::Posix.id();
const ALL: u64 = 300;

const PAGED: [Paged; 2] = [
    Paged { service: VFS, heap_pages: 40, saved_pages: 10, region_pages: 50, buys_memory: false },
    Paged { service: POSIX, heap_pages: 8, saved_pages: 0, region_pages: 0, buys_memory: true },
];

const BUYERS: &[Buyer] = &[Buyer { service: POSIX, quota: Quota { percent: 75, pages: u32::MAX } }];

/// Two pieces with a gap between them, and an instance of each service.
fn machine() -> Fake {
    let mut fake = Fake::new(&[(1000, 200), (5000, 100)]);
    fake.instance(VFS, 1);
    fake.instance(POSIX, 1);
    fake
}

/// Memory over a kernel that outlives it.
fn start<'s>(fake: &'s mut Fake, area: &'s Area<Ledger>) -> Memory<'s, &'s mut Fake> {
    Memory::restart(fake, area, &PAGED, BUYERS)
}

const fn vfs() -> Badge {
    Badge::new(Service::Vfs, 1)
}

const fn posix() -> Badge {
    Badge::new(Service::Posix, 1)
}

/// Pages of a service's instance within a window.
fn window(fake: &Fake, service: u8, start: u64) -> Vec<(u64, u64)> {
    let Some(Cap::Space { id, .. }) = fake.own.get(&(slot::SPACES + u32::from(service))) else { return Vec::new() };
    let pages = fake.spaces[id].pages.iter().map(|(page, number)| (*page, *number));
    pages.filter(|(page, _)| (start / PAGE_SIZE..start / PAGE_SIZE + (1 << 20)).contains(page)).collect()
}

#[test]
fn heap_fault_brings_the_page_and_some_after_it() {
    let (mut fake, area) = (machine(), Area::on_host());
    let address = layout::HEAP + 3 * PAGE_SIZE + 5;
    assert_eq!(start(&mut fake, area).fault(vfs(), address, FaultAccess::WRITE), Verdict::Resume);
    let pages = window(&fake, VFS, layout::HEAP);
    assert_eq!(pages.first().map(|(page, _)| *page), Some(layout::HEAP / PAGE_SIZE + 3));
    assert!(pages.len() > 1);
}

#[test]
fn whole_heap_can_be_touched_and_nothing_beyond_it() {
    let (mut fake, area) = (machine(), Area::on_host());
    let mut memory = start(&mut fake, area);
    for page in (0..40).rev() {
        assert_eq!(memory.fault(vfs(), layout::HEAP + page * PAGE_SIZE, 0), Verdict::Resume);
    }
    for address in [layout::HEAP + 40 * PAGE_SIZE, layout::HEAP - 1, layout::IMAGE, 0, u64::MAX] {
        assert_eq!(memory.fault(vfs(), address, FaultAccess::WRITE), Verdict::Decline);
    }
    assert_eq!(window(&fake, VFS, layout::HEAP).len(), 40);
}

#[test]
fn strangers_old_instances_jumps_and_broken_protection_are_declined() {
    let (mut fake, area) = (machine(), Area::on_host());
    let mut memory = start(&mut fake, area);
    assert_eq!(memory.fault(Badge::new(Service::Web, 1), layout::HEAP, 0), Verdict::Decline);
    assert_eq!(memory.fault(Badge { service: 200, instance: 1 }, layout::HEAP, 0), Verdict::Decline);
    assert_eq!(memory.fault(Badge::new(Service::Vfs, 2), layout::HEAP, 0), Verdict::Decline);
    assert_eq!(memory.fault(vfs(), layout::HEAP, FaultAccess::EXECUTE), Verdict::Decline);
    assert_eq!(memory.fault(vfs(), layout::HEAP, FaultAccess::WRITE | FaultAccess::PRESENT), Verdict::Decline);
}

#[test]
fn region_and_saved_pages_are_there_again_for_the_next_instance() {
    let (mut fake, area) = (machine(), Area::on_host());
    for start_of in [layout::REGION, layout::SAVED] {
        assert_eq!(start(&mut fake, area).fault(vfs(), start_of + 7 * PAGE_SIZE, FaultAccess::WRITE), Verdict::Resume);
    }
    let before = [layout::REGION, layout::SAVED].map(|start_of| window(&fake, VFS, start_of));
    fake.instance(VFS, 2);
    for start_of in [layout::REGION, layout::SAVED] {
        assert_eq!(start(&mut fake, area).fault(Badge::new(Service::Vfs, 2), start_of + 7 * PAGE_SIZE, 0), Verdict::Resume);
    }
    assert_eq!([layout::REGION, layout::SAVED].map(|start_of| window(&fake, VFS, start_of)), before);
}

#[test]
fn heap_of_a_dead_instance_is_free_again_without_a_word() {
    let (mut fake, area) = (machine(), Area::on_host());
    let mut memory = start(&mut fake, area);
    for page in 0..40 {
        memory.fault(vfs(), layout::HEAP + page * PAGE_SIZE, 0);
    }
    let used = memory.usage().free;
    fake.instance(VFS, 2);
    let mut memory = start(&mut fake, area);
    assert_eq!(memory.usage().free, used + 40);
}

#[test]
fn fault_is_refused_when_no_page_is_left_and_served_again_when_one_is() {
    let mut fake = Fake::new(&[(10, 12)]);
    fake.instance(VFS, 1);
    let area = Area::on_host();
    let mut memory = start(&mut fake, area);
    let verdicts: Vec<_> = (0..40).map(|page| memory.fault(vfs(), layout::HEAP + page * PAGE_SIZE, 0)).collect();
    assert!(verdicts.contains(&Verdict::OutOfMemory));
    assert!(memory.service_usage(VFS).expect("a service").refused > 0);
    fake.instance(VFS, 2);
    fake.objects.clear();
    let mut memory = start(&mut fake, area);
    memory.peer_died();
    assert_eq!(memory.fault(Badge::new(Service::Vfs, 2), layout::HEAP, 0), Verdict::Resume);
}

#[test]
fn page_that_somebody_cloned_is_the_regions_own_again_for_the_next_instance() {
    let (mut fake, area) = (machine(), Area::on_host());
    start(&mut fake, area).fault(vfs(), layout::REGION, FaultAccess::WRITE);
    let (at, original) = window(&fake, VFS, layout::REGION)[0];
    let linux = fake.instance(99, 1);
    fake.spaces.get_mut(&linux).expect("made").pages.insert(0, original);
    fake.cloned.push(original);
    fake.instance(VFS, 2);
    assert_eq!(start(&mut fake, area).fault(Badge::new(Service::Vfs, 2), layout::REGION, FaultAccess::WRITE), Verdict::Resume);
    let (at_now, copy) = window(&fake, VFS, layout::REGION)[0];
    assert_eq!(at_now, at);
    assert_ne!(copy, original);
    assert_eq!(fake.spaces[&linux].pages[&0], original);
}

#[test]
fn purchase_moves_exactly_the_pages_into_the_slot() {
    let (mut fake, area) = (machine(), Area::on_host());
    let mut memory = start(&mut fake, area);
    assert_eq!(memory.buy(posix(), 30, 8), Ok(()));
    assert_eq!(memory.buy(posix(), 30, 8), Ok(()), "done before");
    assert_eq!(memory.buy(posix(), 31, 8), Err(Error::InvalidSlot));
    assert_eq!(memory.usage().sold, 30);
    assert_eq!(fake.buyers[&(POSIX, 8)], Cap::Memory { first: 5070, pages: 30 });
    fake.check_ownership(ALL);
}

#[test]
fn purchases_are_bounded_and_only_for_buyers() {
    let (mut fake, area) = (machine(), Area::on_host());
    let mut memory = start(&mut fake, area);
    assert_eq!(memory.buy(vfs(), 1, 8), Err(Error::NotAllowed));
    assert_eq!(memory.give_back(vfs(), 8), Err(Error::NotAllowed));
    assert_eq!(memory.buy(posix(), 0, 8), Err(Error::InvalidRange));
    assert_eq!(memory.buy(posix(), u32::MAX, 8), Err(Error::QuotaExceeded));
    assert_eq!(memory.buy(posix(), 1, 101), Err(Error::InvalidSlot));
    let bought: Vec<_> = (8..100).take_while(|slot| memory.buy(posix(), 10, *slot).is_ok()).collect();
    assert_eq!(bought.len() as u64 * 10, ALL / 4 * 3 / 10 * 10);
    for slot in bought {
        assert_eq!(memory.give_back(posix(), slot), Ok(()));
        assert_eq!(memory.give_back(posix(), slot), Ok(()), "done before");
    }
    assert_eq!(memory.usage().sold, 0);
    fake.check_ownership(ALL);
    assert_eq!(Pieces::gather(&mut fake).all().len(), 2, "the pieces are joined again");
}

#[test]
fn each_buyer_has_a_quota_of_its_own_which_outlives_its_instances() {
    const PROBE: u8 = Service::Probe.id();
    const TWO: &[Buyer] =
        &[Buyer { service: POSIX, quota: Quota { percent: 50, pages: 40 } }, Buyer { service: PROBE, quota: Quota { percent: 10, pages: u32::MAX } }];
    let (mut fake, area) = (machine(), Area::on_host());
    let mut memory = Memory::restart(&mut fake, area, &PAGED, TWO);
    let probe = Badge::new(Service::Probe, 1);
    assert_eq!(memory.buy(posix(), 41, 8), Err(Error::QuotaExceeded));
    assert_eq!(memory.buy(posix(), 30, 8), Ok(()));
    let next = Badge::new(Service::Posix, 2);
    assert_eq!(memory.buy(next, 11, 9), Err(Error::QuotaExceeded), "its predecessor's memory is its own");
    assert_eq!(memory.buy(next, 10, 9), Ok(()));
    assert_eq!(memory.buy(probe, 31, 8), Err(Error::QuotaExceeded));
    assert_eq!(memory.buy(probe, 30, 8), Ok(()));
    assert_eq!(memory.give_back(next, 9), Ok(()));
    assert_eq!(memory.buy(next, 10, 9), Ok(()), "what was given back may be bought again");
    assert_eq!(memory.service_usage(POSIX).expect("a service").refused, 2);
    drop(memory);
    fake.check_ownership(ALL);
}

#[test]
fn pages_in_use_are_never_sold() {
    let (mut fake, area) = (machine(), Area::on_host());
    let mut memory = start(&mut fake, area);
    for page in 0..40 {
        memory.fault(vfs(), layout::HEAP + page * PAGE_SIZE, 0);
    }
    let bought = (8..100).filter(|slot| memory.buy(posix(), 3, *slot).is_ok()).count();
    assert!(bought > 0);
    let sold: Vec<u64> =
        fake.buyers.values().flat_map(|cap| if let Cap::Memory { first, pages } = cap { *first..first + pages } else { 0..0 }).collect();
    assert!(!sold.is_empty() && sold.iter().all(|page| fake.is_free(*page)));
    fake.check_ownership(ALL);
}

/// Runs `work` with a crash, restarts, runs it again as the caller's stub does, and checks the books.
fn crash_and_retry(prepare: fn(&mut Memory<'_, &mut Fake>), work: fn(&mut Memory<'_, &mut Fake>), crash: &dyn Fn(&mut dyn FnMut()) -> bool) -> bool {
    let (mut fake, area) = (machine(), Area::on_host());
    prepare(&mut start(&mut fake, area));
    let mut memory = start(&mut fake, area);
    let finished = crash(&mut || work(&mut memory));
    drop(memory);
    let _opened = area.recover();
    fake.check_ownership(ALL);
    work(&mut start(&mut fake, area));
    fake.check_ownership(ALL);
    let sold = fake.sold();
    assert_eq!(start(&mut fake, area).usage().sold, sold, "the ledger is wrong");
    finished
}

fn buy_three(memory: &mut Memory<'_, &mut Fake>) {
    for slot in 8..11 {
        assert_eq!(memory.buy(posix(), 20, slot), Ok(()));
    }
}

fn return_three(memory: &mut Memory<'_, &mut Fake>) {
    for slot in [9, 8, 10] {
        assert_eq!(memory.give_back(posix(), slot), Ok(()));
    }
}

#[test]
fn books_are_right_whatever_store_a_crash_hits() {
    for (prepare, work) in [(drop_nothing as fn(&mut Memory<'_, &mut Fake>), buy_three as fn(&mut Memory<'_, &mut Fake>)), (buy_three, return_three)]
    {
        let finished = (0..1000).any(|nth| crash_and_retry(prepare, work, &|body| crash_at_store(nth, body).is_some()));
        assert!(finished);
    }
}

fn drop_nothing(_memory: &mut Memory<'_, &mut Fake>) {}

#[test]
fn books_are_right_whatever_failpoint_a_crash_hits() {
    for (prepare, work) in [(drop_nothing as fn(&mut Memory<'_, &mut Fake>), buy_three as fn(&mut Memory<'_, &mut Fake>)), (buy_three, return_three)]
    {
        for point in Point::ALL {
            for nth in 1..=3 {
                crash_and_retry(prepare, work, &|body| crash_at_failpoint(point.name(), nth, body).is_some());
            }
        }
    }
}

#[test]
fn region_is_lent_without_the_right_to_change_it() {
    let (mut fake, area) = (machine(), Area::on_host());
    let mut memory = start(&mut fake, area);
    let handle = memory.region(posix(), VFS).expect("a region");
    assert_eq!(memory.region(posix(), VFS), Ok(handle));
    assert_eq!(memory.region(posix(), POSIX), Err(Error::NoRegion));
    assert_eq!(memory.region(posix(), 250), Err(Error::NoRegion));
    assert_eq!(handle & abi::VAULT, abi::VAULT, "the capability lies in the vault");
    let lent = handle & abi::HANDLE_MASK;
    let (Cap::Space { id, rights, .. }, Cap::Space { id: region, .. }) = (fake.own[&lent], fake.own[&(slot::REGION + u32::from(VFS))]) else {
        panic!("not regions");
    };
    assert_eq!((id, rights), (region, abi::Rights::SHARE | abi::Rights::CLONE | abi::Rights::LIST));
}

#[test]
fn discarded_pages_are_free_and_read_as_zero_again() {
    let (mut fake, area) = (machine(), Area::on_host());
    let mut memory = start(&mut fake, area);
    for page in 0..50 {
        memory.fault(vfs(), layout::REGION + page * PAGE_SIZE, FaultAccess::WRITE);
    }
    let free = memory.usage().free;
    assert_eq!(memory.discard(vfs(), 10, 20), Ok(()));
    assert_eq!(memory.usage().free, free + 20);
    assert_eq!(memory.discard(vfs(), 10, 20), Ok(()), "done before");
    for (offset, pages) in [(0, 0), (50, 1), (0, 51), (u32::MAX, u32::MAX)] {
        assert_eq!(memory.discard(vfs(), offset, pages), Err(Error::InvalidRange));
    }
    assert_eq!(memory.discard(posix(), 0, 1), Err(Error::NoRegion));
    assert_eq!(memory.fault(vfs(), layout::REGION + 10 * PAGE_SIZE, 0), Verdict::Resume);
}
