//! Reads, checks and encodes `initrd/services.toml`.
//!
//! Whatever is wrong is found here, at build time, and named with its line: in the machine the supervisor could only refuse to start. The rules
//! that keep calls free of cycles and of priority inversion are the two of `check`: calls go down the order, and a callee's priority is not below
//! its caller's.

mod check;
mod error;
mod source;

use std::path::Path;

use protocols::manifest::Manifest;

pub use error::Error;

/// A checked manifest.
#[derive(Clone, Debug)]
pub struct Services {
    /// What the supervisor reads.
    pub manifest: Manifest,
}

impl Services {
    /// Reads `path`; the services of `overlay`, if given, replace those of the same name and come last otherwise.
    ///
    /// # Errors
    /// [`Error`] with the file and the line that is to blame.
    pub fn load(path: &Path, overlay: Option<&Path>) -> Result<Self, Error> {
        let mut files = vec![(path.to_path_buf(), read(path)?)];
        if let Some(overlay) = overlay {
            files.push((overlay.to_path_buf(), read(overlay)?));
        }
        let texts: Vec<_> = files.iter().map(|(path, text)| (path.as_path(), text.as_str())).collect();
        Self::parse(&texts)
    }

    /// Checks the given files, the later ones overlaying the earlier.
    ///
    /// # Errors
    /// [`Error`].
    pub fn parse(files: &[(&Path, &str)]) -> Result<Self, Error> {
        let entries = source::merge(files)?;
        Ok(Self { manifest: check::manifest(&entries)? })
    }

    /// Names of all servers to build, the supervisor included, and whether they are compiled for vector registers.
    pub fn servers(&self) -> impl Iterator<Item = (&str, bool)> {
        std::iter::once(("supervisor", false)).chain(self.manifest.services.iter().map(|service| (service.name.as_str(), service.fpu)))
    }

    /// The encoded form.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; 64 * 1024];
        let used = protocols::wire::encode(&self.manifest, &mut bytes).map_err(|_| Error::TooLarge)?;
        bytes.truncate(used);
        Ok(bytes)
    }
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|error| Error::Unreadable { path: path.to_path_buf(), reason: error.to_string() })
}

#[cfg(test)]
mod tests;
