//! Servers die at each step of what they do for a shell, and the shell's output is what it would have been.
//!
//! Each test arms a sequence of failpoints: the first kills the first instance, the next its successor, and so on. The log proves that each was
//! reached; the script's output proves that nothing was lost and nothing done twice.

use std::fs;

use posix::fail::Point as Posix;
use tests::compare::expected::Expected;
use tests::compare::staged::Staged;
use tests::{AWAIT, Boot, Outcome, root};
use vfs::fail::Point as Vfs;

/// Pipes, appends, forks and reads, with an output that shows every line lost or doubled.
const SCRIPT: &str = r#"
echo hello | cat > /tmp/f
cat /tmp/f
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo "line $i" | cat >> /tmp/g; done
cat /tmp/g | sort | uniq -c | awk '{ print $1, $2, $3 }' | sort -n -k3
for i in 1 2 3; do cat /tmp/g | wc -l; done
"#;

/// A service that is killed on purpose all the time is not in a loop.
const MANY_DEATHS: &str = "burst = 64\nbackoff_ms = [1, 1]";

fn expected() -> String {
    let lines: String = (1..=12).map(|line| format!("1 line {line}\n")).collect();
    format!("hello\n{lines}12\n12\n12\n")
}

/// Kills `service` at each of `points`, one instance after the other, each at its `nth` passage. The first passage of a successor is that of the
/// request that its predecessor died of: killing there too would make that request poison.
fn kill_at_each(service: &str, points: &[&str], nth: u32) -> Outcome {
    let boot = Boot::new(&format!("restart-{service}")).policy(service, MANY_DEATHS);
    let boot = points.iter().fold(boot, |boot, point| boot.failing(service, point, nth));
    let outcome = boot.script(SCRIPT);
    outcome.expect_output(&expected());
    for point in points {
        assert!(outcome.log.contains(&format!("[{service}] failpoint {point}")), "{point} was not reached: {outcome}");
    }
    assert_eq!(outcome.deaths(service), points.len(), "{outcome}");
    println!("{service}: killed at {} failpoints: {}", points.len(), points.join(" "));
    outcome
}

#[test]
fn vfs_dies_at_each_failpoint_of_a_write() {
    let points = [Vfs::WriteIntent, Vfs::WriteEffect, Vfs::WriteRecord, Vfs::WriteReply].map(Vfs::name);
    let _outcome = kill_at_each("vfs", &points, 2);
}

#[test]
fn vfs_dies_at_each_failpoint_of_open_and_close() {
    let names = Vfs::ALL.iter().map(|point| point.name());
    let points: Vec<_> = names.filter(|name| name.starts_with("open.") || name.starts_with("close.")).collect();
    let _outcome = kill_at_each("vfs", &points, 2);
}

#[test]
fn posix_dies_at_each_failpoint_of_a_pipe_write() {
    let _outcome = kill_at_each("posix", &["write.intent", Posix::QueueFilled.name(), "write.effect", "write.record", "write.reply"], 2);
}

/// Runs the program `name` of `tests/linux` while posix dies at the `nth` passage of each of `points`: its output must be Linux's.
fn posix_dies_under(name: &str, points: &[&str], nth: u32) {
    let staged = Staged::lay_out(&[name.into()]).expect("the program can be compiled");
    let text = fs::read_to_string(root().join(format!("tests/expected/{name}.txt"))).expect("it was made");
    let linux = Expected::decode(&text).expect("it is whole");
    let boot = Boot::new(&format!("restart-{name}")).with("--add", format!("{}:/run", staged.guest().display()));
    let boot = points.iter().fold(boot, |boot, point| boot.failing("posix", point, nth));
    let outcome = boot.script(&format!("exec /run/programs/{name}\n"));
    outcome.expect_output(&linux.output.stdout);
    for point in points {
        assert!(outcome.log.contains(&format!("[posix] failpoint {point}")), "{point} was not reached: {outcome}");
    }
    assert_eq!(outcome.deaths("posix"), points.len(), "{outcome}");
}

/// Where the transfer of a message can be cut.
const MESSAGES: [&str; 8] = [
    "sendmsg.intent",
    Posix::QueueFilled.name(),
    "sendmsg.effect",
    "sendmsg.record",
    "sendmsg.reply",
    Posix::QueueEmptied.name(),
    "recvmsg.effect",
    "recvmsg.record",
];

/// Where a transfer of bytes can be cut.
const TRANSFER: [&str; 8] = [
    "write.intent",
    Posix::QueueFilled.name(),
    "write.effect",
    "write.record",
    "write.reply",
    Posix::QueueEmptied.name(),
    "read.effect",
    "read.record",
];

/// What programs and a person see at pseudo terminals while posix dies under them is what Linux shows.
#[test]
fn posix_dies_at_each_failpoint_of_a_terminals_writes_and_reads() {
    posix_dies_under("terminal", &TRANSFER, 20);
}

/// Messages come once, with their descriptors, and whoever sleeps in epoll_wait is woken once.
#[test]
fn posix_dies_at_each_failpoint_of_a_sockets_writes_and_reads() {
    posix_dies_under("survive", &MESSAGES, 2);
}

/// Where a fork of the shell's can be cut.
const FORK: [&str; 6] = ["clone.intent", Posix::ChildRecorded.name(), Posix::ChildMade.name(), "clone.effect", "clone.record", "clone.reply"];

#[test]
fn posix_dies_at_each_failpoint_of_fork() {
    let _outcome = kill_at_each("posix", &FORK, 2);
}

/// Each child says so once, and none is left that said nothing.
#[test]
fn posix_that_dies_in_fork_makes_one_child() {
    for point in FORK {
        let script = ": > /tmp/children; for i in 1 2 3; do (echo child $i >> /tmp/children; exec sleep 1000) & done\n\
                      until [ $(wc -l < /tmp/children) -ge 3 ]; do sleep 0.1; done; sleep 0.5\n\
                      sort /tmp/children; ps -o ppid > /tmp/parents; grep -c \"^ *$$ *\\$\" /tmp/parents; killall sleep\n";
        let outcome = Boot::new("restart-one-child").failing("posix", point, 2).script(script);
        // The three, and the one that counts.
        outcome.expect_output("child 1\nchild 2\nchild 3\n4\n");
        assert_eq!(outcome.deaths("posix"), 1, "{point}: {outcome}");
    }
}

#[test]
fn posix_dies_at_each_failpoint_of_exec_and_exit() {
    posix_dies_in(&["program.", "execve.", "object.", "space.", "exit_group."]);
}

#[test]
fn posix_dies_at_each_failpoint_of_wait_and_read() {
    posix_dies_in(&["wait4.", "queue.emptied", "read."]);
}

/// Kills posix at each of its failpoints whose name begins with one of `parts`.
fn posix_dies_in(parts: &[&str]) {
    let names = posix::fail::names();
    let points: Vec<_> = names.iter().map(String::as_str).filter(|name| parts.iter().any(|part| name.starts_with(part))).collect();
    let _outcome = kill_at_each("posix", &points, 2);
}

#[test]
fn console_dies_at_each_failpoint_of_a_scripts_output() {
    let _outcome = kill_at_each("console", &["script.intent", "script.record", "script.effect", "script.reply"], 2);
}

/// The first `echo` of the script writes what posix dies of, twice.
#[test]
fn write_that_kills_posix_twice_fails_and_everything_else_goes_on() {
    let boot = Boot::new("restart-poison").failing("posix", "write.intent", 1).failing("posix", "write.intent", 1);
    let outcome = boot.script("echo lost | cat\nfor i in 1 2 3; do echo line $i | cat; done\n");
    outcome.expect_output("line 1\nline 2\nline 3\n");
    assert!(outcome.stderr.contains("write error"), "{outcome}");
    assert_eq!(outcome.deaths("posix"), 2, "{outcome}");
    assert!(outcome.log.contains("attempt 2, and refuses it now"), "{outcome}");
}

/// The faulting server cannot be told by a status: its fault becomes an exception, it dies of that, and its successor asks for another page.
#[test]
fn page_fault_that_kills_memory_twice_ends_the_server_that_faulted_and_nothing_else() {
    let boot = Boot::new("restart-poison-memory").failing("memory", "fault.intent", 60).failing("memory", "fault.intent", 1);
    let outcome = boot.script(SCRIPT);
    outcome.expect_output(&expected());
    assert_eq!(outcome.deaths("memory"), 2, "{outcome}");
    let refused = outcome.log.lines().filter(|line| line.contains("memory had in hand a page fault") && line.contains("refuses it now"));
    assert_eq!(refused.count(), 1, "{outcome}");
    assert_eq!(outcome.deaths("vfs") + outcome.deaths("posix") + outcome.deaths("console"), 1, "{outcome}");
}

#[test]
fn memory_dies_under_running_programs() {
    let points = ["fault.map"; 4];
    let boot = points.iter().zip([60, 8, 8, 8]).fold(Boot::new("restart-memory"), |boot, (point, nth)| boot.failing("memory", point, nth));
    let outcome = boot.script(SCRIPT);
    outcome.expect_output(&expected());
    assert_eq!(outcome.deaths("memory"), points.len(), "{outcome}");
}

#[test]
fn servers_die_while_files_are_pending() {
    let armed = [
        ("vfs", Vfs::OpenEffect.name(), 9),
        ("posix", Posix::ProgramLoaded.name(), 3),
        ("vfs", Vfs::WriteReply.name(), 2),
        ("posix", Posix::QueueEmptied.name(), 2),
    ];
    let boot = armed.iter().fold(Boot::new("restart-pending"), |boot, (service, point, nth)| boot.failing(service, point, *nth));
    let outcome = boot.with("--option", "vfs-pending=11").script(SCRIPT);
    outcome.expect_output(&expected());
    assert!(outcome.log.contains("attempts put off, seed 11"), "{outcome}");
    assert!(outcome.deaths("vfs") == 2 && outcome.deaths("posix") == 2, "{outcome}");
}

/// The probe asks for room again and again while the script makes files and removes half of them, so that there is something to move.
#[test]
fn memory_dies_at_each_failpoint_of_a_move_and_files_are_what_they_were() {
    const SERVICES: &str = r#"
        [[service]]
        name = "probe"
        priority = 11
        heap_pages = 8192
        calls = ["memory"]
    "#;
    const FILES: &str = r#"
        sum() { cat /tmp/kept.* | md5sum; }
        for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
            for kind in kept gone; do head -c 700000 /bin/busybox > /tmp/$kind.$i; echo $i >> /tmp/$kind.$i; done
        done
        sum; rm /tmp/gone.*
        enough() { [ $round -ge 12 ] && /usr/bin/svc log probe | grep -q 'moves ok' && [ $(deaths) -ge 4 ]; }
        deaths() { /usr/bin/svc list | awk '$1 == "memory" { print $4 }'; }
        round=0; await 'round=$((round + 1)); sleep 0.3; sum; enough' > /tmp/sums; sort -u /tmp/sums | wc -l
        sum
    "#;
    let points = ["huge.record", "huge.reply", "compact.unmapped", "compact.moved", "compact.moved", "compact.unmapped"];
    let boot = points.iter().zip([1, 1, 2, 2, 40, 60]);
    let boot = boot.fold(Boot::new("restart-moves").services(SERVICES), |boot, (point, nth)| boot.failing("memory", point, nth));
    let outcome = boot.with("--option", "probe=memory").script(&format!("{AWAIT}{FILES}"));
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert!(matches!(lines.as_slice(), [first, "1", last] if first == last), "{outcome}");
    for check in ["asked for 2 MiB pages", "2 MiB pages", "size", "moves"] {
        assert!(outcome.log.contains(&format!("probe: {check} ok")), "{check}: {outcome}");
    }
    assert!(!outcome.log.contains("probe: moves failed"), "{outcome}");
    assert!(outcome.deaths("memory") >= 4, "{outcome}");
}

#[test]
fn four_servers_die_in_one_session() {
    let armed = [
        ("vfs", Vfs::WriteEffect.name(), 3),
        ("posix", Posix::ChildMade.name(), 4),
        ("posix", "write.record", 2),
        ("console", "script.record", 1),
        ("memory", "fault.map", 90),
        ("vfs", Vfs::OpenRecord.name(), 4),
    ];
    let boot = armed.iter().fold(Boot::new("restart-all"), |boot, (service, point, nth)| boot.failing(service, point, *nth));
    let outcome = boot.script(SCRIPT);
    outcome.expect_output(&expected());
    assert!(outcome.deaths("vfs") == 2 && outcome.deaths("posix") == 2 && outcome.deaths("console") == 1, "{outcome}");
}
