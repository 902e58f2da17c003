//! The discipline against a model that keeps lines as vectors, and its invariants under every byte in every mode.

use super::super::{Discipline, InMemory, Patience, Storage};
use super::{read_some, screen};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use protocols::console::termios::{ECHO, ICANON};
use protocols::console::{Queue, Termios};

/// What a canonical line without echo should do, in a few obvious lines.
#[derive(Default)]
struct Model {
    finished: Vec<(Vec<u8>, bool)>,
    editing: Vec<u8>,
    literal: bool,
}

impl Model {
    fn receive(&mut self, byte: u8) {
        if std::mem::take(&mut self.literal) {
            return self.editing.push(byte);
        }
        match byte {
            0x03 | 0x1a | 0x1c => *self = Self::default(),
            0x11 | 0x13 => {}
            0x7f => drop(self.editing.pop()),
            0x15 => self.editing.clear(),
            0x17 => self.erase_word(),
            0x16 => self.literal = true,
            0x04 => self.finished.push((std::mem::take(&mut self.editing), true)),
            b'\r' | b'\n' => {
                self.editing.push(b'\n');
                self.finished.push((std::mem::take(&mut self.editing), false));
            }
            // Reprint is an ordinary character without echo.
            byte => self.editing.push(byte),
        }
    }

    fn erase_word(&mut self) {
        let of_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        while self.editing.last().is_some_and(|byte| !of_word(byte)) {
            self.editing.pop();
        }
        while self.editing.last().is_some_and(of_word) {
            self.editing.pop();
        }
    }

    fn read(&mut self, length: usize) -> Option<Vec<u8>> {
        let (line, _) = self.finished.first_mut()?;
        let rest = line.split_off(length.min(line.len()));
        let got = std::mem::replace(line, rest);
        if line.is_empty() {
            self.finished.remove(0);
        }
        Some(got)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Type(Vec<u8>),
    Read(u32),
}

fn keys() -> impl Strategy<Value = u8> {
    prop_oneof![
        6 => prop_oneof![b'a'..=b'e', proptest::strategy::Just(b' '), proptest::strategy::Just(b'_')],
        3 => proptest::sample::select(b"\x03\x04\x7f\x15\x16\x17\x12\x1a\x13\x11\r\n\n\n\t\0".to_vec()),
        1 => 0u8..0x80,
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec(prop_oneof![3 => vec(keys(), 0..8).prop_map(Step::Type), 1 => (1u32..12).prop_map(Step::Read)], 0..40)
}

#[derive(Clone, Debug)]
enum AnyStep {
    Type(Vec<u8>),
    Read(u32, u8),
    Write(Vec<u8>),
    Modes([u8; 36]),
    ToggleLines,
    Drain(usize),
    Flush(u8),
}

fn any_steps() -> impl Strategy<Value = Vec<AnyStep>> {
    let step = prop_oneof![
        4 => vec(keys(), 0..20).prop_map(AnyStep::Type),
        2 => (0u32..50, 0u8..3).prop_map(|(length, patience)| AnyStep::Read(length, patience)),
        2 => vec(any::<u8>(), 0..100).prop_map(AnyStep::Write),
        1 => proptest::array::uniform32(any::<u8>()).prop_map(|half| {
            let mut modes = [0; 36];
            modes[..32].copy_from_slice(&half);
            AnyStep::Modes(modes)
        }),
        1 => proptest::strategy::Just(AnyStep::ToggleLines),
        2 => (0usize..300).prop_map(AnyStep::Drain),
        1 => (0u8..3).prop_map(AnyStep::Flush),
    ];
    vec(step, 0..60)
}

proptest! {
    #[test]
    fn canonical_input_is_the_models(steps in steps()) {
        let mut modes = Termios::INITIAL;
        modes.local &= !ECHO;
        let mut line = Discipline::new(InMemory::<1024, 512>::new(modes));
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Type(bytes) => for byte in bytes {
                    line.receive(byte);
                    model.receive(byte);
                },
                Step::Read(length) => {
                    prop_assert_eq!(read_some(&mut line, length, Patience::Wait), model.read(length as usize));
                }
            }
            let finished: usize = model.finished.iter().map(|(line, _)| line.len()).sum();
            prop_assert_eq!(line.status().input_bytes as usize, finished);
            prop_assert_eq!(line.status().readable, !model.finished.is_empty());
        }
    }

    #[test]
    fn invariants_hold_in_every_mode(steps in any_steps()) {
        type Small = InMemory<64, 512>;
        let mut line = Discipline::new(Small::new(Termios::INITIAL));
        for step in steps {
            match step {
                AnyStep::Type(bytes) => bytes.into_iter().for_each(|byte| line.receive(byte)),
                AnyStep::Read(length, patience) => {
                    let patience = [Patience::Wait, Patience::Expired, Patience::Never][patience as usize];
                    let got = read_some(&mut line, length, patience);
                    prop_assert!(got.is_none_or(|bytes| bytes.len() <= length as usize));
                }
                AnyStep::Write(bytes) => {
                    let room = line.room();
                    let taken = line.write(&bytes);
                    prop_assert!(taken as u64 >= room.min(bytes.len() as u64));
                }
                AnyStep::Modes(modes) => line.set_modes(Termios::from_linux(&modes)),
                AnyStep::ToggleLines => {
                    let mut modes = line.modes();
                    modes.local ^= ICANON;
                    line.set_modes(modes);
                }
                AnyStep::Drain(count) => {
                    let mut bytes = vec![0; count];
                    let count = line.peek_output(&mut bytes);
                    line.sent(count);
                }
                AnyStep::Flush(queue) => line.flush([Queue::Input, Queue::Output, Queue::Both][queue as usize]),
            }
            let registers = line.storage.registers();
            prop_assert!(registers.are_valid(Small::UNREAD, Small::OUTPUT), "{registers:?}");
        }
        line.flush(Queue::Both);
        prop_assert!(screen(&mut line).is_empty());
    }
}
