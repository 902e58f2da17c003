//! Cells: the only way to saved bytes.
//!
//! A cell is read by copy and written through a transaction, but for single words that depend on nothing else. None hands out a reference to its contents, so none can be stale or half written.

use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::ops::Deref;

use super::log::store_word;
use super::{Plain, Transaction};

/// One saved value.
#[derive(Debug)]
#[repr(transparent)]
pub struct Cell<T: Plain>(UnsafeCell<T>);

impl<T: Plain> Cell<T> {
    /// The value; zeros if it was never set.
    #[must_use]
    pub fn get(&self) -> T {
        // SAFETY: the pointer is valid, cells are not shared between threads, and every bit pattern is a value.
        unsafe { self.0.get().read() }
    }

    /// Sets the value, until the transaction is rolled back.
    pub fn set(&self, transaction: &Transaction<'_>, value: T) {
        // SAFETY: a plain value has no padding, so all its bytes are initialised.
        let bytes = unsafe { core::slice::from_raw_parts((&raw const value).cast::<u8>(), size_of::<T>()) };
        transaction.store(self.0.get().cast(), bytes);
    }

    /// Sets one field of a record, without a look at the others: `cell.set_field(&tx, field!(Inode, size), 7)`.
    pub fn set_field<F: Plain>(&self, transaction: &Transaction<'_>, field: Field<T, F>, value: F) {
        // SAFETY: a plain value has no padding, so all its bytes are initialised.
        let bytes = unsafe { core::slice::from_raw_parts((&raw const value).cast::<u8>(), size_of::<F>()) };
        transaction.store(self.0.get().cast::<u8>().wrapping_add(field.offset), bytes);
    }

    /// Sets one word of a record at once, in no transaction: a crash leaves the old one or the new one. For what is right by itself, whatever becomes of
    /// the changes around it; an open transaction that has set the same word before would take this back with its own.
    pub fn set_word(&self, field: Field<T, u64>, value: u64) {
        store_word(self.0.get().cast::<u8>().wrapping_add(field.offset).cast(), value);
    }

    /// Sets the value to a function of what it is.
    pub fn update(&self, transaction: &Transaction<'_>, change: impl FnOnce(T) -> T) {
        self.set(transaction, change(self.get()));
    }
}

/// A field of a record, made by [`field!`](crate::field).
#[derive(Clone, Copy, Debug)]
pub struct Field<T, F> {
    offset: usize,
    of: PhantomData<fn(&T) -> &F>,
}

impl<T: Plain, F: Plain> Field<T, F> {
    /// What lies at `offset`: any bytes of a plain record may be set to any value. `_same` is there for the types.
    ///
    /// # Panics
    /// If it does not lie in the record.
    #[doc(hidden)]
    #[must_use]
    pub const fn new(offset: usize, _same: fn(&T) -> &F) -> Self {
        assert!(offset <= size_of::<T>() && size_of::<F>() <= size_of::<T>() - offset, "a field outside its record");
        Self { offset, of: PhantomData }
    }
}

/// The field of a saved record, for [`Cell::set_field`](crate::saved::Cell::set_field).
#[macro_export]
macro_rules! field {
    ($record:ty, $field:ident) => {
        $crate::saved::Field::new(::core::mem::offset_of!($record, $field), |record: &$record| &record.$field)
    };
}

/// `N` saved values: derefs to a slice of cells, so `get`, `iter`, `len` and indexing are the slice's.
#[derive(Debug)]
#[repr(transparent)]
pub struct Array<T: Plain, const N: usize>([Cell<T>; N]);

impl<T: Plain, const N: usize> Deref for Array<T, N> {
    type Target = [Cell<T>];

    fn deref(&self) -> &[Cell<T>] {
        &self.0
    }
}

impl<T: Plain, const N: usize> Array<T, N> {
    /// Sets the values from `first` on, as one store: cheaper than one after the other. Returns how many there was room for.
    #[must_use = "what does not fit is not stored"]
    pub fn set_range(&self, transaction: &Transaction<'_>, first: usize, values: &[T]) -> usize {
        let room = self.0.get(first..).unwrap_or_default();
        let count = room.len().min(values.len());
        // SAFETY: plain values have no padding, so all their bytes are initialised; there are at least `count` of them.
        let bytes = unsafe { core::slice::from_raw_parts(values.as_ptr().cast::<u8>(), count * size_of::<T>()) };
        // The address of the whole rest, not of its first cell alone: the store covers several.
        transaction.store(room.as_ptr().cast_mut().cast(), bytes);
        count
    }
}

/// `N` saved bytes, read and written by ranges.
#[derive(Debug)]
#[repr(transparent)]
pub struct Bytes<const N: usize>([UnsafeCell<u8>; N]);

impl<const N: usize> Bytes<N> {
    /// How many bytes there are.
    pub const LEN: usize = N;

    /// Copies out the bytes from `offset` on. Returns how many there were, at most `to.len()`.
    pub fn read(&self, offset: usize, to: &mut [u8]) -> usize {
        let from = self.0.get(offset..).unwrap_or_default();
        for (to, from) in to.iter_mut().zip(from) {
            // SAFETY: the pointer is valid, and cells are not shared between threads.
            *to = unsafe { from.get().read() };
        }
        to.len().min(from.len())
    }

    /// Sets the bytes from `offset` on. Returns how many there was room for.
    #[must_use = "what does not fit is not stored"]
    pub fn write(&self, transaction: &Transaction<'_>, offset: usize, from: &[u8]) -> usize {
        let room = self.0.get(offset..).unwrap_or_default();
        let length = room.len().min(from.len());
        transaction.store(UnsafeCell::raw_get(room.as_ptr()), from.get(..length).unwrap_or_default());
        length
    }
}
