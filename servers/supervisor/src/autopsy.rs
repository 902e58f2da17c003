//! What is written down about a death, while the dead instance's memory is still there.
//!
//! An address space that belongs to a crashed server is not to be trusted: every read may fail, the chain of frames must go up within one stack, and what
//! cannot be had is left out of the record.

use abi::boot::{Image, SEGMENT_EXECUTE};
use abi::{Frame, PAGE_SIZE};
use heapless::{String, Vec};
use libsys::layout;
use libsys::log::ring;
use protocols::crash::{Cause, Crash, MAX_BACKTRACE, MAX_LOG, Registers};

use crate::kernel::Kernel;
use crate::slot::Block;

/// Deaths on record: enough for a night's, and small enough for the supervisor's image.
const MAX_RECORDS: usize = 16;
/// Vector of a page fault.
const PAGE_FAULT: u64 = 14;

/// The last deaths, oldest first.
#[derive(Debug, Default)]
pub struct Records(Vec<Crash, MAX_RECORDS>);

impl Records {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Keeps a record; the oldest one goes.
    pub fn add(&mut self, crash: Crash) {
        if self.0.is_full() {
            self.0.remove(0);
        }
        // There is room now.
        let _full = self.0.push(crash);
    }

    /// The `nth`-last one.
    #[must_use]
    pub fn get(&self, nth: u8) -> Option<&Crash> {
        self.0.iter().rev().nth(usize::from(nth))
    }

    /// A successor of the service is up: its last death is over.
    pub fn up_again(&mut self, service: u8, now_us: u64) {
        if let Some(crash) = self.0.iter_mut().rev().find(|crash| crash.service == service) {
            crash.down_us.get_or_insert(now_us.saturating_sub(crash.at_us));
        }
    }
}

/// The cause by its name: a page fault in what is not mapped of the culprit's own stack range is an overflow. In all of it and not in its first page alone,
/// because a large frame leaps that.
#[must_use]
pub fn named(cause: Cause, culprit: Option<u8>) -> Cause {
    let (Cause::Exception { vector: PAGE_FAULT, address, instruction, .. } | Cause::PageFault { address, instruction, .. }, Some(thread)) =
        (cause, culprit)
    else {
        return cause;
    };
    let thread = u64::from(thread);
    let is_guard = address < layout::stack_bottom(thread) && layout::thread_of_stack(address) == Some(thread);
    if is_guard { Cause::Overflow { address, instruction } } else { cause }
}

/// A thread's registers and the addresses in the image's code that it would have returned to. The thread must be stopped.
pub fn examine(kernel: &mut impl Kernel, image: &Image<'_>, block: Block, thread: u8) -> (Option<Registers>, Vec<u64, MAX_BACKTRACE>) {
    let Ok(frame) = kernel.get_frame(block.thread(u32::from(thread))) else { return (None, Vec::new()) };
    (Some(registers(&frame)), backtrace(kernel, image, block.space(), thread, &frame))
}

fn registers(frame: &Frame) -> Registers {
    let Frame { rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags, .. } = *frame;
    Registers { general: [rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15], rip, rflags }
}

/// Follows the frame pointers, which all servers are built with (System V ABI, 3.2.2): each points at the caller's one, with the return address above. A thread that
/// was stopped where a function begins or ends has a frame without an address: what lies there is left out unless it is code's.
fn backtrace(kernel: &mut impl Kernel, image: &Image<'_>, space: u32, thread: u8, frame: &Frame) -> Vec<u64, MAX_BACKTRACE> {
    let mut found = Vec::new();
    let _first_fits = found.push(frame.rip);
    let top = layout::stack_top(u64::from(thread));
    let (mut at, mut low) = (frame.rbp, layout::stack_bottom(u64::from(thread)));
    while at >= low && at < top && at.is_multiple_of(8) {
        let mut words = [0; 16];
        if kernel.copy_from(space, at, &mut words).is_err() {
            break;
        }
        let [next, address] = [0, 8].map(|offset| words.iter().skip(offset).take(8).rfold(0, |word, byte| word << 8 | u64::from(*byte)));
        if address == 0 || is_code(image, address) && found.push(address).is_err() {
            break;
        }
        (low, at) = (at + 16, next);
    }
    found
}

fn is_code(image: &Image<'_>, address: u64) -> bool {
    let mut code = image.segments().filter(|segment| segment.flags & SEGMENT_EXECUTE != 0);
    code.any(|segment| (segment.address..segment.address + u64::from(segment.pages) * PAGE_SIZE).contains(&address))
}

/// The end of what an instance logged.
pub fn last_lines(kernel: &mut impl Kernel, block: Block) -> String<MAX_LOG> {
    let mut bytes = Vec::<u8, MAX_LOG>::new();
    read_log(kernel, block, u64::MAX, &mut bytes);
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        // The text is no longer than its bytes.
        let _fits = text.push_str(chunk.valid());
    }
    text
}

/// What an instance logged from a byte on, as much as there is room for. Returns where the rest begins; `None` for one without a log.
pub fn read_log<const N: usize>(kernel: &mut impl Kernel, block: Block, from: u64, to: &mut Vec<u8, N>) -> Option<u64> {
    let mut page = [0; PAGE_SIZE as usize];
    kernel.copy_from(block.space(), layout::LOG, &mut page).ok()?;
    Some(ring::read(&page, from, N, |byte| {
        // No more than its room was asked for.
        let _full = to.push(byte);
    }))
}

#[cfg(test)]
mod tests {
    use super::{MAX_RECORDS, Records, named};
    use abi::PAGE_SIZE;
    use heapless::{String, Vec};
    use libsys::layout;
    use protocols::crash::{Cause, Crash};

    fn crash(instance: u32) -> Crash {
        Crash {
            service: 6,
            instance,
            thread: None,
            at_us: 100,
            lived_us: 0,
            down_us: None,
            cause: Cause::Hung,
            registers: None,
            backtrace: Vec::new(),
            request: None,
            words: String::new(),
            log: String::new(),
        }
    }

    #[test]
    fn page_fault_in_the_guard_of_the_own_stack_is_an_overflow() {
        let (bottom, instruction) = (layout::stack_bottom(2), 0x40_1000);
        for fault in [|words| Cause::page_fault(words), |[address, _, at, ..]: [u64; 8]| Cause::exception([14, 6, address, at, 0, 0, 0, 0])] {
            let at = |address, thread| named(fault([address, 1, instruction, 0, 0, 0, 0, 0]), thread);
            for address in [bottom - 8, bottom - 3 * PAGE_SIZE, layout::stack_top(1)] {
                assert_eq!(at(address, Some(2)), Cause::Overflow { address, instruction });
            }
            for (address, thread) in [(bottom, Some(2)), (bottom - 8, Some(1)), (bottom - 8, None), (layout::stack_top(1) - 8, Some(2)), (0, Some(2))]
            {
                assert!(!matches!(at(address, thread), Cause::Overflow { .. }), "{address:#x} of {thread:?}");
            }
        }
        let other = Cause::exception([13, 0, bottom - 8, instruction, 0, 0, 0, 0]);
        assert_eq!([named(other, Some(2)), named(Cause::Hung, Some(2))], [other, Cause::Hung]);
    }

    #[test]
    fn oldest_record_goes_first() {
        let mut records = Records::new();
        (1..=MAX_RECORDS as u32 + 3).for_each(|instance| records.add(crash(instance)));
        assert_eq!(records.get(0).map(|crash| crash.instance), Some(MAX_RECORDS as u32 + 3));
        assert_eq!(records.get(MAX_RECORDS as u8 - 1).map(|crash| crash.instance), Some(4));
        assert_eq!(records.get(MAX_RECORDS as u8), None);
    }

    #[test]
    fn time_without_service_ends_once() {
        let mut records = Records::new();
        records.add(crash(1));
        records.up_again(7, 110);
        records.up_again(6, 120);
        records.up_again(6, 130);
        assert_eq!(records.get(0).and_then(|crash| crash.down_us), Some(20));
    }
}
