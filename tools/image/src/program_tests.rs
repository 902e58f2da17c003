//! Tests of the layout, on ELF files written by hand.

use super::*;

const R: u32 = 4;
const X: u32 = 5;
const W: u32 = 6;

/// An ELF file with one program header per (type, flags, address, bytes, memory size).
fn elf(kind: u16, entry: u64, segments: &[(u32, u32, u64, &[u8], u64)]) -> Vec<u8> {
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for half in [kind, 62] {
        file.extend_from_slice(&half.to_le_bytes());
    }
    file.extend_from_slice(&1u32.to_le_bytes());
    for word in [entry, 64, 0] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    file.extend_from_slice(&0u32.to_le_bytes());
    for half in [64, 56, u16::try_from(segments.len()).expect("few"), 64, 0, 0] {
        file.extend_from_slice(&half.to_le_bytes());
    }
    let mut offset = 64 + 56 * segments.len() as u64;
    for (kind, flags, address, bytes, memory) in segments {
        file.extend_from_slice(&kind.to_le_bytes());
        file.extend_from_slice(&flags.to_le_bytes());
        for word in [offset, *address, *address, bytes.len() as u64, *memory, 4096] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        offset += bytes.len() as u64;
    }
    for (_, _, _, bytes, _) in segments {
        file.extend_from_slice(bytes);
    }
    file
}

fn refusal(elf: &[u8]) -> String {
    match lay_out("test", elf) {
        Ok(_) => String::from("accepted"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn text_and_data_keep_addresses_bytes_and_flags() {
    let elf = elf(2, 0x40_1000, &[(1, W, 0x40_2010, b"data", 0x1000), (1, X, 0x40_1000, b"code", 4), (4, R, 0, b"note", 4)]);
    let image = lay_out("test", &elf).expect("a good program");
    let image = Image::open(&image).expect("a good image");
    let [text, data] = <[_; 2]>::try_from(image.segments().collect::<Vec<_>>()).expect("two segments");
    assert_eq!((image.entry, text.address, text.pages, text.flags), (0x40_1000, 0x40_1000, 1, SEGMENT_EXECUTE));
    assert_eq!((data.address, data.pages, data.flags), (0x40_2000, 2, SEGMENT_WRITE));
    assert_eq!(image.bytes(&text), b"code");
    assert_eq!(image.bytes(&data), [&[0u8; 16][..], b"data"].concat());
}

#[test]
fn writable_code_is_refused() {
    assert!(refusal(&elf(2, 0x40_0000, &[(1, 7, 0x40_0000, b"x", 1)])).contains("both writable and executable"));
}

#[test]
fn a_page_with_two_rights_is_refused() {
    let elf = elf(2, 0x40_0000, &[(1, X, 0x40_0000, b"x", 1), (1, W, 0x40_0800, b"y", 1)]);
    assert!(refusal(&elf).contains("belongs to two segments"));
}

#[test]
fn position_independent_and_dynamic_programs_are_refused() {
    assert!(refusal(&elf(3, 0x40_0000, &[(1, X, 0x40_0000, b"x", 1)])).contains("fixed address"));
    assert!(refusal(&elf(2, 0x40_0000, &[(2, R, 0x40_0000, b"x", 1)])).contains("dynamic loader"));
}

#[test]
fn an_entry_outside_code_is_refused() {
    assert!(refusal(&elf(2, 0x41_0000, &[(1, X, 0x40_0000, b"x", 1)])).contains("entry point"));
}

#[test]
fn addresses_of_the_upper_half_are_refused() {
    assert!(refusal(&elf(2, 0x40_0000, &[(1, X, 0xffff_8000_0000_0000, b"x", 1)])).contains("lower half"));
    assert!(refusal(&elf(2, 0x40_0000, &[(1, X, u64::MAX - 2, b"x", 9)])).contains("lower half"));
}

#[test]
fn garbage_is_refused() {
    assert!(refusal(b"#!/bin/sh").starts_with("program test: "));
}
