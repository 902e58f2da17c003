//! The whole way from compiled files to disk images.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use abi::boot::{OPTIONS, ROOT_FILE_SYSTEM, SERVER_PREFIX, SERVICES, SUPERVISOR};

use crate::Error;
use crate::disk::Firmware;
use crate::root::Root;
use crate::{archive, disk, program};

/// Everything that goes into the images.
#[derive(Debug, Default)]
pub struct Parts {
    /// The kernel's ELF file.
    pub kernel: PathBuf,
    /// The servers: name and ELF file.
    pub servers: Vec<(String, PathBuf)>,
    /// The encoded manifest.
    pub services: Option<PathBuf>,
    /// Skeleton of the root file system.
    pub skeleton: Option<PathBuf>,
    /// A static busybox.
    pub busybox: Option<PathBuf>,
    /// Programs for the guest's `/usr/bin`.
    pub programs: Vec<PathBuf>,
    /// Additions: path on the host, path in the guest.
    pub added: Vec<(PathBuf, String)>,
    /// The run's options, `key=value` or a single word.
    pub options: Vec<String>,
}

impl Parts {
    /// Writes the images for `firmwares` into `folder`.
    ///
    /// # Errors
    /// [`Error`] with the file that is to blame.
    pub fn write(&self, folder: &Path, firmwares: &[Firmware]) -> Result<(), Error> {
        if firmwares.is_empty() {
            return Ok(());
        }
        fs::create_dir_all(folder).map_err(Error::io("creating", folder))?;
        let archive = archive::write(&self.entries()?)?;
        let kernel = read(&self.kernel)?;
        firmwares.iter().try_for_each(|firmware| disk::write(*firmware, folder, &kernel, &archive))
    }

    /// Writes the root file system alone as `root.cpio` into `folder`.
    ///
    /// # Errors
    /// [`Error`] with the file that is to blame.
    pub fn write_root(&self, folder: &Path) -> Result<(), Error> {
        fs::create_dir_all(folder).map_err(Error::io("creating", folder))?;
        let path = folder.join("root.cpio");
        fs::write(&path, self.root()?).map_err(Error::io("writing", &path))
    }

    /// The boot archive's entries; the kernel looks for the first, so it comes first.
    fn entries(&self) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let mut entries = Vec::new();
        for (name, path) in &self.servers {
            let entry = if name == SUPERVISOR { name.clone() } else { format!("{SERVER_PREFIX}{name}") };
            entries.push((entry, program::lay_out(name, &read(path)?)?));
        }
        entries.sort_by_key(|(name, _)| (name != SUPERVISOR, name.clone()));
        if let Some(services) = &self.services {
            entries.push((SERVICES.into(), read(services)?));
        }
        entries.push((ROOT_FILE_SYSTEM.into(), self.root()?));
        entries.push((OPTIONS.into(), options(&self.options)?));
        Ok(entries)
    }

    fn root(&self) -> Result<Vec<u8>, Error> {
        let mut root = Root::default();
        if let Some(skeleton) = &self.skeleton {
            root.skeleton(skeleton)?;
        }
        if let Some(busybox) = &self.busybox {
            root.busybox(read(busybox)?, &applets(busybox)?);
        }
        for path in &self.programs {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            root.program(&format!("usr/bin/{name}"), read(path)?);
        }
        for (host, guest) in &self.added {
            root.add(host, guest)?;
        }
        Ok(root.finish())
    }
}

fn options(lines: &[String]) -> Result<Vec<u8>, Error> {
    if let Some(bad) = lines.iter().find(|line| line.contains('\n') || line.is_empty()) {
        return Err(Error::Refused(format!("{bad:?}: an option is one line, key=value")));
    }
    Ok(lines.iter().flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect())
}

/// The applets' paths, as busybox itself tells them; the guest's binary runs on the host for that.
fn applets(busybox: &Path) -> Result<Vec<String>, Error> {
    let output = Command::new(busybox).arg("--list-full").output().map_err(Error::io("running", busybox))?;
    if !output.status.success() {
        return Err(Error::Refused(format!("{}: --list-full ended with {}", busybox.display(), output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(Error::io("reading", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_lines() {
        assert_eq!(options(&["slowpath".into(), "script=/run/script".into()]).expect("good"), b"slowpath\nscript=/run/script\n");
        assert!(options(&["a\nb".into()]).is_err());
    }

    #[test]
    fn without_servers_there_are_still_a_root_and_options() {
        let names: Vec<String> = Parts::default().entries().expect("entries").into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, [ROOT_FILE_SYSTEM, OPTIONS]);
    }
}
