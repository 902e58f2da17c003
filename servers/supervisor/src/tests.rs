//! Whole lives on the fake kernel, which checks the order of steps itself.

mod control;
mod inject;
mod scrub;
mod trace;

use abi::boot::{IMAGE_MAGIC, Image, SEGMENT_EXECUTE, SEGMENT_WRITE};
use abi::{EndpointState, MapFlags, PAGE_SIZE, Rights, ThreadSetting};
use heapless::Vec as Bounded;
use libsys::layout;
use protocols::crash::Cause;
use protocols::manifest::{ANY_PROCESSOR, OnGivingUp, Policy, Quota, Restart};
use protocols::memory::vault;
use protocols::service::{Badge, Service};
use protocols::supervisor::{Error, STATUS_GAVE_UP, Service as _, StartInfo, State};

use crate::autopsy::Records;
use crate::build::RootFs;
use crate::fake::{Copied, Fake, HZ};
use crate::kernel::{Counters, Doing};
use crate::life::{Facts, Supervisor};
use crate::policy::STILLBORN;
use crate::set_up::{SetUpError, reserve_pages};
use crate::slot;
use crate::spec::{MAX_SERVICES, Ports, Spec};
use crate::watchdog::SAMPLES;

const ENTRY: u64 = layout::IMAGE + 8;

/// An image of two pages of code and one of data.
pub(crate) fn image_bytes() -> &'static [u8] {
    image_of(2)
}

/// An image of as many pages of code and one of data.
fn image_of(code_pages: u32) -> &'static [u8] {
    let mut bytes = vec![0; 3 * PAGE_SIZE as usize];
    bytes[..8].copy_from_slice(&IMAGE_MAGIC);
    bytes[8..16].copy_from_slice(&ENTRY.to_le_bytes());
    bytes[16..24].copy_from_slice(&2u64.to_le_bytes());
    let segments = [(layout::IMAGE, PAGE_SIZE, 5000, code_pages, SEGMENT_EXECUTE), (layout::IMAGE + 0x100_0000, 2 * PAGE_SIZE, 10, 1, SEGMENT_WRITE)];
    for (index, (address, offset, length, pages, flags)) in segments.into_iter().enumerate() {
        let at = 32 + index * 32;
        for (place, word) in [(0, address), (8, offset), (16, length)] {
            bytes[at + place..at + place + 8].copy_from_slice(&u64::to_le_bytes(word));
        }
        bytes[at + 24..at + 28].copy_from_slice(&u32::to_le_bytes(pages));
        bytes[at + 28..at + 32].copy_from_slice(&flags.to_le_bytes());
    }
    bytes.leak()
}

/// No pauses and a large burst: what most tests here are about.
const POLICY: Policy = Policy {
    restart: Restart::Always,
    backoff_ms: 0,
    backoff_most_ms: 0,
    burst: 32,
    per_ms: 10_000,
    watchdog_ms: 5000,
    helper_watchdog_ms: 0,
    on_giving_up: OnGivingUp::Close,
};
const ESSENTIAL: Policy = Policy { on_giving_up: OnGivingUp::PowerOff, ..POLICY };

fn spec(service: Service, calls: &[Service]) -> Spec<'static> {
    Spec {
        service,
        priority: 16,
        threads: 1,
        heap_pages: 8,
        saved_pages: 4,
        region_pages: 0,
        processor: 0,
        fpu: false,
        keeps: 0,
        quota: Quota::default(),
        rootfs: false,
        helpers: 0,
        helper_priority: 0,
        policy: POLICY,
        ports: Bounded::new(),
        irqs: Bounded::new(),
        calls: Bounded::from_slice(calls).expect("few"),
        image: Image::open(image_bytes()).expect("an image"),
    }
}

/// memory, vfs (with the root file system), posix (two threads, a vault, devices).
fn specs() -> Bounded<Spec<'static>, MAX_SERVICES> {
    let memory = Spec { keeps: 256, policy: ESSENTIAL, ..spec(Service::Memory, &[]) };
    let vfs = Spec { rootfs: true, region_pages: 99, ..spec(Service::Vfs, &[Service::Memory]) };
    let mut posix =
        Spec { threads: 2, keeps: 512, quota: Quota { percent: 75, pages: 999 }, ..spec(Service::Posix, &[Service::Memory, Service::Vfs]) };
    posix.ports.push(Ports { first: 0x3f8, count: 8 }).expect("room");
    posix.irqs.push(4).expect("room");
    [memory, vfs, posix].into_iter().collect()
}

fn facts(options: &str) -> Facts<'_> {
    Facts { tsc_hz: HZ, wall_base_ns: 7, processors: 2, options, rootfs: RootFs { page: 3, bytes: 9000 } }
}

fn records() -> &'static mut Records {
    Box::leak(Box::default())
}

fn set_up(options: &str) -> Supervisor<'_, Fake> {
    Supervisor::set_up(Fake::default(), &[100_000, 500], specs(), facts(options), records()).expect("set up")
}

fn up(supervisor: &mut Supervisor<'_, Fake>, service: Service, instance: u32) {
    assert_eq!(supervisor.up(Badge::new(service, instance)), Ok(()), "{service:?} {instance}");
}

fn booted(options: &str) -> Supervisor<'_, Fake> {
    let mut supervisor = set_up(options);
    supervisor.start_due();
    for service in [Service::Memory, Service::Vfs, Service::Posix] {
        up(&mut supervisor, service, 1);
    }
    supervisor
}

fn kill(supervisor: &mut Supervisor<'_, Fake>, service: Service, instance: u32) {
    supervisor.died(Badge::new(service, instance), None, Cause::Hung);
}

fn endpoint(supervisor: &mut Supervisor<'_, Fake>, service: Service) -> EndpointState {
    supervisor.kernel().endpoints[&slot::endpoint(service)]
}

fn setting(supervisor: &mut Supervisor<'_, Fake>, thread: u32, setting: ThreadSetting) -> (u64, u64) {
    supervisor.kernel().threads[&thread].settings[&(setting as u64)]
}

fn start_info(supervisor: &mut Supervisor<'_, Fake>, service: Service) -> StartInfo {
    let thread = supervisor.kernel().running(service)[0];
    let space = setting(supervisor, thread, ThreadSetting::Space).0 as u32;
    let bytes = &supervisor.kernel().written[&(space, layout::START_INFO)];
    let length = u32::from_le_bytes(bytes[..4].try_into().expect("4 bytes")) as usize;
    protocols::wire::decode(&bytes[4..4 + length]).expect("start information")
}

#[test]
fn all_endpoints_are_held_before_the_first_server_starts() {
    let mut supervisor = set_up("");
    for service in [Service::Memory, Service::Vfs, Service::Posix] {
        assert_eq!(endpoint(&mut supervisor, service), EndpointState::Held);
        assert!(supervisor.kernel().running(service).is_empty());
    }
}

#[test]
fn services_start_in_order_each_when_its_predecessor_is_up() {
    let mut supervisor = set_up("");
    supervisor.start_due();
    let order = [Service::Memory, Service::Vfs, Service::Posix];
    for (index, service) in order.into_iter().enumerate() {
        assert_eq!(supervisor.kernel().running(service).len(), 1);
        assert!(order[index + 1..].iter().all(|later| supervisor.kernel().running(*later).is_empty()));
        assert_eq!(endpoint(&mut supervisor, service), EndpointState::Held);
        up(&mut supervisor, service, 1);
        assert_eq!(endpoint(&mut supervisor, service), EndpointState::Open);
    }
    assert_eq!(supervisor.kernel().running(Service::Posix).len(), 2, "helper threads start when the service is up");
}

#[test]
fn memory_is_given_all_pieces_and_the_vaults_of_its_buyers() {
    let mut supervisor = booted("");
    let posix = supervisor.kernel().running(Service::Posix)[0];
    let space = setting(&mut supervisor, posix, ThreadSetting::Space).0 as u32;
    let table = &supervisor.kernel().tables[&slot::vault(Service::Memory)];
    assert_eq!(table[&4].from, slot::REST);
    assert_eq!(table[&5].from, abi::boot_slot::FIRST_MEMORY + 1);
    let buyer = table[&(vault::BUYERS + u32::from(Service::Posix.id()))];
    assert_eq!((buyer.from, buyer.mint.expect("a copy").rights), (slot::vault(Service::Posix), Rights::INSERT | Rights::TAKE));
    let paged = table[&(vault::SPACES + u32::from(Service::Posix.id()))];
    assert_eq!((paged.from, paged.mint.expect("a copy").badge), (space, Some(1)));
}

#[test]
fn instance_gets_exactly_the_declared_capabilities() {
    let mut supervisor = booted("");
    let thread = supervisor.kernel().running(Service::Posix)[0];
    let table = setting(&mut supervisor, thread, ThreadSetting::Table).0 as u32;
    let slots: Vec<u32> = supervisor.kernel().tables[&table].keys().copied().collect();
    let peers = [Service::Memory, Service::Vfs].map(libsys::slot::peer);
    assert_eq!(slots, [4, 5, 6, 7, 8, 12, 14, peers[0], peers[1]]);
    let badge = Badge::new(Service::Posix, 1).to_word();
    let table = &supervisor.kernel().tables[&table];
    let call = table[&peers[1]];
    assert_eq!((call.from, call.mint.expect("a copy").badge), (slot::endpoint(Service::Vfs), Some(badge)));
    assert_eq!(call.mint.expect("a copy").rights, Rights::CALL);
    assert_eq!((table[&8].first, table[&8].count, table[&12].first), (0x3f8, 8, 4));
    let vfs = supervisor.kernel().running(Service::Vfs)[0];
    let table = setting(&mut supervisor, vfs, ThreadSetting::Table).0 as u32;
    let up = supervisor.kernel().tables[&table][&libsys::slot::notification_of(Service::Posix)];
    assert_eq!((up.from, up.mint.expect("a copy").rights), (slot::notification(Service::Posix), Rights::SIGNAL));
}

#[test]
fn threads_and_windows_lie_where_the_runtime_expects_them() {
    let mut supervisor = booted("");
    for (index, thread) in supervisor.kernel().running(Service::Posix).into_iter().enumerate() {
        let frame = supervisor.kernel().threads[&thread].frame.expect("a frame");
        assert_eq!((frame.rip, frame.rdi, frame.rsp), (ENTRY, index as u64, layout::stack_top(index as u64) - 8));
        let space = setting(&mut supervisor, thread, ThreadSetting::Space).0 as u32;
        let message = setting(&mut supervisor, thread, ThreadSetting::MessagePage);
        let mapped = supervisor.kernel().mappings(space);
        assert_eq!(mapped[&layout::message_page(index as u64)].0, message.1);
        assert!(mapped.contains_key(&(layout::stack_top(index as u64) - PAGE_SIZE)));
        assert!(!mapped.contains_key(&(layout::stack_bottom(index as u64) - PAGE_SIZE)), "the guard page");
        assert_eq!(mapped[&layout::IMAGE].1, MapFlags::READ | MapFlags::EXECUTE);
        assert_eq!(mapped[&(layout::IMAGE + 0x100_0000)].1, MapFlags::READ | MapFlags::WRITE);
        assert!(!mapped.contains_key(&layout::HEAP), "memory brings the heap");
    }
    let memory = supervisor.kernel().running(Service::Memory)[0];
    let space = setting(&mut supervisor, memory, ThreadSetting::Space).0 as u32;
    let mapped = supervisor.kernel().mappings(space);
    assert!(mapped.contains_key(&layout::HEAP) && mapped.contains_key(&layout::SAVED), "memory has no pager");
    let vfs = supervisor.kernel().running(Service::Vfs)[0];
    let space = setting(&mut supervisor, vfs, ThreadSetting::Space).0 as u32;
    assert_eq!(supervisor.kernel().mappings(space)[&layout::ROOTFS].1, MapFlags::READ);
}

#[test]
fn start_information_says_who_the_instance_is() {
    let mut supervisor = booted("fail=vfs:write.intent:2\n");
    let info = start_info(&mut supervisor, Service::Vfs);
    assert_eq!((info.service, info.instance, info.tsc_hz, info.wall_base_ns), (Service::Vfs.id(), 1, HZ, 7));
    assert_eq!((info.heap_pages, info.saved_pages, info.region_pages, info.rootfs_bytes), (8, 4, 99, 9000));
    let fail = info.fail.expect("armed");
    assert_eq!((fail.point.as_str(), fail.nth), ("write.intent", 2));
    let paged = start_info(&mut supervisor, Service::Memory).paged;
    assert_eq!(paged.iter().map(|paged| paged.service).collect::<Vec<_>>(), [Service::Vfs.id(), Service::Posix.id()]);
    assert_eq!(start_info(&mut supervisor, Service::Posix).rootfs_bytes, 0);
}

#[test]
fn dead_service_is_held_until_its_successor_is_up() {
    let mut supervisor = booted("");
    kill(&mut supervisor, Service::Vfs, 1);
    assert_eq!(endpoint(&mut supervisor, Service::Vfs), EndpointState::Held);
    assert_eq!(supervisor.kernel().running(Service::Vfs).len(), 1, "the successor runs before the dead one is reaped");
    assert!(supervisor.kernel().signals.contains(&(slot::notification(Service::Memory), 1 << Service::Vfs.id())));
    assert_eq!(start_info(&mut supervisor, Service::Vfs).instance, 2);
    up(&mut supervisor, Service::Vfs, 2);
    assert_eq!(endpoint(&mut supervisor, Service::Vfs), EndpointState::Open);
    assert_eq!(endpoint(&mut supervisor, Service::Posix), EndpointState::Open, "others go on");
}

#[test]
fn word_of_a_dead_instance_changes_nothing() {
    let mut supervisor = booted("");
    kill(&mut supervisor, Service::Vfs, 1);
    kill(&mut supervisor, Service::Vfs, 1);
    assert_eq!(start_info(&mut supervisor, Service::Vfs).instance, 2);
    assert_eq!(supervisor.up(Badge::new(Service::Vfs, 1)), Err(Error::Stale));
    assert_eq!(supervisor.up(Badge::new(Service::Web, 1)), Err(Error::Stale));
}

#[test]
fn every_service_survives_many_deaths_in_turn() {
    let mut supervisor = booted("");
    for instance in 1..200 {
        for service in [Service::Memory, Service::Vfs, Service::Posix] {
            supervisor.kernel().ticks += HZ;
            kill(&mut supervisor, service, instance);
            up(&mut supervisor, service, instance + 1);
            while supervisor.reap() {}
        }
    }
    assert!(supervisor.kernel().reclaimed > 0);
}

#[test]
fn deaths_faster_than_the_reaper_wait_for_its_pages() {
    let mut supervisor = booted("");
    let mut instance = 1;
    for _ in 0..8 {
        kill(&mut supervisor, Service::Posix, instance);
        while supervisor.kernel().running(Service::Posix).is_empty() {
            let more = supervisor.reap();
            assert!(more || !supervisor.kernel().running(Service::Posix).is_empty(), "nobody starts the successor");
        }
        instance += 1;
        up(&mut supervisor, Service::Posix, instance);
    }
    while supervisor.reap() {}
}

#[test]
fn ports_pass_from_instance_to_instance_with_their_record() {
    let mut supervisor = booted("");
    let table_of = |supervisor: &mut Supervisor<'_, Fake>| {
        let running = supervisor.kernel().running(Service::Posix);
        supervisor.kernel().table_of(running[0])
    };
    let first = table_of(&mut supervisor);
    let derived = supervisor.kernel().tables[&first][&libsys::slot::PORTS];
    // What tells the capability from one that is derived anew.
    let used = Copied { from: 77, ..derived };
    supervisor.kernel().tables.get_mut(&first).expect("its table").insert(libsys::slot::PORTS, used);
    for instance in 1..=3 {
        kill(&mut supervisor, Service::Posix, instance);
        while supervisor.reap() {}
        up(&mut supervisor, Service::Posix, instance + 1);
        let table = table_of(&mut supervisor);
        assert_eq!(supervisor.kernel().tables[&table][&libsys::slot::PORTS], used);
        assert!(supervisor.kernel().parked.is_empty());
    }
}

#[test]
fn failpoints_of_a_service_are_armed_one_instance_after_the_other() {
    let mut supervisor = booted("fail=vfs:a:1\nfail=vfs:b:1\n");
    let armed = |supervisor: &mut Supervisor<'_, Fake>| start_info(supervisor, Service::Vfs).fail.map(|fail| fail.point.as_str().to_owned());
    assert_eq!(armed(&mut supervisor).as_deref(), Some("a"));
    for (instance, next) in [(1, Some("b")), (2, None)] {
        kill(&mut supervisor, Service::Vfs, instance);
        assert_eq!(armed(&mut supervisor).as_deref(), next);
        up(&mut supervisor, Service::Vfs, instance + 1);
    }
}

#[test]
fn service_that_never_comes_up_is_closed_and_the_next_one_starts() {
    let mut supervisor = set_up("");
    supervisor.start_due();
    up(&mut supervisor, Service::Memory, 1);
    for instance in 1..=STILLBORN {
        kill(&mut supervisor, Service::Vfs, instance);
        while supervisor.reap() {}
    }
    assert_eq!(endpoint(&mut supervisor, Service::Vfs), EndpointState::Closed);
    assert_eq!(supervisor.status(Badge::new(Service::Posix, 1), Service::Vfs.id()).map(|status| status.state), Ok(State::GivenUp));
    assert_eq!(supervisor.kernel().running(Service::Posix).len(), 1);
    assert!(supervisor.kernel().ports.is_empty());
}

#[test]
fn giving_up_on_an_essential_service_turns_the_power_off() {
    let mut supervisor = booted("");
    for instance in 1..=POLICY.burst + 1 {
        kill(&mut supervisor, Service::Memory, instance);
        while supervisor.reap() {}
        let _given_up = supervisor.up(Badge::new(Service::Memory, instance + 1));
    }
    assert_eq!(supervisor.kernel().ports, [(abi::boot::SCRIPT_STATUS_PORT, u32::from(STATUS_GAVE_UP)), (0x604, 0x2000), (0xb004, 0x2000)]);
}

#[test]
fn only_posix_may_turn_the_power_off() {
    let mut supervisor = booted("");
    for other in [Service::Vfs, Service::Console, Service::Memory] {
        assert_eq!(supervisor.power_off(Badge::new(other, 1), 0), Err(Error::NotAllowed));
    }
    assert!(supervisor.kernel().ports.is_empty());
    assert_eq!(supervisor.power_off(Badge::new(Service::Posix, 1), 3), Ok(()));
    assert_eq!(supervisor.kernel().ports, [(abi::boot::SCRIPT_STATUS_PORT, 3), (0x604, 0x2000), (0xb004, 0x2000)]);
}

#[test]
fn hung_thread_is_found_and_its_service_restarted() {
    let mut supervisor = booted("");
    let thread = supervisor.kernel().running(Service::Posix)[1];
    for _ in 0..20 {
        supervisor.kernel().ticks += HZ;
        supervisor.kernel().counters.entry(thread).or_default().doing = Doing::Running;
        supervisor.watch();
    }
    assert_eq!(start_info(&mut supervisor, Service::Posix).instance, 2);
    assert!(supervisor.kernel().log.iter().any(|line| line.contains("posix died, instance 1: hung")));
}

#[test]
fn endpoint_is_held_during_the_pauses_between_restarts() {
    let mut specs = specs();
    specs[1].policy = Policy { backoff_ms: 10, backoff_most_ms: 1000, ..POLICY };
    let mut supervisor = Supervisor::set_up(Fake::default(), &[100_000, 500], specs, facts(""), records()).expect("set up");
    supervisor.start_due();
    for service in [Service::Memory, Service::Vfs, Service::Posix] {
        up(&mut supervisor, service, 1);
    }
    kill(&mut supervisor, Service::Vfs, 1);
    up(&mut supervisor, Service::Vfs, 2);
    for (instance, pause_ms) in [(2, 10), (3, 20), (4, 40)] {
        while supervisor.reap() {}
        let died = supervisor.kernel().ticks;
        kill(&mut supervisor, Service::Vfs, instance);
        assert_eq!(endpoint(&mut supervisor, Service::Vfs), EndpointState::Held);
        let due = supervisor.next_start().expect("it pauses");
        assert!((pause_ms..=pause_ms + 1).contains(&((due - died) * 1000 / HZ)), "{instance}: {}", due - died);
        supervisor.start_due();
        assert!(supervisor.kernel().running(Service::Vfs).is_empty());
        supervisor.kernel().ticks = due;
        supervisor.start_due();
        assert_eq!((supervisor.kernel().running(Service::Vfs).len(), supervisor.next_start()), (1, None));
        up(&mut supervisor, Service::Vfs, instance + 1);
    }
}

#[test]
fn service_that_is_never_restarted_is_closed_at_its_first_death() {
    let mut specs = specs();
    specs[1].policy.restart = Restart::Never;
    let mut supervisor = Supervisor::set_up(Fake::default(), &[100_000, 500], specs, facts(""), records()).expect("set up");
    supervisor.start_due();
    up(&mut supervisor, Service::Memory, 1);
    up(&mut supervisor, Service::Vfs, 1);
    kill(&mut supervisor, Service::Vfs, 1);
    assert_eq!(endpoint(&mut supervisor, Service::Vfs), EndpointState::Closed);
    assert!(supervisor.kernel().running(Service::Vfs).is_empty());
}

#[test]
fn helpers_start_when_the_service_is_up_at_their_own_priority_and_die_with_it() {
    let mut specs = specs();
    (specs[1].helpers, specs[1].helper_priority) = (2, 3);
    let mut supervisor = Supervisor::set_up(Fake::default(), &[100_000, 500], specs, facts(""), records()).expect("set up");
    supervisor.start_due();
    up(&mut supervisor, Service::Memory, 1);
    assert_eq!(supervisor.kernel().running(Service::Vfs).len(), 1);
    up(&mut supervisor, Service::Vfs, 1);
    let threads = supervisor.kernel().running(Service::Vfs);
    let priorities: Vec<u64> = threads.iter().map(|thread| setting(&mut supervisor, *thread, ThreadSetting::Priority).0).collect();
    assert_eq!(priorities, [16, 3, 3]);
    for thread in &threads[1..] {
        supervisor.kernel().counters.entry(*thread).or_default().doing = Doing::Running;
    }
    for _ in 0..30 {
        supervisor.kernel().ticks += HZ;
        supervisor.watch();
    }
    assert_eq!(start_info(&mut supervisor, Service::Vfs).instance, 1, "work without a request is not a hang");
    kill(&mut supervisor, Service::Vfs, 1);
    assert_eq!(supervisor.kernel().running(Service::Vfs).len(), 1, "the successor's first thread only");
}

#[test]
fn threads_run_where_the_manifest_says_as_far_as_there_are_processors() {
    let mut specs = specs();
    for (spec, processor) in specs.iter_mut().zip([ANY_PROCESSOR, 1, 5]) {
        spec.processor = processor;
    }
    let mut supervisor = Supervisor::set_up(Fake::default(), &[100_000, 500], specs, facts(""), records()).expect("set up");
    supervisor.start_due();
    let mut place = |service| {
        let thread = supervisor.kernel().running(service)[0];
        let place = setting(&mut supervisor, thread, ThreadSetting::Processor).0;
        up(&mut supervisor, service, 1);
        place
    };
    let places = [Service::Memory, Service::Vfs, Service::Posix].map(&mut place);
    assert_eq!(places, [abi::ANY_PROCESSOR, 1, 1], "there are two");
    assert_eq!(start_info(&mut supervisor, Service::Vfs).processors, 2);
}

/// The whole program is compiled for vector registers, so it may use them in any thread.
#[test]
fn every_thread_of_a_service_with_vector_registers_has_them_and_no_other_has() {
    let mut specs = specs();
    (specs[1].fpu, specs[1].helpers, specs[1].helper_priority) = (true, 1, 3);
    let mut supervisor = Supervisor::set_up(Fake::default(), &[100_000, 500], specs, facts(""), records()).expect("set up");
    supervisor.start_due();
    let mut flags = |service| {
        up(&mut supervisor, service, 1);
        let kernel = supervisor.kernel();
        let flags = |thread: &u32| kernel.threads[thread].settings.get(&(ThreadSetting::Flags as u64)).map_or(0, |value| value.0);
        kernel.running(service).iter().map(flags).collect::<Vec<_>>()
    };
    let all = [Service::Memory, Service::Vfs, Service::Posix].map(&mut flags);
    assert_eq!(all, [vec![0], vec![abi::thread_flags::FPU; 2], vec![0; 2]]);
}

#[test]
fn callers_whom_nobody_attends_to_are_a_hang_of_the_service() {
    let mut supervisor = booted("");
    supervisor.kernel().unattended.insert(slot::endpoint(Service::Posix));
    for _ in 0..4 {
        supervisor.kernel().ticks += HZ;
        supervisor.watch();
    }
    assert_eq!(start_info(&mut supervisor, Service::Posix).instance, 1);
    for _ in 0..4 {
        supervisor.kernel().ticks += HZ;
        supervisor.watch();
    }
    assert_eq!(start_info(&mut supervisor, Service::Posix).instance, 2);
    for _ in 0..20 {
        supervisor.kernel().ticks += HZ;
        supervisor.watch();
    }
    assert_eq!(start_info(&mut supervisor, Service::Posix).instance, 2, "it is not up yet: callers have to queue");
}

/// memory hangs, and posix, of lower priority, has had the same request in hand for as long. memory's successor is up at the sample after so many others. Which
/// instances there are after each sample.
fn memory_hangs(samples_to_start: u64, mut posix: impl FnMut(u64) -> Counters) -> Vec<(u32, u32)> {
    let mut specs = specs();
    specs[0].priority = 24;
    let mut supervisor = Supervisor::set_up(Fake::default(), &[100_000, 500], specs, facts(""), records()).expect("set up");
    supervisor.start_due();
    for service in [Service::Memory, Service::Vfs, Service::Posix] {
        up(&mut supervisor, service, 1);
    }
    let hangs = Counters { doing: Doing::Running, in_hand: true, received_at: 1, calls: 0, own_ticks: 0, beats: 0 };
    let threads = [Service::Memory, Service::Posix].map(|service| supervisor.kernel().running(service)[0]);
    let mut starting = 0;
    let instances = (0..20).map(|tick| {
        supervisor.kernel().counters.insert(threads[0], hangs);
        supervisor.kernel().counters.insert(threads[1], posix(tick));
        supervisor.kernel().ticks = supervisor.watch();
        supervisor.watch();
        if start_info(&mut supervisor, Service::Memory).instance == 2 {
            if starting == samples_to_start {
                up(&mut supervisor, Service::Memory, 2);
            }
            starting += 1;
        }
        [Service::Memory, Service::Posix].map(|service| start_info(&mut supervisor, service).instance).into()
    });
    instances.collect()
}

#[test]
fn hang_is_laid_to_the_one_that_kept_the_others_from_running() {
    let starved = Counters { doing: Doing::Running, in_hand: true, received_at: 7, calls: 0, own_ticks: 0, beats: 0 };
    for samples_to_start in 0..3 {
        let hangs_too = memory_hangs(samples_to_start, |_| starved);
        let found = hangs_too.iter().position(|instances| *instances == (2, 1)).expect("memory is found first") as u64;
        let also = hangs_too.iter().position(|instances| *instances == (2, 2)).expect("then posix") as u64;
        let runs_at = found + samples_to_start;
        assert!((runs_at + 1..=runs_at + SAMPLES).contains(&also), "as long later as a hang takes to be found: {hangs_too:?}");
        for pause in 0..SAMPLES - 1 {
            // Once memory is back the request takes its time: there is memory to wait for, and others to run first.
            let goes_on = memory_hangs(samples_to_start, |tick| Counters { received_at: 7 + tick.saturating_sub(runs_at + pause), ..starved });
            assert!(goes_on.contains(&(2, 1)) && goes_on.last() == Some(&(2, 1)), "{samples_to_start}, {pause}: {goes_on:?}");
        }
    }
}

#[test]
fn watchdog_of_a_service_is_its_own() {
    let mut specs = specs();
    specs[1].policy.watchdog_ms = 500;
    let mut supervisor = Supervisor::set_up(Fake::default(), &[100_000, 500], specs, facts(""), records()).expect("set up");
    supervisor.start_due();
    for service in [Service::Memory, Service::Vfs, Service::Posix] {
        up(&mut supervisor, service, 1);
    }
    for service in [Service::Vfs, Service::Posix] {
        let thread = supervisor.kernel().running(service)[0];
        supervisor
            .kernel()
            .counters
            .insert(thread, Counters { doing: Doing::Running, in_hand: true, received_at: 1, calls: 0, own_ticks: 0, beats: 0 });
    }
    let start = supervisor.kernel().ticks;
    let mut found = Vec::new();
    while found.len() < 2 {
        let next = supervisor.watch();
        for (service, name) in [(Service::Vfs, "vfs"), (Service::Posix, "posix")] {
            if start_info(&mut supervisor, service).instance == 2 && !found.iter().any(|(found, _)| *found == name) {
                found.push((name, (supervisor.kernel().ticks - start) * 1000 / HZ));
            }
        }
        supervisor.kernel().ticks = next;
    }
    assert!(found[0].0 == "vfs" && (500..=700).contains(&found[0].1) && (5000..=5200).contains(&found[1].1), "{found:?}");
}

#[test]
fn helper_that_computes_on_without_a_beat_is_found_where_there_is_a_limit() {
    let mut specs = specs();
    for spec in &mut specs[1..] {
        (spec.helpers, spec.helper_priority) = (1, 3);
    }
    specs[1].policy.helper_watchdog_ms = 1000;
    let mut supervisor = Supervisor::set_up(Fake::default(), &[100_000, 500], specs, facts(""), records()).expect("set up");
    supervisor.start_due();
    for service in [Service::Memory, Service::Vfs, Service::Posix] {
        up(&mut supervisor, service, 1);
    }
    let instances = |supervisor: &mut Supervisor<'_, Fake>, beats: fn(u64) -> u64| {
        for tick in 0..20 {
            let next = supervisor.watch();
            for service in [Service::Vfs, Service::Posix] {
                let thread = *supervisor.kernel().running(service).last().expect("a helper");
                let own_ticks = supervisor.kernel().ticks;
                let counters = Counters { doing: Doing::Running, own_ticks, ..Counters::default() };
                supervisor.kernel().counters.insert(thread, counters);
                let space = supervisor
                    .services
                    .iter()
                    .find(|record| record.spec.service == service)
                    .and_then(|record| record.body())
                    .expect("up")
                    .0
                    .block
                    .space();
                let bytes = u64::to_le_bytes(beats(tick));
                supervisor.kernel().memory.extend((layout::beats(1)..).zip(bytes).map(|(address, byte)| ((space, address), byte)));
            }
            supervisor.kernel().ticks = next;
        }
        [Service::Vfs, Service::Posix].map(|service| start_info(supervisor, service).instance)
    };
    assert_eq!(instances(&mut supervisor, |tick| tick), [1, 1], "twenty seconds of work");
    assert_eq!(instances(&mut supervisor, |_| 7), [2, 1], "one says nothing any more, the other never had to");
    assert!(supervisor.kernel().log.iter().any(|line| line.contains("vfs died, instance 1: hung")), "{:?}", supervisor.kernel().log);
}

#[test]
fn request_that_kills_its_server_twice_is_refused_and_the_service_goes_on() {
    let mut supervisor = booted("");
    for (instance, refused) in [(1, 0), (2, 1)] {
        let thread = supervisor.kernel().running(Service::Posix)[1];
        supervisor.kernel().in_hand.insert(thread, 0x77);
        supervisor.died(Badge::new(Service::Posix, instance), Some(1), Cause::Hung);
        up(&mut supervisor, Service::Posix, instance + 1);
        assert_eq!(supervisor.kernel().refused.len(), refused);
        while supervisor.reap() {}
    }
    assert_eq!(supervisor.kernel().refused, [0x77]);
    assert_eq!(endpoint(&mut supervisor, Service::Posix), EndpointState::Open);
}

#[test]
fn requests_of_other_threads_and_kept_ones_are_innocent() {
    let mut supervisor = booted("");
    for instance in 1..6 {
        let threads = supervisor.kernel().running(Service::Posix);
        supervisor.kernel().in_hand.insert(threads[1], 0x77);
        supervisor.kernel().in_hand.insert(threads[0], u64::from(instance));
        supervisor.died(Badge::new(Service::Posix, instance), Some(0), Cause::Hung);
        up(&mut supervisor, Service::Posix, instance + 1);
        while supervisor.reap() {}
    }
    assert!(supervisor.kernel().refused.is_empty());
}

#[test]
fn too_little_memory_is_an_error_in_words() {
    let needed = reserve_pages(&specs(), RootFs { page: 3, bytes: 9000 }.pages());
    let error = Supervisor::set_up(Fake::default(), &[needed], specs(), facts(""), records()).err();
    assert_eq!(error, Some(SetUpError::TooLittleMemory { needed, largest: needed }));
    assert!(error.expect("too little").to_string().starts_with("too little memory"));
}

#[test]
fn any_refusal_of_the_kernel_while_a_service_is_restarted_ends_in_a_running_or_given_up_service() {
    for nth in 0.. {
        let mut supervisor = booted("");
        supervisor.kernel().fail_in = Some(nth);
        kill(&mut supervisor, Service::Vfs, 1);
        while supervisor.reap() {}
        let untouched = supervisor.kernel().fail_in.take().is_some();
        let state = supervisor.status(Badge::new(Service::Posix, 1), Service::Vfs.id()).map(|status| status.state);
        assert!(matches!(state, Ok(State::Starting | State::GivenUp)), "operation {nth}: {state:?}");
        if untouched {
            return;
        }
    }
}

#[test]
fn supervisor_fits_its_stack_several_times() {
    let stack = (abi::BOOT_STACK_PAGES * PAGE_SIZE) as usize;
    assert!(size_of::<Supervisor<'_, ()>>() * 5 < stack, "{}", size_of::<Supervisor<'_, ()>>());
}
