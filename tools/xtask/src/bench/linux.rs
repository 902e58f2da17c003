//! `ipc_linux`: what the system's operations cost an unmodified Linux program, servers included. `tests/linux/bench.c` measures them from inside.
//!
//! Linux's figures are those of the same program.

use std::path::PathBuf;

use super::counted::{self, Row};
use super::{Bench, Figure};
use crate::build::ImageOptions;
use crate::c_programs;
use crate::error::Result;
use crate::process::Voice;
use crate::workspace::Workspace;

pub(super) const NAME: &str = "ipc_linux";
/// Programs of `tests/linux` that measure.
const PROGRAMS: [&str; 2] = ["bench", "nothing"];
/// What runs them, on both systems.
pub(super) const SCRIPT: &str = "exec /run/programs/bench /run/programs/nothing\n";
pub(super) const ROWS: [Row; 13] = [
    ("reflected_getppid", Some(450.0)),
    ("pread_1", Some(1_500.0)),
    ("pread_4k", Some(2_200.0)),
    ("open_close", Some(5_000.0)),
    ("stat", Some(3_000.0)),
    ("create_write_unlink", Some(15_000.0)),
    ("page_fault_anon", Some(1_600.0)),
    ("page_fault_around", Some(900.0)),
    ("pipe_ping_pong", Some(6_000.0)),
    ("thread_create_join", Some(15_000.0)),
    ("fork_exit_wait", Some(110_000.0)),
    ("vfork_exec_tiny", Some(100_000.0)),
    ("fork_exec_static", Some(400_000.0)),
];

pub(super) fn measure(bench: &Bench<'_>) -> Result<Vec<Figure>> {
    let seen = counted::boot(bench.workspace, NAME, SCRIPT, image(bench)?)?;
    Ok(counted::figures(bench, &ROWS, "", &seen.stdout))
}

/// Script and image of a guest that repeats the row `row` for ever.
pub(super) fn repeating(bench: &Bench<'_>, row: &str) -> Result<(String, ImageOptions)> {
    Ok((format!("{} repeat {row}\n", SCRIPT.trim_end()), image(bench)?))
}

fn image(bench: &Bench<'_>) -> Result<ImageOptions> {
    let added = programs(bench.workspace)?.map(|(name, path)| format!("{}:/run/programs/{name}", path.display()));
    Ok(ImageOptions { add: added.to_vec(), ..ImageOptions::default() })
}

/// The programs, compiled: name and file.
pub(super) fn programs(workspace: &Workspace) -> Result<[(&'static str, PathBuf); 2]> {
    c_programs::compile(workspace, &PROGRAMS, Voice::Plain)?;
    Ok(PROGRAMS.map(|name| (name, c_programs::program(workspace, name))))
}
