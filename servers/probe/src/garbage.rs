//! Bytes that are no requests, to every server: each must answer, and live.
//!
//! Three kinds: a right request without its end, which must be refused; one with a byte too many, which must be refused; and seeded random bytes, most of
//! which are no request, though some may be. None of the first two is ever sent whole, so that nothing is changed. Absent: judging the answer to random bytes.

use abi::{Error, MAX_MESSAGE};
use heapless::String;
use protocols::call::Carrier;
use protocols::service::Service;
use protocols::{console, memory, supervisor, vfs, victim, wire};

use crate::Outside;

/// The servers that it is for. posix is none of them: it serves the kernel, and has no requests.
pub const SERVICES: [Service; 5] = [Service::Supervisor, Service::Memory, Service::Vfs, Service::Console, Service::Victim];
/// Random messages to each.
const RANDOM: usize = 300;
/// First byte of an answer that is an error: the second variant of `Result`.
const REFUSED: u8 = 1;
/// No protocol has as many requests; half of the random messages begin below.
const VARIANTS: u64 = 24;

/// Sends all kinds to `service`; whether it answered each as it must.
pub fn run(service: Service, carrier: &mut impl Carrier, outside: &mut impl Outside) -> bool {
    let mut message = [0; MAX_MESSAGE];
    let Some(length) = sample(service, &mut message) else { return false };
    let mut answers = |bytes: &[u8]| answer(carrier, outside, bytes);
    let refused = |answer: Result<u8, Error>| answer == Ok(REFUSED);
    let too_short = (0..length).all(|end| refused(answers(message.get(..end).unwrap_or_default())));
    let too_long = refused(answers(message.get(..=length).unwrap_or_default()));
    let mut random = Random(u64::from(service.id()) << 32 | 0x5eed);
    let random = (0..RANDOM).all(|_| {
        let length = random.fill(&mut message);
        answers(message.get(..length).unwrap_or_default()).is_ok()
    });
    too_short && too_long && random
}

/// Sends `bytes` once; the first byte of the answer, or what the kernel says instead. An empty answer is none.
fn answer(carrier: &mut impl Carrier, outside: &mut impl Outside, bytes: &[u8]) -> Result<u8, Error> {
    let mut reply = [0; MAX_MESSAGE];
    match carrier.attempt(outside.next_number(), bytes, &[], &[], &mut reply)? {
        0 => Err(Error::Dropped),
        _ => Ok(reply[0]),
    }
}

/// A right request, with strings where the protocol has them; its length.
fn sample(service: Service, to: &mut [u8]) -> Option<usize> {
    let encoded = match service {
        Service::Supervisor => wire::encode(&supervisor::Request::CrashReport { text: String::try_from("not a crash").ok()? }, to),
        Service::Memory => wire::encode(&memory::Request::Discard { offset_pages: 0x1234_5678, pages: 0x8765_4321 }, to),
        Service::Vfs => wire::encode(&rename(), to),
        Service::Console => wire::encode(&console::Request::WriteInline { bytes: b"never shown", patience: console::Patience::Wait }, to),
        Service::Victim => wire::encode(&victim::Request::Echo(b"never sent back"), to),
        _ => return None,
    };
    encoded.ok()
}

fn rename() -> vfs::Request<'static> {
    vfs::Request::Rename {
        from: vfs::At::new(vfs::ROOT, b"/never/there"),
        to: vfs::At::new(vfs::ROOT, b"/never/either"),
        actor: vfs::Actor::superuser(),
        mode: vfs::RenameMode::NoReplace,
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
