//! A log that goes on. The file shows what an instance logged last, and begins anew with a successor, so what is new is found by the overlap.

use std::time::Duration;

use crate::{Outcome, print, proc};

const PAUSE: Duration = Duration::from_millis(500);

/// Prints a server's log, and what comes to it, until a signal ends this program.
pub(crate) fn run(name: &str) -> Outcome {
    let mut shown = String::new();
    loop {
        let now = proc::log(name)?;
        print(fresh(&shown, &now))?;
        shown = now;
        std::thread::sleep(PAUSE);
    }
}

/// What of `now` comes after the longest end of `before` that it begins with.
fn fresh<'a>(before: &str, now: &'a str) -> &'a str {
    let starts = before.char_indices().map(|(start, _)| start);
    let overlap = starts.filter_map(|start| before.get(start..)).find(|end| now.starts_with(end)).map_or(0, str::len);
    now.get(overlap..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::fresh;

    #[test]
    fn only_what_is_new_is_shown() {
        assert_eq!(fresh("", "a\nb\n"), "a\nb\n");
        assert_eq!(fresh("a\nb\n", "a\nb\nc\n"), "c\n");
        assert_eq!(fresh("a\nb\n", "b\nc\n"), "c\n", "the oldest line was dropped");
        assert_eq!(fresh("a\nb\n", "x\n"), "x\n", "a successor's log");
        assert_eq!(fresh("a\n", "a\n"), "");
    }
}
