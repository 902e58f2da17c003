//! Instances that are no longer what their images say.

use abi::ThreadSetting;
use abi::boot::Image;
use libsys::layout;
use protocols::crash::Cause;
use protocols::service::{Badge, Service};
use protocols::supervisor::Service as _;

use super::{HZ, booted, facts, image_of, records, setting, specs, start_info, up};
use crate::fake::Fake;
use crate::kernel::Counters;
use crate::life::Supervisor;
use crate::policy::STILLBORN;

/// A place in the second page of text, and one behind what the image has for it.
const TEXT: u64 = layout::IMAGE + 4500;
const PADDING: u64 = layout::IMAGE + 8000;

fn flip(supervisor: &mut Supervisor<'_, Fake>, service: Service, address: u64) {
    let thread = supervisor.kernel().running(service)[0];
    let space = setting(supervisor, thread, ThreadSetting::Space).0 as u32;
    *supervisor.kernel().memory.entry((space, address)).or_insert(0) ^= 4;
}

/// The service's first thread receives another request.
fn work(supervisor: &mut Supervisor<'_, Fake>, service: Service, received_at: u64) {
    let thread = supervisor.kernel().running(service)[0];
    supervisor.kernel().counters.insert(thread, Counters { received_at, ..Counters::default() });
}

/// The next sample, and all of its pass.
fn sample(supervisor: &mut Supervisor<'_, Fake>) {
    let due = supervisor.watch();
    supervisor.kernel().ticks = due;
    supervisor.watch();
    while supervisor.scrub() {}
}

#[test]
fn altered_instance_that_works_ends_and_nobodys_request_is_blamed() {
    for address in [TEXT, PADDING, layout::IMAGE] {
        let mut supervisor = booted("");
        work(&mut supervisor, Service::Vfs, 7);
        sample(&mut supervisor);
        assert_eq!(start_info(&mut supervisor, Service::Vfs).instance, 1);
        flip(&mut supervisor, Service::Vfs, address);
        let thread = supervisor.kernel().running(Service::Vfs)[0];
        supervisor.kernel().in_hand.insert(thread, 0x77);
        work(&mut supervisor, Service::Vfs, 8);
        sample(&mut supervisor);
        let crash = supervisor.record(0).expect("a record");
        assert_eq!((crash.cause, crash.thread, crash.request), (Cause::Altered { address }, None, None));
        assert_eq!(start_info(&mut supervisor, Service::Vfs).instance, 2);
        assert_eq!(start_info(&mut supervisor, Service::Posix).instance, 1);
        up(&mut supervisor, Service::Vfs, 2);
        work(&mut supervisor, Service::Vfs, 9);
        sample(&mut supervisor);
        assert_eq!(start_info(&mut supervisor, Service::Vfs).instance, 2, "its successor is as in the image");
    }
}

#[test]
fn data_may_change() {
    let mut supervisor = booted("");
    flip(&mut supervisor, Service::Vfs, layout::IMAGE + 0x100_0000);
    work(&mut supervisor, Service::Vfs, 7);
    sample(&mut supervisor);
    assert_eq!(start_info(&mut supervisor, Service::Vfs).instance, 1);
}

#[test]
fn instance_that_does_nothing_is_left_alone_until_it_works() {
    let mut supervisor = booted("");
    sample(&mut supervisor);
    flip(&mut supervisor, Service::Vfs, TEXT);
    for _ in 0..3 {
        sample(&mut supervisor);
        let before = supervisor.kernel().ticks;
        supervisor.begin_pass();
        assert!(!supervisor.scrub());
        assert_eq!(supervisor.kernel().ticks, before, "a quiet machine does nothing");
    }
    assert_eq!(start_info(&mut supervisor, Service::Vfs).instance, 1);
    work(&mut supervisor, Service::Vfs, 7);
    sample(&mut supervisor);
    assert_eq!(start_info(&mut supervisor, Service::Vfs).instance, 2);
}

#[test]
fn pass_goes_on_in_slices_and_ends_with_an_instance_that_died_meanwhile() {
    let mut all = specs();
    for spec in &mut all {
        spec.image = Image::open(image_of(500)).expect("an image");
    }
    let mut supervisor = Supervisor::set_up(Fake::default(), &[100_000], all, facts(""), records()).expect("set up");
    supervisor.start_due();
    up(&mut supervisor, Service::Memory, 1);
    up(&mut supervisor, Service::Vfs, 1);
    up(&mut supervisor, Service::Posix, 1);
    work(&mut supervisor, Service::Vfs, 7);
    supervisor.kernel().ticks += 6 * HZ;
    supervisor.watch();
    let start = supervisor.kernel().ticks;
    assert!(supervisor.scrub());
    let slice_us = (supervisor.kernel().ticks - start) * 1_000_000 / HZ;
    assert!((200..300).contains(&slice_us), "{slice_us}");
    supervisor.died(Badge::new(Service::Vfs, 1), None, Cause::Killed);
    let start = supervisor.kernel().ticks;
    assert!(!supervisor.scrub(), "nobody else has worked");
    assert!(supervisor.kernel().ticks - start < HZ / 1_000_000 * 10);
}

/// The service's first thread dies with a request in hand, or without one.
fn die(supervisor: &mut Supervisor<'_, Fake>, service: Service, instance: u32, request: Option<u64>) {
    let thread = supervisor.kernel().running(service)[0];
    if let Some(request) = request {
        supervisor.kernel().in_hand.insert(thread, request);
    }
    supervisor.died(Badge::new(service, instance), Some(0), Cause::PageFault { address: 1, access: 0, instruction: 2 });
    while supervisor.reap() {}
}

fn instance(supervisor: &mut Supervisor<'_, Fake>, service: Service) -> u32 {
    start_info(supervisor, service).instance
}

#[test]
fn request_is_not_refused_for_who_died_of_an_altered_one() {
    let mut supervisor = booted("");
    for posix in 1..=2 {
        flip(&mut supervisor, Service::Vfs, TEXT);
        die(&mut supervisor, Service::Posix, posix, Some(0x77));
        up(&mut supervisor, Service::Posix, posix + 1);
    }
    // The first death had no consequences, so nobody was looked at; flipped twice, it is as it was.
    assert_eq!((instance(&mut supervisor, Service::Vfs), supervisor.kernel().refused.clone()), (1, vec![0x77]));
    flip(&mut supervisor, Service::Vfs, TEXT);
    for posix in 3..=4 {
        die(&mut supervisor, Service::Posix, posix, Some(0x78));
        up(&mut supervisor, Service::Posix, posix + 1);
    }
    assert_eq!((instance(&mut supervisor, Service::Vfs), supervisor.kernel().refused.clone()), (2, vec![0x77]));
    up(&mut supervisor, Service::Vfs, 2);
    let causes = [0, 1].map(|nth| supervisor.record(nth).expect("a record").cause);
    assert_eq!(causes[1], Cause::Altered { address: TEXT });
    die(&mut supervisor, Service::Posix, 5, Some(0x78));
    assert_eq!(supervisor.kernel().refused, [0x77, 0x78], "it died of that request itself");
}

#[test]
fn service_is_not_given_up_for_deaths_of_an_altered_one() {
    let mut supervisor = booted("");
    flip(&mut supervisor, Service::Vfs, TEXT);
    die(&mut supervisor, Service::Posix, 1, None);
    for posix in 2..=STILLBORN + 1 {
        die(&mut supervisor, Service::Posix, posix, None);
    }
    assert_eq!(instance(&mut supervisor, Service::Vfs), 2);
    assert_eq!(instance(&mut supervisor, Service::Posix), STILLBORN + 2);
}

#[test]
fn altered_one_that_dies_is_blamed_itself() {
    let mut supervisor = booted("");
    die(&mut supervisor, Service::Posix, 1, Some(0x77));
    up(&mut supervisor, Service::Posix, 2);
    flip(&mut supervisor, Service::Posix, TEXT);
    die(&mut supervisor, Service::Posix, 2, Some(0x77));
    assert!(supervisor.kernel().refused.is_empty());
    assert_eq!(supervisor.record(0).map(|crash| crash.cause), Ok(Cause::Altered { address: TEXT }));
    assert_eq!(instance(&mut supervisor, Service::Posix), 3);
}
