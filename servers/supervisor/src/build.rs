//! Building an instance: objects, address space, capabilities, registers. Nothing of it runs until the last step.
//!
//! Pages are mapped writable, filled through the space with `CopyTo`, and then protected: so the supervisor needs no window of its own and never
//! has a page of a server in its space. A step that fails leaves a half-built instance, which is reaped as any dead one.

use abi::{Error, Frame, MapFlags, ObjectKind, PAGE_SIZE, Rights, ThreadSetting, boot, boot_slot, thread_flags};
use libsys::layout;
use protocols::service::{Badge, Service};
use protocols::supervisor::StartInfo;

use crate::kernel::{Kernel, Mint, Range};
use crate::reserve::Run;
use crate::shape::Shape;
use crate::slot::{self, Block};
use crate::spec::Spec;

/// Bytes of encoded start information at most: the options' text and what memory is told about, with room to spare.
const START_INFO_BYTES: usize = PAGE_SIZE as usize;
const READ_WRITE: u64 = MapFlags::READ | MapFlags::WRITE;

/// Where the root file system's archive lies in the boot archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RootFs {
    /// First page.
    pub page: u64,
    /// Bytes.
    pub bytes: u64,
}

impl RootFs {
    /// Its pages.
    #[must_use]
    pub const fn pages(self) -> u64 {
        self.bytes.div_ceil(PAGE_SIZE)
    }
}

/// An instance that is being built.
#[derive(Clone, Copy, Debug)]
pub struct Site<'s, 'a> {
    /// What it is given.
    pub spec: &'s Spec<'a>,
    /// Its number.
    pub instance: u32,
    /// Where its objects' capabilities go.
    pub block: Block,
    /// Its pages.
    pub run: Run,
    /// Which page is what.
    pub shape: Shape,
    /// First page of what the service keeps for its saved state, for memory alone.
    pub saved: Run,
    /// The root file system.
    pub rootfs: RootFs,
    /// Processors that its threads can be placed on.
    pub processors: u32,
}

impl Site<'_, '_> {
    fn range(&self, page: u64, pages: u64) -> Range {
        Range { memory: slot::RESERVE, page: self.run.page + page, pages }
    }

    fn badge(&self) -> u64 {
        Badge::new(self.spec.service, self.instance).to_word()
    }
}

/// Makes the objects and the address space, with `info` in the start pages.
///
/// # Errors
/// The kernel's; [`Error::InvalidArgument`] for start information that does not fit.
pub fn build(kernel: &mut impl Kernel, site: &Site<'_, '_>, info: &StartInfo) -> Result<(), Error> {
    make_objects(kernel, site)?;
    if site.spec.is_paged() {
        kernel.set_pager(site.block.space(), slot::endpoint(Service::Memory))?;
    }
    let tables = site.range(site.shape.tables, site.shape.tables_pages);
    in_steps(tables, |range| kernel.add_tables(site.block.space(), range))?;
    map_image(kernel, site)?;
    map_rest(kernel, site)?;
    write_start_info(kernel, site, info)?;
    for thread in 0..site.spec.all_threads() {
        configure(kernel, site, thread)?;
    }
    Ok(())
}

fn make_objects(kernel: &mut impl Kernel, site: &Site<'_, '_>) -> Result<(), Error> {
    let shape = &site.shape;
    for thread in 0..site.spec.all_threads() {
        kernel.retype(site.range(u64::from(thread), 1), ObjectKind::Thread, site.block.thread(thread))?;
    }
    kernel.retype(site.range(shape.table, shape.table_pages), ObjectKind::CapTable, site.block.table())?;
    kernel.retype(site.range(shape.space, 1), ObjectKind::AddressSpace, site.block.space())
}

fn map_image(kernel: &mut impl Kernel, site: &Site<'_, '_>) -> Result<(), Error> {
    let mut page = site.shape.image;
    for segment in site.spec.image.segments() {
        let pages = u64::from(segment.pages);
        map(kernel, site.block.space(), segment.address, site.range(page, pages), READ_WRITE)?;
        copy(kernel, site.block.space(), segment.address, site.spec.image.bytes(&segment))?;
        protect(kernel, site.block.space(), segment.address, pages, segment_flags(segment.flags))?;
        page += pages;
    }
    Ok(())
}

const fn segment_flags(flags: u32) -> u64 {
    let write = if flags & boot::SEGMENT_WRITE != 0 { MapFlags::WRITE } else { 0 };
    let execute = if flags & boot::SEGMENT_EXECUTE != 0 { MapFlags::EXECUTE } else { 0 };
    MapFlags::READ | write | execute
}

fn map_rest(kernel: &mut impl Kernel, site: &Site<'_, '_>) -> Result<(), Error> {
    let (space, shape) = (site.block.space(), &site.shape);
    for thread in 0..u64::from(site.spec.all_threads()) {
        map(kernel, space, layout::message_page(thread), site.range(shape.messages + thread, 1), READ_WRITE)?;
        let stack = site.range(shape.stacks + thread * layout::STACK_PAGES, layout::STACK_PAGES);
        map(kernel, space, layout::stack_bottom(thread), stack, READ_WRITE)?;
    }
    map(kernel, space, layout::LOG, site.range(shape.log, 1), READ_WRITE)?;
    map(kernel, space, layout::HEAP, site.range(shape.heap, shape.heap_pages), READ_WRITE)?;
    let saved = Range { memory: slot::RESERVE, page: site.saved.page, pages: site.saved.pages };
    map(kernel, space, layout::SAVED, saved, READ_WRITE)?;
    if site.spec.rootfs {
        let archive = Range { memory: boot_slot::ARCHIVE, page: site.rootfs.page, pages: site.rootfs.pages() };
        map(kernel, space, layout::ROOTFS, archive, MapFlags::READ)?;
    }
    Ok(())
}

fn write_start_info(kernel: &mut impl Kernel, site: &Site<'_, '_>, info: &StartInfo) -> Result<(), Error> {
    let mut bytes = [0; START_INFO_BYTES];
    let (length, body) = bytes.split_at_mut(size_of::<u32>());
    let used = protocols::wire::encode(info, body).map_err(|_| Error::InvalidArgument)?;
    length.copy_from_slice(&(used as u32).to_le_bytes());
    let filled = bytes.get(..size_of::<u32>() + used).ok_or(Error::InvalidArgument)?;
    let space = site.block.space();
    map(kernel, space, layout::START_INFO, site.range(site.shape.start_info, layout::START_INFO_PAGES), READ_WRITE)?;
    copy(kernel, space, layout::START_INFO, filled)?;
    protect(kernel, space, layout::START_INFO, layout::START_INFO_PAGES, MapFlags::READ)
}

fn configure(kernel: &mut impl Kernel, site: &Site<'_, '_>, thread: u32) -> Result<(), Error> {
    let handle = site.block.thread(thread);
    let message = site.range(site.shape.messages + u64::from(thread), 1);
    let mut set = |setting, first: u64, second: u64| kernel.configure(handle, setting, first, second);
    set(ThreadSetting::Space, u64::from(site.block.space()), 0)?;
    set(ThreadSetting::Table, u64::from(site.block.table()), 0)?;
    if site.spec.keeps > 0 {
        set(ThreadSetting::Vault, u64::from(slot::vault(site.spec.service)), 0)?;
    }
    set(ThreadSetting::FaultEndpoint, u64::from(slot::endpoint(Service::Supervisor)), 0)?;
    set(ThreadSetting::MessagePage, u64::from(message.memory), message.page)?;
    set(ThreadSetting::Priority, u64::from(site.spec.priority_of(thread)), 0)?;
    let badge = Badge::new(site.spec.service, site.instance).to_word_of_thread(thread as u8);
    set(ThreadSetting::Badge, badge, 0)?;
    set(ThreadSetting::Processor, site.spec.place(site.processors), 0)?;
    if site.spec.fpu {
        set(ThreadSetting::Flags, thread_flags::FPU, 0)?;
    }
    let rsp = layout::stack_top(u64::from(thread)) - 8;
    kernel.set_frame(handle, &Frame { rip: site.spec.image.entry, rsp, rdi: u64::from(thread), ..Frame::new() })
}

/// Puts the declared capabilities into the instance's table. `others` are the services of this machine with what they call.
///
/// # Errors
/// The kernel's.
pub fn wire<'o>(kernel: &mut impl Kernel, site: &Site<'_, '_>, others: impl Iterator<Item = &'o Spec<'o>> + Clone) -> Result<(), Error> {
    let (table, service) = (site.block.table(), site.spec.service);
    let mut put = |to, from, rights, badge| kernel.copy(table, to, from, Mint { rights, badge });
    // Who keeps threads of its own names its endpoint as their pager and personality, which takes the right to call it.
    let personality = if site.spec.keeps > 0 { Rights::CALL } else { 0 };
    put(libsys::slot::ENDPOINT, slot::endpoint(service), Rights::RECEIVE | personality, None)?;
    put(libsys::slot::NOTIFICATION, slot::notification(service), Rights::WAIT | Rights::CONTROL | Rights::SIGNAL, None)?;
    put(libsys::slot::SUPERVISOR, slot::endpoint(Service::Supervisor), Rights::CALL, Some(site.badge()))?;
    put(libsys::slot::TABLE, table, Rights::INSERT | Rights::TAKE, None)?;
    if site.spec.keeps > 0 {
        put(libsys::slot::VAULT, slot::vault(service), Rights::INSERT | Rights::TAKE | Rights::CONTROL, None)?;
    }
    for peer in others.clone().filter(|peer| site.spec.calls.contains(&peer.service)) {
        put(libsys::slot::peer(peer.service), slot::endpoint(peer.service), Rights::CALL, Some(site.badge()))?;
    }
    for caller in others.filter(|caller| caller.calls.contains(&service)) {
        put(libsys::slot::notification_of(caller.service), slot::notification(caller.service), Rights::SIGNAL, None)?;
    }
    for (index, ports) in (0..).zip(&site.spec.ports) {
        let to = libsys::slot::PORTS + index;
        match kernel.give(table, to, slot::ports(service, index)) {
            Err(Error::InvalidHandle) => kernel.derive(table, to, boot_slot::PORTS, u64::from(ports.first), u64::from(ports.count))?,
            // The predecessor's, with the record of what reached the device.
            given => given?,
        }
    }
    for (to, line) in (libsys::slot::IRQ..).zip(&site.spec.irqs) {
        kernel.derive(table, to, boot_slot::IRQS, u64::from(*line), 1)?;
    }
    Ok(())
}

fn map(kernel: &mut impl Kernel, space: u32, address: u64, range: Range, flags: u64) -> Result<(), Error> {
    in_steps(range, |rest| kernel.map(space, address + (rest.page - range.page) * PAGE_SIZE, rest, flags))
}

fn protect(kernel: &mut impl Kernel, space: u32, address: u64, pages: u64, flags: u64) -> Result<(), Error> {
    in_steps(Range { memory: 0, page: 0, pages }, |rest| kernel.protect(space, address + rest.page * PAGE_SIZE, rest.pages, flags))
}

fn copy(kernel: &mut impl Kernel, space: u32, address: u64, bytes: &[u8]) -> Result<(), Error> {
    let mut done = 0;
    while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
        let copied = kernel.copy_to(space, address + done as u64, rest)?;
        if copied == 0 {
            return Err(Error::InvalidArgument);
        }
        done += copied as usize;
    }
    Ok(())
}

/// Goes through a range with an operation that does a part of it at a time.
fn in_steps(range: Range, mut operation: impl FnMut(Range) -> Result<u64, Error>) -> Result<(), Error> {
    let mut done = 0;
    while done < range.pages {
        let rest = Range { page: range.page + done, pages: range.pages - done, ..range };
        match operation(rest)? {
            0 => return Err(Error::InvalidArgument),
            pages => done += pages,
        }
    }
    Ok(())
}
