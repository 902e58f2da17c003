//! Calling other servers.

use core::sync::atomic::{AtomicU32, Ordering};

use abi::{Error, Lease, MAX_CAPS, RequestNumber};
use protocols::call::Carrier;
use protocols::service::Service;

use crate::{slot, start, syscall, thread};

/// First lane of requests that a server makes on its own account, one lane a thread.
pub(crate) const OWN_LANES: u16 = 0xff00;

/// Another server, reached through a call capability. The typed clients of `protocols` take it: `vfs::Client(Peer::to(Service::Vfs))`.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    endpoint: u32,
    receive: [u32; MAX_CAPS],
}

impl Peer {
    /// The peer behind a handle.
    #[must_use]
    pub const fn new(endpoint: u32) -> Self {
        Self { endpoint, receive: [0; MAX_CAPS] }
    }

    /// A peer declared in the manifest.
    #[must_use]
    pub const fn to(service: Service) -> Self {
        match service {
            Service::Supervisor => Self::new(slot::SUPERVISOR),
            other => Self::new(slot::peer(other)),
        }
    }

    /// The same, with the first capability of each answer put into `slot`, which must be empty.
    #[must_use]
    pub const fn receiving_into(mut self, slot: u32) -> Self {
        self.receive[0] = slot;
        self
    }
}

impl Carrier for Peer {
    fn attempt(&mut self, number: RequestNumber, message: &[u8], leases: &[Lease], caps: &[u32], reply: &mut [u8]) -> Result<usize, Error> {
        syscall::call(self.endpoint, number, message, leases, caps, self.receive, reply).map(|sent| sent.bytes)
    }
}

/// The number of a request that this server makes on its own account. A request on behalf of another takes `caller.number().with_step(k)`
/// instead.
///
/// The count starts at the instance's number in the upper half, so a successor's requests are not taken for its predecessor's.
#[must_use]
pub fn next_number() -> RequestNumber {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let (service, instance) = start::try_info().map_or((Service::Supervisor.id(), 0), |info| (info.service, info.instance));
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    RequestNumber::new(service, OWN_LANES + thread::index() as u16, (instance << 16).wrapping_add(count), 0)
}

#[cfg(test)]
mod tests {
    use super::{Peer, next_number};
    use abi::{Error, RequestNumber};
    use protocols::call::Carrier;
    use protocols::service::Service;

    #[test]
    fn own_numbers_go_up_within_one_lane() {
        let (first, second) = (next_number(), next_number());
        assert_eq!(second.is_after(first), Some(true));
    }

    #[test]
    fn calls_fail_on_the_host() {
        let number = RequestNumber::default();
        assert_eq!(Peer::to(Service::Vfs).attempt(number, &[], &[], &[], &mut []), Err(Error::WrongState));
    }
}
