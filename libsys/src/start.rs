//! What the supervisor told this instance when it started it.
#![allow(unsafe_code, reason = "reads the start pages")]

use abi::PAGE_SIZE;
use protocols::service::Service;
use protocols::supervisor::{Client, StartInfo};
use protocols::wire;

use crate::layout::{START_INFO, START_INFO_PAGES};
use crate::once::Once;
use crate::{Peer, next_number};

static INFO: Once<StartInfo> = Once::new();

/// The start information.
///
/// # Panics
/// Before [`crate::entry!`]'s function runs, and on the host.
#[must_use]
pub fn info() -> &'static StartInfo {
    match try_info() {
        Some(info) => info,
        None => panic!("no start information: not started by the supervisor"),
    }
}

/// The start information, if this process was given one: the first process was not.
#[must_use]
pub fn try_info() -> Option<&'static StartInfo> {
    INFO.get()
}

/// Tells the supervisor that this instance serves from now on: what comes after this it starts next.
///
/// # Panics
/// When the supervisor does not take it: nobody would wait for an instance that is not up.
pub fn up() {
    if let Err(error) = Client(Peer::to(Service::Supervisor)).up(next_number()) {
        panic!("cannot come up: {error:?}");
    }
}

/// Reads the start pages. Called once, by thread 0, before anything else runs.
pub(crate) fn read() {
    const LENGTH_BYTES: usize = size_of::<u32>();
    const ROOM: usize = (START_INFO_PAGES * PAGE_SIZE) as usize;
    // SAFETY: the supervisor maps these pages, read only and for the life of the instance, before it starts the first thread.
    let pages = unsafe { core::slice::from_raw_parts(START_INFO as *const u8, ROOM) };
    let (length, rest) = pages.split_at(LENGTH_BYTES);
    let length = length.try_into().map_or(0, u32::from_le_bytes) as usize;
    match rest.get(..length).map(wire::decode::<StartInfo>) {
        Some(Ok(info)) => INFO.set(info),
        _ => panic!("the start information is damaged"),
    }
}
