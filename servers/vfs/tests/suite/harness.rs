//! A vfs, the machine under it and one caller, all in this process.

use std::cell::UnsafeCell;
use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

use abi::{Lease, RequestNumber};
use libsys::host::crash_at_store;
use libsys::saved::{Area, Opened};
use protocols::call::{CallError, Carrier};
use protocols::serve::{Caller, LeaseError, Serve};
use protocols::service::{Badge, Service};
use protocols::vfs::{Actor, At, Attributes, Client, Error, FileId, Kind, OpenFlags, Opened as OpenReply, ROOT, Records, Reply, Time, WriteAt};
use protocols::wire;
use vfs::Vfs;
use vfs::check::check;
use vfs::host::{Host, PAGE, Page};
use vfs::ready::Readiness;
use vfs::saved::State;

/// Pages of the region.
pub(crate) const PAGES: usize = 600;
const MEMORY: usize = 2 << 20;

/// A machine of vectors. Pages start with a pattern, not zeros: whoever relies on zeros without writing them is found out.
pub(crate) struct Machine {
    pages: Vec<Page>,
    pub(crate) now: Time,
    pub(crate) discarded: Vec<(u32, u32)>,
    pub(crate) signals: u32,
    /// Pages that the system can spare.
    pub(crate) spare: u32,
}

impl Machine {
    /// One page.
    pub(crate) fn page(&mut self, page: u32) -> &mut Page {
        &mut self.pages[page as usize]
    }
}

/// The machine, which outlives every vfs that runs on it.
#[derive(Clone)]
pub(crate) struct TestHost(Rc<UnsafeCell<Machine>>);

impl TestHost {
    fn new() -> Self {
        let now = Time { seconds: 1000, nanoseconds: 5 };
        Self(Rc::new(UnsafeCell::new(Machine { pages: vec![[0xaa; PAGE]; PAGES], now, discarded: Vec::new(), signals: 0, spare: u32::MAX })))
    }

    /// Looks at or changes the machine.
    pub(crate) fn with<T>(&mut self, work: impl FnOnce(&mut Machine) -> T) -> T {
        work(self.machine())
    }

    #[allow(unsafe_code, reason = "a region outlives the server that uses it")]
    fn machine(&mut self) -> &mut Machine {
        // SAFETY: a test is one thread, and either vfs or the test uses the machine: no reference outlives a request.
        unsafe { &mut *self.0.get() }
    }
}

impl Host for TestHost {
    fn page_count(&self) -> u32 {
        PAGES as u32
    }

    fn room(&mut self, wanted: u32) -> u32 {
        wanted.min(self.machine().spare)
    }

    fn page(&mut self, page: u32) -> &Page {
        self.machine().page(page)
    }

    fn page_mut(&mut self, page: u32) -> &mut Page {
        self.machine().page(page)
    }

    fn discard(&mut self, first: u32, count: u32) -> bool {
        self.machine().discarded.push((first, count));
        true
    }

    fn now(&self) -> Time {
        self.clone().machine().now
    }

    fn signal_ready(&mut self, _service: u8) {
        self.machine().signals += 1;
    }
}

/// The whole of it. Leases are offsets into `memory`.
pub(crate) struct System {
    area: &'static Area<State>,
    vfs: Option<Vfs<TestHost>>,
    host: TestHost,
    pub(crate) memory: Vec<u8>,
    /// Pages of `memory` that are missing until asked for.
    pub(crate) missing: HashSet<u64>,
    pub(crate) service: Service,
    pub(crate) actor: Actor,
    pub(crate) last: RequestNumber,
    /// The next request dies at this store, and its stub asks again after the restart.
    pub(crate) crash_at: Option<u64>,
    pending: Option<u64>,
    /// How many attempts ended in `Pending`.
    pub(crate) put_off: usize,
    archive: Vec<u8>,
}

struct Lender<'a> {
    memory: &'a mut Vec<u8>,
    missing: &'a HashSet<u64>,
    leases: &'a [Lease],
    badge: u64,
    number: RequestNumber,
}

impl Lender<'_> {
    fn range(&self, lease: usize, offset: u64, length: usize, right: u64) -> Result<std::ops::Range<usize>, LeaseError> {
        let lease = self.leases.get(lease).ok_or(LeaseError::Invalid)?;
        if lease.rights & right == 0 || offset + length as u64 > lease.length {
            return Err(LeaseError::Invalid);
        }
        let start = lease.address + offset;
        for page in start / PAGE as u64..=(start + length.saturating_sub(1) as u64) / PAGE as u64 {
            if self.missing.contains(&page) {
                return Err(LeaseError::NeedsPage { address: page * PAGE as u64, write: right == Lease::WRITE });
            }
        }
        Ok(start as usize..start as usize + length)
    }
}

impl Caller for Lender<'_> {
    fn badge(&self) -> u64 {
        self.badge
    }

    fn number(&self) -> RequestNumber {
        self.number
    }

    fn read(&mut self, lease: usize, offset: u64, to: &mut [u8]) -> Result<(), LeaseError> {
        let range = self.range(lease, offset, to.len(), Lease::READ)?;
        to.copy_from_slice(&self.memory[range]);
        Ok(())
    }

    fn write(&mut self, lease: usize, offset: u64, from: &[u8]) -> Result<(), LeaseError> {
        let range = self.range(lease, offset, from.len(), Lease::WRITE)?;
        self.memory[range].copy_from_slice(from);
        Ok(())
    }

    fn caps(&self) -> usize {
        0
    }
}

impl Carrier for System {
    /// Runs again what is pending or needs a page, as posix does.
    fn attempt(&mut self, number: RequestNumber, message: &[u8], leases: &[Lease], _caps: &[u32], reply: &mut [u8]) -> Result<usize, abi::Error> {
        for _ in 0..10_000 {
            let vfs = self.vfs.as_mut().unwrap();
            let badge = Badge::new(self.service, 1).to_word();
            let mut caller = Lender { memory: &mut self.memory, missing: &self.missing, leases, badge, number };
            let answer = match self.crash_at.take() {
                Some(nth) => crash_at_store(nth, || vfs.serve(&mut caller, message, reply)),
                None => Some(vfs.serve(&mut caller, message, reply)),
            };
            let Some(answer) = answer else {
                self.restart();
                continue;
            };
            match wire::decode::<Result<Reply, Error>>(&reply[..answer.bytes]).unwrap() {
                Err(Error::Pending(_)) => {
                    assert!(self.pending.is_some());
                    self.put_off += 1;
                }
                Err(Error::NeedsPage { address, .. }) => assert!(self.missing.remove(&(address / PAGE as u64))),
                _ => return Ok(answer.bytes),
            }
        }
        panic!("pending for ever");
    }
}

pub(crate) fn at(path: &str) -> At<'_> {
    At::new(ROOT, path.as_bytes())
}

pub(crate) fn keep(path: &str) -> At<'_> {
    At::no_follow(ROOT, path.as_bytes())
}

/// What a file is, for comparisons: everything but inode numbers and the time of the last read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) kind: Kind,
    pub(crate) permissions: u16,
    pub(crate) links: u32,
    pub(crate) owner: (u32, u32),
    pub(crate) device: u32,
    pub(crate) modified: Time,
    pub(crate) content: Vec<u8>,
}

impl System {
    /// With an empty root directory. Half of the tests' systems answer `Pending` at random.
    pub(crate) fn new() -> Self {
        Self::with(None, &[])
    }

    pub(crate) fn pending(seed: u64) -> Self {
        Self::with(Some(seed), &[])
    }

    pub(crate) fn with(pending: Option<u64>, archive: &[u8]) -> Self {
        Self::try_with(pending, archive).unwrap()
    }

    pub(crate) fn try_with(pending: Option<u64>, archive: &[u8]) -> Result<Self, vfs::StartError> {
        let area = Area::on_host();
        let host = TestHost::new();
        let mut system = Self {
            area,
            vfs: None,
            host: host.clone(),
            memory: vec![0; MEMORY],
            missing: HashSet::new(),
            service: Service::Posix,
            actor: Actor::superuser(),
            last: RequestNumber::new(Service::Posix.id(), 1, 1, 0),
            crash_at: None,
            pending,
            put_off: 0,
            archive: archive.to_vec(),
        };
        system.vfs = Some(Vfs::new(area, Opened::Fresh, host, system.ready(), archive)?);
        Ok(system)
    }

    fn ready(&self) -> Readiness {
        self.pending.map_or_else(Readiness::default, Readiness::seeded)
    }

    /// Dies and starts again.
    pub(crate) fn restart(&mut self) {
        self.vfs = None;
        let opened = self.area.recover();
        let (ready, host) = (self.ready(), self.host.clone());
        self.vfs = Some(Vfs::new(self.area, opened, host, ready, &self.archive).unwrap());
    }

    /// As if no archive had been unpacked yet.
    pub(crate) fn forget_unpacking(&mut self, archive: &[u8]) {
        let tx = self.area.begin();
        self.state().unpacked.set(&tx, 0);
        tx.commit();
        self.archive = archive.to_vec();
    }

    pub(crate) fn state(&self) -> &'static State {
        self.area.state()
    }

    /// What outlives each vfs, for those who make systems by the thousand and free it.
    #[allow(dead_code, reason = "tests/soak uses this file too")]
    pub(crate) fn area(&self) -> &'static Area<State> {
        self.area
    }

    /// Ends the vfs for good.
    #[allow(dead_code, reason = "tests/soak uses this file too")]
    pub(crate) fn stop(&mut self) {
        self.vfs = None;
    }

    pub(crate) fn host(&mut self) -> &mut TestHost {
        &mut self.host
    }

    pub(crate) fn number(&mut self) -> RequestNumber {
        self.last = self.last.next();
        self.last
    }

    pub(crate) fn check(&self) {
        assert_eq!(check(self.state()), Ok(()));
    }

    /// One request under a new number.
    pub(crate) fn ask<T>(
        &mut self,
        request: impl FnOnce(&mut Client<&mut Self>, RequestNumber, &Actor) -> Result<T, CallError<Error>>,
    ) -> Result<T, Error> {
        let number = self.number();
        self.ask_again(number, request)
    }

    /// One request under a number that was used.
    pub(crate) fn ask_again<T>(
        &mut self,
        number: RequestNumber,
        request: impl FnOnce(&mut Client<&mut Self>, RequestNumber, &Actor) -> Result<T, CallError<Error>>,
    ) -> Result<T, Error> {
        let actor = self.actor.clone();
        request(&mut Client(self), number, &actor).map_err(|error| match error {
            CallError::Service(error) => error,
            other => panic!("{other:?}"),
        })
    }

    pub(crate) fn open(&mut self, path: &str, flags: OpenFlags) -> Result<OpenReply, Error> {
        self.ask(|vfs, number, actor| vfs.open(number, at(path), actor, flags, 0o644))
    }

    pub(crate) fn create(&mut self, path: &str) -> FileId {
        self.open(path, OpenFlags::CREATE.with(OpenFlags::WRITE)).unwrap().file
    }

    pub(crate) fn close(&mut self, file: FileId) -> Result<(), Error> {
        self.ask(|vfs, number, _| vfs.close(number, file))
    }

    /// Makes a file with these bytes and closes it.
    pub(crate) fn put(&mut self, path: &str, bytes: &[u8]) {
        let file = self.create(path);
        assert_eq!(self.write(file, WriteAt::Offset(0), bytes), Ok((bytes.len() as u32, bytes.len() as u64)));
        self.close(file).unwrap();
    }

    pub(crate) fn write(&mut self, file: FileId, to: WriteAt, bytes: &[u8]) -> Result<(u32, u64), Error> {
        let lease = self.lend(bytes);
        self.ask(|vfs, number, _| vfs.write(number, file, to, bytes.len() as u32, true, lease))
    }

    /// A lease of a copy of these bytes.
    pub(crate) fn lend(&mut self, bytes: &[u8]) -> Lease {
        self.memory[..bytes.len()].copy_from_slice(bytes);
        Lease { address: 0, length: bytes.len() as u64, rights: Lease::READ, ..Lease::default() }
    }

    /// A lease to be filled.
    pub(crate) fn room(&self, length: u32) -> Lease {
        Lease { address: 0, length: u64::from(length), rights: Lease::WRITE, ..Lease::default() }
    }

    pub(crate) fn read(&mut self, file: FileId, offset: u64, length: u32) -> Result<Vec<u8>, Error> {
        let lease = self.room(length);
        let count = self.ask(|vfs, number, _| vfs.read(number, file, offset, length, lease))?;
        Ok(self.memory[..count as usize].to_vec())
    }

    /// All bytes of a file.
    pub(crate) fn content(&mut self, path: &str) -> Result<Vec<u8>, Error> {
        let file = self.stat(path)?.file;
        self.read_all(file)
    }

    /// All bytes of a file that is open; a read may be short where something was pending.
    pub(crate) fn read_all(&mut self, file: FileId) -> Result<Vec<u8>, Error> {
        let mut content = Vec::new();
        loop {
            let piece = self.read(file, content.len() as u64, 1 << 20)?;
            if piece.is_empty() {
                return Ok(content);
            }
            content.extend(piece);
        }
    }

    pub(crate) fn stat(&mut self, path: &str) -> Result<Attributes, Error> {
        self.ask(|vfs, number, actor| vfs.stat(number, at(path), actor))
    }

    pub(crate) fn stat_file(&mut self, file: FileId) -> Result<Attributes, Error> {
        self.ask(|vfs, number, actor| vfs.stat(number, At::file(file), actor))
    }

    pub(crate) fn mkdir(&mut self, path: &str) -> Result<FileId, Error> {
        self.ask(|vfs, number, actor| vfs.make_directory(number, at(path), actor, 0o755))
    }

    pub(crate) fn rmdir(&mut self, path: &str) -> Result<(), Error> {
        self.ask(|vfs, number, actor| vfs.remove_directory(number, at(path), actor))
    }

    pub(crate) fn unlink(&mut self, path: &str) -> Result<(), Error> {
        self.ask(|vfs, number, actor| vfs.unlink(number, at(path), actor))
    }

    pub(crate) fn symlink(&mut self, target: &str, path: &str) -> Result<FileId, Error> {
        self.ask(|vfs, number, actor| vfs.make_symlink(number, at(path), actor, target.as_bytes()))
    }

    pub(crate) fn link(&mut self, from: &str, to: &str) -> Result<(), Error> {
        self.ask(|vfs, number, actor| vfs.link(number, keep(from), at(to), actor))
    }

    pub(crate) fn rename(&mut self, from: &str, to: &str, mode: protocols::vfs::RenameMode) -> Result<(), Error> {
        self.ask(|vfs, number, actor| vfs.rename(number, at(from), at(to), actor, mode))
    }

    pub(crate) fn readlink(&mut self, path: &str) -> Result<String, Error> {
        let lease = self.room(2000);
        let count = self.ask(|vfs, number, actor| vfs.read_symlink(number, keep(path), actor, 2000, lease))?;
        Ok(String::from_utf8(self.memory[..count as usize].to_vec()).unwrap())
    }

    pub(crate) fn path_of(&mut self, file: FileId, root: FileId) -> Result<String, Error> {
        let lease = self.room(4096);
        let count = self.ask(|vfs, number, _| vfs.path_of(number, file, root, 4096, lease))?;
        Ok(String::from_utf8(self.memory[..count as usize].to_vec()).unwrap())
    }

    /// Names with cookies, read `room` bytes at a time, from `cookie` on; one call only.
    pub(crate) fn list_some(&mut self, directory: FileId, cookie: u64, room: u32) -> Result<(Vec<(String, u64)>, u64), Error> {
        let lease = self.room(room);
        let (count, next) = self.ask(|vfs, number, _| vfs.read_directory(number, directory, cookie, room, lease))?;
        let records = Records::new(&self.memory[..count as usize]);
        Ok((records.map(|record| (String::from_utf8(record.name.to_vec()).unwrap(), record.next)).collect(), next))
    }

    /// All names but `.` and `..`.
    pub(crate) fn list(&mut self, path: &str) -> Vec<String> {
        let directory = self.stat(path).unwrap().file;
        let (mut names, mut cookie) = (Vec::new(), 0);
        loop {
            let (some, next) = self.list_some(directory, cookie, 600).unwrap();
            if some.is_empty() {
                return names;
            }
            names.extend(some.into_iter().map(|(name, _)| name).filter(|name| name != "." && name != ".."));
            cookie = next;
        }
    }

    /// The whole tree by paths.
    pub(crate) fn tree(&mut self) -> BTreeMap<String, Seen> {
        let mut tree = BTreeMap::new();
        let mut left = vec![String::from("/")];
        while let Some(path) = left.pop() {
            let seen = self.ask(|vfs, number, actor| vfs.stat(number, keep(&path), actor)).unwrap();
            let content = match seen.kind {
                Kind::File => self.content(&path).unwrap(),
                Kind::Symlink => self.readlink(&path).unwrap().into_bytes(),
                _ => Vec::new(),
            };
            if seen.kind == Kind::Directory {
                left.extend(self.list(&path).iter().map(|name| format!("{}/{name}", path.trim_end_matches('/'))));
            }
            let Attributes { kind, permissions, links, uid, gid, device, modified, .. } = seen;
            tree.insert(path, Seen { kind, permissions, links, owner: (uid, gid), device, modified, content });
        }
        tree
    }
}
