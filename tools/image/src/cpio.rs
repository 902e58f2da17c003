//! The cpio format `newc`, as Linux reads it from an initramfs (kernel documentation, "initramfs buffer format").
//!
//! Deterministic: the caller's order, inode numbers counted from 1, everything owned by root, one fixed time.

/// The one modification time of everything: 2026-01-01, so that `ls -l` in the guest shows a plausible and stable date.
pub const TIME: u32 = 1_767_225_600;
/// Alignment of headers and data.
const ALIGN: usize = 4;
const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

/// What a path of the archive is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A folder.
    Folder,
    /// A file with these bytes.
    File(Vec<u8>),
    /// A symbolic link to this target.
    Link(String),
}

/// Builds an archive.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    nodes: u32,
}

impl Writer {
    /// Appends `node` at `path` (no leading slash) with the permission bits `mode`.
    pub fn append(&mut self, path: &str, mode: u32, node: &Node) {
        self.nodes += 1;
        let links = if *node == Node::Folder { 2 } else { 1 };
        match node {
            Node::Folder => self.record(path, FOLDER | mode, links, &[]),
            Node::File(bytes) => self.record(path, FILE | mode, links, bytes),
            Node::Link(target) => self.record(path, LINK | 0o777, links, target.as_bytes()),
        }
    }

    /// Ends the archive and returns it.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.nodes = 0;
        self.record("TRAILER!!!", 0, 1, &[]);
        self.bytes
    }

    fn record(&mut self, name: &str, mode: u32, links: u32, data: &[u8]) {
        let time = if self.nodes == 0 { 0 } else { TIME };
        // A file beyond 4 GiB cannot be described; the caller's limits are far below.
        let size = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let name_size = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(b"070701");
        for field in [self.nodes, mode, 0, 0, links, time, size, 0, 0, 0, 0, name_size, 0] {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(data);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGN), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_archive_is_the_trailer() {
        let bytes = Writer::default().finish();
        let header = "07070100000000000000000000000000000000000000010000000000000000000000000000000000000000000000000000000b00000000";
        assert_eq!(String::from_utf8_lossy(&bytes), format!("{header}TRAILER!!!\0\0\0\0"));
    }

    #[test]
    fn names_and_data_start_at_multiples_of_four() {
        let mut writer = Writer::default();
        writer.append("etc", 0o755, &Node::Folder);
        writer.append("etc/motd", 0o644, &Node::File(b"hello".to_vec()));
        let bytes = writer.finish();
        let at = bytes.windows(5).position(|window| window == b"hello").expect("the data");
        assert!(at.is_multiple_of(4) && bytes.len().is_multiple_of(4));
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.starts_with("07070100000001000041ed"), "{text}");
        assert!(text.contains("07070100000002000081a4"), "{text}");
    }

    #[test]
    fn a_link_carries_its_target() {
        let mut writer = Writer::default();
        writer.append("bin/ls", 0, &Node::Link("busybox".into()));
        assert!(String::from_utf8_lossy(&writer.finish()).contains("0000a1ff"));
    }
}
