//! Threads and their queues, endpoints, notifications, and what the processor is set to.

use core::mem::offset_of;
use std::collections::{HashMap, HashSet};

use abi::{EndpointState, ObjectKind};

use super::{Count, Objects, Seat, Violation, ensure};
use crate::capability::SlotPlace;
use crate::endpoint::Endpoint;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::page::Ref;
use crate::space::AddressSpace;
use crate::thread::{State, Thread, odd};

/// Where each thread was found.
type Seats = HashMap<u64, Vec<Seat>>;

pub(super) fn check<M: Machine>(kernel: &mut Kernel<M>, objects: &Objects) -> Result<(), Violation> {
    let seats = find_seats(kernel, objects)?;
    for thread in &objects.threads {
        check_seat(kernel, *thread, seats.get(&thread.address()).map_or(&[], Vec::as_slice))?;
        check_thread(kernel, *thread)?;
    }
    check_users(kernel, objects)?;
    for endpoint in &objects.endpoints {
        check_endpoint(kernel, *endpoint)?;
    }
    for notification in &objects.notifications {
        let object = *kernel.notification(*notification);
        ensure(object.word == 0 || object.waiter.some().is_none(), || Violation::Unsignalled(*notification))?;
        let mutual = object.bound.some().is_none_or(|endpoint| kernel.endpoint(endpoint).bound == *notification);
        ensure(mutual, || Violation::Bound(object.bound))?;
    }
    check_deadlines(kernel)?;
    (0..kernel.processors()).try_for_each(|index| check_processor(kernel, index))
}

/// Follows a doubly linked list of threads.
fn follow<M: Machine>(
    kernel: &mut Kernel<M>,
    head: Ref<Thread>,
    links: impl Fn(&Thread) -> (Ref<Thread>, Ref<Thread>),
) -> Result<Vec<Ref<Thread>>, Violation> {
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    let (mut next, mut previous) = (head, Ref::NONE);
    while let Some(thread) = next.some() {
        let page = kernel.machine.page_of(thread.address());
        let kind = kernel.machine.page_info(page).map_or(ObjectKind::Empty, |info| info.kind());
        ensure(kind == ObjectKind::Thread && seen.insert(thread.address()), || Violation::Links(thread))?;
        let (after, before) = links(kernel.thread(thread));
        ensure(before == previous, || Violation::Links(thread))?;
        found.push(thread);
        (next, previous) = (after, thread);
    }
    Ok(found)
}

fn queue_links(thread: &Thread) -> (Ref<Thread>, Ref<Thread>) {
    (thread.next, thread.previous)
}

fn find_seats<M: Machine>(kernel: &mut Kernel<M>, objects: &Objects) -> Result<Seats, Violation> {
    let mut seats = Seats::new();
    let mut seat = |thread: Ref<Thread>, seat: Seat| seats.entry(thread.address()).or_default().push(seat);
    for (index, cpu) in kernel.cpus.used().to_vec().into_iter().enumerate() {
        if let Some(current) = cpu.current.some() {
            seat(current, Seat::Current);
        }
        for level in 0..abi::PRIORITIES as usize {
            let queue = follow(kernel, cpu.queue.heads[level], queue_links)?;
            let occupied = cpu.queue.occupied >> level & 1 != 0;
            let tail = queue.last().copied().unwrap_or(Ref::NONE);
            ensure(occupied != queue.is_empty() && cpu.queue.tails[level] == tail, || Violation::RunQueue(level))?;
            for thread in queue {
                ensure(usize::from(kernel.thread(thread).cpu) == index, || Violation::Processor(thread))?;
                seat(thread, Seat::Queued(level));
            }
        }
    }
    for &endpoint in &objects.endpoints {
        let object = *kernel.endpoint(endpoint);
        let callers = follow(kernel, object.callers_head, queue_links)?;
        let tail = callers.last().copied().unwrap_or(Ref::NONE);
        ensure(object.callers_tail == tail, || Violation::Links(tail))?;
        callers.into_iter().for_each(|thread| seat(thread, Seat::Caller(endpoint)));
        for (index, head) in object.receivers.into_iter().enumerate() {
            for thread in follow(kernel, head, queue_links)? {
                ensure(usize::from(kernel.thread(thread).cpu) == index, || Violation::Processor(thread))?;
                seat(thread, Seat::Receiver(endpoint));
            }
        }
    }
    for &notification in &objects.notifications {
        if let Some(waiter) = kernel.notification(notification).waiter.some() {
            seat(waiter, Seat::Waiter(notification));
        }
    }
    for &table in &objects.tables {
        let head = kernel.table(table).callers;
        let callers = follow(kernel, head, |thread| (thread.instance_next, thread.instance_previous))?;
        callers.into_iter().for_each(|thread| seat(thread, Seat::Awaiting(table)));
    }
    Ok(seats)
}

/// A thread is in exactly the one place that its state says.
fn check_seat<M: Machine>(kernel: &mut Kernel<M>, thread: Ref<Thread>, seats: &[Seat]) -> Result<(), Violation> {
    let entry = *kernel.thread(thread);
    let state = entry.state();
    let seated = match (state, seats) {
        (State::Stopped, []) | (State::Runnable, [Seat::Current]) => true,
        (State::Runnable, [Seat::Queued(level)]) => *level == usize::from(entry.priority),
        (State::Calling, [Seat::Caller(endpoint)]) | (State::Receiving, [Seat::Receiver(endpoint)]) => entry.endpoint == *endpoint,
        (State::Waiting, [Seat::Waiter(notification)]) => entry.notification == *notification,
        (State::AwaitingReply, [Seat::Awaiting(table)]) => {
            let place = SlotPlace::at(*table, entry.reply);
            let slot = *kernel.slot(place);
            let reply = slot.kind() == ObjectKind::Reply && slot.object == thread.address() && slot.epoch == entry.ticket;
            entry.reply_table == *table && reply
        }
        _ => false,
    };
    ensure(entry.state == state as u8 && seated, || Violation::State(thread, state, seats.to_vec()))
}

fn check_thread<M: Machine>(kernel: &mut Kernel<M>, thread: Ref<Thread>) -> Result<(), Violation> {
    let entry = *kernel.thread(thread);
    let equipped = entry.space.some().is_some() && (entry.is_reflected() || entry.table.some().is_some());
    let loadable = entry.frame.rip < 1 << 47 && entry.frame.rflags & !abi::FLAGS_USER == abi::FLAGS_FIXED;
    let lendable = entry.lease_count as usize <= abi::MAX_LEASES;
    ensure((entry.state() == State::Stopped || equipped) && loadable && lendable, || Violation::Unfit(thread))?;
    let reply_at = kernel.place(entry.table, entry.reply_slot).map_or(thread.address() + offset_of!(Thread, no_slot) as u64, SlotPlace::address);
    let noted = entry.odd & !(odd::TRACED | odd::REMOTE) == entry.oddities()
        && entry.reply_at == reply_at
        && entry.no_slot == [0; 4]
        && entry.rivals == u32::MAX << entry.priority;
    let unlinked = kernel.cpu_of(thread).current != thread || entry.previous.some().is_none();
    let server = entry.served_by.some().map(|server| kernel.thread(server).cpu);
    let apart = entry.odd & odd::REMOTE != 0;
    ensure(server.is_none_or(|cpu| (cpu != entry.cpu) == apart) && (entry.state() == State::AwaitingReply || !apart), || Violation::Unnoted(thread))?;
    ensure(noted && unlinked, || Violation::Unnoted(thread))?;
    if let Some(server) = entry.served_by.some() {
        ensure(kernel.thread(server).serving == thread && entry.state() == State::AwaitingReply, || Violation::Service(thread))?;
    }
    if let Some(caller) = entry.serving.some() {
        ensure(kernel.thread(caller).served_by == thread, || Violation::Service(thread))?;
    }
    Ok(())
}

fn check_users<M: Machine>(kernel: &mut Kernel<M>, objects: &Objects) -> Result<(), Violation> {
    let mut users: HashMap<u64, u64> = HashMap::new();
    for thread in &objects.threads {
        let thread = kernel.thread(*thread);
        for address in [thread.space.address(), thread.table.address(), thread.vault.address()] {
            *users.entry(address).or_default() += 1;
        }
    }
    for space in &objects.spaces {
        let AddressSpace { dismantled, users, .. } = *kernel.space(*space);
        let count = Count { of: space.address(), recorded: u64::from(users), counted: 0 };
        ensure(dismantled == 0 || users == 0, || Violation::Users(count))?;
    }
    let spaces = objects.spaces.iter().map(|space| (space.address(), kernel.space(*space).users)).collect::<Vec<_>>();
    let tables = objects.tables.iter().map(|table| (table.address(), kernel.table(*table).users)).collect::<Vec<_>>();
    for (of, recorded) in spaces.into_iter().chain(tables) {
        let counted = users.get(&of).copied().unwrap_or(0);
        ensure(u64::from(recorded) == counted, || Violation::Users(Count { of, recorded: u64::from(recorded), counted }))?;
    }
    Ok(())
}

fn check_endpoint<M: Machine>(kernel: &mut Kernel<M>, endpoint: Ref<Endpoint>) -> Result<(), Violation> {
    let object = *kernel.endpoint(endpoint);
    let calls = object.callers_head.some().is_some();
    let receives = object.receivers.iter().any(|receiver| receiver.some().is_some());
    ensure(!(calls && receives && object.state() == EndpointState::Open), || Violation::Undelivered(endpoint))?;
    let Some(bound) = object.bound.some() else { return Ok(()) };
    let bound = *kernel.notification(bound);
    ensure(bound.bound == endpoint, || Violation::Bound(endpoint))?;
    ensure(!(receives && bound.word != 0), || Violation::Undelivered(endpoint))
}

fn check_deadlines<M: Machine>(kernel: &mut Kernel<M>) -> Result<(), Violation> {
    let mut seen = HashSet::new();
    for cpu in kernel.cpus.used().to_vec() {
        let entries = cpu.deadlines.pending();
        ensure(entries.is_sorted_by_key(|entry| entry.0), || Violation::Deadlines(entries.len()))?;
        for (index, (_, notification)) in entries.iter().enumerate() {
            let is_notification = kind_of(kernel, *notification) == ObjectKind::Notification;
            ensure(is_notification && seen.insert(notification.address()), || Violation::Deadlines(index))?;
        }
    }
    Ok(())
}

/// What the page that a reference names holds.
fn kind_of<M: Machine, T>(kernel: &mut Kernel<M>, object: Ref<T>) -> ObjectKind {
    let page = kernel.machine.page_of(object.address());
    kernel.machine.page_info(page).map_or(ObjectKind::Empty, |info| info.kind())
}

/// A processor that is not in the kernel and has to decide anew does so when it is the next time: who runs there, and who pays.
fn check_processor<M: Machine>(kernel: &mut Kernel<M>, index: usize) -> Result<(), Violation> {
    let cpu = kernel.cpu_at(index).clone();
    let here = kernel.machine.processor() == index;
    ensure(cpu.payer.some().is_none_or(|payer| kind_of(kernel, payer) == ObjectKind::Thread), || Violation::Payer(cpu.payer))?;
    if let Some(owner) = cpu.fpu_owner.some() {
        ensure(kind_of(kernel, owner) == ObjectKind::Thread && kernel.thread(owner).has_fpu(), || Violation::Fpu)?;
        ensure(usize::from(kernel.thread(owner).cpu) == index, || Violation::Fpu)?;
    }
    let kind = kernel.machine.page_info(cpu.root).map_or(ObjectKind::Empty, |info| info.kind());
    ensure(cpu.root == 0 || kind == ObjectKind::PageTable, || Violation::Loaded(cpu.root))?;
    ensure(!kernel.is_outranked(index) || !here && cpu.reschedule, || Violation::Preemption)?;
    let Some(current) = cpu.current.some() else { return Ok(()) };
    let entry = *kernel.thread(current);
    ensure(usize::from(entry.cpu) == index, || Violation::Processor(current))?;
    let (root, payer) = (kernel.space_root(entry.space), end_of_chain(kernel, current));
    ensure(cpu.root == root || !here && cpu.root == 0, || Violation::Loaded(cpu.root))?;
    ensure(cpu.fpu_trap == (cpu.fpu_owner != current), || Violation::Fpu)?;
    ensure(cpu.payer == payer || !here && cpu.reschedule, || Violation::Payer(cpu.payer))
}

impl<M: Machine> Kernel<M> {
    /// Whether a more important thread than the one that runs waits for a processor, or any if it is idle.
    pub(crate) fn is_outranked(&mut self, processor: usize) -> bool {
        let cpu = self.cpu_at(processor);
        let (top, current) = (cpu.queue.occupied.checked_ilog2(), cpu.current);
        let level = current.some().map(|current| u32::from(self.thread(current).priority));
        top.is_some_and(|top| level.is_none_or(|level| top > level))
    }
}

/// The caller at the end of the chain that a thread works for.
fn end_of_chain<M: Machine>(kernel: &mut Kernel<M>, thread: Ref<Thread>) -> Ref<Thread> {
    let mut payer = thread;
    for _ in 0..8 {
        match kernel.thread(payer).serving.some() {
            Some(caller) => payer = caller,
            None => break,
        }
    }
    payer
}
