//! Debian packages, fetched by apt itself so that signatures are checked.
//!
//! Unpacking needs no root rights: `apt-get download` with the machine's package lists, or, where those are absent or name
//! another suite, with lists, cache and sources in a private folder of ours. The mirror is whichever the machine's own sources
//! name; this file knows none.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};
use crate::process::capture;

/// The keys that Debian signs its suites with.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Fetches `package` as the machine's sources have it and unpacks it; returns the root of the unpacked tree.
pub(crate) fn unpack(package: &str, work: &Path) -> Result<PathBuf> {
    fresh(work)?;
    let plain = download(package, work, &[]);
    if plain.is_err() {
        let private = private_state(work)?;
        update(&private)?;
        download(package, work, &private)?;
    }
    unpack_downloaded(work)
}

/// The same from another `suite` of the machine's mirror.
pub(super) fn unpack_from_suite(package: &str, suite: &str, work: &Path) -> Result<PathBuf> {
    fresh(work)?;
    let mut private = private_state(work)?;
    let sources = work.join("sources.list");
    let text = source_line(&mirror(&private)?, suite, Path::new(KEYRING).exists());
    fs::write(&sources, text).map_err(Error::io("writing", &sources))?;
    private.push(format!("Dir::Etc::sourcelist={}", sources.display()));
    private.push("Dir::Etc::sourceparts=/dev/null".into());
    update(&private)?;
    download(package, work, &private)?;
    unpack_downloaded(work)
}

/// Installs `packages` on the machine (root only).
pub(super) fn install(packages: &[&str]) -> Result<()> {
    let attempt = || {
        let mut apt = apt_get(&[]);
        capture(apt.args(["install", "-y", "-q", "--no-install-recommends"]).args(packages).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    if attempt().is_ok() {
        return Ok(());
    }
    update(&[])?;
    attempt().map(drop)
}

fn apt_get(options: &[String]) -> Command {
    let mut command = Command::new("apt-get");
    for option in options {
        command.args(["-o", option]);
    }
    command
}

fn update(options: &[String]) -> Result<()> {
    capture(apt_get(options).args(["update", "-q"])).map(drop)
}

fn download(package: &str, into: &Path, options: &[String]) -> Result<()> {
    capture(apt_get(options).args(["download", "-q", package]).current_dir(into)).map(drop)
}

fn fresh(work: &Path) -> Result<()> {
    if work.exists() {
        fs::remove_dir_all(work).map_err(Error::io("removing", work))?;
    }
    fs::create_dir_all(work).map_err(Error::io("creating", work))
}

/// Options that keep apt's lists and cache inside `work`.
fn private_state(work: &Path) -> Result<Vec<String>> {
    for folder in ["state/lists/partial", "cache/archives/partial"] {
        let folder = work.join(folder);
        fs::create_dir_all(&folder).map_err(Error::io("creating", &folder))?;
    }
    let option = |name: &str, folder: &str| format!("{name}={}", work.join(folder).display());
    Ok(vec![option("Dir::State", "state"), option("Dir::Cache", "cache"), "Acquire::Languages=none".into()])
}

fn unpack_downloaded(work: &Path) -> Result<PathBuf> {
    let files = fs::read_dir(work).map_err(Error::io("reading", work))?;
    let package = files.flatten().map(|file| file.path()).find(|path| path.extension().is_some_and(|ending| ending == "deb"));
    let package = package.ok_or_else(|| Error::Refused(format!("apt left no package in {}", work.display())))?;
    // Under another name until it is whole: what stands under its own is taken for good by every later run.
    let (partial, tree) = (work.join("unpacking"), work.join("tree"));
    let unpacked = capture(Command::new("dpkg-deb").arg("-x").args([&package, &partial]));
    unpacked.map_err(|error| Error::Refused(format!("{} cannot be unpacked: {}", package.display(), error.in_brief())))?;
    for leftover in [package, work.join("state"), work.join("cache")] {
        let removed = if leftover.is_dir() { fs::remove_dir_all(&leftover) } else { fs::remove_file(&leftover) };
        if let Err(error) = removed
            && leftover.exists()
        {
            return Err(Error::io("removing", &leftover)(error));
        }
    }
    fs::rename(&partial, &tree).map_err(Error::io("renaming", &partial))?;
    Ok(tree)
}

/// The mirror that the machine's sources name for the release it runs. apt tells only of sources whose lists it has, so a
/// machine without lists gets them in our `private` folder.
fn mirror(private: &[String]) -> Result<String> {
    let release = fs::read_to_string("/etc/os-release").map_err(Error::io("reading", Path::new("/etc/os-release")))?;
    let none = || Error::Refused("apt's sources name no mirror of this machine's release".into());
    let codename = codename(&release).ok_or_else(none)?;
    let targets = |options| capture(apt_get(options).args(["indextargets", "--format", "$(SITE) $(RELEASE)"]));
    if let Some(mirror) = mirror_of(&targets(&[])?, codename) {
        return Ok(mirror);
    }
    update(private)?;
    mirror_of(&targets(private)?, codename).ok_or_else(none)
}

fn codename(os_release: &str) -> Option<&str> {
    os_release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).map(|name| name.trim_matches('"'))
}

fn mirror_of(targets: &str, codename: &str) -> Option<String> {
    targets.lines().filter_map(|line| line.split_once(' ')).find(|(_, release)| *release == codename).map(|(site, _)| site.to_owned())
}

fn source_line(mirror: &str, suite: &str, with_keyring: bool) -> String {
    let keyring = if with_keyring { format!("[signed-by={KEYRING}] ") } else { String::new() };
    format!("deb {keyring}{mirror} {suite} main\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_the_one_of_the_release_itself() {
        let targets = "http://mirror/security lemur-security\nhttp://mirror/plain lemur\nhttp://other lemur-updates\n";
        assert_eq!(mirror_of(targets, "lemur").as_deref(), Some("http://mirror/plain"));
        assert_eq!(mirror_of(targets, "zebra"), None);
    }

    #[test]
    fn the_release_is_read_from_os_release() {
        assert_eq!(codename("NAME=x\nVERSION_CODENAME=lemur\n"), Some("lemur"));
        assert_eq!(codename("NAME=x\n"), None);
    }

    #[test]
    fn a_source_line_names_the_keyring_when_there_is_one() {
        assert_eq!(source_line("http://mirror", "suite", false), "deb http://mirror suite main\n");
        assert!(source_line("http://mirror", "suite", true).starts_with("deb [signed-by=/usr/"));
    }
}
