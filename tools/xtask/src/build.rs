//! `cargo xtask build`: from sources to bootable disk images.
//!
//! `run`, the tests and the benchmarks all build through here, so that what is tested is what is run. Each step is left to a
//! tool that knows when it has nothing to do (cargo, the image builder's stamps).

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use crate::cargo::Profile;
use crate::compile;
use crate::error::{Error, Result};
use crate::process::{Voice, capture, output};
use crate::services;
use crate::setup::{self, Ready};
use crate::workspace::Workspace;

/// Where a script lies in the guest.
const SCRIPT: &str = "/run/script";

/// What goes into the images.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ImageOptions {
    /// Compile without optimisation, with debug information
    #[arg(long)]
    pub(crate) debug: bool,
    /// Put a file or folder of the host into the root file system (up to 16 MiB in all)
    #[arg(long, value_name = "HOSTPATH:GUESTPATH")]
    pub(crate) add: Vec<String>,
    /// Write a line into the run's options, which servers read at boot
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) option: Vec<String>,
    /// Change or add services for this run
    #[arg(long, value_name = "FILE")]
    pub(crate) services: Option<PathBuf>,
    /// Use this static busybox instead of Debian's
    #[arg(long, value_name = "PATH")]
    pub(crate) busybox: Option<PathBuf>,
    /// Run FILE by the guest's /bin/sh as the only session, then power off
    #[arg(long, value_name = "FILE")]
    pub(crate) script: Option<PathBuf>,
}

/// Options of the command `build`.
#[derive(Args, Debug)]
pub(crate) struct BuildOptions {
    #[command(flatten)]
    image: ImageOptions,
    /// Folder for bios.img and uefi.img (target/image when absent)
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Make only the image that boots by this firmware
    #[arg(long, value_enum)]
    only: Option<Boot>,
    /// Say nothing unless something is wrong
    #[arg(long)]
    quiet: bool,
}

/// How an image is booted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Boot {
    /// By SeaBIOS.
    Bios,
    /// By OVMF.
    Uefi,
}

impl Boot {
    fn option(self) -> &'static str {
        match self {
            Self::Bios => "--bios",
            Self::Uefi => "--uefi",
        }
    }

    /// The image's file in the folder of images.
    pub(crate) fn image(self, folder: &Path) -> PathBuf {
        folder.join(match self {
            Self::Bios => "bios.img",
            Self::Uefi => "uefi.img",
        })
    }
}

/// What a build leaves behind.
#[derive(Debug)]
pub(crate) struct Built {
    /// The kernel's ELF file, with its symbols.
    pub(crate) kernel: PathBuf,
    /// Name and ELF file of each server.
    pub(crate) servers: Vec<(String, PathBuf)>,
    /// What set-up found, for whoever boots.
    pub(crate) ready: Ready,
}

/// The command `build`.
pub(crate) fn run(workspace: &Workspace, options: &BuildOptions) -> Result<()> {
    let voice = if options.quiet { Voice::Quiet } else { Voice::Plain };
    let out = options.out.clone().unwrap_or_else(|| workspace.built("image"));
    let boots = options.only.map_or_else(|| vec![Boot::Bios, Boot::Uefi], |only| vec![only]);
    build(workspace, &options.image, &boots, &out, voice)?;
    for boot in boots {
        voice.note(&format!("built {}", boot.image(&out).display()));
    }
    Ok(())
}

/// Makes sure that everything is compiled, so that tests are not timed with a compiler at work.
pub(crate) fn warm(workspace: &Workspace) -> Result<()> {
    build(workspace, &ImageOptions::default(), &[Boot::Bios], &workspace.built("image"), Voice::Plain).map(drop)
}

/// Sets up, compiles and composes the images for `boots` in the folder `out`.
///
/// The kernel goes into the image without its symbols, which the BIOS would take half a second to read.
pub(crate) fn build(workspace: &Workspace, options: &ImageOptions, boots: &[Boot], out: &Path, voice: Voice) -> Result<Built> {
    fs::create_dir_all(out).map_err(Error::io("creating", out))?;
    let ready = setup::ensure(workspace, options.busybox.as_deref(), voice)?;
    let services = services::load(workspace, options.services.as_deref())?;
    let profile = if options.debug { Profile::Debug } else { Profile::Release };
    let parts = compile::everything(workspace, &services.servers, profile, voice)?;

    let stripped = out.join("microkernel");
    capture(Command::new(&ready.objcopy).arg("--strip-all").args([&parts.kernel, &stripped]))?;

    let mut command = Command::new(&parts.root.image_builder);
    command.arg("--out").arg(out).arg("--kernel").arg(&stripped).arg("--busybox").arg(&ready.busybox);
    command.args(boots.iter().map(|boot| boot.option()));
    for (name, path) in &parts.servers {
        command.arg("--server").arg(joined(name, "=", path));
    }
    for program in &parts.root.programs {
        command.arg("--program").arg(program);
    }
    let encoded = out.join("services");
    fs::write(&encoded, &services.encoded).map_err(Error::io("writing", &encoded))?;
    command.arg("--services").arg(&encoded);
    let skeleton = workspace.file("initrd/rootfs");
    if skeleton.exists() {
        command.arg("--skeleton").arg(skeleton);
    }
    for added in &options.add {
        command.args(["--add", added]);
    }
    for option in &options.option {
        command.args(["--option", option]);
    }
    if let Some(script) = &options.script {
        command.arg("--add").arg(script_in(out, script)?).arg("--option").arg(format!("script={SCRIPT}"));
    }
    let composed = output(&mut command)?;
    if !composed.status.success() {
        return Err(Error::Refused(String::from_utf8_lossy(&composed.stderr).trim_end().into()));
    }
    Ok(Built { kernel: parts.kernel, servers: parts.servers, ready })
}

/// Copies the script, made executable, into `out`; the value of `--add` that puts it into the guest.
fn script_in(out: &Path, script: &Path) -> Result<OsString> {
    let copy = out.join("script");
    let text = fs::read(script).map_err(Error::io("reading", script))?;
    fs::write(&copy, text).map_err(Error::io("writing", &copy))?;
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).map_err(Error::io("making executable", &copy))?;
    let mut added = copy.into_os_string();
    added.push(":");
    added.push(SCRIPT);
    Ok(added)
}

fn joined(left: &str, separator: &str, right: &Path) -> OsString {
    let mut text = OsString::from(left);
    text.push(separator);
    text.push(right);
    text
}
