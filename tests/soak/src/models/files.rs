//! The file server over every short sequence of operations: the real vfs on a machine of vectors.
//!
//! Sequences grow from the left, so each operation is tried after all that can come before it. The last operation of a sequence dies at
//! every store. For sequences of one operation the recovery after that dies too, at its first store, second, fourth and so on (that any
//! store of a rollback may be the last is what libsys' own tests of saved state show). The same request under the same number then has
//! the same answer as if nobody had died, the tree is the same, and vfs' own check of all its state holds.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

use abi::{Lease, RequestNumber};
use libsys::host::crash_at_store;
use libsys::saved::Area;
use protocols::vfs::{Actor, Change, Error, OpenFlags, RenameMode, WriteAt};
use vfs::saved::State;

use super::{Explored, sequences};
use crate::harness::{Seen, System, at, keep};

/// One request on the prepared tree, under a number; its answer as text.
type Operation = fn(&mut System, RequestNumber) -> String;

const OPERATIONS: [Operation; 12] = [
    |system, number| told(system.ask_again(number, |vfs, number, actor| vfs.make_directory(number, at("/d/n"), actor, 0o755)).map(drop)),
    |system, number| told(system.ask_again(number, |vfs, number, actor| vfs.open(number, at("/d/n"), actor, OpenFlags::CREATE, 0o644)).map(drop)),
    |system, number| told(system.ask_again(number, |vfs, number, actor| vfs.unlink(number, at("/d/f"), actor))),
    |system, number| told(system.ask_again(number, |vfs, number, actor| vfs.remove_directory(number, at("/d/n"), actor))),
    |system, number| told(system.ask_again(number, |vfs, number, actor| vfs.rename(number, at("/d/f"), at("/g"), actor, RenameMode::Replace))),
    |system, number| told(system.ask_again(number, |vfs, number, actor| vfs.rename(number, at("/d"), at("/n"), actor, RenameMode::NoReplace))),
    |system, number| told(system.ask_again(number, |vfs, number, actor| vfs.rename(number, at("/d/n"), at("/g"), actor, RenameMode::Exchange))),
    |system, number| told(system.ask_again(number, |vfs, number, actor| vfs.link(number, keep("/d/f"), at("/d/n"), actor))),
    |system, number| told(system.ask_again(number, |vfs, number, actor| vfs.make_symlink(number, at("/d/n"), actor, b"f")).map(drop)),
    |system, number| write(system, number, "/d/f"),
    |system, number| truncate(system, number, "/g"),
    |system, number| told(system.ask_again(number, |vfs, number, actor| vfs.set_attributes(number, at("/g"), actor, owner())).map(drop)),
];

/// A store that no recovery comes to.
const NEVER: u64 = u64::MAX;

fn told(answer: Result<impl Debug, Error>) -> String {
    format!("{answer:?}")
}

fn owner() -> Change {
    Change { uid: Some(7), ..Change::default() }
}

fn write(system: &mut System, number: RequestNumber, path: &str) -> String {
    let Ok(found) = system.stat(path) else { return "no file".into() };
    let bytes = [b'w'; 5000];
    let lease: Lease = system.lend(&bytes);
    told(system.ask_again(number, |vfs, number, _: &Actor| vfs.write(number, found.file, WriteAt::End, bytes.len() as u32, true, lease)))
}

fn truncate(system: &mut System, number: RequestNumber, path: &str) -> String {
    told(system.ask_again(number, |vfs, number, actor| vfs.truncate(number, at(path), actor, 3)).map(drop))
}

/// A system that is gone with its saved area when it is dropped.
pub(crate) struct Temporary(pub(crate) System);

impl Temporary {
    /// With a root file system from `archive`, or an empty one.
    pub(crate) fn new(archive: &[u8]) -> Result<Self, vfs::StartError> {
        System::try_with(None, archive).map(Self)
    }
}

impl Drop for Temporary {
    #[allow(unsafe_code, reason = "an area lives until somebody says otherwise")]
    fn drop(&mut self) {
        let area: &'static Area<State> = self.0.area();
        self.0.stop();
        // SAFETY: the server that used it is gone, and the system is being dropped.
        unsafe { area.free_on_host() };
    }
}

/// The tree that all sequences start from, after all of `history` but its last operation.
fn before_last(history: &[usize]) -> Temporary {
    let mut system = Temporary::new(&[]).expect("an empty root");
    system.0.mkdir("/d").expect("an empty root has room");
    system.0.put("/d/f", &[b'f'; 6000]);
    system.0.put("/g", b"other");
    for operation in history.iter().rev().skip(1).rev() {
        let number = system.0.number();
        OPERATIONS[*operation](&mut system.0, number);
    }
    system
}

type Tree = BTreeMap<String, Seen>;

/// All sequences of exactly `length` operations.
pub(super) fn explore(length: usize, go_on: &dyn Fn() -> bool, explored: &mut Explored) -> Result<bool, String> {
    let mut states = HashSet::new();
    let complete = sequences(length, OPERATIONS.len(), |history| {
        if !go_on() {
            return Ok(false);
        }
        explored.histories += 1;
        explore_one(history, go_on, explored, &mut states).map_err(|why| format!("operations {history:?}: {why}"))
    })?;
    explored.states += states.len() as u64;
    Ok(complete)
}

fn explore_one(history: &[usize], go_on: &dyn Fn() -> bool, explored: &mut Explored, states: &mut HashSet<u64>) -> Result<bool, String> {
    let Some(operation) = history.last().map(|last| OPERATIONS[*last]) else { return Ok(true) };
    let expected = {
        let mut system = before_last(history);
        let number = system.0.number();
        let answer = operation(&mut system.0, number);
        (answer, system.0.tree())
    };
    for store in 0.. {
        let mut recovery_store = if history.len() == 1 { 1 } else { NEVER };
        loop {
            if !go_on() {
                return Ok(false);
            }
            explored.runs += 1;
            let Some(died_again) = run(history, operation, store, recovery_store, &expected, states)? else { return Ok(true) };
            if !died_again {
                break;
            }
            recovery_store *= 2;
        }
    }
    Ok(true)
}

/// One run, whose recovery dies at the store before `recovery_store`; none if the operation has no such store, else whether the recovery had the store that it was to die at.
fn run(
    history: &[usize],
    operation: Operation,
    store: u64,
    recovery_store: u64,
    expected: &(String, Tree),
    states: &mut HashSet<u64>,
) -> Result<Option<bool>, String> {
    let mut system = before_last(history);
    let system = &mut system.0;
    let number = system.number();
    if crash_at_store(store, || operation(system, number)).is_some() {
        return Ok(None);
    }
    let died_again = crash_at_store(recovery_store - 1, || system.restart()).is_none();
    if died_again {
        system.restart();
    }
    system.check();
    let found = system.tree();
    states.insert(hash(&found));
    let answer = operation(system, number);
    let actual = (answer, system.tree());
    system.check();
    if actual == *expected {
        Ok(Some(died_again))
    } else {
        Err(format!("dead at store {store} and in recovery at {recovery_store}: {actual:?} instead of {expected:?}"))
    }
}

fn hash(tree: &Tree) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{tree:?}").hash(&mut hasher);
    hasher.finish()
}
