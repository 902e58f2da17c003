//! 2 MiB pages: who gets them, and how room is made for them.

use abi::{FaultAccess, PAGE_SIZE};
use libsys::host::{crash_at_failpoint, crash_at_store};
use libsys::layout;
use libsys::saved::Area;
use protocols::memory::{Error, Service as _, Window};
use protocols::service::{Badge, Service};
use protocols::supervisor::Paged;

use super::{BUYERS, VFS, vfs};
use crate::fake::{Cap, Fake, Space};
use crate::kernel::slot;
use crate::pager::Verdict;
use crate::saved::Ledger;
use crate::server::Memory;
use crate::trade::Point;

const HUGE: u64 = 512;
const PAGED: [Paged; 1] = [Paged { service: VFS, heap_pages: 2048, saved_pages: 600, region_pages: 4096, buys_memory: false }];

/// Some single pages before `blocks` whole blocks.
fn machine(blocks: u64) -> Fake {
    let mut fake = Fake::new(&[(HUGE - 100, blocks * HUGE + 100)]);
    fake.instance(VFS, 1);
    fake
}

fn start<'s>(fake: &'s mut Fake, area: &'s Area<Ledger>) -> Memory<'s, &'s mut Fake> {
    Memory::restart(fake, area, &PAGED, BUYERS)
}

fn space(fake: &Fake, slot: u32) -> &Space {
    match fake.own.get(&slot) {
        Some(Cap::Space { id, .. }) => &fake.spaces[id],
        other => panic!("{other:?} in {slot}"),
    }
}

fn instance(fake: &Fake) -> &Space {
    space(fake, slot::SPACES + u32::from(VFS))
}

fn region(fake: &Fake) -> &Space {
    space(fake, slot::REGION + u32::from(VFS))
}

#[test]
fn heap_gets_them_where_they_were_asked_for_alone() {
    let (mut fake, area) = (machine(4), Area::on_host());
    let mut memory = start(&mut fake, area);
    assert_eq!(memory.huge(vfs(), Window::Heap, 512, 600), Ok(4));
    for page in [0, 600, 1100] {
        assert_eq!(memory.fault(vfs(), layout::HEAP + page * PAGE_SIZE, FaultAccess::WRITE), Verdict::Resume);
    }
    let heap = instance(&fake);
    assert_eq!(heap.huge.keys().copied().collect::<Vec<_>>(), [layout::HEAP / PAGE_SIZE / HUGE + 1]);
    assert!(heap.pages.contains_key(&(layout::HEAP / PAGE_SIZE)) && heap.pages.contains_key(&(layout::HEAP / PAGE_SIZE + 1100)));
}

#[test]
fn wishes_beyond_a_window_are_refused() {
    let (mut fake, area) = (machine(1), Area::on_host());
    let mut memory = start(&mut fake, area);
    for (window, offset, pages) in [(Window::Heap, 0, 2049), (Window::Region, 4096, 1), (Window::Region, u32::MAX, 2)] {
        assert_eq!(memory.huge(vfs(), window, offset, pages), Err(Error::InvalidRange));
    }
    assert_eq!(memory.huge(Badge::new(Service::Web, 1), Window::Heap, 0, 512), Err(Error::NotAllowed));
}

#[test]
fn small_pages_come_when_there_are_no_others_left_or_some_are_there() {
    let (mut fake, area) = (machine(1), Area::on_host());
    let mut memory = start(&mut fake, area);
    assert_eq!(memory.fault(vfs(), layout::HEAP, 0), Verdict::Resume);
    assert_eq!(memory.huge(vfs(), Window::Heap, 0, 2048), Ok(1));
    for page in [100, 700, 1300] {
        assert_eq!(memory.fault(vfs(), layout::HEAP + page * PAGE_SIZE, FaultAccess::WRITE), Verdict::Resume);
    }
    let heap = instance(&fake);
    assert_eq!(heap.huge.keys().copied().collect::<Vec<_>>(), [layout::HEAP / PAGE_SIZE / HUGE + 1]);
    assert!(heap.pages.contains_key(&(layout::HEAP / PAGE_SIZE + 100)), "beside pages that are there");
    assert!(heap.pages.contains_key(&(layout::HEAP / PAGE_SIZE + 1300)), "when none is left");
}

#[test]
fn region_keeps_them_for_the_next_instance_and_whoever_asks_after_the_pager_died() {
    let (mut fake, area) = (machine(3), Area::on_host());
    assert_eq!(start(&mut fake, area).huge(vfs(), Window::Region, 0, 1024), Ok(3));
    assert_eq!(start(&mut fake, area).fault(vfs(), layout::REGION + 9 * PAGE_SIZE, FaultAccess::WRITE), Verdict::Resume);
    let head = region(&fake).huge[&0];
    assert_eq!(instance(&fake).huge[&(layout::REGION / PAGE_SIZE / HUGE)], head);
    fake.instance(VFS, 2);
    assert_eq!(start(&mut fake, area).fault(Badge::new(Service::Vfs, 2), layout::REGION + 700 * PAGE_SIZE, 0), Verdict::Resume);
    assert_eq!(start(&mut fake, area).fault(Badge::new(Service::Vfs, 2), layout::REGION + 9 * PAGE_SIZE, 0), Verdict::Resume);
    assert_eq!(region(&fake).huge.len(), 2);
    assert_eq!(instance(&fake).huge[&(layout::REGION / PAGE_SIZE / HUGE)], head);
}

#[test]
fn discard_takes_them_whole_or_not_at_all() {
    let (mut fake, area) = (machine(3), Area::on_host());
    let mut memory = start(&mut fake, area);
    memory.huge(vfs(), Window::Region, 0, 1024).expect("a wish");
    for page in [0, 600] {
        memory.fault(vfs(), layout::REGION + page * PAGE_SIZE, FaultAccess::WRITE);
    }
    let free = memory.usage().free;
    for (offset, pages) in [(0, 10), (5, 512), (600, 1), (0, 513)] {
        assert_eq!(memory.discard(vfs(), offset, pages), Err(Error::InvalidRange), "{offset} {pages}");
    }
    assert_eq!(memory.usage().free, free);
    assert_eq!(memory.discard(vfs(), 512, 512), Ok(()));
    assert_eq!(memory.usage().free, free + HUGE);
    assert_eq!((region(&fake).huge.len(), instance(&fake).huge.len()), (1, 1));
}

/// Every block has some pages of the region, each with its own number as contents, as far as the fake can tell.
fn scattered() -> Fake {
    let mut fake = machine(4);
    let area = Area::on_host();
    let mut memory = start(&mut fake, area);
    assert_eq!(memory.fault(vfs(), layout::REGION, FaultAccess::WRITE), Verdict::Resume);
    drop(memory);
    // The region as it could be after a while: pages everywhere.
    let (Some(Cap::Space { id: region, .. }), Some(Cap::Space { id: instance, .. })) =
        (fake.own.get(&(slot::REGION + u32::from(VFS))).copied(), fake.own.get(&(slot::SPACES + u32::from(VFS))).copied())
    else {
        panic!("no spaces")
    };
    for block in 1..5 {
        for page in 0..4 + block * 3 {
            let (offset, page) = (block * 100 + page, block * HUGE + page * 7 + 1);
            fake.spaces.get_mut(&region).expect("made").pages.insert(offset, page);
            fake.spaces.get_mut(&instance).expect("made").pages.insert(layout::REGION / PAGE_SIZE + offset, page);
        }
    }
    fake
}

/// Offsets of the region that have a page, and that each page is there once.
fn offsets(fake: &Fake) -> Vec<u64> {
    let pages = &region(fake).pages;
    let mut numbers: Vec<u64> = pages.values().copied().collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), pages.len(), "two places of the region have one page");
    let strangers = instance(fake).pages.iter().filter(|(at, _)| (layout::REGION / PAGE_SIZE..).contains(*at));
    for (at, page) in strangers {
        assert_eq!(pages[&(at - layout::REGION / PAGE_SIZE)], *page, "the instance sees another page than its region");
    }
    pages.keys().copied().collect()
}

#[test]
fn compaction_makes_whole_blocks_and_keeps_every_page() {
    let (mut fake, area) = (scattered(), Area::on_host());
    let before = offsets(&fake);
    let mut memory = start(&mut fake, area);
    let whole: Vec<u64> = (0..6).map(|_| memory.compact()).collect();
    // The pages of all four fit what is left of the first pages.
    assert_eq!(whole, [1, 2, 3, 4, 4, 4]);
    memory.huge(vfs(), Window::Heap, 0, 2048).expect("a wish");
    for page in [0, 600, 1100] {
        assert_eq!(memory.fault(vfs(), layout::HEAP + page * PAGE_SIZE, 0), Verdict::Resume);
    }
    assert_eq!(instance(&fake).huge.len(), 3);
    assert_eq!(offsets(&fake), before);
    fake.check_ownership(4 * HUGE + 100);
}

#[test]
fn pages_that_others_map_or_that_are_objects_stay() {
    let (mut fake, area) = (scattered(), Area::on_host());
    // One block can be emptied, and is, whatever keeps the others.
    let free = 3;
    let linux = fake.instance(99, 1);
    let kept: Vec<u64> = (1..5).filter(|block| *block != free).map(|block| block * HUGE + 1).collect();
    for (at, page) in kept.iter().enumerate() {
        fake.spaces.get_mut(&linux).expect("made").pages.insert(at as u64, *page);
    }
    fake.objects.push(4 * HUGE + 2);
    let before = offsets(&fake);
    let mut memory = start(&mut fake, area);
    assert_eq!((0..6).map(|_| memory.compact()).max(), Some(1));
    drop(memory);
    assert_eq!(offsets(&fake), before);
    assert!(kept.iter().all(|page| region(&fake).pages.values().any(|mapped| mapped == page)));
}

#[test]
fn compaction_loses_nothing_whatever_it_dies_of() {
    let before = offsets(&scattered());
    for point in [Point::CompactUnmapped, Point::CompactMoved] {
        for nth in (1..40).step_by(3) {
            let (mut fake, area) = (scattered(), Area::on_host());
            let mut memory = start(&mut fake, area);
            let _died = crash_at_failpoint(point.name(), nth, || while memory.compact() < 3 {});
            drop(memory);
            let _opened = area.recover();
            assert_eq!(offsets(&fake), before);
            fake.check_ownership(4 * HUGE + 100);
            let mut memory = start(&mut fake, area);
            assert_eq!((0..6).map(|_| memory.compact()).max(), Some(4));
            drop(memory);
            assert_eq!(offsets(&fake), before);
        }
    }
}

#[test]
fn wish_is_made_once_whatever_store_or_failpoint_a_crash_hits() {
    let check = |crash: &mut dyn FnMut(&mut dyn FnMut()) -> bool| {
        let (mut fake, area) = (machine(2), Area::on_host());
        let mut memory = start(&mut fake, area);
        let finished = crash(&mut || assert_eq!(memory.huge(vfs(), Window::Heap, 0, 512), Ok(2)));
        drop(memory);
        let _opened = area.recover();
        assert_eq!(start(&mut fake, area).huge(vfs(), Window::Heap, 0, 512), Ok(2));
        assert_eq!(area.state().wishes.iter().filter(|wish| wish.get().pages != 0).count(), 1);
        finished
    };
    assert!((0..200).any(|nth| check(&mut |body| crash_at_store(nth, body).is_some())));
    for point in [Point::HugeIntent, Point::HugeEffect, Point::HugeRecord, Point::HugeReply] {
        assert!(!check(&mut |body| crash_at_failpoint(point.name(), 1, body).is_some()), "{}", point.name());
    }
}
