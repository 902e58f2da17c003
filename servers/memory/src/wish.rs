//! Where 2 MiB pages are wanted.
//!
//! A service asks once for a range of its heap or region; faults in it then bring 2 MiB pages where nothing lies yet and there are such pages, else small
//! ones. A wish for a heap is the instance's and goes with it, one for a region the service's. Making one twice is making it once.

use libsys::fail;
use libsys::saved::{Area, Cell};
use protocols::memory::{Error, Window};
use protocols::service::Badge;

use crate::blocks::BLOCK;
use crate::saved::{Ledger, Wish};
use crate::trade::Point;

fn instance(window: Window, from: Badge) -> u32 {
    match window {
        Window::Heap => from.instance,
        Window::Region => 0,
    }
}

fn is_of(wish: &Wish, window: Window, from: Badge) -> bool {
    wish.pages != 0 && wish.service == u32::from(from.service) && wish.instance == instance(window, from)
}

/// Remembers a wish; one of no pages takes that which begins there back.
///
/// # Errors
/// [`Error::TooManyRanges`].
pub fn make(area: &Area<Ledger>, from: Badge, window: Window, first: u64, pages: u64) -> Result<(), Error> {
    fail::hit(Point::HugeIntent);
    let wishes = &area.state().wishes;
    let same = |cell: &&Cell<Wish>| is_of(&cell.get(), window, from) && cell.get().first == first;
    // Of an instance that is no more, which this one's service shows.
    let stale = |wish: &Wish| wish.service == u32::from(from.service) && wish.instance != 0 && wish.instance != from.instance;
    let unused = |cell: &&Cell<Wish>| cell.get().pages == 0 || stale(&cell.get());
    let cell = wishes.iter().find(same).or_else(|| wishes.iter().find(unused).filter(|_| pages != 0));
    match cell {
        Some(cell) => {
            let transaction = area.begin();
            cell.set(&transaction, Wish { pages, first, service: u32::from(from.service), instance: instance(window, from) });
            fail::hit(Point::HugeEffect);
            transaction.commit();
        }
        None if pages == 0 => {}
        None => return Err(Error::TooManyRanges),
    }
    fail::hit(Point::HugeRecord);
    Ok(())
}

/// Whether all of the 2 MiB around a page of a window lies in a range that was asked for.
#[must_use]
pub fn covers(area: &Area<Ledger>, from: Badge, window: Window, page: u64) -> bool {
    let first = page - page % BLOCK;
    let mut wishes = area.state().wishes.iter().map(Cell::get).filter(|wish| is_of(wish, window, from));
    wishes.any(|wish| wish.first <= first && first + BLOCK <= wish.first + wish.pages)
}

#[cfg(test)]
mod tests {
    use super::{Error, Window, covers, make};
    use crate::saved::WISHES;
    use libsys::saved::Area;
    use protocols::service::{Badge, Service};

    const VFS: Badge = Badge::new(Service::Vfs, 3);

    #[test]
    fn wish_covers_whole_blocks_of_its_window_alone() {
        let area = Area::on_host();
        assert_eq!(make(area, VFS, Window::Region, 100, 1500), Ok(()));
        let covered: Vec<u64> = (0..4).filter(|block| covers(area, VFS, Window::Region, block * 512 + 9)).collect();
        assert_eq!(covered, [1, 2]);
        assert!(!covers(area, VFS, Window::Heap, 600));
        assert!(!covers(area, Badge::new(Service::Posix, 3), Window::Region, 600));
        assert!(covers(area, Badge::new(Service::Vfs, 4), Window::Region, 600), "the region outlives the instance");
        assert_eq!(make(area, VFS, Window::Region, 100, 0), Ok(()));
        assert!(!covers(area, VFS, Window::Region, 600));
    }

    #[test]
    fn wishes_are_bounded_and_those_of_dead_instances_make_room() {
        let area = Area::on_host();
        for index in 0..WISHES as u64 {
            assert_eq!(make(area, VFS, Window::Heap, index * 512, 512), Ok(()));
            assert_eq!(make(area, VFS, Window::Heap, index * 512, 512), Ok(()), "made before");
        }
        assert_eq!(make(area, VFS, Window::Heap, 1 << 20, 512), Err(Error::TooManyRanges));
        assert_eq!(make(area, VFS, Window::Heap, 1 << 20, 0), Ok(()));
        let next = Badge::new(Service::Vfs, 4);
        assert!(!covers(area, next, Window::Heap, 0));
        assert_eq!(make(area, next, Window::Heap, 1 << 20, 512), Ok(()));
    }
}
