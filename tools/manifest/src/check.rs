//! The rules of a manifest.

use std::ops::Range;

use protocols::manifest::{self, MAX_CALLS, MAX_IRQS, MAX_PORTS, MAX_PROCESSORS, MAX_SERVICES, MAX_THREADS, Manifest, Policy, Quota};
use protocols::service::Service;

use crate::Error;
use crate::source::{self, Entry};

/// Priority of the supervisor: every server's is below.
const SUPERVISOR_PRIORITY: u8 = 30;
/// The shortest watchdog: five samples 20 ms apart.
const LEAST_WATCHDOG_MS: u32 = 100;
/// Of all memory, what all buyers together may be promised. `initrd/services.toml` argues it.
const MOST_SOLD_PERCENT: u32 = 80;
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
    let (helpers, helper_priority) = check_helpers(entry, threads, priority)?;
    let mut checked = manifest::Entry {
        name: written.name.get_ref().as_str().try_into().map_err(|_| entry.error(written.name.span(), "the name is too long".into()))?,
        priority,
        threads,
        helpers,
        helper_priority,
        heap_pages: written.heap_pages,
        saved_pages: written.saved_pages,
        region_pages: written.region_pages,
        keeps: written.keeps,
        rootfs: written.rootfs,
        policy: policy(entry)?,
        ports: heapless::Vec::new(),
        irqs: heapless::Vec::new(),
        calls: heapless::Vec::new(),
        quota: quota(entry, before)?,
        processor: processor(entry)?,
        fpu: *written.fpu.get_ref(),
    };
    add_devices(entry, before, &mut checked)?;
    for peer in &written.calls {
        let peer_service = check_call(entry, service, peer.get_ref(), peer.span(), before, all)?;
        checked.calls.push(peer_service.id()).map_err(|_| entry.error(peer.span(), format!("more than {MAX_CALLS} peers")))?;
    }
    Ok(checked)
}

/// A processor that some machine has, or none in particular. Where a thread's vector registers are is not where its next caller is, so the kernel
/// lets nobody who may have some follow callers: such a service says where it runs.
fn processor(entry: &Entry<'_>) -> Result<u8, Error> {
    let Some(written) = &entry.service.processor else {
        let fpu = &entry.service.fpu;
        let refused = || entry.error(fpu.span(), "fpu without processor: threads with vector registers do not go where their callers are".into());
        return if *fpu.get_ref() { Err(refused()) } else { Ok(manifest::ANY_PROCESSOR) };
    };
    match *written.get_ref() {
        processor if processor < MAX_PROCESSORS => Ok(processor),
        processor => Err(entry.error(written.span(), format!("processor {processor}: 0 to {} are possible", MAX_PROCESSORS - 1))),
    }
}

/// Helpers are what a server does when nobody waits for it: they run below its receivers, or they would keep callers waiting.
fn check_helpers(entry: &Entry<'_>, threads: u8, priority: u8) -> Result<(u8, u8), Error> {
    let (helpers, helper_priority) = (*entry.service.helpers.get_ref(), *entry.service.helper_priority.get_ref());
    if usize::from(threads) + usize::from(helpers) > usize::from(MAX_THREADS) {
        let what = format!("{threads} threads and {helpers} helpers: {MAX_THREADS} together are possible");
        return Err(entry.error(entry.service.helpers.span(), what));
    }
    if helpers == 0 && helper_priority != 0 {
        return Err(entry.error(entry.service.helper_priority.span(), "helper_priority without helpers".into()));
    }
    if helpers != 0 && (helper_priority == 0 || helper_priority >= priority) {
        let what = format!("helper_priority {helper_priority} is not between 1 and the {priority} of the threads that receive");
        return Err(entry.error(entry.service.helper_priority.span(), what));
    }
    Ok((helpers, helper_priority))
}

/// What is promised can be kept, and there is a vault to keep it in.
pub(crate) fn quota(entry: &Entry<'_>, before: &[Entry<'_>]) -> Result<Quota, Error> {
    let written = &entry.service;
    let percent = *written.buys_percent.get_ref();
    let Some(pages) = written.buys_pages.as_ref().filter(|_| percent == 0) else {
        return promised(entry, before, percent, written.buys_pages.as_ref().map_or(u32::MAX, |pages| *pages.get_ref()));
    };
    Err(entry.policy_error(pages.span(), "buys_pages without buys_percent: it buys nothing".into()))
}

fn promised(entry: &Entry<'_>, before: &[Entry<'_>], percent: u8, pages: u32) -> Result<Quota, Error> {
    let at = entry.service.buys_percent.span();
    if percent == 0 {
        return Ok(Quota::default());
    }
    if entry.service.keeps == 0 {
        return Err(entry.policy_error(at, "buys_percent needs a vault to keep the memory in: keeps is 0".into()));
    }
    if pages == 0 {
        return Err(entry.policy_error(at, "buys_pages 0: that is buys_percent = 0".into()));
    }
    let others: u32 = before.iter().map(|other| u32::from(*other.service.buys_percent.get_ref())).sum();
    let all = others + u32::from(percent);
    if all > MOST_SOLD_PERCENT {
        return Err(
            entry.policy_error(at, format!("buys_percent {percent} makes {all} for all services, of which {MOST_SOLD_PERCENT} may be promised"))
        );
    }
    Ok(Quota { percent, pages })
}

/// The numbers of a policy make sense together.
pub(crate) fn policy(entry: &Entry<'_>) -> Result<Policy, Error> {
    let written = &entry.service;
    let [first, most] = *written.backoff_ms.get_ref();
    if first == 0 || first > most {
        return Err(entry.policy_error(written.backoff_ms.span(), format!("backoff_ms [{first}, {most}]: from at least 1 up to no less than that")));
    }
    let (burst, per_ms, watchdog_ms) = (*written.burst.get_ref(), *written.per_ms.get_ref(), *written.watchdog_ms.get_ref());
    if burst == 0 {
        return Err(entry.policy_error(written.burst.span(), "burst 0 gives up at the first death: that is restart = \"never\"".into()));
    }
    if per_ms == 0 {
        return Err(entry.policy_error(written.per_ms.span(), "per_ms 0 forgets every death at once".into()));
    }
    if watchdog_ms < LEAST_WATCHDOG_MS {
        let what = format!(
            "watchdog_ms {watchdog_ms} is below {LEAST_WATCHDOG_MS}: it would accuse what is merely slow, and its samples would cost more than they find"
        );
        return Err(entry.policy_error(written.watchdog_ms.span(), what));
    }
    let helper_watchdog_ms = *written.helper_watchdog_ms.get_ref();
    if helper_watchdog_ms != 0 && *written.helpers.get_ref() == 0 {
        return Err(entry.policy_error(written.helper_watchdog_ms.span(), "helper_watchdog_ms without helpers".into()));
    }
    if (1..LEAST_WATCHDOG_MS).contains(&helper_watchdog_ms) {
        let what = format!("helper_watchdog_ms {helper_watchdog_ms} is below {LEAST_WATCHDOG_MS}, and not 0, with which a helper may do as it likes");
        return Err(entry.policy_error(written.helper_watchdog_ms.span(), what));
    }
    let restart = match written.restart.get_ref() {
        source::Restart::Always => manifest::Restart::Always,
        source::Restart::Never => manifest::Restart::Never,
    };
    let on_giving_up = match written.on_giving_up {
        source::OnGivingUp::Close => manifest::OnGivingUp::Close,
        source::OnGivingUp::PowerOff => manifest::OnGivingUp::PowerOff,
    };
    Ok(Policy { restart, backoff_ms: first, backoff_most_ms: most, burst, per_ms, watchdog_ms, helper_watchdog_ms, on_giving_up })
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
