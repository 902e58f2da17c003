//! The receive loop of a server.
//!
//! One thread receives, decides, answers and receives again, with one kernel operation for the last two. Calls of native threads go to the
//! protocol's `serve`, through [`protocols::serve::Serve`]; the rest are methods of [`Server`] with answers that suit a server that is
//! nobody's pager or personality.
//!
//! A fault or a reflected call may be kept: the method returns [`Outcome::Keep`] and the server answers later by [`reply`], from whatever
//! it does then. The Reply stays in the slot that the message named; the next one goes to [`Server::next_reply_slot`]. A native call is
//! always answered at once: what is not there yet is `Pending`.

mod caller;
mod message;

pub use caller::KernelCaller;
pub use message::{Exception, PageFault, Reflected};

use abi::{Error, MAX_CAPS, MAX_MESSAGE, MessageKind, OWN_TABLE, ReplyKind, result_words};
use protocols::serve::{Answer, Serve};
use protocols::service::Badge;

use crate::opaque::{opaque, stack_pointer};
use crate::syscall::{self, Incoming};
use crate::{slot, thread};

/// What no answer begins with: the first byte of each is the variant of a `Result`.
const UNANSWERED: u8 = u8::MAX;
/// ENOSYS, negated, as a reflected call's result.
const NO_SUCH_CALL: u64 = 38u64.wrapping_neg();

/// What becomes of a fault or a reflected call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// It is answered now, with this word: the result of a reflected call, without meaning for a fault.
    Reply(ReplyKind, u64),
    /// Its Reply is kept, and answered later through [`reply`].
    Keep,
}

/// A server: native calls by [`Serve`], all else here.
pub trait Server: Serve {
    /// A page is missing in a space whose pager this server is. The default is to decline, which passes the fault on as an exception.
    fn page_fault(&mut self, fault: &PageFault) -> Outcome {
        let _ = fault;
        Outcome::Reply(ReplyKind::Decline, 0)
    }

    /// A thread whose fault endpoint this is cannot go on. The default is to decline, which leaves it stopped.
    fn exception(&mut self, exception: &Exception) -> Outcome {
        let _ = exception;
        Outcome::Reply(ReplyKind::Decline, 0)
    }

    /// A Linux system call. The default answer is ENOSYS.
    fn reflected(&mut self, call: &Reflected) -> Outcome {
        let _ = call;
        Outcome::Reply(ReplyKind::Resume, NO_SUCH_CALL)
    }

    /// An empty slot for the next Reply, asked for after each [`Outcome::Keep`].
    fn next_reply_slot(&mut self) -> u32 {
        slot::reply(thread::index())
    }

    /// Called after each message, when its answer is known and before the next one is waited for: the place for bounded steps of longer work.
    fn between(&mut self) {}
}

/// Answers a fault or a reflected call that was kept. A caller that is gone meanwhile needs no answer.
///
/// # Errors
/// [`Error::ReplyGone`] and whatever else the kernel says.
pub fn reply(slot: u32, kind: ReplyKind, word: u64) -> Result<(), Error> {
    syscall::reply(slot, kind, word)
}

/// Binds the server's notification to its endpoint: signals then arrive as messages, in [`Serve::notified`].
///
/// # Errors
/// What the kernel says.
pub fn bind_notification() -> Result<(), Error> {
    syscall::bind(slot::NOTIFICATION, slot::ENDPOINT)
}

/// What to do before the next message.
enum Next {
    /// Answer a native call, from the reply buffer.
    Answer(Answer),
    /// Answer a fault or a reflected call, with [`abi::result_words`]: made when the answer is known, so that a bit which changes in one of them until then shows.
    Word(ReplyKind, [u64; 2]),
    /// Nothing: there was no Reply.
    Nothing,
    /// Leave the Reply where it is and take another slot.
    Keep,
}

/// Receives and answers for ever, on the server's own endpoint.
///
/// # Panics
/// When the kernel refuses to receive: the server was wired wrongly.
pub fn run(server: &mut (impl Server + ?Sized)) -> ! {
    let mut exchange = Exchange::new(slot::ENDPOINT, slot::reply(thread::index()));
    let mut next = Next::Nothing;
    let stack = stack_pointer();
    loop {
        check_stack(stack);
        server.between();
        if matches!(next, Next::Keep) {
            exchange.set_slot(server.next_reply_slot());
            next = Next::Nothing;
        }
        next = match exchange.answer_and_receive(next) {
            Ok(incoming) => exchange.handle(server, &incoming),
            Err(Error::Kicked) => Next::Nothing,
            Err(error) => panic!("cannot receive: {error:?}"),
        };
    }
}

/// Where the capabilities of a message go.
const RECEIVE: [u32; MAX_CAPS] = {
    let mut slots = [slot::RECEIVED; MAX_CAPS];
    let mut index = 0;
    while index < MAX_CAPS {
        slots[index] += index as u32;
        index += 1;
    }
    slots
};

/// The loop's buffers and where Replies go.
struct Exchange {
    endpoint: u32,
    slot: u32,
    request: [u8; MAX_MESSAGE],
    reply: [u8; MAX_MESSAGE],
}

impl Exchange {
    fn new(endpoint: u32, reply_slot: u32) -> Self {
        let mut exchange = Self { endpoint, slot: 0, request: [0; MAX_MESSAGE], reply: [0; MAX_MESSAGE] };
        exchange.set_slot(reply_slot);
        exchange
    }

    fn set_slot(&mut self, slot: u32) {
        if let Err(error) = syscall::set_reply_slot(slot) {
            panic!("slot {slot} cannot take a Reply: {error:?}");
        }
        self.slot = slot;
    }

    #[inline(always)]
    fn answer_and_receive(&mut self, next: Next) -> Result<Incoming, Error> {
        match next {
            Next::Answer(answer) => {
                let bytes = self.reply.get(..answer.bytes).unwrap_or_default();
                syscall::reply_receive(self.endpoint, bytes, &answer.caps, RECEIVE)
            }
            Next::Word(kind, words) => syscall::reply_word_receive(self.endpoint, kind, words, RECEIVE),
            Next::Nothing | Next::Keep => syscall::receive(self.endpoint, RECEIVE),
        }
    }

    #[inline(always)]
    fn handle(&mut self, server: &mut (impl Server + ?Sized), incoming: &Incoming) -> Next {
        // Nobody may be served as somebody else, or with something else: what took the wrong register for badge or label is not to be trusted with anything.
        let Some(kind) = incoming.kind else { unsound(incoming.badge) };
        if kind != MessageKind::Notification && !Badge::is_word_of(incoming.badge, incoming.number) {
            unsound(incoming.badge);
        }
        // Under another number a result would be found by the wrong request, and all that come before that one would be too late.
        if !matches!(kind, MessageKind::Notification | MessageKind::Reflected) && incoming.sum != incoming.number.0 {
            unsound(incoming.badge);
        }
        let outcome = match kind {
            MessageKind::Call => return Next::Answer(self.call(server, incoming)),
            MessageKind::Notification => {
                server.notified(incoming.words[0]);
                return Next::Nothing;
            }
            MessageKind::PageFault => server.page_fault(&PageFault::new(incoming, self.slot)),
            MessageKind::Exception => server.exception(&Exception::new(incoming, self.slot)),
            MessageKind::Reflected => server.reflected(&Reflected::new(incoming, self.slot)),
        };
        match outcome {
            Outcome::Reply(kind, word) => Next::Word(kind, twice(word)),
            Outcome::Keep => Next::Keep,
        }
    }

    fn call(&mut self, server: &mut (impl Server + ?Sized), incoming: &Incoming) -> Answer {
        let request = incoming.copy_to(&mut self.request);
        let mut caller = KernelCaller::new(self.slot, incoming);
        // The last answer lies there, and would pass for this one if this one were written elsewhere.
        self.reply[0] = UNANSWERED;
        let answer = server.serve(&mut caller, request, &mut self.reply);
        if answer.bytes > 0 && self.reply[0] == UNANSWERED {
            astray();
        }
        for index in 0..incoming.caps as u32 {
            // The server may have moved it away; what it left must not meet the next message's.
            let _moved_away = syscall::delete(OWN_TABLE, slot::RECEIVED + index);
        }
        answer
    }
}

/// A result and its complement, neither of which the compiler can make of the other.
#[inline(always)]
fn twice(word: u64) -> [u64; 2] {
    let [word, complement] = result_words(word);
    [word, opaque(complement as usize) as u64]
}

/// Each round begins where the first did. With a stack elsewhere all that is kept in this frame is something else, in this round and in all that follow.
#[inline(always)]
fn check_stack(stack: usize) {
    if stack_pointer() != stack {
        fallen()
    }
}

/// Ends the instance.
#[cold]
#[inline(never)]
fn fallen() -> ! {
    panic!("the stack is not where it was")
}

/// Ends the instance. The badge comes by value, so that who calls this only in the worst case need not have it in memory.
#[cold]
#[inline(never)]
fn unsound(badge: u64) -> ! {
    panic!("a message came of no kind, under two numbers, or under the badge {badge:#x}, which is none")
}

/// Ends the instance: its caller would be told what somebody else was.
#[cold]
#[inline(never)]
fn astray() -> ! {
    panic!("an answer is not where answers are")
}

#[cfg(test)]
mod tests;
