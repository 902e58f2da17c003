//! The standard library's source, which `-Zbuild-std` compiles for bare metal.
//!
//! rustup is asked first. Where it cannot download, Debian's `rust-src` package of exactly our compiler's version has the same
//! tree; it is unpacked, not installed, and copied to where cargo looks.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::apt;
use crate::error::{Error, Result};
use crate::process::{Voice, capture, copy_tree};
use crate::workspace::Workspace;

/// The compiler's version, as `rust-toolchain.toml` pins it.
const VERSION: &str = env!("CARGO_PKG_RUST_VERSION");
/// Debian's suite that carries a `rust-src` of our version.
const SUITE: &str = "trixie-backports";
/// rustup retries for minutes when there is no network; after this many seconds we go on without it.
const RUSTUP_SECONDS: &str = "180";

/// Makes sure that the source is in the toolchain's folder.
pub(super) fn ensure(workspace: &Workspace, sysroot: &Path, voice: Voice) -> Result<()> {
    let library = sysroot.join("lib/rustlib/src/rust/library");
    if is_there(&library) {
        return Ok(());
    }
    if from_rustup(workspace).is_ok() && is_there(&library) {
        voice.note("setup: rustup added the standard library's source and llvm-tools");
        return Ok(());
    }
    from_debian(&workspace.built("setup/rust-src"), &library)?;
    voice.note("setup: unpacked the standard library's source from Debian's rust-src");
    Ok(())
}

fn is_there(library: &Path) -> bool {
    library.join("Cargo.lock").is_file() && library.join("core/src/lib.rs").is_file()
}

fn from_rustup(workspace: &Workspace) -> Result<String> {
    let mut rustup = Command::new("timeout");
    capture(rustup.args([RUSTUP_SECONDS, "rustup", "component", "add", "rust-src", "llvm-tools"]).current_dir(workspace.root()))
}

fn from_debian(work: &Path, library: &Path) -> Result<()> {
    let package = format!("rust-src={VERSION}*");
    let tree = apt::unpack_from_suite(&package, SUITE, work).map_err(|error| Error::Missing {
        what: format!("the source of Rust {VERSION}'s standard library is missing and could not be fetched ({})", error.in_brief()),
        help: "rustup component add rust-src llvm-tools".into(),
    })?;
    let unpacked = fs::read_dir(tree.join("usr/src")).map_err(Error::io("reading", &tree))?;
    let unpacked = unpacked.flatten().map(|entry| entry.path().join("library")).find(|path| is_there(path));
    let unpacked = unpacked.ok_or_else(|| Error::Refused(format!("{}: holds no standard library", tree.display())))?;
    let parent = library.parent().unwrap_or(library);
    fs::create_dir_all(parent).map_err(Error::io("creating", parent))?;
    // Under another name until it is whole: what stands under its own is taken for good by every later run.
    let partial = library.with_extension("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(Error::io("removing", &partial))?;
    }
    copy_tree(&unpacked, &partial)?;
    fs::rename(&partial, library).map_err(Error::io("renaming", &partial))?;
    fs::remove_dir_all(work).map_err(Error::io("removing", work))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_pinned_one() {
        let pinned = fs::read_to_string(Workspace::find().file("rust-toolchain.toml")).unwrap_or_default();
        assert!(pinned.contains(&format!("channel = \"{VERSION}")), "{VERSION} is not in {pinned}");
    }
}
