//! Files of `tests/expected`: what a case leaves behind on Linux, and with what that was found out.
//!
//! ```text
//! # Made on Linux by `cargo xtask expect`, never by hand.
//! kernel: linux-image-6.1.0-1-cloud-amd64 6.1.1-1 sha256:...
//! busybox: sha256:...
//! source: sha256:...
//! ==== stdout
//! hello
//! ==== stderr
//! ==== status
//! 0
//! ```
//! The text is kept as it is, so that a person and `git diff` can read it. A stream whose last line has no newline says so in its
//! marker; a stream with a line that looks like a marker is refused.

use std::fmt::Write;

use super::Output;

const FIRST_LINE: &str = "# Made on Linux by `cargo xtask expect`, never by hand.\n";
const MARKER: &str = "==== ";
const NO_NEWLINE: &str = ", without a newline at its end";

/// With what an expected output was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The kernel's package, its version, and the kernel's hash.
    pub kernel: String,
    /// The hash of busybox.
    pub busybox: String,
    /// The hash of the case's source.
    pub source: String,
}

/// An expected output and its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// With what it was found out.
    pub header: Header,
    /// What the case left behind.
    pub output: Output,
}

impl Expected {
    /// The file's text.
    ///
    /// # Errors
    /// A line of the output looks like a marker of this format: which.
    pub fn encode(&self) -> Result<String, String> {
        let Header { kernel, busybox, source } = &self.header;
        let mut file = format!("{FIRST_LINE}kernel: {kernel}\nbusybox: {busybox}\nsource: {source}\n");
        for (name, text) in [("stdout", &self.output.stdout), ("stderr", &self.output.stderr)] {
            if let Some(line) = text.lines().find(|line| line.starts_with(MARKER)) {
                return Err(format!("the line {line:?} cannot be told from this format's own"));
            }
            let open = !text.is_empty() && !text.ends_with('\n');
            let (how, newline) = if open { (NO_NEWLINE, "\n") } else { ("", "") };
            file.extend([MARKER, name, how, "\n", text, newline]);
        }
        // Writing to a string cannot fail.
        let _written = writeln!(file, "{MARKER}status\n{}", self.output.status);
        Ok(file)
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn decode(file: &str) -> Result<Self, String> {
        let rest = file.strip_prefix(FIRST_LINE).ok_or("it has no header: only `cargo xtask expect` makes these files")?;
        let (kernel, rest) = field(rest, "kernel")?;
        let (busybox, rest) = field(rest, "busybox")?;
        let (source, rest) = field(rest, "source")?;
        let (stdout, rest) = section(rest, "stdout")?;
        let (stderr, rest) = section(rest, "stderr")?;
        let (status, rest) = section(rest, "status")?;
        let status = status.trim_end().parse().map_err(|_| format!("its status is {status:?}"))?;
        if !rest.is_empty() {
            return Err("something stands after the status".into());
        }
        Ok(Self { header: Header { kernel, busybox, source }, output: Output { stdout, stderr, status } })
    }
}

fn field<'a>(text: &'a str, name: &str) -> Result<(String, &'a str), String> {
    let missing = || format!("its header has no {name}");
    let (line, rest) = text.split_once('\n').ok_or_else(missing)?;
    let value = line.strip_prefix(name).and_then(|line| line.strip_prefix(": ")).ok_or_else(missing)?;
    Ok((value.into(), rest))
}

/// The section `name` at the start of `text`, and what follows it.
fn section<'a>(text: &'a str, name: &str) -> Result<(String, &'a str), String> {
    let missing = || format!("it has no section {name}");
    let (marker, rest) = text.split_once('\n').ok_or_else(missing)?;
    let how = marker.strip_prefix(MARKER).and_then(|line| line.strip_prefix(name)).ok_or_else(missing)?;
    let mut end = 0;
    for line in rest.split_inclusive('\n').take_while(|line| !line.starts_with(MARKER)) {
        end += line.len();
    }
    let (body, rest) = rest.split_at(end);
    let body = if how == NO_NEWLINE { body.strip_suffix('\n').unwrap_or(body) } else { body };
    Ok((body.into(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(stdout: &str, stderr: &str) -> Expected {
        let header = Header { kernel: "linux 1 sha256:0".into(), busybox: "sha256:1".into(), source: "sha256:2".into() };
        Expected { header, output: Output { stdout: stdout.into(), stderr: stderr.into(), status: 7 } }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for (stdout, stderr) in [("", ""), ("a\n", "b"), ("a\n\nb", "\n"), ("== a\n--- b\n", "==== ".trim())] {
            let file = expected(stdout, stderr);
            assert_eq!(file.encode().and_then(|text| Expected::decode(&text)), Ok(file));
        }
    }

    #[test]
    fn text_that_looks_like_the_format_is_refused() {
        assert!(expected("==== stderr\n", "").encode().is_err());
    }

    #[test]
    fn a_file_without_header_is_refused() {
        let text = expected("a\n", "").encode().expect("a good file");
        let without =
            |line: &str| Expected::decode(&text.lines().filter(|each| !each.starts_with(line)).map(|each| format!("{each}\n")).collect::<String>());
        assert_eq!(without("# Made").err().as_deref(), Some("it has no header: only `cargo xtask expect` makes these files"));
        assert_eq!(without("busybox").err().as_deref(), Some("its header has no busybox"));
        assert_eq!(without("==== stderr").err().as_deref(), Some("it has no section stderr"));
    }
}
