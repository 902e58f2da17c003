//! Programs for `execve`: what the parser lets through can be mapped.

use posix::elf::{HEAD_BYTES, parse};

pub(super) fn elf(bytes: &[u8]) {
    let Ok(program) = parse(bytes) else { return };
    let mut last_end = 0;
    for segment in &program.segments {
        let end = segment.address.checked_add(segment.memory_bytes).expect("a segment ends");
        assert!(segment.address >= last_end && end <= abi::USER_END, "{segment:x?}");
        assert!(segment.file_bytes <= segment.memory_bytes && segment.offset.checked_add(segment.file_bytes).is_some(), "{segment:x?}");
        last_end = end;
    }
    assert!(!program.segments.is_empty());
    let (low, high) = program.extent();
    assert!(low < high, "{program:x?}");
}

/// Headers as a linker writes them: text, data with more memory than file, a stack, an interpreter.
pub(super) fn elf_seeds() -> Vec<Vec<u8>> {
    [2u16, 3]
        .map(|kind| seed(kind, &[(1, 5, 0, 0x40_0000, 0x1000, 0x1000), (1, 6, 0x1ff0, 0x40_2ff0, 0x10, 0x900), (0x6474_e551, 6, 0, 0, 0, 0)]))
        .to_vec()
}

/// A file of `kind` (2 fixed, 3 relocatable) with program headers (type, flags, offset, address, bytes in the file, bytes in memory).
fn seed(kind: u16, headers: &[(u32, u32, u64, u64, u64, u64)]) -> Vec<u8> {
    let mut bytes = Vec::from(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    for half in [kind, 62] {
        bytes.extend(half.to_le_bytes());
    }
    bytes.extend(1u32.to_le_bytes());
    for long in [0x40_0010u64, 64, 0] {
        bytes.extend(long.to_le_bytes());
    }
    bytes.extend(0u32.to_le_bytes());
    for half in [64u16, 56, headers.len() as u16, 0, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    for (what, flags, offset, address, file, memory) in headers {
        bytes.extend(what.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        for long in [offset, address, address, file, memory, &0x1000] {
            bytes.extend(long.to_le_bytes());
        }
    }
    assert!(bytes.len() <= HEAD_BYTES);
    bytes
}
