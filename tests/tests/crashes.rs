//! Every server dies in every way under a load, and no line of what the load writes is lost, doubled or wrong.

use tests::Boot;

/// The chaos soak's load; each time that it is begun it counts its steps from 1.
const LOAD: &str = include_str!("../soak/src/chaos/block.sh");
const SERVERS: [&str; 4] = ["memory", "vfs", "console", "posix"];
/// How to die, what the log then says, and how long the load is left alone: until a hang was found, and everybody is back.
const WAYS: [(&str, &str, &str); 4] =
    [("panic", "invalid instruction", "0.3"), ("wild", "page fault", "0.3"), ("overflow", "page fault", "0.3"), ("hang", "hung", "2.5")];
/// Deaths on purpose are no loop. A second without progress is a hang, on a busy host too.
const POLICY: &str = "burst = 255\nbackoff_ms = [1, 1]\nwatchdog_ms = 1000";

/// Beside it, what is done again and again all day, and a storm of forks. What it writes is the same each time, and each time is a line of the log.
const BESIDE: &str = "\
    n=0; until [ -e /over ]; do n=$((n + 1))\n\
    date >> /log || echo date; ls /bin | wc -l; sha256sum /bin/busybox; seq 1 99 | cat | cat | cat | cat | cat | cat | cat | tail -n 1\n\
    for i in 1 2 3 4 5 6 7 8 9; do (exit $i) & done; wait || echo wait; done > /beside 2>&1\n\
    [ $(wc -l < /log) = $n ] || echo \"$n times, and the log is\" $(wc -l < /log)\n\
    [ $(wc -l < /beside) = $((3 * n)) ] || cat /beside; sort -u /beside | wc -l\n";

/// How often each server dies in each way, and which of them do: `cargo xtask soak crashes` asks for more than once.
fn asked() -> (usize, Vec<&'static str>) {
    let times = std::env::var("SYNOS_CRASH_TIMES").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    let names = std::env::var("SYNOS_CRASH_SERVERS").unwrap_or_default();
    let is_asked = |server: &&str| names.is_empty() || names.split(',').any(|name| name == *server);
    (times, SERVERS.into_iter().filter(is_asked).collect())
}

/// The load, once without a death, and then in the background until every server has died in every way.
fn script(times: usize, servers: &[&str]) -> String {
    let crash = |server: &str, (way, _, pause): (&str, &str, &str)| format!("/usr/bin/svc crash {server} {way}; sleep {pause}\n");
    let round: String = servers.iter().flat_map(|server| WAYS.map(|way| crash(server, way))).collect();
    let crashes = round.repeat(times);
    format!(
        "(rounds=1\n{LOAD}) > /out\n\
         (until [ -e /over ]; do rounds=1\n{LOAD}done) >> /out &\n\
         ({BESIDE}) > /said 2>&1 &\n\
         {crashes}\
         touch /over\nwait\ncat /said /out\n"
    )
}

/// What each round wrote, without the time in its stamps.
fn rounds(output: &str) -> Vec<String> {
    let timeless = |line: &str| match line.strip_prefix("=== ").and_then(|stamp| stamp.split_once(' ')) {
        Some((step, _time)) => format!("=== {step}\n"),
        None => format!("{line}\n"),
    };
    let text: String = output.lines().map(timeless).collect();
    text.split_inclusive("=== 1\n").skip(1).map(|round| round.trim_end_matches("=== 1\n").to_owned()).collect()
}

#[test]
fn every_server_dies_in_every_way_under_load_and_no_program_notices() {
    let (times, servers) = asked();
    assert!(!servers.is_empty(), "SYNOS_CRASH_SERVERS names no server");
    let boot = Boot::new("crashes").within_seconds(400 + 60 * (times * servers.len()) as u32);
    let boot = servers.iter().fold(boot, |boot, server| boot.policy(server, POLICY));
    let outcome = boot.script(&script(times, &servers));
    assert!(outcome.status == 0 && outcome.stderr.is_empty(), "{outcome}");
    let said = outcome.stdout.split("=== 1 ").next().unwrap_or_default();
    assert_eq!(said, "3\n", "what is done beside the load: {outcome}");
    let rounds = rounds(&outcome.stdout);
    assert!(rounds.len() > 2 && rounds[0].contains("caught\non\n"), "{outcome}");
    for (index, round) in rounds.iter().enumerate() {
        assert_eq!(*round, rounds[0], "round {index}: {outcome}");
    }
    for server in servers {
        for (way, said, _) in WAYS {
            let deaths = outcome.log.lines().filter(|line| line.contains(&format!(" {server} died, instance ")) && line.contains(said)).count();
            let wanted = times * WAYS.iter().filter(|(_, other, _)| *other == said).count();
            println!("crashes: {server} {way}: {deaths} deaths of {wanted} by {said}, {} rounds of the load", rounds.len());
            assert_eq!(deaths, wanted, "{server} {way}: {outcome}");
        }
    }
    assert!(!outcome.log.contains(" is given up"), "{outcome}");
}
