//! The command line of the image builder; xtask runs it, people rarely do.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use image::compose::Parts;
use image::disk::Firmware;

/// Composes SynOS's disk images out of compiled files.
#[derive(Parser)]
struct Arguments {
    /// Folder for bios.img, uefi.img and root.cpio.
    #[arg(long)]
    out: PathBuf,
    /// The kernel's ELF file.
    #[arg(long, required_if_eq_any([("bios", "true"), ("uefi", "true")]))]
    kernel: Option<PathBuf>,
    /// A server: NAME=ELF.
    #[arg(long, value_parser = |text: &str| pair(text, '='))]
    server: Vec<(String, String)>,
    /// The encoded manifest.
    #[arg(long)]
    services: Option<PathBuf>,
    /// Skeleton of the root file system.
    #[arg(long)]
    skeleton: Option<PathBuf>,
    /// A static busybox.
    #[arg(long)]
    busybox: Option<PathBuf>,
    /// A program for the guest's /usr/bin.
    #[arg(long)]
    program: Vec<PathBuf>,
    /// A file or folder: HOST:GUEST.
    #[arg(long, value_parser = |text: &str| pair(text, ':'))]
    add: Vec<(String, String)>,
    /// A line of the run's options.
    #[arg(long)]
    option: Vec<String>,
    /// Make root.cpio, the root file system alone, which Linux can unpack too.
    #[arg(long)]
    root: bool,
    /// Make bios.img.
    #[arg(long)]
    bios: bool,
    /// Make uefi.img.
    #[arg(long)]
    uefi: bool,
}

fn pair(text: &str, separator: char) -> Result<(String, String), String> {
    let (left, right) = text.rsplit_once(separator).ok_or_else(|| format!("{text}: two parts separated by {separator:?}"))?;
    Ok((left.into(), right.into()))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let firmwares = [(arguments.bios, Firmware::Bios), (arguments.uefi, Firmware::Uefi)];
    let firmwares: Vec<_> = firmwares.into_iter().filter(|(wanted, _)| *wanted).map(|(_, firmware)| firmware).collect();
    let parts = Parts {
        kernel: arguments.kernel.unwrap_or_default(),
        servers: arguments.server.into_iter().map(|(name, path)| (name, path.into())).collect(),
        services: arguments.services,
        skeleton: arguments.skeleton,
        busybox: arguments.busybox,
        programs: arguments.program,
        added: arguments.add.into_iter().map(|(host, guest)| (host.into(), guest)).collect(),
        options: arguments.option,
    };
    let root = if arguments.root { parts.write_root(&arguments.out) } else { Ok(()) };
    match root.and_then(|()| parts.write(&arguments.out, &firmwares)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("image: {error}");
            ExitCode::FAILURE
        }
    }
}
