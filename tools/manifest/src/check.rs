//! The rules of a manifest.

use std::ops::Range;

use protocols::manifest::{self, MAX_CALLS, MAX_IRQS, MAX_PORTS, MAX_SERVICES, MAX_THREADS, Manifest};
use protocols::service::Service;

use crate::Error;
use crate::source::Entry;

/// Priority of the supervisor: every server's is below.
const SUPERVISOR_PRIORITY: u8 = 30;
/// Interrupt lines of the machine.
const LINES: u8 = 24;

/// How high a service stands: calls go to lower ranks only, so that they can never form a cycle.
const fn rank(service: Service) -> u8 {
    match service {
        Service::Supervisor => 0,
        Service::Memory => 1,
        Service::Hardware => 2,
        Service::Block | Service::Net | Service::Victim => 3,
        Service::Vfs | Service::Console => 4,
        Service::Inference | Service::Consciousness | Service::Security => 5,
        Service::Posix => 6,
        Service::Web | Service::Probe => 7,
    }
}

/// Checks all rules and encodes the services.
pub(crate) fn manifest(entries: &[Entry<'_>]) -> Result<Manifest, Error> {
    let mut manifest = Manifest::default();
    for (index, entry) in entries.iter().enumerate() {
        let service = checked(entry, entries.get(..index).unwrap_or(&[]), entries)?;
        let full = |_| entry.error(0..0, format!("more than {MAX_SERVICES} services"));
        manifest.services.push(service).map_err(full)?;
    }
    Ok(manifest)
}

fn known(entry: &Entry<'_>, name: &str, at: Range<usize>) -> Result<Service, Error> {
    Service::from_name(name).ok_or_else(|| entry.error(at, format!("there is no service called {name:?}")))
}

fn checked(entry: &Entry<'_>, before: &[Entry<'_>], all: &[Entry<'_>]) -> Result<manifest::Entry, Error> {
    let written = &entry.service;
    let service = known(entry, written.name.get_ref(), written.name.span())?;
    if service == Service::Supervisor {
        return Err(entry.error(written.name.span(), "the supervisor is not a service: it starts them".into()));
    }
    let priority = *written.priority.get_ref();
    if priority >= SUPERVISOR_PRIORITY {
        return Err(entry.error(written.priority.span(), format!("priority {priority} is not below the supervisor's {SUPERVISOR_PRIORITY}")));
    }
    let threads = *written.threads.get_ref();
    if threads == 0 || threads > MAX_THREADS {
        return Err(entry.error(written.threads.span(), format!("{threads} threads: 1 to {MAX_THREADS} are possible")));
    }
    if written.buys_memory && written.keeps == 0 {
        return Err(entry.error(0..0, "buys_memory needs a vault to keep it in: keeps is 0".into()));
    }
    let mut checked = manifest::Entry {
        name: written.name.get_ref().as_str().try_into().map_err(|_| entry.error(written.name.span(), "the name is too long".into()))?,
        priority,
        threads,
        heap_pages: written.heap_pages,
        saved_pages: written.saved_pages,
        region_pages: written.region_pages,
        keeps: written.keeps,
        buys_memory: written.buys_memory,
        rootfs: written.rootfs,
        essential: written.essential,
        ports: heapless::Vec::new(),
        irqs: heapless::Vec::new(),
        calls: heapless::Vec::new(),
    };
    add_devices(entry, before, &mut checked)?;
    for peer in &written.calls {
        let peer_service = check_call(entry, service, peer.get_ref(), peer.span(), before, all)?;
        checked.calls.push(peer_service.id()).map_err(|_| entry.error(peer.span(), format!("more than {MAX_CALLS} peers")))?;
    }
    Ok(checked)
}

/// Ports and lines exist, and belong to one service only.
fn add_devices(entry: &Entry<'_>, before: &[Entry<'_>], checked: &mut manifest::Entry) -> Result<(), Error> {
    for ports in &entry.service.ports {
        let range = ports.get_ref();
        if range.count == 0 || range.end() > 0x1_0000 {
            return Err(entry.error(ports.span(), "a range of ports is empty or leaves the 65536 there are".into()));
        }
        let owner = before.iter().find(|other| other.service.ports.iter().any(|theirs| theirs.get_ref().overlaps(range)));
        if let Some(owner) = owner {
            return Err(entry.error(ports.span(), format!("{} has some of these ports", owner.service.name.get_ref())));
        }
        let range = manifest::Ports { first: range.first, count: range.count };
        checked.ports.push(range).map_err(|_| entry.error(ports.span(), format!("more than {MAX_PORTS} ranges of ports")))?;
    }
    for line in &entry.service.irqs {
        let number = *line.get_ref();
        if number >= LINES {
            return Err(entry.error(line.span(), format!("there is no interrupt line {number}: {LINES} are possible")));
        }
        if let Some(owner) = before.iter().find(|other| other.service.irqs.iter().any(|theirs| *theirs.get_ref() == number)) {
            return Err(entry.error(line.span(), format!("{} has interrupt line {number}", owner.service.name.get_ref())));
        }
        checked.irqs.push(number).map_err(|_| entry.error(line.span(), format!("more than {MAX_IRQS} interrupt lines")))?;
    }
    Ok(())
}

/// A call goes to a service that exists, stands lower, starts earlier, and runs at no lower priority.
fn check_call(entry: &Entry<'_>, service: Service, name: &str, at: Range<usize>, before: &[Entry<'_>], all: &[Entry<'_>]) -> Result<Service, Error> {
    let caller = service.name();
    let peer = known(entry, name, at.clone())?;
    if rank(peer) >= rank(service) {
        return Err(entry.error(at, format!("{caller} may not call {name}: calls go down the order, and {name} is not below it")));
    }
    let find =
        |entries: &[Entry<'_>]| entries.iter().find(|other| other.service.name.get_ref() == name).map(|other| *other.service.priority.get_ref());
    if find(all).is_none() {
        return Err(entry.error(at, format!("{caller} calls {name}, which this manifest does not start: it has no endpoint")));
    }
    let Some(priority) = find(before) else {
        return Err(entry.error(at, format!("{caller} calls {name}, which starts later: move it up")));
    };
    let own = *entry.service.priority.get_ref();
    if priority < own {
        return Err(entry.error(at, format!("{name} has priority {priority}, below the {own} of its caller {caller}")));
    }
    Ok(peer)
}
