//! Interrupt lines and I/O ports.

use abi::{Error, MAX_MESSAGE, Operation, TRACE_RECORDS, TraceRecord};

use super::{command, operate, page, query};

/// Signals `bits` of a notification (SIGNAL) at each delivery of a line; 0 for none.
///
/// # Errors
/// What the kernel says.
pub fn irq_bind(irq: u32, line: u64, notification: u32, bits: u64) -> Result<(), Error> {
    command(Operation::IrqBind, irq, [line, u64::from(notification), bits])
}

/// Unmasks a line after a delivery.
///
/// # Errors
/// What the kernel says.
pub fn irq_ack(irq: u32, line: u64) -> Result<(), Error> {
    command(Operation::IrqAck, irq, [line])
}

/// Reads a port of `width` bytes.
///
/// # Errors
/// What the kernel says.
pub fn port_in(ports: u32, offset: u64, width: u64) -> Result<u64, Error> {
    query(Operation::PortIn, ports, [offset, width])
}

/// Writes a port of `width` bytes.
///
/// # Errors
/// What the kernel says.
pub fn port_out(ports: u32, offset: u64, width: u64, value: u64) -> Result<(), Error> {
    command(Operation::PortOut, ports, [offset, width, value])
}

/// Writes bytes to a port one after the other; at most a message's length. Returns how many.
///
/// # Errors
/// What the kernel says.
pub fn port_out_bytes(ports: u32, offset: u64, bytes: &[u8]) -> Result<usize, Error> {
    let length = bytes.len().min(MAX_MESSAGE);
    page::put(bytes);
    command(Operation::PortOutBytes, ports, [offset, length as u64]).map(|()| length)
}

/// What was done through a capability to ports, by whoever held it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortRecord {
    /// Reads completed, modulo 2^32.
    pub reads: u32,
    /// Writes completed, each byte of [`port_out_bytes`] being one, modulo 2^32.
    pub writes: u32,
    /// The last value read.
    pub last: u32,
}

/// The record of a capability to ports, a dead predecessor's accesses included.
///
/// # Errors
/// What the kernel says.
pub fn port_record(ports: u32) -> Result<PortRecord, Error> {
    let [reads, writes, last, ..] = operate(Operation::PortRecord, ports, [])?;
    Ok(PortRecord { reads: reads as u32, writes: writes as u32, last: last as u32 })
}

/// Turns tracing on or off, and copies what is recorded from a number on. Returns the number of the first record, which is later than the one asked for where that is
/// no longer kept, and how many there are.
///
/// # Errors
/// What the kernel says.
pub fn trace(ports: u32, on: bool, from: u64, records: &mut [TraceRecord]) -> Result<(u64, usize), Error> {
    const WORDS: usize = size_of::<TraceRecord>() / 8;
    let [first, count, ..] = operate(Operation::Trace, ports, [u64::from(on), from])?;
    let mut words = [0; TRACE_RECORDS * WORDS];
    let count = (count as usize).min(TRACE_RECORDS).min(records.len());
    page::take_words(words.get_mut(..count * WORDS).unwrap_or_default());
    for (record, words) in records.iter_mut().zip(words.as_chunks::<WORDS>().0) {
        *record = TraceRecord::from(*words);
    }
    Ok((first, count))
}
