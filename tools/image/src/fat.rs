//! The FAT volume of a disk image, formatted again with the largest clusters.
//!
//! A BIOS boot loader reads a file cluster by cluster, and before each cluster its entry in the table: two requests to the
//! firmware for 1 KiB, the cluster that a volume of our size gets by default. Under emulation a request costs half a
//! millisecond, so that those requests, and not the bytes, were nearly all of the time until the kernel's first line.
//!
//! The volume keeps its place and its size: what is lost in half-filled clusters fits into the builder's reserve of 1 MiB.

use std::io::{self, Cursor, Read, Write};
use std::ops::Range;

use fatfs::{Dir, FileSystem, FormatVolumeOptions, FsOptions};

use crate::disk::Firmware;

/// Bytes of a cluster: the most that FAT has.
const CLUSTER: u32 = 32 << 10;
const SECTOR: usize = 512;

/// A file with its bytes, or a directory, by path; a directory comes before what lies in it.
type Entry = (String, Option<Vec<u8>>);
type Volume<'a> = Cursor<&'a mut [u8]>;

/// Formats the FAT volume of `image` again, with the same files.
///
/// # Errors
/// `InvalidData` when there is no such volume where the boot loader's builder puts it; what `fatfs` answers.
pub(crate) fn enlarge_clusters(firmware: Firmware, image: &mut [u8]) -> io::Result<()> {
    let range = place(firmware, image).filter(|range| range.end <= image.len()).ok_or(io::ErrorKind::InvalidData)?;
    let volume = &mut image[range];
    let (entries, label) = read(volume)?;
    write(volume, &entries, label)
}

/// The bytes of the volume: the second partition of a master boot record, the first one of a GUID partition table
/// (UEFI 2.10, section 5.3).
fn place(firmware: Firmware, image: &[u8]) -> Option<Range<usize>> {
    let (first, sectors) = match firmware {
        Firmware::Bios => {
            let entry = 446 + 16;
            (number::<4>(image, entry + 8)?, number::<4>(image, entry + 12)?)
        }
        Firmware::Uefi => {
            let entry = number::<8>(image, SECTOR + 72)?.checked_mul(SECTOR)?;
            let (first, last) = (number::<8>(image, entry + 32)?, number::<8>(image, entry + 40)?);
            (first, last.checked_sub(first)? + 1)
        }
    };
    let start = first.checked_mul(SECTOR)?;
    Some(start..start.checked_add(sectors.checked_mul(SECTOR)?)?)
}

fn number<const BYTES: usize>(image: &[u8], offset: usize) -> Option<usize> {
    let bytes = image.get(offset..offset.checked_add(BYTES)?)?;
    let mut wide = [0; 8];
    wide[..BYTES].copy_from_slice(bytes);
    usize::try_from(u64::from_le_bytes(wide)).ok()
}

fn read(volume: &mut [u8]) -> io::Result<(Vec<Entry>, [u8; 11])> {
    let system = FileSystem::new(Cursor::new(volume), FsOptions::new())?;
    let mut label = [b' '; 11];
    let found = system.volume_label_as_bytes();
    label[..found.len()].copy_from_slice(found);
    let mut entries = Vec::new();
    collect(&system.root_dir(), "", &mut entries)?;
    Ok((entries, label))
}

fn collect(folder: &Dir<'_, Volume<'_>>, prefix: &str, entries: &mut Vec<Entry>) -> io::Result<()> {
    for entry in folder.iter() {
        let entry = entry?;
        let name = entry.file_name();
        if name == "." || name == ".." {
            continue;
        }
        let path = format!("{prefix}{name}");
        if entry.is_dir() {
            entries.push((path.clone(), None));
            collect(&entry.to_dir(), &format!("{path}/"), entries)?;
        } else {
            let mut bytes = Vec::new();
            entry.to_file().read_to_end(&mut bytes)?;
            entries.push((path, Some(bytes)));
        }
    }
    Ok(())
}

/// The rest of a file's last cluster is zero: the boot loader loads whole clusters, and has variables that it never clears
/// behind the image of its own last stage.
fn write(volume: &mut [u8], entries: &[Entry], label: [u8; 11]) -> io::Result<()> {
    volume.fill(0);
    fatfs::format_volume(Cursor::new(&mut *volume), FormatVolumeOptions::new().bytes_per_cluster(CLUSTER).volume_label(label))?;
    let system = FileSystem::new(Cursor::new(volume), FsOptions::new())?;
    for (path, bytes) in entries {
        match bytes {
            Some(bytes) => system.root_dir().create_file(path)?.write_all(bytes)?,
            None => drop(system.root_dir().create_dir(path)?),
        }
    }
    system.unmount()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image whose volume of 2 MiB starts at sector 3.
    fn image(firmware: Firmware) -> Vec<u8> {
        let mut image = vec![0; 3 * SECTOR + (2 << 20)];
        let sectors = (2 << 20) / SECTOR as u64;
        match firmware {
            Firmware::Bios => {
                image[446 + 16 + 8..][..4].copy_from_slice(&3u32.to_le_bytes());
                image[446 + 16 + 12..][..4].copy_from_slice(&(sectors as u32).to_le_bytes());
            }
            Firmware::Uefi => {
                image[SECTOR + 72..][..8].copy_from_slice(&2u64.to_le_bytes());
                image[2 * SECTOR + 32..][..8].copy_from_slice(&3u64.to_le_bytes());
                image[2 * SECTOR + 40..][..8].copy_from_slice(&(3 + sectors - 1).to_le_bytes());
            }
        }
        fatfs::format_volume(Cursor::new(&mut image[3 * SECTOR..]), FormatVolumeOptions::new().volume_label(*b"microkernel")).expect("formatted");
        image
    }

    fn fill(image: &mut [u8], entries: &[Entry]) {
        let system = FileSystem::new(Cursor::new(&mut image[3 * SECTOR..]), FsOptions::new()).expect("a volume");
        for (path, bytes) in entries {
            match bytes {
                Some(bytes) => system.root_dir().create_file(path).expect("created").write_all(bytes).expect("written"),
                None => drop(system.root_dir().create_dir(path).expect("created")),
            }
        }
    }

    fn entries() -> Vec<Entry> {
        let long: Vec<u8> = (0..700_000u32).map(|number| (number / 7) as u8).collect();
        vec![
            ("efi".into(), None),
            ("efi/boot".into(), None),
            ("efi/boot/bootx64.efi".into(), Some(vec![7; 33_000])),
            ("ramdisk".into(), Some(long)),
            ("boot.json".into(), Some(vec![])),
        ]
    }

    #[test]
    fn the_files_stay_and_the_clusters_grow() {
        for firmware in [Firmware::Bios, Firmware::Uefi] {
            let mut image = image(firmware);
            fill(&mut image, &entries());
            enlarge_clusters(firmware, &mut image).expect("formatted again");
            let volume = &mut image[3 * SECTOR..];
            assert_eq!(read(volume).expect("readable"), (entries(), *b"microkernel"), "{firmware:?}");
            let system = FileSystem::new(Cursor::new(volume), FsOptions::new()).expect("a volume");
            assert_eq!(system.cluster_size(), CLUSTER);
        }
    }

    #[test]
    fn what_follows_a_file_in_its_last_cluster_is_zero() {
        let mut image = image(Firmware::Bios);
        image[3 * SECTOR + (64 << 10)..].fill(0xa5);
        fill(&mut image, &[("file".into(), Some(vec![7; 33_000]))]);
        enlarge_clusters(Firmware::Bios, &mut image).expect("formatted again");
        assert!(!image[3 * SECTOR..].contains(&0xa5));
    }

    #[test]
    fn an_image_without_a_volume_is_refused() {
        for firmware in [Firmware::Bios, Firmware::Uefi] {
            assert!(enlarge_clusters(firmware, &mut []).is_err());
            assert!(enlarge_clusters(firmware, &mut vec![0; 4096]).is_err());
            assert!(enlarge_clusters(firmware, &mut vec![0xff; 4096]).is_err());
            let mut cut = image(firmware);
            cut.truncate(1 << 20);
            assert!(enlarge_clusters(firmware, &mut cut).is_err());
        }
    }

    #[test]
    fn files_that_need_more_clusters_than_there_are_are_an_error() {
        let mut image = image(Firmware::Bios);
        let many: Vec<Entry> = (0..100).map(|number| (format!("file{number}"), Some(vec![1; 100]))).collect();
        fill(&mut image, &many);
        assert!(enlarge_clusters(Firmware::Bios, &mut image).is_err());
    }
}
