//! Every request of every protocol survives deaths of its server, before and after the server ran it: the caller sees the answer and
//! nothing else, the server sees the same bytes under the same number.

mod samples;

use abi::{Error, Lease, RequestNumber};
use protocols::call::{ATTEMPTS, CallError, Carrier, call};
use samples::{FakeCaller, Protocol, answer_to, bytes_of};
use std::marker::PhantomData;

const NUMBER: RequestNumber = RequestNumber::new(11, 7, 41, 3);

/// When a server dies.
#[derive(Clone, Copy)]
enum Death {
    /// Before it looked at the request.
    Before,
    /// With the answer in its hand.
    After,
}

/// A server in the same process that dies of its first requests.
struct Mortal<P> {
    deaths: u32,
    when: Death,
    seen: Vec<(RequestNumber, Vec<u8>)>,
    protocol: PhantomData<P>,
}

impl<P: Protocol> Mortal<P> {
    fn new(deaths: u32, when: Death) -> Self {
        Self { deaths, when, seen: Vec::new(), protocol: PhantomData }
    }
}

impl<P: Protocol> Carrier for Mortal<P> {
    fn attempt(&mut self, number: RequestNumber, message: &[u8], _leases: &[Lease], _caps: &[u32], reply: &mut [u8]) -> Result<usize, Error> {
        self.seen.push((number, message.to_vec()));
        let dies = self.seen.len() <= self.deaths as usize;
        if dies && matches!(self.when, Death::Before) {
            return Err(Error::PeerDied);
        }
        let answer = P::serve(&mut FakeCaller::new(), message, reply);
        if dies { Err(Error::PeerDied) } else { Ok(answer.bytes) }
    }
}

fn ask<P: Protocol>(server: &mut Mortal<P>, request: &P::Request) -> Result<P::Reply, CallError<P::Error>> {
    call(server, NUMBER, request, &[], &[])
}

fn deaths_are_invisible_to_the_caller<P: Protocol>() {
    for request in P::requests() {
        let expected = match protocols::wire::decode(&answer_to::<P>(&bytes_of(&request))).expect("an answer") {
            Ok(reply) => Ok::<P::Reply, _>(reply),
            Err(error) => Err(CallError::<P::Error>::Service(error)),
        };
        for (deaths, when) in [(0, Death::Before), (1, Death::Before), (3, Death::After), (ATTEMPTS - 1, Death::After)] {
            assert_eq!(ask(&mut Mortal::<P>::new(deaths, when), &request), expected);
        }
    }
}

fn every_attempt_carries_the_same_bytes_and_number<P: Protocol>() {
    for request in P::requests() {
        let mut server = Mortal::<P>::new(2, Death::After);
        let _answer = ask(&mut server, &request);
        assert_eq!(server.seen, vec![(NUMBER, bytes_of(&request)); 3]);
    }
}

fn server_that_always_dies_is_an_error<P: Protocol>() {
    for request in P::requests() {
        let mut server = Mortal::<P>::new(u32::MAX, Death::After);
        assert_eq!(ask(&mut server, &request), Err(CallError::Kernel(Error::PeerDied)));
        assert_eq!(server.seen.len(), ATTEMPTS as usize);
    }
}

each_protocol!(deaths_are_invisible_to_the_caller, every_attempt_carries_the_same_bytes_and_number, server_that_always_dies_is_an_error);
