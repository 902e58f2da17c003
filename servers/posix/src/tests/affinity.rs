//! Which processors run a thread.

use crate::fake::Runs;
use crate::fake::harness::{DATA, System};
use crate::saved::slot;

fn start(processors: usize) -> (System, usize) {
    let (system, lane) = System::start();
    system.machine.0.borrow_mut().processors = processors;
    (system, lane)
}

fn set(system: &mut System, lane: usize, of: u32, processors: u64) -> Option<u64> {
    system.poke(lane, DATA, &processors.to_le_bytes());
    system.call(lane, 203, [u64::from(of), 8, DATA, 0, 0, 0])
}

fn get(system: &mut System, lane: usize) -> u64 {
    assert_eq!(system.call(lane, 204, [0, 128, DATA + 8, 0, 0, 0]), Some(8));
    u64::from_le_bytes(system.peek(lane, DATA + 8, 8).try_into().unwrap())
}

fn runs_on(system: &System, lane: usize) -> u64 {
    system.machine.0.borrow().threads[&slot::thread(lane)].processor
}

#[test]
fn thread_moves_to_one_of_its_set_and_so_do_its_children() {
    let (mut system, lane) = start(4);
    assert_eq!(get(&mut system, lane), 0b1111);
    assert_eq!(set(&mut system, lane, 0, 0xf00 | 0b1000), Some(0), "others than there are do not count");
    assert_eq!((get(&mut system, lane), runs_on(&system, lane)), (0b1000, 3));
    assert_eq!(system.call(lane, 309, [DATA, 0, 0, 0, 0, 0]), Some(0), "getcpu");
    assert_eq!(system.peek(lane, DATA, 4), 3u32.to_le_bytes());
    let child = system.fork(lane);
    assert_eq!((get(&mut system, child), runs_on(&system, child)), (0b1000, 3));
    assert_eq!(set(&mut system, child, 0, u64::MAX), Some(0));
    assert_eq!(get(&mut system, child), 0b1111);
    assert_eq!(set(&mut system, child, 0, 0xf0), Some((-22i64) as u64));
}

#[test]
fn thread_that_runs_is_moved_and_goes_on() {
    let (mut system, lane) = start(2);
    let child = system.fork(lane);
    let pid = system.pid(child);
    for processor in [0, 1] {
        assert_eq!(set(&mut system, lane, pid, 1 << processor), Some(0));
        assert_eq!((runs_on(&system, child), system.runs(child)), (processor, Some(Runs::Running)));
    }
    system.restart();
    assert_eq!((get(&mut system, child), runs_on(&system, child)), (0b10, 1));
    assert_eq!(set(&mut system, lane, 9999, 1), Some((-3i64) as u64));
}
