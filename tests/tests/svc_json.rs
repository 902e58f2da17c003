//! What `svc --json` says: every field, its kind, and what it must be.

use serde_json::Value;
use tests::Boot;

const SERVERS: [&str; 5] = ["memory", "vfs", "console", "inference", "posix"];
/// Fields of a server, in their order.
const SERVER: [&str; 18] = [
    "name",
    "state",
    "instance",
    "deaths",
    "age_us",
    "pause_us",
    "own_us",
    "calls",
    "threads",
    "priority",
    "restart",
    "backoff_ms",
    "backoff_most_ms",
    "burst",
    "per_ms",
    "watchdog_ms",
    "helper_watchdog_ms",
    "on_giving_up",
];
/// Fields of a death; those that a death need not have come last.
const DEATH: [&str; 12] =
    ["service", "instance", "at_us", "lived_us", "cause", "down_us", "request", "registers", "return", "thread", "words", "log"];
const ALWAYS: usize = 6;
/// Fields of the request in hand.
const REQUEST: [&str; 4] = ["kind", "number", "attempt", "refused"];
/// What services.toml says of the priorities.
const PRIORITIES: [u64; 5] = [28, 20, 20, 16, 16];

fn names(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_else(|| panic!("{field} of {value} is no number"))
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} of {value} is no text"))
}

/// Lines, each a text.
fn lines<'a>(value: &'a Value, field: &str) -> Vec<&'a str> {
    let lines = value[field].as_array().unwrap_or_else(|| panic!("{field} of {value} is no list"));
    lines.iter().map(|line| line.as_str().expect("a text")).collect()
}

fn sorted<const N: usize>(mut fields: [&str; N]) -> [&str; N] {
    fields.sort_unstable();
    fields
}

/// A server that is up and died so often.
fn check_server(server: &Value, name: &str, priority: u64, deaths: u64) {
    assert_eq!(names(server), sorted(SERVER), "{server}");
    assert_eq!((text(server, "name"), text(server, "state")), (name, "up"));
    let policy = ["restart", "on_giving_up"].map(|field| text(server, field));
    // Programs that ask no model go on without it; nothing pauses for longer on its behalf than anybody would notice.
    let (gives_up, most, threads) = if name == "inference" { ("close", 200, 2) } else { ("power-off", 10_000, 1) };
    assert_eq!(policy, ["always", gives_up], "{server}");
    let defaults = ["backoff_ms", "backoff_most_ms", "burst", "per_ms", "watchdog_ms", "threads", "priority", "pause_us", "deaths", "instance"];
    assert_eq!(defaults.map(|field| number(server, field)), [10, most, 10, 8_000, 5_000, threads, priority, 0, deaths, deaths + 1], "{server}");
    assert!(number(server, "age_us") > number(server, "own_us") && number(server, "own_us") > 0, "{server}");
}

#[test]
fn list_is_an_array_of_all_servers_with_every_field() {
    let outcome = Boot::new("svc-json-list").script("cat /etc/passwd > /tmp/work\n/usr/bin/svc list --json\n");
    let list: Value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome}"));
    let list = list.as_array().expect("an array");
    assert_eq!(list.len(), SERVERS.len(), "{outcome}");
    for ((server, name), priority) in list.iter().zip(SERVERS).zip(PRIORITIES) {
        check_server(server, name, priority, 0);
    }
    // Who is called by whom, from start and script.
    assert!(number(&list[0], "calls") > 0 && number(&list[3], "calls") > 0, "{outcome}");
}

/// What must hold of any death.
fn check_death(death: &Value, service: &str, instance: u64) {
    let (fields, known) = (names(death), DEATH.as_slice());
    assert!(fields.iter().all(|field| known.contains(field)) && DEATH[..ALWAYS].iter().all(|field| fields.contains(field)), "{death}");
    assert_eq!((text(death, "service"), number(death, "instance")), (service, instance), "{death}");
    assert!(number(death, "at_us") > number(death, "lived_us") && number(death, "lived_us") > 0 && number(death, "down_us") > 0, "{death}");
    if fields.contains(&"request") {
        assert_eq!(names(&death["request"]), sorted(REQUEST), "{death}");
    }
}

#[test]
fn status_has_the_server_and_its_deaths_the_newest_first() {
    let script = "\
        /usr/bin/svc status vfs --json\n\
        /usr/bin/svc crash vfs panic; ls / > /tmp/list; /usr/bin/svc restart vfs; ls / > /tmp/list; /usr/bin/svc crash console wild; ls / > /tmp/list\n\
        /usr/bin/svc status vfs --json; /usr/bin/svc status console --json\n";
    let outcome = Boot::new("svc-json-status").script(script);
    let parsed = outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {outcome}")));
    let [before, vfs, console]: [Value; 3] = parsed.collect::<Vec<_>>().try_into().unwrap_or_else(|_| panic!("three lines: {outcome}"));
    for (status, name, deaths) in [(&before, "vfs", 0), (&vfs, "vfs", 2), (&console, "console", 1)] {
        assert_eq!(names(status), ["crashes", "service"]);
        check_server(&status["service"], name, 20, deaths);
        let crashes = status["crashes"].as_array().expect("an array");
        assert_eq!(crashes.len() as u64, deaths, "{outcome}");
        crashes.iter().zip((1..=deaths).rev()).for_each(|(death, instance)| check_death(death, name, instance));
    }
    let [killed, panicked, wild] = [&vfs["crashes"][0], &vfs["crashes"][1], &console["crashes"][0]];
    assert_eq!(text(killed, "cause"), "killed");
    assert_eq!(
        (&killed["thread"], &killed["registers"], &killed["return"], &killed["words"]),
        (&Value::Null, &Value::Null, &Value::Null, &Value::Null)
    );
    assert!(matches!(lines(killed, "log")[..], [line] if line.starts_with("[vfs] Recovered")), "{killed}");

    assert!(text(panicked, "cause").starts_with("invalid instruction (vector 6, "), "{panicked}");
    assert!(matches!(lines(panicked, "words")[..], [place, "asked to panic"] if place.starts_with("panicked at ")), "{panicked}");
    assert!(lines(panicked, "log")[0].starts_with("[vfs] Fresh") && lines(panicked, "log").ends_with(&["asked to panic"]), "{panicked}");
    assert!(text(wild, "cause").starts_with("page fault (vector 14, "), "{wild}");
    for death in [panicked, wild] {
        let at = text(death, "cause").rsplit_once(" at ").expect("an address").1;
        assert!(number(death, "thread") == 0 && text(death, "registers").starts_with(&format!("rip {at} rflags 0x")), "{death}");
        let returns = lines(death, "return");
        assert!(returns.len() >= 3 && returns[0] == at && returns.iter().all(|address| address.starts_with("0x4")), "{death}");
    }
}

/// Two instances die of the same write, which is refused then, and posix asks for it anew.
const TWICE: &str = "\
    echo hello > /tmp/file; cat /tmp/file\n\
    /usr/bin/svc status vfs --json\n\
    /usr/bin/svc log vfs --json\n";

#[test]
fn request_that_was_died_of_is_named_with_its_attempt() {
    let outcome = [1, 1].into_iter().fold(Boot::new("svc-json-request"), |boot, nth| boot.failing("vfs", "write.effect", nth)).script(TWICE);
    let mut lines = outcome.stdout.lines();
    assert!(outcome.status == 0 && lines.next() == Some("hello"), "{outcome}");
    let status: Value = lines.next().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_else(|| panic!("JSON: {outcome}"));
    let deaths = status["crashes"].as_array().expect("an array");
    assert_eq!(deaths.len(), 2, "{outcome}");
    for (death, instance) in deaths.iter().zip([2, 1]) {
        check_death(death, "vfs", instance);
        let request = &death["request"];
        assert_eq!((text(request, "kind"), number(request, "attempt")), ("call", instance), "{death}");
        assert_eq!((request["refused"].as_bool(), &request["number"]), (Some(instance == 2), &deaths[0]["request"]["number"]), "{death}");
        assert!(text(request, "number").starts_with("posix:"), "{death}");
    }
    for line in lines {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {outcome}"));
        check_line(&line, 3);
    }
}

/// A line of vfs's log.
fn check_line(line: &Value, instance: u64) {
    assert_eq!(names(line), sorted(["service", "instance", "line"]), "{line}");
    assert_eq!((text(line, "service"), number(line, "instance")), ("vfs", instance), "{line}");
}

#[test]
fn log_is_an_object_a_line_also_while_it_is_followed_over_a_death() {
    let script = "\
        /usr/bin/svc log vfs --json\n: > /tmp/log\n\
        /usr/bin/svc --json log -f vfs > /tmp/log & follower=$!\n\
        until grep -q Fresh /tmp/log; do sleep 0.1; done\n\
        /usr/bin/svc crash vfs panic\n\
        until grep -q Recovered /tmp/log; do sleep 0.1; done\n\
        kill $follower; wait $follower; cat /tmp/log\n";
    let outcome = Boot::new("svc-json-log").script(script);
    let parsed = outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {outcome}")));
    let lines: Vec<Value> = parsed.collect();
    let [once, fresh, panicked, words, recovered] = &lines[..] else { panic!("five lines: {outcome}") };
    for (line, instance, start) in [
        (once, 1, "[vfs] Fresh"),
        (fresh, 1, "[vfs] Fresh"),
        (panicked, 1, "[vfs] panicked at "),
        (words, 1, "asked to panic"),
        (recovered, 2, "[vfs] Recovered"),
    ] {
        check_line(line, instance);
        assert!(text(line, "line").starts_with(start), "{line} instead of {start}: {outcome}");
    }
}
