use super::{PAGE, PIE_BASE, Segment, Shebang, parse, shebang};
use crate::errno::Errno;
use crate::vma::{EXEC, READ, WRITE};

/// A header and two segments, as a linker would write them.
pub(super) fn small(kind: u16) -> Vec<u8> {
    let mut file = vec![0u8; 4096];
    file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    file[16..18].copy_from_slice(&kind.to_le_bytes());
    file[18..20].copy_from_slice(&62u16.to_le_bytes());
    file[24..32].copy_from_slice(&0x40_1000u64.to_le_bytes());
    file[32..40].copy_from_slice(&64u64.to_le_bytes());
    file[54..56].copy_from_slice(&56u16.to_le_bytes());
    file[56..58].copy_from_slice(&2u16.to_le_bytes());
    header(&mut file, 0, [1, 5], [0, 0x40_0000, 0x2000, 0x2000]);
    header(&mut file, 1, [1, 6], [0x2010, 0x40_3010, 0x100, 0x1800]);
    file
}

fn header(file: &mut [u8], index: usize, kind_flags: [u32; 2], [offset, address, file_bytes, memory]: [u64; 4]) {
    let at = 64 + index * 56;
    file[at..at + 4].copy_from_slice(&kind_flags[0].to_le_bytes());
    file[at + 4..at + 8].copy_from_slice(&kind_flags[1].to_le_bytes());
    for (field, value) in [(8, offset), (16, address), (32, file_bytes), (40, memory)] {
        file[at + field..at + field + 8].copy_from_slice(&value.to_le_bytes());
    }
}

#[test]
fn segments_entry_and_headers_are_found() {
    let program = parse(&small(2)).unwrap();
    assert_eq!(program.entry, 0x40_1000);
    assert_eq!(program.headers, 0x40_0040);
    assert_eq!(program.extent(), (0x40_0000, 0x40_5000));
    let second = Segment { address: 0x40_3010, offset: 0x2010, file_bytes: 0x100, memory_bytes: 0x1800, protection: READ | WRITE };
    assert_eq!(program.segments[1], second);
    assert_eq!(program.segments[0].protection, READ | EXEC);
    assert_eq!(program.bias(PIE_BASE), 0);
}

#[test]
fn relocatable_program_goes_to_its_base() {
    let program = parse(&small(3)).unwrap();
    assert_eq!(program.bias(PIE_BASE) + program.extent().0, PIE_BASE);
}

#[test]
fn every_truncation_is_refused_or_complete() {
    let file = small(2);
    for length in 0..64 + 2 * 56 {
        assert_eq!(parse(&file[..length]), Err(Errno::ENOEXEC), "{length}");
    }
    assert!(parse(&file[..64 + 2 * 56]).is_ok());
}

#[test]
fn program_whose_segments_are_not_in_the_file_is_cut() {
    let program = parse(&small(2)).unwrap();
    let end = program.segments.iter().map(|segment| segment.offset + segment.file_bytes).max().unwrap();
    assert_eq!(program.clone().whole_in((end - 1) & !(PAGE - 1)), Err(Errno::ENOEXEC));
    assert_eq!(program.clone().whole_in(((end - 1) & !(PAGE - 1)) + 1), Ok(program));
}

#[test]
fn every_single_byte_change_is_refused_or_well_formed() {
    let file = small(2);
    for at in 0..64 + 2 * 56 {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut changed = file.clone();
            changed[at] = value;
            if let Ok(program) = parse(&changed) {
                assert!(program.extent().1 <= abi::USER_END + 0xfff);
            }
        }
    }
}

#[test]
fn overlapping_and_wrapping_segments_are_refused() {
    let mut file = small(2);
    header(&mut file, 1, [1, 6], [0x1010, 0x40_1010, 0x100, 0x100]);
    assert_eq!(parse(&file), Err(Errno::ENOEXEC));
    header(&mut file, 1, [1, 6], [0x2000, 0xffff_ffff_ffff_f000, 0x100, 0x2000]);
    assert_eq!(parse(&file), Err(Errno::ENOEXEC));
    header(&mut file, 1, [1, 6], [0x2000, 0x40_4000, 0x3000, 0x100]);
    assert_eq!(parse(&file), Err(Errno::ENOEXEC));
}

#[test]
fn shebang_lines() {
    assert_eq!(shebang(b"echo"), Ok(None));
    let plain = Shebang { interpreter: b"/bin/sh", argument: None };
    assert_eq!(shebang(b"#! /bin/sh \nx"), Ok(Some(plain)));
    let argument = Shebang { interpreter: b"/bin/awk", argument: Some(b"-f x") };
    assert_eq!(shebang(b"#!/bin/awk  -f x\t\n"), Ok(Some(argument)));
    assert_eq!(shebang(b"#!\n"), Err(Errno::ENOEXEC));
    assert_eq!(shebang(&[b"#!/".as_slice(), &[b'a'; 300]].concat()), Err(Errno::ENOEXEC));
}
