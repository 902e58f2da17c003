//! Every server dies in every way under a load, and no line of what the load writes is lost, doubled or wrong; nor is a key of somebody at the terminal.

use std::fs;

use tests::load::{self, LOAD, SERVERS, rounds};
use tests::{AWAIT, Boot};

/// How to die, and what the log then says.
const WAYS: [(&str, &str); 4] = [("panic", "invalid instruction"), ("wild", "page fault"), ("overflow", "stack overflow"), ("hang", "hung")];
/// So long without progress is a hang, on a busy host too.
const WATCHDOG_MS: u32 = 2000;

/// Shell functions: `crash SERVER WAY THEN` lets a server die, does something, and leaves the load alone for a while, in any case until a hang was found and the
/// server is back.
const CRASH: &str = "\
    instance() { /usr/bin/svc list | while read -r name state number rest; do [ $name = $1 ] && [ $state = up ] && echo $number; done; }\n\
    is_later() { now=$(instance $1); [ ${now:-0} -gt $2 ]; }\n\
    crash() { dead=$(instance $1); /usr/bin/svc crash $1 $2; eval \"$3\"; sleep 0.3; await \"is_later $1 $dead\"; }\n";

/// Beside it, what is done again and again all day, a storm of forks, and a model that is asked all the time. What it writes is the same each time, and each
/// time is a line of the log.
const BESIDE: &str = "\
    ask() { llm run /models/small.gguf -p 'ab ba' -n 40 2> /figures; }; ask > /answer; [ -s /answer ] || cat /figures\n\
    (until [ -e /over ]; do ask | cmp - /answer || cat /figures; done) &\n\
    n=0; until [ -e /over ]; do n=$((n + 1))\n\
    date >> /log || echo date; ls /bin | wc -l; sha256sum /bin/busybox; seq 1 99 | cat | cat | cat | cat | cat | cat | cat | tail -n 1\n\
    storm=; for i in 1 2 3 4 5 6 7 8 9; do (exit $i) & storm=\"$storm $!\"; done\n\
    ended=; for one in $storm; do wait $one; ended=\"$ended $?\"; done; echo storm$ended; done > /beside 2>&1; wait\n\
    [ $(wc -l < /log) = $n ] || echo \"$n times, and the log is\" $(wc -l < /log)\n\
    awk 'NF != 6 || $4 !~ /^[0-2][0-9]:[0-5][0-9]:[0-6][0-9]$/ || $3 == day && $4 < time { print \"out of place:\", $0 } { day = $3; time = $4 }' /log\n\
    [ $(wc -l < /beside) = $((4 * n)) ] || cat /beside; sort -u /beside | wc -l; grep storm /beside | sort -u\n";
/// What that comes to when nothing is lost, doubled or wrong.
const UNHARMED: &str = "4\nstorm 1 2 3 4 5 6 7 8 9\n";

/// The end of root's prompt.
const PROMPT: &str = "# ";

/// How often each server dies in each way, and which of them do: `cargo xtask soak crashes` asks for more than once.
fn asked() -> (usize, Vec<&'static str>) {
    let times = std::env::var("SYNOS_CRASH_TIMES").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    let names = std::env::var("SYNOS_CRASH_SERVERS").unwrap_or_default();
    let is_asked = |server: &&str| names.is_empty() || names.split(',').any(|name| name == *server);
    (times, SERVERS.into_iter().filter(is_asked).collect())
}

/// Every server's death in every way, so many times, each followed by what the shell does `then`.
fn deaths(times: usize, servers: &[&str], then: &str) -> String {
    let crash = |server: &str, way: &str| format!("crash {server} {way} '{then}'\n");
    let round: String = servers.iter().flat_map(|server| WAYS.map(|(way, _)| crash(server, way))).collect();
    format!("{AWAIT}{CRASH}{}", round.repeat(times))
}

/// The load, once without a death, and then in the background until every server has died in every way.
fn script(times: usize, servers: &[&str]) -> String {
    let crashes = deaths(times, servers, "");
    format!(
        "(rounds=1\n{LOAD}) > /out\n\
         (until [ -e /over ]; do rounds=1\n{LOAD}done) >> /out &\n\
         ({BESIDE}) > /said 2>&1 &\n\
         {crashes}\
         touch /over\nwait\ncat /said /out\n"
    )
}

fn boot(name: &str, times: usize, servers: &[&str]) -> Boot {
    assert!(!servers.is_empty(), "SYNOS_CRASH_SERVERS names no server");
    load::boot(name, servers, WATCHDOG_MS).within_seconds(400 + 60 * (times * servers.len()) as u32)
}

/// How many deaths of a server came while it had a request in hand.
fn at_work(log: &str, server: &str) -> usize {
    let is_one = |line: &&str| line.contains(&format!(" {server}, instance ")) && line.contains(" is made to die: ") && line.contains(" at work, ");
    log.lines().filter(is_one).count()
}

/// Every server died in every way so many times, and each time of that.
#[track_caller]
fn assert_causes(log: &str, times: usize, servers: &[&str]) {
    for server in servers {
        for (way, said) in WAYS {
            let deaths = log.lines().filter(|line| line.contains(&format!(" {server} died, instance ")) && line.contains(said)).count();
            println!("crashes: {server} {way}: {deaths} deaths of {times} by {said}");
            assert_eq!(deaths, times, "{server} {way}: {log}");
        }
        let all = log.lines().filter(|line| line.contains(&format!(" {server} died, instance "))).count();
        assert_eq!(all, times * WAYS.len(), "{server}: {log}");
    }
    for server in servers {
        println!("crashes: {} of {} deaths of {server} were in the middle of work", at_work(log, server), times * WAYS.len());
    }
    assert!(!log.contains(" is given up"), "{log}");
}

#[test]
fn every_server_dies_in_every_way_under_load_and_no_program_notices() {
    let (times, servers) = asked();
    let boot = boot("crashes", times, &servers);
    let outcome = boot.script(&script(times, &servers));
    assert!(outcome.status == 0 && outcome.stderr.is_empty(), "{outcome}");
    let said = outcome.stdout.split("=== 1 ").next().unwrap_or_default();
    assert_eq!(said, UNHARMED, "what is done beside the load: {outcome}");
    let rounds = rounds(&outcome.stdout);
    assert!(rounds.len() > 2 && rounds[0].contains("caught\non\n"), "{outcome}");
    for (index, round) in rounds.iter().enumerate() {
        assert_eq!(*round, rounds[0], "round {index}: {outcome}");
    }
    println!("crashes: {} rounds of the load", rounds.len());
    assert_causes(&outcome.log, times, &servers);
    let all_at_work: usize = servers.iter().map(|server| at_work(&outcome.log, server)).sum();
    // memory and the console have less to do; and a host may be so busy that nobody is given work in 200 ms.
    assert!(8 * all_at_work >= times * servers.len() * WAYS.len(), "only {all_at_work} died in the middle of work: {outcome}");
}

/// First the shell sleeps in a read through all deaths, then somebody types a line into an editor after each.
#[test]
fn sleeping_reader_and_editor_lose_no_key_when_every_server_dies_in_every_way() {
    let (times, servers) = asked();
    let boot = boot("crashes-terminal", times, &servers);
    let folder = boot.path("guest");
    fs::create_dir_all(&folder).expect("target can be written");
    let file = |name: &str, text: &str| fs::write(folder.join(name), text).expect("target can be written");
    // The mark is on the terminal, whose server dies too: one that is lost is waited for in vain.
    file("deaths.sh", &format!("sleep 2\n{}echo =\n", deaths(times, &servers, "echo +")));
    file("beside.sh", BESIDE);
    let mut session = boot.with("--add", format!("{}:/run", folder.display())).session();
    let all = times * servers.len() * WAYS.len();
    session.expect(PROMPT);
    session.send("sh /run/beside.sh > /said 2>&1 &\n");
    session.expect(PROMPT);
    session.send("sh /run/deaths.sh & read -r line; wait $!; echo \"got <$line>\"\n");
    session.expect("\r\n");
    for _ in 0..all {
        session.expect("+\r\n");
    }
    session.send("still here\n");
    session.expect("got <still here>\r\n");
    session.expect(PROMPT);
    session.send("echo first > /tmp/note; sh /run/deaths.sh & vi /tmp/note\n");
    session.expect("100%");
    session.send("A");
    for line in 1..=all {
        session.expect("+\n");
        session.send(&format!("\nline {line}"));
    }
    session.expect("=\n");
    session.send("\x1b");
    // An escape that something follows at once is the start of a key's sequence, not the key: it was understood when the line says so.
    session.expect("- /tmp/note [Modified]");
    session.send(":wq\n");
    session.expect(PROMPT);
    session.send(&format!("(echo first; seq 1 {all} | sed 's/^/line /') | cmp - /tmp/note && echo same$((6 * 7))\n"));
    session.expect("same42\r\n");
    session.send("touch /over; wait; echo \"beside <$(cat /said)>\"\n");
    session.expect(&format!("beside <{}>\r\n", UNHARMED.trim_end().replace('\n', "\r\n")));
    assert_causes(&session.log(), 2 * times, &servers);
}
