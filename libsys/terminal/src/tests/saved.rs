//! The saved storage: alike to the plain one whatever comes, and whole after a death at any store.

use libsys::host;
use libsys::saved::Area;
use proptest::collection::vec;
use proptest::prelude::{any, prop_assert_eq, proptest};
use protocols::console::{Queue, Termios, WindowSize};

use super::super::saved::{OUTPUT_BYTES, SavedLine, UNREAD_BYTES};
use super::super::{Discipline, InMemory, Patience};
use super::{read_some, screen, type_in};

type Plain = Discipline<InMemory<{ UNREAD_BYTES * 2 }, OUTPUT_BYTES>>;

fn saved() -> &'static Area<SavedLine> {
    let area = Area::<SavedLine>::on_host();
    let transaction = area.begin();
    area.state().open(&transaction, Termios::INITIAL, WindowSize::INITIAL);
    transaction.commit();
    area
}

fn type_into(area: &'static Area<SavedLine>, bytes: &[u8]) {
    let transaction = area.begin();
    area.state().change::<0, _>(&transaction, |line| bytes.iter().for_each(|byte| line.receive(*byte)));
    transaction.commit();
}

proptest! {
    #[test]
    fn saved_and_plain_lines_do_the_same(bytes in vec(any::<u8>(), 0..600), written in vec(any::<u8>(), 0..600)) {
        let area = saved();
        type_into(area, &bytes);
        let transaction = area.begin();
        let seen = area.state().change::<0, _>(&transaction, |line| {
            line.write(&written);
            (read_some(line, 100, Patience::Never), screen(line), line.signals(), line.status())
        });
        transaction.commit();
        let mut plain = Plain::new(InMemory::new(Termios::INITIAL));
        type_in(&mut plain, &bytes);
        plain.write(&written);
        prop_assert_eq!(seen, (read_some(&mut plain, 100, Patience::Never), screen(&mut plain), plain.signals(), plain.status()));
        prop_assert_eq!(area.state().look(|line| line.status()), plain.status());
    }
}

#[test]
fn a_death_at_any_store_leaves_the_line_as_it_was() {
    for nth in 0.. {
        let area = saved();
        type_into(area, b"first\n");
        let died = host::crash_at_store(nth, || type_into(area, b"second\n")).is_none();
        area.recover();
        if died {
            type_into(area, b"second\n");
        }
        let transaction = area.begin();
        let seen = area.state().change::<0, _>(&transaction, |line| {
            let lines = [0; 2].map(|_| read_some(line, 100, Patience::Wait).expect("a line"));
            (lines, screen(line))
        });
        assert_eq!(seen, ([b"first\n".to_vec(), b"second\n".to_vec()], b"first\r\nsecond\r\n".to_vec()), "store {nth}");
        if !died {
            assert!(nth > 5);
            break;
        }
    }
}

#[test]
fn erasing_a_full_line_fits_an_undo_log() {
    let area = saved();
    for _ in 0..16 {
        type_into(area, &[b'x'; 250]);
        let transaction = area.begin();
        area.state().change::<0, _>(&transaction, |line| drop(screen(line)));
        transaction.commit();
    }
    type_into(area, b"\x15");
    assert_eq!(area.state().look(|line| line.status()).output_bytes as usize, OUTPUT_BYTES);
}

#[test]
fn what_a_masters_reader_has_taken_survives_a_flush() {
    let area = saved();
    let transaction = area.begin();
    let left = area.state().change::<100, _>(&transaction, |line| {
        line.write(&[b'x'; 300]);
        line.flush(Queue::Both);
        let after_flush = screen(line).len();
        line.write(&[b'y'; 40]);
        line.receive(3);
        (after_flush, screen(line))
    });
    assert_eq!(left, (100, [[b'y'; 40].as_slice(), b"^C"].concat()));
}

#[test]
fn damaged_registers_are_found() {
    let area = saved();
    type_into(area, b"line\n");
    let transaction = area.begin();
    assert!(!area.state().repair(&transaction));
    area.state().damage(&transaction);
    assert!(area.state().repair(&transaction));
    assert!(!area.state().look(|line| line.status()).readable);
}
