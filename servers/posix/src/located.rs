//! Where the pages of files lie that are read again and again: such a read is one copy by the kernel and no request.
//!
//! It rests on posix being the only one that asks vfs for changes, and doing one thing at a time: what it has not had changed since it asked is still so (see
//! [`protocols::vfs::Request::Locate`]). So every request for a change goes through [`Posix::vfs_to_change`], which forgets all, or is a write, which forgets its file.
//! Only what was just read from vfs is asked for, so vfs has seen to the time of the last read, which as on Linux (`relatime`) does not move again before the
//! next change, or for a day: as long is nothing remembered.
//!
//! Nothing of this is saved. Every word is kept with its complement (see [`crate::sure`]), because a flipped bit would be another file's bytes in a program.

use protocols::vfs::{self, FileId, MAX_MAPPED, Pages};

use crate::call::{Call, Stop};
use crate::io::Vector;
use crate::kernel::Port;
use crate::lent::Lent;
use crate::server::Posix;
use crate::sure::{Sure, Table};
use crate::vma::PAGE;

/// Files of which something is remembered.
const FILES: usize = 64;
/// Pages of each.
const WINDOW: u64 = MAX_MAPPED as u64;
/// How long it is (ns).
const LIFETIME_NS: u64 = 3_600_000_000_000;

/// A window of a file. One that is empty is of no file, and one of another age is forgotten.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    age: u64,
    file: FileId,
    since_ns: u64,
    first: u64,
    size: Sure,
    /// One more than its place in the region; 0 for a hole, and beyond the end.
    pages: [Sure; MAX_MAPPED],
}

/// What is known of a byte of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing.
    Nothing,
    /// The file does not reach so far.
    End,
    /// Where it lies in the region of vfs, and how many bytes of the file follow there.
    At {
        /// Byte of the region.
        address: u64,
        /// How many, at least one.
        bytes: u64,
    },
}

/// See the module.
#[derive(Debug)]
pub struct Located {
    windows: Table<Window, FILES>,
    age: Sure,
    /// What was read from vfs last: a file, and the window's first page.
    last: (FileId, u64),
    /// Where what is mapped lies.
    pub lent: Lent,
}

impl Default for Located {
    fn default() -> Self {
        Self { windows: Table::default(), age: Sure::new(1), last: Default::default(), lent: Lent::default() }
    }
}

const fn window_of(offset: u64) -> u64 {
    let page = offset / PAGE;
    page - page % WINDOW
}

impl Located {
    fn index(file: FileId) -> usize {
        file.inode as usize % FILES
    }

    /// Forgets a file.
    pub fn forget(&mut self, file: FileId) {
        if let Some(window) = self.windows.get_mut(Self::index(file)).filter(|window| window.file == file) {
            *window = Window::default();
        }
        self.last = Default::default();
        self.lent.forget(file);
    }

    /// Forgets all.
    pub fn forget_all(&mut self) {
        self.age.grow();
        self.last = Default::default();
        self.lent.forget_all();
    }

    fn put(&mut self, file: FileId, first: u64, (size, pages): (u64, &Pages), now_ns: u64) {
        let Some(window) = self.windows.get_mut(Self::index(file)) else { return };
        *window = Window { age: self.age.get(), file, since_ns: now_ns, first, size: Sure::new(size), pages: [Sure::new(0); MAX_MAPPED] };
        for (to, page) in window.pages.iter_mut().zip(pages.iter()) {
            *to = Sure::new(page.map_or(0, |page| u64::from(page) + 1));
        }
    }

    fn find(&self, file: FileId, offset: u64, now_ns: impl FnOnce() -> u64) -> Known {
        let Some(window) = self.windows.get(Self::index(file)) else { return Known::Nothing };
        if window.age != self.age.get()
            || window.file != file
            || window.first != window_of(offset)
            || now_ns().wrapping_sub(window.since_ns) > LIFETIME_NS
        {
            return Known::Nothing;
        }
        let left = window.size.get().saturating_sub(offset);
        if left == 0 {
            return Known::End;
        }
        let page = window.pages.get((offset / PAGE - window.first) as usize).map_or(0, |page| page.get());
        let (at, bytes) = (offset % PAGE, left.min(PAGE - offset % PAGE));
        page.checked_sub(1).map_or(Known::Nothing, |page| Known::At { address: page * PAGE + at, bytes })
    }

    /// Notes that a file was read from vfs; whether its window is worth asking for, because the read before was there, too.
    fn is_read_again(&mut self, file: FileId, offset: u64) -> bool {
        let now = (file, window_of(offset));
        core::mem::replace(&mut self.last, now) == now
    }
}

impl Posix<'_> {
    /// The client of vfs for a request that changes a file's bytes, its length or its times: all but writes, which forget their file alone.
    pub fn vfs_to_change(&mut self) -> vfs::Client<Port<'_>> {
        self.located.forget_all();
        self.vfs()
    }
}

impl Call<'_, '_> {
    /// Copies what is known of a file to the caller's memory: how many bytes, and whether there is no more to be had.
    ///
    /// # Errors
    /// `EFAULT`, or a wait for a page.
    pub fn read_located(&mut self, file: FileId, offset: u64, to: Vector) -> Result<(usize, bool), Stop> {
        let mut done = 0;
        while done < to.length {
            let kernel = &mut *self.posix.kernel;
            let (address, bytes) = match self.posix.located.find(file, offset.wrapping_add(done as u64), || kernel.now_ns()) {
                Known::Nothing => return Ok((done, false)),
                Known::End => return Ok((done, true)),
                Known::At { address, bytes } => (address, (bytes as usize).min(to.length - done)),
            };
            self.check_named(to.address.wrapping_add(done as u64), bytes);
            match self.posix.copy_cached(self.map, to.address.wrapping_add(done as u64), address, bytes, self.number) {
                Ok(Some(copied)) if copied == bytes => done += copied,
                Ok(Some(copied)) => return Ok((done + copied, true)),
                Ok(None) => {
                    self.posix.located.forget_all();
                    return Ok((done, false));
                }
                Err(Stop::Errno(_)) if done > 0 => return Ok((done, true)),
                Err(stop) => return Err(stop),
            }
        }
        Ok((done, true))
    }

    /// A read of vfs has answered: asks where the window lies if the last one was there, too. That it cannot be told, or not yet, is no matter.
    pub fn locate_if_read_again(&mut self, file: FileId, offset: u64) {
        if !self.posix.located.is_read_again(file, offset) {
            return;
        }
        let (number, first) = (self.ask(), window_of(offset));
        if let Ok((size, pages)) = self.posix.vfs_to_ask().locate(number, file, first, WINDOW as u8) {
            let now_ns = self.posix.kernel.now_ns();
            self.posix.located.put(file, first, (size, &pages), now_ns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Known, LIFETIME_NS, Located, WINDOW};
    use protocols::vfs::{FileId, Pages};

    const FILE: FileId = FileId { inode: 5, generation: 2 };
    const PAGES: u64 = 40;

    fn located() -> Located {
        let mut located = Located::default();
        let pages: Pages = [Some(7), None, Some(0)].into_iter().collect();
        located.put(FILE, WINDOW, (PAGES * 4096 + 10, &pages), 100);
        located
    }

    #[test]
    fn bytes_are_found_in_their_window_up_to_the_page_s_end() {
        let located = located();
        let at = |offset: u64| located.find(FILE, WINDOW * 4096 + offset, || 100);
        assert_eq!(at(0), Known::At { address: 7 * 4096, bytes: 4096 });
        assert_eq!(at(4095), Known::At { address: 7 * 4096 + 4095, bytes: 1 });
        assert_eq!(at(4096), Known::Nothing, "a hole");
        assert_eq!(at(2 * 4096 + 6), Known::At { address: 6, bytes: 4090 });
        assert_eq!(at(3 * 4096), Known::Nothing, "of which nothing was said");
        assert_eq!(located.find(FILE, 0, || 100), Known::Nothing, "another window");
        assert_eq!(located.find(FileId { generation: 3, ..FILE }, WINDOW * 4096, || 100), Known::Nothing);
        assert_eq!(located.find(FileId { inode: 5 + 64, ..FILE }, WINDOW * 4096, || 100), Known::Nothing);
        assert_eq!(located.find(FILE, WINDOW * 4096, || 100 + LIFETIME_NS + 1), Known::Nothing, "too long ago");
    }

    #[test]
    fn end_of_the_file_is_known() {
        let mut located = located();
        let pages: Pages = [Some(1)].into_iter().collect();
        located.put(FILE, 0, (10, &pages), 0);
        assert_eq!(located.find(FILE, 4, || 0), Known::At { address: 4100, bytes: 6 });
        assert_eq!(located.find(FILE, 10, || 0), Known::End);
        assert_eq!(located.find(FILE, 4096, || 0), Known::End);
        assert_eq!(located.find(FILE, u64::MAX, || 0), Known::Nothing);
    }

    #[test]
    fn window_is_asked_for_when_it_is_read_a_second_time_in_a_row() {
        let mut located = Located::default();
        let other = FileId { inode: 9, generation: 1 };
        assert!(!located.is_read_again(FILE, 0));
        assert!(located.is_read_again(FILE, WINDOW * 4096 - 1));
        assert!(!located.is_read_again(FILE, WINDOW * 4096));
        assert!(!located.is_read_again(other, 0));
        assert!(!located.is_read_again(FILE, 0));
        located.forget(FILE);
        assert!(!located.is_read_again(FILE, 0));
    }

    #[test]
    fn what_is_forgotten_is_not_found() {
        for all in [false, true] {
            let mut located = located();
            located.forget(FileId { inode: 5 + 64, generation: 2 });
            assert_ne!(located.find(FILE, WINDOW * 4096, || 100), Known::Nothing, "another file of the same place");
            if all {
                located.forget_all()
            } else {
                located.forget(FILE)
            }
            assert_eq!(located.find(FILE, WINDOW * 4096, || 100), Known::Nothing);
        }
    }
}
