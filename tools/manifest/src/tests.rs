//! Each rule, broken once; and the manifest that ships.

use std::path::Path;

use protocols::manifest::{ANY_PROCESSOR, OnGivingUp, Quota, Restart};

use super::{Error, Services};

const MEMORY: &str = "[[service]]\nname = \"memory\"\npriority = 28\nheap_pages = 4\n";

fn parse(text: &str) -> Result<Services, Error> {
    Services::parse(&[(Path::new("services.toml"), text)])
}

fn error(text: &str) -> String {
    parse(text).map(|_| ()).expect_err("it is wrong").to_string()
}

fn vfs(lines: &str) -> String {
    format!("{MEMORY}\n[[service]]\nname = \"vfs\"\npriority = 20\nheap_pages = 4\n{lines}\n")
}

#[test]
fn shipped_manifest_is_valid_and_round_trips() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../initrd/services.toml");
    let services = Services::load(&path, None).expect("valid");
    let bytes = services.encode().expect("small");
    assert_eq!(protocols::manifest::Manifest::decode(&bytes).as_ref(), Ok(&services.manifest));
    assert!(services.servers().any(|server| server == ("supervisor", false)));
}

#[test]
fn unknown_service_is_named_with_its_line() {
    assert_eq!(error("[[service]]\nname = \"mermory\"\npriority = 1\nheap_pages = 1\n"), "services.toml:2: there is no service called \"mermory\"");
}

#[test]
fn unknown_peer_is_named_with_its_line() {
    assert_eq!(error(&vfs("calls = [\"memroy\"]")), "services.toml:10: there is no service called \"memroy\"");
}

#[test]
fn unknown_key_is_named_with_its_line() {
    let text = error(&vfs("prioritty = 3"));
    assert!(text.starts_with("services.toml:10: ") && text.contains("prioritty"), "{text}");
}

#[test]
fn call_against_the_order_is_refused() {
    let text = error(&format!("{MEMORY}calls = [\"vfs\"]\n[[service]]\nname = \"vfs\"\npriority = 28\nheap_pages = 1\n"));
    assert!(text.starts_with("services.toml:5: memory may not call vfs"), "{text}");
}

#[test]
fn peer_that_is_not_started_has_no_endpoint() {
    let text = error(&vfs("calls = [\"block\"]"));
    assert!(text.starts_with("services.toml:10: ") && text.contains("has no endpoint"), "{text}");
}

#[test]
fn peer_that_starts_later_is_refused() {
    let text = "[[service]]\nname = \"vfs\"\npriority = 20\nheap_pages = 4\ncalls = [\"memory\"]\n".to_owned() + MEMORY;
    assert!(error(&text).starts_with("services.toml:5: vfs calls memory, which starts later"));
}

#[test]
fn priority_below_a_callers_is_refused() {
    let text = MEMORY.replace("28", "10") + "[[service]]\nname = \"vfs\"\npriority = 20\nheap_pages = 4\ncalls = [\"memory\"]\n";
    assert_eq!(error(&text), "services.toml:9: memory has priority 10, below the 20 of its caller vfs");
}

#[test]
fn priority_of_the_supervisor_is_refused() {
    assert!(error(&MEMORY.replace("28", "30")).contains("not below the supervisor's"));
}

#[test]
fn processor_is_one_that_some_machine_has_or_any() {
    let processor = |lines: &str| parse(&vfs(lines)).expect("valid").manifest.services[1].processor;
    assert_eq!([processor(""), processor("processor = 0"), processor("processor = 7")], [ANY_PROCESSOR, 0, 7]);
    assert_eq!(error(&vfs("processor = 8")), "services.toml:10: processor 8: 0 to 7 are possible");
}

#[test]
fn vector_registers_are_for_those_that_ask_and_say_where_they_run() {
    let servers = |lines: &str| parse(&vfs(lines)).map(|services| services.servers().map(|(_, fpu)| fpu).collect::<Vec<_>>());
    assert_eq!(servers("").ok(), Some(vec![false, false, false]));
    assert_eq!(servers("fpu = false").ok(), Some(vec![false, false, false]));
    assert_eq!(servers("processor = 1\nfpu = true").ok(), Some(vec![false, false, true]));
    assert!(error(&vfs("rootfs = true\nfpu = true")).starts_with("services.toml:11: fpu without processor"));
}

#[test]
fn buyer_needs_a_vault() {
    assert!(error(&vfs("buys_percent = 10")).starts_with("services.toml:10: buys_percent needs a vault"));
}

#[test]
fn quota_is_read_and_one_that_makes_no_sense_is_named_with_its_line() {
    let quota = |lines: &str| parse(&vfs(lines)).expect("valid").manifest.services[1].quota;
    assert_eq!(quota(""), Quota::default());
    assert_eq!(quota("keeps = 8\nbuys_percent = 80"), Quota { percent: 80, pages: u32::MAX });
    assert_eq!(quota("keeps = 8\nbuys_percent = 1\nbuys_pages = 300"), Quota { percent: 1, pages: 300 });
    for (lines, what) in [
        ("buys_percent = 81\nkeeps = 8", "buys_percent 81 makes 81 for all services"),
        ("buys_pages = 9\nkeeps = 8", "buys_pages without buys_percent"),
        ("buys_percent = 9\nkeeps = 8\nbuys_pages = 0", "buys_pages 0"),
    ] {
        let text = error(&vfs(lines));
        assert!(text.starts_with("services.toml:10: ") && text.contains(what), "{text}");
    }
    let memory = MEMORY.to_owned() + "keeps = 8\nbuys_percent = 50\n";
    let both = memory + "[[service]]\nname = \"vfs\"\npriority = 20\nheap_pages = 4\nkeeps = 8\nbuys_percent = 31\n";
    assert_eq!(error(&both), "services.toml:12: buys_percent 31 makes 81 for all services, of which 80 may be promised");
}

#[test]
fn overlay_changes_a_quota() {
    let base = vfs("keeps = 8\nbuys_percent = 50");
    let load = |overlay: &str| Services::parse(&[(Path::new("a.toml"), base.as_str()), (Path::new("b.toml"), overlay)]);
    let services = load("[[policy]]\nname = \"vfs\"\nbuys_pages = 64\n").expect("valid");
    assert_eq!(services.manifest.services[1].quota, Quota { percent: 50, pages: 64 });
    let error = load("[[policy]]\nname = \"vfs\"\nbuys_percent = 90\n").map(|_| ()).expect_err("too much").to_string();
    assert!(error.starts_with("b.toml:3: buys_percent 90"), "{error}");
}

#[test]
fn devices_out_of_range_are_refused() {
    assert!(error(&vfs("irqs = [24]")).starts_with("services.toml:10: there is no interrupt line 24"));
    assert!(error(&vfs("ports = [{ first = 0xffff, count = 2 }]")).contains("65536"));
}

#[test]
fn device_of_another_service_is_refused() {
    let memory = |lines: &str| format!("{MEMORY}{lines}\n[[service]]\nname = \"vfs\"\npriority = 20\nheap_pages = 4\n");
    let ports = memory("ports = [{ first = 0x3f8, count = 8 }]");
    assert_eq!(error(&format!("{ports}ports = [{{ first = 0x3ff, count = 1 }}]\n")), "services.toml:10: memory has some of these ports");
    assert!(parse(&format!("{ports}ports = [{{ first = 0x400, count = 1 }}]\n")).is_ok());
    assert_eq!(error(&format!("{}irqs = [4]\n", memory("irqs = [4]"))), "services.toml:10: memory has interrupt line 4");
}

#[test]
fn doubled_service_is_refused_and_an_overlay_replaces_it() {
    assert!(error(&format!("{MEMORY}{MEMORY}")).contains("another service called"));
    let overlay = MEMORY.replace("28", "27");
    let files = [(Path::new("a.toml"), MEMORY), (Path::new("b.toml"), overlay.as_str())];
    let services = Services::parse(&files).expect("valid");
    assert_eq!(services.manifest.services.iter().map(|service| service.priority).collect::<Vec<_>>(), [27]);
}

#[test]
fn policy_has_defaults_and_each_of_its_fields_can_be_written() {
    let policy = |lines: &str| parse(&vfs(lines)).expect("valid").manifest.services[1].policy;
    let default = policy("");
    assert_eq!((default.restart, default.on_giving_up), (Restart::Always, OnGivingUp::Close));
    assert_eq!([default.backoff_ms, default.backoff_most_ms, default.burst, default.per_ms, default.watchdog_ms], [10, 10_000, 10, 8000, 5000]);
    assert_eq!(default.helper_watchdog_ms, 0);
    let written = policy("restart = \"never\"\non_giving_up = \"power-off\"\nbackoff_ms = [1, 2]\nburst = 3\nper_ms = 4\nwatchdog_ms = 500");
    assert_eq!((written.restart, written.on_giving_up), (Restart::Never, OnGivingUp::PowerOff));
    assert_eq!([written.backoff_ms, written.backoff_most_ms, written.burst, written.per_ms, written.watchdog_ms], [1, 2, 3, 4, 500]);
}

#[test]
fn policy_that_makes_no_sense_is_named_with_its_line() {
    for (line, what) in [
        ("restart = \"sometimes\"", "sometimes"),
        ("on_giving_up = \"panic\"", "panic"),
        ("backoff_ms = [0, 9]", "backoff_ms [0, 9]"),
        ("backoff_ms = [9, 8]", "backoff_ms [9, 8]"),
        ("burst = 0", "burst 0"),
        ("per_ms = 0", "per_ms 0"),
        ("watchdog_ms = 99", "watchdog_ms 99"),
        ("helper_watchdog_ms = 500", "helper_watchdog_ms without helpers"),
        ("helper_watchdog_ms = 99\nhelpers = 1\nhelper_priority = 4", "helper_watchdog_ms 99"),
    ] {
        let text = error(&vfs(line));
        assert!(text.starts_with("services.toml:10: ") && text.contains(what), "{text}");
    }
}

#[test]
fn helpers_run_below_the_threads_that_receive() {
    let helpers =
        |lines: &str| parse(&vfs(lines)).map(|services| (services.manifest.services[1].helpers, services.manifest.services[1].helper_priority));
    assert_eq!(helpers("helpers = 2\nhelper_priority = 19").ok(), Some((2, 19)));
    assert!(error(&vfs("helpers = 1\nhelper_priority = 20")).starts_with("services.toml:11: helper_priority 20"));
    assert!(error(&vfs("helpers = 1")).contains("helper_priority 0"));
    assert!(error(&vfs("helper_priority = 4")).starts_with("services.toml:10: helper_priority without"));
    let watched = parse(&vfs("helpers = 1\nhelper_priority = 19\nhelper_watchdog_ms = 500")).expect("valid");
    assert_eq!(watched.manifest.services[1].policy.helper_watchdog_ms, 500);
    assert!(error(&vfs("threads = 5\nhelpers = 4\nhelper_priority = 4")).starts_with("services.toml:11: 5 threads and 4 helpers"));
}

#[test]
fn overlay_changes_the_policy_of_a_service_and_nothing_else() {
    let base = vfs("burst = 3\nper_ms = 7");
    let load = |overlay: &str| Services::parse(&[(Path::new("a.toml"), base.as_str()), (Path::new("b.toml"), overlay)]);
    let services = load("[[policy]]\nname = \"vfs\"\nburst = 64\n").expect("valid");
    let vfs = &services.manifest.services[1];
    assert_eq!((vfs.policy.burst, vfs.policy.per_ms, vfs.priority), (64, 7, 20));
    let error = |overlay: &str| load(overlay).map(|_| ()).expect_err("it is wrong").to_string();
    assert_eq!(error("\n[[policy]]\nname = \"vsf\"\n"), "b.toml:3: there is no service called \"vsf\" to have this policy");
    assert!(error("[[policy]]\nname = \"vfs\"\nburst = 0\n").starts_with("b.toml:3: burst 0"));
    assert!(error("[[policy]]\nname = \"vfs\"\npriority = 3\n").starts_with("b.toml:3: "));
}
