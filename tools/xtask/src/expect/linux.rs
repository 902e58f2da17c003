//! Linux to compare with: Debian's kernel for clouds, unpacked into `target/`, never installed.
//!
//! The package `linux-image-cloud-amd64` of the machine's own suite is empty and depends on the current kernel's package, whose name
//! carries a version. Its documentation folder is a link to that of the kernel's package (Debian policy 12.5), which is how the
//! name is found from the unpacked tree alone.

use std::fs;
use std::path::{Path, PathBuf};

use super::digest;
use crate::error::{Error, Result};
use crate::process::Voice;
use crate::setup::apt;
use crate::workspace::Workspace;

const PACKAGE: &str = "linux-image-cloud-amd64";
/// Where the header of a kernel image holds the offset of its version string, counted from [`VERSION_BASE`] (Linux, `x86/boot.rst`).
const VERSION_OFFSET: usize = 0x20e;
const VERSION_BASE: usize = 0x200;

/// A kernel to boot.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// The image.
    pub(crate) image: PathBuf,
    /// Its package, version and hash, for headers.
    pub(crate) name: String,
}

/// Makes sure that the kernel is there.
pub(crate) fn ensure(workspace: &Workspace, voice: Voice) -> Result<Kernel> {
    let work = workspace.built("setup/linux");
    let boot = work.join("kernel/tree/boot");
    if image_in(&boot).is_none() {
        fetch(&work).map_err(|error| Error::Missing {
            what: format!("the kernel to compare with (package {PACKAGE}) could not be fetched ({error})"),
            help: format!("apt-get download {PACKAGE}"),
        })?;
        voice.note(&format!("expect: unpacked the kernel of {PACKAGE} into {}", work.display()));
    }
    let image = image_in(&boot).ok_or_else(|| Error::Refused(format!("{}: no kernel", boot.display())))?;
    let bytes = fs::read(&image).map_err(Error::io("reading", &image))?;
    let named = name(&bytes).ok_or_else(|| Error::Refused(format!("{}: not a kernel of Debian's", image.display())))?;
    Ok(Kernel { name: format!("{named} {}", digest::of(&[&image])?), image })
}

fn fetch(work: &Path) -> Result<()> {
    let tree = apt::unpack(PACKAGE, &work.join("current"))?;
    let link = tree.join("usr/share/doc").join(PACKAGE);
    let package = fs::read_link(&link).map_err(Error::io("reading the link", &link))?;
    let kernel = work.join("kernel");
    let tree = apt::unpack(&package.to_string_lossy(), &kernel)?;
    // Modules are most of the package, and nothing loads one.
    let modules = tree.join("lib/modules");
    if modules.exists() {
        fs::remove_dir_all(&modules).map_err(Error::io("removing", &modules))?;
    }
    Ok(())
}

fn image_in(boot: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(boot).ok()?.flatten().map(|file| file.path());
    files.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-"))).max()
}

/// Package and version of a kernel, from its own version string: `RELEASE (BUILDER) #1 ... Debian VERSION (DATE)`.
fn name(image: &[u8]) -> Option<String> {
    let offset = image.get(VERSION_OFFSET..VERSION_OFFSET + 2)?;
    let start = VERSION_BASE + usize::from(u16::from_le_bytes([offset[0], offset[1]]));
    let text = image.get(start..)?.split(|byte| *byte == 0).next()?;
    let text = std::str::from_utf8(text).ok()?;
    let release = text.split(' ').next()?;
    let version = text.split_once(" Debian ")?.1.split(' ').next()?;
    Some(format!("linux-image-{release} {version}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_tells_its_package_and_version() {
        let mut image = vec![0; VERSION_OFFSET];
        image.extend_from_slice(&0x40u16.to_le_bytes());
        image.resize(VERSION_BASE + 0x40, 0);
        image.extend_from_slice(b"6.1.0-9-cloud-amd64 (someone) #1 SMP PREEMPT_DYNAMIC Debian 6.1.27-1 (2023-05-08)\0rest");
        assert_eq!(name(&image).as_deref(), Some("linux-image-6.1.0-9-cloud-amd64 6.1.27-1"));
        assert_eq!(name(b"MZ"), None);
    }
}
