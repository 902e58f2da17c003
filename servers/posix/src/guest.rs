//! The one access to a program's memory.
//!
//! A page that is missing is made present by our own fault handler, as if the program had touched it, and the copy goes on; an address that the program
//! could not have used is `EFAULT`. Data is copied once and then looked at: nothing here is read twice.

use alloc::vec::Vec;

use abi::{Error, RequestNumber};

use crate::call::{Call, Stop};
use crate::errno::Errno;
use crate::fault::Refused;
use crate::kernel::CopyFault;
use crate::saved::{MapIndex, slot};
use crate::server::Posix;
use crate::space::kernel_errno;

/// Most bytes of a path, its zero included (Linux: `PATH_MAX`).
pub const PATH_MAX: usize = 4096;
/// Most bytes of an argument string (`MAX_ARG_STRLEN`).
const ARGUMENT_MAX: usize = crate::stack::MAX_BYTES;

/// How often a word is looked at before the program is told that it never stays the same: more often than threads that mean it meet.
const EXCHANGES: usize = 1000;

/// Whether a call has no memory of the program to do with but a buffer whose place and length are its second and third argument: `read`, `write`, `pread64`, `pwrite64`.
const fn has_one_buffer(call_number: u64) -> bool {
    matches!(call_number, 0 | 1 | 17 | 18)
}

/// Nothing is copied from or to anywhere.
fn check(address: u64, length: usize) -> Result<(), Errno> {
    if length == 0 {
        return Ok(());
    }
    let end = address.checked_add(length as u64).ok_or(Errno::EFAULT)?;
    if end > abi::USER_END { Err(Errno::EFAULT) } else { Ok(()) }
}

/// What a copy that may stop early means for one that may not.
fn whole(done: usize, wanted: usize) -> Result<(), Stop> {
    if done == wanted { Ok(()) } else { Err(Errno::EFAULT.into()) }
}

/// Counts the bytes of one step (none: a page was made ready); whether there can be another one.
fn advance(done: &mut usize, step: Result<Option<usize>, Stop>) -> Result<bool, Stop> {
    match step {
        Ok(None) => Ok(true),
        Ok(Some(0)) if *done == 0 => Err(Errno::EFAULT.into()),
        Err(Stop::Errno(_)) if *done > 0 => Ok(false),
        Err(stop) => Err(stop),
        Ok(Some(count)) => {
            *done += count;
            Ok(count > 0)
        }
    }
}

impl Posix<'_> {
    /// Copies from a program's memory.
    ///
    /// # Errors
    /// `EFAULT`, or a wait for a page.
    pub fn read_guest(&mut self, map: MapIndex, address: u64, to: &mut [u8], number: RequestNumber) -> Result<(), Stop> {
        whole(self.read_guest_some(map, address, to, number)?, to.len())
    }

    /// Likewise, up to the first byte that the program could not have read; how many bytes that is.
    ///
    /// # Errors
    /// `EFAULT` if it is the first one, or a wait for a page.
    pub fn read_guest_some(&mut self, map: MapIndex, address: u64, to: &mut [u8], number: RequestNumber) -> Result<usize, Stop> {
        check(address, to.len())?;
        let mut done = 0;
        while let Some(rest) = to.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let copied = match self.kernel.copy_from(slot::space(map), address + done as u64, rest) {
                Ok(count) => Ok(Some(count)),
                Err(fault) => self.make_ready(map, fault, number).map(|()| None),
            };
            if !advance(&mut done, copied)? {
                break;
            }
        }
        Ok(done)
    }

    /// Copies to a program's memory.
    ///
    /// # Errors
    /// `EFAULT`, or a wait for a page.
    pub fn write_guest(&mut self, map: MapIndex, address: u64, from: &[u8], number: RequestNumber) -> Result<(), Stop> {
        whole(self.write_guest_some(map, address, from, number)?, from.len())
    }

    /// Likewise, up to the first byte that the program could not have written; how many bytes that is.
    ///
    /// # Errors
    /// `EFAULT` if it is the first one, or a wait for a page.
    pub fn write_guest_some(&mut self, map: MapIndex, address: u64, from: &[u8], number: RequestNumber) -> Result<usize, Stop> {
        check(address, from.len())?;
        let mut done = 0;
        while let Some(rest) = from.get(done..).filter(|rest| !rest.is_empty()) {
            let copied = match self.kernel.copy_to(slot::space(map), address + done as u64, rest) {
                Ok(count) => Ok(Some(count)),
                Err(fault) => self.make_ready(map, fault, number).map(|()| None),
            };
            if !advance(&mut done, copied)? {
                break;
            }
        }
        Ok(done)
    }

    /// Copies from vfs's pages to a program's memory, up to the first byte that the program could not have written; how many bytes that is, or nothing if vfs has no page
    /// there.
    ///
    /// # Errors
    /// `EFAULT` if it is the first one, or a wait for a page.
    pub fn copy_cached(&mut self, map: MapIndex, address: u64, from: u64, length: usize, number: RequestNumber) -> Result<Option<usize>, Stop> {
        check(address, length)?;
        let mut done = 0;
        while done < length {
            let copied = match self.kernel.copy_cached(slot::space(map), address + done as u64, from + done as u64, length - done) {
                Ok(count) => Ok(Some(count)),
                Err(CopyFault::Refused(Error::LocalFault)) => return Ok(None),
                Err(fault) => self.make_ready(map, fault, number).map(|()| None),
            };
            if !advance(&mut done, copied)? {
                break;
            }
        }
        Ok(Some(done))
    }

    /// Changes a word of a program's memory in one step, whoever else changes it meanwhile; `change` may refuse. The word that was replaced.
    ///
    /// # Errors
    /// `EFAULT`; that of `change`; a wait for a page; `EAGAIN` for a word that others changed at each of many attempts.
    pub fn change_word(
        &mut self,
        map: MapIndex,
        address: u64,
        number: RequestNumber,
        change: impl Fn(u32) -> Result<u32, Errno>,
    ) -> Result<u32, Stop> {
        let mut bytes = [0; 4];
        self.read_guest(map, address, &mut bytes, number)?;
        let mut word = u32::from_le_bytes(bytes);
        for _ in 0..EXCHANGES {
            match self.kernel.exchange(slot::space(map), address, word, change(word)?) {
                Ok(found) if found == word => return Ok(word),
                Ok(found) => word = found,
                Err(fault) => self.make_ready(map, fault, number)?,
            }
        }
        Err(Errno::EAGAIN.into())
    }

    fn make_ready(&mut self, map: MapIndex, fault: CopyFault, number: RequestNumber) -> Result<(), Stop> {
        let (address, write) = match fault {
            CopyFault::NeedsPage { address, write } => (address, write),
            CopyFault::Refused(error) => return Err(kernel_errno(error).into()),
        };
        let access = abi::FaultAccess::PRESENT | if write { abi::FaultAccess::WRITE } else { 0 };
        match self.fault(map, address, access, number) {
            Ok(()) => Ok(()),
            Err(Refused::Wait(wait)) => Err(Stop::Wait(wait)),
            Err(Refused::NoMemory) => Err(Errno::ENOMEM.into()),
            Err(Refused::Segment { .. } | Refused::Bus) => Err(Errno::EFAULT.into()),
        }
    }
}

impl Call<'_, '_> {
    /// A call that transfers one buffer copies nothing beyond it. Where it is was in registers for long, and a wrong bit there is another good address of the program.
    ///
    /// # Panics
    /// If it would: the successor begins anew with what the kernel has.
    #[inline]
    pub(crate) fn check_named(&self, address: u64, length: usize) {
        let [_, start, bytes, ..] = self.arguments;
        let offset = address.wrapping_sub(start);
        let is_inside = offset <= bytes && length as u64 <= bytes - offset;
        assert!(is_inside || !has_one_buffer(self.call_number), "lane {} named no buffer of {length} bytes at {address:#x}", self.lane);
    }

    /// Copies from the caller's memory.
    ///
    /// # Errors
    /// `EFAULT`, or a wait for a page.
    pub fn read(&mut self, address: u64, to: &mut [u8]) -> Result<(), Stop> {
        self.check_named(address, to.len());
        self.posix.read_guest(self.map, address, to, self.number)
    }

    /// Copies to the caller's memory.
    ///
    /// # Errors
    /// `EFAULT`, or a wait for a page.
    pub fn write(&mut self, address: u64, from: &[u8]) -> Result<(), Stop> {
        self.check_named(address, from.len());
        self.posix.write_guest(self.map, address, from, self.number)
    }

    /// Copies from the caller's memory as far as it can be read.
    ///
    /// # Errors
    /// `EFAULT` if that is not one byte, or a wait for a page.
    pub fn read_some(&mut self, address: u64, to: &mut [u8]) -> Result<usize, Stop> {
        self.check_named(address, to.len());
        self.posix.read_guest_some(self.map, address, to, self.number)
    }

    /// Copies to the caller's memory as far as it can be written.
    ///
    /// # Errors
    /// `EFAULT` if that is not one byte, or a wait for a page.
    pub fn write_some(&mut self, address: u64, from: &[u8]) -> Result<usize, Stop> {
        self.check_named(address, from.len());
        self.posix.write_guest_some(self.map, address, from, self.number)
    }

    /// Reads `N` bytes.
    ///
    /// # Errors
    /// `EFAULT`, or a wait for a page.
    pub fn read_bytes<const N: usize>(&mut self, address: u64) -> Result<[u8; N], Stop> {
        let mut bytes = [0; N];
        self.read(address, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads a 32-bit word.
    ///
    /// # Errors
    /// `EFAULT`, or a wait for a page.
    pub fn read_u32(&mut self, address: u64) -> Result<u32, Stop> {
        self.read_bytes(address).map(u32::from_le_bytes)
    }

    /// Reads a 64-bit word.
    ///
    /// # Errors
    /// `EFAULT`, or a wait for a page.
    pub fn read_u64(&mut self, address: u64) -> Result<u64, Stop> {
        self.read_bytes(address).map(u64::from_le_bytes)
    }

    /// Reads 64-bit words.
    ///
    /// # Errors
    /// `EFAULT`, or a wait for a page.
    pub fn read_words<const N: usize>(&mut self, address: u64) -> Result<[u64; N], Stop> {
        let mut words = [[0; 8]; N];
        self.read(address, words.as_flattened_mut())?;
        Ok(words.map(u64::from_le_bytes))
    }

    /// Writes a 32-bit word.
    ///
    /// # Errors
    /// `EFAULT`, or a wait for a page.
    pub fn write_u32(&mut self, address: u64, value: u32) -> Result<(), Stop> {
        self.write(address, &value.to_le_bytes())
    }

    /// Writes 64-bit words.
    ///
    /// # Errors
    /// `EFAULT`, or a wait for a page.
    pub fn write_words(&mut self, address: u64, words: &[u64]) -> Result<(), Stop> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.write(address, &bytes)
    }

    /// Reads up to `most` bytes, until a zero, which is not part of the result.
    fn read_string(&mut self, address: u64, most: usize, too_long: Errno) -> Result<Vec<u8>, Stop> {
        // Most paths end in this.
        let mut first = [0; 96];
        let length = (4096 - (address % 4096) as usize).min(first.len());
        let first = first.get_mut(..length).unwrap_or_default();
        self.read(address, first)?;
        let mut string = match first.iter().position(|byte| *byte == 0) {
            Some(end) => return Ok(first.get(..end).unwrap_or_default().to_vec()),
            None => first.to_vec(),
        };
        let mut at = address + length as u64;
        loop {
            // Never beyond the page: the next one need not exist.
            let length = (4096 - (at % 4096) as usize).min(512);
            let mut chunk = [0; 512];
            let chunk = chunk.get_mut(..length).unwrap_or_default();
            self.read(at, chunk)?;
            if let Some(end) = chunk.iter().position(|byte| *byte == 0) {
                string.extend_from_slice(chunk.get(..end).unwrap_or_default());
                return if string.len() < most { Ok(string) } else { Err(too_long.into()) };
            }
            string.extend_from_slice(chunk);
            if string.len() >= most {
                return Err(too_long.into());
            }
            at += length as u64;
        }
    }

    /// Reads a path.
    ///
    /// # Errors
    /// `EFAULT`, `ENAMETOOLONG`, or a wait for a page.
    pub fn read_path(&mut self, address: u64) -> Result<Vec<u8>, Stop> {
        self.read_string(address, PATH_MAX, Errno::ENAMETOOLONG)
    }

    /// Reads a list of strings that ends with a null pointer; a null list is empty.
    ///
    /// # Errors
    /// `EFAULT`, `E2BIG`, or a wait for a page.
    pub fn read_strings(&mut self, mut address: u64) -> Result<Vec<Vec<u8>>, Stop> {
        let mut strings = Vec::new();
        let mut total = 0;
        while address != 0 {
            let pointer = self.read_u64(address)?;
            if pointer == 0 {
                break;
            }
            let string = self.read_string(pointer, ARGUMENT_MAX, Errno::E2BIG)?;
            total += string.len() + 9;
            if total > crate::stack::MAX_BYTES || strings.len() >= crate::stack::MAX_STRINGS {
                return Err(Errno::E2BIG.into());
            }
            strings.push(string);
            address = address.checked_add(8).ok_or(Errno::EFAULT)?;
        }
        Ok(strings)
    }
}
