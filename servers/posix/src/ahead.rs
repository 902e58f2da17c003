//! How many pages of zeros one fault is answered with.
//!
//! Memory that is touched page after page costs a fault for many pages, and a lone touch a page and nothing more. What is remembered here is a hint:
//! it is not saved, and a wrong one costs a fault, or a page that nobody wanted.

use crate::saved::{MAPS, MapIndex, Vma};
use crate::sure::Table;
use crate::vma::PAGE;

/// Pages for the first touch of an area: the others together cost about what a fault of their own would.
const FIRST: u64 = 4;
/// Pages at most.
const MOST: u64 = 32;

/// What the last fault of a map was answered with.
#[derive(Clone, Copy, Debug, Default)]
struct Last {
    area: u64,
    start: u64,
    end: u64,
}

/// The last answer of each map.
#[derive(Debug, Default)]
pub struct Ahead(Table<Last, MAPS>);

impl Ahead {
    /// Start and end of what a fault at a missing page of an area is answered with, the page included. Doubled where the last answer ended, or began: stacks grow
    /// down.
    pub fn window(&mut self, map: MapIndex, area: &Vma, page: u64) -> (u64, u64) {
        let Some(last) = self.0.get_mut(map) else { return (page, page + PAGE) };
        let next = (2 * (last.end - last.start)).min(MOST * PAGE);
        let (start, end) = if last.area != area.start {
            (page, page + FIRST * PAGE)
        } else if page == last.end {
            (page, page + next)
        } else if page + PAGE == last.start {
            ((page + PAGE).saturating_sub(next), page + PAGE)
        } else {
            (page, page + PAGE)
        };
        let (start, end) = (start.max(area.start), end.min(area.end));
        *last = Last { area: area.start, start, end };
        (start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::{Ahead, FIRST, MOST};
    use crate::saved::Vma;
    use crate::vma::PAGE;

    const AREA: Vma = Vma { start: 0x10_0000, end: 0x10_0000 + 256 * PAGE, flags: 0, inode: 0, generation: 0, offset: 0 };

    fn pages(ahead: &mut Ahead, page: u64) -> (u64, u64) {
        let (start, end) = ahead.window(1, &AREA, AREA.start + page * PAGE);
        ((start - AREA.start) / PAGE, (end - AREA.start) / PAGE)
    }

    #[test]
    fn walks_get_more_and_more_either_way() {
        let mut ahead = Ahead::default();
        assert_eq!(pages(&mut ahead, 100), (100, 100 + FIRST));
        assert_eq!(pages(&mut ahead, 100 + FIRST), (104, 112));
        assert_eq!(pages(&mut ahead, 112), (112, 128));
        assert_eq!(pages(&mut ahead, 128), (128, 160));
        assert_eq!(pages(&mut ahead, 160), (160, 160 + MOST));
        assert_eq!(pages(&mut ahead, 250), (250, 251));
        assert_eq!(pages(&mut ahead, 249), (248, 250));
        assert_eq!(pages(&mut ahead, 247), (244, 248));
    }

    #[test]
    fn lone_touches_get_a_page() {
        let mut ahead = Ahead::default();
        pages(&mut ahead, 0);
        assert_eq!(pages(&mut ahead, 64), (64, 65));
        assert_eq!(pages(&mut ahead, 128), (128, 129));
    }

    #[test]
    fn windows_stay_inside_their_area() {
        let mut ahead = Ahead::default();
        assert_eq!(pages(&mut ahead, 255), (255, 256));
        pages(&mut ahead, 3);
        pages(&mut ahead, 2);
        assert_eq!(pages(&mut ahead, 0), (0, 1));
        let mut ahead = Ahead::default();
        assert_eq!(pages(&mut ahead, 1), (1, 1 + FIRST));
        assert_eq!(pages(&mut ahead, 0), (0, 1));
    }
}
