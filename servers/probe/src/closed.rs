//! A victim that is given up, as who calls it sees it: refused at once, and answered again when somebody revives it.
//!
//! The victim is asked to die by one request after the other until a call says something else than that it lived on: that must be [`CallError::Closed`], for the
//! request that it died of last as for any that comes later. Then it is asked for sums until one is answered; until then it may say nothing else.

use protocols::call::{CallError, Carrier};
use protocols::victim::{Client, How};

use crate::{Outside, report};

/// Among this run's options: do this instead of anything else.
pub const OPTION: &str = "probe=closed";
/// Deaths after which no policy of a test lets a service go on.
const MOST_DEATHS: u32 = 16;
/// Refusals before somebody revives it, with a pause after each: a minute, far longer than it takes.
const PATIENCE: u32 = 6000;

/// Runs both checks; returns how many failed.
pub fn run(carrier: impl Carrier, outside: &mut impl Outside) -> u32 {
    let mut client = Client(carrier);
    let refusal = (0..MOST_DEATHS).find_map(|_| client.crash(outside.next_number(), How::Panic, true).err());
    let mut sum = |outside: &mut dyn Outside| client.add(outside.next_number(), 40, 2);
    let closed = refusal == Some(CallError::Closed) && (0..MOST_DEATHS).all(|_| sum(outside) == Err(CallError::Closed));
    report("closed", outside, closed);
    let answer = (0..PATIENCE).find_map(|_| {
        outside.pause();
        let answer = sum(outside);
        (answer != Err(CallError::Closed)).then_some(answer)
    });
    let revived = answer == Some(Ok(42));
    report("revived", outside, revived);
    outside.log("probe: done");
    u32::from(!closed) + u32::from(!revived)
}
