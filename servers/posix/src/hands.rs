//! The message of each lane, and what the kept ones wait for: found by lane, by event and by deadline, without a look at the others.
//!
//! Nothing here is saved: after a crash the kernel delivers the messages again. Invariant: a message that waits is in the queue of its event, if that has one, and among
//! the deadlines, if it has one; one that does not wait is in neither. So waking costs as much as there is to wake, however many sleep.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use abi::RequestNumber;

use crate::saved::{LANES, Lane};
use crate::server::{Incoming, Ready};
use crate::sure::Table;
use crate::wait::{Event, Wait};

/// Queues of events: several events may share one.
const QUEUES: usize = 64;
/// The queue of those that anything wakes.
const ANY: usize = 0;

/// A message that is being run, or kept.
#[derive(Clone, Copy, Debug)]
pub struct InHand {
    /// The request's number.
    pub number: RequestNumber,
    /// What is asked.
    pub incoming: Incoming,
    /// What it waits for, if it does.
    pub wait: Option<Wait>,
    /// vfs may have opened a file for it: it was asked to, or a predecessor may have asked.
    pub may_have_opened: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Hands {
    of: Table<Option<InHand>, LANES>,
    queues: Table<Vec<Lane>, QUEUES>,
    deadlines: BTreeSet<(u64, Lane)>,
    asleep: usize,
}

impl Hands {
    /// A lane's message.
    #[inline]
    #[must_use]
    pub fn get(&self, lane: Lane) -> Option<&InHand> {
        self.of.get(lane)?.as_ref()
    }

    /// What a lane's message waits for.
    #[inline]
    #[must_use]
    pub fn wait_of(&self, lane: Lane) -> Option<Wait> {
        self.get(lane)?.wait
    }

    /// A lane's message came, in place of any that it had; for the first time, or perhaps again.
    #[inline]
    pub fn take(&mut self, lane: Lane, number: RequestNumber, incoming: Incoming, perhaps_again: bool) {
        let Some(hand) = self.of.get_mut(lane) else { return };
        let before = hand.as_ref().and_then(|hand| hand.wait);
        *hand = Some(InHand { number, incoming, wait: None, may_have_opened: perhaps_again });
        if let Some(wait) = before {
            self.leave_queue(lane, wait);
        }
    }

    /// vfs is about to be asked to open a file for a lane's message.
    pub fn opens(&mut self, lane: Lane) {
        if let Some(hand) = self.of.get_mut(lane).and_then(Option::as_mut) {
            hand.may_have_opened = true;
        }
    }

    /// What a lane's message asks was something else.
    pub fn correct(&mut self, lane: Lane, incoming: Incoming) {
        if let Some(hand) = self.of.get_mut(lane).and_then(Option::as_mut) {
            hand.incoming = incoming;
        }
    }

    /// A lane's message is answered, or nobody wants the answer.
    #[inline]
    pub fn put_down(&mut self, lane: Lane) {
        let Some(hand) = self.of.get_mut(lane) else { return };
        let before = hand.as_ref().and_then(|hand| hand.wait);
        *hand = None;
        if let Some(wait) = before {
            self.leave_queue(lane, wait);
        }
    }

    /// A lane's message waits. Returns whether there is one.
    pub fn keep(&mut self, lane: Lane, wait: Wait) -> bool {
        self.end_wait(lane);
        let Some(hand) = self.of.get_mut(lane).and_then(Option::as_mut) else { return false };
        hand.wait = Some(wait);
        if let Some(queue) = queue_of(wait.event).and_then(|queue| self.queues.get_mut(queue)) {
            queue.push(lane);
        }
        if wait.deadline != 0 {
            self.deadlines.insert((wait.deadline, lane));
        }
        self.asleep += usize::from(!wait.is_short());
        true
    }

    /// A lane's message no longer waits. Returns whether it did.
    #[inline]
    pub fn end_wait(&mut self, lane: Lane) -> bool {
        let Some(wait) = self.of.get_mut(lane).and_then(Option::as_mut).and_then(|hand| hand.wait.take()) else { return false };
        self.leave_queue(lane, wait);
        true
    }

    fn leave_queue(&mut self, lane: Lane, wait: Wait) {
        if let Some(queue) = queue_of(wait.event).and_then(|queue| self.queues.get_mut(queue)) {
            queue.retain(|other| *other != lane);
        }
        self.waits_no_more(lane, wait);
    }

    fn waits_no_more(&mut self, lane: Lane, wait: Wait) {
        if wait.deadline != 0 {
            self.deadlines.remove(&(wait.deadline, lane));
        }
        self.asleep -= usize::from(!wait.is_short());
    }

    /// Who waits for an event, the longest of all.
    #[must_use]
    pub fn first_on(&self, event: Event) -> Option<Lane> {
        let queue = self.queues.get(queue_of(event)?)?;
        queue.iter().copied().find(|lane| self.wait_of(*lane).is_some_and(|wait| wait.event == event))
    }

    /// Something happened: the waits that it may end are over, the longest first. Appends their lanes.
    pub fn wake(&mut self, event: Event, ready: &mut Ready) {
        self.wake_queue(queue_of(event), event, ready);
        if event != Event::Any && event.is_polled() {
            self.wake_queue(Some(ANY), Event::Any, ready);
        }
    }

    #[inline]
    fn wake_queue(&mut self, index: Option<usize>, event: Event, ready: &mut Ready) {
        let Some(queue) = index.and_then(|index| self.queues.get_mut(index)).filter(|queue| !queue.is_empty()) else { return };
        let mut waiting = core::mem::take(queue);
        waiting.retain(|lane| {
            let Some(hand) = self.of.get_mut(*lane).and_then(Option::as_mut) else { return false };
            let Some(wait) = hand.wait.filter(|wait| wait.event == event) else { return true };
            hand.wait = None;
            self.waits_no_more(*lane, wait);
            ready.push_back(*lane);
            false
        });
        if let Some(queue) = index.and_then(|index| self.queues.get_mut(index)) {
            *queue = waiting;
        }
    }

    /// The first deadline.
    #[inline]
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// The waits whose time has come are over. Appends their lanes.
    pub fn wake_due(&mut self, now: u64, ready: &mut Ready) {
        while let Some((_, lane)) = self.deadlines.first().copied().filter(|(deadline, _)| *deadline <= now) {
            self.end_wait(lane);
            ready.push_back(lane);
        }
    }

    /// How many wait for what may be long in coming.
    #[must_use]
    pub const fn asleep(&self) -> usize {
        self.asleep
    }
}

/// The queue of an event; none of those that end for one lane at a time.
fn queue_of(event: Event) -> Option<usize> {
    let (kind, number) = match event {
        Event::Any => return Some(ANY),
        Event::Lane | Event::Continued | Event::Time => return None,
        Event::Signal => (0, 0),
        Event::Vfs => (1, 0),
        Event::Memory => (2, 0),
        Event::Pipe(number) => (3, number),
        Event::Terminal(number) => (4, number),
        Event::Socket(number) => (5, number),
        Event::Child(number) => (6, number),
        Event::Lock(number) => (7, number),
        Event::Inference => (8, 0),
    };
    Some(1 + (kind * 9 + number as usize) % (QUEUES - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Incoming = Incoming::Call { number: 0, arguments: [0; 6], sum: 0 };

    fn kept(waits: &[Wait]) -> Hands {
        let mut hands = Hands::default();
        for (lane, wait) in waits.iter().enumerate() {
            hands.take(lane, RequestNumber(1), CALL, false);
            assert!(hands.keep(lane, *wait));
        }
        hands
    }

    fn woken(hands: &mut Hands, event: Event) -> Vec<Lane> {
        let mut ready = Ready::default();
        hands.wake(event, &mut ready);
        ready.iter().copied().collect()
    }

    #[test]
    fn an_event_wakes_who_waits_for_it_the_longest_first_and_who_polls() {
        let (mine, other) = (Event::Pipe(1), Event::Pipe(1 + QUEUES as u32 - 1));
        assert_eq!(queue_of(mine), queue_of(other), "they share a queue");
        let mut hands = kept(&[Wait::on(Event::Any), Wait::on(mine), Wait::on(other), Wait::on(mine), Wait::on(Event::Lane)]);
        assert_eq!(woken(&mut hands, mine), [1, 3, 0]);
        assert_eq!(woken(&mut hands, mine), []);
        assert_eq!(woken(&mut hands, other), [2]);
        assert_eq!((hands.asleep(), hands.wait_of(4)), (1, Some(Wait::on(Event::Lane))));
    }

    #[test]
    fn what_only_servers_see_wakes_no_poll() {
        for event in [Event::Vfs, Event::Memory, Event::Lock(0)] {
            let mut hands = kept(&[Wait::on(Event::Any), Wait::on(event)]);
            assert_eq!(woken(&mut hands, event), [1]);
        }
    }

    #[test]
    fn deadlines_end_waits_in_their_order_and_once() {
        let mut hands = kept(&[9, 0, 5, 7].map(|deadline| Wait::on(Event::Signal).until(deadline)));
        assert_eq!(hands.next_deadline(), Some(5));
        let mut ready = Ready::default();
        hands.wake_due(7, &mut ready);
        assert_eq!((ready.iter().copied().collect::<Vec<_>>(), hands.next_deadline()), (vec![2, 3], Some(9)));
        assert_eq!(woken(&mut hands, Event::Signal), [0, 1]);
        assert_eq!((hands.next_deadline(), hands.asleep()), (None, 0));
    }

    #[test]
    fn a_message_that_is_put_down_or_replaced_waits_for_nothing() {
        let mut hands = kept(&[Wait::on(Event::Signal).until(3), Wait::on(Event::Signal).until(3), Wait::on(Event::Vfs)]);
        assert_eq!(hands.asleep(), 2, "what vfs has pending is short");
        hands.put_down(0);
        hands.take(1, RequestNumber(2), CALL, false);
        assert!(hands.get(0).is_none() && hands.get(1).is_some_and(|hand| hand.number == RequestNumber(2)));
        assert_eq!((hands.next_deadline(), hands.asleep(), woken(&mut hands, Event::Signal)), (None, 0, vec![]));
        assert!(!hands.keep(0, Wait::on(Event::Any)), "there is no message");
    }
}
