//! Messages as a test writes and reads them.

use abi::{Control, Error, Label, Lease, MessageKind, MessagePage, Operation, RequestNumber, result_words};

use super::World;
use crate::page::{PAGE_BYTES, Ref};
use crate::thread::Thread;

/// What a thread sends: as a call or as an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Length and kind; the numbers of capabilities and leases are filled in.
    pub label: Label,
    /// Message words.
    pub words: Vec<u64>,
    /// Handles of capabilities to copy.
    pub caps: Vec<u32>,
    /// Memory to lend.
    pub leases: Vec<Lease>,
    /// Request number.
    pub number: u64,
}

impl Message {
    /// A message of words.
    #[must_use]
    pub fn words(words: &[u64]) -> Self {
        Self { label: Label::new(8 * words.len()), words: words.to_vec(), ..Self::default() }
    }

    /// An answer of one word and a kind.
    #[must_use]
    pub fn answer(kind: abi::ReplyKind, word: u64) -> Self {
        Self { label: Label::new(16).with_kind(kind as u8), words: result_words(word).to_vec(), ..Self::default() }
    }

    /// With a request number.
    #[must_use]
    pub fn numbered(self, number: RequestNumber) -> Self {
        Self { number: number.0, ..self }
    }

    /// With leases.
    #[must_use]
    pub fn lending(self, leases: &[Lease]) -> Self {
        Self { leases: leases.to_vec(), ..self }
    }

    /// With capabilities.
    #[must_use]
    pub fn with_caps(self, caps: &[u32]) -> Self {
        Self { caps: caps.to_vec(), ..self }
    }
}

/// What a thread received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// What kind of message.
    pub kind: Option<MessageKind>,
    /// Its label.
    pub label: Label,
    /// Its words.
    pub words: [u64; 8],
    /// The badge of the capability that it came through.
    pub badge: u64,
    /// Its request number.
    pub number: u64,
    /// What comes with a Linux call.
    pub sum: u64,
}

impl World {
    /// A thread's message page.
    pub fn message_page(&mut self, thread: Ref<Thread>) -> &mut [u8; PAGE_BYTES] {
        let page = self.kernel.thread(thread).message_page;
        self.page(page)
    }

    fn put_words(&mut self, thread: Ref<Thread>, offset: usize, values: &[u32]) {
        for (index, value) in values.iter().enumerate() {
            let at = offset + index * 4;
            self.message_page(thread)[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
    }

    /// Names the slots into which a thread takes capabilities.
    pub fn accept_caps(&mut self, thread: Ref<Thread>, slots: &[u32]) {
        self.put_words(thread, core::mem::offset_of!(MessagePage, receive_slots), slots);
    }

    /// Whether a thread has a message page.
    pub fn has_message_page(&mut self, thread: Ref<Thread>) -> bool {
        self.kernel.thread(thread).message_page != 0
    }

    /// Writes a message's capabilities and leases into a thread's message page; the label that goes with them.
    pub fn prepare(&mut self, thread: Ref<Thread>, message: &Message) -> Label {
        self.put_words(thread, core::mem::offset_of!(MessagePage, send_caps), &message.caps);
        for (index, lease) in message.leases.iter().enumerate() {
            let at = core::mem::offset_of!(MessagePage, leases) + index * size_of::<Lease>();
            let fields = [lease.address, lease.length, u64::from(lease.reply) | u64::from(lease.index) << 32, lease.rights];
            for (word, value) in fields.into_iter().enumerate() {
                self.message_page(thread)[at + word * 8..at + word * 8 + 8].copy_from_slice(&value.to_le_bytes());
            }
        }
        message.label.with_caps(message.caps.len()).with_leases(message.leases.len())
    }

    fn transfer(&mut self, thread: Ref<Thread>, operation: Operation, handle: u32, message: &Message) {
        let label = self.prepare(thread, message);
        self.enter(thread, Control::new(operation, handle), label, &message.words, message.number);
    }

    /// `thread` calls.
    pub fn call(&mut self, thread: Ref<Thread>, handle: u32, message: &Message) {
        self.transfer(thread, Operation::Call, handle, message);
    }

    /// `thread` answers through its reply slot and waits for the next message.
    pub fn reply_receive(&mut self, thread: Ref<Thread>, handle: u32, message: &Message) {
        self.transfer(thread, Operation::ReplyReceive, handle, message);
    }

    /// `thread` answers.
    ///
    /// # Errors
    /// What the kernel answered.
    pub fn reply(&mut self, thread: Ref<Thread>, handle: u32, message: &Message) -> Result<(), Error> {
        self.transfer(thread, Operation::Reply, handle, message);
        self.outcome(thread).map(|_| ())
    }

    /// `thread` waits for a message.
    pub fn receive(&mut self, thread: Ref<Thread>, handle: u32) {
        self.begin(thread, handle, Operation::Receive, &[]);
    }

    /// The message, or the answer to a call, that a thread has.
    ///
    /// # Panics
    /// If it still waits or got an error.
    pub fn received(&mut self, thread: Ref<Thread>) -> Received {
        let words = self.outcome(thread).expect("a message");
        let frame = self.frame(thread);
        let label = Label((frame.rax >> 32) as u32);
        Received { kind: label.message_kind(), label, words, badge: frame.rbx, number: frame.r14, sum: frame.r15 }
    }

    /// A Linux thread executes `syscall` number `rax` at `rip`.
    pub fn linux_call(&mut self, thread: Ref<Thread>, rax: u64, arguments: [u64; 6], rip: u64) {
        self.switch_to(thread);
        let frame = self.frame(thread);
        [frame.rdi, frame.rsi, frame.rdx, frame.r10, frame.r8, frame.r9] = arguments;
        (frame.rax, frame.rip) = (rax, rip + 2);
        self.system_call();
    }
}
