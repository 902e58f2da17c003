//! Unpacks what the reference data comes in: DEFLATE (RFC 1951) inside ZIP (APPNOTE 4.3) around NumPy's arrays of `f32`. Trusts its input; tests only.

/// Reads bits, the lowest first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> usize {
        let bit = |at: usize| usize::from(self.bytes[at / 8] >> (at % 8) & 1);
        let number = (0..count).fold(0, |number, index| number | bit(self.at + index) << index);
        self.at += count;
        number
    }
}

/// A Huffman code: how many codes there are of each length, and the symbols in order of their codes.
struct Code {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Code {
    fn new(lengths: &[usize]) -> Self {
        let mut counts = [0; 16];
        lengths.iter().for_each(|length| counts[*length] += 1);
        counts[0] = 0;
        let mut symbols: Vec<usize> = (0..lengths.len()).filter(|symbol| lengths[*symbol] != 0).collect();
        symbols.sort_by_key(|symbol| lengths[*symbol]);
        Self { counts, symbols }
    }

    fn read(&self, bits: &mut Bits<'_>) -> usize {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code |= bits.take(1);
            if code < first + count {
                return self.symbols[index + code - first];
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        panic!("not a code");
    }
}

/// The codes of a block with its own ones (RFC 1951, 3.2.7).
fn own_codes(bits: &mut Bits<'_>) -> (Code, Code) {
    const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let (literals, distances, count) = (bits.take(5) + 257, bits.take(5) + 1, bits.take(4) + 4);
    let mut lengths = [0; 19];
    ORDER[..count].iter().for_each(|symbol| lengths[*symbol] = bits.take(3));
    let code = Code::new(&lengths);
    let mut lengths = Vec::new();
    while lengths.len() < literals + distances {
        let (length, times) = match code.read(bits) {
            16 => (*lengths.last().expect("one before"), bits.take(2) + 3),
            17 => (0, bits.take(3) + 3),
            18 => (0, bits.take(7) + 11),
            length => (length, 1),
        };
        lengths.extend(std::iter::repeat_n(length, times));
    }
    (Code::new(&lengths[..literals]), Code::new(&lengths[literals..]))
}

fn fixed_codes() -> (Code, Code) {
    let length = |symbol| [(144, 8), (256, 9), (280, 7), (288, 8)].iter().find(|(end, _)| symbol < *end).expect("a symbol").1;
    (Code::new(&(0..288).map(length).collect::<Vec<_>>()), Code::new(&[5; 30]))
}

/// Start and extra bits of the `index`th length or distance; they grow by one bit after each `group` of them.
fn start(index: usize, group: usize, first: usize) -> (usize, usize) {
    let extra = (index / group).saturating_sub(1);
    let start = if index < 2 * group { index } else { (group + index % group) << extra };
    (start + first, extra)
}

fn inflate(bytes: &[u8]) -> Vec<u8> {
    let mut bits = Bits { bytes, at: 0 };
    let mut out: Vec<u8> = Vec::new();
    loop {
        let last = bits.take(1) == 1;
        match bits.take(2) {
            0 => {
                let at = bits.at.div_ceil(8);
                let length = usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
                out.extend(&bytes[at + 4..at + 4 + length]);
                bits.at = (at + 4 + length) * 8;
            }
            1 => block(&mut bits, fixed_codes(), &mut out),
            _ => {
                let codes = own_codes(&mut bits);
                block(&mut bits, codes, &mut out);
            }
        }
        if last {
            return out;
        }
    }
}

fn block(bits: &mut Bits<'_>, (literals, distances): (Code, Code), out: &mut Vec<u8>) {
    loop {
        let symbol = literals.read(bits);
        if symbol < 256 {
            out.push(symbol as u8);
            continue;
        }
        if symbol == 256 {
            return;
        }
        let (length, extra) = if symbol == 285 { (258, 0) } else { start(symbol - 257, 4, 3) };
        let length = length + bits.take(extra);
        let (distance, extra) = start(distances.read(bits), 2, 1);
        let distance = distance + bits.take(extra);
        (0..length).for_each(|_| out.push(out[out.len() - distance]));
    }
}

/// The numbers of the array `name` in an archive of NumPy's.
pub(crate) fn array(archive: &[u8], name: &str) -> Vec<f32> {
    let number = |at: usize, bytes: usize| archive[at..at + bytes].iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte));
    let mut entries = (0..archive.len() - 4).filter(|at| archive[*at..].starts_with(b"PK\x01\x02"));
    let entry = entries.find(|at| archive[at + 46..].starts_with(format!("{name}.npy").as_bytes())).expect("an entry");
    let (packed, local) = (number(entry + 20, 4), number(entry + 42, 4));
    let data = local + 30 + number(local + 26, 2) + number(local + 28, 2);
    let bytes = if number(entry + 10, 2) == 0 { archive[data..data + packed].to_vec() } else { inflate(&archive[data..data + packed]) };
    let head = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    super::vectors::floats(&bytes[head..])
}
