//! What was done once is not done again. Nothing else may build meanwhile, so these tests have a program of their own.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tests::{Boot, root, xtask};

/// They do not run beside each other either.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn second_set_up_and_second_build_do_nothing() {
    let _alone = alone();
    for command in ["setup", "build"] {
        let run = || {
            let output = xtask().arg(command).stdin(Stdio::null()).output().expect("xtask can be run");
            assert!(output.status.success(), "{output:?}");
            assert!(output.stdout.is_empty(), "standard output is the guest's");
            String::from_utf8_lossy(&output.stderr).into_owned()
        };
        run();
        let second = run();
        let work: Vec<&str> = second.lines().filter(|line| line.contains("Compiling") || line.starts_with("setup: ")).collect();
        assert!(work.is_empty(), "the second {command} did: {work:?}");
    }
}

/// Every file below a folder, with when it was written; but for lists of dependencies, which cargo writes whether it builds or not.
fn files_of(folder: &Path) -> Vec<(PathBuf, SystemTime)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.flat_map(|entry| match entry.metadata() {
        Ok(about) if about.is_dir() => files_of(&entry.path()),
        Ok(_) if entry.path().extension().is_some_and(|end| end == "d") => Vec::new(),
        Ok(about) => vec![(entry.path(), about.modified().expect("the host has times"))],
        Err(_) => Vec::new(),
    });
    let mut files: Vec<_> = files.collect();
    files.sort();
    files
}

/// With `--script` nobody tells what was done, so that nothing was is seen by the files; and what would fetch finds no network.
#[test]
fn second_run_fetches_and_compiles_nothing() {
    let _alone = alone();
    let script = Boot::new("second").path("script.sh");
    fs::write(&script, "echo ran\n").expect("target can be written");
    let run = || {
        let nowhere = ["http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY"].map(|name| (name, "http://127.0.0.1:9"));
        let mut command = xtask();
        command.args(["run", "--timeout", "180", "--script"]).arg(&script).envs(nowhere).env("CARGO_NET_OFFLINE", "true");
        let output = command.stdin(Stdio::null()).output().expect("xtask can be run");
        assert!(output.status.success() && output.stdout == b"ran\n" && output.stderr.is_empty(), "{output:?}");
        ["setup", "x86_64-unknown-none", "x86_64-none-fpu", "x86_64-unknown-linux-gnu", "release"]
            .map(|folder| files_of(&root().join("target").join(folder)))
    };
    let (first, second) = (run(), run());
    let of_first: BTreeSet<_> = first.iter().flatten().collect();
    let written: Vec<_> = second.iter().flatten().filter(|file| !of_first.contains(file)).collect();
    assert!(of_first.len() > 20 && written.is_empty(), "the second run wrote {written:?}");
    let log = fs::read_to_string(root().join("target/run/log")).expect("the log is where the help says");
    assert!(log.contains("kernel: "), "{log}");
}
