//! Bad input, at every door: arguments of system calls, messages to servers, programs, and what the machine boots with.
//!
//! What the calls of `badargs` and the programs of `badelf` must come to is what they come to on Linux, by `tests/tests/scripts.rs` like that of every other case. Here it is that
//! the system lives: no server dies, the shell goes on, and what is refused is refused in words.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use tests::compare::staged::Staged;
use tests::{AWAIT, Boot, Outcome, root, victim_and_probe, xtask};

/// Children of each run of random calls.
const FUZZ_CHILDREN: u32 = 150;
const FUZZ_SEEDS: [u32; 3] = [1, 2, 3];

/// Bytes by which the archive is found in the image.
const ARCHIVE_HEAD: usize = 4096;
/// Where the archive's table begins, and the bytes of an entry (`abi::boot`).
const TABLE: usize = 64;
const ENTRY_BYTES: usize = 64;

/// Every server that has requests and that the probe may be declared to call; the supervisor may be called by all.
const SERVERS: &str = r#"["memory", "vfs", "console", "inference", "posix", "victim"]"#;

/// Runs `script` with the C program `program` in `/run/programs`.
fn run_with(program: &str, script: &str) -> Outcome {
    let staged = Staged::lay_out(&[program.into()]).expect("the program can be compiled");
    Boot::new(program).with("--add", format!("{}:/run", staged.guest().display())).script(script)
}

#[track_caller]
fn expect_no_death(outcome: &Outcome) {
    assert!(!outcome.log.contains(" died, instance"), "{outcome}");
    assert!(!outcome.log.contains("registers were refused"), "{outcome}");
}

#[test]
fn random_system_calls_hurt_nobody_else() {
    let mut script = String::new();
    for seed in FUZZ_SEEDS {
        writeln!(script, "/run/programs/badargs fuzz {seed} {FUZZ_CHILDREN} 2>&1").expect("a String takes everything");
    }
    script += "echo alive | tr a-z A-Z\n";
    let outcome = run_with("badargs", &script);
    expect_no_death(&outcome);
    for seed in FUZZ_SEEDS {
        assert!(outcome.stdout.contains(&format!("fuzz {seed}: {FUZZ_CHILDREN} children")), "{outcome}");
    }
    assert!(outcome.status == 0 && outcome.stdout.ends_with("ALIVE\n"), "{outcome}");
}

#[test]
fn every_server_answers_messages_that_are_no_requests() {
    let boot = Boot::new("garbage").services(&victim_and_probe(SERVERS)).with("--option", "probe=garbage");
    let script = "await '/usr/bin/svc log probe | grep -q \"probe: done\"'; echo alive > /tmp/f; cat /tmp/f\n";
    let outcome = boot.script(&format!("{AWAIT}{script}"));
    for server in ["supervisor", "memory", "vfs", "console", "inference", "posix", "victim"] {
        assert!(outcome.log.contains(&format!("probe: {server} ok")), "{server}: {outcome}");
        let answered = outcome.log.lines().find_map(|line| line.split_once(&format!("probe: {server} answered "))?.1.trim().parse::<usize>().ok());
        println!("{server}: {answered:?} messages");
        assert!(answered.is_some_and(|count| count > 350), "{server}: {outcome}");
    }
    expect_no_death(&outcome);
    assert!(outcome.status == 0 && outcome.stdout.ends_with("alive\n"), "{outcome}");
}

#[test]
fn broken_manifest_is_an_error_that_names_the_line() {
    for (text, words) in [
        ("[[service]]\nname = \"probe\"\npriority = 10\nheap_pages = 16\ncalls = [\"nobody\"]\n", "nobody"),
        ("[[service]]\nname = \"probe\"\npriority = 99\nheap_pages = 16\n", "priority"),
        ("[[service]]\nname = \"probe\"\npriority = 10\nheap_pages = \"many\"\n", "overlay.toml:4: invalid type"),
        ("[[service]\nname = \"probe\"\n", "overlay.toml:1"),
    ] {
        let outcome = Boot::new("manifest").services(text).script("true");
        assert_eq!(outcome.status, 125, "{text}: {outcome}");
        assert!(outcome.stderr.contains(words) && outcome.stderr.contains("overlay.toml:"), "{text}: {outcome}");
        assert!(outcome.log.is_empty(), "nothing was booted: {outcome}");
    }
}

#[test]
fn broken_programs_hurt_nobody_else() {
    let outcome = run_with("badelf", "/run/programs/badelf fuzz 1 150\necho alive | tr a-z A-Z\n");
    expect_no_death(&outcome);
    assert_eq!(outcome.stdout, "fuzz 1: 150 programs\nALIVE\n", "{outcome}");
}

/// The shell takes what exec says is no program for a script, as POSIX has it.
/// What of a broken program is a right one that does nothing good: it starts somewhere else, or has less in its memory, or may do less with it.
const RUNS: [&str; 12] = [
    "header e_type",
    "header e_entry",
    "header e_phnum",
    "first p_type",
    "second p_type",
    "first p_flags",
    "second p_flags",
    "second p_vaddr",
    "first p_filesz: 0",
    "first p_offset: one page",
    "first p_memsz: 0",
    "second p_memsz: 0",
];

/// What Linux finds too late and kills for is refused here while the caller is there.
#[test]
fn broken_program_is_refused_before_its_caller_is_gone() {
    let outcome = run_with("badelf", "/run/programs/badelf exact\n");
    expect_no_death(&outcome);
    assert!(outcome.stdout.matches(" ENOEXEC").count() > 200, "{outcome}");
    for line in outcome.stdout.lines() {
        let (of, outcomes) = line.split_once(':').unwrap_or((line, line));
        for killed in outcomes.split(',').map(str::trim).filter(|outcome| outcome.ends_with(" killed")) {
            assert!(RUNS.iter().any(|runs| format!("{of}: {killed}").starts_with(runs)), "{of}: {killed}");
        }
    }
}

#[test]
fn program_whose_segments_end_before_they_should_is_none() {
    let script = "head -c 5000 /bin/busybox > /tmp/cut; chmod +x /tmp/cut; /tmp/cut 2> /tmp/errors; status=$?\n\
                  echo $((status > 0 && status < 128)); grep -aq '^/tmp/cut: line' /tmp/errors && echo a script; echo alive\n";
    let outcome = Boot::new("cut").script(script);
    expect_no_death(&outcome);
    outcome.expect_output("1\na script\nalive\n");
}

#[test]
fn damaged_boot_archive_is_said_so_and_ends_the_machine() {
    let folder = root().join(format!("target/tests/damaged-{}", std::process::id()));
    assert_eq!(boot_in(&folder).status, 0, "the image is good as it was built");
    let (archive, image) = (folder.join("archive"), folder.join("bios.img"));
    let bytes = fs::read(archive).expect("the archive was kept");
    let good = fs::read(&image).expect("the image was kept");
    let start = good.windows(ARCHIVE_HEAD).position(|window| window == &bytes[..ARCHIVE_HEAD]).expect("the archive is in the image");
    let damaged = "the boot archive is damaged";
    // The name of the last entry, the run's options: without the checksum over the table they would just not be there.
    let options = TABLE + ENTRY_BYTES * (usize::from(bytes[8]) - 1);
    for (place, words) in [(0, "cannot start the first process"), (bytes.len() / 2, damaged), (options, damaged), (bytes.len() - 1, damaged)] {
        let mut bad = good.clone();
        bad[start + place] ^= 0x10;
        fs::write(&image, bad).expect("target can be written");
        let outcome = boot_in(&folder);
        assert!([125, 126].contains(&outcome.status) && outcome.stdout.is_empty(), "byte {place}: {outcome}");
        assert!(outcome.log.contains(words), "byte {place}: {outcome}");
        if place == 0 {
            // The kernel's own panic: a status of its own, and a backtrace whose addresses have names.
            assert!(outcome.status == 126 && outcome.stderr.contains("kernel panic: "), "{outcome}");
            let frame = |line: &str| line.trim_start().starts_with("at 0x") && line.ends_with("boot::kernel_main");
            assert!(outcome.stderr.lines().any(frame), "{outcome}");
        }
    }
    fs::remove_dir_all(&folder).expect("target can be written");
}

/// Boots the image in `folder`, which is built when it is not there, and leaves it there.
fn boot_in(folder: &Path) -> Outcome {
    fs::create_dir_all(folder).expect("target can be written");
    let script = folder.join("script.sh");
    fs::write(&script, "true\n").expect("target can be written");
    let mut command = xtask();
    command.args(["run", "--timeout", "120", "--script"]).arg(script).arg("--folder").arg(folder);
    let output = command.stdin(Stdio::null()).output().expect("xtask can be run");
    Outcome {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        log: fs::read_to_string(folder.join("log")).unwrap_or_default(),
        bytes: [output.stdout, output.stderr],
    }
}
