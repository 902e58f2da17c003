//! Bytes that are no requests, to every server: each must answer, and live.
//!
//! Made from the samples that stand in the protocols' golden files, of which every kind of request has one: each cut at every length, each
//! with a byte too many and filled up to the longest message, each with every bit flipped where that leaves no request. All of these must be
//! refused, and as none is a request, nothing is changed. Then seeded random bytes, most of which are no request, though some may be: these
//! must be answered. Absent: judging the answer to random bytes; samples that are too long for a golden file to show.

use abi::{Error, MAX_MESSAGE};
use heapless::Vec;
use protocols::call::Carrier;
use protocols::service::Service;
use protocols::{console, inference, memory, supervisor, vfs, victim, wire};

use crate::Outside;

/// The servers that it is for.
pub const SERVICES: [Service; 7] =
    [Service::Supervisor, Service::Memory, Service::Vfs, Service::Console, Service::Inference, Service::Posix, Service::Victim];
/// Random messages to each.
const RANDOM: usize = 300;
/// First byte of an answer that is an error: the second variant of `Result`.
const REFUSED: u8 = 1;
/// No protocol has as many requests; half of the random messages begin below.
const VARIANTS: u64 = 24;
/// Longest sample that a golden file shows.
const MAX_SAMPLE: usize = 256;

/// A sample's bytes.
type Sample = Vec<u8, MAX_SAMPLE>;

/// Sends all kinds to `service`; how many messages there were if it answered each as it must, else none.
pub fn run(service: Service, carrier: &mut impl Carrier, outside: &mut impl Outside) -> Option<usize> {
    let mut sent = 0;
    let mut answers = |bytes: &[u8]| {
        sent += 1;
        answer(carrier, outside, bytes)
    };
    for sample in samples(service) {
        let refused = refusable(service, &sample, &mut |bytes| answers(bytes) == Ok(REFUSED));
        if !refused {
            return None;
        }
    }
    let mut random = Random(u64::from(service.id()) << 32 | 0x5eed);
    let mut message = [0; MAX_MESSAGE];
    for _ in 0..RANDOM {
        let length = random.fill(&mut message);
        if answers(message.get(..length).unwrap_or_default()).is_err() {
            return None;
        }
    }
    Some(sent)
}

/// Tries everything that is made from a sample and is no request; whether all of it was `refused`.
fn refusable(service: Service, sample: &[u8], refused: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    let mut longest = [0; MAX_MESSAGE];
    for (to, from) in longest.iter_mut().zip(sample) {
        *to = *from;
    }
    let cut = (0..sample.len()).all(|end| refused(sample.get(..end).unwrap_or_default()));
    let whole = is_request(service, sample) || refused(sample);
    let longer = [sample.len() + 1, MAX_MESSAGE].into_iter().all(|length| refused(longest.get(..length).unwrap_or_default()));
    let flipped = (0..sample.len() * 8).all(|bit| {
        flip(&mut longest, bit);
        let message = longest.get(..sample.len()).unwrap_or_default();
        let passed = is_request(service, message) || refused(message);
        flip(&mut longest, bit);
        passed
    });
    cut && whole && longer && flipped
}

fn flip(message: &mut [u8], bit: usize) {
    if let Some(byte) = message.get_mut(bit / 8) {
        *byte ^= 1 << (bit % 8);
    }
}

/// Sends `bytes` once; the first byte of the answer, or what the kernel says instead. An empty answer is none.
fn answer(carrier: &mut impl Carrier, outside: &mut impl Outside, bytes: &[u8]) -> Result<u8, Error> {
    let mut reply = [0; MAX_MESSAGE];
    match carrier.attempt(outside.next_number(), bytes, &[], &[], &mut reply)? {
        0 => Err(Error::Dropped),
        _ => Ok(reply[0]),
    }
}

/// The requests in a protocol's golden file: a line that begins with the word, and one with its bytes. posix serves the kernel and has no requests: it gets
/// those of vfs, whole ones too.
pub fn samples(service: Service) -> impl Iterator<Item = Sample> {
    let golden = match service {
        Service::Supervisor => include_str!("../../../protocols/tests/golden/supervisor.txt"),
        Service::Memory => include_str!("../../../protocols/tests/golden/memory.txt"),
        Service::Vfs | Service::Posix => include_str!("../../../protocols/tests/golden/vfs.txt"),
        Service::Console => include_str!("../../../protocols/tests/golden/console.txt"),
        Service::Inference => include_str!("../../../protocols/tests/golden/inference.txt"),
        Service::Victim => include_str!("../../../protocols/tests/golden/victim.txt"),
        _ => "",
    };
    let bytes = golden.lines().skip(1);
    golden.lines().zip(bytes).filter(|(line, _)| line.starts_with("request ")).filter_map(|(_, bytes)| decoded(bytes.trim()))
}

/// Bytes from hexadecimal digits; none for anything else.
fn decoded(digits: &str) -> Option<Sample> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok());
    let mut sample = Sample::new();
    for byte in pairs {
        sample.push(byte?).ok()?;
    }
    Some(sample)
}

/// Whether a server has to understand the bytes.
pub fn is_request(service: Service, bytes: &[u8]) -> bool {
    match service {
        Service::Supervisor => wire::decode::<supervisor::Request>(bytes).is_ok(),
        Service::Memory => wire::decode::<memory::Request>(bytes).is_ok(),
        Service::Vfs => wire::decode::<vfs::Request<'_>>(bytes).is_ok(),
        Service::Console => wire::decode::<console::Request<'_>>(bytes).is_ok(),
        Service::Inference => wire::decode::<inference::Request>(bytes).is_ok(),
        Service::Victim => wire::decode::<victim::Request<'_>>(bytes).is_ok(),
        _ => false,
    }
}

/// xorshift64*: the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Fills a start of `message`, often a short one; its length.
    fn fill(&mut self, message: &mut [u8]) -> usize {
        let most = if self.next().is_multiple_of(4) { message.len() } else { 40 };
        let length = (self.next() as usize) % (most + 1);
        for byte in message.iter_mut().take(length) {
            *byte = self.next() as u8;
        }
        if let Some(first) = message.first_mut().filter(|_| self.next().is_multiple_of(2)) {
            *first = (self.next() % VARIANTS) as u8;
        }
        length
    }
}
