//! Archives as the image builder makes them, and what comes of damage.

use abi::boot::{ARCHIVE_MAGIC, ENTRY_BYTES, FormatError, HEADER_BYTES, IMAGE_MAGIC, NAME_BYTES, seal};
use heapless::Vec as Bounded;
use protocols::manifest::{Entry, Manifest, OnGivingUp, Policy, Quota, Restart};
use protocols::service::Service;

use super::{ArchiveError, read};

const PAGE: usize = 4096;

/// Lays entries out, one after the other.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut header = vec![0; PAGE];
    let mut body = Vec::new();
    for (index, (name, bytes)) in entries.iter().enumerate() {
        let at = HEADER_BYTES + index * ENTRY_BYTES;
        header[at..at + name.len()].copy_from_slice(name.as_bytes());
        for (place, word) in [(NAME_BYTES, PAGE + body.len()), (NAME_BYTES + 8, bytes.len())] {
            header[at + place..at + place + 8].copy_from_slice(&(word as u64).to_le_bytes());
        }
        body.extend_from_slice(bytes);
        body.resize(body.len().next_multiple_of(PAGE), 0);
    }
    header[..8].copy_from_slice(&ARCHIVE_MAGIC);
    for (at, word) in [(8, entries.len() as u64), (16, (PAGE + body.len()) as u64)] {
        header[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }
    header.extend_from_slice(&body);
    seal(&mut header);
    header
}

const POLICY: Policy = Policy {
    restart: Restart::Always,
    backoff_ms: 1,
    backoff_most_ms: 2,
    burst: 3,
    per_ms: 4,
    watchdog_ms: 500,
    helper_watchdog_ms: 600,
    on_giving_up: OnGivingUp::Close,
};

fn entry(name: &str) -> Entry {
    Entry {
        name: name.try_into().expect("short"),
        priority: 20,
        threads: 1,
        heap_pages: 4,
        saved_pages: 0,
        region_pages: 0,
        processor: 0,
        fpu: false,
        keeps: 0,
        rootfs: false,
        helpers: 0,
        helper_priority: 0,
        policy: POLICY,
        ports: Bounded::new(),
        irqs: Bounded::new(),
        calls: Bounded::new(),
        quota: Quota { percent: 5, pages: 9 },
    }
}

fn encoded(services: &[Entry]) -> Vec<u8> {
    let mut bytes = vec![0; PAGE];
    let manifest = Manifest { services: Bounded::from_slice(services).expect("few") };
    let used = protocols::wire::encode(&manifest, &mut bytes).expect("fits");
    bytes.truncate(used);
    bytes
}

fn image() -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[..8].copy_from_slice(&IMAGE_MAGIC);
    bytes
}

/// An archive with these services, each with an image.
fn with(services: &[Entry]) -> Vec<u8> {
    let (manifest, image) = (encoded(services), image());
    let names: Vec<String> = services.iter().map(|service| format!("server/{}", service.name)).collect();
    let mut entries: Vec<(&str, &[u8])> = vec![("services", &manifest), ("options", b"script=/s\n"), ("rootfs.cpio", b"070701")];
    entries.extend(names.iter().map(|name| (name.as_str(), image.as_slice())));
    archive(&entries)
}

fn refused(bytes: &[u8]) -> ArchiveError {
    read(bytes).map(|_| ()).expect_err("it is damaged")
}

#[test]
fn whole_archive_is_read() {
    let bytes = with(&[entry("memory"), Entry { calls: Bounded::from_slice(&[2]).expect("one"), fpu: true, ..entry("vfs") }]);
    let contents = read(&bytes).expect("whole");
    assert_eq!(contents.specs.iter().map(|spec| spec.service).collect::<Vec<_>>(), [Service::Memory, Service::Vfs]);
    assert_eq!(contents.specs[1].calls, [Service::Memory]);
    assert_eq!((contents.specs[0].fpu, contents.specs[1].fpu), (false, true));
    assert_eq!((contents.options, contents.rootfs.page, contents.rootfs.bytes), ("script=/s\n", 3, 6));
}

#[test]
fn every_changed_byte_is_noticed_in_words() {
    let bytes = with(&[entry("memory")]);
    for at in (PAGE..bytes.len()).step_by(97) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert_eq!(refused(&damaged).to_string(), "the boot archive is damaged: as a whole: the checksum is wrong");
    }
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = with(&[entry("memory")]);
    for length in (0..bytes.len()).step_by(61) {
        refused(&bytes[..length]);
    }
}

#[test]
fn manifest_that_cannot_be_decoded_is_named() {
    let damaged = archive(&[("services", &[0xff; 40])]);
    assert_eq!(refused(&damaged), ArchiveError::Manifest);
    assert!(ArchiveError::Manifest.to_string().contains("services.toml"));
    assert_eq!(refused(&archive(&[])), ArchiveError::Format("services", FormatError::Missing));
}

#[test]
fn services_that_cannot_be_wired_are_refused() {
    let name = |name: &str| name.try_into().expect("short");
    assert_eq!(refused(&with(&[entry("nobody")])), ArchiveError::Service(name("nobody")));
    assert_eq!(refused(&with(&[entry("supervisor")])), ArchiveError::Service(name("supervisor")));
    assert_eq!(refused(&with(&[entry("vfs"), entry("vfs")])), ArchiveError::Service(name("vfs")));
    for wrong in [Entry { threads: 0, ..entry("vfs") }, Entry { threads: 9, ..entry("vfs") }, Entry { priority: 32, ..entry("vfs") }] {
        assert_eq!(refused(&with(&[wrong])), ArchiveError::Range(name("vfs")));
    }
    let unknown_peer = Entry { calls: Bounded::from_slice(&[200]).expect("one"), ..entry("vfs") };
    assert_eq!(refused(&with(&[unknown_peer])), ArchiveError::Service(name("vfs")));
}

#[test]
fn missing_and_damaged_images_are_named() {
    let manifest = encoded(&[entry("vfs")]);
    let missing = refused(&archive(&[("services", &manifest)]));
    assert_eq!(missing.to_string(), "the image of vfs is damaged: it is missing");
    let damaged = refused(&archive(&[("services", &manifest), ("server/vfs", b"not an image")]));
    assert_eq!(damaged, ArchiveError::Server("vfs".try_into().expect("short"), FormatError::Magic));
}

#[test]
fn options_that_are_not_text_are_refused() {
    let manifest = encoded(&[]);
    assert_eq!(refused(&archive(&[("services", &manifest), ("options", &[0xff])])), ArchiveError::Options);
    assert_eq!(read(&archive(&[("services", &manifest)])).map(|contents| contents.options.to_owned()), Ok(String::new()));
}
