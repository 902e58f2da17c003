//! Compiling everything that the guest runs, and the tool that composes it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cargo::{Bare, LINUX, Profile, bare, product, unlocked};
use crate::error::{Error, Result};
use crate::process::Voice;
use crate::workspace::Workspace;

/// Backtraces walk frame pointers.
const FRAMES: &str = "-Cforce-frame-pointers=yes";
/// A server is linked at one fixed address and needs no loader; no two of its segments share a page.
const SERVER_FLAGS: [&str; 5] =
    [FRAMES, "-Crelocation-model=static", "-Clink-arg=--image-base=0x400000", "-Clink-arg=-zseparate-loadable-segments", "-Clink-arg=-znorelro"];
/// The package of the kernel and its program.
const KERNEL: &str = "microkernel";
/// The package of the image builder and its program.
const IMAGE_BUILDER: &str = "image";

/// What compiling leaves behind.
#[derive(Debug)]
pub(crate) struct Parts {
    /// The kernel's ELF file.
    pub(crate) kernel: PathBuf,
    /// Name and ELF file of each server.
    pub(crate) servers: Vec<(String, PathBuf)>,
    /// What its root file system is made of.
    pub(crate) root: RootParts,
}

/// What a root file system is made of, besides busybox.
#[derive(Debug)]
pub(crate) struct RootParts {
    /// Programs for the guest's `/usr/bin`.
    pub(crate) programs: Vec<PathBuf>,
    /// The tool that composes images of all that.
    pub(crate) image_builder: PathBuf,
}

/// Compiles everything for a guest with these servers.
pub(crate) fn everything(workspace: &Workspace, servers: &[(String, Bare)], profile: Profile, voice: Voice) -> Result<Parts> {
    compile_kernel(workspace, profile, voice)?;
    for target in [Bare::Soft, Bare::Fpu] {
        let names = servers.iter().filter(|(_, of)| *of == target).map(|(name, _)| name.as_str()).collect::<Vec<_>>();
        compile_servers(workspace, &names, target, profile, voice)?;
    }
    Ok(Parts {
        kernel: product(workspace, Some(Bare::Soft.name()), profile, KERNEL),
        servers: servers.iter().map(|(name, target)| (name.clone(), product(workspace, Some(target.name()), profile, name))).collect(),
        root: root_file_system(workspace, voice)?,
    })
}

/// Compiles what a root file system needs, whatever system it is for.
pub(crate) fn root_file_system(workspace: &Workspace, voice: Voice) -> Result<RootParts> {
    let programs = folders(&workspace.file("initrd/programs"))?;
    compile_programs(workspace, &programs, voice)?;
    compile_image_builder(workspace, voice)?;
    Ok(RootParts {
        programs: programs.iter().map(|name| product(workspace, Some(LINUX), Profile::Release, name)).collect(),
        image_builder: product(workspace, None, Profile::Release, IMAGE_BUILDER),
    })
}

/// The kernel is position independent, as the target has it: the boot loader chooses its address.
fn compile_kernel(workspace: &Workspace, profile: Profile, voice: Voice) -> Result<()> {
    voice.run(bare(workspace, "build", Bare::Soft, profile, &[FRAMES]).args(["-p", KERNEL, "--bin", KERNEL]))
}

fn compile_servers(workspace: &Workspace, names: &[&str], target: Bare, profile: Profile, voice: Voice) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let mut command = bare(workspace, "build", target, profile, &SERVER_FLAGS);
    for name in names {
        command.args(["-p", name, "--bin", name]);
    }
    voice.run(&mut command)
}

/// Guest programs written in Rust are static and stripped: each byte of the root file system is read by the BIOS.
fn compile_programs(workspace: &Workspace, names: &[String], voice: Voice) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let mut command = unlocked(workspace, "build", Profile::Release);
    command.args(["--target", LINUX]);
    command.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-Ctarget-feature=+crt-static -Cstrip=symbols");
    for name in names {
        command.args(["-p", name]);
    }
    voice.run(&mut command)
}

fn compile_image_builder(workspace: &Workspace, voice: Voice) -> Result<()> {
    voice.run(unlocked(workspace, "build", Profile::Release).args(["-p", IMAGE_BUILDER]))
}

/// Names of the folders in `parent`, sorted; none when it is missing.
pub(crate) fn folders(parent: &Path) -> Result<Vec<String>> {
    if !parent.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(parent).map_err(Error::io("reading", parent))?.flatten();
    let folders = entries.filter(|entry| entry.path().join("Cargo.toml").is_file());
    let mut names: Vec<_> = folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}
