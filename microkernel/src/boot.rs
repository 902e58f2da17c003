//! The first process: the one that the kernel builds itself, and that gets everything.
//!
//! It is loaded from the boot archive, laid out ahead of time, so the kernel knows no executable format. Its pages come from the largest region
//! of memory and stay its own for ever; all that is left becomes owned Memory capabilities in its table.

use abi::boot::{Archive, FormatError, Image, SEGMENT_EXECUTE, SEGMENT_WRITE, SUPERVISOR};
use abi::{BootInfo, Error, MapFlags, ObjectKind, Rights, boot_slot};

use crate::capability::{CapTable, Slot, SlotPlace};
use crate::kernel::Kernel;
use crate::machine::{Machine, PageNumber};
use crate::page::{self, PAGE_BYTES, Ref};
use crate::space::AddressSpace;
use crate::thread::Thread;

/// Regions of memory that are taken over at most: the fields of [`BootInfo`].
pub const MAX_REGIONS: usize = 32;
/// Priority of the first process: above every server.
const PRIORITY: u8 = abi::PRIORITIES - 2;
/// Pages for the first process's page tables.
const TABLE_PAGES: u32 = 96;

/// A run of physical pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Region {
    /// Its first page.
    pub first: PageNumber,
    /// How many pages.
    pub pages: u32,
}

/// What the machine has, as the boot loader tells it.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// Free memory.
    pub regions: &'a [Region],
    /// Where the boot archive lies.
    pub archive: Region,
    /// The archive's bytes.
    pub archive_bytes: &'a [u8],
    /// Ticks of the time-stamp counter in a second.
    pub tsc_hz: u64,
    /// Physical address of the ACPI root pointer, or 0.
    pub rsdp: u64,
}

/// Why there is no first process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootError {
    /// The archive or the image in it is damaged.
    Format(FormatError),
    /// No region is large enough for the first process.
    NoMemory,
    /// A mapping failed: the image covers a range that is used otherwise.
    Mapping(Error),
}

impl From<FormatError> for BootError {
    fn from(error: FormatError) -> Self {
        Self::Format(error)
    }
}

impl From<Error> for BootError {
    fn from(error: Error) -> Self {
        Self::Mapping(error)
    }
}

/// Hands out pages from the start of a region.
struct Pages(Region);

impl Pages {
    fn take(&mut self, pages: u32) -> Result<PageNumber, BootError> {
        let first = self.0.first;
        self.0.pages = self.0.pages.checked_sub(pages).ok_or(BootError::NoMemory)?;
        self.0.first += pages;
        Ok(first)
    }
}

struct First {
    pages: Pages,
    table: Ref<CapTable>,
    space: Ref<AddressSpace>,
    thread: Ref<Thread>,
}

impl<M: Machine> Kernel<M> {
    /// Builds and starts the first process.
    ///
    /// # Errors
    /// [`BootError`] when the archive is damaged or memory does not suffice.
    pub fn boot(&mut self, plan: &Plan<'_>) -> Result<(), BootError> {
        let archive = Archive::open(plan.archive_bytes, false)?;
        let image = Image::open(archive.bytes(&archive.find(SUPERVISOR)?)?)?;
        if image.entry >= abi::USER_END {
            return Err(BootError::Format(FormatError::Range));
        }
        for region in plan.regions.iter().chain([&plan.archive]) {
            for page in region.first..region.first + region.pages {
                self.set_kind(page, ObjectKind::Memory);
            }
        }
        let largest = plan.regions.iter().enumerate().max_by_key(|(_, region)| region.pages);
        let (largest, region) = largest.ok_or(BootError::NoMemory)?;
        let mut first = self.make_first(Pages(*region))?;
        self.load_image(&mut first, &image)?;
        self.map_fresh(&mut first, abi::BOOT_STACK_TOP - abi::BOOT_STACK_PAGES * abi::PAGE_SIZE, abi::BOOT_STACK_PAGES as u32)?;
        let message = self.map_fresh(&mut first, abi::BOOT_MESSAGE_PAGE, 1)?;
        if let Some(info) = self.machine.page_info(message) {
            info.pins += 1;
        }
        self.thread(first.thread).message_page = message;
        self.thread(first.thread).note_oddities();
        self.map_archive(&first, plan.archive)?;
        self.grant(&first, plan);
        let info = self.grant_memory(&mut first, plan, largest)?;
        self.write_boot_info(&info);
        let thread = self.thread(first.thread);
        thread.set_level(PRIORITY);
        thread.frame.rip = image.entry;
        thread.frame.rsp = abi::BOOT_STACK_TOP - 8;
        self.start_thread(first.thread)?;
        Ok(())
    }

    fn make_object<T>(&mut self, pages: &mut Pages, kind: ObjectKind, count: u32) -> Result<Ref<T>, BootError> {
        let first = pages.take(count)?;
        for page in first..first + count {
            page::zero(&mut self.machine, page);
            self.set_kind(page, kind);
        }
        Ok(Ref::at(self.machine.page_address(first)))
    }

    fn make_first(&mut self, mut pages: Pages) -> Result<First, BootError> {
        let slots = boot_slot::SLOTS / abi::SLOTS_PER_PAGE;
        let table: Ref<CapTable> = self.make_object(&mut pages, ObjectKind::CapTable, slots)?;
        (0..slots).for_each(|_| self.grow_table(table));
        let space: Ref<AddressSpace> = self.make_object(&mut pages, ObjectKind::AddressSpace, 1)?;
        for _ in 0..TABLE_PAGES {
            let page = pages.take(1)?;
            page::zero(&mut self.machine, page);
            self.set_kind(page, ObjectKind::PageTable);
            self.donate(space, page);
        }
        let thread: Ref<Thread> = self.make_object(&mut pages, ObjectKind::Thread, 1)?;
        self.init_thread(thread);
        let entry = self.thread(thread);
        entry.table = table;
        entry.space = space;
        self.note_reply_slot(thread);
        self.table(table).users = 1;
        self.space(space).users = 1;
        self.first_space = space;
        Ok(First { pages, table, space, thread })
    }

    fn load_image(&mut self, first: &mut First, image: &Image<'_>) -> Result<(), BootError> {
        for segment in image.segments() {
            let start = first.pages.take(segment.pages)?;
            let mut flags = MapFlags::READ;
            if segment.flags & SEGMENT_WRITE != 0 {
                flags |= MapFlags::WRITE;
            }
            if segment.flags & SEGMENT_EXECUTE != 0 {
                flags |= MapFlags::EXECUTE;
            }
            let mut chunks = image.bytes(&segment).chunks(PAGE_BYTES);
            for index in 0..segment.pages {
                page::zero(&mut self.machine, start + index);
                if let Some(chunk) = chunks.next() {
                    let page = page::bytes(&mut self.machine, start + index);
                    page.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
                }
                self.map_one(first.space, segment.address + u64::from(index) * abi::PAGE_SIZE, start + index, flags)?;
            }
        }
        Ok(())
    }

    /// Maps zeroed pages, writable. Returns the first of them.
    fn map_fresh(&mut self, first: &mut First, address: u64, pages: u32) -> Result<PageNumber, BootError> {
        let start = first.pages.take(pages)?;
        for index in 0..pages {
            page::zero(&mut self.machine, start + index);
            self.map_one(first.space, address + u64::from(index) * abi::PAGE_SIZE, start + index, MapFlags::READ | MapFlags::WRITE)?;
        }
        Ok(start)
    }

    fn map_archive(&mut self, first: &First, archive: Region) -> Result<(), BootError> {
        for index in 0..archive.pages {
            let address = abi::ARCHIVE_ADDRESS + u64::from(index) * abi::PAGE_SIZE;
            self.map_one(first.space, address, archive.first + index, MapFlags::READ)?;
        }
        Ok(())
    }

    fn give(&mut self, first: &First, index: u32, slot: Slot) {
        self.put(SlotPlace { table: first.table, index }, slot);
    }

    fn object_slot(&mut self, kind: ObjectKind, address: u64) -> Slot {
        let page = self.machine.page_of(address);
        Slot { rights: Rights::ALL, kind: kind as u8, first: page, epoch: self.epoch, object: address, ..Slot::default() }
    }

    /// The capabilities to the process itself and to the machine.
    fn grant(&mut self, first: &First, plan: &Plan<'_>) {
        let table = self.object_slot(ObjectKind::CapTable, first.table.address());
        let space = self.object_slot(ObjectKind::AddressSpace, first.space.address());
        let thread = self.object_slot(ObjectKind::Thread, first.thread.address());
        let range = |kind: ObjectKind, rights: u8, first: u32, count: u64| Slot { rights, kind: kind as u8, first, object: count, ..Slot::default() };
        let epoch = self.epoch;
        let lines = u64::from(self.machine.lines());
        self.give(first, boot_slot::TABLE, table);
        self.give(first, boot_slot::SPACE, space);
        self.give(first, boot_slot::THREAD, thread);
        self.give(first, boot_slot::PORTS, range(ObjectKind::IoPorts, Rights::ALL, 0, abi::ALL_PORTS));
        self.give(first, boot_slot::IRQS, range(ObjectKind::Irq, Rights::ALL, 0, lines));
        let archive = range(ObjectKind::Memory, Rights::READ, plan.archive.first, u64::from(plan.archive.pages));
        self.give(first, boot_slot::ARCHIVE, Slot { epoch, ..archive });
    }

    /// Owned capabilities to all memory that is left, and what the first process is told.
    fn grant_memory(&mut self, first: &mut First, plan: &Plan<'_>, largest: usize) -> Result<(BootInfoPage, BootInfo), BootError> {
        let page = self.map_fresh(first, abi::BOOT_INFO_ADDRESS, 1)?;
        let mut info = BootInfo {
            tsc_hz: plan.tsc_hz,
            archive_bytes: plan.archive_bytes.len() as u64,
            rsdp: plan.rsdp,
            total_pages: plan.regions.iter().map(|region| u64::from(region.pages)).sum(),
            processors: self.processors() as u64,
            ..BootInfo::default()
        };
        let rest = first.pages.0;
        let others = plan.regions.iter().enumerate().filter(|(index, _)| *index != largest).map(|(_, region)| *region);
        for (index, region) in core::iter::once(rest).chain(others).filter(|region| region.pages != 0).take(MAX_REGIONS).enumerate() {
            let slot = Slot {
                rights: Rights::ALL,
                kind: ObjectKind::Memory as u8,
                first: region.first,
                epoch: self.epoch,
                object: u64::from(region.pages),
                ..Slot::default()
            };
            self.give(first, boot_slot::FIRST_MEMORY + index as u32, slot);
            info.memories += 1;
            if let Some(pages) = info.memory_pages.get_mut(index) {
                *pages = u64::from(region.pages);
            }
        }
        Ok((BootInfoPage(page), info))
    }

    fn write_boot_info(&mut self, info: &(BootInfoPage, BootInfo)) {
        let (BootInfoPage(page), info) = *info;
        let words = page::words(&mut self.machine, page);
        let header = [info.tsc_hz, info.archive_bytes, info.memories];
        let tail = [info.rsdp, info.total_pages, info.processors];
        for (to, from) in words.iter_mut().zip(header.into_iter().chain(info.memory_pages).chain(tail)) {
            *to = from;
        }
    }
}

/// The page that the boot information is written to.
#[derive(Clone, Copy)]
struct BootInfoPage(PageNumber);

const _: () = assert!(size_of::<BootInfo>() == (3 + MAX_REGIONS + 3) * 8);
