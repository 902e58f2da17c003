//! The root file system: the skeleton of the repository, busybox with a link for each applet, guest programs, and what a run adds.
//!
//! A map from path to node, so that the archive is sorted and a later addition replaces an earlier file. Parent folders are made
//! as needed. Git keeps neither empty folders nor most mode bits, hence [`FOLDERS`].

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::Error;
use crate::cpio::{Node, Writer};

/// Folders that exist whatever the skeleton holds, with their permission bits.
const FOLDERS: [(&str, u32); 20] = [
    ("bin", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("lib", 0o755),
    ("mnt", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("sbin", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("usr/bin", 0o755),
    ("usr/lib", 0o755),
    ("usr/sbin", 0o755),
    ("usr/share", 0o755),
    ("var", 0o755),
    ("var/log", 0o755),
    ("var/tmp", 0o1777),
];
/// Where busybox lies in the guest.
const BUSYBOX: &str = "bin/busybox";
/// Most bytes that one run may add: the boot loader reads the whole archive through the BIOS.
pub const MOST_ADDED_BYTES: usize = 16 << 20;

/// A root file system under construction.
#[derive(Debug)]
pub struct Root {
    nodes: BTreeMap<String, (u32, Node)>,
    added_bytes: usize,
}

impl Default for Root {
    fn default() -> Self {
        let nodes = FOLDERS.iter().map(|(path, mode)| (String::from(*path), (*mode, Node::Folder))).collect();
        Self { nodes, added_bytes: 0 }
    }
}

impl Root {
    /// Puts the contents of the folder `skeleton` at `/`.
    ///
    /// # Errors
    /// Those of reading it.
    pub fn skeleton(&mut self, skeleton: &Path) -> Result<(), Error> {
        self.copy_folder(skeleton, "")
    }

    /// Puts busybox at `/bin/busybox` and a link to it for each of `applets`, paths like `bin/ls` or `usr/bin/awk`. A link never
    /// replaces what the skeleton has.
    pub fn busybox(&mut self, program: Vec<u8>, applets: &[String]) {
        self.put(BUSYBOX, 0o755, Node::File(program));
        for applet in applets {
            let path = normal(applet);
            if !path.is_empty() && !self.nodes.contains_key(&path) {
                self.put(&path, 0o777, Node::Link(format!("/{BUSYBOX}")));
            }
        }
    }

    /// Puts an executable file at `path`.
    pub fn program(&mut self, path: &str, bytes: Vec<u8>) {
        self.put(path, 0o755, Node::File(bytes));
    }

    /// Puts the file or folder `host` at the guest's path `guest`, keeping mode bits.
    ///
    /// # Errors
    /// [`Error::Refused`] when all additions together exceed [`MOST_ADDED_BYTES`]; those of reading.
    pub fn add(&mut self, host: &Path, guest: &str) -> Result<(), Error> {
        let guest = normal(guest);
        if guest.is_empty() && !host.is_dir() {
            return Err(Error::Refused(format!("{}: the guest's path of a file must name it", host.display())));
        }
        self.copy(host, &guest)
    }

    /// The archive.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        let mut writer = Writer::default();
        for (path, (mode, node)) in &self.nodes {
            writer.append(path, *mode, node);
        }
        writer.finish()
    }

    fn copy(&mut self, host: &Path, guest: &str) -> Result<(), Error> {
        let about = fs::symlink_metadata(host).map_err(Error::io("reading", host))?;
        let mode = about.permissions().mode() & 0o7777;
        if about.is_dir() {
            if !self.nodes.contains_key(guest) && !guest.is_empty() {
                self.put(guest, mode, Node::Folder);
            }
            return self.copy_folder(host, guest);
        }
        let node = if about.is_symlink() {
            let target = fs::read_link(host).map_err(Error::io("reading", host))?;
            Node::Link(target.to_string_lossy().into_owned())
        } else if about.is_file() {
            self.count(host, about.len())?;
            Node::File(fs::read(host).map_err(Error::io("reading", host))?)
        } else {
            return Err(Error::Refused(format!("{}: neither file, folder nor link", host.display())));
        };
        self.put(guest, mode, node);
        Ok(())
    }

    fn copy_folder(&mut self, host: &Path, guest: &str) -> Result<(), Error> {
        let mut entries: Vec<_> = fs::read_dir(host).map_err(Error::io("reading", host))?.flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            // Git needs a file in each folder; the guest does not.
            if name != ".gitkeep" {
                self.copy(&entry.path(), &normal(&format!("{guest}/{}", name.to_string_lossy())))?;
            }
        }
        Ok(())
    }

    fn count(&mut self, host: &Path, bytes: u64) -> Result<(), Error> {
        self.added_bytes = self.added_bytes.saturating_add(usize::try_from(bytes).unwrap_or(usize::MAX));
        if self.added_bytes <= MOST_ADDED_BYTES {
            return Ok(());
        }
        let limit = MOST_ADDED_BYTES >> 20;
        let why = "the root file system is loaded whole at boot; put larger data on a disk of its own (--disk)";
        Err(Error::Refused(format!("{}: with it more than {limit} MiB would be added; {why}", host.display())))
    }

    fn put(&mut self, path: &str, mode: u32, node: Node) {
        if let Some((parent, _)) = path.rsplit_once('/')
            && !self.nodes.contains_key(parent)
        {
            self.put(parent, 0o755, Node::Folder);
        }
        self.nodes.insert(path.into(), (mode, node));
    }
}

/// A path without leading, trailing, doubled slashes and dots.
fn normal(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != "." && *part != "..").collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("synos-root-{name}-{}", std::process::id()));
        fs::create_dir_all(folder.join("sub")).expect("a temporary folder");
        folder
    }

    #[test]
    fn the_fixed_folders_are_there_with_their_modes() {
        let root = Root::default();
        assert_eq!(root.nodes.get("tmp"), Some(&(0o1777, Node::Folder)));
        assert_eq!(root.nodes.get("root"), Some(&(0o700, Node::Folder)));
    }

    #[test]
    fn an_applet_link_does_not_replace_a_file() {
        let mut root = Root::default();
        root.program("bin/ls", vec![1]);
        root.busybox(vec![2], &["bin/ls".into(), "usr/bin/awk".into()]);
        assert_eq!(root.nodes.get("bin/ls"), Some(&(0o755, Node::File(vec![1]))));
        assert_eq!(root.nodes.get("usr/bin/awk"), Some(&(0o777, Node::Link("/bin/busybox".into()))));
    }

    #[test]
    fn a_folder_is_added_with_everything_in_it() {
        let host = folder("tree");
        fs::write(host.join("sub/file"), "x").expect("to write");
        fs::set_permissions(host.join("sub/file"), fs::Permissions::from_mode(0o640)).expect("to set the mode");
        std::os::unix::fs::symlink("sub/file", host.join("link")).expect("to link");
        let mut root = Root::default();
        root.add(&host, "/data/in/").expect("to add");
        assert_eq!(root.nodes.get("data/in/sub/file"), Some(&(0o640, Node::File(b"x".to_vec()))));
        assert_eq!(root.nodes.get("data/in/link").map(|(_, node)| node), Some(&Node::Link("sub/file".into())));
        assert_eq!(root.nodes.get("data"), Some(&(0o755, Node::Folder)));
        fs::remove_dir_all(host).expect("to tidy up");
    }

    #[test]
    fn too_much_is_an_error_in_words() {
        let host = folder("large");
        fs::write(host.join("big"), vec![0; MOST_ADDED_BYTES]).expect("to write");
        fs::write(host.join("little"), "x").expect("to write");
        let error = Root::default().add(&host, "/big").err().map(|error| error.to_string());
        assert!(error.unwrap_or_default().contains("more than 16 MiB"));
        fs::remove_dir_all(host).expect("to tidy up");
    }

    #[test]
    fn the_same_inputs_give_the_same_bytes() {
        let build = |first: &str, second: &str| {
            let mut root = Root::default();
            root.program(first, vec![1]);
            root.program(second, vec![1]);
            root.finish()
        };
        assert_eq!(build("a/b", "c"), build("c", "a/b"));
    }

    #[test]
    fn a_file_needs_a_name_in_the_guest() {
        let host = folder("name");
        fs::write(host.join("file"), "x").expect("to write");
        assert!(Root::default().add(&host.join("file"), "/").is_err());
        fs::remove_dir_all(host).expect("to tidy up");
    }
}
