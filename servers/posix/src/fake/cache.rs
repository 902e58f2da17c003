//! The real vfs on the fake machine: its pages are the ones that posix shares.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use libsys::saved::Area;
use protocols::service::Service;
use protocols::vfs::Time;

use super::{Bytes, Leaf, Machine, PAGE, blank};

/// vfs's side of the machine: pages that posix can share.
pub(crate) struct CachePages {
    pages: Rc<RefCell<Vec<Bytes>>>,
    /// The page that was asked for last.
    copy: Box<[u8; PAGE]>,
    ready: Rc<Cell<bool>>,
}

impl vfs::host::Host for CachePages {
    fn page_count(&self) -> u32 {
        self.pages.borrow().len() as u32
    }

    fn room(&mut self, wanted: u32) -> u32 {
        wanted
    }

    fn page(&mut self, page: u32) -> &vfs::host::Page {
        *self.copy = **self.pages.borrow()[page as usize].borrow();
        &self.copy
    }

    fn page_mut(&mut self, page: u32) -> &mut vfs::host::Page {
        let pointer = self.pages.borrow()[page as usize].borrow_mut().as_mut_ptr();
        // SAFETY: the page lives as long as the machine, and vfs does not keep the reference beyond its request.
        unsafe { &mut *pointer.cast::<vfs::host::Page>() }
    }

    fn discard(&mut self, first: u32, count: u32) -> bool {
        for page in first..first + count {
            self.pages.borrow_mut()[page as usize] = blank();
        }
        true
    }

    fn now(&self) -> Time {
        Time { seconds: 1000, nanoseconds: 0 }
    }

    fn signal_ready(&mut self, service: u8) {
        if service == Service::Posix.id() {
            self.ready.set(true);
        }
    }
}

/// What vfs saves; freed when the machine is.
pub(super) struct VfsArea(pub(super) &'static Area<vfs::saved::State>);

impl Drop for VfsArea {
    fn drop(&mut self) {
        // SAFETY: its only user is vfs, which the machine drops before it.
        unsafe { self.0.free_on_host() };
    }
}

/// Starts it over what a predecessor left.
pub(super) fn start_vfs(
    area: &'static Area<vfs::saved::State>,
    opened: libsys::saved::Opened,
    cache: &Rc<RefCell<Vec<Bytes>>>,
    options: &str,
    ready: &Rc<Cell<bool>>,
) -> vfs::Vfs<CachePages> {
    let pages = CachePages { pages: Rc::clone(cache), copy: Box::new([0; PAGE]), ready: Rc::clone(ready) };
    vfs::Vfs::new(area, opened, pages, vfs::ready::Readiness::from_options(options), &[]).expect("a file system")
}

/// The page with this number from a place on, as it is mapped elsewhere.
pub(super) fn leaf(machine: &Machine, from: u64, index: u64, flags: u64) -> Leaf {
    Leaf { bytes: Rc::clone(&machine.cache.borrow()[(from / PAGE as u64 + index) as usize]), flags }
}

/// What lies in the pages that vfs has, up to the end of the first of them.
pub(super) fn bytes(machine: &mut Machine, from: u64, most: usize) -> Option<Vec<u8>> {
    machine.cached_copies += 1;
    let (page, start) = ((from / PAGE as u64) as usize, (from % PAGE as u64) as usize);
    let cache = machine.cache.borrow();
    let page = cache.get(page)?.borrow();
    page.get(start..)?.get(..most.min(PAGE - start)).map(<[u8]>::to_vec)
}
