//! Each rule, broken once; and the manifest that ships.

use std::path::Path;

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
    assert!(services.servers().any(|name| name == "supervisor"));
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
    assert!(error(&vfs("calls = [\"block\"]")).contains("has no endpoint"));
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
fn buyer_needs_a_vault() {
    assert!(error(&vfs("buys_memory = true")).contains("keeps is 0"));
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
