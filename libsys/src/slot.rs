//! Which capability lies in which slot of a server's own table. The supervisor wires it so; slots not named here are the server's to use
//! from [`FREE`] on.

use protocols::service::Service;

/// The server's own endpoint (RECEIVE).
pub const ENDPOINT: u32 = 4;
/// The server's own notification (WAIT, CONTROL, SIGNAL).
pub const NOTIFICATION: u32 = 5;
/// The supervisor's endpoint (CALL).
pub const SUPERVISOR: u32 = 6;
/// The table itself (INSERT, TAKE).
pub const TABLE: u32 = 7;
/// The first declared range of I/O ports; up to [`PORTS_COUNT`].
pub const PORTS: u32 = 8;
/// How many ranges of I/O ports a server may have.
pub const PORTS_COUNT: u32 = 4;
/// The first declared interrupt line; up to [`IRQ_COUNT`].
pub const IRQ: u32 = 12;
/// How many interrupt lines a server may have.
pub const IRQ_COUNT: u32 = 2;
/// The server's own vault as a table (INSERT, TAKE, CONTROL), if it `keeps` one.
pub const VAULT: u32 = 14;
/// The thread's reply slot: [`reply`].
pub const REPLY: u32 = 80;
/// First of the four slots into which capabilities of a received call come. What the server leaves there is deleted after the call.
pub const RECEIVED: u32 = 96;
/// First slot that the server may use as it likes.
pub const FREE: u32 = 128;

/// Call capability of a declared peer.
#[must_use]
pub const fn peer(service: Service) -> u32 {
    16 + service.id() as u32
}

/// Notification (SIGNAL) of a server that declared calls to this one.
#[must_use]
pub const fn notification_of(service: Service) -> u32 {
    48 + service.id() as u32
}

/// Slot of the Reply that a thread holds.
#[must_use]
pub const fn reply(thread: u64) -> u32 {
    REPLY + thread as u32
}

/// A handle of the vault's slot `index`.
#[must_use]
pub const fn vault(index: u32) -> u32 {
    abi::VAULT | index
}

#[cfg(test)]
mod tests {
    use super::{FREE, IRQ, IRQ_COUNT, PORTS, PORTS_COUNT, RECEIVED, REPLY, VAULT, notification_of, peer, reply};
    use crate::layout::MAX_THREADS;
    use protocols::service::Service;

    #[test]
    fn ranges_of_slots_do_not_overlap() {
        const { assert!(PORTS + PORTS_COUNT <= IRQ && IRQ + IRQ_COUNT <= VAULT) };
        assert!(Service::ALL.into_iter().all(|service| (16..48).contains(&peer(service))));
        assert!(Service::ALL.into_iter().all(|service| (48..REPLY).contains(&notification_of(service))));
        assert!(reply(MAX_THREADS - 1) < RECEIVED && RECEIVED + 4 <= FREE);
    }
}
