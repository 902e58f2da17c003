//! Instructions of ring 0 that cost a processor more than others, by their bytes (SDM vol. 2).

/// What is counted, in the order in which it is shown.
pub(super) const KINDS: [&str; 6] = ["CR3", "MSR", "CR0", "swapgs", "invlpg", "iretq"];

/// Which of [`KINDS`] an instruction is.
pub(super) fn kind(bytes: &[u8]) -> Option<&'static str> {
    let is_prefix = |byte: &u8| matches!(byte, 0x40..=0x4f | 0x66 | 0xf2 | 0xf3);
    let opcode = bytes.iter().position(|byte| !is_prefix(byte)).and_then(|at| bytes.get(at..))?;
    // The register, or the opcode's rest, in bits 3 to 5 of the third byte.
    let register = |byte: u8| byte >> 3 & 7;
    let is_memory = |byte: u8| byte >> 6 != 3;
    match *opcode {
        [0x0f, 0x22, byte, ..] if register(byte) == 3 => Some("CR3"),
        [0x0f, 0x30, ..] => Some("MSR"),
        [0x0f, 0x22, byte, ..] if register(byte) == 0 => Some("CR0"),
        [0x0f, 0x06, ..] => Some("CR0"),
        [0x0f, 0x01, 0xf8, ..] => Some("swapgs"),
        [0x0f, 0x01, byte, ..] if is_memory(byte) && register(byte) == 7 => Some("invlpg"),
        [0xcf, ..] => Some("iretq"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_told_from_reads_and_from_their_neighbours() {
        let kinds: [(&[u8], Option<&str>); 12] = [
            (&[0x0f, 0x22, 0xd9], Some("CR3")),
            (&[0x41, 0x0f, 0x22, 0xd8], Some("CR3")),
            (&[0x0f, 0x20, 0xd9], None),
            (&[0x0f, 0x22, 0xc1], Some("CR0")),
            (&[0x0f, 0x06], Some("CR0")),
            (&[0x0f, 0x22, 0xe0], None),
            (&[0x0f, 0x30], Some("MSR")),
            (&[0x0f, 0x32], None),
            (&[0x0f, 0x01, 0xf8], Some("swapgs")),
            (&[0x0f, 0x01, 0x3f], Some("invlpg")),
            (&[0x0f, 0x01, 0x1f], None),
            (&[0x48, 0xcf], Some("iretq")),
        ];
        for (bytes, kind) in kinds {
            assert_eq!(super::kind(bytes), kind, "{bytes:x?}");
            assert!(kind.is_none_or(|kind| KINDS.contains(&kind)));
        }
        assert_eq!(super::kind(&[]), None);
    }
}
