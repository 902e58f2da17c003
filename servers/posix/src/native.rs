//! [`Kernel`] as it is: each method one kernel operation; and the receive loop's side of [`Posix`].

use core::arch::x86_64::{__cpuid, CpuidResult};

use abi::{Error, Frame, Lease, ObjectKind, ReplyKind, RequestNumber, ThreadSetting, thread_flags};
use libsys::serve::{Exception, Outcome, PageFault, Reflected, Server};
use libsys::syscall::{self, CopyError, MapSource, Stopped};
use libsys::{Peer, clock, slot as own_slot, start};
use protocols::call::{CallError, Carrier};
use protocols::memory;
use protocols::serve::{Answer, Caller, Serve};
use protocols::service::{Badge, Service};

use crate::kernel::{CopyFault, Doing, Kernel, Origin, Processor, Source, Ticks, Was};
use crate::options::Options;
use crate::place;
use crate::replies::{self, Ending};
use crate::saved::{LANES, Lane};
use crate::server::{Incoming, Posix};
use crate::syscall::sched::PROGRAM_LEVEL;
use crate::vdso::clock::Rate;

/// Own slot of the page cache's region.
const PAGE_CACHE: u32 = own_slot::FREE;
/// States of a thread, as `Counters` tells them.
const STATE_STOPPED: u64 = 0;
const STATE_RUNNABLE: u64 = 1;

/// The kernel.
pub struct Native {
    page_cache: bool,
    /// Of the time-stamp counter: what the vDSO calculates with, so that both show one clock.
    rate: Rate,
    random: u64,
    processors: usize,
}

impl Native {
    /// Asked nothing yet.
    #[must_use]
    pub fn new() -> Self {
        let info = start::info();
        let processors = if Options::parse(&info.options).on_first { 1 } else { info.processors.max(1) };
        Self { page_cache: false, rate: Rate::new(info.tsc_hz), random: clock::now_ticks(), processors: processors as usize }
    }

    fn page_cache(&mut self) -> Result<u32, Error> {
        if !self.page_cache {
            let peer = Peer::to(Service::Memory).receiving_into(PAGE_CACHE);
            let mut client = memory::Client(peer);
            client.region(libsys::next_number(), Service::Vfs.id()).map_err(|_| Error::KernelLimit)?;
            self.page_cache = true;
        }
        Ok(PAGE_CACHE)
    }
}

impl Default for Native {
    fn default() -> Self {
        Self::new()
    }
}

fn vault(slot: u32) -> u32 {
    own_slot::vault(slot)
}

fn map_source(source: Source) -> MapSource {
    MapSource { memory: vault(source.chunk), first: source.page, pages: source.pages }
}

fn copy_fault(error: CopyError) -> CopyFault {
    match error {
        CopyError::NeedsPage { address, write } => CopyFault::NeedsPage { address, write },
        CopyError::Kernel(error) => CopyFault::Refused(error),
    }
}

/// A thread that was stopped meanwhile needs no answer, and is nobody's to blame.
///
/// # Panics
/// For any other error: the thread whose Reply it was would wait for ever.
fn answered(result: Result<(), Error>) {
    match result {
        Ok(()) | Err(Error::ReplyGone) => {}
        Err(error) => panic!("a kept Reply is refused: {error:?}"),
    }
}

/// Whether memory did what it was asked for.
///
/// # Panics
/// For a refusal that only posix can have caused.
fn traded(result: Result<(), CallError<memory::Error>>) -> bool {
    if let Err(error) = &result {
        let is_corrupt = error.is_corruption() || matches!(error, CallError::Service(memory::Error::Malformed));
        assert!(!is_corrupt, "memory answers with what only posix can have got wrong: {error:?}");
    }
    result.is_ok()
}

/// Ends the instance: a program's message came under a badge that posix gave to nobody.
#[cold]
#[inline(never)]
fn unsound(badge: u64) -> ! {
    panic!("there is no lane with the badge {badge:#x}")
}

/// Ends the instance: its caller would be answered with anything.
#[cold]
#[inline(never)]
fn unanswered(lane: Lane) -> ! {
    panic!("lane {lane} waits for an answer that posix has not")
}

impl Kernel for Native {
    fn describe(&mut self, slot: u32) -> Option<(ObjectKind, u64)> {
        let described = match syscall::describe(own_slot::VAULT, slot) {
            Ok(described) => described,
            Err(error) => panic!("a slot of the vault is refused: {error:?}"),
        };
        (described.kind != ObjectKind::Empty && described.valid).then_some((described.kind, described.count))
    }

    fn delete(&mut self, slot: u32) {
        match syscall::delete(own_slot::VAULT, slot) {
            Err(error) if error.is_callers_own() => panic!("a slot of the vault is refused: {error:?}"),
            _done => {}
        }
    }

    fn free_pages(&mut self, chunk: u32, page: u64) -> Result<u64, Error> {
        syscall::free_pages(vault(chunk), page)
    }

    fn retype(&mut self, source: Source, kind: ObjectKind, slot: u32) -> Result<(), Error> {
        syscall::retype(vault(source.chunk), source.page, kind, 1, own_slot::VAULT, slot)
    }

    fn reclaim(&mut self, source: Source) -> Result<(), Error> {
        syscall::reclaim(vault(source.chunk), source.page, source.pages).map(drop)
    }

    fn map(&mut self, space: u32, address: u64, source: Source, flags: u64) -> Result<u64, Error> {
        syscall::map(vault(space), address, map_source(source), flags)
    }

    fn unmap(&mut self, space: u32, address: u64, pages: u64) -> Result<u64, Error> {
        syscall::unmap(vault(space), address, pages)
    }

    fn protect(&mut self, space: u32, address: u64, pages: u64, flags: u64) -> Result<u64, Error> {
        syscall::protect(vault(space), address, pages, flags)
    }

    fn share(&mut self, space: u32, address: u64, origin: Origin, from: u64, pages: u64, flags: u64) -> Result<u64, Error> {
        let source = match origin {
            Origin::Space(slot) => vault(slot),
            Origin::PageCache => self.page_cache()?,
        };
        syscall::share(vault(space), address, source, from, pages, flags)
    }

    fn clone_pages(&mut self, space: u32, address: u64, from_space: u32, from: u64, pages: u64, flags: u64) -> Result<u64, Error> {
        syscall::clone(vault(space), address, vault(from_space), from, pages, flags)
    }

    fn unshare(&mut self, space: u32, address: u64, source: Source) -> Result<bool, Error> {
        syscall::unshare(vault(space), address, vault(source.chunk), source.page)
    }

    fn list(&mut self, space: u32, address: u64, pages: &mut [u64]) -> Result<usize, Error> {
        syscall::list(vault(space), address, pages)
    }

    fn add_tables(&mut self, space: u32, source: Source) -> Result<(), Error> {
        syscall::add_tables(vault(space), map_source(source))
    }

    fn set_pager(&mut self, space: u32) -> Result<(), Error> {
        syscall::set_pager(vault(space), own_slot::ENDPOINT)
    }

    fn dismantle(&mut self, space: u32) -> Result<bool, Error> {
        syscall::dismantle(vault(space)).map(|left| left != 0)
    }

    fn copy_from(&mut self, space: u32, address: u64, to: &mut [u8]) -> Result<usize, CopyFault> {
        syscall::copy_from(vault(space), address, to).map_err(copy_fault)
    }

    fn copy_to(&mut self, space: u32, address: u64, from: &[u8]) -> Result<usize, CopyFault> {
        syscall::copy_to(vault(space), address, from).map_err(copy_fault)
    }

    fn copy_cached(&mut self, space: u32, address: u64, from: u64, bytes: usize) -> Result<usize, CopyFault> {
        let cache = self.page_cache().map_err(CopyFault::Refused)?;
        syscall::copy_across(vault(space), address, cache, from, bytes as u64).map_err(copy_fault)
    }

    fn copy_across(&mut self, space: u32, address: u64, source: u32, from: u64, bytes: usize) -> Result<usize, CopyFault> {
        syscall::copy_across(vault(space), address, vault(source), from, bytes as u64).map_err(copy_fault)
    }

    fn exchange(&mut self, space: u32, address: u64, expected: u32, new: u32) -> Result<u32, CopyFault> {
        syscall::exchange(vault(space), address, expected, new).map_err(copy_fault)
    }

    fn thread_init(&mut self, thread: u32, lane: Lane) -> Result<(), Error> {
        let endpoint = u64::from(own_slot::ENDPOINT);
        for (setting, value) in [
            (ThreadSetting::FaultEndpoint, endpoint),
            (ThreadSetting::Personality, endpoint),
            (ThreadSetting::Flags, thread_flags::FPU | thread_flags::REFLECT),
            (ThreadSetting::Badge, Badge::LANE | lane as u64),
            (ThreadSetting::Priority, PROGRAM_LEVEL),
            (ThreadSetting::Processor, place::processor_of(lane, place::all(self.processors())) as u64),
        ] {
            self.thread_configure(thread, setting, value)?;
        }
        Ok(())
    }

    fn thread_configure(&mut self, thread: u32, setting: ThreadSetting, value: u64) -> Result<(), Error> {
        syscall::thread_configure(vault(thread), setting, value, 0)
    }

    fn thread_space(&mut self, thread: u32, space: u32) -> Result<(), Error> {
        syscall::thread_configure(vault(thread), ThreadSetting::Space, u64::from(vault(space)), 0)
    }

    fn thread_start(&mut self, thread: u32) -> Result<(), Error> {
        syscall::thread_start(vault(thread))
    }

    fn thread_stop(&mut self, thread: u32) -> Result<Was, Error> {
        syscall::thread_stop(vault(thread)).map(|was| match was {
            Stopped::Before | Stopped::Waiting => Was::Stopped,
            Stopped::Running => Was::Running,
            Stopped::Calling => Was::Calling,
        })
    }

    fn get_frame(&mut self, thread: u32) -> Result<Frame, Error> {
        syscall::get_frame(vault(thread))
    }

    fn set_frame(&mut self, thread: u32, frame: &Frame) -> Result<(), Error> {
        syscall::set_frame(vault(thread), frame)
    }

    fn thread_state(&mut self, thread: u32) -> Result<(Ticks, Doing), Error> {
        let counters = syscall::counters(vault(thread))?;
        let doing = match counters.state {
            STATE_STOPPED => Doing::Stopped,
            STATE_RUNNABLE => Doing::Running,
            _ => Doing::Calling,
        };
        Ok((Ticks { user: counters.own_ticks, system: counters.behalf_ticks, calls: counters.calls }, doing))
    }

    fn reply(&mut self, _lane: Lane, slot: u32, kind: ReplyKind, value: u64) {
        if slot != replies::NONE {
            answered(libsys::reply(slot, kind, value));
        }
    }

    fn take_up(&mut self, slot: u32) {
        if slot != replies::NONE {
            answered(syscall::take_up(slot));
        }
    }

    fn check_code(&self) {
        libsys::text::check();
    }

    fn now_ns(&mut self) -> u64 {
        self.rate.ns(clock::now_ticks())
    }

    fn wall_base_ns(&mut self) -> u64 {
        start::info().wall_base_ns
    }

    fn processors(&self) -> usize {
        self.processors
    }

    fn ticks_per_second(&self) -> u64 {
        start::info().tsc_hz
    }

    fn processor(&self) -> Processor {
        const EXTENDED: u32 = 0x8000_0000;
        const HYPERVISOR: u32 = 0x4000_0000;
        // QEMU's translator: its counter is the host's clock, but it knows no bit to say so.
        const TRANSLATOR: [u32; 3] = [u32::from_le_bytes(*b"TCGT"), u32::from_le_bytes(*b"CGTC"), u32::from_le_bytes(*b"GTCG")];
        let last = __cpuid(EXTENDED).eax;
        let has = |leaf: u32, word: fn(CpuidResult) -> u32, bit: u32| last >= leaf && word(__cpuid(leaf)) >> bit & 1 != 0;
        let is_translated = __cpuid(1).ecx >> 31 != 0 && {
            let CpuidResult { ebx, ecx, edx, .. } = __cpuid(HYPERVISOR);
            [ebx, ecx, edx] == TRANSLATOR
        };
        Processor {
            counts_steadily: has(EXTENDED + 7, |words| words.edx, 8) || is_translated,
            names_itself: has(EXTENDED + 1, |words| words.edx, 27),
        }
    }

    fn cpuid(&self, leaf: u32) -> [u32; 4] {
        let CpuidResult { eax, ebx, ecx, edx } = __cpuid(leaf);
        [eax, ebx, ecx, edx]
    }

    fn set_deadline(&mut self, at_ns: Option<u64>) {
        let ticks = at_ns.map_or(0, clock::ticks_at);
        if let Err(error) = syscall::deadline(own_slot::NOTIFICATION, ticks) {
            libsys::log!("no deadline: {error:?}");
        }
    }

    fn entropy(&mut self) -> u64 {
        // Weyl sequence stirred with the counter's low bits; the caller spreads them.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ clock::now_ticks().rotate_left(32);
        self.random
    }

    fn hardware_random(&mut self) -> Option<u64> {
        libsys::random::hardware()
    }

    fn log(&mut self, line: &str) {
        libsys::log!("{line}");
    }

    fn attempt(&mut self, service: Service, number: RequestNumber, message: &[u8], leases: &[Lease], reply: &mut [u8]) -> Result<usize, Error> {
        Peer::to(service).attempt(number, message, leases, &[], reply)
    }

    fn own_number(&mut self) -> RequestNumber {
        libsys::next_number()
    }

    fn lend(&mut self, bytes: &[u8]) -> Lease {
        Lease { address: bytes.as_ptr() as u64, length: bytes.len() as u64, reply: 0, index: 0, rights: Lease::READ }
    }

    fn lend_mut(&mut self, bytes: &mut [u8]) -> Lease {
        Lease { address: bytes.as_mut_ptr() as u64, length: bytes.len() as u64, reply: 0, index: 0, rights: Lease::WRITE }
    }

    fn buy(&mut self, pages: u32, slot: u32) -> bool {
        let mut client = memory::Client(Peer::to(Service::Memory));
        traded(client.buy(libsys::next_number(), pages, slot))
    }

    fn give_back(&mut self, slot: u32) -> bool {
        let mut client = memory::Client(Peer::to(Service::Memory));
        traded(client.give_back(libsys::next_number(), slot))
    }
}

impl Serve for Posix<'_> {
    /// Nobody calls posix: see `protocols::posix`.
    fn serve(&mut self, _caller: &mut dyn Caller, _request: &[u8], reply: &mut [u8]) -> Answer {
        protocols::posix::refuse(reply)
    }

    fn notified(&mut self, bits: u64) {
        Posix::notified(self, bits);
    }
}

impl Posix<'_> {
    #[inline(always)]
    fn receive_from(&mut self, badge: u64, reply: u32, number: RequestNumber, incoming: Incoming) -> Outcome {
        let lane = (badge & !Badge::LANE) as usize;
        if badge & Badge::LANE == 0 || lane >= LANES {
            unsound(badge);
        }
        match self.receive(lane, reply, number, incoming) {
            Ending::Answer(kind, value) => Outcome::Reply(kind, value),
            Ending::Kept => Outcome::Keep,
            Ending::Stale => {
                // To nobody, which empties the slot for the next message: a caller that still waits must not hear this.
                if syscall::take_up(reply) != Err(Error::ReplyGone) {
                    unanswered(lane);
                }
                Outcome::Reply(ReplyKind::Resume, 0)
            }
        }
    }
}

impl Server for Posix<'_> {
    fn page_fault(&mut self, fault: &PageFault) -> Outcome {
        self.receive_from(fault.badge, fault.reply, fault.number, Incoming::PageFault { address: fault.address, access: fault.access })
    }

    fn exception(&mut self, exception: &Exception) -> Outcome {
        let incoming = Incoming::Exception { vector: exception.vector, code: exception.code, address: exception.address };
        self.receive_from(exception.badge, exception.reply, exception.number, incoming)
    }

    #[inline(always)]
    fn reflected(&mut self, call: &Reflected) -> Outcome {
        let incoming = Incoming::Call { number: call.call, arguments: call.arguments, sum: call.sum };
        self.receive_from(call.badge, call.reply, call.number, incoming)
    }

    fn next_reply_slot(&mut self) -> u32 {
        self.replies.next_slot()
    }
}
