//! Vault slots.

use super::{LANES, Lane, MAPS, MapIndex};

/// First slot for bought memory.
pub const CHUNK: u32 = 16;
/// Slots for bought memory.
pub const CHUNKS: u32 = 240;
/// The region in which new pages are prepared.
pub const STAGE: u32 = 8;
/// The region of [`crate::vdso`].
pub const VDSO: u32 = 9;
const SPACE: u32 = 256;
const THREAD: u32 = SPACE + MAPS as u32;
/// All of them: `keeps` in services.toml must be at least this.
pub const END: u32 = THREAD + LANES as u32;

/// Slot of a map's AddressSpace.
#[must_use]
pub const fn space(map: MapIndex) -> u32 {
    SPACE + map as u32
}

/// Slot of a lane's Thread.
#[must_use]
pub const fn thread(lane: Lane) -> u32 {
    THREAD + lane as u32
}
