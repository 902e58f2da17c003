//! Values of a model's metadata, in place.
//!
//! Numbers are widened when read, because writers differ in which width they choose for the same key. Arrays stay bytes of the file: a vocabulary of
//! 150,000 strings costs nothing until somebody walks it. An array's bytes have been walked once when the file was read, so that
//! the iterators here never meet an end too early.

use crate::bytes::Bytes;
use crate::error::Error;

/// One value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// An unsigned integer of any width.
    Unsigned(u64),
    /// A signed integer of any width.
    Signed(i64),
    /// A number with a fraction, of either width.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// Bytes that are mostly text.
    String(&'a [u8]),
    /// Several values of one type.
    Array(Array<'a>),
}

/// Several values of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Array<'a> {
    kind: Kind,
    count: usize,
    bytes: &'a [u8],
}

/// Types of single values, by the numbers that the format gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unsigned(u8),
    Signed(u8),
    Float(u8),
    Bool,
    String,
}

/// The format's number of arrays.
const ARRAY: u32 = 9;

impl Kind {
    fn of(number: u32) -> Result<Self, Error> {
        Ok(match number {
            0 => Self::Unsigned(1),
            1 => Self::Signed(1),
            2 => Self::Unsigned(2),
            3 => Self::Signed(2),
            4 => Self::Unsigned(4),
            5 => Self::Signed(4),
            6 => Self::Float(4),
            7 => Self::Bool,
            8 => Self::String,
            10 => Self::Unsigned(8),
            11 => Self::Signed(8),
            12 => Self::Float(8),
            other => return Err(Error::ValueType(other)),
        })
    }

    fn read<'a>(self, bytes: &mut Bytes<'a>) -> Result<Value<'a>, Error> {
        Ok(match self {
            Self::Unsigned(width) => Value::Unsigned(unsigned(bytes.take(width.into())?)),
            Self::Signed(width) => Value::Signed(signed(bytes.take(width.into())?)),
            Self::Float(4) => Value::Float(f32::from_bits(bytes.u32()?).into()),
            Self::Float(_) => Value::Float(f64::from_bits(bytes.u64()?)),
            Self::Bool => Value::Bool(bytes.take(1)?.iter().any(|byte| *byte != 0)),
            Self::String => Value::String(bytes.string()?),
        })
    }

    /// Passes over `count` values.
    fn skip(self, count: u64, bytes: &mut Bytes<'_>) -> Result<(), Error> {
        let width = match self {
            Self::Unsigned(width) | Self::Signed(width) | Self::Float(width) => width,
            Self::Bool => 1,
            Self::String => {
                // Each takes at least the 8 bytes of its length, so a count that lies ends with the file.
                return (0..count).try_for_each(|_| bytes.string().map(|_| ()));
            }
        };
        bytes.take(count.checked_mul(width.into()).ok_or(Error::Size)?).map(|_| ())
    }
}

fn unsigned(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn signed(bytes: &[u8]) -> i64 {
    let unused = 64_usize.saturating_sub(bytes.len() * 8);
    (unsigned(bytes) << unused).cast_signed() >> unused
}

impl<'a> Value<'a> {
    /// Reads a type's number and the value that follows.
    pub(crate) fn read(bytes: &mut Bytes<'a>) -> Result<Self, Error> {
        match bytes.u32()? {
            ARRAY => Array::read(bytes).map(Self::Array),
            number => Kind::of(number)?.read(bytes),
        }
    }

    /// The value as an unsigned integer, whatever its width, when it is one.
    #[must_use]
    pub fn unsigned(self) -> Option<u64> {
        match self {
            Self::Unsigned(number) => Some(number),
            Self::Signed(number) => u64::try_from(number).ok(),
            _ => None,
        }
    }

    /// The value as a number with a fraction.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a metadata number beyond 2^53 means nothing as a fraction")]
    pub fn float(self) -> Option<f64> {
        match self {
            Self::Float(number) => Some(number),
            Self::Unsigned(number) => Some(number as f64),
            Self::Signed(number) => Some(number as f64),
            _ => None,
        }
    }
}

impl<'a> Array<'a> {
    fn read(bytes: &mut Bytes<'a>) -> Result<Self, Error> {
        let kind = Kind::of(bytes.u32()?)?;
        let count = bytes.u64()?;
        let start = *bytes;
        kind.skip(count, bytes)?;
        let mut own = start;
        let taken = own.take((start.length() - bytes.length()) as u64)?;
        Ok(Self { kind, count: usize::try_from(count).map_err(|_| Error::Size)?, bytes: taken })
    }

    /// How many values there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// The values in order.
    pub fn values(self) -> impl Iterator<Item = Value<'a>> {
        let mut bytes = Bytes::new(self.bytes);
        (0..self.count).map_while(move |_| self.kind.read(&mut bytes).ok())
    }

    /// The strings in order; none when it is an array of something else.
    pub fn strings(self) -> impl Iterator<Item = &'a [u8]> {
        self.values().map_while(|value| if let Value::String(bytes) = value { Some(bytes) } else { None })
    }
}
