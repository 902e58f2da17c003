//! Programs and servers on several processors at the same time.

use tests::compare::staged::Staged;
use tests::{AWAIT, Boot, Outcome};

/// Programs on all processors, which share the servers.
fn spread(name: &str, processors: &str) -> Boot {
    Boot::new(name).with("--smp", processors).within_seconds(300)
}

/// Pipelines that run at the same time and must all come to the same, and what is printed when they do.
const AT_ONCE: &str = "for job in 1 2 3 4 5 6 7 8; do (seq 1 2000 | sort -rn | sha256sum > /tmp/sum$job) & done; wait
cat /tmp/sum? | sort | uniq -c | while read count rest; do echo $count alike; done
";

#[test]
fn programs_are_told_of_all_processors_and_run_on_them() {
    let script = "nproc; grep -c ^processor /proc/cpuinfo
for job in 1 2 3 4 5 6; do sleep 1000 & done
used() { cat /proc/[0-9]*/stat | cut -d' ' -f39 | sort -u | tr '\n' ' '; }
await '[ \"$(used)\" = \"0 1 2 3 \" ]'; used; echo; killall sleep
";
    spread("spread-where", "4").script(&format!("{AWAIT}{script}")).expect_output("4\n4\n0 1 2 3 \n");
}

#[test]
fn programs_stay_on_the_first_processor_where_they_are_told_to() {
    let outcome = Boot::new("not-spread")
        .with("--smp", "2")
        .with("--option", "place=first")
        .script("nproc; cat /proc/[0-9]*/stat | cut -d' ' -f39 | sort -u\n");
    outcome.expect_output("1\n0\n");
}

#[test]
fn program_runs_where_its_set_says_and_its_children_too() {
    let script =
        "for set in 1 2 4 8 c; do taskset $set sh -c 'echo $(cut -d\" \" -f39 /proc/$$/stat) $(grep Cpus_allowed_list /proc/self/status)'; done
sh -c 'while :; do :; done' & busy=$!
for set in 8 2 1; do taskset -p $set $busy > /tmp/told; cut -d' ' -f39 /proc/$busy/stat; done
kill $busy; taskset 10 true 2> /tmp/error; echo $?
grep '^cpu[0-9]' /proc/stat > /tmp/before
taskset 4 sh -c 'i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done'
grep '^cpu[0-9]' /proc/stat > /tmp/after
awk 'FNR == NR { was[$1] = $2; next } { n++; if ($2 - was[$1] > most) { most = $2 - was[$1]; name = $1 } } END { print n, name }' /tmp/before /tmp/after
";
    let outcome = spread("affinity", "4").script(script);
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    let list = |set: &str| format!("Cpus_allowed_list: {set}");
    assert_eq!(lines[..4], [0, 1, 2, 3].map(|processor| format!("{processor} {}", list(&processor.to_string()))), "{outcome}");
    assert!([2, 3].iter().any(|processor| lines[4] == format!("{processor} {}", list("2-3"))), "{outcome}");
    assert_eq!(lines[5..], ["3", "1", "0", "1", "4 cpu2"], "{outcome}");
}

#[test]
fn pipelines_on_all_processors_come_to_the_same() {
    for processors in ["2", "4", "8"] {
        let outcome = spread(&format!("spread-{processors}"), processors).script(AT_ONCE);
        outcome.expect_output("8 alike\n");
    }
}

#[test]
fn servers_die_while_programs_run_on_all_processors() {
    let kills = "(for server in posix vfs memory posix console vfs posix; do /usr/bin/svc crash $server wild > /dev/null; sleep 0.3; done) &\n";
    let outcome = spread("spread-deaths", "2").script(&format!("{kills}{AT_ONCE}"));
    outcome.expect_output("8 alike\n");
    let deaths = ["posix", "vfs", "memory", "console"].map(|server| outcome.deaths(server));
    assert_eq!(deaths, [3, 2, 1, 1], "{outcome}");
}

#[test]
fn slow_path_does_it_too() {
    spread("spread-slow", "2").with("--option", "slowpath").script(AT_ONCE).expect_output("8 alike\n");
}

/// A number that `cargo xtask soak stress` gives, or the one of an ordinary run.
fn asked(name: &str, otherwise: u32) -> u32 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Runs random calls of many processes and threads beside `beside`, on so many processors, and once more while that has not made `/enough`. They check themselves;
/// a line says how much was done each time.
fn stress(name: &str, processors: &str, beside: &str) -> Outcome {
    let (seconds, seed) = (asked("SYNOS_STRESS_SECONDS", 8), asked("SYNOS_STRESS_SEED", 1));
    let staged = Staged::lay_out(&["stress".into()]).expect("the program can be compiled");
    let boot = spread(&format!("{name}-{processors}"), processors).within_seconds(300 + 10 * seconds);
    let boot = ["posix", "vfs", "memory"].into_iter().fold(boot, |boot, server| boot.policy(server, "burst = 255\nbackoff_ms = [1, 1]"));
    let boot = boot.with("--add", format!("{}:/run", staged.guest().display()));
    let stress = format!("/run/programs/stress {seconds} {seed}");
    let outcome = boot.script(&format!("{beside}{stress} && until [ -e /enough ]; do {stress} || break; done && touch /over; wait\n"));
    let is_right = |line: &str| line.starts_with("stress: 0 wrong; ");
    assert!(outcome.status == 0 && !outcome.stdout.is_empty() && outcome.stdout.lines().all(is_right), "seed {seed}: {outcome}");
    assert!(outcome.stderr.is_empty(), "seed {seed}: {outcome}");
    println!("{name} on {processors} processors, seed {seed}: {}", outcome.stdout.trim_end());
    outcome
}

/// Numbers of processors to be tried: more than the host has only where it is asked for.
fn numbers_of_processors() -> &'static [&'static str] {
    if std::env::var_os("SYNOS_STRESS_SECONDS").is_some() { &["2", "4"] } else { &["2"] }
}

#[test]
fn random_calls_on_all_processors_come_out_right() {
    for processors in numbers_of_processors() {
        let outcome = stress("stress", processors, "touch /enough\n");
        let deaths = ["posix", "vfs", "memory", "console"].map(|server| outcome.deaths(server));
        assert_eq!(deaths, [0; 4], "nobody killed them: {outcome}");
    }
}

#[test]
fn random_calls_on_all_processors_come_out_right_while_servers_die() {
    let kills = "(until [ -e /over ]; do for server in posix vfs memory posix; do /usr/bin/svc crash $server wild > /dev/null; sleep 1; done; touch /enough; done) &\n";
    for processors in numbers_of_processors() {
        let outcome = stress("stress-deaths", processors, kills);
        assert!(outcome.deaths("posix") >= 2 && outcome.deaths("vfs") >= 1 && outcome.deaths("memory") >= 1, "{outcome}");
    }
}
