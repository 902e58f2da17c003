//! Request numbers: what stays the same when a request is delivered again.
//!
//! A server that dies with a request in hand gets it again, under the same number, after its restart; its duplicate check compares numbers. A
//! request that a server makes on behalf of another is numbered *from* that one (same lane and request, next step), never from a counter of its
//! own: a re-run then asks with the same numbers, and what was done stays done.

/// Service (8 bits), lane (16), request (32), step (8), from the top.
///
/// A lane is a caller's thread slot: it has one call in flight, so a server keeps one result for each lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestNumber(pub u64);

impl RequestNumber {
    /// Step under which the faults of a lane arrive; calls made on their behalf use the steps below it, down to [`Self::FIRST_FAULT_STEP`].
    pub const FAULT_STEP: u8 = 0xff;
    /// First step of calls made while a fault is handled.
    pub const FIRST_FAULT_STEP: u8 = 0xc0;

    /// Puts a number together.
    #[must_use]
    pub const fn new(service: u8, lane: u16, request: u32, step: u8) -> Self {
        Self((service as u64) << 56 | (lane as u64) << 40 | (request as u64) << 8 | step as u64)
    }

    /// The service that the original request came from.
    #[must_use]
    pub const fn service(self) -> u8 {
        (self.0 >> 56) as u8
    }

    /// The lane within the service.
    #[must_use]
    pub const fn lane(self) -> u16 {
        (self.0 >> 40) as u16
    }

    /// The request's count within the lane.
    #[must_use]
    pub const fn request(self) -> u32 {
        (self.0 >> 8) as u32
    }

    /// The step within the request.
    #[must_use]
    pub const fn step(self) -> u8 {
        self.0 as u8
    }

    /// The same request at another step.
    #[must_use]
    pub const fn with_step(self, step: u8) -> Self {
        Self(self.0 & !0xff | step as u64)
    }

    /// The number of the lane's next request, at step 0. The count wraps within its 32 bits.
    #[must_use]
    pub const fn next(self) -> Self {
        Self::new(self.service(), self.lane(), self.request().wrapping_add(1), 0)
    }

    /// The part that orders requests of one lane: request and step. `None` unless both numbers are of the same lane.
    #[must_use]
    pub const fn is_after(self, other: Self) -> Option<bool> {
        if self.service() != other.service() || self.lane() != other.lane() {
            return None;
        }
        let distance = self.request().wrapping_sub(other.request()) as i32;
        Some(distance > 0 || distance == 0 && self.step() > other.step())
    }
}
