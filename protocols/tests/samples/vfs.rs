//! Samples of vfs's protocol.

use super::Protocol;
use protocols::serve::{Answer, Caller};
use protocols::vfs::{
    self, Actor, At, Attributes, Change, Error, FileId, Kind, MAX_GROUPS, MAX_MAPPED, MAX_PATH, Node, OpenFlags, Opened, ROOT, RenameMode, Reply,
    Request, SetTime, Time, Totals, Within, WriteAt,
};

pub(crate) struct Vfs;

struct Stub;

impl vfs::Service for Stub {
    fn answer(&mut self, _caller: &mut dyn Caller, request: &Request<'_>) -> Result<Reply, Error> {
        match request {
            Request::Read { length, .. } => Ok(Reply::Count(*length)),
            Request::Stat { .. } => Err(Error::NotFound),
            _ => Ok(Reply::Done),
        }
    }
}

const FILE: FileId = FileId { inode: 300, generation: 2 };
const LARGEST_FILE: FileId = FileId { inode: u32::MAX, generation: u32::MAX };

fn actor() -> Actor {
    Actor { uid: 1000, gid: 100, groups: heapless::Vec::from_slice(&[4, 24]).expect("fits"), root: ROOT }
}

pub(crate) fn largest_actor() -> Actor {
    let groups = heapless::Vec::from_slice(&[u32::MAX; MAX_GROUPS]).expect("fits");
    Actor { uid: u32::MAX, gid: u32::MAX, groups, root: LARGEST_FILE }
}

fn longest_path() -> At<'static> {
    At::new(LARGEST_FILE, &[b'x'; MAX_PATH])
}

fn on_paths() -> Vec<Request<'static>> {
    let (at, actor) = (At::new(ROOT, b"etc/passwd"), actor);
    let change = Change {
        permissions: Some(0o755),
        uid: Some(0),
        gid: None,
        accessed: Some(SetTime::Now),
        modified: Some(SetTime::To(Time { seconds: -1, nanoseconds: 999_999_999 })),
    };
    let rename = |mode| Request::Rename { from: at, to: At::no_follow(FILE, b"x"), actor: actor(), mode };
    let node = |kind| Request::MakeNode { at, actor: actor(), node: Node { kind, permissions: 0o600, device: 0x501 } };
    vec![
        Request::Open { at, actor: actor(), flags: OpenFlags::READ.with(OpenFlags::CREATE), permissions: 0o644 },
        Request::Truncate { at: At::file(FILE), actor: Actor::superuser(), size: u64::MAX },
        Request::Stat { at, actor: actor() },
        Request::SetAttributes { at, actor: actor(), change },
        Request::MakeDirectory { at, actor: actor(), permissions: 0o1777 },
        Request::RemoveDirectory { at, actor: actor() },
        Request::Unlink { at, actor: actor() },
        rename(RenameMode::Replace),
        rename(RenameMode::NoReplace),
        rename(RenameMode::Exchange),
        Request::Link { from: at, to: at, actor: actor() },
        Request::MakeSymlink { at, actor: actor(), target: b"../target" },
        Request::ReadSymlink { at, actor: actor(), length: 4096 },
        node(Kind::Fifo),
        node(Kind::CharacterDevice),
        node(Kind::Directory),
        node(Kind::BlockDevice),
        node(Kind::File),
        node(Kind::Symlink),
        node(Kind::Socket),
        Request::Access { at, actor: actor(), wanted: 7 },
        Request::Resolve { at, actor: actor(), length: 4096 },
        Request::OpenWithin { at, actor: actor(), flags: OpenFlags::WRITE, permissions: 0o600, within: Within(3) },
    ]
}

fn on_files() -> Vec<Request<'static>> {
    vec![
        Request::Hold(FILE),
        Request::Close(FILE),
        Request::CloseAll,
        Request::Read { file: FILE, offset: u64::MAX, length: u32::MAX },
        Request::Write { file: FILE, at: WriteAt::Offset(1 << 40), length: 4096, privileged: true },
        Request::Write { file: FILE, at: WriteAt::End, length: 0, privileged: false },
        Request::ReadDirectory { directory: ROOT, cookie: u64::MAX, length: 32768 },
        Request::Capacity,
        Request::MapPages { file: FILE, first: 1 << 40, count: 32, write: true },
        Request::PathOf { file: FILE, root: ROOT, length: 4096 },
        Request::Sync,
        Request::SetMount { directory: FILE, mounted: true },
        Request::Allocate { file: FILE, first: 1 << 20, count: 256 },
        Request::Punch { file: FILE, offset: 4097, length: 1 << 40, privileged: false },
        Request::Seek { file: FILE, offset: 5, hole: true },
        Request::TakeBack { lane: u16::MAX, after: u64::MAX },
        Request::Locate { file: FILE, first: 1 << 40, count: 32 },
    ]
}

fn largest() -> Vec<Request<'static>> {
    let at = longest_path();
    vec![
        Request::Rename { from: at, to: at, actor: largest_actor(), mode: RenameMode::Exchange },
        Request::MakeSymlink { at, actor: largest_actor(), target: &[b'x'; MAX_PATH] },
        Request::Open { at, actor: largest_actor(), flags: OpenFlags(u16::MAX), permissions: u16::MAX },
        Request::OpenWithin { at, actor: largest_actor(), flags: OpenFlags(u16::MAX), permissions: u16::MAX, within: Within(u8::MAX) },
    ]
}

impl Protocol for Vfs {
    const NAME: &'static str = "vfs";
    type Request = Request<'static>;
    type Reply = Reply;
    type Error = Error;

    fn malformed() -> Error {
        Error::Malformed
    }

    fn requests() -> Vec<Request<'static>> {
        [on_paths(), on_files(), largest()].concat()
    }

    fn replies() -> Vec<Reply> {
        let time = Time { seconds: i64::MIN, nanoseconds: 999_999_999 };
        let kind = Kind::Directory;
        vec![
            Reply::Done,
            Reply::Opened(Opened {
                file: LARGEST_FILE,
                kind,
                permissions: u16::MAX,
                uid: u32::MAX,
                gid: u32::MAX,
                device: u32::MAX,
                size: u64::MAX,
                created: true,
            }),
            Reply::Made(LARGEST_FILE),
            Reply::Count(u32::MAX),
            Reply::Written { count: u32::MAX, end: u64::MAX },
            Reply::Attributes(Attributes {
                file: LARGEST_FILE,
                kind,
                permissions: u16::MAX,
                links: u32::MAX,
                uid: u32::MAX,
                gid: u32::MAX,
                device: u32::MAX,
                size: u64::MAX,
                pages: u64::MAX,
                accessed: time,
                modified: time,
                changed: time,
            }),
            Reply::Listed { count: u32::MAX, next: u64::MAX },
            Reply::Capacity(Totals { pages: u64::MAX, pages_free: 1, files: 2, files_free: 3 }),
            Reply::Mapped([Some(u32::MAX); MAX_MAPPED].into_iter().collect()),
            Reply::Mapped([Some(7), None].into_iter().collect()),
            Reply::Elsewhere { mount: LARGEST_FILE, count: u32::MAX },
            Reply::Found(Some(u64::MAX)),
            Reply::Found(None),
            Reply::Located { size: u64::MAX, pages: [Some(u32::MAX); MAX_MAPPED].into_iter().collect() },
        ]
    }

    fn errors() -> Vec<Error> {
        vec![
            Error::Malformed,
            Error::NotFound,
            Error::Exists,
            Error::NotDirectory,
            Error::IsDirectory,
            Error::NotEmpty,
            Error::Denied,
            Error::NotPermitted,
            Error::NameTooLong,
            Error::TooManyLinksFollowed,
            Error::TooManyLinks,
            Error::NoSpace,
            Error::TooLarge,
            Error::TooManyOpen,
            Error::Invalid,
            Error::Range,
            Error::Busy,
            Error::CrossesMount,
            Error::Unsupported,
            Error::Stale,
            Error::BadLease,
            Error::CallerGone,
            Error::NeedsPage { address: u64::MAX, write: true },
            Error::Pending(u64::MAX),
            Error::Outdated,
            Error::Elsewhere(LARGEST_FILE),
            Error::NotServed,
            Error::Damaged,
        ]
    }

    fn serve(caller: &mut dyn Caller, request: &[u8], reply: &mut [u8]) -> Answer {
        vfs::serve(&mut Stub, caller, request, reply)
    }
}
