//! `cargo xtask run` as other programs drive it: streams, statuses, files, firmware, options; and what the README promises of it.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};
use tests::gdb::Debugger;
use tests::{Boot, root, xtask};

/// Debian's busybox, as set-up unpacks it.
const BUSYBOX: &str = "target/setup/busybox/tree/bin/busybox";
/// The kernel that is booted, with its symbols.
const KERNEL: &str = "target/x86_64-unknown-none/release/microkernel";

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

#[test]
fn machine_is_the_one_that_was_asked_for() {
    let boot = Boot::new("machine");
    let disks = [1u8, 2].map(|number| (boot.path(&format!("disk{number}")), vec![number; 1 << 20]));
    for (path, bytes) in &disks {
        fs::write(path, bytes).expect("target can be written");
    }
    let boot = disks.iter().fold(boot, |boot, (path, _)| boot.with("--disk", path.to_string_lossy()));
    let boot = boot.with("--smp", "2").with("--memory", "256M").with("--accel", "tcg").flag("--icount").with("--busybox", BUSYBOX);
    let outcome = boot.script("awk '/MemTotal/ { print ($2 > 128 * 1024 && $2 <= 256 * 1024) }' /proc/meminfo; sha256sum < /bin/busybox\n");
    let sum = std::process::Command::new("sha256sum").stdin(fs::File::open(root().join(BUSYBOX)).expect("set-up ran")).output();
    let sum = String::from_utf8(sum.expect("the host has sha256sum").stdout).expect("it is text");
    outcome.expect_output(&format!("1\n{sum}"));
    for (path, bytes) in &disks {
        assert!(fs::read(path).is_ok_and(|now| now == *bytes), "{} was changed", path.display());
    }
}

#[test]
fn disks_are_attached_and_the_exit_key_is_that_of_the_help() {
    let boot = Boot::new("disks");
    let disk = boot.path("disk");
    fs::write(&disk, [0; 1 << 16]).expect("target can be written");
    let mut session = boot.with("--disk", disk.to_string_lossy()).session();
    session.expect("# ");
    // Ctrl-A C: QEMU's monitor.
    session.send("\u{1}c");
    session.expect("(qemu)");
    session.send("info block\n");
    session.expect("disk0");
    session.expect("virtio");
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_built() {
    let text = Boot::new("text").with("--busybox", "README.md").script("true\n");
    assert!(text.status == 125 && text.stderr.contains("not a 64-bit ELF program"), "{text}");
    let disk = Boot::new("no-disk").with("--disk", "/there/is/no/disk").script("true\n");
    assert!(disk.status == 125 && disk.stderr.contains("/there/is/no/disk"), "{disk}");
    let counted = Boot::new("icount-kvm").with("--accel", "kvm").flag("--icount").script("true\n");
    assert!(counted.status == 125 && counted.stderr.contains("--icount"), "{counted}");
    let kvm = Boot::new("kvm").with("--accel", "kvm").script("echo booted\n");
    let refused = kvm.status == 125 && kvm.stderr.contains("kvm") && kvm.stderr.contains("--accel tcg") && kvm.stderr.lines().count() == 1;
    assert!(refused || kvm.stdout == "booted\n", "{kvm}");
}

#[test]
fn debugger_finds_the_kernel_where_the_log_says() {
    let mut session = Boot::new("gdb").flag("--gdb").session();
    let mut debugger = Debugger::connect(Duration::from_secs(120)).expect("QEMU waits for a debugger");
    let stopped = debugger.ask("?").expect("an answer");
    assert!(stopped.starts_with("T05") || stopped.starts_with("S05"), "{stopped}");
    assert_eq!(session.log(), "", "nothing runs before the debugger says so");
    debugger.send("c").expect("it is sent");
    session.expect("# ");
    let log = session.log();
    let base = log.split_once("loaded at 0x").and_then(|(_, rest)| u64::from_str_radix(rest.lines().next()?.trim(), 16).ok());
    let base = base.unwrap_or_else(|| panic!("no address in {log}"));
    debugger.interrupt().expect("it stops");
    let elf = fs::read(root().join(KERNEL)).expect("the kernel was built");
    let file = object::File::parse(&*elf).expect("the kernel is ELF");
    let function = file.symbols().find(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() >= 16).expect("it has functions");
    let section = file.section_by_index(function.section_index().expect("a function lies in a section")).expect("it is there");
    let code = section.data_range(function.address(), 16).ok().flatten().expect("it has bytes");
    assert_eq!(debugger.memory(base + function.address(), 16).expect("the kernel is mapped"), code, "{:?}", function.name());
    debugger.send("c").expect("it is sent");
    session.send("echo still $((40 + 2))\n");
    session.expect("still 42");
}

#[test]
fn second_set_up_and_second_build_do_nothing() {
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

/// The commands of the README's tour, with what it says that one sees.
#[test]
fn readme_tells_the_truth_about_deaths() {
    let readme = fs::read_to_string(root().join("README.md")).expect("a README");
    let tour = readme.split_once("## Five minutes").expect("a tour").1.split_once("\n## ").expect("it ends").0;
    let options: Vec<&str> = tour.split("--option ").skip(1).filter_map(|rest| rest.split('`').next()).collect();
    assert!(options.len() >= 2, "{options:?}");
    let typed = tour.split('`').find(|text| text.starts_with("for i in")).expect("the commands to type");
    for option in options {
        let victim = option.strip_prefix("fail=").and_then(|rest| rest.split(':').next()).expect("a death");
        let outcome = Boot::new("readme").with("--option", option).script(&format!("{typed}\n"));
        outcome.expect_output("line 1\nline 2\nline 3\nline 4\nline 5\n");
        assert_eq!(outcome.deaths(victim), 1, "{option}: {outcome}");
        assert!(outcome.log.contains(&format!("{victim} up, instance 2")), "{option}: {outcome}");
    }
}
