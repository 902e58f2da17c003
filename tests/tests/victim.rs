//! One server calls another across address spaces; the callee dies in four ways; the caller's stub sends its request again and succeeds.

use tests::{AWAIT, Boot, victim_and_probe};

/// Deaths that the probe does not notice, and two of a request that is poison: it is refused, and the victim serves on. Its helper works at a priority of
/// its own while the victim answers, and dies with its instance.
#[test]
fn probe_sees_results_and_one_refusal_while_the_victim_dies_seven_times() {
    let outcome = Boot::new("victim")
        .services(&victim_and_probe(r#"["victim"]"#))
        .script(&format!("{AWAIT}await '/usr/bin/svc log probe | grep -q \"probe: done\"'\n"));
    for check in ["add", "echo", "count", "panic", "wild", "overflow", "hang", "poison", "helper"] {
        assert!(outcome.log.contains(&format!("probe: {check} ok")), "{check}: {outcome}");
    }
    assert_eq!(outcome.deaths("victim"), 7, "{outcome}");
    assert_eq!(outcome.deaths("probe"), 0, "{outcome}");
}
