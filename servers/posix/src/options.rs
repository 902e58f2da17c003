//! This run's options, as far as posix is concerned.

use alloc::string::String;
use alloc::vec::Vec;

/// What the options' text says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// A script that is the only session.
    pub script: Option<Vec<u8>>,
    /// `TERM` of the console's shell.
    pub terminal: Option<String>,
    /// Programs call for the time even where they could read it (`clock=call`).
    pub clock_calls: bool,
    /// Programs stay on the first processor (`place=first`).
    pub on_first: bool,
}

impl Options {
    /// Reads one `key=value` a line; what is not known is for somebody else.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut options = Self::default();
        for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
            match key.trim() {
                "script" => options.script = Some(value.trim().as_bytes().to_vec()),
                "clock" => options.clock_calls = value.trim() == "call",
                "place" => options.on_first = value.trim() == "first",
                "term" => options.terminal = Some(String::from(value.trim())),
                _ => {}
            }
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    #[test]
    fn options_are_read_by_line() {
        let options = Options::parse("slowpath\nscript=/run/script\nfail=vfs:x:1\nterm=vt100\nclock=call\nplace=first");
        assert!(options.clock_calls && options.on_first);
        assert_eq!(options.script.as_deref(), Some(b"/run/script".as_slice()));
        assert_eq!(options.terminal.as_deref(), Some("vt100"));
        assert_eq!(Options::parse(""), Options::default());
    }
}
