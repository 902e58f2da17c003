//! 2 MiB pages and the moves that make room for them, seen by a server that uses its memory meanwhile.
//!
//! A heap that asked for them is filled with numbers and read again, while memory moves the file system's pages about and, where the test says so,
//! dies of it. What is checked is what a server can see: its numbers, the size of what a fault brings, and that each question is answered.

use alloc::vec::Vec;

use protocols::call::{CallError, Carrier};
use protocols::memory::{Client, Error, Window};
use protocols::service::Service;

use crate::{Outside, report};

/// Among this run's options: do this instead of anything else.
pub const OPTION: &str = "probe=memory";
/// Words of the numbers: 6 MiB.
const WORDS: u64 = 6 << 17;
/// Pages of the heap in which 2 MiB pages are wanted.
const WANTED_PAGES: u32 = 8192;
/// Questions for more room, with a pause after each: more than a script has time for.
const ROUNDS: u64 = 6000;
/// How often a question may be refused: the test has fewer deaths than twice this.
const REFUSALS: u32 = 4;
/// Rounds between two reports.
const REPORTED: u64 = 20;

/// What lies at a place.
const fn number(place: u64) -> u64 {
    place.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ place
}

fn is_right(numbers: &[u64]) -> bool {
    numbers.iter().zip(0..).all(|(found, place)| *found == number(place))
}

/// Runs all checks.
pub fn run(carrier: impl Carrier, outside: &mut impl Outside) {
    let mut memory = Client(carrier);
    let asked = ask(|| memory.huge(outside.next_number(), Window::Heap, 0, WANTED_PAGES));
    report("asked for 2 MiB pages", outside, asked.is_ok_and(|whole| whole > 8));
    let before = heap_pages(&mut memory, outside);
    let mut numbers: Vec<u64> = Vec::new();
    numbers.resize_with(WORDS as usize, || 0);
    for (to, place) in numbers.iter_mut().zip(0..) {
        *to = number(place);
    }
    report("2 MiB pages", outside, is_right(&numbers));
    // Small pages come by 16 at most; what is there now and not before is a multiple of 512 but for the few of other blocks.
    let brought = heap_pages(&mut memory, outside).saturating_sub(before);
    report("size", outside, brought >= 3 * 512);
    let mut most = 0;
    let mut answered = true;
    for round in 1..=ROUNDS {
        let whole = ask(|| memory.compact(outside.next_number()));
        answered &= whole.is_ok();
        most = whole.unwrap_or(0).max(most);
        outside.pause();
        // Now and then, because the script may end before.
        if round % REPORTED == 0 {
            report("moves", outside, answered && most > 0 && is_right(&numbers));
        }
    }
    outside.log("probe: done");
}

/// Asks again, as a new request, what was refused because memory died of it twice. All that is asked here may be done twice.
fn ask<T>(mut question: impl FnMut() -> Result<T, CallError<Error>>) -> Result<T, CallError<Error>> {
    for _ in 0..REFUSALS {
        match question() {
            Err(CallError::Poisoned) => {}
            answer => return answer,
        }
    }
    question()
}

fn heap_pages(memory: &mut Client<impl Carrier>, outside: &mut impl Outside) -> u64 {
    memory.service_usage(outside.next_number(), Service::Probe.id()).map_or(0, |usage| usage.heap.0)
}
