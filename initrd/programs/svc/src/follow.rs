//! A log that goes on, over the deaths of the server that writes it.
//!
//! The file shows what the present instance logged last, so what is new is found by the overlap with what was shown. What an instance logged just before it died
//! is in the record of its death; an instance's own number tells its log from a successor's, which may begin with the same lines.

use std::time::Duration;

use crate::proc::{Crash, Service};
use crate::{Outcome, crashes_of, known, print, proc, show};

const PAUSE: Duration = Duration::from_millis(500);

/// Prints what a server's present instance logged.
pub(crate) fn once(service: &Service, json: bool) -> Outcome {
    let (instance, text) = present(&service.name)?;
    print(&show::log(&service.name, &[Part { instance, text }], json))
}

/// Prints a server's log, and what comes to it, until a signal ends this program.
pub(crate) fn run(service: &Service, json: bool) -> Outcome {
    let mut shown = Part { instance: service.number("instance"), text: String::new() };
    loop {
        let (instance, log) = present(&service.name)?;
        // Asked for last, so that whoever lived before that instance is on record.
        let deaths = crashes_of(&service.name)?;
        print(&show::log(&service.name, &shown.fresh(instance, log, &deaths), json))?;
        std::thread::sleep(PAUSE);
    }
}

/// An instance and what it logged: of one and the same, though it may be replaced meanwhile.
fn present(name: &str) -> Outcome<(u64, String)> {
    loop {
        let before = known(name)?.number("instance");
        let log = proc::log(name)?;
        if known(name)?.number("instance") == before {
            return Ok((before, log));
        }
    }
}

/// Whole lines of a log, and whose: those that came just now, or all that were shown of an instance.
#[derive(Debug, PartialEq)]
pub(crate) struct Part {
    /// Who logged them.
    pub(crate) instance: u64,
    /// The lines.
    pub(crate) text: String,
}

impl Part {
    /// What was not shown yet, of `instance`, which logged `log`, and of those that died before it; `deaths` has the newest first.
    fn fresh(&mut self, instance: u64, log: String, deaths: &[Crash]) -> Vec<Self> {
        let mut parts = Vec::new();
        for death in deaths.iter().rev() {
            let died = death.number("instance");
            if died >= self.instance {
                parts.push(self.more(died, last_lines(death)));
                *self = Self { instance: died + 1, text: String::new() };
            }
        }
        if instance >= self.instance {
            parts.push(self.more(instance, log));
        }
        parts
    }

    /// What `log`, of `instance`, has beyond what was shown; from now on it is shown.
    fn more(&mut self, instance: u64, log: String) -> Self {
        let before = if instance == self.instance { core::mem::take(&mut self.text) } else { String::new() };
        let start = overlap(&before, &log);
        *self = Self { instance, text: log };
        Self { instance, text: self.text.get(start..).unwrap_or_default().to_owned() }
    }
}

fn last_lines(death: &Crash) -> String {
    death.all("log").map(|line| format!("{line}\n")).collect()
}

/// Bytes of the longest end of `before` that `now` begins with.
fn overlap(before: &str, now: &str) -> usize {
    let starts = before.char_indices().map(|(start, _)| start);
    starts.filter_map(|start| before.get(start..)).find(|end| now.starts_with(end)).map_or(0, str::len)
}

#[cfg(test)]
mod tests {
    use super::{Part, overlap};
    use crate::proc::Crash;

    fn death(instance: u64, log: &[&str]) -> Crash {
        let lines = log.iter().map(|line| ("log".to_owned(), (*line).to_owned()));
        Crash(core::iter::once(("instance".to_owned(), instance.to_string())).chain(lines).collect())
    }

    /// All that is new, whoever logged it.
    fn fresh(shown: &mut Part, instance: u64, log: &str, deaths: &[Crash]) -> String {
        shown.fresh(instance, log.into(), deaths).into_iter().map(|part| part.text).collect()
    }

    #[test]
    fn only_what_is_new_is_shown() {
        for (before, now, new) in [
            ("", "a\nb\n", "a\nb\n"),
            ("a\nb\n", "a\nb\nc\n", "c\n"),
            // The oldest line was dropped.
            ("a\nb\n", "b\nc\n", "c\n"),
            ("a\n", "a\n", ""),
        ] {
            assert_eq!(&now[overlap(before, now)..], new);
            let mut shown = Part { instance: 1, text: before.into() };
            assert_eq!(fresh(&mut shown, 1, now, &[]), new);
            assert_eq!(fresh(&mut shown, 1, now, &[]), "");
        }
    }

    #[test]
    fn successor_that_logs_the_same_is_shown_too() {
        let mut shown = Part { instance: 2, text: String::new() };
        let deaths = [death(2, &["up"]), death(1, &["long ago"])];
        assert_eq!(fresh(&mut shown, 2, "up\n", &deaths[1..]), "up\n");
        assert_eq!(fresh(&mut shown, 3, "up\n", &deaths), "up\n");
        assert_eq!(fresh(&mut shown, 3, "up\n", &deaths), "");
    }

    #[test]
    fn last_words_are_shown_once_though_nobody_looked_in_time() {
        let mut shown = Part { instance: 1, text: "up\n".into() };
        // Nobody serves: there is no log, and the instance is still the dead one's.
        assert_eq!(fresh(&mut shown, 1, "", &[death(1, &["up", "panicked"])]), "panicked\n");
        assert_eq!(fresh(&mut shown, 1, "", &[death(1, &["up", "panicked"])]), "");
        let deaths = [death(2, &["up", "again"]), death(1, &["up", "panicked"])];
        let part = |instance: u64, text: &str| Part { instance, text: text.into() };
        assert_eq!(shown.fresh(3, "up\n".into(), &deaths), [part(2, "up\nagain\n"), part(3, "up\n")]);
    }
}
