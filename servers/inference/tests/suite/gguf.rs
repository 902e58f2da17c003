//! The file's reader: what it finds in a good file, and that no bytes whatever make it panic.

use inference::Error;
use inference::gguf::File;
use inference::quant::Kind;
use inference::value::Value;
use proptest::prelude::*;

use super::writer::Writer;

fn small() -> Writer {
    let mut writer = Writer::default();
    writer.text("general.architecture", "llama");
    writer.number("a.number", 7);
    writer.float("a.float", 0.5);
    writer.flag("a.flag", true);
    writer.texts("some.texts", &[b"one".to_vec(), vec![], vec![0xff]]);
    writer.numbers("some.numbers", &[-1, 2]);
    writer.floats("some.floats", &[0.5]);
    writer.tensor("first", &[2, 3], Kind::F32.number(), vec![1; 24]);
    writer.tensor("second", &[32], Kind::Q4_0.number(), (0..18).collect());
    writer
}

/// Reads everything that a file offers, which must be as whole as it says.
fn walk(bytes: &[u8]) {
    let Ok(file) = File::read(bytes) else { return };
    for (_, value) in file.values() {
        if let Value::Array(array) = value {
            assert_eq!(array.values().count(), array.count());
        }
    }
    for (_, tensor) in file.tensors() {
        assert_eq!(tensor.data.len(), tensor.kind.bytes(tensor.columns) * tensor.rows);
    }
}

#[test]
fn a_good_file_yields_its_values_and_tensors() {
    let bytes = small().finish();
    let file = File::read(&bytes).expect("a good file");
    assert_eq!(file.text("general.architecture"), Some("llama"));
    assert_eq!(file.value("a.number").and_then(Value::unsigned), Some(7));
    assert_eq!(file.value("a.float").and_then(Value::float), Some(0.5));
    assert_eq!(file.value("a.flag"), Some(Value::Bool(true)));
    assert_eq!(file.value("absent"), None);
    let Some(Value::Array(texts)) = file.value("some.texts") else { panic!("an array") };
    assert_eq!(texts.strings().collect::<Vec<_>>(), [&b"one"[..], &[], &[0xff]]);
    let Some(Value::Array(numbers)) = file.value("some.numbers") else { panic!("an array") };
    assert_eq!(numbers.values().collect::<Vec<_>>(), [Value::Signed(-1), Value::Signed(2)]);
    let first = file.tensor("first").expect("a tensor");
    assert_eq!((first.kind, first.columns, first.rows, first.row(2)), (Kind::F32, 2, 3, &[1; 8][..]));
    let second = file.tensor("second").expect("a tensor");
    assert_eq!(second.data, (0..18).collect::<Vec<u8>>());
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let bytes = small().finish();
    let needed = bytes.len() - 14;
    for length in 0..needed {
        let error = File::read(&bytes[..length]).expect_err("cut");
        assert!(matches!(error, Error::Truncated | Error::NotGguf), "{length}: {error:?}");
    }
    assert!(File::read(&bytes[..needed]).is_ok(), "only padding is missing");
}

#[test]
fn a_file_with_any_byte_changed_is_read_whole_or_refused() {
    let bytes = small().finish();
    for at in 0..bytes.len() {
        for change in [0x01, 0x10, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[at] ^= change;
            walk(&changed);
        }
    }
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let mut writer = small();
    writer.tensor("third", &[256], 10, vec![0; 84]);
    assert_eq!(File::read(&writer.finish()).err(), Some(Error::TensorType { tensor: "third".into(), kind: "Q2_K".into() }));
    let mut writer = small();
    writer.tensor("third", &[256], 77, vec![0; 84]);
    assert_eq!(File::read(&writer.finish()).err(), Some(Error::TensorType { tensor: "third".into(), kind: "77".into() }));
    let mut bytes = small().finish();
    bytes[4] = 1;
    assert_eq!(File::read(&bytes).err(), Some(Error::Version(1)));
    assert_eq!(File::read(b"ELF!").err(), Some(Error::NotGguf));
}

#[test]
fn names_are_unique() {
    let mut writer = small();
    writer.number("a.number", 8);
    assert_eq!(File::read(&writer.finish()).err(), Some(Error::Twice("a.number".into())));
    let mut writer = small();
    writer.tensor("first", &[1], 0, vec![0; 4]);
    assert_eq!(File::read(&writer.finish()).err(), Some(Error::Twice("first".into())));
}

#[test]
fn sizes_that_overflow_are_refused() {
    for shape in [&[1 << 40, 1 << 40][..], &[1 << 63, 2], &[2, u64::MAX, u64::MAX], &[u64::MAX - 31, 1]] {
        let mut writer = small();
        writer.tensor("third", shape, 0, vec![]);
        let error = File::read(&writer.finish()).err();
        assert!(matches!(error, Some(Error::Size | Error::Truncated)), "{shape:?}: {error:?}");
    }
    let mut writer = small();
    writer.tensor("third", &[33], Kind::Q8_0.number(), vec![0; 34]);
    assert_eq!(File::read(&writer.finish()).err(), Some(Error::Shape("third".into())));
}

proptest! {
    #[test]
    fn foreign_bytes_never_make_it_panic(bytes: Vec<u8>) {
        walk(&bytes);
        walk(&[b"GGUF\x03\0\0\0", &bytes[..]].concat());
    }

    #[test]
    fn any_two_words_replaced_never_make_it_panic(places: [(prop::sample::Index, u64); 2]) {
        let mut bytes = small().finish();
        for (at, word) in places {
            let at = at.index(bytes.len() - 8);
            bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        walk(&bytes);
    }
}
