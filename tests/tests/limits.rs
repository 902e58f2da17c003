//! Programs that take all they can get stay inside their limits: others go on working, and a kill ends them.
//!
//! Each script ends with the same few commands, which must work as if nothing had been. Numbers of processes are counted by `ps`, because the program's own
//! idea of them is what is in question.

use tests::{AWAIT, Boot, Outcome};

/// What every script ends with: files, pipes and processes.
const STILL_WORKS: &str = "
echo still > /tmp/works
seq 1 100 | sort -n | tail -n 1
tr a-z A-Z < /tmp/works
rm /tmp/works
";

#[track_caller]
fn expect_survival(outcome: &Outcome) {
    assert!(outcome.status == 0 && outcome.stdout.ends_with("100\nSTILL\n"), "{outcome}");
    assert!(!outcome.log.contains(" died, instance"), "{outcome}");
}

fn run(boot: Boot, script: &str) -> Outcome {
    let outcome = boot.script(&format!("{AWAIT}{script}\n{STILL_WORKS}"));
    expect_survival(&outcome);
    outcome
}

/// The number in the line of standard output that starts with `name`.
#[track_caller]
fn figure(outcome: &Outcome, name: &str) -> u64 {
    let number = outcome.stdout.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    number.unwrap_or_else(|| panic!("no line {name}: {outcome}"))
}

#[test]
fn fork_bomb_stays_below_its_limit_and_can_be_killed() {
    let outcome = run(
        Boot::new("fork-bomb"),
        r#"
        echo 'ulimit -u 60; bomb() { bomb | bomb & }; bomb; sleep 1000' > /tmp/bomb
        : > /tmp/errors
        setsid sh /tmp/bomb 2> /tmp/errors &
        bomb=$!
        await 'grep -q "can.t fork" /tmp/errors'
        ls / | grep -c tmp
        most=0
        for i in 1 2 3 4 5; do
            now=$(ps -o pgid | grep -c "^ *$bomb\$")
            [ $now -gt $most ] && most=$now
        done
        echo "most $most"
        echo "refused $(grep -c "can't fork" /tmp/errors)"
        kill -KILL -$bomb
        left() { ps -o pgid | grep -c "^ *$bomb\$"; }
        await '[ $(left) = 0 ]'
        echo "left $(left)"
        "#,
    );
    assert!(outcome.stdout.starts_with("1\n"), "a command works beside it: {outcome}");
    assert!((1..=60).contains(&figure(&outcome, "most")), "{outcome}");
    assert!(figure(&outcome, "refused") > 0, "{outcome}");
    assert_eq!(figure(&outcome, "left"), 0, "{outcome}");
}

/// As root and with nothing lowered: what is left to others is what the system leaves them. The shell is in another process group, as at a prompt.
#[test]
fn fork_bomb_without_a_limit_leaves_room_for_commands_and_can_be_killed() {
    let outcome = run(
        Boot::new("fork-bomb-free"),
        r#"
        echo 'bomb() { bomb | bomb & }; bomb; sleep 1000' > /tmp/bomb
        : > /tmp/errors
        setsid sh /tmp/bomb 2> /tmp/errors &
        bomb=$!
        await 'grep -q "can.t fork" /tmp/errors'
        for i in 1 2 3 4 5 6 7 8; do seq 1 50 | sort -n | tail -n 1; done
        kill -KILL -$bomb
        left() { ps -o pgid | grep -c "^ *$bomb\$"; }
        await '[ $(left) = 0 ]'
        echo "left $(left)"
        "#,
    );
    assert!(outcome.stdout.starts_with(&"50\n".repeat(8)), "commands work beside it: {outcome}");
    assert_eq!(figure(&outcome, "left"), 0, "{outcome}");
}

#[test]
fn process_hog_gets_as_many_as_allowed_and_not_one_more() {
    let outcome = run(
        Boot::new("process-hog"),
        r#"
        (ulimit -u 40; i=0; while [ $i -lt 60 ]; do sleep 1000 & i=$((i + 1)); done) 2> /tmp/errors
        echo "refused $(grep -c "can't fork: Resource temporarily unavailable" /tmp/errors)"
        running() { ps | grep -c '[s]leep 1000'; }
        # Those that were made last may not yet be what they are to be.
        now=-1
        await 'before=$now; now=$(running); [ $now -ge 30 ] && [ $now = $before ]'
        echo "running $now"
        killall sleep
        await '[ $(running) = 0 ]'
        echo "left $(running)"
        "#,
    );
    assert_eq!(figure(&outcome, "refused"), 1, "{outcome}");
    assert!((30..40).contains(&figure(&outcome, "running")), "{outcome}");
    assert_eq!(figure(&outcome, "left"), 0, "{outcome}");
}

#[test]
fn file_hog_fills_the_file_system_and_gives_it_back() {
    let outcome = run(
        Boot::new("file-hog"),
        r#"
        dd if=/dev/zero of=/tmp/big bs=65536 count=100000 2>&1 | grep -o 'No space left on device'
        echo "bytes $(stat -c %s /tmp/big)"
        echo other | cat | tr a-z A-Z
        rm /tmp/big
        "#,
    );
    assert!(outcome.stdout.starts_with("No space left on device\n"), "{outcome}");
    assert!(outcome.stdout.contains("OTHER\n"), "a command works beside it: {outcome}");
    assert!(figure(&outcome, "bytes") > 64 << 20, "{outcome}");
}

#[test]
fn memory_hog_is_killed_and_its_memory_comes_back() {
    let outcome = run(
        Boot::new("memory-hog"),
        r#"
        free=$(awk '/MemFree/ { print $2 }' /proc/meminfo)
        for round in 1 2 3; do
            awk 'BEGIN { s = "x"; while (1) s = s s }' 2> /dev/null
            echo "status $?"
        done
        lost() { echo $((free - $(awk '/MemFree/ { print $2 }' /proc/meminfo))); }
        await '[ $(lost) -lt 8192 ]'
        echo "lost $(lost)"
        "#,
    );
    assert_eq!(outcome.stdout.matches("status 137\n").count(), 3, "{outcome}");
    // The other programs' pages and tables need not be the same ones before and after.
    assert!(outcome.stdout.contains("lost -") || figure(&outcome, "lost") < 8192, "{outcome}");
}

/// Takes all memory that there is for programs, and is killed.
const HOG: &str = "awk 'BEGIN { s = \"x\"; while (1) s = s s }' 2> /dev/null; echo \"status $?\"";

#[test]
fn programs_together_get_what_the_manifest_allows_them_and_the_log_says_so() {
    let outcome = run(
        Boot::new("quota").policy("posix", "buys_pages = 4096"),
        &format!("{HOG}\nhead -c 67108864 /dev/zero > /tmp/big && stat -c 'bytes %s' /tmp/big; rm /tmp/big"),
    );
    assert!(outcome.stdout.starts_with("status 137\n"), "{outcome}");
    assert_eq!(figure(&outcome, "bytes"), 64 << 20, "files are not counted: {outcome}");
    assert!(outcome.log.contains("quota: posix wants 64 pages, has bought 4096 and may have 4096 of "), "{outcome}");
    assert_eq!(outcome.log.matches("out of memory: process").count(), 1, "{outcome}");
}

/// Programs may have 75 in a hundred of 174 MiB; the file needs more than the others, and less than the half that files may have. Nothing runs in
/// between: what a program had goes back when it ends, not when others do.
#[test]
fn memory_that_a_hog_had_holds_files_when_it_ended() {
    let outcome = run(
        Boot::new("hog-then-file").with("--memory", "192M"),
        &format!("{HOG}\nhead -c 73400320 /dev/zero > /tmp/big && stat -c 'bytes %s' /tmp/big; rm /tmp/big"),
    );
    assert!(outcome.stdout.starts_with("status 137\n"), "{outcome}");
    assert_eq!(figure(&outcome, "bytes"), 70 << 20, "{outcome}");
}

#[test]
fn largest_process_goes_when_memory_runs_out_not_who_asks_for_the_last_page() {
    let outcome = run(
        Boot::new("out-of-memory"),
        r#"
        free() { awk '/MemFree/ { print $2 }' /proc/meminfo; }
        all=$(free)
        dd if=/dev/zero bs=$((all * 6 / 10))k count=1 2> /dev/null | sleep 1000 &
        while [ $(free) -gt $((all / 2)) ]; do sleep 1; done
        dd if=/dev/zero of=/dev/null bs=$((all * 11 / 20))k count=1 2> /dev/null
        echo "asker $?"
        left() { ps | grep -c '[d]d if'; }
        await '[ $(left) = 0 ]'
        echo "left $(left)"
        killall sleep
        "#,
    );
    assert_eq!(figure(&outcome, "asker"), 0, "{outcome}");
    assert_eq!(figure(&outcome, "left"), 0, "{outcome}");
    assert_eq!(outcome.log.matches("out of memory: process").count(), 1, "{outcome}");
    assert!(outcome.log.contains(" (dd) is killed for its "), "{outcome}");
}

#[test]
fn descriptor_hog_gets_as_many_as_allowed_and_hurts_no_other() {
    let outcome = run(
        Boot::new("descriptor-hog"),
        r#"
        (
            trap 'echo "opened $((i - 3))"' EXIT
            i=3
            while [ $i -lt 1100 ]; do eval "exec $i< /dev/null"; i=$((i + 1)); done
        ) 2> /tmp/errors
        grep -o 'Too many open files' /tmp/errors
        "#,
    );
    assert!((1000..1024).contains(&figure(&outcome, "opened")), "{outcome}");
    assert!(outcome.stdout.contains("Too many open files\n"), "{outcome}");
}

/// A shell that opens `what` until it may not (which ends it), makes room for one more file to say so, and keeps all others open.
fn descriptor_hog(what: &str) -> String {
    format!(
        "sh -c 'trap \"exec 3<&- 4<&- 5<&- 6<&-; echo > /tmp/full.\\$\\$; exec sleep 1000\" EXIT; \
         i=3; while :; do eval \"exec $i< {what}\"; i=$((i + 1)); done' 2> /dev/null & "
    )
}

#[test]
fn descriptor_hogs_together_leave_room_for_a_command_and_can_be_killed() {
    let hogs = [descriptor_hog("/dev/null"), descriptor_hog("/dev/zero"), descriptor_hog("/etc/passwd")].concat().repeat(2);
    let outcome = run(
        Boot::new("descriptor-hogs"),
        &format!(
            "{hogs}\nwhile [ $(ls /tmp | grep -c full) -lt 6 ]; do sleep 0.5; done\n\
             cat /etc/hostname /etc/passwd /etc/group | sort | tail -n 1 | wc -l\necho \"open $(ls /proc/*/fd | wc -l)\"\n\
             killall -9 sleep; wait; ls /proc/*/fd | wc -l > /tmp/after; [ $(cat /tmp/after) -lt 100 ] && echo gone\n"
        ),
    );
    assert!(outcome.stdout.starts_with("1\n") && outcome.stdout.contains("gone\n"), "{outcome}");
    assert!(figure(&outcome, "open") > 3000, "the system's table is what ends them: {outcome}");
}

#[test]
fn memory_hog_beside_a_command_can_be_killed_and_its_memory_comes_back() {
    let outcome = run(
        Boot::new("memory-hog-killed"),
        r#"
        free() { awk '/MemFree/ { print $2 }' /proc/meminfo; }
        all=$(free)
        dd if=/dev/zero bs=$((all * 6 / 10))k count=1 2> /dev/null | sleep 1000 &
        while [ $(free) -gt $((all / 2)) ]; do sleep 0.5; done
        seq 1 1000 | sort -n | tail -n 1
        killall -9 dd
        await '[ $(free) -ge $((all * 9 / 10)) ]'
        [ $(free) -ge $((all * 9 / 10)) ] && echo back
        killall sleep
        "#,
    );
    assert!(outcome.stdout.starts_with("1000\nback\n"), "{outcome}");
    assert!(!outcome.log.contains("out of memory"), "{outcome}");
}

#[test]
fn machine_of_128_mib_boots_and_runs_a_script() {
    let outcome = run(Boot::new("small").with("--memory", "128M"), "for i in 1 2 3 4 5; do seq 1 1000 | sort -n | wc -l; done");
    assert_eq!(outcome.stdout.matches("1000\n").count(), 5, "{outcome}");
}
