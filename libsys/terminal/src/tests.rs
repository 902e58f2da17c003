//! Each behaviour by what a user types and sees, and what a program reads.

mod canonical;
mod model;
mod output;
mod raw;
mod saved;

use super::{Discipline, InMemory, Patience, Storage};
use protocols::console::Termios;

type Line = Discipline<InMemory<64, 512>>;

fn line_with(change: impl FnOnce(&mut Termios)) -> Line {
    let mut modes = Termios::INITIAL;
    change(&mut modes);
    Discipline::new(InMemory::new(modes))
}

fn line() -> Line {
    line_with(|_| {})
}

fn type_in<S: Storage>(line: &mut Discipline<S>, bytes: &[u8]) {
    for byte in bytes {
        line.receive(*byte);
    }
}

/// What went out to the line since the last time.
fn screen<S: Storage>(line: &mut Discipline<S>) -> Vec<u8> {
    let mut bytes = vec![0; S::OUTPUT as usize];
    let count = line.peek_output(&mut bytes);
    line.sent(count);
    bytes.truncate(count);
    bytes
}

/// What a read gets, or `None` if it has to wait.
fn read_some<S: Storage>(line: &mut Discipline<S>, length: u32, patience: Patience) -> Option<Vec<u8>> {
    let span = line.find_input(length, patience).ok()?;
    let mut bytes = vec![0; span.count as usize];
    assert_eq!(line.copy_input(span, 0, &mut bytes), Some(bytes.len()));
    line.take_input(span);
    Some(bytes)
}

fn read<S: Storage>(line: &mut Discipline<S>) -> Option<Vec<u8>> {
    read_some(line, 1000, Patience::Wait)
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}
