//! `cargo xtask run` as other programs drive it: streams, statuses, files, firmware, options; and what the README promises of it.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};
use tests::gdb::Debugged;
use tests::{Boot, Outcome, root};

/// The kernel that is booted, with its symbols.
const KERNEL: &str = "target/x86_64-unknown-none/release/microkernel";

/// Debian's busybox, as set-up unpacks it: where its release has it.
fn busybox() -> PathBuf {
    let tree = root().join("target/setup/busybox/tree");
    ["bin/busybox", "usr/bin/busybox"].map(|place| tree.join(place)).into_iter().find(|path| path.is_file()).expect("set-up ran")
}

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

/// All bytes there are, on both streams: none is a character of its own in the encoding of a terminal, nor the end of anything.
#[test]
fn bytes_of_both_streams_are_those_of_the_script() {
    let all = "i=0; while [ $i -lt 256 ]; do printf \"\\\\$(printf %03o $i)\"; i=$((i + 1)); done";
    let outcome = Boot::new("binary").script(&format!("bytes() {{ {all}; }}\nbytes >&2\nbytes; bytes\nprintf '\\377\\000' >&2\n"));
    let expected: Vec<u8> = (0..=255).collect();
    assert_eq!(outcome.status, 0, "{outcome}");
    assert!(outcome.bytes[0] == expected.repeat(2), "standard output: {:?}", outcome.bytes[0]);
    assert!(outcome.bytes[1] == [&expected[..], &[0xff, 0]].concat(), "standard error: {:?}", outcome.bytes[1]);
}

/// Under load a machine may not get to the script in the time that it has; then it is given more, until the hang has begun. A line a second: of a machine
/// that lives for N seconds nobody sees more than N, which is how one that was left alone would be told.
#[test]
fn script_that_hangs_ends_with_status_124_when_its_time_is_over() {
    let hang = |seconds| {
        let boot = Boot::new("hangs").with("--accel", "tcg").within_seconds(seconds);
        let outcome = boot.script("echo started; while sleep 1; do echo second; done\n");
        assert_eq!(outcome.status, 124, "{outcome}");
        assert!(outcome.stderr.contains("killed after its time was over"), "{outcome}");
        (seconds, outcome.stdout)
    };
    let (seconds, shown) = [20, 60, 180, 540].into_iter().map(hang).find(|(_, shown)| !shown.is_empty()).expect("a machine that gets to its script");
    assert!(shown.starts_with("started\n") && shown.lines().count() <= seconds as usize, "{seconds} seconds: {shown}");
}

/// Without a script there is no other time-out than the one that was asked for.
#[test]
fn session_ends_with_status_124_when_its_time_is_over() {
    let mut session = Boot::new("session-time").within_seconds(20).session_watched_for(600);
    assert_eq!(session.ended(), 124);
    assert!(session.errors().contains("killed after its time was over"), "{}", session.errors());
}

#[test]
fn added_files_and_folders_are_in_the_root_file_system() {
    let boot = Boot::new("added").with("--add", "README.md:/srv/readme").with("--add", "tests/scripts:/srv/deep/scripts");
    let outcome = boot.script("head -n 1 /srv/readme; ls /srv/deep/scripts | wc -l; cat /srv/deep/scripts/* | sha256sum\n");
    let mut scripts: Vec<_> = fs::read_dir(root().join("tests/scripts")).expect("a folder").map(|entry| entry.expect("a file").path()).collect();
    scripts.sort();
    let sum = std::process::Command::new("sh").args(["-c", "cat \"$@\" | sha256sum", "sh"]).args(&scripts).output().expect("the host has sha256sum");
    outcome.expect_output(&format!("# SynOS\n{}\n{}", scripts.len(), String::from_utf8_lossy(&sum.stdout)));
}

#[test]
fn log_is_shown_on_standard_error_for_who_asks() {
    let outcome = Boot::new("log").flag("--log").script("echo out; echo err >&2\n");
    outcome.expect_output("out\n");
    assert!(outcome.stderr.lines().any(|line| line == "err"), "{outcome}");
    let shown: Vec<&str> = outcome.stderr.lines().filter(|line| *line != "err").collect();
    let log: Vec<&str> = outcome.log.lines().collect();
    assert!(log.len() > 5 && shown == log, "shown: {shown:#?}, log: {log:#?}");
}

#[test]
fn added_file_over_16_mib_is_an_error_in_words() {
    let large = tests::root().join("target/tests/large");
    std::fs::create_dir_all(large.parent().expect("it has one")).expect("target can be written");
    std::fs::write(&large, vec![0; 17 << 20]).expect("target can be written");
    let outcome = Boot::new("large").with("--add", format!("{}:/large", large.display())).script("true\n");
    assert!(outcome.status == 125 && outcome.stderr.contains("16 MiB"), "{outcome}");
}

/// Where the firmware left its tables. A BIOS has their root below 1 MiB, where it is searched for; UEFI says where it is (ACPI 6.5, 5.2.5).
fn acpi_root(outcome: &Outcome) -> u64 {
    let (_, rest) = outcome.log.split_once("ACPI tables from 0x").unwrap_or_else(|| panic!("{outcome}"));
    u64::from_str_radix(rest.lines().next().unwrap_or_default(), 16).expect("a number")
}

#[test]
fn uefi_boots_the_same_system() {
    const MEBIBYTE: u64 = 1 << 20;
    let outcome = Boot::new("uefi").flag("--uefi").with("--smp", "1").script("echo booted; uname -m\n");
    outcome.expect_output("booted\nx86_64\n");
    assert!(outcome.log.contains("kernel: 1 of 1 processors run threads"), "{outcome}");
    assert!(acpi_root(&outcome) >= MEBIBYTE, "not by UEFI: {outcome}");
    let bios = Boot::new("bios").script("echo booted; uname -m\n");
    bios.expect_output("booted\nx86_64\n");
    assert!((1..MEBIBYTE).contains(&acpi_root(&bios)), "not by a BIOS: {bios}");
}

#[test]
fn processors_and_interrupt_controllers_are_those_of_the_firmware() {
    let outcome = Boot::new("processors").with("--smp", "3").script("sleep 0.1; echo slept\n");
    outcome.expect_output("slept\n");
    assert!(outcome.log.contains("kernel: local APIC at 0xfee00000, I/O APIC at 0xfec00000"), "{outcome}");
    assert!(outcome.log.contains("kernel: 3 of 3 processors run threads"), "{outcome}");
}

/// Each keeps the first one's CR0, CR4 and EFER, or the kernel panics.
#[test]
fn all_processors_are_started_and_protected_by_either_firmware() {
    let uefi = Boot::new("uefi-processors").with("--smp", "8").flag("--uefi").script("echo started\n");
    uefi.expect_output("started\n");
    assert!(uefi.log.contains("kernel: 8 of 8 processors run threads"), "{uefi}");
    // More memory above 4 GiB than below, so the kernel's own tables lie there.
    let many = Boot::new("many-processors").with("--smp", "10").with("--memory", "8G").script("echo started\n");
    many.expect_output("started\n");
    assert!(many.log.contains("kernel: 8 of 10 processors run threads"), "{many}");
}

#[test]
fn unoptimised_system_boots_and_runs_a_script() {
    let outcome = Boot::new("debug").flag("--debug").within_seconds(400).script("echo unoptimised | cat; exit 3\n");
    assert_eq!((outcome.status, outcome.stdout.as_str()), (3, "unoptimised\n"), "{outcome}");
    assert!(outcome.log.starts_with("kernel: SynOS") && first_line(&outcome.log).contains(", not optimised, loaded at 0x"), "{outcome}");
    let optimised = Boot::new("optimised").script("exit 3\n");
    assert!(optimised.status == 3 && !first_line(&optimised.log).contains("not optimised"), "{optimised}");
}

fn first_line(log: &str) -> &str {
    log.lines().next().unwrap_or_default()
}

/// Time that nobody computes in is passed over, so an hour of the guest's is over at once; by the host's clock it would outlast the time-out.
#[test]
fn counted_instructions_make_the_guests_time() {
    let outcome =
        Boot::new("icount").flag("--icount").with("--smp", "1").script("from=$(date +%s); sleep 3600; echo $(($(date +%s) - from >= 3600))\n");
    outcome.expect_output("1\n");
}

/// QEMU's translator names itself in the model of its processor; with the host's virtualisation the name is that of the host's own.
#[test]
fn accelerator_is_the_one_that_was_asked_for() {
    let by = |accel| Boot::new("accel").with("--accel", accel).script("grep -c '^model name.*TCG' /proc/cpuinfo\n");
    let [tcg, kvm, auto] = ["tcg", "kvm", "auto"].map(by);
    assert_ne!(tcg.stdout, "0\n", "{tcg}");
    assert_eq!(tcg.status, 0, "{tcg}");
    if kvm.status == 125 {
        assert!(kvm.stderr.contains("--accel kvm"), "{kvm}");
        assert_eq!(auto.stdout, tcg.stdout, "{auto}");
    } else {
        assert_eq!((kvm.stdout.as_str(), auto.stdout.as_str()), ("0\n", "0\n"), "{kvm}\n{auto}");
    }
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
    // Another one than Debian's, by a byte that nobody reads.
    let own = boot.path("busybox");
    fs::copy(busybox(), &own).expect("target can be written");
    fs::File::options().append(true).open(&own).and_then(|mut file| file.write_all(&[0])).expect("it is ours");
    let boot = disks.iter().fold(boot, |boot, (path, _)| boot.with("--disk", path.to_string_lossy()));
    let boot = boot.with("--smp", "2").with("--memory", "256M").with("--accel", "tcg").flag("--icount").with("--busybox", own.to_string_lossy());
    let outcome = boot.script("awk '/MemTotal/ { print ($2 > 128 * 1024 && $2 <= 256 * 1024) }' /proc/meminfo; sha256sum < /bin/busybox\n");
    let sum = std::process::Command::new("sha256sum").stdin(fs::File::open(&own).expect("it is there")).output();
    let sum = String::from_utf8(sum.expect("the host has sha256sum").stdout).expect("it is text");
    outcome.expect_output(&format!("1\n{sum}"));
    assert!(outcome.log.contains("2 of 2 processors run threads"), "{outcome}");
    for (path, bytes) in &disks {
        assert!(fs::read(path).is_ok_and(|now| now == *bytes), "{} was changed", path.display());
    }
}

#[test]
fn disks_are_attached_and_the_exit_key_is_that_of_the_help() {
    let boot = Boot::new("disks");
    let disks = ["first", "second"].map(|name| boot.path(name));
    for disk in &disks {
        fs::write(disk, [0; 1 << 16]).expect("target can be written");
    }
    let mut session = disks.iter().fold(boot, |boot, disk| boot.with("--disk", disk.to_string_lossy())).session();
    session.expect("# ");
    // Ctrl-A C: QEMU's monitor.
    session.send("\u{1}c");
    session.expect("(qemu)");
    session.send("info block\n");
    for (index, disk) in disks.iter().enumerate() {
        session.expect(&format!("disk{index}"));
        session.expect(&disk.to_string_lossy());
        session.expect("virtio");
    }
    assert!(session.errors().contains("Ctrl-A X ends QEMU, Ctrl-A C switches to its monitor"), "{}", session.errors());
    session.send("\u{1}x");
    assert_eq!(session.ended(), 0);
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_built() {
    for wrong in [["--no-such-option", "1"], ["--smp", "many"], ["--accel", "vax"], ["--add", "no-colon"], ["--timeout", "soon"]] {
        let outcome = Boot::new("option").with(wrong[0], wrong[1]).script("true\n");
        assert!(outcome.status == 125 && outcome.stdout.is_empty() && outcome.stderr.contains(wrong[0]), "{wrong:?}: {outcome}");
    }
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
    let mut machine = Debugged::boot("gdb");
    let Debugged { session, debugger, .. } = &mut machine;
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

/// The commands of the README's tour, with what it says that one sees.
#[test]
fn readme_tells_the_truth_about_deaths() {
    let readme = fs::read_to_string(root().join("README.md")).expect("a README");
    let tour = readme.split_once("## Five minutes").expect("a tour").1.split_once("\n## ").expect("it ends").0;
    let options: Vec<&str> =
        tour.split("--option ").skip(1).filter(|rest| rest.starts_with("fail=")).filter_map(|rest| rest.split('`').next()).collect();
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
