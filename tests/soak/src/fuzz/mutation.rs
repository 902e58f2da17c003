//! Changing an input a little.

use crate::dice::Dice;

/// Numbers that programs get wrong.
const NUMBERS: [u64; 12] = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 47, i64::MAX as u64, u64::MAX];
/// Widths of the numbers that are put in.
const WIDTHS: [usize; 4] = [1, 2, 4, 8];
/// Longest piece that is copied or taken out at once.
const PIECE: u64 = 64;

/// Changes `input` in one to eight places; `other` is what pieces are taken from. The result has at most `most_bytes`.
pub(crate) fn mutate(input: &mut Vec<u8>, other: &[u8], dice: &mut Dice, most_bytes: usize) {
    for _ in 0..1 << dice.below(4) {
        change(input, other, dice);
    }
    input.truncate(most_bytes);
}

fn change(input: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    let at = dice.below(input.len() as u64 + 1) as usize;
    match dice.below(10) {
        0 | 1 => on_byte(input, at, |byte, dice| *byte ^= 1 << dice.below(8), dice),
        2 => on_byte(input, at, |byte, dice| *byte = dice.next() as u8, dice),
        3 => on_byte(input, at, |byte, dice| *byte = byte.wrapping_add(dice.pick(&[1, 2, 8, 0xff, 0xfe])), dice),
        4 => {
            let (number, width) = (dice.pick(&NUMBERS), dice.pick(&WIDTHS));
            overwrite(input, at, &number.to_le_bytes()[..width]);
        }
        5 => insert(input, at, &dice.next().to_le_bytes()),
        6 => drop(input.drain(at..(at + 1 + dice.below(PIECE) as usize).min(input.len()))),
        7 => {
            let own = input.clone();
            insert(input, at, piece(&own, dice));
        }
        8 => insert(input, at, piece(other, dice)),
        _ => overwrite(input, at, piece(other, dice)),
    }
}

fn on_byte(input: &mut [u8], at: usize, change: impl FnOnce(&mut u8, &mut Dice), dice: &mut Dice) {
    if let Some(byte) = input.get_mut(at) {
        change(byte, dice);
    }
}

fn insert(input: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    input.splice(at..at, bytes.iter().copied());
}

fn overwrite(input: &mut [u8], at: usize, bytes: &[u8]) {
    for (to, from) in input.iter_mut().skip(at).zip(bytes) {
        *to = *from;
    }
}

fn piece<'a>(bytes: &'a [u8], dice: &mut Dice) -> &'a [u8] {
    let start = dice.below(bytes.len() as u64 + 1) as usize;
    let end = (start + 1 + dice.below(PIECE) as usize).min(bytes.len());
    &bytes[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_dice_make_the_same_input_and_the_limit_holds() {
        let made = |seed| {
            let (mut input, mut dice) = (b"abcdefgh".to_vec(), Dice::new(seed));
            (0..100).for_each(|_| mutate(&mut input, b"other", &mut dice, 50));
            input
        };
        assert_eq!(made(1), made(1));
        assert_ne!(made(1), made(2));
        assert!((0..20).all(|seed| made(seed).len() <= 50));
    }

    #[test]
    fn an_empty_input_grows() {
        let (mut input, mut dice) = (Vec::new(), Dice::new(3));
        (0..50).for_each(|_| mutate(&mut input, b"", &mut dice, 50));
        assert!(!input.is_empty());
    }
}
