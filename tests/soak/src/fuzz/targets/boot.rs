//! What the machine boots with: the boot archive and what is in it, read in the guest; `services.toml`, read on the host.

use std::path::Path;

use abi::boot::{ARCHIVE_MAGIC, Archive, ENTRY_BYTES, HEADER_BYTES, IMAGE_HEADER_BYTES, IMAGE_MAGIC, Image, NAME_BYTES, SEGMENT_BYTES, seal};
use manifest::{Error, Services};
use protocols::manifest::Manifest;
use protocols::service::Service;

const PAGE: usize = abi::PAGE_SIZE as usize;
const SHIPPED: &str = include_str!("../../../../../initrd/services.toml");
const SMALL: &str = "[[service]]\nname = \"memory\"\npriority = 28\nheap_pages = 4\n\n[[service]]\nname = \"console\"\npriority = 20\nthreads = 2\n\
    heap_pages = 4\nports = [{ first = 0x3f8, count = 8 }]\nirqs = [4]\ncalls = [\"memory\"]\n";

/// The archive as it is, and with the checksum that it should have, so that the parts behind the checksum are met too.
pub(super) fn archive(bytes: &[u8]) {
    read_archive(bytes);
    let mut mended = bytes.to_vec();
    let total = bytes.get(16..24).and_then(|word| word.try_into().ok()).map(u64::from_le_bytes);
    if let Some(whole) = total.and_then(|total| mended.get_mut(..usize::try_from(total).ok()?)) {
        seal(whole);
        read_archive(&mended);
    }
}

fn read_archive(bytes: &[u8]) {
    if let Err(error) = supervisor::archive::read(bytes) {
        assert!(error.to_string().contains("damaged"), "{error}");
    }
    for verify in [false, true] {
        let Ok(archive) = Archive::open(bytes, verify) else { continue };
        for entry in archive.entries().map_while(Result::ok) {
            assert_eq!(archive.bytes(&entry).map(<[u8]>::len), Ok(entry.length));
        }
    }
}

pub(super) fn archive_seeds() -> Vec<Vec<u8>> {
    let services = Services::parse(&[(Path::new("services.toml"), SMALL)]).and_then(|services| services.encode()).expect("it is good");
    let image = image_seeds().swap_remove(0);
    let entries =
        [("supervisor", &*image), ("server/memory", &*image), ("server/console", &*image), ("services", &*services), ("options", b"script=/s\n")];
    let mut header = vec![0; PAGE];
    let mut body = Vec::new();
    for (index, (name, bytes)) in entries.iter().enumerate() {
        let at = HEADER_BYTES + index * ENTRY_BYTES;
        header[at..at + name.len()].copy_from_slice(name.as_bytes());
        put(&mut header, at + NAME_BYTES, &[(PAGE + body.len()) as u64, bytes.len() as u64]);
        body.extend_from_slice(bytes);
        body.resize(body.len().next_multiple_of(PAGE), 0);
    }
    header[..ARCHIVE_MAGIC.len()].copy_from_slice(&ARCHIVE_MAGIC);
    put(&mut header, 8, &[entries.len() as u64, (PAGE + body.len()) as u64]);
    let mut whole = [header, body].concat();
    seal(&mut whole);
    assert!(supervisor::archive::read(&whole).is_ok(), "the seed is a good archive");
    vec![whole]
}

fn put(bytes: &mut [u8], at: usize, words: &[u64]) {
    for (place, word) in bytes[at..].chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
}

/// What the reader lets through lies within the file and in the lower half, and nothing is writable and executable.
pub(super) fn image(bytes: &[u8]) {
    let Ok(image) = Image::open(bytes) else { return };
    for segment in image.segments() {
        let content = image.bytes(&segment);
        assert_eq!(content.len() as u64, segment.file_bytes);
        assert!(segment.address + u64::from(segment.pages) * abi::PAGE_SIZE <= abi::USER_END, "{segment:x?}");
        assert_ne!(segment.flags & 3, 3, "{segment:x?}");
    }
}

pub(super) fn image_seeds() -> Vec<Vec<u8>> {
    let mut bytes = vec![0; IMAGE_HEADER_BYTES + 2 * SEGMENT_BYTES];
    bytes[..IMAGE_MAGIC.len()].copy_from_slice(&IMAGE_MAGIC);
    put(&mut bytes, 8, &[0x40_0000, 2]);
    put(&mut bytes, IMAGE_HEADER_BYTES, &[0x40_0000, 0, 64, 1 | 2 << 32]);
    put(&mut bytes, IMAGE_HEADER_BYTES + SEGMENT_BYTES, &[0x40_1000, 0, 0, 3 | 1 << 32]);
    assert!(Image::open(&bytes).is_ok(), "the seed is a good image");
    vec![bytes]
}

/// As text, a wrong manifest names one of its lines and a right one is read back as it was; as bytes, it is refused or means one thing.
pub(super) fn manifest(bytes: &[u8]) {
    if let Ok(manifest) = Manifest::decode(bytes) {
        let mut again = vec![0; 64 * 1024];
        let length = protocols::wire::encode(&manifest, &mut again).expect("it was shorter");
        assert_eq!(Manifest::decode(&again[..length]), Ok(manifest));
    }
    let text = String::from_utf8_lossy(bytes);
    match Services::parse(&[(Path::new("services.toml"), &text)]) {
        Ok(services) => {
            let encoded = services.encode().expect("small");
            assert_eq!(Manifest::decode(&encoded).as_ref(), Ok(&services.manifest));
        }
        Err(Error::Line { line, what, .. }) => assert!((1..=text.lines().count() + 1).contains(&line) && !what.is_empty(), "line {line}: {what}"),
        Err(error) => panic!("an error without a line: {error}"),
    }
}

pub(super) fn manifest_seeds() -> Vec<Vec<u8>> {
    let encoded = Services::parse(&[(Path::new("services.toml"), SMALL)]).and_then(|services| services.encode()).expect("it is good");
    vec![SMALL.into(), SHIPPED.into(), encoded]
}

/// Options that nobody understands are passed over.
pub(super) fn options(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for service in [Service::Vfs, Service::Posix] {
        for instance in [0, 1, 2, u32::MAX] {
            let armed = supervisor::options::armed(&text, service, instance);
            assert!(armed.is_none_or(|point| text.contains(point.point.as_str())));
        }
    }
    let options = posix::options::Options::parse(&text);
    assert!(options.terminal.is_none_or(|terminal| text.contains(&terminal)));
}

pub(super) fn option_seeds() -> Vec<Vec<u8>> {
    vec![b"script=/run/script\nslowpath\nfail=vfs:write.effect:2\nfail=posix:fork.intent:1\nterm=vt100\n".to_vec()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_damaged_byte_is_said_in_words() {
        let good = archive_seeds().swap_remove(0);
        for place in 0..good.len() {
            let mut bad = good.clone();
            bad[place] ^= 0x10;
            let error = supervisor::archive::read(&bad).map(drop).expect_err("it is damaged").to_string();
            assert!(error.contains("damaged"), "byte {place}: {error}");
        }
    }

    #[test]
    fn an_archive_that_is_cut_anywhere_is_refused() {
        let good = archive_seeds().swap_remove(0);
        assert!((0..good.len()).all(|length| supervisor::archive::read(&good[..length]).is_err()));
    }
}
