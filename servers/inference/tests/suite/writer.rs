//! Writes GGUF files, for tests to read.

/// A file in the making.
#[derive(Default)]
pub(crate) struct Writer {
    values: Vec<u8>,
    value_count: u64,
    tensors: Vec<(String, Vec<u64>, u32, Vec<u8>)>,
}

fn string(to: &mut Vec<u8>, text: &[u8]) {
    to.extend((text.len() as u64).to_le_bytes());
    to.extend(text);
}

impl Writer {
    fn value(&mut self, key: &str, kind: u32, bytes: &[u8]) {
        string(&mut self.values, key.as_bytes());
        self.values.extend(kind.to_le_bytes());
        self.values.extend(bytes);
        self.value_count += 1;
    }

    pub(crate) fn number(&mut self, key: &str, value: u32) {
        self.value(key, 4, &value.to_le_bytes());
    }

    pub(crate) fn float(&mut self, key: &str, value: f32) {
        self.value(key, 6, &value.to_le_bytes());
    }

    pub(crate) fn flag(&mut self, key: &str, value: bool) {
        self.value(key, 7, &[value.into()]);
    }

    pub(crate) fn text(&mut self, key: &str, value: &str) {
        let mut bytes = Vec::new();
        string(&mut bytes, value.as_bytes());
        self.value(key, 8, &bytes);
    }

    fn array(&mut self, key: &str, kind: u32, count: usize, elements: &[u8]) {
        let head = [&kind.to_le_bytes()[..], &(count as u64).to_le_bytes()].concat();
        self.value(key, 9, &[&head, elements].concat());
    }

    pub(crate) fn texts(&mut self, key: &str, values: &[Vec<u8>]) {
        let mut bytes = Vec::new();
        values.iter().for_each(|value| string(&mut bytes, value));
        self.array(key, 8, values.len(), &bytes);
    }

    pub(crate) fn floats(&mut self, key: &str, values: &[f32]) {
        self.array(key, 6, values.len(), &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>());
    }

    pub(crate) fn numbers(&mut self, key: &str, values: &[i32]) {
        self.array(key, 5, values.len(), &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>());
    }

    /// A tensor of the format's type `kind`; the first of `shape` is the length of a row.
    pub(crate) fn tensor(&mut self, name: &str, shape: &[u64], kind: u32, data: Vec<u8>) {
        self.tensors.push((name.into(), shape.into(), kind, data));
    }

    /// The whole file.
    pub(crate) fn finish(&self) -> Vec<u8> {
        let mut file = [&b"GGUF"[..], &3_u32.to_le_bytes(), &(self.tensors.len() as u64).to_le_bytes(), &self.value_count.to_le_bytes()].concat();
        file.extend(&self.values);
        let mut data = Vec::new();
        for (name, shape, kind, bytes) in &self.tensors {
            string(&mut file, name.as_bytes());
            file.extend((shape.len() as u32).to_le_bytes());
            shape.iter().for_each(|length| file.extend(length.to_le_bytes()));
            file.extend(kind.to_le_bytes());
            file.extend((data.len() as u64).to_le_bytes());
            data.extend(bytes);
            data.resize(data.len().next_multiple_of(32), 0);
        }
        file.resize(file.len().next_multiple_of(32), 0);
        file.extend(data);
        file
    }
}
