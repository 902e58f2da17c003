//! The bytes of every message, as committed in `golden/`.
//!
//! Messages are append-only, because a number in saved state or in a client built yesterday must mean tomorrow what it means today. A line
//! that was there must stay as it is; new samples add lines. `SYNOS_GOLDEN=write cargo test -p protocols --test golden` writes the files; a
//! reviewer then sees in the difference whether anything but an addition happened.

mod samples;

use protocols::wire;
use samples::{Protocol, bytes_of, supervisor};
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use std::fmt::Debug;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Longest text of a sample in a file; longer bytes are summed up by the archive's checksum.
const MAX_SHOWN: usize = 200;

fn line<T: serde::Serialize + Debug>(kind: &str, value: &T) -> String {
    let bytes = bytes_of(value);
    let mut text = format!("{value:?}");
    let mut hex = String::new();
    for byte in &bytes {
        write!(hex, "{byte:02x}").expect("a string takes it");
    }
    if bytes.len() > MAX_SHOWN {
        hex = format!("{} bytes, checksum {:016x}", bytes.len(), abi::boot::checksum(&bytes));
        text = text.chars().take(60).chain("...".chars()).collect();
    }
    format!("{kind} {text}\n    {hex}\n")
}

fn compare(name: &str, actual: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.txt"));
    if std::env::var("SYNOS_GOLDEN").is_ok_and(|mode| mode == "write") {
        std::fs::write(&path, actual).expect("the file can be written");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(actual, golden, "{} differs: see the module's text", path.display());
}

fn bytes_never_change<P: Protocol>() {
    let mut text = String::new();
    P::requests().iter().for_each(|request| text += &line("request", request));
    P::replies().iter().for_each(|reply| text += &line("reply", reply));
    P::errors().iter().for_each(|error| text += &line("error", error));
    compare(P::NAME, &text);
}

fn every_sample_round_trips<P: Protocol>() {
    for request in P::requests() {
        assert_eq!(wire::decode::<P::Request>(bytes_of(&request).leak()), Ok(request));
    }
    for reply in P::replies() {
        assert_eq!(wire::decode::<P::Reply>(&bytes_of(&reply)), Ok(reply));
    }
    for error in P::errors() {
        assert_eq!(wire::decode::<P::Error>(&bytes_of(&error)), Ok(error));
    }
}

fn every_variant_has_a_sample<P: Protocol>() {
    complete(&P::requests());
    complete(&P::replies());
    complete(&P::errors());
}

/// The first byte of an enum's value is its variant, as long as there are fewer than 128.
fn complete<T: serde::Serialize + Deserialize<'static>>(samples: &[T]) {
    let variants = variants_of::<T>();
    assert!(variants.len() < 128, "variants have one byte");
    for (index, variant) in variants.iter().enumerate() {
        let found = samples.iter().any(|sample| usize::from(bytes_of(sample)[0]) == index);
        assert!(found, "{}::{variant} has no sample", std::any::type_name::<T>());
    }
}

/// The names of an enum's variants, as serde's derived code gives them to a deserializer.
fn variants_of<T: Deserialize<'static>>() -> &'static [&'static str] {
    struct Ask<'a>(&'a mut &'static [&'static str]);

    impl<'de> Deserializer<'de> for Ask<'_> {
        type Error = serde::de::value::Error;

        fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Self::Error> {
            Err(Self::Error::custom("not an enum"))
        }

        fn deserialize_enum<V: Visitor<'de>>(
            self,
            _name: &'static str,
            variants: &'static [&'static str],
            _visitor: V,
        ) -> Result<V::Value, Self::Error> {
            *self.0 = variants;
            Err(Self::Error::custom("that is all"))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq tuple
            tuple_struct map struct identifier ignored_any
        }
    }

    let mut variants: &'static [&'static str] = &[];
    assert!(T::deserialize(Ask(&mut variants)).is_err());
    assert!(!variants.is_empty(), "{} is no enum", std::any::type_name::<T>());
    variants
}

each_protocol!(bytes_never_change, every_sample_round_trips, every_variant_has_a_sample);

#[test]
fn start_information_never_changes() {
    compare("start_info", &line("start", &supervisor::start_info()));
    let bytes = bytes_of(&supervisor::start_info());
    assert_eq!(wire::decode(&bytes), Ok(supervisor::start_info()));
}
