//! Bootable disk images, by the `bootloader` crate.
//!
//! An image is written to a temporary name and renamed, so that one that exists is whole. Beside it stands a stamp with the
//! checksums of its inputs; when they have not changed, nothing is written.

use std::fs;
use std::path::{Path, PathBuf};

use abi::boot::checksum;
use bootloader::{BootConfig, DiskImageBuilder};

use crate::{Error, fat};

/// Counts the ways in which images of the same inputs were made, so that one made in an older way is written again.
const WAY: u32 = 4;

/// What a disk image starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// A master boot record.
    Bios,
    /// An EFI system partition.
    Uefi,
}

impl Firmware {
    fn name(self) -> &'static str {
        match self {
            Self::Bios => "bios",
            Self::Uefi => "uefi",
        }
    }
}

/// Writes `folder/bios.img` or `folder/uefi.img` with `kernel` and `archive`, unless it is there already.
///
/// # Errors
/// [`Error::Refused`] when the boot loader's builder refuses; [`Error::Io`].
pub fn write(firmware: Firmware, folder: &Path, kernel: &[u8], archive: &[u8]) -> Result<(), Error> {
    let image = folder.join(format!("{}.img", firmware.name()));
    let stamp = image.with_extension("stamp");
    let wanted = format!("{WAY} {:016x} {:016x}\n", checksum(kernel), checksum(archive));
    if image.exists() && fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    let fresh = build(firmware, folder, kernel, archive)?;
    fs::rename(&fresh, &image).map_err(Error::io("renaming", &fresh))?;
    fs::write(&stamp, wanted).map_err(Error::io("writing", &stamp))
}

fn build(firmware: Firmware, folder: &Path, kernel: &[u8], archive: &[u8]) -> Result<PathBuf, Error> {
    let fresh = folder.join(format!("{}.new", firmware.name()));
    let mut builder = DiskImageBuilder::new(temporary(folder, "kernel", kernel)?);
    builder.set_ramdisk(temporary(folder, "archive", archive)?);
    builder.set_boot_config(&quiet());
    let built = match firmware {
        Firmware::Bios => builder.create_bios_image(&fresh),
        Firmware::Uefi => builder.create_uefi_image(&fresh),
    };
    built.map_err(|error| Error::Refused(format!("the boot loader's image builder: {error:#}")))?;
    let mut image = fs::read(&fresh).map_err(Error::io("reading", &fresh))?;
    fat::enlarge_clusters(firmware, &mut image).map_err(Error::io("formatting the volume of", &fresh))?;
    fs::write(&fresh, image).map_err(Error::io("writing", &fresh))?;
    Ok(fresh)
}

/// The boot loader says nothing: the serial line belongs to the console, and drawing on the screen costs seconds.
fn quiet() -> BootConfig {
    let mut config = BootConfig::default();
    config.serial_logging = false;
    config.frame_buffer_logging = false;
    config
}

/// The builder wants its inputs as files.
fn temporary(folder: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf, Error> {
    let path = folder.join(name);
    fs::write(&path, bytes).map_err(Error::io("writing", &path))?;
    Ok(path)
}
