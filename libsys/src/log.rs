//! The system's log: lines of text, each with the service's name.

pub mod ring;

use core::fmt::{self, Write};

use protocols::service::Service;

use crate::{start, syscall};

/// Most bytes of a line; the rest is cut off.
pub const MAX_LINE: usize = 512;

/// Writes a line to the system's log, with the arguments of `format!`.
#[macro_export]
macro_rules! log {
    ($($argument:tt)*) => {
        $crate::log::line(::core::format_args!($($argument)*))
    };
}

/// Text of bounded length: what does not fit is cut off between characters.
#[derive(Debug, Default)]
pub struct Line<const N: usize> {
    text: heapless::String<N>,
}

impl<const N: usize> Line<N> {
    /// Without text.
    #[must_use]
    pub const fn new() -> Self {
        Self { text: heapless::String::new() }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl<const N: usize> Write for Line<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|character| self.text.push(character).map_err(|_| fmt::Error))
    }
}

/// Writes a line; [`log!`] is the short form.
pub fn line(arguments: fmt::Arguments<'_>) {
    let name = start::try_info().and_then(|info| Service::from_id(info.service)).unwrap_or(Service::Supervisor).name();
    let mut line = Line::<{ MAX_LINE - 1 }>::new();
    // An error says that the line is full; its start is still worth writing.
    let _cut_off = write!(line, "[{name}] {arguments}");
    let mut bytes = heapless::Vec::<u8, MAX_LINE>::new();
    let _fits = bytes.extend_from_slice(line.as_str().as_bytes());
    let _fits = bytes.push(b'\n');
    syscall::log(&bytes);
    if start::try_info().is_some() {
        ring::append(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::Line;
    use core::fmt::Write;

    #[test]
    fn text_that_does_not_fit_is_cut_between_characters() {
        let mut line = Line::<5>::new();
        assert!(line.write_str("äää").is_err());
        assert_eq!(line.as_str(), "ää");
    }
}
