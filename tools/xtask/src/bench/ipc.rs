//! `ipc`: what the kernel's operations cost a native server. The probe measures them from inside (`servers/probe/src/bench.rs`).
//!
//! Calls go to a server in another address space and back, by libsys' functions on one side and its receive loop on the other: what the
//! author of a server gets, less the decoding of a protocol. Linux's figures are of what its programs have in the place of these.

use super::counted::{self, Row};
use super::{Bench, Figure};
use crate::build::ImageOptions;
use crate::error::Result;

pub(super) const NAME: &str = "ipc";
/// The probe as bench, and the mirror that it calls.
const OVERLAY: &str = "servers/probe/services.toml";
const OPTIONS: [&str; 2] = ["probe=bench", "victim=mirror"];
/// The probe is more important than the script and never waits long, so it is through long before.
const SCRIPT: &str = "sleep 5\n";
pub(super) const ROWS: [Row; 15] = [
    ("call_reply_empty", Some(250.0)),
    ("call_reply_32", Some(290.0)),
    ("call_reply_64", Some(330.0)),
    ("call_reply_1k", None),
    ("native_null", Some(60.0)),
    ("switch_two", Some(450.0)),
    ("notification_ping_pong", Some(800.0)),
    ("fault_to_handler", Some(600.0)),
    ("map_one", Some(300.0)),
    ("unmap_one", Some(300.0)),
    ("map_batched", Some(80.0)),
    ("unmap_batched", Some(80.0)),
    ("mint", Some(200.0)),
    ("delete", Some(200.0)),
    ("revoke", Some(200.0)),
];

pub(super) fn measure(bench: &Bench<'_>) -> Result<Vec<Figure>> {
    let seen = counted::boot(bench.workspace, NAME, SCRIPT, image(bench, OPTIONS.map(String::from).to_vec()))?;
    Ok(counted::figures(bench, &ROWS, "bench: ", &seen.log))
}

/// Script and image of a guest that repeats the row `row` for ever.
pub(super) fn repeating(bench: &Bench<'_>, row: &str) -> (String, ImageOptions) {
    let options = OPTIONS.map(String::from).into_iter().chain([format!("repeat={row}")]);
    (SCRIPT.into(), image(bench, options.collect()))
}

fn image(bench: &Bench<'_>, option: Vec<String>) -> ImageOptions {
    ImageOptions { services: Some(bench.workspace.file(OVERLAY)), option, ..ImageOptions::default() }
}
