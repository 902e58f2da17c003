//! Language models from strangers: whatever the bytes of a file, its reader refuses it or finds what is whole.

use inference::gguf::File;
use inference::quant::Kind;
use inference::value::Value;

use crate::writer::Writer;

/// Every value and every tensor of a file that is read is there in full.
pub(super) fn gguf(bytes: &[u8]) {
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

pub(super) fn gguf_seeds() -> Vec<Vec<u8>> {
    let mut values = Writer::default();
    values.text("general.architecture", "llama");
    values.number("a.number", 7);
    values.flag("a.flag", true);
    values.texts("some.texts", &[b"one".to_vec(), vec![0xff]]);
    let mut tensors = Writer::default();
    tensors.floats("some.floats", &[1.0, -1.0]);
    tensors.numbers("some.numbers", &[-1, 2]);
    tensors.float("a.float", 0.5);
    tensors.tensor("first", &[2, 3], Kind::F32.number(), vec![1; 24]);
    tensors.tensor("second", &[32, 2, 2], Kind::Q4_0.number(), vec![9; 72]);
    vec![values.finish(), tensors.finish()]
}
