//! Reading what the driver tells: see `driver.sh` for the lines.
//!
//! The guest may stop at any byte. A case counts only from `:case` to `:status`; the one that was running when the text ended is
//! named, so that the others can have another boot.

use super::Output;

/// What the driver told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The cases that ended, in their order: name, and what was left behind or why that cannot be read.
    pub cases: Vec<(String, Result<Output, String>)>,
    /// The case that had begun and not ended.
    pub unfinished: Option<String>,
    /// Whether the driver came to its end.
    pub complete: bool,
}

/// Reads the driver's output; lines that are none of its own stand before the first case, or are damage within one.
#[must_use]
pub fn read(text: &str) -> Told {
    let mut told = Told::default();
    let mut frame: Option<Frame> = None;
    for line in text.lines() {
        let line = line.trim_end_matches('\r');
        if let Some(name) = line.strip_prefix(":case ") {
            frame = Some(Frame { name: name.into(), ..Frame::default() });
        } else if line == ":end" {
            told.complete = true;
        } else if let Some(mut begun) = frame.take() {
            match line.strip_prefix(":status ") {
                Some(status) => told.cases.push((begun.name.clone(), begun.finish(status))),
                None => {
                    begun.take_line(line);
                    frame = Some(begun);
                }
            }
        }
    }
    told.unfinished = frame.map(|frame| frame.name);
    told
}

/// A case between its first and its last line.
#[derive(Default)]
struct Frame {
    name: String,
    /// The base64 text of both streams.
    streams: [String; 2],
    /// Which of them is being told.
    at: Option<usize>,
}

impl Frame {
    fn take_line(&mut self, line: &str) {
        match (line, self.at) {
            (":stdout", _) => self.at = Some(0),
            (":stderr", _) => self.at = Some(1),
            (line, Some(at)) => self.streams[at].push_str(line),
            (_, None) => {}
        }
    }

    fn finish(self, status: &str) -> Result<Output, String> {
        let [stdout, stderr] = self.streams;
        Ok(Output {
            stdout: text(&stdout).map_err(|why| format!("its standard output {why}"))?,
            stderr: text(&stderr).map_err(|why| format!("its standard error {why}"))?,
            status: status.parse().map_err(|_| format!("its status is {status:?}"))?,
        })
    }
}

fn text(encoded: &str) -> Result<String, &'static str> {
    let bytes = decode(encoded).ok_or("came damaged")?;
    String::from_utf8(bytes).map_err(|_| "is not text")
}

/// Base64 (RFC 4648, section 4).
fn decode(encoded: &str) -> Option<Vec<u8>> {
    if !encoded.len().is_multiple_of(4) {
        return None;
    }
    let digits = encoded.trim_end_matches('=');
    if encoded.len() - digits.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    let (mut word, mut bits) = (0u32, 0);
    for digit in digits.bytes() {
        word = word << 6 | u32::from(value(digit)?);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((word >> bits & 0xff) as u8);
        }
    }
    Some(bytes)
}

fn value(digit: u8) -> Option<u8> {
    Some(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_read_in_their_order() {
        let told = read("noise\n:case a\n:stdout\naGVs\nbG8K\n:stderr\n:status 3\n:case b\n:stdout\n:stderr\nIQ==\n:status 0\n:end\n");
        let a = Output { stdout: "hello\n".into(), stderr: String::new(), status: 3 };
        let b = Output { stdout: String::new(), stderr: "!".into(), status: 0 };
        assert_eq!(told, Told { cases: vec![("a".into(), Ok(a)), ("b".into(), Ok(b))], unfinished: None, complete: true });
    }

    #[test]
    fn the_case_that_was_running_at_the_end_is_named() {
        let told = read(":case a\n:stdout\n:stderr\n:status 0\n:case b\n:stdout\naGV");
        assert_eq!((told.cases.len(), told.unfinished.as_deref(), told.complete), (1, Some("b"), false));
    }

    #[test]
    fn damage_is_told_and_costs_only_its_case() {
        let told = read(
            ":case a\n:stdout\naGV\n:stderr\n:status 0\n:case b\n:stdout\n/w==\n:stderr\n:status 0\n:case c\n:stdout\n:stderr\n:status x\n:end\n",
        );
        let problems: Vec<String> = told.cases.into_iter().filter_map(|(_, output)| output.err()).collect();
        assert_eq!(problems, ["its standard output came damaged", "its standard output is not text", "its status is \"x\""]);
    }
}
