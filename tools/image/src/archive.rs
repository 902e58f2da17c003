//! Writing the boot archive that [`abi::boot::Archive`] reads.

use abi::boot::{ARCHIVE_MAGIC, ENTRY_BYTES, HEADER_BYTES, NAME_BYTES, PAGE_SIZE, seal};

use crate::Error;

const PAGE: usize = PAGE_SIZE as usize;

/// Writes an archive of `entries` in their order.
///
/// # Errors
/// [`Error::Refused`] for a name that is too long and for more entries than the first page holds.
pub fn write(entries: &[(String, Vec<u8>)]) -> Result<Vec<u8>, Error> {
    let most = (PAGE - HEADER_BYTES) / ENTRY_BYTES;
    if entries.len() > most {
        return Err(Error::Refused(format!("{} entries in the boot archive, at most {most} are possible", entries.len())));
    }
    let mut table = Vec::new();
    let mut body = Vec::new();
    for (name, bytes) in entries {
        table.extend_from_slice(&entry(name, PAGE + body.len(), bytes.len())?);
        body.extend_from_slice(bytes);
        body.resize(body.len().next_multiple_of(PAGE), 0);
    }
    let mut archive = Vec::from(ARCHIVE_MAGIC);
    for word in [entries.len() as u64, (PAGE + body.len()) as u64] {
        archive.extend_from_slice(&word.to_le_bytes());
    }
    archive.resize(HEADER_BYTES, 0);
    archive.extend_from_slice(&table);
    archive.resize(PAGE, 0);
    archive.extend_from_slice(&body);
    seal(&mut archive);
    Ok(archive)
}

fn entry(name: &str, offset: usize, length: usize) -> Result<Vec<u8>, Error> {
    if name.is_empty() || name.len() > NAME_BYTES || name.contains('\0') {
        return Err(Error::Refused(format!("{name:?}: a name in the boot archive has 1 to {NAME_BYTES} bytes")));
    }
    let mut encoded = Vec::from(name);
    encoded.resize(NAME_BYTES, 0);
    for word in [offset as u64, length as u64, 0] {
        encoded.extend_from_slice(&word.to_le_bytes());
    }
    Ok(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::boot::{Archive, FormatError};

    #[test]
    fn what_is_written_is_read_back() {
        let entries = [("supervisor".into(), vec![1; 5000]), ("options".into(), b"slowpath\n".to_vec()), ("empty".into(), vec![])];
        let bytes = write(&entries).expect("an archive");
        let archive = Archive::open(&bytes, true).expect("readable");
        for (name, expected) in &entries {
            let entry = archive.find(name).expect("present");
            assert_eq!(archive.bytes(&entry), Ok(&expected[..]));
        }
        assert_eq!(archive.find("other").err(), Some(FormatError::Missing));
    }

    #[test]
    fn damage_is_noticed() {
        let good = write(&[("a".into(), vec![7; 100])]).expect("an archive");
        for place in [HEADER_BYTES, HEADER_BYTES + NAME_BYTES + 8, PAGE - 1, PAGE + 50, good.len() - 1] {
            let mut bytes = good.clone();
            bytes[place] ^= 1;
            assert_eq!(Archive::open(&bytes, true).err(), Some(FormatError::Checksum), "byte {place}");
        }
    }

    #[test]
    fn limits_are_errors() {
        assert!(write(&[("n".repeat(NAME_BYTES + 1), vec![])]).is_err());
        let many: Vec<_> = (0..64).map(|number| (number.to_string(), vec![])).collect();
        assert!(write(&many).is_err());
    }
}
