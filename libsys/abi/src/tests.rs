//! The encodings, checked against each other.

use super::{Control, Error, Label, Operation, RequestNumber};

#[test]
fn control_round_trips_for_every_operation() {
    for operation in Operation::SLOW.into_iter().chain([Operation::Call, Operation::ReplyReceive]) {
        let control = Control::new(operation, 0x12_3456);
        assert_eq!(control.operation(), Some(operation));
        assert_eq!(control.handle(), 0x12_3456);
    }
    assert_eq!(Control(0xff00_0000).operation(), None);
}

#[test]
fn slow_operations_have_the_top_bit() {
    assert!(Operation::SLOW.iter().all(|operation| *operation as u32 & 0x80 != 0));
}

#[test]
fn label_fields_do_not_overlap() {
    let label = Label::new(3584).with_caps(4).with_leases(4).with_kind(0xff);
    assert_eq!((label.bytes(), label.caps(), label.leases(), label.kind()), (3584, 4, 4, 0xff));
}

#[test]
fn error_status_round_trips() {
    assert_eq!(Error::check(0), Ok(()));
    assert_eq!(Error::check(Error::NeedsPage.to_status()), Err(Error::NeedsPage));
}

#[test]
fn request_numbers_order_within_a_lane_and_across_the_wrap() {
    let first = RequestNumber::new(3, 7, u32::MAX, 0);
    let second = first.next();
    assert_eq!((second.service(), second.lane(), second.request(), second.step()), (3, 7, 0, 0));
    assert_eq!(second.is_after(first), Some(true));
    assert_eq!(first.is_after(second), Some(false));
    assert_eq!(first.with_step(2).is_after(first), Some(true));
    assert_eq!(first.is_after(RequestNumber::new(3, 8, 0, 0)), None);
}
