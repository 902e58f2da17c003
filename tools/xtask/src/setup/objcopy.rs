//! `llvm-objcopy` and `llvm-objdump` beside the compiler, where the boot loader's build script looks for them.
//!
//! Where the component llvm-tools cannot be had, the `rust-objcopy` that every toolchain ships is the same program under another
//! name. The build script only runs objcopy; objdump is how it finds the folder.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::process::Voice;

/// Makes sure that both names exist in `folder`; the path of objcopy.
pub(super) fn ensure(folder: &Path, voice: Voice) -> Result<PathBuf> {
    let shipped = folder.join("rust-objcopy");
    for name in ["llvm-objcopy", "llvm-objdump"] {
        let link = folder.join(name);
        if link.exists() {
            continue;
        }
        if !shipped.exists() {
            let what = format!("{} is missing", link.display());
            return Err(Error::Missing { what, help: "rustup component add llvm-tools".into() });
        }
        symlink("rust-objcopy", &link).map_err(Error::io("linking", &link))?;
        voice.note(&format!("setup: linked {name} to rust-objcopy"));
    }
    Ok(folder.join("llvm-objcopy"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn missing_names_become_links_and_present_ones_stay() {
        let folder = std::env::temp_dir().join(format!("synos-objcopy-{}", std::process::id()));
        fs::create_dir_all(&folder).and_then(|()| fs::write(folder.join("rust-objcopy"), "shipped")).expect("a temporary folder");
        fs::write(folder.join("llvm-objdump"), "own").expect("a temporary file");
        ensure(&folder, Voice::Quiet).expect("links");
        ensure(&folder, Voice::Quiet).expect("nothing to do");
        assert_eq!(fs::read_to_string(folder.join("llvm-objcopy")).ok().as_deref(), Some("shipped"));
        assert_eq!(fs::read_to_string(folder.join("llvm-objdump")).ok().as_deref(), Some("own"));
        fs::remove_dir_all(&folder).expect("to tidy up");
    }
}
