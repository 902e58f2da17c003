//! `cargo xtask bench` as other programs drive it: its table, its file, its status. A bench that boots is in `tests/tests/bench.rs`.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

fn bench(arguments: &[&str], file: &PathBuf) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask")).arg("bench").args(arguments).arg("--json").arg(file).output().expect("xtask can be run")
}

fn file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("synos-bench-{name}-{}", std::process::id()))
}

#[test]
fn figures_are_printed_and_written_to_the_file() {
    let path = file("lines");
    let output = bench(&["kernel_lines"], &path);
    assert!(output.status.success(), "{output:?}");
    let figures: serde_json::Value = serde_json::from_slice(&fs::read(&path).expect("the file was written")).expect("it is JSON");
    fs::remove_file(&path).expect("it is there");
    let lines = figures[0]["value"].as_u64().expect("a number");
    assert_eq!(figures, serde_json::json!([{ "name": "kernel_lines", "value": lines, "unit": "lines", "peer": null }]));
    let table = String::from_utf8(output.stdout).expect("it is text");
    let row: Vec<&str> = table.lines().nth(1).expect("a row below the head").split_whitespace().collect();
    assert_eq!(row[..4], ["kernel_lines", &lines.to_string(), "lines", "-"], "{table}");
}

#[test]
fn bench_that_there_is_not_is_an_error_and_leaves_no_file() {
    let path = file("none");
    let output = bench(&["no_such_row"], &path);
    assert!(!output.status.success() && output.stdout.is_empty() && !path.exists(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("no such bench; there are boot_to_prompt, "), "{output:?}");
}
