//! A load that never writes anything else, whatever happens to the servers: by its output alone one knows whether a byte is wrong.

use crate::{Boot, model};

/// Every server that may die.
pub const SERVERS: [&str; 5] = ["memory", "vfs", "console", "inference", "posix"];
/// The one that has helpers which are watched.
const HAS_HELPERS: &str = "inference";

/// One to any number of rounds (`rounds=N` before it; -1 never ends), whose steps are counted from 1 each time that it is begun, and begin with a stamp.
pub const LOAD: &str = include_str!("../soak/src/chaos/block.sh");

/// A policy for a server that dies on purpose, which is no loop. If it stands still for so long, it hangs.
#[must_use]
pub fn policy(server: &str, watchdog_ms: u32) -> String {
    let helpers = if server == HAS_HELPERS { format!("helper_watchdog_ms = {watchdog_ms}\n") } else { String::new() };
    format!("burst = 255\nbackoff_ms = [1, 1]\nwatchdog_ms = {watchdog_ms}\n{helpers}")
}

/// A boot with the model that the load asks, and that policy for these servers.
#[must_use]
pub fn boot(name: &str, servers: &[&str], watchdog_ms: u32) -> Boot {
    let boot = Boot::new(name).with("--add", model::added());
    servers.iter().fold(boot, |boot, server| boot.policy(server, &policy(server, watchdog_ms)))
}

/// What each time that the load was begun wrote, without the time in its stamps.
#[must_use]
pub fn rounds(output: &str) -> Vec<String> {
    let timeless = |line: &str| match line.strip_prefix("=== ").and_then(|stamp| stamp.split_once(' ')) {
        Some((step, _time)) => format!("=== {step}\n"),
        None => line.to_owned(),
    };
    let text: String = output.split_inclusive('\n').map(timeless).collect();
    text.split_inclusive("=== 1\n").skip(1).map(|round| round.trim_end_matches("=== 1\n").to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::rounds;

    #[test]
    fn rounds_have_no_times_and_the_last_one_may_be_cut() {
        let output = "before\n=== 1 0.10\na\n=== 2 0.20\nb\n=== 1 0.30\na\n=== 2 0.40\nb\n=== 1 0.50\na";
        assert_eq!(rounds(output), ["a\n=== 2\nb\n", "a\n=== 2\nb\n", "a"]);
    }
}
