//! Calls, receiving them, answering them, and copying from and to what the caller lends.
//!
//! A message of up to [`abi::MAX_INLINE`] bytes travels in the registers, a longer one in the message page; this file is the only one that
//! knows.

use abi::{
    COPY_BYTES, EndpointState, Error, Label, Lease, MAX_CAPS, MAX_INLINE, MAX_MESSAGE, MessageKind, Operation, ReplyKind, RequestNumber, copy_sum,
    result_words,
};

use super::{Registers, command, page};
use crate::opaque::opaque;

/// How often a copy that met a missing local page is tried: once to learn of it, once to have it, and as often again because another thread
/// may lose it.
const LOCAL_ATTEMPTS: u32 = 4;

/// What a call brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Length of the answer.
    pub bytes: usize,
    /// How many capabilities came with it.
    pub caps: usize,
}

/// A received message. A long one's bytes are still in the message page: copy them out before the next operation.
#[derive(Clone, Copy, Debug)]
pub struct Incoming {
    /// What it is; `None` for a kind that this build does not know.
    pub kind: Option<MessageKind>,
    /// Badge of the capability that it came through.
    pub badge: u64,
    /// Its request number.
    pub number: RequestNumber,
    /// The message words.
    pub words: [u64; 8],
    /// The request number again; of a Linux call [`abi::call_sum`].
    pub sum: u64,
    /// Its length in bytes.
    pub bytes: usize,
    /// How many capabilities came with it.
    pub caps: usize,
    /// How many leases came with it.
    pub leases: usize,
}

impl Incoming {
    #[inline(always)]
    fn new(registers: &Registers) -> Self {
        let label = registers.label();
        Self {
            kind: label.message_kind(),
            badge: registers.badge,
            number: RequestNumber(registers.number),
            words: registers.words,
            sum: registers.sum,
            bytes: label.bytes().min(MAX_MESSAGE),
            caps: label.caps().min(MAX_CAPS),
            leases: label.leases(),
        }
    }

    /// Copies the message's bytes to `buffer` and returns them; none of a message that did not come as it was sent, which is no request then.
    #[inline]
    pub fn copy_to<'a>(&self, buffer: &'a mut [u8; MAX_MESSAGE]) -> &'a [u8] {
        take_bytes(&self.words, self.bytes, buffer).unwrap_or_default()
    }
}

/// Why bytes could not be copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyError {
    /// The other side's page is missing or may not be accessed that way.
    NeedsPage {
        /// The address there.
        address: u64,
        /// The access was a write.
        write: bool,
    },
    /// Another error.
    Kernel(Error),
}

/// A message of up to so many bytes leaves the last word free, which says what the others are together. So does one in the message page; what it says of that is its
/// length.
const SEALED: usize = MAX_INLINE - 8;
/// What a message without bytes is sealed with: not zero, so that words that nobody wrote are no message.
const SEAL: u64 = 0x5f37_59df_5f37_59df;

/// The last word of a message that has room for it. A bit that is wrong in one register between the two who speak is a wrong bit here.
#[inline]
pub(crate) fn seal(words: &[u64; 8], bytes: usize) -> u64 {
    let [a, b, c, d, e, f, g, _] = words;
    a ^ b ^ c ^ d ^ e ^ f ^ g ^ bytes as u64 ^ SEAL
}

const fn has_room(bytes: usize) -> bool {
    bytes <= SEALED || bytes > MAX_INLINE
}

/// Whether a message came as it was sent, as far as can be known.
#[inline]
fn is_whole(words: &[u64; 8], sealed: u64, bytes: usize) -> bool {
    !has_room(bytes) || sealed == seal(words, bytes)
}

/// Fills the words, or the message page, and returns the label.
#[inline]
fn put_bytes(bytes: &[u8], words: &mut [u64; 8]) -> Label {
    if bytes.len() <= MAX_INLINE {
        let (whole, rest) = bytes.as_chunks::<8>();
        for (word, chunk) in words.iter_mut().zip(whole) {
            *word = u64::from_le_bytes(*chunk);
        }
        if let Some(word) = words.get_mut(whole.len()) {
            *word = rest.iter().rfold(0, |word, byte| word << 8 | u64::from(*byte));
        }
    } else {
        page::put(bytes);
    }
    if has_room(bytes.len()) {
        words[7] = seal(words, bytes.len());
    }
    Label::new(bytes.len().min(MAX_MESSAGE))
}

/// The other way round: the `length` bytes, at the start of `buffer`. `None` if they are not what was sent, or for a buffer that is shorter than they are or than all words.
#[inline]
fn take_bytes<'a>(words: &[u64; 8], length: usize, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut there = *words;
    if length <= MAX_INLINE {
        let (chunks, _) = buffer.first_chunk_mut::<MAX_INLINE>()?.as_chunks_mut::<8>();
        for (chunk, word) in chunks.iter_mut().zip(words) {
            *chunk = word.to_le_bytes();
        }
        // What lies there is looked at, and not what was to lie there: a word that went elsewhere leaves that of an older message.
        let place = core::ptr::with_exposed_provenance::<[u8; 8]>(opaque(chunks.as_ptr().expose_provenance()));
        for (index, word) in there.iter_mut().enumerate() {
            // SAFETY: it is the buffer's address, which has as many chunks as there are words.
            *word = u64::from_le_bytes(unsafe { place.add(index).read() });
        }
    } else {
        page::take(buffer.get_mut(..length)?);
    }
    if is_whole(&there, words[7], length) { buffer.get(..length) } else { None }
}

/// Sends `message` and waits for the answer, whose bytes go to `reply`. Capabilities that come with the answer go to the slots `receive` of
/// the own table; 0 names none.
///
/// # Errors
/// [`Error::InvalidArgument`] for a message that is too long, for a `reply` that is shorter than [`MAX_INLINE`] or than the answer, or for an answer that did not come as
/// it was sent; else what the kernel says.
pub fn call(
    endpoint: u32,
    number: RequestNumber,
    message: &[u8],
    leases: &[Lease],
    caps: &[u32],
    receive: [u32; MAX_CAPS],
    reply: &mut [u8],
) -> Result<Sent, Error> {
    if message.len() > MAX_MESSAGE {
        return Err(Error::InvalidArgument);
    }
    let mut registers = Registers { number: number.0, ..Registers::new(Operation::Call, endpoint) };
    let mut label = put_bytes(message, &mut registers.words);
    if !caps.is_empty() {
        label = label.with_caps(page::put_caps(caps));
    }
    if !leases.is_empty() {
        label = label.with_leases(page::put_leases(leases));
    }
    page::put_receive_slots(receive);
    registers = registers.with_label(label);
    registers.enter()?;
    let answer = registers.label();
    let bytes = take_bytes(&registers.words, answer.bytes(), reply).ok_or(Error::InvalidArgument)?;
    Ok(Sent { bytes: bytes.len(), caps: answer.caps() })
}

/// Sends the message words as they are, without capabilities or leases, and waits for the answer's: the least that a call can cost. What `label` does not
/// count reaches the callee all the same.
///
/// # Errors
/// What the kernel says.
#[inline]
pub fn call_words(endpoint: u32, number: RequestNumber, label: Label, words: [u64; 8]) -> Result<(Label, [u64; 8]), Error> {
    let mut registers = Registers { number: number.0, words, ..Registers::new(Operation::Call, endpoint) }.with_label(label);
    registers.enter_for_words()?;
    Ok((registers.label(), registers.words))
}

/// Answers with the message words as they are and waits for the next message, as [`reply_receive`] does, but for the capabilities. Words that `label` does
/// not count reach the caller all the same.
///
/// # Errors
/// What the kernel says, of either half.
#[inline]
pub fn reply_words_receive(endpoint: u32, label: Label, words: [u64; 8]) -> Result<(Label, [u64; 8]), Error> {
    let mut registers = Registers { words, ..Registers::new(Operation::ReplyReceive, endpoint) }.with_label(label);
    registers.enter_for_words()?;
    Ok((registers.label(), registers.words))
}

/// Waits for a message. Its Reply goes to the thread's reply slot, which must be empty, and its capabilities to the slots `receive`.
///
/// # Errors
/// What the kernel says.
#[inline]
pub fn receive(endpoint: u32, receive: [u32; MAX_CAPS]) -> Result<Incoming, Error> {
    page::put_receive_slots(receive);
    let mut registers = Registers::new(Operation::Receive, endpoint);
    registers.enter()?;
    Ok(Incoming::new(&registers))
}

/// Answers through the thread's reply slot, with copies of the capabilities that `caps` name, and waits for the next message as [`receive`]
/// does.
///
/// # Errors
/// What the kernel says, of either half.
#[inline]
pub fn reply_receive(endpoint: u32, bytes: &[u8], caps: &[u32], receive: [u32; MAX_CAPS]) -> Result<Incoming, Error> {
    let mut registers = Registers::new(Operation::ReplyReceive, endpoint);
    let mut label = put_bytes(bytes, &mut registers.words).with_kind(ReplyKind::Resume as u8);
    if !caps.is_empty() {
        label = label.with_caps(page::put_caps(caps));
    }
    page::put_receive_slots(receive);
    registers = registers.with_label(label);
    registers.enter()?;
    Ok(Incoming::new(&registers))
}

/// The label of an answer that is one word.
const fn word_label(kind: ReplyKind) -> Label {
    Label::new(size_of_val(&result_words(0))).with_kind(kind as u8)
}

/// As [`reply_receive`], for the answer to a fault or a reflected call: [`result_words`].
///
/// # Errors
/// What the kernel says, of either half.
#[inline]
pub fn reply_word_receive(endpoint: u32, kind: ReplyKind, words: [u64; 2], receive: [u32; MAX_CAPS]) -> Result<Incoming, Error> {
    page::put_receive_slots(receive);
    let mut registers = Registers::new(Operation::ReplyReceive, endpoint).with_words(words).with_label(word_label(kind));
    registers.enter()?;
    Ok(Incoming::new(&registers))
}

/// Answers a fault or a reflected call through the Reply in `slot`, without waiting.
///
/// # Errors
/// [`Error::ReplyGone`] if the caller is gone.
pub fn reply(slot: u32, kind: ReplyKind, word: u64) -> Result<(), Error> {
    Registers::new(Operation::Reply, slot).with_words(result_words(word)).with_label(word_label(kind)).enter()
}

/// Works on for the caller whose Reply was kept in `slot`: should the thread die of it, that is the request to blame.
///
/// # Errors
/// [`Error::ReplyGone`] if the caller is gone.
pub fn take_up(slot: u32) -> Result<(), Error> {
    command(Operation::TakeUp, slot, [])
}

/// Answers a call through the Reply in `slot`, without waiting.
///
/// # Errors
/// [`Error::ReplyGone`] if the caller is gone; [`Error::InvalidArgument`] for an answer that is too long.
pub fn reply_bytes(slot: u32, bytes: &[u8], caps: &[u32]) -> Result<(), Error> {
    if bytes.len() > MAX_MESSAGE {
        return Err(Error::InvalidArgument);
    }
    let mut registers = Registers::new(Operation::Reply, slot);
    let mut label = put_bytes(bytes, &mut registers.words).with_kind(ReplyKind::Resume as u8);
    if !caps.is_empty() {
        label = label.with_caps(page::put_caps(caps));
    }
    registers.with_label(label).enter()
}

/// Says where the Reply of the next message goes.
///
/// # Errors
/// What the kernel says.
pub fn set_reply_slot(slot: u32) -> Result<(), Error> {
    command(Operation::SetReplySlot, 0, [u64::from(slot)])
}

/// Sets an endpoint's state; callers of a closed one get `code`.
///
/// # Errors
/// What the kernel says.
pub fn set_state(endpoint: u32, state: EndpointState, code: u64) -> Result<(), Error> {
    command(Operation::SetState, endpoint, [state as u64, code])
}

/// Copies from the caller behind `reply` until `to` is full or [`COPY_BYTES`] are copied; `offset` counts in its lease number `lease`, or
/// is an address of a reflected caller. Returns how many bytes were copied.
///
/// # Errors
/// [`CopyError`].
#[inline(always)]
pub fn lease_read(reply: u32, lease: usize, offset: u64, to: &mut [u8]) -> Result<usize, CopyError> {
    copy_in(Operation::LeaseRead, reply, |local, bytes| [lease as u64, offset, local, bytes], to)
}

/// Copies to the caller, the other way round.
///
/// # Errors
/// [`CopyError`].
#[inline(always)]
pub fn lease_write(reply: u32, lease: usize, offset: u64, from: &[u8]) -> Result<usize, CopyError> {
    copy_out(Operation::LeaseWrite, reply, |local, bytes| [lease as u64, offset, local, bytes], from)
}

/// A copy into local memory, inlined so that the sum of its arguments is taken where they come from; `arguments` puts local address and length where the operation wants them.
#[inline(always)]
pub(super) fn copy_in<const N: usize>(
    operation: Operation,
    handle: u32,
    arguments: impl Fn(u64, u64) -> [u64; N],
    to: &mut [u8],
) -> Result<usize, CopyError> {
    let bytes = to.len().min(COPY_BYTES as usize);
    let address = to.as_mut_ptr();
    for _ in 0..LOCAL_ATTEMPTS {
        match copy_once(operation, handle, arguments(address as u64, bytes as u64)) {
            Err(CopyError::Kernel(Error::LocalFault)) => to.get_mut(..bytes).unwrap_or_default().chunks_mut(1024).for_each(touch_to_write),
            done => return done,
        }
    }
    Err(CopyError::Kernel(Error::LocalFault))
}

/// A copy from local memory.
#[inline(always)]
pub(super) fn copy_out<const N: usize>(
    operation: Operation,
    handle: u32,
    arguments: impl Fn(u64, u64) -> [u64; N],
    from: &[u8],
) -> Result<usize, CopyError> {
    let bytes = from.len().min(COPY_BYTES as usize);
    for _ in 0..LOCAL_ATTEMPTS {
        match copy_once(operation, handle, arguments(from.as_ptr() as u64, bytes as u64)) {
            Err(CopyError::Kernel(Error::LocalFault)) => from.get(..bytes).unwrap_or_default().chunks(1024).for_each(touch_to_read),
            done => return done,
        }
    }
    Err(CopyError::Kernel(Error::LocalFault))
}

#[inline(always)]
pub(super) fn copy_once<const N: usize>(operation: Operation, handle: u32, arguments: [u64; N]) -> Result<usize, CopyError> {
    let mut registers = Registers::new(operation, handle).with_words(arguments);
    registers.words[7] = copy_sum(handle, &arguments);
    let [first, second, ..] = match registers.enter() {
        Ok(()) => return Ok(registers.words[0] as usize),
        Err(Error::NeedsPage) => registers.words,
        Err(error) => return Err(CopyError::Kernel(error)),
    };
    Err(CopyError::NeedsPage { address: first, write: second != 0 })
}

/// Reads the first and the last byte: both ends of a chunk that is shorter than a page lie in its at most two pages.
fn touch_to_read(bytes: &[u8]) {
    for byte in bytes.first().into_iter().chain(bytes.last()) {
        // SAFETY: a reference is valid for reads; volatile so that the access happens.
        unsafe { (&raw const *byte).read_volatile() };
    }
}

/// As [`touch_to_read`], with writes of what is there.
fn touch_to_write(bytes: &mut [u8]) {
    for index in [0, bytes.len().saturating_sub(1)] {
        if let Some(byte) = bytes.get_mut(index) {
            // SAFETY: an exclusive reference is valid for both; volatile so that the accesses happen.
            unsafe { (&raw mut *byte).write_volatile((&raw const *byte).read_volatile()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{SEALED, is_whole, put_bytes, take_bytes};
    use abi::{MAX_INLINE, MAX_MESSAGE};

    #[test]
    fn every_wrong_bit_of_a_short_message_shows() {
        for length in [0, 1, 9, 31, SEALED - 2, 100] {
            let mut words = [0; 8];
            let _label = put_bytes(&[0xa5; 100][..length], &mut words);
            let whole = |words: &[u64; 8], length| take_bytes(words, length, &mut [0; 128]).is_some();
            assert!(whole(&words, length));
            for bit in 0..512 {
                let mut wrong = words;
                wrong[bit / 64] ^= 1 << (bit % 64);
                assert!(!whole(&wrong, length), "{length} bytes, bit {bit}");
            }
            assert!(!whole(&words, length ^ 2) && !whole(&[0; 8], length));
        }
    }

    #[test]
    fn message_of_every_length_travels_unchanged() {
        let message: std::vec::Vec<u8> = (0..MAX_MESSAGE).map(|index| (index * 7) as u8).collect();
        for length in [0, 1, 7, 8, 9, 63, MAX_INLINE, MAX_INLINE + 1, MAX_MESSAGE] {
            let mut words = [0; 8];
            let label = put_bytes(&message[..length], &mut words);
            let mut back = std::vec![0xff; label.bytes().max(MAX_INLINE)];
            assert_eq!(take_bytes(&words, label.bytes(), &mut back), Some(&message[..length]));
        }
        assert_eq!(take_bytes(&[0; 8], MAX_INLINE + 1, &mut [0; MAX_INLINE]), None, "no room");
    }

    #[test]
    fn what_is_looked_at_is_what_lies_in_the_buffer() {
        let mut words = [0; 8];
        let _label = put_bytes(b"a message", &mut words);
        let there = [words[0], words[1] ^ 1, words[2], words[3], words[4], words[5], words[6], words[7]];
        assert!(is_whole(&words, words[7], 9) && !is_whole(&there, words[7], 9));
    }
}
