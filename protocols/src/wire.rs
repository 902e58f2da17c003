//! Values to bytes and back: postcard, whole messages only.
//!
//! Both directions are total. Foreign bytes give a value or a [`WireError`], never a panic, and bytes left over after the value count as
//! malformed, so that two builds that disagree about a message notice it at once.
//!
//! The place into which a request was decoded is emptied when it has served. It lies where the last one lay, and the register that says where is in use for as long as
//! decoding takes: with a wrong bit in it the value goes elsewhere, and what is found in its place would be an older one, which is as well-formed as any.

use serde::{Deserialize, Serialize};

/// Why bytes and value do not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    /// The value does not fit into the buffer.
    TooLong,
    /// The bytes are not one value of the expected type.
    Malformed,
}

/// Encodes `value` at the start of `buffer` and returns its length.
///
/// # Errors
/// [`WireError::TooLong`] if it does not fit; [`WireError::Malformed`] if it cannot be represented.
pub fn encode<T: Serialize + ?Sized>(value: &T, buffer: &mut [u8]) -> Result<usize, WireError> {
    match postcard::to_slice(value, buffer) {
        Ok(bytes) => Ok(bytes.len()),
        Err(postcard::Error::SerializeBufferFull) => Err(WireError::TooLong),
        Err(_) => Err(WireError::Malformed),
    }
}

/// Decodes the one value that `bytes` are; it may borrow from them.
///
/// # Errors
/// [`WireError::Malformed`] if they are anything else.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, WireError> {
    // Not by `take_from_bytes`: what it returns is moved once more than the value, which for a long reply costs as much as decoding it.
    let mut deserializer = postcard::Deserializer::from_bytes(bytes);
    let value = T::deserialize(&mut deserializer).map_err(|_| WireError::Malformed)?;
    match deserializer.finalize() {
        Ok([]) => Ok(value),
        Ok(_) | Err(_) => Err(WireError::Malformed),
    }
}

/// As [`decode`], for a value that is used where it lies, and whose place nothing else uses meanwhile.
#[inline(always)]
pub(crate) fn decode_in_place<'a, T: Deserialize<'a>, R>(bytes: &'a [u8], run: impl FnOnce(Result<&T, WireError>) -> R) -> R {
    let mut deserializer = postcard::Deserializer::from_bytes(bytes);
    let mut place = T::deserialize(&mut deserializer);
    let is_all = matches!(deserializer.finalize(), Ok([]));
    let outcome = run(place.as_ref().ok().filter(|_| is_all).ok_or(WireError::Malformed));
    place = Err(postcard::Error::WontImplement);
    // The store is made although nobody reads it.
    core::hint::black_box(&mut place);
    outcome
}

/// Decodes the one `Result<T, E>` that `bytes` are, without moving the value by way of a `Result` of both.
///
/// The variants of postcard's `Result` are 0 for `Ok` and 1 for `Err` (postcard's wire format, "Tagged Unions").
///
/// # Errors
/// [`WireError::Malformed`] if they are anything else.
pub fn decode_result<'a, T: Deserialize<'a>, E: Deserialize<'a>>(bytes: &'a [u8]) -> Result<Result<T, E>, WireError> {
    match bytes.split_first() {
        Some((0, value)) => decode(value).map(Ok),
        Some((1, error)) => decode(error).map(Err),
        _ => Err(WireError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::{WireError, decode, decode_in_place, encode};

    #[test]
    fn value_round_trips() {
        let mut buffer = [0; 16];
        let length = encode(&(7u64, "abc"), &mut buffer).expect("fits");
        assert_eq!(decode::<(u64, &str)>(&buffer[..length]), Ok((7, "abc")));
    }

    #[test]
    fn decoding_in_place_gives_what_decoding_gives() {
        let mut buffer = [0; 16];
        let length = encode(&(7u64, "abc"), &mut buffer).expect("fits");
        for bytes in [&buffer[..length], &buffer[..length - 1], &buffer[..=length], &[]] {
            decode_in_place(bytes, |value: Result<&(u64, &str), WireError>| assert_eq!(value.copied(), decode(bytes)));
        }
    }

    #[test]
    fn value_that_does_not_fit_is_too_long() {
        assert_eq!(encode(&[0xffu8; 17], &mut [0; 16]), Err(WireError::TooLong));
    }

    #[test]
    fn truncated_and_overlong_bytes_are_malformed() {
        let mut buffer = [0; 16];
        let length = encode(&(7u64, "abc"), &mut buffer).expect("fits");
        assert_eq!(decode::<(u64, &str)>(&buffer[..length - 1]), Err(WireError::Malformed));
        assert_eq!(decode::<(u64, &str)>(&buffer[..=length]), Err(WireError::Malformed));
    }
}
