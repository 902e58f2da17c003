//! `cargo xtask run` as other programs drive it: streams, statuses, files, firmware.

use tests::Boot;

#[test]
fn script_has_its_own_streams_and_status() {
    let outcome = Boot::new("streams").script("echo out; echo err >&2; exit 42\n");
    assert_eq!((outcome.status, outcome.stdout.as_str(), outcome.stderr.as_str()), (42, "out\n", "err\n"), "{outcome}");
}

#[test]
fn script_that_a_signal_ends_has_status_128_and_its_number() {
    let outcome = Boot::new("signalled").script("echo before; kill -TERM $$; echo after\n");
    assert_eq!((outcome.status, outcome.stdout.as_str()), (128 + 15, "before\n"), "{outcome}");
}

#[test]
fn script_reads_nothing_and_its_output_is_a_pipe() {
    let outcome = Boot::new("stdin").script("cat; readlink /proc/self/fd/0; test -p /dev/stdout && echo pipe\n");
    outcome.expect_output("/dev/null\npipe\n");
}

#[test]
fn bytes_come_unchanged_and_in_order() {
    let outcome = Boot::new("bytes").script("seq 1 20000; printf 'a\\000b\\001\\r\\n'\n");
    let mut expected: String = (1..=20000).map(|number| format!("{number}\n")).collect();
    expected.push_str("a\0b\u{1}\r\n");
    assert!(outcome.status == 0 && outcome.stdout == expected, "{} bytes instead of {}", outcome.stdout.len(), expected.len());
}

#[test]
fn script_that_hangs_ends_with_status_124() {
    let outcome = Boot::new("hangs").within_seconds(20).script("echo started; sleep 1000\n");
    assert_eq!((outcome.status, outcome.stdout.as_str()), (124, "started\n"), "{outcome}");
}

#[test]
fn added_file_is_in_the_root_file_system() {
    let outcome = Boot::new("added").with("--add", "README.md:/srv/readme").script("head -n 1 /srv/readme\n");
    outcome.expect_output("# SynOS\n");
}

#[test]
fn added_file_over_16_mib_is_an_error_in_words() {
    let large = tests::root().join("target/tests/large");
    std::fs::create_dir_all(large.parent().expect("it has one")).expect("target can be written");
    std::fs::write(&large, vec![0; 17 << 20]).expect("target can be written");
    let outcome = Boot::new("large").with("--add", format!("{}:/large", large.display())).script("true\n");
    assert!(outcome.status == 125 && outcome.stderr.contains("16 MiB"), "{outcome}");
}

#[test]
fn uefi_boots_the_same_system() {
    let outcome = Boot::new("uefi").flag("--uefi").script("echo booted; uname -m\n");
    outcome.expect_output("booted\nx86_64\n");
    assert!(outcome.log.contains("kernel: 1 processors of which 1 is used"), "{outcome}");
}

#[test]
fn processors_and_interrupt_controllers_are_those_of_the_firmware() {
    let outcome = Boot::new("processors").with("--smp", "3").script("sleep 0.1; echo slept\n");
    outcome.expect_output("slept\n");
    assert!(outcome.log.contains("kernel: 3 processors of which 1 is used, local APIC at 0xfee00000, I/O APIC at 0xfec00000"), "{outcome}");
}

#[test]
fn unoptimised_system_boots_and_runs_a_script() {
    let outcome = Boot::new("debug").flag("--debug").within_seconds(400).script("echo unoptimised | cat; exit 3\n");
    assert_eq!((outcome.status, outcome.stdout.as_str()), (3, "unoptimised\n"), "{outcome}");
}

#[test]
fn wrong_manifest_is_a_build_error_with_its_line() {
    let outcome = Boot::new("manifest").services("[[service]]\nname = \"nobody\"\npriority = 1\nheap_pages = 1\n").script("true\n");
    assert!(outcome.status == 125 && outcome.stderr.contains("overlay.toml:2: there is no service called"), "{outcome}");
}
