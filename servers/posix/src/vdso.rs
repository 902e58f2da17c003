//! The vDSO: clocks that a program reads without a call.
//!
//! A small ELF shared object ([`image`], around the code of [`code`]) and a page of the clock's parameters ([`clock`]) lie in a region that no thread runs in
//! and that outlives this instance; exec shares both into every program, read only, and tells it by `AT_SYSINFO_EHDR`. A page that went, or that a fork did
//! not take along, is shared again by the fault handler. The clock is the one that the calls show, by the same arithmetic ([`clock::Rate`]), so
//! that a program which uses both never sees time go back.
//!
//! Why the image is laid out here and not by a linker: it refers to nothing, so there is nothing to link; a fresh machine needs no tool for it; and the
//! tests run the very bytes on the host. Absent: unwind tables (nothing in it can throw) and the version note (the C library asks `uname`).

pub mod clock;
pub mod code;
pub mod image;

use abi::{MapFlags, ObjectKind};

use crate::errno::Errno;
use crate::fault::Refused;
use crate::kernel::{CopyFault, Kernel, Origin};
use crate::saved::{MapIndex, Vma, slot};
use crate::server::Posix;
use crate::space::{kernel_errno, map_flags};
use crate::vma::{Areas, EXEC, PAGE, READ, STACK_TOP, VDSO, VVAR, WRITE};
use clock::ClockPage;

/// Where the clock's page lies, in the region and in every program: above the stack, where it needs no page table of its own (as Linux's `vdso_addr`
/// reasons), with a page of nothing in between.
pub const VVAR_ADDRESS: u64 = STACK_TOP + PAGE;
/// Where the image lies: the code finds the clock's page right before it.
pub const ADDRESS: u64 = VVAR_ADDRESS + PAGE;

const _: () = assert!(ADDRESS + PAGE <= abi::USER_END);

impl Posix<'_> {
    /// Makes the region, or finds the predecessor's. Without memory for it programs go without.
    pub fn prepare_vdso(&mut self) {
        self.has_vdso = self.make_vdso().is_ok();
        if !self.has_vdso {
            self.kernel.log("posix: no vDSO: clocks are calls");
        }
    }

    fn make_vdso(&mut self) -> Result<(), Errno> {
        let region = slot::VDSO;
        if self.kernel.describe(region).is_none() {
            let source = self.frames.take(self.kernel)?;
            self.kernel.retype(source, ObjectKind::AddressSpace, region).map_err(kernel_errno)?;
        }
        let mut present = [0; 2];
        self.kernel.list(region, VVAR_ADDRESS, &mut present).map_err(kernel_errno)?;
        if present[0] == 0 {
            self.map_zero_in(region, VVAR_ADDRESS, 1, MapFlags::READ | MapFlags::WRITE)?;
        }
        // Protected last: an image that can be executed is whole.
        if present[1] & MapFlags::EXECUTE == 0 {
            self.map_zero_in(region, ADDRESS, 1, MapFlags::READ | MapFlags::WRITE)?;
            write(self.kernel, ADDRESS, &image::build(code::code(), code::entries()))?;
            self.kernel.protect(region, ADDRESS, 1, MapFlags::READ | MapFlags::EXECUTE).map_err(kernel_errno)?;
        }
        self.write_clock_page()
    }

    /// Tells programs the clock's parameters.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn write_clock_page(&mut self) -> Result<(), Errno> {
        let processor = self.kernel.processor();
        let page = ClockPage {
            counter: processor.counts_steadily && !self.options.clock_calls,
            processor: processor.names_itself,
            rate: clock::Rate::new(self.kernel.ticks_per_second()),
            wall_offset_ns: self.wall_offset_ns(),
        };
        // A predecessor may have died between the two: then programs wait for this.
        let mut old = [0; 4];
        let copied = self.kernel.copy_from(slot::VDSO, VVAR_ADDRESS, &mut old).map_err(copy_errno)?;
        let [changing, done] = if copied == old.len() { clock::next_sequences(u32::from_le_bytes(old)) } else { [1, 2] };
        write(self.kernel, VVAR_ADDRESS, &changing.to_le_bytes())?;
        write(self.kernel, VVAR_ADDRESS + clock::BODY_OFFSET, &page.body())?;
        write(self.kernel, VVAR_ADDRESS, &done.to_le_bytes())
    }

    /// What is added to the time since the machine started for the wall clock.
    pub fn wall_offset_ns(&mut self) -> u64 {
        self.kernel.wall_base_ns().wrapping_add(self.store.globals().clock_offset_ns)
    }

    /// Puts the vDSO into a new program. Returns what `AT_SYSINFO_EHDR` says.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn map_vdso(&mut self, map: MapIndex, areas: &mut Areas) -> Result<u64, Errno> {
        if !self.has_vdso {
            return Ok(0);
        }
        for area in [
            Vma { start: VVAR_ADDRESS, end: VVAR_ADDRESS + PAGE, flags: READ | VVAR, ..Vma::default() },
            Vma { start: ADDRESS, end: ADDRESS + PAGE, flags: READ | EXEC | VDSO, ..Vma::default() },
        ] {
            areas.insert(area);
            self.share_vdso(map, &area, area.start)?;
        }
        Ok(ADDRESS)
    }

    /// A page of the vDSO is missing in a program.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn fault_in_vdso(&mut self, map: MapIndex, area: &Vma, page: u64) -> Result<(), Refused> {
        Ok(self.share_vdso(map, area, page)?)
    }

    fn share_vdso(&mut self, map: MapIndex, area: &Vma, page: u64) -> Result<(), Errno> {
        let from = if area.flags & VVAR != 0 { VVAR_ADDRESS } else { ADDRESS };
        self.share(map, page, Origin::Space(slot::VDSO), from, 1, map_flags(area.flags & !WRITE))
    }
}

fn copy_errno(fault: CopyFault) -> Errno {
    match fault {
        CopyFault::NeedsPage { .. } => Errno::EFAULT,
        CopyFault::Refused(error) => kernel_errno(error),
    }
}

/// Writes into a page of the region.
fn write(kernel: &mut dyn Kernel, address: u64, bytes: &[u8]) -> Result<(), Errno> {
    let copied = kernel.copy_to(slot::VDSO, address, bytes).map_err(copy_errno)?;
    if copied == bytes.len() { Ok(()) } else { Err(Errno::EFAULT) }
}
