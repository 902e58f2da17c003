//! The victim: a server that dies when asked to, and answers when it lives.
//!
//! What it remembers is the one number that it was told to die of only once: that is written before it dies, so that the same number delivered again
//! is answered. Everything else about it is deliberately fragile.
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

pub mod mirror;
pub mod saved;
pub mod work;

use abi::RequestNumber;
use libsys::saved::Area;
use protocols::serve::{Answer, Caller, Serve};
use protocols::victim::{self, How};

use crate::saved::Remembered;

/// Dies in the way that it is told; returns only on the host.
pub trait Death {
    /// Dies.
    fn die(&mut self, how: How);
}

/// Dies for real.
#[derive(Debug, Default)]
pub struct Real;

impl Death for Real {
    fn die(&mut self, how: How) {
        libsys::death::die(how);
    }
}

/// The victim.
#[derive(Debug)]
pub struct Victim<'s, D> {
    area: &'s Area<Remembered>,
    death: D,
}

impl<'s, D: Death> Victim<'s, D> {
    /// Starts over what a predecessor left.
    pub fn restart(area: &'s Area<Remembered>, death: D) -> Self {
        Self { area, death }
    }

    fn died_of(&self, number: RequestNumber) -> bool {
        self.area.state().marked.get() != 0 && self.area.state().number.get() == number.0
    }

    fn remember(&self, number: RequestNumber) {
        let transaction = self.area.begin();
        self.area.state().number.set(&transaction, number.0);
        self.area.state().marked.set(&transaction, 1);
        transaction.commit();
    }
}

impl<D: Death> victim::Service for Victim<'_, D> {
    fn add(&mut self, a: u64, b: u64) -> u64 {
        a.wrapping_add(b)
    }

    fn crash(&mut self, number: RequestNumber, how: How, only_first_time: bool) {
        if only_first_time && self.died_of(number) {
            return;
        }
        self.remember(number);
        self.death.die(how);
    }

    fn work(&mut self, units: u64) -> u64 {
        let done = work::WORK.done();
        work::WORK.add(units);
        // Signalled even for none: a helper that wakes for nothing waits again.
        if let Err(error) = libsys::syscall::signal(libsys::slot::NOTIFICATION, 1) {
            libsys::log!("the helper cannot be woken: {error:?}");
        }
        done
    }
}

impl<D: Death> Serve for Victim<'_, D> {
    fn serve(&mut self, caller: &mut dyn Caller, request: &[u8], reply: &mut [u8]) -> Answer {
        victim::serve(self, caller, request, reply)
    }
}

impl<D: Death> libsys::serve::Server for Victim<'_, D> {}

#[cfg(test)]
mod tests {
    use super::{Death, Victim};
    use abi::RequestNumber;
    use libsys::saved::Area;
    use protocols::victim::{How, Service};

    const NUMBER: RequestNumber = RequestNumber::new(14, 0xff00, 1, 0);

    #[derive(Default)]
    struct Deaths(Vec<How>);

    impl Death for Deaths {
        fn die(&mut self, how: How) {
            self.0.push(how);
        }
    }

    #[test]
    fn victim_dies_once_of_a_number_and_again_of_another() {
        let area = Area::on_host();
        let mut first = Victim::restart(area, Deaths::default());
        first.crash(NUMBER, How::Wild, true);
        assert_eq!(first.death.0, [How::Wild]);
        let mut second = Victim::restart(area, Deaths::default());
        second.crash(NUMBER, How::Wild, true);
        assert!(second.death.0.is_empty());
        second.crash(NUMBER.next(), How::Hang, true);
        assert_eq!(second.death.0, [How::Hang]);
    }

    #[test]
    fn victim_that_may_die_every_time_does() {
        let mut victim = Victim::restart(Area::on_host(), Deaths::default());
        victim.crash(NUMBER, How::Panic, false);
        victim.crash(NUMBER, How::Panic, false);
        assert_eq!(victim.death.0.len(), 2);
    }

    #[test]
    fn sum_wraps() {
        assert_eq!(Victim::restart(Area::on_host(), Deaths::default()).add(u64::MAX, 2), 1);
    }
}
