//! What a session remembers: prefixes that are used again, room that is made in a full one, and what a text becomes as a whole.

use inference::Error;
use inference::engine::{Engine, Pooling, Precision, Session, Want};
use inference::gguf::File;
use inference::model::Model;
use inference::quant::Kind;
use inference::reference::Reference;
use inference::team::{Alone, Team};

use super::engine::{Threads, with_engine};
use super::generator::{Plan, model};
use super::reference::rms;

/// The logits of the last of `tokens`.
fn feed(engine: &Engine<'_>, session: &mut Session, tokens: &[u32]) -> Result<Vec<f32>, Error> {
    let mut logits = Vec::new();
    engine.feed(session, tokens, Want::Last, &Alone, &mut logits).map(|()| logits)
}

/// A text of `count` tokens.
fn text(count: u32) -> Vec<u32> {
    (0..count).map(|index| (index * index * 37 + 1) % 288).collect()
}

#[test]
fn a_session_forgets_and_goes_on_as_if_it_had_not_seen() {
    with_engine(&model(&Plan::small(Kind::Q8_0, 5)), |engine| {
        let mut session = Session::new(engine, 5, 1);
        let first = feed(engine, &mut session, &[1, 5, 9]).expect("room");
        feed(engine, &mut session, &[11, 12]).expect("room");
        assert_eq!(feed(engine, &mut session, &[1]), Err(Error::ContextFull));
        session.truncate(2);
        assert_eq!(feed(engine, &mut session, &[9]).expect("room"), first);
        assert_eq!(feed(engine, &mut session, &[288]), Err(Error::Token(288)));
        assert_eq!((session.position(), session.room(), session.tokens()), (3, 2, &[1, 5, 9][..]));
    });
}

#[test]
fn what_two_texts_have_in_common_is_seen_once() {
    with_engine(&model(&Plan::small(Kind::Q4_0, 5)), |engine| {
        let mut session = Session::new(engine, 8, 1);
        assert_eq!(session.reuse(&[1, 5, 9, 11]), 0);
        feed(engine, &mut session, &[1, 5, 9, 11]).expect("room");
        for (tokens, known) in [(&[1, 5, 9, 12, 13][..], 3), (&[1, 5, 9, 12, 13], 4), (&[1, 5], 1), (&[2, 5, 9], 0), (&[2, 5, 9, 7, 8, 3, 4, 6], 3)] {
            assert_eq!(session.reuse(tokens), known, "{tokens:?}");
            let seen = feed(engine, &mut session, &tokens[known..]).expect("room");
            assert_eq!(seen, feed(engine, &mut Session::new(engine, 8, 1), tokens).expect("room"), "{tokens:?}");
        }
        assert_eq!((session.reuse(&[]), session.position()), (0, 0));
    });
}

/// What was moved was seen behind what is gone, and a fresh session would see it otherwise.
#[test]
fn what_a_shift_has_moved_is_not_used_again() {
    with_engine(&model(&Plan::small(Kind::F32, 5)), |engine| {
        let (tokens, mut session) = (text(10), Session::new(engine, 10, 1));
        feed(engine, &mut session, &tokens).expect("room");
        assert_eq!(engine.shift(&mut session, 3, &Alone), Ok(3..7));
        let left = [&tokens[..3], &tokens[7..]].concat();
        assert_eq!((session.tokens(), session.room()), (&left[..], 4));
        let moved = feed(engine, &mut session, &[7]).expect("room");
        let again = [&left[..], &[7]].concat();
        assert_eq!(session.reuse(&again), 3);
        let fresh = feed(engine, &mut session, &again[3..]).expect("room");
        assert_eq!(fresh, feed(engine, &mut Session::new(engine, 10, 1), &again).expect("room"));
        assert!(rms(&fresh, &moved) > 1e-3, "what is gone has left something");
        assert_eq!(session.reuse(&again), 6, "seen again, it is as good as any");
        assert_eq!(engine.shift(&mut session, 6, &Alone), Err(Error::ContextFull));
        assert_eq!((engine.shift(&mut session, 5, &Alone), session.position()), (Ok(5..6), 5));
    });
}

/// Root of the mean square of the logits' errors after each token of a long text, shifted whenever `capacity` is reached: the oracle forgets the same
/// positions and turns the keys anew from what they were.
fn error_of(plan: &Plan, precision: Precision, tokens: &[u32], (capacity, keep): (usize, usize)) -> f64 {
    let bytes = model(plan);
    let file = File::read(&bytes).expect("a model's file");
    let read = Model::read(&file).expect("a model");
    let mut reference = Reference::new(&read);
    let (mut seen, mut expected) = (Vec::new(), Vec::new());
    with_engine(&bytes, |engine| {
        let mut session = Session::keeping(precision, engine, capacity, 1);
        for token in tokens {
            if session.room() == 0 {
                reference.forget(engine.shift(&mut session, keep, &Alone).expect("something to forget"));
            }
            seen.extend(feed(engine, &mut session, &[*token]).expect("room"));
            expected.extend(reference.next(*token).expect("a token"));
        }
    });
    rms(&seen, &expected)
}

/// Up to twenty shifts, and none: a second rounding of keys makes half as much error again, and the text's length none. Keys that are not turned leave 0.26.
#[test]
fn shifted_sessions_run_as_the_oracle_does() {
    let small = Plan::small(Kind::F32, 9);
    let qwen = Plan { architecture: "qwen2", biased: true, ..small.clone() };
    for plan in [small, qwen] {
        for (precision, most) in [(Precision::F16, 0.000_25), (Precision::Q8_0, 0.005)] {
            for shape in [(200, 0), (24, 4), (25, 0)] {
                let error = error_of(&plan, precision, &text(200), shape);
                assert!(error < most, "{} {precision:?} {shape:?}: rms {error}", plan.architecture);
            }
        }
    }
}

#[test]
fn batches_and_threads_change_no_bit_behind_a_shift() {
    let tokens = text(60);
    with_engine(&model(&Plan::small(Kind::Q8_0, 5)), |engine| {
        for precision in [Precision::F16, Precision::Q8_0] {
            let shifted = |batch: usize, team: &dyn Team| {
                let mut session = Session::keeping(precision, engine, 40, team.threads());
                let mut logits = Vec::new();
                let mut feed = |session: &mut Session, tokens: &[u32]| {
                    tokens.chunks(batch).for_each(|tokens| engine.feed(session, tokens, Want::All, team, &mut logits).expect("room"));
                };
                feed(&mut session, &tokens[..40]);
                engine.shift(&mut session, 5, team).expect("something to forget");
                feed(&mut session, &tokens[40..50]);
                logits
            };
            let expected = shifted(40, &Alone);
            for (batch, threads) in [(1, 1), (7, 2), (40, 3)] {
                let seen = shifted(batch, &Threads(threads));
                let same = seen.len() == expected.len() && seen.iter().zip(&expected).all(|(one, other)| one.to_bits() == other.to_bits());
                assert!(same, "{precision:?}: batches of {batch}, {threads} threads");
            }
        }
    });
}

#[test]
fn texts_become_what_the_oracle_says() {
    for kind in [Kind::F32, Kind::Q8_0] {
        let (bytes, tokens) = (model(&Plan::small(kind, 3)), text(70));
        let file = File::read(&bytes).expect("a model's file");
        let read = Model::read(&file).expect("a model");
        let mut reference = Reference::new(&read);
        let mut states = Vec::new();
        for token in &tokens {
            reference.next(*token).expect("a token");
            states.push(reference.state().to_vec());
        }
        let of_length_1 = |column: Vec<f64>| {
            let length = column.iter().map(|number| number * number).sum::<f64>().sqrt();
            column.iter().map(|number| (number / length) as f32).collect::<Vec<_>>()
        };
        let wide = |state: &[f32]| state.iter().map(|number| f64::from(*number)).collect::<Vec<_>>();
        let mean = states.iter().map(|state| wide(state)).reduce(|one, other| one.iter().zip(other).map(|(one, other)| one + other).collect());
        let expected = [(Pooling::Mean, of_length_1(mean.expect("tokens"))), (Pooling::Last, of_length_1(wide(&states[69])))];
        with_engine(&bytes, |engine| {
            for (pooling, expected) in expected {
                let of = |threads| engine.embed(&mut Session::new(engine, 70, threads), &tokens, pooling, &Threads(threads)).expect("room");
                let seen = of(1);
                assert!(rms(&seen, &expected) < 0.002, "{kind:?} {pooling:?}: rms {}", rms(&seen, &expected));
                assert_eq!(seen, of(2));
                let mut session = Session::new(engine, 70, 1);
                assert_eq!(engine.embed(&mut session, &[1, 288], pooling, &Alone), Err(Error::Token(288)));
                assert_eq!(engine.embed(&mut session, &[], pooling, &Alone), Ok(vec![0.0; read.config.width]));
            }
        });
    }
}
