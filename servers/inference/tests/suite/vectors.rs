//! Where the reference vectors are, and reading of what they come in. They are no part of the project; without them a test says so and ends.

use std::path::PathBuf;

/// A file of the reference data, or none where the data is missing.
pub(crate) fn path(name: &str) -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/llm");
    if !root.is_dir() {
        eprintln!("SKIPPED: there is no reference data in ../shared/llm");
        return None;
    }
    Some(root.join(name))
}

/// The bytes of a file of the reference data, which must be there when the data is.
pub(crate) fn bytes(name: &str) -> Option<Vec<u8>> {
    path(name).map(|path| std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// Little-endian numbers.
pub(crate) fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}
