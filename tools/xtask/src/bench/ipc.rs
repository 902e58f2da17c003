//! `ipc`: what the kernel's operations cost a native server. The probe measures them from inside (`servers/probe/src/bench.rs`).
//!
//! Calls go to a server in another address space and back, by libsys' functions on one side and its receive loop on the other: what the
//! author of a server gets, less the decoding of a protocol. The peers' figures are of hand-written loops around their system calls.

use super::Figure;
use super::counted::{self, Row};
use crate::build::ImageOptions;
use crate::error::Result;
use crate::workspace::Workspace;

pub(super) const NAME: &str = "ipc";
/// The probe as bench, and the mirror that it calls.
const OVERLAY: &str = "servers/probe/services.toml";
const OPTIONS: [&str; 2] = ["probe=bench", "victim=mirror"];
/// The probe is more important than the script and never waits long, so it is through long before.
const SCRIPT: &str = "sleep 5\n";
const ROWS: [Row; 14] = [
    ("call_reply_empty", &[("seL4", 434.0), ("NOVA", 286.0), ("Linux futex", 12_633.0)]),
    ("call_reply_32", &[("seL4", 482.0), ("NOVA", 316.0)]),
    ("call_reply_64", &[]),
    ("call_reply_1k", &[]),
    ("native_null", &[("seL4 poll", 250.0), ("NOVA", 59.0), ("Linux getppid", 337.0)]),
    ("switch_two", &[("seL4", 519.0), ("Linux", 4_469.0)]),
    ("notification_ping_pong", &[("seL4", 1_988.0), ("Linux eventfd", 10_790.0)]),
    ("map_one", &[("seL4", 783.0), ("NOVA delegate", 957.0)]),
    ("unmap_one", &[("seL4", 630.0)]),
    ("map_batched", &[]),
    ("unmap_batched", &[]),
    ("mint", &[("seL4", 908.0)]),
    ("delete", &[("seL4", 723.0)]),
    ("revoke", &[("seL4", 834.0)]),
];

pub(super) fn measure(workspace: &Workspace) -> Result<Vec<Figure>> {
    let options = ImageOptions { services: Some(workspace.file(OVERLAY)), option: OPTIONS.map(String::from).to_vec(), ..ImageOptions::default() };
    let seen = counted::boot(workspace, NAME, SCRIPT, options)?;
    Ok(counted::figures(&ROWS, "bench: ", &seen.log))
}
