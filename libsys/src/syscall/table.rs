//! Capabilities: copying, narrowing, moving, deleting, describing. A table argument is a handle of a table, or [`abi::OWN_TABLE`].

use abi::{Error, OWN_TABLE, ObjectKind, Operation};

use super::{command, operate, query};

const SET_BADGE: u64 = 1;
const MOVE: u64 = 2;

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Described {
    /// Kind of the object; [`ObjectKind::Empty`] for an empty slot.
    pub kind: ObjectKind,
    /// Rights on it.
    pub rights: u8,
    /// The capability's badge.
    pub badge: u64,
    /// First page, port or line.
    pub first: u64,
    /// How many of them.
    pub count: u64,
    /// It was not revoked, nor its object destroyed.
    pub valid: bool,
}

/// Copies `source` to slot `slot` of `table`, with the rights in `rights` that it has.
///
/// # Errors
/// What the kernel says.
#[inline]
pub fn copy(table: u32, slot: u32, source: u32, rights: u8) -> Result<(), Error> {
    transfer(table, slot, OWN_TABLE, source, rights, None, false)
}

/// As [`copy`], under a badge.
///
/// # Errors
/// What the kernel says.
#[inline]
pub fn mint(table: u32, slot: u32, source: u32, rights: u8, badge: u64) -> Result<(), Error> {
    transfer(table, slot, OWN_TABLE, source, rights, Some(badge), false)
}

/// Moves slot `source` of `from` to slot `slot` of `table`, with all its rights; owned Memory too.
///
/// # Errors
/// What the kernel says.
pub fn move_from(table: u32, slot: u32, from: u32, source: u32) -> Result<(), Error> {
    transfer(table, slot, from, source, abi::Rights::ALL, None, true)
}

/// The general form of the three above.
///
/// # Errors
/// What the kernel says.
#[inline]
pub fn transfer(table: u32, slot: u32, from: u32, source: u32, rights: u8, badge: Option<u64>, moves: bool) -> Result<(), Error> {
    let how = if badge.is_some() { SET_BADGE } else { 0 } | if moves { MOVE } else { 0 };
    let arguments = [u64::from(slot), u64::from(source), u64::from(rights), badge.unwrap_or(0), how, u64::from(from)];
    command(Operation::Copy, table, arguments)
}

/// Empties a slot; one with owned Memory or a Reply is refused.
///
/// # Errors
/// What the kernel says.
#[inline]
pub fn delete(table: u32, slot: u32) -> Result<(), Error> {
    command(Operation::Delete, table, [u64::from(slot)])
}

/// Says what a slot holds.
///
/// # Errors
/// What the kernel says.
pub fn describe(table: u32, slot: u32) -> Result<Described, Error> {
    let [kind, rights, badge, first, count, valid, ..] = operate(Operation::Describe, table, [u64::from(slot)])?;
    let kind = ObjectKind::from_byte(kind as u8).ok_or(Error::WrongKind)?;
    Ok(Described { kind, rights: rights as u8, badge, first, count, valid: valid != 0 })
}

/// One step of an instance's death. Returns how many of its callers are still to be told.
///
/// # Errors
/// What the kernel says.
pub fn kill(table: u32) -> Result<u64, Error> {
    query(Operation::Kill, table, [])
}
