//! The bad arguments of `tests/linux/badargs` leave out no argument of any call: what a new call needs there is said here, without a machine.
//!
//! The program itself is compared with Linux by the suite that boots (`tests/tests/scripts.rs`). It is told the table of calls by `badargs/calls.h`, which
//! this test makes; `badargs/base.h` has arguments that are right for each call, of which one at a time is replaced, and `badargs/values.h` the bad values
//! for each kind of argument.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use posix::table::{CALLS, Entry};

const CALLS_HEADER: &str = "calls.h";
const BASE_HEADER: &str = "base.h";
const VALUES_HEADER: &str = "values.h";

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/linux/badargs").join(name)
}

fn header(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn kinds(entry: &Entry) -> Vec<String> {
    entry.kinds.iter().map(|kind| format!("{kind:?}").to_uppercase()).collect()
}

#[test]
fn table_of_badargs_is_that_of_posix() {
    let mut made = String::from(
        "/* The calls of posix's table and the kinds of their arguments. Made from it by servers/posix/tests/badargs.rs, with SYNOS_WRITE=1. */\n",
    );
    for entry in CALLS {
        let kinds = if entry.kinds.is_empty() { "NONE".into() } else { kinds(entry).join(", ") };
        writeln!(made, "CALL({}, {}, {kinds})", entry.number, entry.name).expect("a String takes everything");
    }
    if std::env::var_os("SYNOS_WRITE").is_some() {
        fs::write(path(CALLS_HEADER), &made).expect("the project can be written");
    }
    assert!(header(CALLS_HEADER) == made, "{CALLS_HEADER} is not posix's table; make it again: SYNOS_WRITE=1 cargo test -p posix --test badargs");
}

/// Names of calls with the numbers of arguments that are right for them. One with `ONLY_AS_IS` is wrong in what it points to, and no argument of it is replaced.
fn right_arguments(base: &str) -> BTreeMap<&str, Vec<usize>> {
    let mut right: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for line in base.lines() {
        let Some((macro_name, rest)) = line.trim().split_once('(') else { continue };
        let before_arguments = match macro_name {
            "BASE" => 1,
            "VARIANT" => 3,
            _ => continue,
        };
        let parts = split(rest.trim_end_matches(')'));
        right.entry(parts[0]).or_default().push(parts.len() - before_arguments);
    }
    right
}

/// The arguments of a macro: what commas outside of parentheses and quotes separate.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut quoted) = (Vec::new(), 0, 0, false);
    for (at, letter) in text.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 && !quoted => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

#[test]
fn every_call_with_arguments_has_right_ones_to_start_from() {
    let base = header(BASE_HEADER);
    let right = right_arguments(&base);
    let missing: Vec<&str> = CALLS
        .iter()
        .filter(|entry| !entry.kinds.is_empty() && !right.get(entry.name).is_some_and(|counts| counts.contains(&entry.kinds.len())))
        .map(|entry| entry.name)
        .collect();
    assert!(missing.is_empty(), "{BASE_HEADER} has no BASE with all arguments of {missing:?}");
    let known: BTreeSet<&str> = CALLS.iter().map(|entry| entry.name).collect();
    let unknown: Vec<&&str> = right.keys().filter(|name| !known.contains(**name) && **name != "name").collect();
    assert!(unknown.is_empty(), "{BASE_HEADER} has calls that posix does not have: {unknown:?}");
}

/// The kinds in an expression of `FOR(KIND)` and names of `sets`.
fn expanded(expression: &str, sets: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let mut kinds = BTreeSet::new();
    for part in expression.split('|').map(str::trim) {
        match part.strip_prefix("FOR(").and_then(|part| part.strip_suffix(')')) {
            Some(kind) => drop(kinds.insert(kind.to_owned())),
            None => kinds.extend(sets.get(part).unwrap_or_else(|| panic!("{VALUES_HEADER}: {part} is not known")).iter().cloned()),
        }
    }
    kinds
}

/// How many bad values there are for each kind.
fn values_by_kind(text: &str) -> BTreeMap<String, usize> {
    let mut sets = BTreeMap::new();
    let mut counts = BTreeMap::new();
    for line in text.lines().map(str::trim) {
        if let Some((name, expression)) = line.strip_suffix(',').and_then(|line| line.split_once(" = ")) {
            let kinds = expanded(expression, &sets);
            sets.insert(name.to_owned(), kinds);
        } else if let Some(row) = line.strip_prefix('{') {
            for kind in expanded(split(row)[1], &sets) {
                *counts.entry(kind).or_default() += 1;
            }
        }
    }
    counts
}

#[test]
fn every_kind_of_argument_has_bad_values() {
    let counts = values_by_kind(&header(VALUES_HEADER));
    for entry in CALLS {
        for (argument, kind) in kinds(entry).into_iter().enumerate() {
            let count = counts.get(&kind).copied().unwrap_or_default();
            assert!(count > 0, "argument {argument} of {} would get no bad value: {kind}", entry.name);
        }
    }
}

#[test]
fn call_without_right_arguments_is_noticed() {
    let base = "\tBASE(read, FILE_FD, AT(vector), 64)\n\tVARIANT(read, \"a, b\", 0, 1, 2)\n\tWRONG(write, \"to it\", 1, 2, 3)\n";
    let right = right_arguments(base);
    assert_eq!(right.get("read"), Some(&vec![3, 2]));
    assert_eq!(right.get("write"), None, "one that is itself wrong replaces nothing");
    let values = "enum {\n\tREADS = FOR(PATH) | FOR(INPUT),\n};\n\t{\"null\", READS | FOR(OUTPUT), 0, 0},\n\t{\"wild\", READS, 1, 0},\n";
    let counts = values_by_kind(values);
    assert_eq!((counts.get("PATH"), counts.get("OUTPUT"), counts.get("SIZE")), (Some(&2), Some(&1), None));
}
