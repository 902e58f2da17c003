//! What threads do, as the kernel records it: operations, Linux calls, exceptions, interrupts, and who runs.
//!
//! The kernel's ring is recorded for a moment and read when that is over, round after round: reading it is work that would be recorded too and drive out what is to
//! be seen.

use std::time::Duration;

use crate::{Outcome, print, proc, show};

/// How long one round records. A busy machine goes round the ring several times meanwhile, and the newest records are shown.
const ROUND: Duration = Duration::from_millis(100);

/// What is to be shown.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Of whom: a server's name, one of its threads (`vfs.0`), or the number of a program's thread; everybody when absent.
    who: Option<String>,
    /// Records to show before it ends; it goes on until a signal comes when absent.
    most: Option<usize>,
}

impl Options {
    /// From the words behind `trace`.
    pub(crate) fn parse(words: &[&str]) -> Outcome<Self> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "-n" => options.most = Some(words.next().ok_or("-n wants a number")?.parse()?),
                name if options.who.is_none() && !name.starts_with('-') => options.who = Some(name.into()),
                other => return Err(format!("trace: {other}?").into()),
            }
        }
        Ok(options)
    }

    fn shows(&self, record: &Record<'_>) -> bool {
        let Some(wanted) = &self.who else { return true };
        record.who == wanted || record.who.split_once('.').is_some_and(|(server, _)| server == wanted)
    }
}

/// A record, by its words.
#[derive(Debug, PartialEq, Eq)]
struct Record<'a> {
    at_us: u64,
    who: &'a str,
    what: &'a str,
    detail: &'a str,
    word: &'a str,
}

impl<'a> Record<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let at_us = words.next()?.parse().ok()?;
        Some(Self { at_us, who: words.next()?, what: words.next()?, detail: words.next()?, word: words.next()? })
    }

    fn line(&self, json: bool) -> String {
        let Self { at_us, who, what, detail, word } = self;
        if json {
            let [who, what, detail, word] = [who, what, detail, word].map(|text| show::quoted(text));
            return format!("{{\"at_us\":{at_us},\"who\":{who},\"what\":{what},\"detail\":{detail},\"word\":{word}}}\n");
        }
        format!("{:>6}.{:06} {who:<14}{what:<11}{detail:<24}{word}\n", at_us / 1_000_000, at_us % 1_000_000)
    }
}

/// Records and shows, round after round.
pub(crate) fn run(options: &Options, json: bool) -> Outcome {
    let mut left = options.most.unwrap_or(usize::MAX);
    let mut shown_us = 0;
    while left > 0 {
        proc::command("trace on")?;
        std::thread::sleep(ROUND);
        proc::command("trace off")?;
        let text = proc::trace()?;
        let records = text.lines().filter_map(Record::parse).filter(|record| record.at_us > shown_us);
        let wanted: Vec<_> = records.filter(|record| options.shows(record)).take(left).collect();
        left -= wanted.len();
        shown_us = wanted.last().map_or(shown_us, |record| record.at_us);
        print(&wanted.iter().map(|record| record.line(json)).collect::<String>())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Options, Record};

    const LINE: &str = "     1234567 vfs.0 operation ReplyReceive:4 0x7\n";

    #[test]
    fn options_name_whom_and_how_many() {
        let parsed = |words: &[&str]| Options::parse(words).ok();
        assert_eq!(parsed(&[]), Some(Options::default()));
        assert_eq!(parsed(&["vfs", "-n", "5"]), Some(Options { who: Some("vfs".into()), most: Some(5) }));
        assert_eq!(parsed(&["-n", "5", "vfs"]), Some(Options { who: Some("vfs".into()), most: Some(5) }));
        for wrong in [&["-n"][..], &["-n", "x"], &["vfs", "posix"], &["-x"]] {
            assert!(parsed(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn server_is_all_of_its_threads() {
        let record = Record::parse(LINE).expect("a record");
        let shows = |who: &str| Options { who: Some(who.into()), most: None }.shows(&record);
        assert!(shows("vfs") && shows("vfs.0") && !shows("vfs.1") && !shows("vf") && Options::default().shows(&record));
    }

    #[test]
    fn record_is_a_line_for_people_or_json() {
        let record = Record::parse(LINE).expect("a record");
        assert_eq!(record.line(false), "     1.234567 vfs.0         operation  ReplyReceive:4          0x7\n");
        assert_eq!(
            record.line(true),
            "{\"at_us\":1234567,\"who\":\"vfs.0\",\"what\":\"operation\",\"detail\":\"ReplyReceive:4\",\"word\":\"0x7\"}\n"
        );
        assert_eq!(Record::parse("12 vfs.0 runs"), None, "cut short");
    }
}
