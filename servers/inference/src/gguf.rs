//! A GGUF file (versions 2 and 3), read in place: names, values and tensors are parts of the bytes given.
//!
//! Every length is compared with what is there before it is used, and every product is checked; what [`File::read`] returns can be used without a
//! further look: a tensor's data has exactly the bytes that its shape and type ask for. What the values mean is `config`'s.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};

use crate::bytes::Bytes;
use crate::error::Error;
use crate::quant::Kind;
use crate::value::Value;

/// How the file begins.
const MAGIC: [u8; 4] = *b"GGUF";
/// Versions with the layout that is read here.
const VERSIONS: [u32; 2] = [2, 3];
/// Alignment of tensors where the file names none.
const ALIGNMENT: u64 = 32;
/// Most dimensions of a tensor.
const MOST_DIMENSIONS: u32 = 4;

/// A file's values and tensors.
#[derive(Clone, Debug)]
pub struct File<'a> {
    values: BTreeMap<&'a str, Value<'a>>,
    tensors: BTreeMap<&'a str, Tensor<'a>>,
}

/// A tensor in its file.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'a> {
    /// The type of its weights.
    pub kind: Kind,
    /// Weights of a row, the dimension whose weights are neighbours.
    pub columns: usize,
    /// Rows: the product of the other dimensions.
    pub rows: usize,
    /// `rows` rows, one after the other.
    pub data: &'a [u8],
}

impl<'a> Tensor<'a> {
    /// The bytes of one row.
    #[must_use]
    pub fn row(&self, row: usize) -> &'a [u8] {
        let bytes = self.kind.bytes(self.columns);
        &self.data[row * bytes..(row + 1) * bytes]
    }
}

/// What the head says of a tensor.
struct Described<'a> {
    name: &'a str,
    kind: Kind,
    columns: usize,
    rows: usize,
    bytes: u64,
    offset: u64,
}

impl<'a> File<'a> {
    /// Reads the head of a file, and finds its tensors.
    ///
    /// # Errors
    /// The bytes are not a whole GGUF file, or hold a type of values or tensors that is not supported.
    pub fn read(file: &'a [u8]) -> Result<Self, Error> {
        let mut bytes = Bytes::new(file);
        if bytes.take(4).map_err(|_| Error::NotGguf)? != MAGIC {
            return Err(Error::NotGguf);
        }
        let version = bytes.u32()?;
        if !VERSIONS.contains(&version) {
            return Err(Error::Version(version));
        }
        let (tensor_count, value_count) = (bytes.u64()?, bytes.u64()?);
        let values = read_values(value_count, &mut bytes)?;
        let alignment = alignment(&values)?;
        let mut described = alloc::vec::Vec::new();
        for _ in 0..tensor_count {
            described.push(Described::read(&mut bytes)?);
        }
        let head = (file.len() - bytes.length()) as u64;
        let start = head.checked_next_multiple_of(alignment).ok_or(Error::Size)?;
        let mut tensors = BTreeMap::new();
        for tensor in &described {
            if tensors.insert(tensor.name, tensor.find(file, start, alignment)?).is_some() {
                return Err(Error::Twice(tensor.name.to_owned()));
            }
        }
        Ok(Self { values, tensors })
    }

    /// The value of `key`.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<Value<'a>> {
        self.values.get(key).copied()
    }

    /// The tensor called `name`.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<Tensor<'a>> {
        self.tensors.get(name).copied()
    }

    /// All values by name.
    pub fn values(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + '_ {
        self.values.iter().map(|(key, value)| (*key, *value))
    }

    /// All tensors by name.
    pub fn tensors(&self) -> impl Iterator<Item = (&'a str, Tensor<'a>)> + '_ {
        self.tensors.iter().map(|(name, tensor)| (*name, *tensor))
    }

    /// The text of `key`.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&'a str> {
        if let Some(Value::String(bytes)) = self.value(key) { core::str::from_utf8(bytes).ok() } else { None }
    }
}

fn read_values<'a>(count: u64, bytes: &mut Bytes<'a>) -> Result<BTreeMap<&'a str, Value<'a>>, Error> {
    let mut values = BTreeMap::new();
    for _ in 0..count {
        let key = bytes.text()?;
        if values.insert(key, Value::read(bytes)?).is_some() {
            return Err(Error::Twice(key.to_owned()));
        }
    }
    Ok(values)
}

fn alignment(values: &BTreeMap<&str, Value<'_>>) -> Result<u64, Error> {
    let Some(value) = values.get("general.alignment") else { return Ok(ALIGNMENT) };
    value.unsigned().filter(|alignment| alignment.is_power_of_two()).ok_or(Error::Alignment)
}

impl<'a> Described<'a> {
    fn read(bytes: &mut Bytes<'a>) -> Result<Self, Error> {
        let name = bytes.text()?;
        let dimensions = bytes.u32()?;
        if !(1..=MOST_DIMENSIONS).contains(&dimensions) {
            return Err(Error::Shape(name.to_owned()));
        }
        let columns = bytes.u64()?;
        let mut rows = 1_u64;
        for _ in 1..dimensions {
            rows = rows.checked_mul(bytes.u64()?).ok_or(Error::Size)?;
        }
        let number = bytes.u32()?;
        let named = |name: Option<&str>| name.map_or_else(|| number.to_string(), String::from);
        let kind = Kind::of(number).map_err(|kind| Error::TensorType { tensor: name.to_owned(), kind: named(kind) })?;
        if columns % kind.block() as u64 != 0 {
            return Err(Error::Shape(name.to_owned()));
        }
        let row_bytes = (columns / kind.block() as u64).checked_mul(kind.block_bytes() as u64).ok_or(Error::Size)?;
        let all = row_bytes.checked_mul(rows).ok_or(Error::Size)?;
        let fits = |number: u64| usize::try_from(number).map_err(|_| Error::Size);
        Ok(Self { name, kind, columns: fits(columns)?, rows: fits(rows)?, bytes: all, offset: bytes.u64()? })
    }

    /// Finds the tensor's data, `start` being where the data of all begin.
    fn find(&self, file: &'a [u8], start: u64, alignment: u64) -> Result<Tensor<'a>, Error> {
        if !self.offset.is_multiple_of(alignment) {
            return Err(Error::Alignment);
        }
        let mut bytes = Bytes::new(file);
        bytes.take(start.checked_add(self.offset).ok_or(Error::Size)?)?;
        Ok(Tensor { kind: self.kind, columns: self.columns, rows: self.rows, data: bytes.take(self.bytes)? })
    }
}
