//! What a process has in memory: its areas, and which of their pages are there. The page tables are asked each time, nothing is counted on the way.

use alloc::format;
use alloc::string::String;
use core::fmt::Write as _;

use crate::call::{Call, Stop};
use crate::saved::{Map, MapIndex, Process, ProcessIndex, Vma, slot, state};
use crate::server::Posix;
use crate::vma::{EXEC, FILE, GROWS_DOWN, HEAP, PAGE, READ, SHARED, STACK, VDSO, VVAR, WRITE};

/// Bits of an address below what a table of each level covers.
const TABLE_SHIFTS: [u32; 3] = [21, 30, 39];
/// Pages that are looked at in one call of the kernel.
const WINDOW: usize = 448;

/// Pages of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pages {
    /// In all areas.
    pub total: u64,
    /// Most of that ever.
    pub peak: u64,
    /// There, and nobody else's or shared with copies alone.
    pub anonymous: u64,
    /// There, of files.
    pub file: u64,
    /// There, of memory without a file that is shared.
    pub shared: u64,
    /// In areas that are private and writable.
    pub data: u64,
    /// In stacks.
    pub stack: u64,
    /// In areas that can be executed and are not the program's.
    pub libraries: u64,
    /// Tables.
    pub tables: u64,
    /// First and last address of the program's code, of its data, and the start of the break.
    pub code: [u64; 2],
    /// Likewise of its data.
    pub initialised: [u64; 2],
}

impl Pages {
    /// Pages that are there.
    #[must_use]
    pub const fn resident(&self) -> u64 {
        self.anonymous + self.file + self.shared
    }

    /// Pages of the program's code.
    #[must_use]
    pub const fn text(&self) -> u64 {
        (self.code[1] - self.code[0]).div_ceil(PAGE)
    }

    /// /proc/PID/statm.
    pub(super) fn statm(&self) -> String {
        let (total, resident, shared) = (self.total, self.resident(), self.file + self.shared);
        format!("{total} {resident} {shared} {} 0 {} 0\n", self.text(), self.data + self.stack)
    }

    /// Counts an area, whoever has its pages.
    fn add_area(&mut self, area: &Vma, is_program: bool) {
        let pages = area.length() / PAGE;
        let widen = |[start, end]: [u64; 2]| [if start == 0 { area.start } else { start }, area.end.max(end)];
        self.total += pages;
        if area.flags & (STACK | GROWS_DOWN) != 0 {
            self.stack += pages;
        } else if area.flags & (WRITE | SHARED) == WRITE {
            self.data += pages;
        }
        if is_program && area.flags & EXEC != 0 {
            self.code = widen(self.code);
        } else if is_program && area.flags & WRITE != 0 {
            self.initialised = widen(self.initialised);
        } else if area.flags & EXEC != 0 {
            self.libraries += pages;
        }
    }

    /// Counts a page that is there, by the kernel's word about it. A private page of a file that can be written was copied.
    fn add_present(&mut self, area: &Vma, word: u64) {
        let is_copy = word & abi::MapFlags::WRITE != 0;
        if area.flags & FILE != 0 && (area.flags & SHARED != 0 || !is_copy) {
            self.file += 1;
        } else if area.flags & SHARED != 0 {
            self.shared += 1;
        } else if area.flags & (VVAR | VDSO) == 0 {
            // The vDSO is the system's, as on Linux.
            self.anonymous += 1;
        }
    }
}

impl Posix<'_> {
    /// What a process has in memory; nothing, if it has ended.
    pub fn map_pages(&mut self, process: ProcessIndex) -> Pages {
        let record = self.store.process(process);
        if record.state == state::LIVE { self.pages_of(record.map as usize) } else { Pages::default() }
    }

    /// Likewise, by its address space.
    pub fn pages_of(&mut self, map: MapIndex) -> Pages {
        let record: Map = self.store.map(map);
        let program = self.store.node(record.program as usize).file;
        // The top-level table is there in any case.
        let mut pages = Pages { peak: record.peak, tables: 1, ..Pages::default() };
        let mut last = TABLE_SHIFTS.map(|_| u64::MAX);
        for area in self.store.areas(map).0 {
            let is_program = area.flags & FILE != 0 && (area.inode, area.generation) == (program.inode, program.generation);
            pages.add_area(&area, is_program);
            self.for_present(map, &area, |address, word| {
                pages.add_present(&area, word);
                for (last, shift) in last.iter_mut().zip(TABLE_SHIFTS) {
                    pages.tables += u64::from(core::mem::replace(last, address >> shift) != address >> shift);
                }
            });
        }
        pages
    }

    fn for_present(&mut self, map: MapIndex, area: &Vma, mut each: impl FnMut(u64, u64)) {
        let mut words = [0; WINDOW];
        let mut at = area.start;
        while at < area.end {
            let wanted = ((area.end - at) / PAGE).min(WINDOW as u64) as usize;
            let window = words.get_mut(..wanted).unwrap_or_default();
            let Ok(done @ 1..) = self.kernel.list(slot::space(map), at, window) else { return };
            for (page, word) in window.iter().take(done).enumerate().filter(|(_, word)| **word != 0) {
                each(at + page as u64 * PAGE, *word);
            }
            at += done as u64 * PAGE;
        }
    }
}

impl Call<'_, '_> {
    /// /proc/PID/maps.
    pub(super) fn maps_text(&mut self, record: &Process) -> Result<String, Stop> {
        let mut text = String::new();
        if record.state != state::LIVE {
            return Ok(text);
        }
        for area in self.posix.store.areas(record.map as usize).0 {
            let name = self.area_name(&area)?;
            let letter = |bit: u64, letter: char| if area.flags & bit != 0 { letter } else { '-' };
            let shared = if area.flags & SHARED != 0 { 's' } else { 'p' };
            let (device, inode) = if area.flags & FILE != 0 { ("00:02", area.inode) } else { ("00:00", 0) };
            let line = format!(
                "{:08x}-{:08x} {}{}{}{shared} {:08x} {device} {inode} ",
                area.start,
                area.end,
                letter(READ, 'r'),
                letter(WRITE, 'w'),
                letter(EXEC, 'x'),
                area.offset
            );
            // A string grows as needed.
            let _infallible = if name.is_empty() { writeln!(text, "{line}") } else { writeln!(text, "{line:<73}{name}") };
        }
        Ok(text)
    }

    fn area_name(&mut self, area: &Vma) -> Result<String, Stop> {
        if area.flags & STACK != 0 {
            Ok("[stack]".into())
        } else if area.flags & HEAP != 0 {
            Ok("[heap]".into())
        } else if area.flags & VVAR != 0 {
            Ok("[vvar]".into())
        } else if area.flags & VDSO != 0 {
            Ok("[vdso]".into())
        } else if area.flags & FILE != 0 {
            let id = protocols::vfs::FileId::from(area.file());
            self.path_of(id).map(|path| String::from_utf8_lossy(&path).into_owned())
        } else {
            Ok(String::new())
        }
    }
}
