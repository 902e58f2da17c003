//! When successors have answered their first request, which is when a death is over for those who wait: up is only who could.
//!
//! Seen by looking at the threads' counters, so a little late and never early. Only under the injector, because a look costs what nobody needs otherwise.

use heapless::Vec;
use protocols::manifest::MAX_SERVICES;
use protocols::service::Service;

use super::Injector;
use crate::kernel::Kernel;
use crate::life::Supervisor;

/// How soon to look again: a hundredth of what a restart may take.
const LOOK_US: u64 = 100;

/// Successors that are up and have served nobody.
pub(crate) type Unserved = Vec<(Service, u32), MAX_SERVICES>;

impl Injector {
    /// An instance has come up.
    pub(crate) fn came_up(&mut self, service: Service, instance: u32) {
        self.unserved.retain(|(other, _)| *other != service);
        // There are as many places as services. A first instance succeeds nobody.
        let _full = if instance > 1 { self.unserved.push((service, instance)) } else { Ok(()) };
    }
}

impl<K: Kernel> Supervisor<'_, K> {
    /// Says who has served somebody. Returns when to look again; `None` when nobody is left.
    pub(super) fn tell_served(&mut self, unserved: &mut Unserved) -> Option<u64> {
        let mut left = Unserved::new();
        for (service, instance) in core::mem::take(unserved) {
            if self.has_served(service, instance) {
                self.say(format_args!("{} served, instance {instance}", service.name()));
            } else if self.instance(service) == instance {
                // No more than there were.
                let _full = left.push((service, instance));
            }
        }
        *unserved = left;
        (!unserved.is_empty()).then(|| self.after_us(LOOK_US))
    }

    /// Whether a thread of the instance has received a request and has it no longer in hand.
    fn has_served(&mut self, service: Service, instance: u32) -> bool {
        let Some(record) = self.record_of(service).filter(|record| record.instance == instance) else { return false };
        let (Some((body, _)), threads) = (record.body(), record.spec.all_threads()) else { return false };
        let served = |thread| self.kernel.counters(body.block.thread(thread)).is_ok_and(|counters| counters.received_at != 0 && !counters.in_hand);
        (0..threads).any(served)
    }
}
