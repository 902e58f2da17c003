//! Death at every failpoint of every numbered request and at stores in between: after a restart the same request has the same answer, and the tree is as if
//! nothing had happened.

use std::collections::BTreeMap;

use super::harness::{Seen, System, at, keep};
use abi::{Lease, RequestNumber};
use libsys::host::{crash_at_failpoint, crash_at_store};
use protocols::call::Carrier;
use protocols::vfs::{Actor, Change, Error, FileId, Kind, Node, OpenFlags, RenameMode, Reply, Request, SetTime, Within, WriteAt};
use protocols::wire;
use vfs::fail::Point;
use vfs::host::PAGE;

/// A request on a prepared system.
type Scenario = fn(&mut System) -> (Request<'static>, Option<Lease>);

fn actor() -> Actor {
    Actor::superuser()
}

fn open_file(system: &mut System, path: &str) -> FileId {
    system.open(path, OpenFlags::WRITE).unwrap().file
}

fn write(system: &mut System, file: FileId, at: WriteAt, pages: usize) -> (Request<'static>, Option<Lease>) {
    let bytes: Vec<u8> = (0..pages * PAGE + 17).map(|index| (index / 7) as u8).collect();
    let lease = system.lend(&bytes);
    (Request::Write { file, at, length: bytes.len() as u32, privileged: true }, Some(lease))
}

fn rename(from: &'static str, to: &'static str, mode: RenameMode) -> (Request<'static>, Option<Lease>) {
    (Request::Rename { from: at(from), to: at(to), actor: actor(), mode }, None)
}

/// Every numbered request, some in several ways: name of its failpoints, preparation.
const SCENARIOS: &[(&str, Scenario)] = &[
    ("open", |_| (Request::Open { at: at("/d/new"), actor: actor(), flags: OpenFlags::CREATE, permissions: 0o640 }, None)),
    ("open", |_| (Request::Open { at: at("/d/f"), actor: actor(), flags: OpenFlags::WRITE.with(OpenFlags::TRUNCATE), permissions: 0 }, None)),
    ("hold", |system| (Request::Hold(open_file(system, "/d/f")), None)),
    ("close", |system| (Request::Close(open_file(system, "/d/f")), None)),
    ("close", |system| {
        let file = open_file(system, "/d/f");
        system.unlink("/d/f").unwrap();
        (Request::Close(file), None)
    }),
    ("write", |system| {
        let file = open_file(system, "/d/f");
        write(system, file, WriteAt::End, 3)
    }),
    ("write", |system| {
        let file = open_file(system, "/d/f");
        write(system, file, WriteAt::Offset(70 * PAGE as u64 + 5), 70)
    }),
    ("open", |_| {
        let flags = OpenFlags::TEMPORARY.with(OpenFlags::WRITE);
        (Request::OpenWithin { at: at("/d"), actor: actor(), flags, permissions: 0o600, within: Within::ONE_FILE_SYSTEM }, None)
    }),
    ("punch", |system| {
        let file = open_file(system, "/d/f");
        (Request::Punch { file, offset: 100, length: 3 * PAGE as u64, privileged: false }, None)
    }),
    ("truncate", |_| (Request::Truncate { at: at("/d/f"), actor: actor(), size: 5 }, None)),
    ("attributes", |_| {
        let change = Change { permissions: Some(0o600), uid: Some(4), modified: Some(SetTime::Now), ..Change::default() };
        (Request::SetAttributes { at: at("/d/f"), actor: actor(), change }, None)
    }),
    ("mkdir", |_| (Request::MakeDirectory { at: at("/d/new"), actor: actor(), permissions: 0o700 }, None)),
    ("rmdir", |_| (Request::RemoveDirectory { at: at("/d/empty"), actor: actor() }, None)),
    ("unlink", |_| (Request::Unlink { at: at("/d/f"), actor: actor() }, None)),
    ("unlink", |_| (Request::Unlink { at: at("/l"), actor: actor() }, None)),
    ("rename", |_| rename("/d/f", "/new", RenameMode::Replace)),
    ("rename", |_| rename("/d/f", "/g", RenameMode::Replace)),
    ("rename", |_| rename("/d/sub", "/d/empty", RenameMode::Replace)),
    ("rename", |_| rename("/d/sub", "/new", RenameMode::NoReplace)),
    ("rename", |_| rename("/d/sub", "/g", RenameMode::Exchange)),
    ("link", |_| (Request::Link { from: keep("/d/f"), to: at("/hard"), actor: actor() }, None)),
    ("symlink", |_| (Request::MakeSymlink { at: at("/new"), actor: actor(), target: b"a/target/longer/than/one/chunk/of/text" }, None)),
    ("mknod", |_| {
        let node = Node { kind: Kind::CharacterDevice, permissions: 0o600, device: 0x501 };
        (Request::MakeNode { at: at("/new"), actor: actor(), node }, None)
    }),
];

fn prepared() -> System {
    let mut system = System::new();
    for path in ["/d", "/d/sub", "/d/empty"] {
        system.mkdir(path).unwrap();
    }
    system.put("/d/f", &[7; 3 * PAGE + 9]);
    system.put("/d/sub/x", b"x");
    system.put("/g", &[8; 100]);
    system.symlink("d/f", "/l").unwrap();
    system
}

/// One request under its number, however often it is called.
struct Run {
    system: System,
    number: RequestNumber,
    request: Request<'static>,
    leases: Vec<Lease>,
}

impl Run {
    fn new(scenario: Scenario) -> Self {
        let mut system = prepared();
        let (request, lease) = scenario(&mut system);
        let number = system.number();
        Self { system, number, request, leases: lease.into_iter().collect() }
    }

    fn ask(&mut self) -> Result<Reply, Error> {
        let (mut message, mut reply) = ([0; 3584], [0; 3584]);
        let length = wire::encode(&self.request, &mut message).unwrap();
        let length = self.system.attempt(self.number, &message[..length], &self.leases, &[], &mut reply).unwrap();
        wire::decode(&reply[..length]).unwrap()
    }

    /// What there is to see afterwards.
    fn end(mut self) -> (BTreeMap<String, Seen>, (u32, u32, u32)) {
        self.system.check();
        let state = self.system.state();
        let counts = (state.pages.used_count(), state.inode_pool.live(), state.entry_pool.live());
        (self.system.tree(), counts)
    }
}

/// Runs until the crash that `crash` arms, starts again, runs to the end. Compares with a run without a crash; whether it came to one.
fn survives(scenario: Scenario, crash: impl FnOnce(&mut dyn FnMut() -> Result<Reply, Error>) -> bool) -> bool {
    let mut smooth = Run::new(scenario);
    let expected = smooth.ask();
    assert!(expected.is_ok(), "{:?}: {expected:?}", smooth.request);
    let expected_end = smooth.end();
    let mut run = Run::new(scenario);
    let crashed = crash(&mut || run.ask());
    if crashed {
        run.system.restart();
    }
    assert_eq!(run.ask(), expected, "{:?}", run.request);
    assert_eq!(run.ask(), expected, "{:?}", run.request);
    assert_eq!(run.end(), expected_end);
    crashed
}

#[test]
fn every_failpoint_of_a_request_is_survived() {
    let mut passed = Vec::new();
    for (name, scenario) in SCENARIOS {
        for part in ["intent", "effect", "record", "reply"] {
            let point = format!("{name}.{part}");
            assert!(survives(*scenario, |ask| crash_at_failpoint(&point, 1, ask).is_none()), "{point} was not reached");
            passed.push(point);
        }
    }
    let elsewhere = ["settle.cut", "settle.hole", "settle.free", "unpack.entry"];
    for point in Point::ALL.iter().map(|point| point.name()).filter(|name| !elsewhere.contains(name)) {
        assert!(passed.iter().any(|name| name == point), "{point} has no scenario");
    }
}

#[test]
fn death_between_the_steps_of_freeing_is_survived() {
    let truncate: Scenario = |_| (Request::Truncate { at: at("/d/f"), actor: actor(), size: 5 }, None);
    let unlink: Scenario = |_| (Request::Unlink { at: at("/d/f"), actor: actor() }, None);
    let punch: Scenario = |system| {
        let file = system.create("/large");
        for page in (0..200).step_by(2) {
            system.write(file, WriteAt::Offset(page * PAGE as u64), b"x").unwrap();
        }
        (Request::Punch { file, offset: PAGE as u64, length: 190 * PAGE as u64, privileged: true }, None)
    };
    for nth in 1..=2 {
        assert!(survives(punch, |ask| crash_at_failpoint("settle.hole", nth, ask).is_none()));
        survives(truncate, |ask| crash_at_failpoint("settle.cut", nth, ask).is_none());
        survives(unlink, |ask| crash_at_failpoint("settle.free", nth, ask).is_none());
    }
}

#[test]
fn death_at_stores_of_every_request_is_survived() {
    for (index, (_, scenario)) in SCENARIOS.iter().enumerate() {
        // A different choice of stores for each request; strides without a common factor with the log's records.
        let mut nth = index as u64 % 5;
        while survives(*scenario, |ask| crash_at_store(nth, ask).is_none()) {
            nth += 7 + nth / 4;
        }
    }
}

#[test]
fn second_death_in_the_same_request_is_survived() {
    let scenario: Scenario = |_| rename("/d/f", "/g", RenameMode::Replace);
    let mut smooth = Run::new(scenario);
    let expected = smooth.ask();
    let expected_end = smooth.end();
    for (first, second) in [("rename.effect", "rename.record"), ("rename.record", "settle.free"), ("rename.intent", "rename.reply")] {
        let mut run = Run::new(scenario);
        for point in [first, second] {
            assert!(crash_at_failpoint(point, 1, || run.ask()).is_none());
            run.system.restart();
        }
        assert_eq!(run.ask(), expected);
        assert_eq!(run.end(), expected_end);
    }
}

#[test]
fn caller_that_dies_leaves_a_whole_state() {
    let mut system = prepared();
    let file = open_file(&mut system, "/d/f");
    let lease = Lease { address: 0, length: 1, rights: Lease::READ, ..Lease::default() };
    let failed = system.ask(|vfs, number, _| vfs.write(number, file, WriteAt::End, 5000, true, lease));
    assert_eq!(failed, Err(Error::BadLease));
    assert_eq!(system.stat_file(file).map(|seen| seen.size), Ok(3 * PAGE as u64 + 9));
    system.check();
}
