//! Threads of the fake machine.

use abi::{Frame, RequestNumber};

use crate::kernel::Ticks;
use crate::saved::Lane;

/// What a fake thread does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Runs {
    Stopped,
    Running,
    Calling,
}

/// A thread.
pub(crate) struct FakeThread {
    pub(crate) frame: Frame,
    pub(crate) runs: Runs,
    pub(crate) space: u32,
    pub(crate) request: RequestNumber,
    pub(crate) redeliver: bool,
    /// Its registers were set during its call: they are the answer, even if the reply never comes.
    pub(crate) frame_set: bool,
    /// What it is in is no call but a fault, whose instruction it stands at.
    pub(crate) is_faulting: bool,
    pub(crate) lane: Lane,
    pub(crate) ticks: Ticks,
    pub(crate) level: u64,
    pub(crate) processor: u64,
}

impl FakeThread {
    /// One that was just made.
    pub(super) const fn new() -> Self {
        Self {
            frame: Frame::new(),
            runs: Runs::Stopped,
            space: 0,
            request: RequestNumber(0),
            redeliver: false,
            frame_set: false,
            is_faulting: false,
            lane: 0,
            ticks: Ticks { user: 0, system: 0, calls: 0 },
            level: 0,
            processor: 0,
        }
    }
}
