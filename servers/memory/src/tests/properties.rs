//! Five properties of memory, whatever is asked of it in whatever order, with restarts of it and of its clients in between:
//! no page in two hands, nothing given back twice, nothing lost, 2 MiB pages aligned, nobody beyond a bound.

use std::collections::BTreeMap;

use abi::{FaultAccess, PAGE_SIZE};
use libsys::layout;
use libsys::saved::Area;
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any, prop_oneof, proptest};
use protocols::memory::{Service as _, Window};
use protocols::service::{Badge, Service};
use protocols::supervisor::Paged;

use super::{BUYERS, POSIX, VFS, posix};
use crate::fake::{Cap, Fake};
use crate::kernel::slot;
use crate::saved::Ledger;
use crate::server::Memory;

const ALL: u64 = 700 + 2000;
const HEAP_PAGES: u32 = 1100;
const REGION_PAGES: u32 = 1600;
const PAGED: [Paged; 2] = [
    Paged { service: VFS, heap_pages: HEAP_PAGES, saved_pages: 20, region_pages: REGION_PAGES, buys_memory: false },
    Paged { service: POSIX, heap_pages: 8, saved_pages: 0, region_pages: 0, buys_memory: true },
];

#[derive(Clone, Debug)]
enum Step {
    Touch { window: u64, page: u64 },
    Wish { region: bool, first: u32, pages: u32 },
    Buy { pages: u32, slot: u32 },
    Return { slot: u32 },
    Discard { first: u32, pages: u32 },
    Compact,
    Restart,
    NewInstance,
}

fn step() -> impl Strategy<Value = Step> {
    let window = prop_oneof![proptest::prelude::Just(layout::HEAP), proptest::prelude::Just(layout::REGION), proptest::prelude::Just(layout::SAVED)];
    prop_oneof![
        8 => (window, 0..u64::from(REGION_PAGES) + 20).prop_map(|(window, page)| Step::Touch { window, page }),
        2 => (any::<bool>(), 0..600u32, 0..1100u32).prop_map(|(region, first, pages)| Step::Wish { region, first, pages }),
        4 => (prop_oneof![1..70u32, 500..1100u32], 8..14u32).prop_map(|(pages, slot)| Step::Buy { pages, slot }),
        3 => (8..14u32).prop_map(|slot| Step::Return { slot }),
        2 => (0..REGION_PAGES, 1..700u32).prop_map(|(first, pages)| Step::Discard { first, pages }),
        1 => proptest::prelude::Just(Step::Compact),
        1 => proptest::prelude::Just(Step::Restart),
        1 => proptest::prelude::Just(Step::NewInstance),
    ]
}

fn apply(memory: &mut Memory<'_, &mut Fake>, from: Badge, step: &Step) {
    match *step {
        Step::Touch { window, page } => drop(memory.fault(from, window + page * PAGE_SIZE, FaultAccess::WRITE)),
        Step::Wish { region, first, pages } => {
            _ = memory.huge(from, if region { Window::Region } else { Window::Heap }, first, pages);
        }
        Step::Buy { pages, slot } => drop(memory.buy(posix(), pages, slot)),
        Step::Return { slot } => {
            _ = memory.give_back(posix(), slot);
            // Again, as a caller does that did not hear the answer.
            assert_eq!(memory.give_back(posix(), slot), Ok(()));
        }
        Step::Discard { first, pages } => drop(memory.discard(from, first, pages)),
        Step::Compact => drop(memory.compact()),
        Step::Restart | Step::NewInstance => {}
    }
}

fn space_id(fake: &Fake, slot: u32) -> Option<u32> {
    match fake.own.get(&slot) {
        Some(Cap::Space { id, .. }) => Some(*id),
        _ => None,
    }
}

/// Who maps each physical page: space and page in it.
fn mappings(fake: &Fake) -> BTreeMap<u64, Vec<(u32, u64)>> {
    let mut by_page: BTreeMap<u64, Vec<(u32, u64)>> = BTreeMap::new();
    for (id, space) in &fake.spaces {
        for (at, page) in &space.pages {
            by_page.entry(*page).or_default().push((*id, *at));
        }
        for (at, head) in &space.huge {
            assert!(head.is_multiple_of(512), "a 2 MiB page that is not aligned");
            for offset in 0..512 {
                by_page.entry(head + offset).or_default().push((*id, at * 512 + offset));
            }
        }
    }
    by_page
}

fn check(fake: &mut Fake, area: &Area<Ledger>) {
    // Nothing is lost, and no page has two owners.
    fake.check_ownership(ALL);
    let instance = space_id(fake, slot::SPACES + u32::from(VFS));
    let homes = [(slot::REGION, layout::REGION), (slot::SAVED, layout::SAVED)].map(|(home, window)| (space_id(fake, home + u32::from(VFS)), window));
    for (page, users) in mappings(fake) {
        assert!(!fake.objects.contains(&page), "an object is mapped");
        // One user, or a region and the same place of its instance's window.
        match users.as_slice() {
            [_] => {}
            [one, other] => {
                let (low, high) = if Some(one.0) == instance { (other, one) } else { (one, other) };
                let home = homes.iter().find(|(id, _)| *id == Some(low.0));
                assert!(Some(high.0) == instance && home.is_some_and(|(_, window)| high.1 == window / PAGE_SIZE + low.1), "page {page}: {users:?}");
            }
            _ => panic!("page {page} has users {users:?}"),
        }
        assert!(
            !fake.buyers.values().any(|cap| matches!(cap, Cap::Memory { first, pages } if (*first..first + pages).contains(&page))),
            "sold and used"
        );
    }
    // Nobody is beyond a bound.
    if let Some(space) = instance.and_then(|id| fake.spaces.get(&id)) {
        let huge = space.huge.keys().flat_map(|at| [at * 512, at * 512 + 511]);
        for at in space.pages.keys().copied().chain(huge) {
            let windows = [(layout::HEAP, HEAP_PAGES), (layout::REGION, REGION_PAGES), (layout::SAVED, 20)];
            let inside = |(start, pages): &(u64, u32)| (start / PAGE_SIZE..start / PAGE_SIZE + u64::from(*pages)).contains(&at);
            assert!(windows.iter().any(inside), "page {at:#x} is in no window");
        }
    }
    assert!(fake.sold() <= ALL / 4 * 3);
    // The books say what is: counts are exact at a restart.
    let truly_free = fake
        .own
        .values()
        .map(|cap| if let Cap::Memory { first, pages } = cap { (*first..first + pages).filter(|page| fake.is_free(*page)).count() } else { 0 });
    let truly_free = truly_free.sum::<usize>() as u64;
    let sold = fake.sold();
    let usage = Memory::restart(fake, area, &PAGED, BUYERS).usage();
    assert_eq!((usage.free, usage.sold, usage.total), (truly_free, sold, ALL));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn five_properties_hold_after_every_step(steps in vec(step(), 1..25)) {
        let area = Area::on_host();
        let mut fake = Fake::new(&[(300, 700), (4000, 2000)]);
        let mut badge = Badge::new(Service::Vfs, 1);
        fake.instance(VFS, 1);
        fake.instance(POSIX, 1);
        let mut rest = steps.as_slice();
        while !rest.is_empty() {
            // As long as one instance of memory lives: what it remembers must not mislead it.
            let end = rest.iter().position(|step| matches!(step, Step::Restart | Step::NewInstance)).map_or(rest.len(), |at| at + 1);
            let (now, later) = rest.split_at(end);
            let mut memory = Memory::restart(&mut fake, area, &PAGED, BUYERS);
            for step in now {
                apply(&mut memory, badge, step);
                assert!(memory.usage().free <= ALL);
            }
            drop(memory);
            check(&mut fake, area);
            if let Some(Step::NewInstance) = now.last() {
                badge = Badge::new(Service::Vfs, badge.instance + 1);
                fake.instance(VFS, u64::from(badge.instance));
            }
            rest = later;
        }
        // When all is given back, all but objects is free.
        let mut memory = Memory::restart(&mut fake, area, &PAGED, BUYERS);
        for slot in 8..14 {
            assert_eq!(memory.give_back(posix(), slot), Ok(()));
        }
        assert_eq!(memory.discard(badge, 0, REGION_PAGES), Ok(()));
        drop(memory);
        fake.instance(VFS, 999);
        check(&mut fake, area);
    }
}
