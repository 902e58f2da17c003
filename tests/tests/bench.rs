//! `cargo xtask bench`: a row that a guest measures, from its boot to the file by which other programs compare figures over time.

use std::fs;
use std::process::Stdio;

use serde_json::Value;
use tests::{Boot, xtask};

/// Its instructions are told, too, each by whose it is.
#[test]
fn row_that_a_guest_measures_is_printed_written_to_the_file_and_explained() {
    let path = Boot::new("bench").path("figures.json");
    let output = xtask()
        .args(["bench", "native_null", "--without-linux", "--phases", "--json"])
        .arg(&path)
        .stdin(Stdio::null())
        .output()
        .expect("xtask can be run");
    assert!(output.status.success(), "{output:?}");
    let figures: Value = serde_json::from_slice(&fs::read(&path).expect("the file was written")).expect("it is JSON");
    let value = figures[0]["value"].as_f64().expect("a number");
    assert_eq!(figures, serde_json::json!([{ "name": "native_null", "value": figures[0]["value"], "unit": "instr", "peer": null }]));
    // Into the kernel and out again: more than the instruction that does it, less than a call of another server.
    assert!(value > 1.0 && value < 1_000.0, "{value}");
    let table = String::from_utf8_lossy(&output.stdout);
    let row = table.lines().find_map(|line| line.strip_prefix("native_null ")).expect("the table has it");
    assert_eq!(row.split_whitespace().next().and_then(|text| text.parse().ok()), Some(value), "{table}");
    let (_, phases) = table.split_once("\nnative_null: ").expect("it is explained");
    let number =
        |after: &str| phases.split_once(after).and_then(|(_, rest)| rest.split_whitespace().next()?.trim_end_matches(',').parse::<f64>().ok());
    let parts = ["microkernel", "probe"].map(|who| number(who).expect("it takes part"));
    let traced = number("; ").expect("it was traced");
    assert!((parts.iter().sum::<f64>() - traced).abs() < 0.1 && (traced - value).abs() <= 2.0, "{table}");
    let phases = ["entry", "lookup", "transfer", "exit"].map(|phase| number(phase).expect("it has this phase"));
    assert!((phases.iter().sum::<f64>() - parts[0]).abs() < 0.1, "{table}");
    assert_eq!((number("swapgs"), number("CR3"), number("MSR")), (Some(2.0), None, None), "{table}");
}

/// One of the boots of `bench restart`; the command fails when a goal is missed.
#[test]
fn restarts_are_as_fast_as_promised() {
    let rows = ["restart_hang_p50_console", "restart_hang_p99_console", "restart_hang_found_console"];
    let output = xtask().args(["bench", rows[2], "--without-linux"]).stdin(Stdio::null()).output().expect("xtask can be run");
    assert!(output.status.success(), "{output:?}");
    let table = String::from_utf8_lossy(&output.stdout);
    assert_eq!(rows.map(|row| table.lines().filter(|line| line.starts_with(row)).count()), [0, 0, 1], "{table}");
}
