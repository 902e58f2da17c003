//! The prompt, as a person at the terminal meets it.

use tests::{Boot, Session};

/// The end of root's prompt.
const PROMPT: &str = "# ";

fn session(name: &str) -> Session {
    let mut session = Boot::new(name).session();
    session.expect(PROMPT);
    session
}

/// Starts a shell in the foreground, which does something `first`, and waits for its word, after which it executes the command: before that the line editor may have
/// the terminal, in which control keys are letters.
fn foreground(session: &mut Session, first: &str, command: &str) {
    session.send(&format!("sh -c '{first}echo at $((6 * 7)); {command}'\n"));
    session.expect("at 42\r\n");
}

/// Types a command and returns what it showed, the echo included.
fn run(session: &mut Session, command: &str) -> String {
    session.send(&format!("{command}\n"));
    session.expect(PROMPT)
}

#[test]
fn prompt_answers_and_echoes() {
    let mut session = session("prompt");
    let shown = run(&mut session, "echo $((6 * 7))");
    assert!(shown.contains("echo $((6 * 7))\r\n42\r\n"), "{shown:?}");
}

#[test]
fn console_that_dies_between_port_and_record_neither_loses_nor_repeats_a_byte() {
    let points = [("line.transmitted", 3), ("line.receiving", 7), ("line.transmitted", 4), ("line.receiving", 9)];
    let boot = points.iter().fold(Boot::new("line-restart"), |boot, (point, nth)| boot.failing("console", point, *nth));
    let mut session = boot.session();
    session.expect(PROMPT);
    for round in 1..=4 {
        let command = format!("echo abcdefghijklmnopqrstuvwxyz {round}$((6 * 7)) 0123456789");
        let shown = run(&mut session, &command);
        // The editor of the line asks where the cursor is; all else is to the byte.
        let shown = shown.replace("\x1b[6n", "");
        let expected = format!("{command}\r\nabcdefghijklmnopqrstuvwxyz {round}42 0123456789\r\n");
        assert!(shown.starts_with(&expected), "{shown:?} instead of {expected:?}");
    }
    let log = session.log();
    for (point, _) in points {
        assert!(log.contains(&format!("[console] failpoint {point}")), "{point} was not reached: {log}");
    }
    assert_eq!(log.matches(": console died, instance").count(), points.len(), "{log}");
}

#[test]
fn control_c_interrupts_and_control_z_stops_a_foreground_job() {
    let mut session = session("job-control");
    foreground(&mut session, "", "exec sleep 1000");
    session.send("\x03");
    session.expect(PROMPT);
    let shown = run(&mut session, "echo status $?");
    assert!(shown.contains("status 130"), "{shown:?}");
    // It says when it goes on: before, keys are not yet its own.
    foreground(&mut session, "trap \"echo on \\$((6 * 7))\" CONT; sleep 1000 & ", "wait; wait");
    session.send("\x1a");
    let stopped = session.expect(PROMPT);
    assert!(stopped.contains("Stopped"), "{stopped:?}");
    let jobs = run(&mut session, "jobs");
    assert!(jobs.contains("Stopped") && jobs.contains("sleep 1000"), "{jobs:?}");
    session.send("fg\n");
    session.expect("on 42\r\n");
    session.send("\x03");
    session.expect(PROMPT);
    let jobs = run(&mut session, "jobs");
    assert!(!jobs.contains("sleep 1000"), "{jobs:?}");
}

#[test]
fn prompt_does_not_show_that_files_are_pending() {
    let mut session = Boot::new("pending").with("--option", "vfs-pending=11").session();
    session.expect(PROMPT);
    let shown = run(&mut session, "cd /usr/bin/.. && ls -d bin && sed -n 1p /etc/passwd");
    assert!(shown.contains("bin\r\nroot:"), "{shown:?}");
    foreground(&mut session, "", "exec sleep 1000");
    session.send("\x03");
    session.expect(PROMPT);
}

#[test]
fn line_editing_keys_work_in_canonical_mode() {
    let mut session = session("canonical");
    foreground(&mut session, "", "exec cat");
    session.send("wrong\x15right wrd\x17word\x7fd\n");
    // The typed line was edited on the screen; what `cat` says is the line as it was read.
    session.expect("right word\r\n");
    session.send("\x04");
    session.expect(PROMPT);
}

#[test]
fn vi_opens_edits_and_saves_a_file() {
    let mut session = session("vi");
    let _shown = run(&mut session, "echo first > /tmp/note");
    session.send("vi /tmp/note\n");
    session.expect("- /tmp/note ");
    session.send("osecond line");
    session.expect("I /tmp/note [Modified]");
    session.send("\x1b");
    // An escape that something follows at once is the start of a key's sequence, not the key: it was understood when the line says so.
    session.expect("- /tmp/note [Modified]");
    session.send(":wq\n");
    session.expect(PROMPT);
    let shown = run(&mut session, "cat /tmp/note");
    assert!(shown.contains("first\r\nsecond line\r\n"), "{shown:?}");
}

#[test]
fn stty_and_less_see_a_terminal() {
    let mut session = session("stty");
    let shown = run(&mut session, "stty size");
    assert!(shown.contains("24 80"), "{shown:?}");
    let shown = run(&mut session, "stty -a | grep -c icanon");
    assert!(shown.contains("\r\n1\r\n"), "{shown:?}");
    session.send("seq 1 100 | less\n");
    // What a line of 24 has no room for is shown after a key; the numbers are none that the command has in it.
    let first = session.expect("23\r\n");
    assert!(first.contains("22\r\n") && !first.contains("24\r\n"), "{first:?}");
    session.send(" ");
    session.expect("46\r\n");
    session.send("q");
    session.expect(PROMPT);
    let shown = run(&mut session, "test -t 0 && echo a terminal");
    assert!(shown.contains("\r\na terminal\r\n"), "{shown:?}");
}

#[test]
fn terminal_has_a_name() {
    let mut session = session("tty");
    let shown = run(&mut session, "tty; echo status $?");
    assert!(shown.contains("\r\n/dev/ttyS0\r\nstatus 0\r\n"), "{shown:?}");
    let shown = run(&mut session, "ps -o tty,comm | grep ' ps$'");
    assert!(shown.contains("4,64"), "{shown:?}");
    let shown = run(&mut session, "readlink /proc/self/fd/0; echo heard >/dev/tty");
    assert!(shown.contains("\r\n/dev/ttyS0\r\nheard\r\n"), "{shown:?}");
}

/// Something writes to the terminal and to pipes until console and posix have died of it, while the shell sleeps in a read.
#[test]
fn sleeping_read_gets_its_line_though_console_and_posix_died() {
    let boot = Boot::new("read-restart").within_seconds(240);
    let mut session = boot.failing("posix", "queue.filled", 3).failing("console", "write.reply", 120).session();
    session.expect(PROMPT);
    session.send("while :; do echo . | cat; sleep 0.1; done & read key; kill $!; echo \"got <$key>\"\n");
    session.expect("\r\n");
    while !["console", "posix"].iter().all(|service| session.log().contains(&format!(": {service} died, instance"))) {
        session.expect(".\r\n");
    }
    session.send("still here\n");
    session.expect("got <still here>");
    session.expect(PROMPT);
    let shown = run(&mut session, "echo $((6 * 7))");
    assert!(shown.contains("\r\n42\r\n"), "{shown:?}");
}

/// A program sleeps in a read of one key, without a line discipline's help, while the terminal's server dies twice and every other one once.
#[test]
fn read_that_slept_through_five_crashes_gets_its_key() {
    let mut session = Boot::new("read-five").within_seconds(240).session();
    session.expect(PROMPT);
    let crashes = "for name in console posix vfs memory console; do svc crash $name panic >/dev/null; sleep 0.5; done; echo all gone";
    session.send(&format!("stty raw -echo; (sleep 0.5; {crashes}) & dd bs=1 count=1 2>/dev/null | hexdump -C\n"));
    session.expect("\nall gone\n");
    session.pause_ms(200);
    session.send("k");
    session.expect("00000000  6b ");
    session.send("stty sane\n");
    session.expect(PROMPT);
    let log = session.log();
    for (name, deaths) in [("console", 2), ("posix", 1), ("vfs", 1), ("memory", 1)] {
        assert_eq!(log.matches(&format!(": {name} died, instance")).count(), deaths, "{name}: {log}");
    }
}
