//! `ipc_linux`: what the system's operations cost an unmodified Linux program, servers included. `tests/linux/bench.c` measures them from inside.
//!
//! The peer is Linux 6.1 with its default mitigations in the same emulator, measured with programs of the same shape.

use super::Figure;
use super::counted::{self, Row};
use crate::build::ImageOptions;
use crate::error::Result;
use crate::workspace::Workspace;

pub(super) const NAME: &str = "ipc_linux";
/// Programs of `tests/linux` that are added, and where.
const PROGRAMS: [&str; 2] = ["bench", "nothing"];
const SCRIPT: &str = "exec /usr/bin/bench /usr/bin/nothing\n";
const ROWS: [Row; 13] = [
    ("reflected_getppid", &[("Linux", 337.0)]),
    ("pread_1", &[("Linux", 1_439.0)]),
    ("pread_4k", &[("Linux", 1_903.0)]),
    ("open_close", &[("Linux", 5_830.0)]),
    ("stat", &[("Linux", 3_563.0)]),
    ("create_write_unlink", &[("Linux", 22_821.0)]),
    ("page_fault_anon", &[("Linux", 2_776.0), ("seL4", 4_621.0)]),
    ("page_fault_around", &[("Linux", 2_776.0)]),
    ("pipe_ping_pong", &[("Linux", 12_952.0)]),
    ("thread_create_join", &[("seL4", 10_555.0), ("Linux", 36_141.0)]),
    ("fork_exit_wait", &[("Linux", 221_273.0)]),
    ("vfork_exec_tiny", &[("Linux", 132_921.0)]),
    ("fork_exec_static", &[("Linux", 594_234.0)]),
];

pub(super) fn measure(workspace: &Workspace) -> Result<Vec<Figure>> {
    let add = PROGRAMS.map(|program| format!("{}:/usr/bin/{program}", workspace.built("linux").join(program).display()));
    let seen = counted::boot(workspace, NAME, SCRIPT, ImageOptions { add: add.to_vec(), ..ImageOptions::default() })?;
    Ok(counted::figures(&ROWS, "", &seen.stdout))
}
