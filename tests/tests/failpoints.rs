//! Every failpoint of every server, each once: the server dies there under a workload that reaches it, and the workload sees nothing of it.
//!
//! The points are the servers' own lists, so a new one is tested the day it is written, and one that no workload reaches fails the test. One boot kills a server
//! at many points, the n-th of them in its n-th instance, each at its second passage: the first one is that of the request that the predecessor died of, and who
//! dies of one request twice is not asked a third time. So the workload does everything more often than it has points, in the order of the lists.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;

use libsys::fail::Failpoint;
use tests::compare::expected::Expected;
use tests::compare::staged::Staged;
use tests::{AWAIT, Boot, model, root, victim_and_probe};

/// A service that is killed on purpose all the time is not in a loop.
const MANY_DEATHS: &str = "burst = 2000\nbackoff_ms = [1, 1]";
/// The end of root's prompt.
const PROMPT: &str = "# ";
/// Commands at the terminal until every point was hit.
const MOST_COMMANDS: usize = 60;
/// How often a model is asked.
const MODEL_RUNS: usize = 12;
/// How often a script runs the workload.
const ROUNDS: usize = 2;

/// Failpoints that no workload can reach, with the reason.
const UNREACHABLE: [(&str, &str, &str); 4] =
    [("vfs", "hold.intent", NOT_ASKED), ("vfs", "hold.effect", NOT_ASKED), ("vfs", "hold.record", NOT_ASKED), ("vfs", "hold.reply", NOT_ASKED)];
const NOT_ASKED: &str = "posix counts the opens of a file itself, so nobody sends Hold; vfs's own tests crash in it";

/// A server's failpoints by name.
fn names<P: Failpoint>() -> Vec<String> {
    P::ALL.iter().map(|point| point.name().to_owned()).collect()
}

/// All there are.
fn all() -> Vec<(&'static str, Vec<String>)> {
    vec![
        ("console", names::<console::point::Point>()),
        ("inference", names::<inference::server::works::Point>()),
        ("memory", names::<memory::trade::Point>()),
        ("posix", posix::fail::names()),
        ("vfs", names::<vfs::fail::Point>()),
        ("victim", names::<victim::Point>()),
    ]
}

/// Failpoints of a service, in the order in which they kill, with the passage at which they do.
type Plan = Vec<(String, u32)>;

fn plan(service: &str, wanted: impl Fn(&str) -> bool) -> Plan {
    let found = all().into_iter().find(|(name, _)| *name == service).map(|(_, points)| points).unwrap_or_default();
    let reachable = |point: &String| !UNREACHABLE.iter().any(|(name, unreachable, _)| *name == service && unreachable == point);
    found.into_iter().filter(|point| wanted(point)).filter(reachable).map(|point| (point.clone(), passage(&point))).collect()
}

/// At which passage an instance dies there. A thread whose exit ends with the server at its effect has told already who joins it, and that one's own exit may come
/// before the thread's is made again. Then the second passage of what follows would be the second death of one call, which is poison and refused.
fn passage(point: &str) -> u32 {
    if point == "exit.record" { 3 } else { 2 }
}

fn armed(boot: Boot, service: &str, plan: &Plan) -> Boot {
    plan.iter().fold(boot.policy(service, MANY_DEATHS), |boot, (point, nth)| boot.failing(service, point, *nth))
}

/// What of a plan the log shows to have been hit.
fn hits(log: &str, service: &str, plan: &Plan) -> Vec<(String, String)> {
    let said = format!("[{service}] failpoint ");
    let found: BTreeSet<&str> = log.lines().filter_map(|line| Some(line.trim_end().rsplit_once(&said)?.1)).collect();
    plan.iter().filter(|(point, _)| found.contains(point.as_str())).map(|(point, _)| (service.to_owned(), point.clone())).collect()
}

/// A program of `tests/linux`, and what it writes on Linux.
struct Workload {
    name: &'static str,
    staged: Staged,
    linux: String,
}

impl Workload {
    fn new(name: &'static str) -> Self {
        let staged = Staged::lay_out(&[name.into()]).expect("the program can be compiled");
        let text = fs::read_to_string(root().join(format!("tests/expected/{name}.txt"))).expect("it was made");
        Self { name, staged, linux: Expected::decode(&text).expect("it is whole").output.stdout }
    }
}

/// Runs the workload by a script while servers die by `plans`; `before`, which writes the second of it, comes first, and `after`, which writes nothing, last. What was hit.
fn kill_under_script(workload: &Workload, plans: &[(&str, Plan)], boot: Boot, (before, written, after): (&str, &str, &str)) -> Vec<(String, String)> {
    let boot = plans.iter().fold(boot, |boot, (service, plan)| armed(boot, service, plan));
    let boot = boot.with("--add", format!("{}:/run", workload.staged.guest().display())).within_seconds(400);
    let rounds = format!("/run/programs/{}\n", workload.name).repeat(ROUNDS);
    let outcome = boot.script(&format!("{before}\n{rounds}{after}\n"));
    outcome.expect_output(&(written.to_owned() + &workload.linux.repeat(ROUNDS)));
    plans.iter().flat_map(|(service, plan)| hits(&outcome.log, service, plan)).collect()
}

/// The probe asks for 2 MiB pages, then for room again and again, while files come and half of them go.
fn kill_memory(workload: &Workload) -> Vec<(String, String)> {
    const PROBE: &str = "[[service]]\nname = \"probe\"\npriority = 11\nheap_pages = 8192\ncalls = [\"memory\"]\n";
    const FILES: &str = r#"
        for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
            for kind in kept gone; do head -c 700000 /bin/busybox > /tmp/$kind.$i; done
        done
        rm /tmp/gone.*
        deaths() { /usr/bin/svc list | awk '$1 == "memory" { print $4 }'; }
        await 'sleep 0.3; cat /tmp/kept.* | md5sum; [ $(deaths) -ge $moves ]' > /tmp/sums; sort -u /tmp/sums | wc -l
    "#;
    let early = |point: &str| point.starts_with("huge.");
    let moves = |point: &str| point.starts_with("compact.");
    // The probe asks for 2 MiB pages once, and again if memory died of it twice.
    let mut order: Plan = plan("memory", early).into_iter().map(|(point, _)| (point, 1)).collect();
    order.extend(plan("memory", moves));
    // Nothing else of the workload makes moves: it goes on when memory has died of each.
    let files = format!("{AWAIT}moves={}\n{FILES}", order.len());
    order.extend(plan("memory", |point| !early(point) && !moves(point)));
    // Servers that want pages are rare: files grow until memory has died for all of them.
    let after = format!("await 'looks=$((looks + 1)); head -c 200000 /bin/busybox > /tmp/more.$looks; [ $(deaths) -ge {} ]'", order.len());
    let boot = Boot::new("failpoints-memory").services(PROBE).with("--option", "probe=memory");
    kill_under_script(workload, &[("memory", order)], boot, (&files, "1\n", &after))
}

/// What a person at the terminal meets: commands are typed until every point was hit, and shown as they must be.
fn kill_console(workload: &Workload, order: &Plan) -> Vec<(String, String)> {
    let boot = armed(Boot::new("failpoints-console"), "console", order).with("--add", format!("{}:/run", workload.staged.guest().display()));
    let mut session = boot.within_seconds(400).session();
    session.expect(PROMPT);
    for round in 0..MOST_COMMANDS {
        let command = format!("/run/programs/points flush; echo status $? abcdefghij {round}");
        session.send(&format!("{command}\n"));
        // The editor of the line asks where the cursor is; all else is to the byte.
        let shown = session.expect(PROMPT).replace("\x1b[6n", "");
        let expected = format!("{command}\r\nstatus 0 abcdefghij {round}\r\n");
        assert!(shown.starts_with(&expected), "{shown:?} instead of {expected:?}; log:\n{}", session.log());
        if hits(&session.log(), "console", order).len() == order.len() {
            break;
        }
    }
    hits(&session.log(), "console", order)
}

/// The probe counts by the victim, and checks each count.
fn kill_victim(order: &Plan) -> Vec<(String, String)> {
    let boot = armed(Boot::new("failpoints-victim").services(&victim_and_probe(r#"["victim"]"#)), "victim", order);
    let outcome = boot.script(&format!("{AWAIT}await '/usr/bin/svc log probe | grep -q \"probe: done\"'\n"));
    assert!(outcome.status == 0 && outcome.log.contains("[probe] probe: count ok") && outcome.deaths("probe") == 0, "{outcome}");
    hits(&outcome.log, "victim", order)
}

/// Questions to a model, each of which has the same answer.
fn kill_inference(order: &Plan) -> Vec<(String, String)> {
    let boot = armed(Boot::new("failpoints-inference"), "inference", order).with("--add", model::added());
    let ask = format!("for i in $(seq {MODEL_RUNS}); do llm run {} -p '{}' -n 8 2> /dev/null; echo; done\n", model::PATH, model::PROMPT);
    let outcome = boot.script(&ask);
    outcome.expect_output(&(model::said(8) + "\n").repeat(MODEL_RUNS));
    hits(&outcome.log, "inference", order)
}

/// Each step of each call of posix's table, in the order of the calls, and before that what is no step of one call.
fn kill_posix(workload: &Workload) -> Vec<(String, String)> {
    let calls: BTreeSet<String> = posix::fail::names_of_calls().into_iter().collect();
    let between = [("posix", plan("posix", |point| !calls.contains(point)))];
    let mut hit = kill_under_script(workload, &between, Boot::new("failpoints-posix"), ("", "", ""));
    let steps = [("posix", plan("posix", |point| calls.contains(point)))];
    hit.extend(kill_under_script(&Workload::new("calls"), &steps, Boot::new("failpoints-calls"), ("", "", "")));
    hit
}

/// Tells whoever runs the tests, whether they fail or not: the harness keeps what is printed to itself.
fn tell(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("standard error can be written");
}

#[test]
fn every_failpoint_of_every_server_is_hit_and_no_program_notices() {
    let workload = Workload::new("points");
    let script = |point: &str| point.starts_with("script.");
    let files = |point: &str| point.starts_with("unpack.");
    // While the root file system is unpacked nothing is asked twice.
    let mut vfs: Plan = plan("vfs", files);
    vfs.extend(plan("vfs", |point| !files(point)));
    let with_files = [("vfs", vfs), ("console", plan("console", script))];
    let mut hit: BTreeSet<_> = kill_under_script(&workload, &with_files, Boot::new("failpoints-vfs"), ("", "", "")).into_iter().collect();
    hit.extend(kill_posix(&workload));
    hit.extend(kill_memory(&workload));
    hit.extend(kill_inference(&plan("inference", |_| true)));
    hit.extend(kill_victim(&plan("victim", |_| true)));
    hit.extend(kill_console(&workload, &plan("console", |point| !script(point))));

    let own = |service: &'static str, points: Vec<String>| points.into_iter().map(move |point| (service.to_owned(), point));
    let points: BTreeSet<(String, String)> = all().into_iter().flat_map(|(service, points)| own(service, points)).collect();
    tell(&format!("{} failpoints, {} hit", points.len(), hit.len()));
    for (service, points) in all() {
        let hit = hit.iter().filter(|(name, _)| name == service).count();
        tell(&format!("{service}: {} failpoints, {hit} hit", points.len()));
    }
    for (service, point, reason) in UNREACHABLE {
        tell(&format!("{service}: {point} cannot be reached: {reason}"));
    }
    let missed: BTreeSet<_> = points.difference(&hit).cloned().collect();
    let unreachable: BTreeSet<_> = UNREACHABLE.iter().map(|(service, point, _)| ((*service).to_owned(), (*point).to_owned())).collect();
    assert_eq!(missed, unreachable, "what was not reached is not what cannot be reached");
}

/// A server that declares failpoints is one whose failpoints are tested.
#[test]
fn every_server_with_failpoints_is_in_the_list() {
    fn declares(folder: &std::path::Path) -> bool {
        let mut entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let declared =
            |file: &std::path::Path| fs::read_to_string(file).unwrap_or_default().lines().any(|line| line.starts_with("libsys::failpoints!"));
        entries.any(|path| if path.is_dir() { declares(&path) } else { declared(&path) })
    }
    let folders = fs::read_dir(root().join("servers")).expect("the project can be read").flatten().map(|entry| entry.path());
    let found: BTreeSet<String> =
        folders.filter(|folder| declares(&folder.join("src"))).filter_map(|folder| Some(folder.file_name()?.to_str()?.to_owned())).collect();
    assert_eq!(found, all().into_iter().map(|(service, _)| service.to_owned()).collect());
    for (service, points) in all() {
        assert_eq!(points.iter().collect::<BTreeSet<_>>().len(), points.len(), "{service} has two points of one name");
    }
}
