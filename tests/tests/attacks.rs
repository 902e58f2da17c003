//! The kernel under attack by a native server: what it must refuse is refused, and nobody else notices.
//!
//! The attacks are the probe's (`servers/probe/src/attack.rs`), which makes those on handles from a table of all operations. All are run in one boot, on two
//! processors; each test looks at one of them. Those of Linux programs are cases of `tests/tests/scripts.rs`: traps.c, instructions.c, fpu.c.

use std::fs;
use std::sync::LazyLock;

use tests::{AWAIT, Boot, Outcome, root};

static ATTACKED: LazyLock<Outcome> = LazyLock::new(|| {
    let overlay = fs::read_to_string(root().join("servers/probe/attack.toml")).expect("it is there");
    let boot = Boot::new("attacks").services(&overlay).with("--option", "probe=attack").with("--smp", "2").within_seconds(400);
    let script = "await '/usr/bin/svc log probe | grep -q \"probe: done\"'; seq 1 100 | sort -rn | tail -n 1; echo alive > /tmp/f; cat /tmp/f\n";
    boot.script(&format!("{AWAIT}{script}"))
});

/// The attack was made so often, or oftener, each time in vain; and no server died of it.
#[track_caller]
fn repelled(attack: &str, least: u64) {
    let told = ATTACKED.log.lines().find_map(|line| line.split_once(&format!("probe: attack {attack}: "))).map(|(_, told)| told.trim());
    let told = told.unwrap_or_else(|| panic!("{attack}: {}", *ATTACKED));
    let attempts = told.strip_prefix("repelled, ").and_then(|told| told.strip_suffix(" attempts")?.parse::<u64>().ok());
    println!("{attack}: {told}");
    assert!(attempts.is_some_and(|attempts| attempts >= least), "{attack}: {told}");
    assert!(ATTACKED.status == 0 && ATTACKED.stdout == "1\nalive\n" && !ATTACKED.log.contains(" died, instance"), "{}", *ATTACKED);
}

#[test]
fn process_without_capabilities_gets_nothing() {
    repelled("without capabilities", 256 * 7);
}

#[test]
fn capability_of_a_wrong_kind_is_refused_by_every_operation() {
    repelled("wrong kinds", 400);
}

#[test]
fn capability_without_rights_is_refused_by_every_operation() {
    repelled("without rights", 45);
}

#[test]
fn second_capability_of_a_wrong_kind_is_refused() {
    repelled("wrong arguments", 200);
}

#[test]
fn handle_of_what_is_no_more_is_refused_by_every_operation() {
    repelled("stale handles", 140);
}

#[test]
fn instructions_of_the_kernel_are_exceptions() {
    repelled("instructions", 40);
}

#[test]
fn wild_stacks_and_jumps_and_a_call_at_the_end_of_user_space_are_survived() {
    repelled("addresses", 30);
}

#[test]
fn flags_that_are_not_a_programs_do_not_stay() {
    repelled("flags", 60);
}

#[test]
fn storms_of_calls_and_signals_hurt_nobody_else() {
    repelled("storms", 1500);
}

#[test]
fn leases_of_what_is_not_there_give_nothing() {
    repelled("leases", 20);
}

#[test]
fn what_is_unmapped_during_a_copy_is_copied_whole_or_missing() {
    repelled("unmapping", 60);
}

#[test]
fn registers_that_are_rewritten_while_they_are_set_are_those_that_were_checked() {
    repelled("rewriting", 500);
}
