//! The initial stack of a program, as the System V ABI (3.4.1) and Linux (`create_elf_tables`) lay it out.
//!
//! From the top: eight zero bytes, the file name, the environment's strings, the arguments' strings, the platform's name, sixteen random bytes; then
//! aligned to 16: `argc`, the argument pointers, 0, the environment pointers, 0, the auxiliary vector. The builder makes bytes for the addresses
//! just below `top`; who puts them there is `exec`.

use alloc::vec;
use alloc::vec::Vec;

use crate::errno::Errno;

/// Most bytes of arguments and environment, pointers included (Linux: a quarter of the stack limit, at most 6 MiB; here 128 KiB as before 2.6.23).
pub const MAX_BYTES: usize = 128 * 1024;
/// Most arguments and environment strings together.
pub const MAX_STRINGS: usize = 8192;

const AT_PHDR: u64 = 3;
const AT_PHENT: u64 = 4;
const AT_PHNUM: u64 = 5;
const AT_PAGESZ: u64 = 6;
const AT_BASE: u64 = 7;
const AT_FLAGS: u64 = 8;
const AT_ENTRY: u64 = 9;
const AT_UID: u64 = 11;
const AT_EUID: u64 = 12;
const AT_GID: u64 = 13;
const AT_EGID: u64 = 14;
const AT_PLATFORM: u64 = 15;
const AT_HWCAP: u64 = 16;
const AT_CLKTCK: u64 = 17;
const AT_SECURE: u64 = 23;
const AT_RANDOM: u64 = 25;
const AT_HWCAP2: u64 = 26;
const AT_EXECFN: u64 = 31;
const AT_SYSINFO_EHDR: u64 = 33;
const AT_MINSIGSTKSZ: u64 = 51;

/// What the auxiliary vector says about the program.
#[derive(Clone, Copy, Debug, Default)]
pub struct Auxiliary {
    /// Program headers in memory.
    pub headers: u64,
    /// How many.
    pub header_count: u64,
    /// Where the interpreter was put, or 0.
    pub interpreter_base: u64,
    /// The program's own entry.
    pub entry: u64,
    /// Real and effective user and group.
    pub ids: [u64; 4],
    /// CPUID leaf 1, edx.
    pub hwcap: u64,
    /// Address of the vDSO, or 0.
    pub vdso: u64,
    /// Seed for the C library's canaries.
    pub random: [u8; 16],
}

/// A finished stack.
#[derive(Clone, Debug)]
pub struct Stack {
    /// Bytes for the addresses from [`Stack::pointer`] on.
    pub bytes: Vec<u8>,
    /// The stack pointer the program starts with.
    pub pointer: u64,
    /// Address of the first argument's string and the end of the last one's.
    pub arguments: (u64, u64),
    /// Likewise for the environment.
    pub environment: (u64, u64),
}

/// Collects bytes downwards.
struct Down {
    top: u64,
    /// Zeros up to `start`.
    bytes: Vec<u8>,
    start: usize,
}

impl Down {
    fn new(top: u64, most: usize) -> Self {
        Self { top, bytes: vec![0; most], start: most }
    }

    fn address(&self) -> u64 {
        self.top - (self.bytes.len() - self.start) as u64
    }

    /// Room for so many bytes, zeros.
    fn room(&mut self, length: usize) -> &mut [u8] {
        if self.start < length {
            let more = length.max(self.bytes.len());
            self.bytes.splice(..0, core::iter::repeat_n(0, more));
            self.start += more;
        }
        self.start -= length;
        self.bytes.get_mut(self.start..self.start + length).unwrap_or_default()
    }

    fn push(&mut self, bytes: &[u8]) -> u64 {
        self.room(bytes.len()).copy_from_slice(bytes);
        self.address()
    }

    fn push_string(&mut self, string: &[u8]) -> u64 {
        self.room(1);
        self.push(string)
    }

    fn push_word(&mut self, word: u64) {
        self.push(&word.to_le_bytes());
    }

    fn align(&mut self, to: u64) {
        let above = (self.address() % to) as usize;
        self.room(above);
    }

    fn into_bytes(mut self) -> Vec<u8> {
        self.bytes.split_off(self.start)
    }
}

/// Lays out the stack below `top`.
///
/// # Errors
/// `E2BIG` if it is larger than [`MAX_BYTES`].
pub fn build(top: u64, file_name: &[u8], arguments: &[Vec<u8>], environment: &[Vec<u8>], auxiliary: &Auxiliary) -> Result<Stack, Errno> {
    let strings: usize = arguments.iter().chain(environment).map(|string| string.len() + 9).sum();
    if strings > MAX_BYTES || arguments.len() + environment.len() > MAX_STRINGS {
        return Err(Errno::E2BIG);
    }
    let mut down = Down::new(top, strings + 1024);
    down.push(&[0; 8]);
    let file_name = down.push_string(file_name);
    let environment_end = down.address();
    let environment: Vec<u64> = environment.iter().rev().map(|string| down.push_string(string)).collect();
    let arguments_end = down.address();
    let arguments: Vec<u64> = arguments.iter().rev().map(|string| down.push_string(string)).collect();
    let arguments_start = down.address();
    let platform = down.push_string(b"x86_64");
    let random = down.push(&auxiliary.random);
    let vector = auxiliary_vector(auxiliary, file_name, platform, random);
    let words = vector.len() as u64 * 2 + environment.len() as u64 + arguments.len() as u64 + 3;
    down.align(16);
    if !words.is_multiple_of(2) {
        down.push_word(0);
    }
    for (key, value) in vector.iter().rev() {
        down.push_word(*value);
        down.push_word(*key);
    }
    // Both lists are in reverse already, as their strings were pushed.
    for list in [&environment, &arguments] {
        down.push_word(0);
        for address in list {
            down.push_word(*address);
        }
    }
    down.push_word(arguments.len() as u64);
    let pointer = down.address();
    Ok(Stack { bytes: down.into_bytes(), pointer, arguments: (arguments_start, arguments_end), environment: (arguments_end, environment_end) })
}

fn auxiliary_vector(auxiliary: &Auxiliary, file_name: u64, platform: u64, random: u64) -> Vec<(u64, u64)> {
    let [uid, euid, gid, egid] = auxiliary.ids;
    let mut vector = Vec::with_capacity(24);
    if auxiliary.vdso != 0 {
        vector.push((AT_SYSINFO_EHDR, auxiliary.vdso));
    }
    vector.extend([
        (AT_MINSIGSTKSZ, crate::signal::MIN_STACK_BYTES),
        (AT_HWCAP, auxiliary.hwcap),
        (AT_PAGESZ, 4096),
        (AT_CLKTCK, 100),
        (AT_PHDR, auxiliary.headers),
        (AT_PHENT, 56),
        (AT_PHNUM, auxiliary.header_count),
        (AT_BASE, auxiliary.interpreter_base),
        (AT_FLAGS, 0),
        (AT_ENTRY, auxiliary.entry),
        (AT_UID, uid),
        (AT_EUID, euid),
        (AT_GID, gid),
        (AT_EGID, egid),
        // The program is not to trust what its caller says (Linux: `cap_bprm_creds_from_file`).
        (AT_SECURE, u64::from((euid, egid) != (uid, gid))),
        (AT_RANDOM, random),
        // Of its two bits, programs may neither set their bases nor wait for a write.
        (AT_HWCAP2, 0),
        (AT_EXECFN, file_name),
        (AT_PLATFORM, platform),
        (0, 0),
    ]);
    vector
}

#[cfg(test)]
mod tests {
    use super::{AT_EXECFN, AT_RANDOM, Auxiliary, MAX_BYTES, Stack, build};
    use crate::errno::Errno;

    const TOP: u64 = 0x7fff_ffff_e000;

    fn word(stack: &Stack, address: u64) -> u64 {
        let at = (address - stack.pointer) as usize;
        u64::from_le_bytes(stack.bytes[at..at + 8].try_into().unwrap())
    }

    fn string(stack: &Stack, address: u64) -> &[u8] {
        let rest = &stack.bytes[(address - stack.pointer) as usize..];
        &rest[..rest.iter().position(|byte| *byte == 0).unwrap()]
    }

    #[test]
    fn program_finds_arguments_environment_and_vector() {
        for extra in 0..3 {
            let arguments: Vec<Vec<u8>> = (0..2 + extra).map(|n| format!("arg{n}").into_bytes()).collect();
            let environment = [b"PATH=/bin".to_vec(), b"A=".to_vec()];
            let auxiliary = Auxiliary { random: [7; 16], ..Auxiliary::default() };
            let stack = build(TOP, b"/bin/x", &arguments, &environment, &auxiliary).unwrap();
            assert_eq!(stack.pointer % 16, 0);
            assert_eq!(stack.pointer + stack.bytes.len() as u64, TOP);
            assert_eq!(word(&stack, stack.pointer), arguments.len() as u64);
            let mut at = stack.pointer + 8;
            for argument in &arguments {
                assert_eq!(string(&stack, word(&stack, at)), argument.as_slice());
                at += 8;
            }
            assert_eq!(word(&stack, at), 0);
            assert_eq!(string(&stack, word(&stack, at + 8)), b"PATH=/bin");
            assert_eq!(string(&stack, word(&stack, at + 16)), b"A=");
            assert_eq!(word(&stack, at + 24), 0);
            at += 32;
            let mut vector = std::collections::BTreeMap::new();
            while word(&stack, at) != 0 {
                vector.insert(word(&stack, at), word(&stack, at + 8));
                at += 16;
            }
            assert_eq!(string(&stack, vector[&AT_EXECFN]), b"/bin/x");
            assert_eq!(&stack.bytes[(vector[&AT_RANDOM] - stack.pointer) as usize..][..16], [7; 16]);
            assert_eq!(&stack.bytes[(stack.arguments.0 - stack.pointer) as usize..][..10], b"arg0\0arg1\0");
        }
    }

    #[test]
    fn too_many_bytes_are_refused() {
        let long = [vec![b'a'; MAX_BYTES]];
        assert_eq!(build(TOP, b"x", &long, &[], &Auxiliary::default()).err(), Some(Errno::E2BIG));
    }
}
