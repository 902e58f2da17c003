//! Memory's operations in the machine, and the server around its logic.

use abi::{Error, MapFlags, ObjectKind, Rights};
use libsys::serve::{Outcome, PageFault, Server};
use libsys::syscall::{self, MapSource};
use protocols::memory;
use protocols::serve::{Answer, Caller, Serve};
use protocols::service::Badge;

use crate::blocks::BLOCK;
use crate::kernel::{Described, Kernel, Table, slot};
use crate::pager::Verdict;
use crate::server::Memory;

const READ_WRITE: u64 = MapFlags::READ | MapFlags::WRITE;

/// The kernel under this process.
#[derive(Debug, Default)]
pub struct Native;

/// Handle of a table.
fn table(table: Table) -> u32 {
    match table {
        Table::Own => libsys::slot::VAULT,
        Table::Buyer(service) => vault(slot::BUYERS + u32::from(service)),
    }
}

/// Handle of a vault slot.
const fn vault(slot: u32) -> u32 {
    libsys::slot::vault(slot)
}

impl Kernel for Native {
    fn describe(&mut self, of: Table, slot: u32) -> Result<Described, Error> {
        let found = syscall::describe(table(of), slot)?;
        let kind = if found.valid { found.kind } else { ObjectKind::Empty };
        Ok(Described { kind, first: found.first, pages: found.count, badge: found.badge })
    }

    fn free_pages(&mut self, piece: u32, page: u64) -> Result<u64, Error> {
        syscall::free_pages(vault(piece), page)
    }

    fn split(&mut self, piece: u32, page: u64, to: Table, slot: u32) -> Result<(), Error> {
        syscall::split(vault(piece), page, table(to), slot)
    }

    fn merge(&mut self, piece: u32, next: u32) -> Result<(), Error> {
        syscall::merge(vault(piece), vault(next))
    }

    fn relocate(&mut self, from: Table, from_slot: u32, to: Table, to_slot: u32) -> Result<(), Error> {
        syscall::move_from(table(to), to_slot, table(from), from_slot)
    }

    fn make_region(&mut self, piece: u32, page: u64, slot: u32) -> Result<(), Error> {
        syscall::retype(vault(piece), page, ObjectKind::AddressSpace, 1, table(Table::Own), slot)
    }

    fn lend_region(&mut self, region: u32, slot: u32, rights: u8) -> Result<(), Error> {
        syscall::transfer(table(Table::Own), slot, table(Table::Own), region, rights & !Rights::MAP, None, false)
    }

    fn add_table(&mut self, space: u32, piece: u32, page: u64) -> Result<(), Error> {
        syscall::add_tables(vault(space), MapSource { memory: vault(piece), first: page, pages: 1 })
    }

    fn map_zeroed(&mut self, space: u32, address: u64, piece: u32, page: u64, pages: u64) -> Result<u64, Error> {
        let source = MapSource { memory: vault(piece), first: page, pages };
        syscall::map(vault(space), address, source, READ_WRITE | MapFlags::ZERO)
    }

    fn map_huge(&mut self, space: u32, address: u64, piece: u32, page: u64) -> Result<(), Error> {
        let mut zeroed = 0;
        while zeroed < BLOCK {
            zeroed += syscall::reclaim(vault(piece), page + zeroed, BLOCK - zeroed)?;
        }
        let source = MapSource { memory: vault(piece), first: page, pages: BLOCK };
        syscall::map(vault(space), address, source, READ_WRITE | MapFlags::HUGE).map(|_all| ())
    }

    fn list(&mut self, space: u32, address: u64, words: &mut [u64]) -> Result<usize, Error> {
        syscall::list(vault(space), address, words)
    }

    fn unmap(&mut self, space: u32, address: u64, pages: u64) -> Result<u64, Error> {
        syscall::unmap(vault(space), address, pages)
    }

    fn share(&mut self, space: u32, address: u64, source: u32, source_address: u64, pages: u64) -> Result<u64, Error> {
        syscall::share(vault(space), address, vault(source), source_address, pages, READ_WRITE)
    }

    fn unshare(&mut self, space: u32, address: u64, piece: u32, page: u64) -> Result<(), Error> {
        syscall::unshare(vault(space), address, vault(piece), page).map(|_used| ())
    }
}

impl Serve for Memory<'_, Native> {
    fn serve(&mut self, caller: &mut dyn Caller, request: &[u8], reply: &mut [u8]) -> Answer {
        memory::serve(self, caller, request, reply)
    }

    fn notified(&mut self, _dead: u64) {
        self.peer_died();
    }
}

impl Server for Memory<'_, Native> {
    fn page_fault(&mut self, fault: &PageFault) -> Outcome {
        match self.fault(Badge::from_word(fault.badge), fault.address, fault.access) {
            Verdict::Resume => Outcome::Reply(abi::ReplyKind::Resume, 0),
            Verdict::Decline | Verdict::OutOfMemory => Outcome::Reply(abi::ReplyKind::Decline, 0),
        }
    }
}
