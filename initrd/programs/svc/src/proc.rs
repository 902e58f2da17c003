//! What /proc/synos says, and the one file that takes commands. The formats are those of posix's `proc::synos`.

use std::fs::{self, OpenOptions};
use std::io::{Error, Write as _};

use crate::Outcome;

const FOLDER: &str = "/proc/synos";

/// A server, by the titles of its line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Service {
    /// Its name.
    pub(crate) name: String,
    /// Title and value of each column, in the file's order.
    pub(crate) columns: Vec<(String, String)>,
}

impl Service {
    /// A column's text; empty for one that this system does not have.
    pub(crate) fn get(&self, title: &str) -> &str {
        self.columns.iter().find(|(known, _)| known == title).map_or("", |(_, value)| value)
    }

    /// A column's number, 0 for what is none.
    pub(crate) fn number(&self, title: &str) -> u64 {
        self.get(title).parse().unwrap_or(0)
    }
}

/// A recorded death: the lines of its paragraph, each split after its first word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Crash(pub(crate) Vec<(String, String)>);

impl Crash {
    /// The first line of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All lines of that name.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The first line of that name as a number, 0 for what is none.
    pub(crate) fn number(&self, name: &str) -> u64 {
        self.get(name).and_then(|value| value.parse().ok()).unwrap_or(0)
    }
}

fn read(file: &str) -> Outcome<String> {
    let path = format!("{FOLDER}/{file}");
    let bytes = fs::read(&path).map_err(|error| format!("{path}: {error}"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// All servers, in the order in which they start.
pub(crate) fn services() -> Outcome<Vec<Service>> {
    Ok(parse_services(&read("services")?))
}

/// All deaths on record, the newest first.
pub(crate) fn crashes() -> Outcome<Vec<Crash>> {
    Ok(parse_crashes(&read("crashes")?))
}

/// What a server's present instance logged last.
pub(crate) fn log(name: &str) -> Outcome<String> {
    read(&format!("log.{name}"))
}

/// What the kernel recorded.
pub(crate) fn trace() -> Outcome<String> {
    read("trace")
}

/// Gives a command.
pub(crate) fn command(text: &str) -> Outcome {
    let path = format!("{FOLDER}/control");
    let written = OpenOptions::new().write(true).open(&path).and_then(|mut file| file.write_all(format!("{text}\n").as_bytes()));
    written.map_err(|error: Error| format!("{text}: {error}").into())
}

fn parse_services(text: &str) -> Vec<Service> {
    let mut lines = text.lines();
    let titles: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
    let service = |line: &str| {
        let columns: Vec<_> = titles.iter().map(|title| (*title).to_owned()).zip(line.split_whitespace().map(str::to_owned)).collect();
        Service { name: line.split_whitespace().next().unwrap_or_default().to_owned(), columns }
    };
    lines.filter(|line| !line.trim().is_empty()).map(service).collect()
}

fn parse_crashes(text: &str) -> Vec<Crash> {
    let line = |line: &str| {
        let (name, value) = line.split_once(' ').unwrap_or((line, ""));
        (name.to_owned(), value.to_owned())
    };
    text.split("\n\n").filter(|part| !part.trim().is_empty()).map(|part| Crash(part.lines().map(line).collect())).collect()
}

#[cfg(test)]
mod tests {
    use super::{parse_crashes, parse_services};

    #[test]
    fn servers_are_read_by_their_titles() {
        let services = parse_services("name state deaths\nmemory up 0\nvfs given-up 12\n");
        assert_eq!(services.len(), 2);
        assert_eq!((services[1].name.as_str(), services[1].get("state"), services[1].number("deaths")), ("vfs", "given-up", 12));
        assert_eq!((services[1].get("nothing"), services[1].number("state")), ("", 0));
    }

    #[test]
    fn deaths_are_paragraphs() {
        let crashes = parse_crashes("service vfs\ncause hung\nlog a b\nlog c\n\nservice posix\ncause killed\n\n");
        assert_eq!(crashes.len(), 2);
        assert_eq!((crashes[0].get("cause"), crashes[0].get("log"), crashes[0].0.len()), (Some("hung"), Some("a b"), 4));
        assert_eq!(crashes[1].get("service"), Some("posix"));
    }
}
