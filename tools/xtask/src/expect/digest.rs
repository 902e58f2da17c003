//! Hashes of files, by the host's `sha256sum`.

use std::path::Path;
use std::process::Command;

use crate::error::{Error, Result};
use crate::process::capture;

/// The hash of the files' bytes one after the other, as `sha256:HEX`.
pub(super) fn of(files: &[impl AsRef<Path>]) -> Result<String> {
    let mut shell = Command::new("sh");
    shell.args(["-c", "cat -- \"$@\" | sha256sum", "sh"]).args(files.iter().map(AsRef::as_ref));
    let said = capture(&mut shell)?;
    let hash = said.split_whitespace().next().filter(|hash| hash.len() == 64);
    hash.map(|hash| format!("sha256:{hash}")).ok_or_else(|| Error::Refused(format!("sha256sum said {said:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_the_hash_of_nothing() {
        let hash = of(&["/dev/null", "/dev/null"]).expect("sha256sum");
        assert_eq!(hash, "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
