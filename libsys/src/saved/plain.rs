//! The values that saved cells hold.

/// A value that saved memory can hold: every bit pattern is one, and it has no padding.
///
/// # Safety
/// All bit patterns of the type's size are valid values, no byte of a value is padding, and the alignment is at most 8.
pub unsafe trait Plain: Copy + 'static {}

macro_rules! plain_integers {
    ($($integer:ty),+) => {
        $(
            // SAFETY: an integer of at most 8 bytes.
            unsafe impl Plain for $integer {}
        )+
    };
}

plain_integers!(u8, u16, u32, u64, i8, i16, i32, i64, usize);

// SAFETY: elements follow each other without padding.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

/// The value whose bytes are all zero: what a cell holds that was never set.
#[must_use]
pub const fn zeroed<T: Plain>() -> T {
    // SAFETY: of a plain type, every bit pattern is a value.
    unsafe { core::mem::zeroed() }
}

/// Defines records for saved cells: `plain! { pub struct Inode { pub size: u64, pub mode: u32, pub links: u32 } }`. All fields must be
/// [`Plain`] and leave no padding (name it as a field).
///
/// Enums and `bool` are no field types, because not every byte is one; store a number and decode it.
#[macro_export]
macro_rules! plain {
    ($(
        $(#[$attribute:meta])*
        $visibility:vis struct $name:ident {
            $($(#[$field_attribute:meta])* $field_visibility:vis $field:ident: $type:ty),+ $(,)?
        }
    )+) => {
        $(
            $(#[$attribute])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            #[repr(C)]
            $visibility struct $name {
                $($(#[$field_attribute])* $field_visibility $field: $type),+
            }

            impl $name {
                /// All bytes zero, as a cell that was never set.
                #[must_use]
                $visibility const fn zeroed() -> Self {
                    $crate::saved::zeroed()
                }
            }

            impl ::core::default::Default for $name {
                fn default() -> Self {
                    Self::zeroed()
                }
            }

            const _: () = ::core::assert!(
                ::core::mem::size_of::<$name>() == 0 $(+ ::core::mem::size_of::<$type>())+,
                "a saved record has padding: reorder its fields or name the gap as a field"
            );

            // SAFETY: every field is plain, the size shows that there is no padding, and no field is aligned to more than 8.
            unsafe impl $crate::saved::Plain for $name where $($type: $crate::saved::Plain),+ {}
        )+
    };
}
