//! The two threads on the machine: what they leave for each other, and files from vfs.

extern crate alloc;

use alloc::format;
use alloc::vec::Vec;

use abi::{Lease, PAGE_SIZE};
use inference::server::mailbox::Mailbox;
use inference::server::ready::{Machine, Version};
use inference::server::words::Reason;
use inference::server::worker::Worker;
use inference::server::works::{self, Job, News, Works};
use libsys::saved::Area;
use libsys::{Peer, clock, layout, next_number, serve, slot, start, syscall, text};
use protocols::call::CallError;
use protocols::inference::event;
use protocols::memory::{self, Window};
use protocols::service::Service;
use protocols::vfs::{self, Actor, At, FileId, Kind, OpenFlags};

/// Bytes that vfs is asked for at once.
const PIECE: usize = 64 * 1024;
/// Pages of a huge page.
const HUGE: u32 = 512;
/// Who may be declared to call.
const CALLERS: [Service; 2] = [Service::Posix, Service::Probe];

static JOBS: Mailbox<Job> = Mailbox::new();
static NEWS: Mailbox<News> = Mailbox::new();

/// The receiver's way to the worker.
struct Helper;

impl works::Worker for Helper {
    fn give(&mut self, job: Job) {
        JOBS.put(job);
        if let Err(error) = syscall::signal(slot::NOTIFICATION, 1) {
            panic!("the helper cannot be woken: {error:?}");
        }
    }

    fn take(&mut self) -> Vec<News> {
        NEWS.take()
    }
}

/// Tells all callers that there may be more to read.
fn tell() {
    for caller in CALLERS {
        // One that is not declared in this system has no notification to signal.
        let _undeclared = syscall::signal(slot::notification_of(caller), event::READABLE);
    }
}

/// The receiver.
pub(crate) fn receive() -> ! {
    text::note();
    let (area, opened) = Area::open(layout::SAVED);
    let mut works = Works::new(area, Helper);
    libsys::log!("inference: {opened:?}");
    start::up();
    tell();
    serve::run(&mut works)
}

/// The helper.
pub(crate) fn work(_thread: u64) -> ! {
    let heap_pages = start::info().heap_pages;
    // Weights are read from one end to the other for each token. What is small stays apart; without large pages it is slower, and right.
    let large = memory::Client(Peer::to(Service::Memory)).huge(next_number(), Window::Heap, HUGE, heap_pages.saturating_sub(HUGE) / HUGE * HUGE);
    if let Err(error) = large {
        libsys::log!("inference: no large pages: {error:?}");
    }
    // What a predecessor had open.
    if let Err(error) = vfs::Client(Peer::to(Service::Vfs)).close_all(next_number()) {
        libsys::log!("inference: files stay open: {error:?}");
    }
    let mut worker = Worker::new(Native);
    loop {
        JOBS.take().into_iter().for_each(|job| worker.take(job));
        let mut all = Vec::new();
        let has_worked = worker.step(|news| all.push(news));
        if !all.is_empty() {
            // A wrong instruction makes a plausible answer, and nobody would ever doubt it. Little beside the pass of a model.
            text::check();
            all.into_iter().for_each(|news| NEWS.put(news));
            tell();
        }
        if !has_worked && let Err(error) = syscall::wait(slot::NOTIFICATION) {
            panic!("the helper cannot wait: {error:?}");
        }
    }
}

/// Files, memory and time.
struct Native;

fn refused(path: &str, error: CallError<vfs::Error>) -> Reason {
    match error {
        CallError::Service(vfs::Error::NotFound) => format!("{path}: no such file"),
        CallError::Service(vfs::Error::Denied) => format!("{path}: permission denied"),
        CallError::Service(vfs::Error::NotDirectory) => format!("{path}: not a directory"),
        CallError::Service(error) => format!("{path}: {error:?}"),
        error => format!("{path}: the file server does not answer: {error:?}"),
    }
}

/// Does something with a file while it is open.
fn with_open<T>(
    path: &str,
    (actor, start): &(Actor, FileId),
    run: impl FnOnce(&mut vfs::Client<Peer>, FileId) -> Result<T, CallError<vfs::Error>>,
) -> Result<T, Reason> {
    let mut client = vfs::Client(Peer::to(Service::Vfs));
    let at = At::new(*start, path.as_bytes());
    let opened = client.open(next_number(), at, actor, OpenFlags::READ, 0).map_err(|error| refused(path, error))?;
    let outcome = if opened.kind == Kind::File { Some(run(&mut client, opened.file)) } else { None };
    client.close(next_number(), opened.file).map_err(|error| refused(path, error))?;
    outcome.ok_or_else(|| format!("{path}: not a file"))?.map_err(|error| refused(path, error))
}

fn version_of(client: &mut vfs::Client<Peer>, file: FileId, actor: &Actor) -> Result<Version, CallError<vfs::Error>> {
    let attributes = client.stat(next_number(), At::file(file), actor)?;
    let seconds = u64::try_from(attributes.modified.seconds).unwrap_or(0);
    let written_ns = seconds.wrapping_mul(1_000_000_000).wrapping_add(u64::from(attributes.modified.nanoseconds));
    Ok(Version { file, bytes: attributes.size, written_ns })
}

impl Machine for Native {
    fn version(&mut self, path: &str, actor: &(Actor, FileId)) -> Result<Version, Reason> {
        // Opened for the permission's sake: whoever may not read it learns nothing of it.
        with_open(path, actor, |client, file| version_of(client, file, &actor.0))
    }

    fn read(&mut self, path: &str, actor: &(Actor, FileId), version: Version, mut room: Vec<u8>) -> Result<Vec<u8>, Reason> {
        let after = with_open(path, actor, |client, file| {
            read_all(client, file, &mut room)?;
            version_of(client, file, &actor.0)
        })?;
        if after == version { Ok(room) } else { Err(format!("{path}: it changed while it was read")) }
    }

    fn left(&mut self) -> u64 {
        let usage = memory::Client(Peer::to(Service::Memory)).usage(next_number());
        // A fifth stays for others.
        usage.map_or(0, |usage| usage.free.saturating_sub(usage.total / 5) * PAGE_SIZE)
    }

    fn now_ns(&mut self) -> u64 {
        clock::now_ns()
    }
}

/// Reads until the file ends, or there is no more room.
fn read_all(client: &mut vfs::Client<Peer>, file: FileId, room: &mut Vec<u8>) -> Result<(), CallError<vfs::Error>> {
    loop {
        let (start, piece) = (room.len(), PIECE.min(room.capacity() - room.len()));
        if piece == 0 {
            return Ok(());
        }
        // Written to before it is lent: a page that was never touched cannot be.
        room.resize(start + piece, 0);
        let address = room.get_mut(start..).unwrap_or_default().as_mut_ptr().expose_provenance() as u64;
        let lease = Lease { address, length: piece as u64, reply: 0, index: 0, rights: Lease::WRITE };
        let count = client.read(next_number(), file, start as u64, piece as u32, lease)?;
        room.truncate(start + (count as usize).min(piece));
        if count == 0 {
            return Ok(());
        }
    }
}
