//! One server calls another across address spaces; the callee dies in four ways; the caller's stub sends its request again and succeeds.

use tests::Boot;

/// Only what this test needs: memory is the pager, the probe calls the victim.
const SERVICES: &str = r#"
[[service]]
name = "victim"
priority = 20
helpers = 1
helper_priority = 3
heap_pages = 16
saved_pages = 64
calls = ["memory"]

[[service]]
name = "probe"
priority = 10
heap_pages = 16
saved_pages = 16
calls = ["victim"]
"#;

/// Deaths that the probe does not notice, and two of a request that is poison: it is refused, and the victim serves on. Its helper works at a priority of
/// its own while the victim answers, and dies with its instance.
#[test]
fn probe_sees_results_and_one_refusal_while_the_victim_dies_seven_times() {
    let outcome = Boot::new("victim").services(SERVICES).script("sleep 15");
    for check in ["add", "echo", "panic", "wild", "overflow", "hang", "poison", "helper"] {
        assert!(outcome.log.contains(&format!("probe: {check} ok")), "{check}: {outcome}");
    }
    assert_eq!(outcome.deaths("victim"), 7, "{outcome}");
    assert_eq!(outcome.deaths("probe"), 0, "{outcome}");
}
