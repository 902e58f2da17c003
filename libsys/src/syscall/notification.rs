//! Notifications: signalling, waiting, deadlines.

use abi::{Error, Operation};

use super::{command, query};

/// Sets bits of a notification's word.
///
/// # Errors
/// What the kernel says.
#[inline]
pub fn signal(notification: u32, bits: u64) -> Result<(), Error> {
    command(Operation::Signal, notification, [bits])
}

/// Waits until the word is not zero; returns and clears it.
///
/// # Errors
/// What the kernel says; [`Error::Kicked`] if the thread was kicked out.
#[inline]
pub fn wait(notification: u32) -> Result<u64, Error> {
    query(Operation::Wait, notification, [])
}

/// Returns and clears the word, zero or not.
///
/// # Errors
/// What the kernel says.
#[inline]
pub fn poll(notification: u32) -> Result<u64, Error> {
    query(Operation::Poll, notification, [])
}

/// Signals [`abi::DEADLINE_BIT`] when the time-stamp counter has passed `ticks`; 0 for never.
///
/// # Errors
/// What the kernel says.
pub fn deadline(notification: u32, ticks: u64) -> Result<(), Error> {
    command(Operation::Deadline, notification, [ticks])
}

/// Makes the receivers of `endpoint` get the notification's word as a message; 0 undoes it.
///
/// # Errors
/// What the kernel says.
pub fn bind(notification: u32, endpoint: u32) -> Result<(), Error> {
    command(Operation::Bind, notification, [u64::from(endpoint)])
}
