//! Crashes at every store.
//!
//! A program is a list of transactions. The model keeps a plain copy of the state after each. The program is run again and again, dying at
//! its first store, its second, and so on until it survives; after each death recovery itself dies at its first store, its second, and so
//! on. What is then found must be the state before or after the transaction that was under way, and which of the two is known by whether
//! its commit had returned.

use super::{Area, Array, Bytes, Cell, Opened};
use crate::host::{crash_at_store, survive};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use std::vec::Vec;

crate::plain! {
    /// A record whose fields are stored by words and by bytes.
    struct Pair {
        key: u32,
        kind: u16,
        flags: [u8; 6],
        more: u32,
    }

    /// A record of whole words.
    struct Row {
        id: u64,
        values: [u64; 8],
        last: u64,
    }

    /// One of more words than make one entry of the log.
    struct Long {
        values: [u64; 20],
    }

    /// One of two words.
    struct Twin {
        first: u64,
        second: u64,
    }
}

crate::saved_state! {
    struct Nested: 3 {
        count: Cell<u16>,
        text: Bytes<13>,
    }
    struct State: 7 {
        word: Cell<u64>,
        byte: Cell<u8>,
        rows: Array<Row, 2>,
        pairs: Array<Pair, 4>,
        longs: Array<Long, 2>,
        twins: Array<Twin, 3>,
        nested: [Nested; 3],
        bytes: Bytes<37>,
    }
}

#[derive(Clone, Debug)]
enum Change {
    Word(u64),
    Byte(u8),
    Pair(usize, u32, u8),
    Pairs(usize, Vec<u32>),
    Key(usize, u32),
    More(usize, u32),
    Row(usize, Vec<(usize, u64)>),
    Long(usize, Vec<(usize, u64)>),
    Twin(usize, u64, u64),
    Last(usize, u64),
    Count(usize, u16),
    Text(usize, usize, Vec<u8>),
    Bytes(usize, Vec<u8>),
}

#[derive(Clone, Debug)]
struct Step {
    changes: Vec<Change>,
    commits: bool,
}

fn change_of_words() -> impl Strategy<Value = Change> {
    prop_oneof![
        (0..2usize, vec((0..20usize, 0..4u64), 0..8)).prop_map(|(index, values)| Change::Long(index, values)),
        (0..3usize, 0..3u64, 0..3u64).prop_map(|(index, first, second)| Change::Twin(index, first, second)),
        (0..4usize, any::<u32>()).prop_map(|(index, key)| Change::Key(index, key)),
        (0..4usize, any::<u32>()).prop_map(|(index, more)| Change::More(index, more)),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => change_of_words(),
        1 => any::<u64>().prop_map(Change::Word),
        1 => any::<u8>().prop_map(Change::Byte),
        1 => (0..4usize, any::<u32>(), any::<u8>()).prop_map(|(index, key, flag)| Change::Pair(index, key, flag)),
        1 => (0..5usize, vec(any::<u32>(), 0..5)).prop_map(|(first, keys)| Change::Pairs(first, keys)),
        1 => (0..2usize, vec((0..8usize, 0..4u64), 0..6)).prop_map(|(index, values)| Change::Row(index, values)),
        1 => (0..2usize, any::<u64>()).prop_map(|(index, last)| Change::Last(index, last)),
        1 => (0..3usize, any::<u16>()).prop_map(|(index, count)| Change::Count(index, count)),
        1 => (0..3usize, 0..14usize, vec(any::<u8>(), 0..14)).prop_map(|(index, offset, bytes)| Change::Text(index, offset, bytes)),
        1 => (0..40usize, vec(any::<u8>(), 0..40)).prop_map(|(offset, bytes)| Change::Bytes(offset, bytes)),
    ]
}

fn program() -> impl Strategy<Value = Vec<Step>> {
    let commits = prop_oneof![3 => Just(true), 1 => Just(false)];
    vec((vec(change(), 0..6), commits).prop_map(|(changes, commits)| Step { changes, commits }), 1..5)
}

fn apply(area: &Area<State>, step: &Step) {
    let tx = area.begin();
    let state = area.state();
    for change in &step.changes {
        match change {
            Change::Word(value) => state.word.set(&tx, *value),
            Change::Byte(value) => state.byte.set(&tx, *value),
            Change::Pair(index, key, flag) => {
                state.pairs[*index].set(&tx, Pair { key: *key, kind: *key as u16, flags: [*flag; 6], more: !*key });
            }
            Change::Pairs(first, keys) => {
                let pairs: Vec<Pair> = keys.iter().map(|key| Pair { key: *key, ..Pair::zeroed() }).collect();
                assert_eq!(state.pairs.set_range(&tx, *first, &pairs), pairs.len().min(4usize.saturating_sub(*first)));
            }
            Change::Row(index, values) => {
                let mut row = state.rows[*index].get();
                row.id += 1;
                values.iter().for_each(|(place, value)| row.values[*place] = *value);
                state.rows[*index].set(&tx, row);
            }
            Change::Long(index, values) => {
                let mut long = state.longs[*index].get();
                values.iter().for_each(|(place, value)| long.values[*place] = *value);
                state.longs[*index].set(&tx, long);
            }
            Change::Twin(index, first, second) => state.twins[*index].set(&tx, Twin { first: *first, second: *second }),
            Change::Key(index, key) => state.pairs[*index].set_field(&tx, crate::field!(Pair, key), *key),
            Change::More(index, more) => state.pairs[*index].set_field(&tx, crate::field!(Pair, more), *more),
            Change::Last(index, last) => state.rows[*index].set_field(&tx, crate::field!(Row, last), *last),
            Change::Count(index, count) => state.nested[*index].count.set(&tx, *count),
            Change::Text(index, offset, bytes) => {
                let fits = state.nested[*index].text.write(&tx, *offset, bytes);
                assert_eq!(fits, bytes.len().min(13usize.saturating_sub(*offset)));
            }
            Change::Bytes(offset, bytes) => {
                let fits = state.bytes.write(&tx, *offset, bytes);
                assert_eq!(fits, bytes.len().min(37usize.saturating_sub(*offset)));
            }
        }
    }
    if step.commits {
        tx.commit();
    }
}

/// Everything that can be read.
fn contents(area: &Area<State>) -> Vec<u8> {
    let state = area.state();
    let mut all = state.word.get().to_le_bytes().to_vec();
    all.push(state.byte.get());
    for pair in state.pairs.iter().map(Cell::get) {
        all.extend(pair.key.to_le_bytes());
        all.extend(pair.kind.to_le_bytes());
        all.extend(pair.flags);
        all.extend(pair.more.to_le_bytes());
    }
    for row in state.rows.iter().map(Cell::get) {
        let words = [row.id].into_iter().chain(row.values).chain([row.last]);
        all.extend(words.flat_map(u64::to_le_bytes));
    }
    let longs = state.longs.iter().map(Cell::get).flat_map(|long| long.values);
    let twins = state.twins.iter().map(Cell::get).flat_map(|twin| [twin.first, twin.second]);
    all.extend(longs.chain(twins).flat_map(u64::to_le_bytes));
    for nested in &state.nested {
        let mut text = [0; 13];
        assert_eq!(nested.text.read(0, &mut text), 13);
        all.extend(nested.count.get().to_le_bytes());
        all.extend(text);
    }
    let mut bytes = [0; 37];
    assert_eq!(state.bytes.read(0, &mut bytes), 37);
    all.extend(bytes);
    all
}

/// Dies at each store of the recovery in turn, until one survives.
fn recover_dying_at_every_store(area: &Area<State>) {
    for nth in 0.. {
        if crash_at_store(nth, || area.recover()).is_some() {
            return;
        }
    }
}

/// A fresh area that is freed again, for tests that need thousands.
struct Temporary(&'static Area<State>);

impl Temporary {
    fn new() -> Self {
        Self(Area::on_host())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // SAFETY: the reference is not used again.
        unsafe { self.0.free_on_host() };
    }
}

/// Runs the program with a crash at each store, and compares what `recover` leaves with the model.
fn check(steps: &[Step], recover: fn(&Area<State>)) {
    let model_area = Temporary::new();
    let model = model_area.0;
    let mut expected = std::vec![contents(model)];
    for step in steps {
        apply(model, step);
        expected.push(contents(model));
    }
    for nth in 0.. {
        let temporary = Temporary::new();
        let area = temporary.0;
        let mut passed = 0;
        let end = crash_at_store(nth, || {
            for step in steps {
                apply(area, step);
                passed += 1;
            }
        });
        recover(area);
        assert_eq!(contents(area), expected[passed], "died at store {nth} in step {passed}");
        apply(area, &Step { changes: std::vec![Change::Word(nth)], commits: true });
        assert_eq!(area.state().word.get(), nth, "a recovered area can be changed");
        if end.is_some() {
            return;
        }
    }
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

    #[test]
    fn crash_at_any_store_leaves_the_state_before_or_after(steps in program()) {
        check(&steps, |area| { area.recover(); });
    }

    #[test]
    fn crash_at_any_store_of_the_recovery_changes_nothing(steps in program()) {
        check(&steps, recover_dying_at_every_store);
    }
}

#[test]
fn fresh_area_is_zero_and_says_so_once() {
    let area = Area::<State>::on_host();
    assert!(contents(area).iter().all(|byte| *byte == 0));
    assert_eq!(area.recover(), Opened::Recovered { rolled_back: false });
}

#[test]
fn dropped_transaction_is_rolled_back() {
    let area = Area::<State>::on_host();
    apply(area, &Step { changes: std::vec![Change::Word(1)], commits: true });
    apply(area, &Step { changes: std::vec![Change::Word(2), Change::Word(3)], commits: false });
    assert_eq!(area.state().word.get(), 1);
    assert_eq!(area.recover(), Opened::Recovered { rolled_back: false });
}

#[test]
fn crash_within_a_transaction_is_rolled_back_at_the_next_start() {
    let area = Area::<State>::on_host();
    let end = survive(|| {
        let tx = area.begin();
        area.state().word.set(&tx, 5);
        crate::host::crash();
    });
    assert_eq!((end, area.state().word.get()), (None::<()>, 5));
    assert_eq!(area.recover(), Opened::Recovered { rolled_back: true });
    assert_eq!(area.state().word.get(), 0);
}

#[test]
fn setting_what_is_there_stores_nothing() {
    let area = Area::<State>::on_host();
    apply(area, &Step { changes: std::vec![Change::Word(9)], commits: true });
    let tx = area.begin();
    assert_eq!(crash_at_store(0, || area.state().word.set(&tx, 9)), Some(()));
}

#[test]
fn any_words_of_a_record_may_change() {
    let area = Area::<State>::on_host();
    let row = &area.state().rows[1];
    let long = &area.state().longs[1];
    for changed in 0..1u64 << 10 {
        // The long one in the same way, its words spread over the pattern twice.
        let values: [u64; 20] = core::array::from_fn(|at| if changed >> (at % 10) & 1 != 0 { changed << 16 | at as u64 } else { at as u64 });
        for values in [values, core::array::from_fn(|at| at as u64)] {
            let tx = area.begin();
            long.set(&tx, Long { values });
            tx.commit();
            assert_eq!(long.get(), Long { values });
        }
        let word = |at: u64| if changed >> at & 1 != 0 { changed << 16 | at } else { at };
        let new = Row { id: word(0), values: core::array::from_fn(|at| word(at as u64 + 1)), last: word(9) };
        for new in [new, Row { id: 0, values: [1, 2, 3, 4, 5, 6, 7, 8], last: 9 }] {
            let tx = area.begin();
            row.set(&tx, new);
            tx.commit();
            assert_eq!(row.get(), new);
        }
    }
    assert_eq!(area.state().rows[0].get(), Row::zeroed());
}

#[test]
fn field_of_a_record_is_set_alone() {
    let area = Area::<State>::on_host();
    let (row, pair) = (&area.state().rows[0], &area.state().pairs[2]);
    let tx = area.begin();
    row.set_field(&tx, crate::field!(Row, values), [7; 8]);
    pair.set_field(&tx, crate::field!(Pair, flags), [5; 6]);
    tx.commit();
    assert_eq!(row.get(), Row { values: [7; 8], ..Row::zeroed() });
    assert_eq!(pair.get(), Pair { flags: [5; 6], ..Pair::zeroed() });
    let tx = area.begin();
    row.set_field(&tx, crate::field!(Row, id), 1);
    drop(tx);
    assert_eq!(row.get().id, 0, "rolled back");
}

#[test]
fn halves_of_a_word_are_set_apart() {
    let area = Area::<State>::on_host();
    let pair = &area.state().pairs[1];
    let set = |key, more| {
        let tx = area.begin();
        pair.set_field(&tx, crate::field!(Pair, key), key);
        pair.set_field(&tx, crate::field!(Pair, more), more);
        tx
    };
    set(1, u32::MAX).commit();
    assert_eq!(pair.get(), Pair { key: 1, more: u32::MAX, ..Pair::zeroed() });
    drop(set(u32::MAX, 2));
    assert_eq!(pair.get(), Pair { key: 1, more: u32::MAX, ..Pair::zeroed() });
}

#[test]
fn word_that_is_set_at_once_stays_whatever_becomes_of_a_transaction() {
    let area = Area::<State>::on_host();
    let row = &area.state().rows[0];
    let tx = area.begin();
    row.set_field(&tx, crate::field!(Row, id), 1);
    row.set_word(crate::field!(Row, last), 7);
    drop(tx);
    assert_eq!(row.get(), Row { last: 7, ..Row::zeroed() });
}

#[test]
#[should_panic(expected = "transaction is open already")]
fn second_transaction_at_a_time_is_refused() {
    let area = Area::<State>::on_host();
    let _first = area.begin();
    let _second = area.begin();
}

#[test]
#[should_panic(expected = "transaction of another area")]
fn cell_of_another_area_is_refused() {
    let (area, other) = (Area::<State>::on_host(), Area::<State>::on_host());
    let tx = area.begin();
    other.state().word.set(&tx, 1);
}

#[test]
#[should_panic(expected = "outgrew its undo log")]
fn transaction_that_is_too_large_is_refused() {
    let area = Area::<State>::on_host();
    let tx = area.begin();
    for value in 0..u64::MAX {
        area.state().word.set(&tx, value);
    }
}
