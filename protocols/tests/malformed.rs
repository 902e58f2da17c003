//! Foreign bytes: every server answers them, every client survives an answer of them.

mod samples;

use abi::{Error, Lease, MAX_MESSAGE, RequestNumber};
use proptest::prelude::{Strategy, any, prop_assert};
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use protocols::call::{CallError, Carrier, call};
use protocols::wire;
use samples::{Protocol, answer_to, bytes_of};

/// What a server answers, which must always be an answer.
fn decoded<P: Protocol>(request: &[u8]) -> Result<P::Reply, P::Error> {
    wire::decode(&answer_to::<P>(request)).expect("an answer of the protocol")
}

fn truncated_and_overlong_requests_are_malformed<P: Protocol>() {
    for request in P::requests() {
        let mut bytes = bytes_of(&request);
        for length in 0..bytes.len() {
            assert_eq!(decoded::<P>(&bytes[..length]), Err(P::malformed()), "{request:?} cut to {length}");
        }
        bytes.push(0);
        assert_eq!(decoded::<P>(&bytes), Err(P::malformed()), "{request:?} with a byte more");
    }
}

fn unknown_requests_are_malformed<P: Protocol>() {
    for variant in [0x7f, 0xff] {
        assert_eq!(decoded::<P>(&[variant; 16]), Err(P::malformed()));
    }
    assert_eq!(decoded::<P>(&[0xff; MAX_MESSAGE]), Err(P::malformed()));
}

fn arbitrary_bytes_are_answered<P: Protocol>() {
    run(proptest::collection::vec(any::<u8>(), 0..=MAX_MESSAGE), |bytes| {
        let _answer = decoded::<P>(&bytes);
        true
    });
}

fn requests_with_changed_bytes_are_answered<P: Protocol>() {
    let changes = proptest::collection::vec((any::<Index>(), any::<u8>()), 1..4);
    run((any::<Index>(), changes), |(sample, changes)| {
        let requests = P::requests();
        let mut bytes = bytes_of(sample.get(&requests));
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _answer = decoded::<P>(&bytes);
        true
    });
}

fn clients_survive_arbitrary_answers<P: Protocol>() {
    run((proptest::collection::vec(any::<u8>(), 0..=MAX_MESSAGE), 0..=2 * MAX_MESSAGE), |(bytes, length)| {
        let request = P::requests().swap_remove(0);
        let mut carrier = Noise { bytes, length };
        let result: Result<P::Reply, CallError<P::Error>> = call(&mut carrier, RequestNumber::default(), &request, &[], &[]);
        matches!(result, Ok(_) | Err(CallError::Service(_) | CallError::Malformed))
    });
}

/// Answers with bytes of its own, and with a length that need not be theirs.
struct Noise {
    bytes: Vec<u8>,
    length: usize,
}

impl Carrier for Noise {
    fn attempt(&mut self, _number: RequestNumber, _message: &[u8], _leases: &[Lease], _caps: &[u32], reply: &mut [u8]) -> Result<usize, Error> {
        reply[..self.bytes.len()].copy_from_slice(&self.bytes);
        Ok(self.length)
    }
}

fn run<T: std::fmt::Debug>(strategy: impl Strategy<Value = T>, holds: impl Fn(T) -> bool) {
    let config = Config { failure_persistence: None, ..Config::with_cases(512) };
    let result = TestRunner::new(config).run(&strategy, |value| {
        prop_assert!(holds(value));
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

each_protocol!(
    truncated_and_overlong_requests_are_malformed,
    unknown_requests_are_malformed,
    arbitrary_bytes_are_answered,
    requests_with_changed_bytes_are_answered,
    clients_survive_arbitrary_answers,
);
