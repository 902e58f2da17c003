//! Every server dies in every way under a load, and no line of what the load writes is lost, doubled or wrong.

use tests::Boot;

/// The chaos soak's load; each time that it is begun it counts its steps from 1.
const LOAD: &str = include_str!("../soak/src/chaos/block.sh");
const SERVERS: [&str; 4] = ["memory", "vfs", "console", "posix"];
/// How to die, what the log then says, and how long the load is left alone: until a hang was found, and everybody is back.
const WAYS: [(&str, &str, &str); 4] =
    [("panic", "invalid instruction", "0.3"), ("wild", "page fault", "0.3"), ("overflow", "page fault", "0.3"), ("hang", "hung", "2.5")];
/// Deaths on purpose are no loop. A second without progress is a hang, on a busy host too.
const POLICY: &str = "burst = 64\nbackoff_ms = [1, 1]\nwatchdog_ms = 1000";

/// The load, once without a death, and then in the background until every server has died in every way.
fn script() -> String {
    let crash = |server: &str, (way, _, pause): (&str, &str, &str)| format!("/usr/bin/svc crash {server} {way}; sleep {pause}\n");
    let crashes: String = SERVERS.into_iter().flat_map(|server| WAYS.map(|way| crash(server, way))).collect();
    format!(
        "(rounds=1\n{LOAD}) > /out\n\
         (until [ -e /over ]; do rounds=1\n{LOAD}done) >> /out &\n\
         {crashes}\
         touch /over\nwait\ncat /out\n"
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
    let boot = SERVERS.into_iter().fold(Boot::new("crashes").within_seconds(400), |boot, server| boot.policy(server, POLICY));
    let outcome = boot.script(&script());
    assert!(outcome.status == 0 && outcome.stderr.is_empty(), "{outcome}");
    let rounds = rounds(&outcome.stdout);
    assert!(rounds.len() > 2 && rounds[0].contains("caught\non\n"), "{outcome}");
    for (index, round) in rounds.iter().enumerate() {
        assert_eq!(*round, rounds[0], "round {index}: {outcome}");
    }
    for server in SERVERS {
        for (way, said, _) in WAYS {
            let deaths = outcome.log.lines().filter(|line| line.contains(&format!(" {server} died, instance ")) && line.contains(said)).count();
            assert!(deaths > 0, "{server} {way}: {outcome}");
        }
    }
    assert!(!outcome.log.contains(" is given up"), "{outcome}");
}
