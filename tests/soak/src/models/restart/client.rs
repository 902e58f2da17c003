//! A caller whose call is on no stack: [`protocols::call::call`] depends on nothing but what its attempts came to, so it is run again from its beginning after
//! each, with all that is known, and says by that what it does next. So callers wait side by side, and the world that they wait in can be copied.

use abi::{Error, Lease, RequestNumber};
use microkernel::fake::Process;
use protocols::call::{CallError, Carrier, call};

/// What an attempt came to.
type Outcome = Result<Vec<u8>, Error>;

/// What a caller has to do, or what it heard.
#[derive(Debug)]
pub(super) enum Step {
    /// An attempt to make.
    Attempt(Vec<u8>),
    /// The call is over.
    Over(Result<u64, CallError<u8>>),
}

/// Where a caller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// It can make an attempt, the first one of a request or another.
    Ready,
    /// It waits in the kernel.
    Waits,
    /// It wants no more.
    Done,
    /// It died.
    Dead,
}

/// A request and what is known of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) number: RequestNumber,
    /// What is to be added: a power of [`super::BASE`] of its own.
    pub(super) amount: u64,
    /// When its first attempt was made, and when its caller heard of it.
    pub(super) began: Option<u64>,
    pub(super) ended: Option<(u64, Result<u64, CallError<u8>>)>,
}

/// A caller with its requests, which it makes one after the other.
pub(super) struct Client {
    pub(super) process: Process,
    pub(super) requests: Vec<Request>,
    pub(super) doing: Doing,
    /// What the attempts of the present request came to so far.
    outcomes: Vec<Outcome>,
}

impl Client {
    pub(super) fn new(process: Process, requests: Vec<Request>) -> Self {
        let doing = if requests.is_empty() { Doing::Done } else { Doing::Ready };
        Self { process, requests, doing, outcomes: Vec::new() }
    }

    fn present(&mut self) -> Option<&mut Request> {
        self.requests.iter_mut().find(|request| request.ended.is_none())
    }

    /// The attempt to make now, with its number.
    pub(super) fn attempt(&mut self, now: u64) -> Option<(RequestNumber, Vec<u8>)> {
        let request = self.present()?;
        request.began.get_or_insert(now);
        let request = *request;
        match next(&self.outcomes, &request) {
            Step::Attempt(message) => {
                self.doing = Doing::Waits;
                Some((request.number, message))
            }
            Step::Over(_) => None,
        }
    }

    /// What the attempt came to.
    pub(super) fn hear(&mut self, outcome: Outcome, now: u64) {
        self.outcomes.push(outcome);
        self.doing = Doing::Ready;
        let Some(request) = self.present().map(|request| *request) else { return };
        if let Step::Over(result) = next(&self.outcomes, &request) {
            self.outcomes.clear();
            if let Some(request) = self.present() {
                request.ended = Some((now, result));
            }
            if self.present().is_none() {
                self.doing = Doing::Done;
            }
        }
    }
}

/// What the retry loop does when its attempts came to this.
fn next(outcomes: &[Outcome], request: &Request) -> Step {
    let mut known = Known { outcomes: outcomes.iter(), attempt: None };
    let result = call(&mut known, request.number, &request.amount, &[], &[]);
    known.attempt.map_or(Step::Over(result), Step::Attempt)
}

/// Answers attempts with what is known of them, and keeps the first of which nothing is.
struct Known<'a> {
    outcomes: std::slice::Iter<'a, Outcome>,
    attempt: Option<Vec<u8>>,
}

impl Carrier for Known<'_> {
    fn attempt(&mut self, _number: RequestNumber, message: &[u8], _leases: &[Lease], _caps: &[u32], reply: &mut [u8]) -> Result<usize, Error> {
        let Some(outcome) = self.outcomes.next() else {
            self.attempt = Some(message.to_vec());
            // The loop ends with any error that it does not know, and nobody hears which.
            return Err(Error::Kicked);
        };
        let answer = outcome.as_ref().map_err(|error| *error)?;
        reply.get_mut(..answer.len()).ok_or(Error::Kicked)?.copy_from_slice(answer);
        Ok(answer.len())
    }
}

#[cfg(test)]
mod tests {
    use super::{Client, Doing, Request};
    use abi::{Error, RequestNumber};
    use microkernel::fake::World;

    #[test]
    fn the_same_is_sent_again_after_a_death_and_the_next_request_after_the_answer() {
        let number = RequestNumber::new(7, 1, 1, 0);
        let request = |number, amount| Request { number, amount, began: None, ended: None };
        let process = World::with_pages(512).spawn();
        let mut client = Client::new(process, vec![request(number, 1), request(number.next(), 4)]);
        let first = client.attempt(1).expect("an attempt");
        assert_eq!(client.doing, Doing::Waits);
        client.hear(Err(Error::PeerDied), 2);
        assert_eq!((client.doing, client.attempt(3)), (Doing::Ready, Some(first)));
        client.hear(Ok(vec![0, 9]), 4);
        assert_eq!((client.requests[0].began, client.requests[0].ended), (Some(1), Some((4, Ok(9)))));
        assert_eq!(client.attempt(5), Some((number.next(), vec![4])));
        client.hear(Err(Error::Closed), 6);
        assert_eq!((client.doing, client.attempt(7)), (Doing::Done, None));
    }
}
