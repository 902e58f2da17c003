//! One server's death, which is there when the command ends: what follows it in a script finds the server dead or its successor.

use std::time::{Duration, Instant};

use crate::{Outcome, proc};

/// By then whoever is to be crashed was, as a rule: the supervisor waits so long for a server that does nothing at all. Nothing is asked of anybody meanwhile, so
/// that the request in hand is not always this program's.
const DOOM: Duration = Duration::from_millis(215);
/// A busy host may take longer, but not for ever.
const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

/// Lets the server die, and waits for that. A hang begins then too; finding it is left to the watchdog.
pub(crate) fn run(name: &str, how: &str) -> Outcome {
    let before = life(name)?;
    let start = Instant::now();
    proc::command(&format!("crash {name} {how}"))?;
    std::thread::sleep(DOOM);
    while how != "hang" && start.elapsed() < PATIENCE && life(name)? == before {
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// A server's instance and state, which its death changes; `None` if there is no such server.
fn life(name: &str) -> Outcome<Option<(u64, String)>> {
    let found = proc::services()?.into_iter().find(|service| service.name == name);
    Ok(found.map(|service| (service.number("instance"), service.get("state").to_owned())))
}
